"""report, compare, runs: what is done with runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from allport.administration import compare, measure, read_run
from allport.inventories import load_inventory
from allport.personas import Person, write_person


@pytest.fixture
def runs(tmp_path: Path, by_rule: Any) -> Path:
    """Two finished runs of the Mini-IPIP, the second a little higher on every trait."""
    inventory = load_inventory("mini-ipip-20")
    folder = tmp_path / "runs"
    for name, shift in (("first", 0.0), ("second", 0.8)):
        measure(by_rule(shift), inventory, None, folder / name, progress=None)
    return folder


def test_report_writes_page_figures_and_tables(allport: Any, runs: Path) -> None:
    said = allport("report", runs / "first")
    assert said.code == 0
    assert f"Report: {runs / 'first' / 'report.html'}" in said.out
    for name in ("report.html", "report.json", "figures/profile.svg", "figures/profile.png"):
        assert (runs / "first" / name).stat().st_size > 0
    assert (runs / "first" / "tables" / "profile.csv").is_file()


def test_report_goes_where_it_is_told(allport: Any, runs: Path) -> None:
    assert allport("report", runs / "first", "--out", "elsewhere").code == 0
    assert Path("elsewhere/report.html").is_file()
    assert not (runs / "first" / "report.html").exists()


def test_report_as_json_writes_nothing(allport: Any, runs: Path) -> None:
    before = sorted((runs / "first").iterdir())
    said = allport("report", runs / "first", "--json")
    assert said.json["n_items"] == 20
    assert len(said.json["conditions"]) == 4
    assert sorted((runs / "first").iterdir()) == before


def test_report_shows_people_beside_the_model(allport: Any, runs: Path) -> None:
    inventory = load_inventory("mini-ipip-20")
    person = Person("Kim", inventory, dict.fromkeys(inventory.numbers, 4.0), simulated=True)
    write_person(person, "kim.json")
    assert allport("report", runs / "first", "--person", "kim.json").code == 0
    assert "Kim (simulated)" in (runs / "first" / "report.html").read_text("utf-8")


def test_compare_shows_paired_differences(allport: Any, by_rule: Any, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name, shift in (("first", 0.0), ("second", 2.0)):
        inventory = load_inventory("mini-ipip-20")
        measure(by_rule(shift), inventory, None, runs / name, progress=None)
    said = allport("compare", runs / "first", runs / "second", "--json")
    found = compare(read_run(runs / "first"), read_run(runs / "second"))
    assert said.json["matched"] == found.matched == 80
    for row, expected in zip(said.json["traits"], found.traits, strict=True):
        assert row["difference"]["value"] == expected.difference.value
        assert row["difference"]["value"] > 0
    assert {row.difference.low > 0 for row in found.traits} == {True, False}
    text = allport("compare", runs / "first", runs / "second").out
    for expected in found.traits:
        line = next(line for line in text.splitlines() if expected.name in line)
        assert f"+{expected.difference.value:.2f} " in line
        assert ("*" in line) == (expected.difference.low > 0)
        assert f"{expected.difference.low:+.2f} to".replace("-", "−") in line


def test_compare_with_itself_is_zero(allport: Any, runs: Path) -> None:
    said = allport("compare", runs / "first", runs / "first")
    assert said.code == 0
    assert "*" not in said.out.split("* the interval")[0]
    assert "100% with the same choice" in said.out


def test_runs_lists_newest_first_and_marks_unfinished(allport: Any, runs: Path) -> None:
    record = json.loads((runs / "second" / "run.json").read_text("utf-8"))
    record["started"], record["finished"] = "2999-01-01T00:00:00+00:00", None
    (runs / "second" / "run.json").write_text(json.dumps(record))
    (runs / "notes.txt").write_text("no run")
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("{")
    said = allport("runs")
    lines = [line for line in said.out.splitlines() if "runs/" in line]
    assert ["second" in lines[0], "first" in lines[1], len(lines)] == [True, True, 2]
    assert "unfinished" in lines[0]
    assert [row["answered"] for row in allport("runs", "--json").json] == [80, 80]


def test_no_runs_is_no_error(allport: Any) -> None:
    said = allport("runs")
    assert (said.code, allport("runs", "--json").json) == (0, [])
    assert "allport measure" in said.out


@pytest.mark.parametrize(
    "words",
    [
        ("report", "nowhere"),
        ("report", "empty"),
        ("report", "file"),
        ("report", "broken"),
        ("compare", "nowhere", "runs/first"),
        ("compare", "runs/first", "broken"),
    ],
)
def test_a_folder_that_is_no_run_is_one_sentence(
    allport: Any, runs: Path, sentence: Any, words: tuple[str, ...]
) -> None:
    Path("empty").mkdir()
    Path("file").write_text("no folder")
    Path("broken").mkdir()
    Path("broken/run.json").write_text('{"format": "allport-run-1"}')
    said = allport(*words)
    sentence(said, 1)
    assert any(word in said.err for word in words[1:])


def test_damaged_responses_are_one_sentence(allport: Any, runs: Path, sentence: Any) -> None:
    (runs / "first" / "responses.parquet").write_bytes(b"not parquet")
    sentence(allport("report", runs / "first"), 1)


def test_unknown_norms_are_one_sentence(
    allport: Any, runs: Path, sentence: Any, model: Any
) -> None:
    allport("measure", "m", "--inventory", "ipip-neo-120", "--out", "neo", "--limit", "120")
    said = allport("report", "neo", "--norms", "martians")
    sentence(said, 2)
    assert "martians" in said.err


def test_runs_of_two_inventories_cannot_be_paired(
    allport: Any, runs: Path, sentence: Any, model: Any
) -> None:
    allport("measure", "m", "--inventory", "ipip-neo-120", "--out", "neo", "--orders", "forward")
    sentence(allport("compare", runs / "first", "neo"), 2)


def test_runs_of_a_file_is_refused(allport: Any, sentence: Any) -> None:
    Path("file").write_text("no folder")
    sentence(allport("runs", "file"), 2)


def test_a_moved_run_can_still_be_reported(allport: Any, runs: Path) -> None:
    shutil.move(runs / "first", "moved")
    assert allport("report", "moved").code == 0
    assert Path("moved/report.html").is_file()
