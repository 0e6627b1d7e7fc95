from __future__ import annotations

import json
from pathlib import Path

import pytest

from allport.errors import RunError
from allport.evaluation import (
    BenchmarkPeople,
    PersonBenchmark,
    person_report,
    run_person_benchmark,
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
    widths = [line.count(" | ") for line in page.split("\n") if line.startswith("| constant C")]
    assert widths


def test_a_folder_that_is_a_file_is_refused(benchmark: PersonBenchmark, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_person_report(person_report(benchmark, resamples=0), path)
