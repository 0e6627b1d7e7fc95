from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allport.administration import read_run
from allport.personas import example_person


def test_example_person_is_whole_and_labelled_as_simulated() -> None:
    person = example_person()
    assert person.simulated
    assert person.inventory.name == "ipip-neo-300"
    assert set(person.literal_answers) == set(person.inventory.numbers)
    assert len(set(person.literal_answers.values())) > 2


def test_interrupted_it_names_the_folder_that_goes_on(
    allport: Any, by_rule: Any, monkeypatch: pytest.MonkeyPatch, sentence: Any
) -> None:
    import allport.models as models

    monkeypatch.setattr(models, "load_model", lambda name: by_rule(stop_after=9), raising=False)
    said = allport("demo")
    sentence(said, 1)
    (folder,) = Path("runs").iterdir()
    assert f"the same command with --out {folder} goes on there." in said.err


def test_demo_measures_scores_and_names_its_report(
    allport: Any, by_rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import allport.models as models

    monkeypatch.setattr(models, "load_model", lambda name: by_rule(), raising=False)
    said = allport("demo")
    assert said.code == 0, said.err
    (folder,) = Path("runs").iterdir()
    run = read_run(folder)
    assert run.complete
    assert len(run.design.conditions(run.inventory)) >= 4
    assert f"Report: {(folder / 'report.html').resolve()}" in said.out
    assert "Example person (simulated)" in said.out
    page = (folder / "report.html").read_text("utf-8")
    assert "Example person (simulated) described themselves" in page
    assert "Profile against human norms" in page


def test_demo_for_machines(allport: Any, by_rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import allport.models as models

    monkeypatch.setattr(models, "load_model", lambda name: by_rule(), raising=False)
    said = allport("demo", "--out", "here", "--json").json
    assert said["report"] == "here/report.html"
    assert said["summary"]["answered"] == 480


def test_demo_runs_with_what_ships(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "allport", "demo", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["summary"]["respondent"] == "embedded"
    assert said["summary"]["conditions"] >= 4
    assert said["summary"]["answered"] == said["summary"]["questions"] == 480
    distances = {row["name"]: row["distance"]["value"] for row in said["person"]["rows"]}
    assert said["person"]["items"] == 180
    assert {"unaligned", "steered (PAS)", "steered, sign turned", "constant C"} <= set(distances)
    assert distances["steered (PAS)"] < distances["unaligned"]
    page = tmp_path / said["report"]
    assert 0 < page.stat().st_size < 2_000_000
    text = page.read_text("utf-8")
    assert "Example person (simulated)" in text
    assert "Brought nearer to a person" in text
    assert (page.parent / "alignment" / "alignment.json").is_file()
