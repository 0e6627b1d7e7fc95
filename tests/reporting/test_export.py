from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from allport.administration import Run
from allport.errors import ResponsesError, RunError
from allport.inventories import load_inventory
from allport.personas import Person
from allport.reporting import report, run_content, write_report
from allport.reporting.content import t_of


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_report_has_the_same_figures_in_every_format(neo_run: Run, tmp_path: Path) -> None:
    files = report(neo_run, tmp_path / "out")
    assert files.page == tmp_path / "out" / "report.html"
    assert files.page.stat().st_size < 2_000_000
    data = json.loads(files.data.read_text("utf-8"))
    rows = {row["code"]: row for row in table(tmp_path / "out/tables/profile.csv")}
    (subject,) = run_content(neo_run).subjects
    assert len(rows) == 35
    for trait, written in zip(subject.traits, data["subjects"][0]["traits"], strict=True):
        assert float(rows[trait.code]["score"]) == trait.score.value == written["score"]["value"]
        assert float(rows[trait.code]["t"]) == t_of(trait).value == written["norm"]["t"]
        assert f"{trait.score.value:.2f}" in files.page.read_text("utf-8")
    names = {path.name for path in files.figures}
    assert names == {
        f"{name}.{kind}"
        for name in ("profile", "facets", "conditions", "sensitivity")
        for kind in ("svg", "png")
    }
    assert len(table(tmp_path / "out/tables/items.csv")) == 120
    assert len(table(tmp_path / "out/tables/conditions.csv")) == 4


def test_figures_on_their_own_are_whole_documents(mini_run: Run, tmp_path: Path) -> None:
    for path in report(mini_run, tmp_path).figures:
        content = path.read_bytes()
        assert content.startswith(b"<svg" if path.suffix == ".svg" else b"\x89PNG")


def test_missing_figures_are_empty_cells(refusing_run: Run, tmp_path: Path) -> None:
    report(refusing_run, tmp_path)
    odd = [row for row in table(tmp_path / "tables/items.csv") if int(row["number"]) % 2]
    assert {row["mean"] for row in odd} == {""}
    assert {row["refused"] for row in odd} == {"4"}


def test_no_cell_of_a_table_can_act_as_a_formula(mini_run: Run, tmp_path: Path) -> None:
    import dataclasses

    content = run_content(mini_run)
    evil = dataclasses.replace(content.subjects[0], name="=HYPERLINK(1)")
    write_report(dataclasses.replace(content, subjects=(evil,)), tmp_path)
    cells = {row["subject"] for row in table(tmp_path / "tables/profile.csv")}
    assert cells == {"'=HYPERLINK(1)"}


def test_no_head_of_a_column_can_act_as_a_formula(mini_run: Run, tmp_path: Path) -> None:
    import dataclasses

    content = run_content(mini_run)
    first = content.conditions[0]
    evil = dataclasses.replace(first, scores={**first.scores, "=HYPERLINK(1)": 3.0})
    write_report(dataclasses.replace(content, conditions=(evil,)), tmp_path)
    (row,) = table(tmp_path / "tables/conditions.csv")
    assert row["'=HYPERLINK(1)"] == "3.0"
    assert "=HYPERLINK(1)" not in row


def test_a_run_in_memory_needs_a_folder(mini_run: Run) -> None:
    with pytest.raises(RunError, match="say where"):
        report(mini_run)


def test_a_person_of_another_inventory_is_refused(mini_run: Run, tmp_path: Path) -> None:
    person = Person("p", load_inventory("ipip-neo-120"), {1: 3.0})
    with pytest.raises(ResponsesError, match="ipip-neo-120"):
        report(mini_run, tmp_path, people=[person])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_one_sentence(mini_run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="cannot be written"):
        report(mini_run, tmp_path / "new")


def test_a_file_in_the_way_is_one_sentence(mini_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        report(mini_run, tmp_path / "file")


def test_writing_again_writes_over(mini_run: Run, tmp_path: Path) -> None:
    first = report(mini_run, tmp_path).page.read_text("utf-8")
    assert report(mini_run, tmp_path).page.read_text("utf-8") == first
