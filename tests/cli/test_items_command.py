from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allport.evaluation import calibration_personas, validity_personas
from allport.inventories import load_inventory, write_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent

EVALUATE = ("evaluate", "items", "m", "--inventory", "short.json,shorter.json", "--no-generation")
VALIDITY = (*EVALUATE, "--validity", 12, "--out", "judged")


SHORT = load_inventory("big-five-markers-50")
ITEMS = [i for code in "EA" for i in [i for i in SHORT.items if i.trait == code][:8]]
TRAITS = [t for t in SHORT.traits if t.code in "EA"]
BANKS = [
    SHORT.model_copy(update={"name": name, "traits": TRAITS, "items": items})
    for name, items in (("short", ITEMS[::2]), ("shorter", ITEMS[1::2]))
]
LEVELS = {
    persona.name: persona.levels
    for persona in (*validity_personas(("E", "A"), 12), *calibration_personas(BANKS[0], 18))
}


def by_persona(question: Question) -> list[float]:
    """Follows the level of the persona, each item with noise of its own."""
    item = SHORT.item(question.item)
    name = question.condition.persona
    level = LEVELS.get(name, {}).get(item.trait, 0.0)
    noise = (sum(map(ord, name)) * item.number) % 13 / 26 - 0.25
    high = 1 / (1 + math.exp(-2 * level * item.key - noise))
    return [1 - high, 0, 0, 0, high]


@pytest.fixture
def banks(allport: Any, model: Callable[[ScriptedRespondent], None]) -> None:
    """Two inventories of extraversion and agreeableness, and a model that takes on personas."""
    model(ScriptedRespondent(by_persona, "by-persona"))
    for bank in BANKS:
        write_inventory(bank, f"{bank.name}.json")


def test_validity_is_printed_and_written(allport: Any, banks: None) -> None:
    said = allport(*VALIDITY)
    assert (said.code, said.err) == (0, "")
    for words in (
        "12 personas of by-persona under short, shorter",
        "short + shorter",
        "HTMT",
    ):
        assert words in said.out
    content = json.loads(Path("judged", "items.json").read_text("utf-8"))
    found = content["validity"]
    assert found["traits"] == ["E", "A"]
    assert [each["inventories"] for each in found["agreements"]] == [["short", "shorter"]] * 2
    assert found["agreements"][0]["convergent"]["value"] > 0.8
    again = allport(*VALIDITY, "--json").json
    assert again["validity"] == found
    without = allport(*EVALUATE, "--out", "other", "--json").json
    assert "validity" not in without


def test_a_calibration_names_weak_items_and_draws_options(allport: Any, banks: None) -> None:
    calibrate = ("evaluate", "items", "m", "--inventory", "short.json", "--calibrate", "cal.json")
    quick = ("--personas", 18, "--templates", "letters", "--out", "calibrating")
    said = allport(*calibrate, *quick)
    assert (said.code, said.err) == (0, "")
    assert "Weak items: " in said.out
    assert "of 8" in said.out
    assert "All items: calibrating/bank.json; options of the weakest drawn in" in said.out
    content = json.loads(Path("calibrating", "bank.json").read_text("utf-8"))
    assert content["inventory"] == "short"
    assert len(content["items"]) == 8
    assert Path("calibrating", "bank.svg").read_text("utf-8").startswith("<svg")
    found = allport(*calibrate, *quick, "--json").json
    assert [item["number"] for item in found["weak"]] == content["weak"]
    assert (found["bank"], found["figure"]) == ("calibrating/bank.json", "calibrating/bank.svg")


def test_interrupted_it_names_the_folder_that_goes_on(
    allport: Any, banks: None, model: Callable[[ScriptedRespondent], None], sentence: Any
) -> None:
    count = 0

    def stopping(question: Question) -> list[float]:
        nonlocal count
        count += 1
        if count > 300:
            raise KeyboardInterrupt
        return by_persona(question)

    model(ScriptedRespondent(stopping, "by-persona"))
    said = allport(*EVALUATE)
    sentence(said, 1)
    [folder] = Path("runs").iterdir()
    assert f"the same command with --out {folder} goes on there." in said.err
    rest = ScriptedRespondent(by_persona, "by-persona")
    model(rest)
    assert allport(*EVALUATE, "--out", folder).code == 0
    alone = ScriptedRespondent(by_persona, "by-persona")
    model(alone)
    assert allport(*EVALUATE, "--out", "unbroken").code == 0
    assert 300 + rest.asked.total() == alone.asked.total()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*EVALUATE, "--validity", 5), "--validity 5 are too few personas; give 10 or more"),
        ((*EVALUATE, "--validity", -1), "too few"),
        (
            ("evaluate", "items", "m", "--inventory", "short.json,short.json", "--validity", 12),
            "short is named twice",
        ),
        (
            ("evaluate", "items", "m", "--validity", 12, "--calibrate", "cal.json"),
            "takes one inventory",
        ),
        (
            (*EVALUATE[:4], "short.json", "--no-generation", "--calibrate", "cal.json"),
            "--no-generation does not go with --calibrate",
        ),
        (
            (*EVALUATE[:4], "short.json", "--validity", 12, "--calibrate", "cal.json"),
            "--validity does not go with --calibrate",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(
    allport: Any, banks: None, sentence: Any, words: tuple[object, ...], said: str
) -> None:
    found = allport(*words)
    sentence(found, 2)
    assert said in found.err
