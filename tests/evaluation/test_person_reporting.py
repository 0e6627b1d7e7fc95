from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from allport.errors import RunError
from allport.evaluation import (
    BenchmarkPeople,
    OpenAnswer,
    PersonBenchmark,
    PersonMethod,
    Rating,
    person_report,
    run_person_benchmark,
    score_open_ended,
    write_person_report,
)
from allport.models import ScriptedRespondent
from allport.psychometrics.estimate import Estimate


@pytest.fixture(scope="module")
def benchmark(few_people: BenchmarkPeople) -> PersonBenchmark:
    def script(question):
        person = question.condition.persona
        if not person:
            return 3
        row = few_people.ids.index(person)
        column = few_people.inventory.numbers.index(question.item)
        return int(few_people.literal[row, column]) - 1

    model = ScriptedRespondent(script, "a | b")
    return run_person_benchmark(model, few_people, progress=None)


def test_the_report_holds_every_figure_beside_the_baselines(
    benchmark: PersonBenchmark, tmp_path: Path
) -> None:
    effects = {"few-shot": {"perplexity ratio": Estimate(1.25, 1.1, 1.4)}}
    report = person_report(benchmark, side_effects=effects, resamples=100)
    files = write_person_report(report, tmp_path / "out")
    content = json.loads(files.scores.read_text(encoding="utf-8"))
    names = [system["name"] for system in content["systems"]]
    assert names[:3] == ["unaligned", "few-shot", "constant A"]
    assert {"item median of the others", "own facet mean", "item mean + facet offset"} < set(names)
    kinds = {system["name"]: system["kind"] for system in content["systems"]}
    assert kinds["few-shot"] == "cell"
    assert kinds["constant C"] == "baseline"
    few = content["systems"][1]
    error = next(
        figure["estimate"]
        for figure in few["figures"]
        if (figure["metric"], figure["reading"], figure["scale"], figure["group"])
        == ("error", "median", "all", "everyone")
    )
    assert error["value"] == 0
    assert few["side_effects"]["perplexity ratio"] == {"value": 1.25, "low": 1.1, "high": 1.4}
    undefined = [f["estimate"] for f in few["figures"] if f["estimate"]["value"] is None]
    assert all(estimate["reason"] for estimate in undefined)


def test_the_page_compares_cells_with_references(
    benchmark: PersonBenchmark, tmp_path: Path
) -> None:
    report = person_report(benchmark, resamples=100)
    compared = {(each.cell, each.reference): each.error for each in report.comparisons}
    assert set(compared) == {
        ("unaligned", "constant C"),
        ("unaligned", "own facet mean"),
        ("unaligned", "item mean + facet offset"),
        ("few-shot", "unaligned"),
        ("few-shot", "constant C"),
        ("few-shot", "own facet mean"),
        ("few-shot", "item mean + facet offset"),
    }
    assert compared["few-shot", "constant C"].high < 0
    page = write_person_report(report, tmp_path).page.read_text(encoding="utf-8")
    # A name that would end its table cell does not.
    assert "# a \\| b in the place of 12 people" in page
    for head in ("## Distance from the person", "## Distance by facet", "## Cost", "N1 Anxiety"):
        assert head in page
    for line in page.split("\n"):
        if line.startswith("| few-shot |"):
            assert "nan" not in line.lower()
    # Every row of a table is as wide as its head; four tables tell of rules.
    lines = page.split("\n")
    for above, line in itertools.pairwise(lines):
        if line.startswith("| ") and above.startswith("| "):
            assert line.replace("\\|", "").count("|") == above.replace("\\|", "").count("|")
    assert sum(line.startswith("| constant C |") for line in lines) == 4


def test_every_method_is_compared_with_its_own_controls(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    model = ScriptedRespondent(lambda question: 2, "any")
    methods = [
        PersonMethod.of_respondent(name, model, with_prompts=not control, control_of=control)
        for name, control in (
            ("steering", None),
            ("sign-flipped", "steering"),
            ("caa", None),
            ("caa, random direction", "caa"),
        )
    ]
    people = few_people.with_test_items(5)
    found = run_person_benchmark(model, people, methods, folder=tmp_path, progress=None)
    report = person_report(found, resamples=20)
    controls = {"sign-flipped", "caa, random direction"}
    compared = {(each.cell, each.reference) for each in report.comparisons}
    assert {pair for pair in compared if pair[1] in controls} == {
        ("steering", "sign-flipped"),
        ("few-shot + steering", "sign-flipped"),
        ("caa", "caa, random direction"),
        ("few-shot + caa", "caa, random direction"),
    }
    assert ("caa, random direction", "unaligned") in compared
    content = json.loads(write_person_report(report, tmp_path).scores.read_text(encoding="utf-8"))
    told = {each["name"]: each.get("control_of") for each in content["systems"]}
    assert {name for name, method in told.items() if method} == controls
    assert told["caa, random direction"] == "caa"
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "less caa, random direction" in page
    # What is a control of what is no part of a run: those kept without it go on.
    bare = [dataclasses.replace(method, control_of=None) for method in methods]
    again = run_person_benchmark(model, people, bare, folder=tmp_path, progress=None)
    assert [cell.responses for cell in again.cells] == [cell.responses for cell in found.cells]


def test_an_agreement_without_an_interval_keeps_its_value(
    benchmark: PersonBenchmark, few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    answers = [OpenAnswer("few-shot", "p0", "N1", number, "") for number in range(3)]
    fit = [
        Rating(judge, answer, value)
        for judge, shift in (("a", 0.0), ("b", 0.1))
        for answer, value in zip(answers, (1 + shift, 2.0, 3.0), strict=True)
    ]
    open_ended = score_open_ended(few_people, fit, fit, resamples=10)
    alpha = open_ended.fit_agreement
    report = person_report(benchmark, open_ended=open_ended, resamples=0)
    page = write_person_report(report, tmp_path).page.read_text(encoding="utf-8")
    said = f"Krippendorff's alpha between judges, fit: {alpha.value:.2f} ({alpha.reason})."
    assert alpha.reason == "no interval from a single unit"
    assert said in page


def test_a_folder_that_is_a_file_is_refused(benchmark: PersonBenchmark, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_person_report(person_report(benchmark, resamples=0), path)
