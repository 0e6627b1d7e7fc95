from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allport.administration import Design, read_run
from allport.evaluation import calibrate_items, calibration_personas
from allport.inventories import Inventory, load_inventory, write_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent


def few() -> Inventory:
    """The situations for two traits, twenty each."""
    whole = load_inventory("situations-320")
    items = [i for code in "OE" for i in [i for i in whole.items if i.trait == code][:20]]
    traits = [trait for code in "OE" for trait in whole.traits if trait.code == code]
    return whole.model_copy(
        update={"name": "few", "title": "Few situations", "items": items, "traits": traits}
    )


BANK = few()
WHAT = ("--inventory", "few.json")
CALIBRATE = ("evaluate", "items", "m", *WHAT, "--calibrate", "cal.json", "--out", "calibrating")
QUICK = ("--templates", "advice-after", "--orders", "0132,2310", "--personas", 12)
ADAPTIVE = ("measure", "m", *WHAT, "--adaptive", "cal.json")


def by_rule(question: Question) -> list[float]:
    """Every item tells something; personas differ by their names."""
    item = BANK.item(question.item)
    level = sum(map(ord, question.condition.persona + item.trait)) % 17 / 4 - 2
    rng = np.random.default_rng(item.number)
    p = 1 / (1 + np.exp(-rng.uniform(0.8, 2) * (level - rng.normal(0, 0.7))))
    return [0.7 * p, 0.3 * p, 0.5 * (1 - p), 0.5 * (1 - p)]


@pytest.fixture
def situated(allport: Any, model: Callable[[ScriptedRespondent], None]) -> ScriptedRespondent:
    """Every model is one that answers situations by rule, and there is a file of them."""
    respondent = ScriptedRespondent(by_rule, "by-rule")
    model(respondent)
    write_inventory(BANK, "few.json")
    return respondent


@pytest.fixture(scope="module")
def calibration() -> str:
    """The text of a calibration file."""
    return calibrate_items(
        ScriptedRespondent(by_rule, "by-rule"),
        BANK,
        calibration_personas(BANK, 12),
        Design(templates=("advice-after",), orders=("0132", "2310")),
    ).to_json()


@pytest.fixture
def calibrated(allport: Any, situated: ScriptedRespondent, calibration: str) -> None:
    """There is a calibration file in the folder, and every model answers by rule."""
    Path("cal.json").write_text(calibration, "utf-8")


def test_a_bank_is_calibrated_and_asked_adaptively(
    allport: Any, situated: ScriptedRespondent, calibration: str
) -> None:
    calibrated = allport(*CALIBRATE, *QUICK)
    assert (calibrated.code, calibrated.err) == (0, "")
    assert Path("cal.json").read_text("utf-8") == calibration
    assert "few, calibrated on by-rule as 12 personas" in calibrated.out
    assert "--adaptive cal.json" in calibrated.out
    assert situated.asked.total() == 12 * 40 * 2
    assert read_run("calibrating/calibration").complete

    said = allport(*ADAPTIVE, "--most", 5, "--out", "run")
    assert (said.code, said.err) == (0, "")
    for word in ("Openness", "95% interval", "SE", "of 20", "of the items were asked"):
        assert word in said.out
    run = read_run("run")
    # Templates and orders are those that items were calibrated with.
    assert run.design.templates == ("advice-after",)
    assert run.design.orders == ("0132", "2310")
    assert run.complete
    assert run.responses.height <= 2 * 5 * 2

    again = allport(*ADAPTIVE, "--most", 5, "--out", "run", "--json").json
    assert again["asked"] == 0
    assert again["calibrated_on"] == "by-rule"
    assert [score["trait"] for score in again["scores"]] == [t.code for t in BANK.traits]
    for score in again["scores"]:
        assert len(score["items"]) <= 5
        assert score["score"]["low"] < score["score"]["value"] < score["score"]["high"]
    assert json.loads(Path("run", "adaptive.json").read_text("utf-8"))["scores"] == again["scores"]
    page = allport("report", "run", "--json")
    assert page.code == 0
    assert "chosen adaptively" in page.out


def test_traits_of_one_item_are_named_and_not_asked(
    allport: Any, situated: ScriptedRespondent, sentence: Any
) -> None:
    extraversion = [item for item in BANK.items if item.trait == "E"]
    write_inventory(
        BANK.model_copy(update={"items": [*BANK.items[:20], extraversion[0]]}), "few.json"
    )
    said = allport(*CALIBRATE, *QUICK)
    assert said.code == 0
    assert "Left out of the calibration: Extraversion has one item" in said.out
    assert "--adaptive cal.json" in said.out
    asked = allport(*ADAPTIVE, "--most", 3, "--out", "run")
    assert asked.code == 0
    assert "Not measured adaptively: Extraversion has one item" in asked.out
    assert {item for (item,) in read_run("run").responses.select("trait").iter_rows()} == {"O"}
    assert allport("report", "run").code == 0

    Path("cal.json").unlink()
    write_inventory(BANK.model_copy(update={"items": [BANK.items[0], extraversion[0]]}), "few.json")
    again = (*CALIBRATE[:-1], "another", *QUICK)
    said = allport(*again)
    assert said.code == 0
    assert "No trait is left to be asked adaptively" in said.out
    assert "--adaptive" not in said.out
    assert not Path("cal.json").exists()
    assert allport(*again, "--json").json["file"] is None
    # As it was: a trait that the file neither knows nor leaves out.
    sentence(allport(*ADAPTIVE), 2)


def test_a_score_can_be_asked_for_more_exactly(allport: Any, calibrated: None) -> None:
    words = (*ADAPTIVE, "--persona", "E=high", "--most", 20, "--json")
    level = allport(*words, "--out", "a").json
    score = allport(*words, "--points", 2, "--out", "b").json
    assert score["items_used"] > level["items_used"]
    assert all(s["persona"] == "E=high" for s in score["scores"])


def test_resume_finds_the_adaptive_run_and_asks_nothing_twice(
    allport: Any, calibrated: None, model: Any, sentence: Any
) -> None:
    count = 0
    exact = ("--se", 0.01, "--most", 5)

    def stopping(question: Question) -> list[float]:
        nonlocal count
        count += 1
        if count > 9:
            raise KeyboardInterrupt
        return by_rule(question)

    model(ScriptedRespondent(stopping, "by-rule"))
    stopped = allport(*ADAPTIVE, *exact)
    sentence(stopped, 1)
    assert "9 of 20 answers are kept" in stopped.err
    (folder,) = Path("runs").iterdir()
    rest = ScriptedRespondent(by_rule, "by-rule")
    model(rest)
    # The whole bank is another run than the one that was stopped.
    other = allport("measure", "m", *WHAT, "--resume")
    assert "no unfinished run" in other.err
    found = allport(*ADAPTIVE, *exact, "--resume", "--json").json
    assert found["folder"] == str(folder)
    assert found["asked"] == rest.asked.total() == read_run(folder).responses.height - 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("measure", "m", *WHAT, "--se", 0.2), "go with --adaptive"),
        (("measure", "m", *WHAT, "--points", 2), "go with --adaptive"),
        (("measure", "m", *WHAT, "--adaptive", "no.json"), "--calibrate no.json"),
        (
            ("measure", "m", "--inventory", "mini-ipip-20", "--adaptive", "no.json"),
            "allport evaluate items MODEL --inventory mini-ipip-20 --calibrate no.json",
        ),
        (
            ("measure", "m", "--inventory", "mini-ipip-20", "--adaptive", "cal.json"),
            "The calibration is of few, not of mini-ipip-20",
        ),
        ((*ADAPTIVE, "--report"), "--report does not go with --adaptive"),
        ((*ADAPTIVE, "--facets"), "--facets does not go with --adaptive"),
        ((*ADAPTIVE, "--dry-run"), "--dry-run does not go with --adaptive"),
        ((*ADAPTIVE, "--limit", 10), "leave the limit of items"),
        ((*ADAPTIVE, "--most", 0), "At most 0 items"),
        ((*ADAPTIVE, "--se", 0), "never reached"),
        ((*ADAPTIVE, "--orders", "0123"), "calibrated with orders 0132,2310"),
        (("evaluate", "items", "m", *WHAT, "--personas", 20), "go with --calibrate"),
        ((*CALIBRATE, "--personas", 3), "too few"),
        ((*CALIBRATE, "--templates", "nonsense"), "Unknown template 'nonsense'"),
        (("evaluate", "items", "m", "--calibrate", "x.json"), "takes one inventory"),
        (("evaluate", "items", "m", *WHAT, "--calibrate", "."), "is a folder"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(
    allport: Any, calibrated: None, sentence: Any, words: tuple[object, ...], said: str
) -> None:
    found = allport(*words)
    sentence(found, 2)
    assert said in found.err
