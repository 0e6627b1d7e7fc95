"""The recipes of situational items find what was planted, and go on where they were stopped."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from allport.administration import Design
from allport.errors import UsageError
from allport.inventories import Inventory, load_inventory, write_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent

RECIPE = Path(__file__).parents[2] / "recipes" / "situations"
NAMES = ("asking", "checkpoints", "persona_prompting")


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """The scripts, which import what lies beside them."""
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    sys.path.insert(0, str(RECIPE))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
    finally:
        sys.path.remove(str(RECIPE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def bank(traits: tuple[str, ...] = ("E", "A"), items: int = 40) -> Inventory:
    """The first items of some traits."""
    whole = load_inventory("situations-320")
    chosen = [i for trait in traits for i in [x for x in whole.items if x.trait == trait][:items]]
    named = [t for t in whole.traits if t.code in traits]
    return whole.model_copy(update={"name": "some", "items": tuple(chosen), "traits": named})


def leaning(high: Any, name: str) -> ScriptedRespondent:
    """Somebody whose probability of the high side is a function of item and persona."""

    def script(question: Question) -> list[float]:
        item = BANK.item(question.item)
        persona = question.condition.persona
        noise = np.random.default_rng([question.item, *name.encode(), *persona.encode()])
        p = float(np.clip(high(item, persona) + noise.normal(0, 0.02), 0.01, 0.99))
        return [0.6 * p, 0.4 * p, 0.6 * (1 - p), 0.4 * (1 - p)]

    return ScriptedRespondent(script, name)


BANK = bank()


def asked(recipe: SimpleNamespace, models: tuple[str, ...], folder: Path) -> Any:
    return recipe.asking.Asking(models, BANK, Design(templates=("advice-after",)), folder)


def test_the_step_that_changed_something_is_found(recipe: SimpleNamespace, tmp_path: Path) -> None:
    # SFT makes agreeable, DPO changes nothing.
    levels = {"base": 0.3, "sft": 0.8, "dpo": 0.8}
    models = {
        name: leaning(lambda item, _, a=a: a if item.trait == "A" else 0.6, name)
        for name, a in levels.items()
    }
    chain = asked(recipe, tuple(levels), tmp_path)
    runs = recipe.checkpoints.measured(chain, models.__getitem__)
    found = recipe.checkpoints.compared(chain, runs)
    assert found.models == ("1: base", "2: sft", "3: dpo")
    score = {(x.model[3:], x.trait): x for x in found.levels}
    assert score["base", "A"].score.value == pytest.approx(30, abs=3)
    assert score["base", "A"].high.value == 0
    # Eight statements that are all alike leave a third of them open.
    assert score["sft", "A"].high[:2] == pytest.approx((100, 67.6), abs=0.1)
    change = {(x.second[3:], x.trait): x for x in found.changes}
    assert set(change) == {("sft", "A"), ("sft", "E"), ("dpo", "A"), ("dpo", "E")}
    moved = change["sft", "A"]
    assert moved.difference.low > 45
    assert moved.difference.high < 55
    assert (moved.sides.only_first, moved.sides.only_second) == (0, 40)
    # Eight statements that all moved: one of 256 choices of signs, and its opposite.
    assert moved.sides.p == pytest.approx(2 / 2**8)
    # The smallest of four p-values, adjusted.
    assert moved.p_adjusted == pytest.approx(4 * moved.sides.p)
    for others in (("sft", "E"), ("dpo", "A"), ("dpo", "E")):
        assert change[others].difference.value == pytest.approx(0, abs=1.5)
        assert change[others].p_adjusted == 1
    page = recipe.checkpoints.reported(chain, found, runs).read_text(encoding="utf-8")
    assert all(name in page for name in found.models)
    assert "3 checkpoints on" in page


def test_what_was_answered_is_not_asked_again(recipe: SimpleNamespace, tmp_path: Path) -> None:
    models = {name: leaning(lambda item, persona: 0.7, name) for name in ("base", "sft")}

    def stopped(name: str) -> ScriptedRespondent:
        if name == "sft":
            raise KeyboardInterrupt
        return models[name]

    chain = asked(recipe, ("base", "sft"), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        recipe.checkpoints.measured(chain, stopped)
    recipe.checkpoints.measured(chain, models.__getitem__)
    for model in models.values():
        assert set(model.asked.values()) == {1}
        assert len(model.asked) == 4 * len(BANK.items)


def test_a_chain_has_two_links(recipe: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two models or more"):
        recipe.checkpoints.measured(asked(recipe, ("base",), tmp_path), lambda name: None)


def test_what_a_request_does_not_reach_is_named(recipe: SimpleNamespace, tmp_path: Path) -> None:
    resists = {item.cluster for item in BANK.items if item.trait == "A"}
    resists = set(sorted(map(str, resists))[:3])

    def high(item: Any, persona: str) -> float:
        if item.trait == "E":
            return {"E high": 0.9, "E low": 0.1, "A low": 0.4}.get(persona, 0.6)
        if persona == "A low":
            return 0.8 if item.cluster in resists else 0.2
        return 0.9 if persona == "A high" else 0.7

    one = asked(recipe, ("model",), tmp_path)
    run = recipe.persona_prompting.asked_as(one, 0, leaning(high, "model"))
    found = recipe.persona_prompting.prompting("model", run)
    request = {(r.trait, r.direction): r for r in found.requests}
    assert set(request) == {(t, direction) for t in "EA" for direction in ("high", "low")}
    assert request["E", "low"].reached.value == 100
    assert request["E", "low"].before.value == 0
    assert not request["E", "low"].falls_short
    short = request["A", "low"]
    assert short.reached.value == pytest.approx(100 * 25 / 40)
    assert short.reached.low < short.reached.value < short.reached.high
    assert short.falls_short
    assert set(short.statements_missed) == resists
    assert set(short.items_missed) == {i.number for i in BANK.items if i.cluster in resists}
    # Off the diagonal: asked to be low on A, E goes down by 20 points.
    assert short.moved["E"].value == pytest.approx(-20, abs=2)
    assert short.moved["E"].high < 0
    assert request["E", "high"].moved["A"].value == pytest.approx(0, abs=2)


def test_what_was_refused_is_neither_reached_nor_missed(
    recipe: SimpleNamespace, tmp_path: Path
) -> None:
    one = asked(recipe, ("model",), tmp_path)
    refused = BANK.numbers[0]

    def script(question: Question) -> list[float] | None:
        return None if question.item == refused else [0.4, 0.3, 0.2, 0.1]

    run = recipe.persona_prompting.asked_as(one, 0, ScriptedRespondent(script))
    found = recipe.persona_prompting.prompting("model", run)
    trait = BANK.items[0].trait
    request = {(r.trait, r.direction): r for r in found.requests}
    assert request[trait, "high"].reached.value == 100
    assert request[trait, "low"].reached.value == 0
    assert refused not in request[trait, "low"].items_missed
    assert len(request[trait, "low"].items_missed) == 39


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A bank of three items as a file."""
    path = tmp_path / "small.json"
    write_inventory(bank(("E",), 3).model_copy(update={"name": "small"}), path)
    return path


def test_checkpoints_from_the_command_line(
    recipe: SimpleNamespace, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chain"
    words = ["embedded", "embedded", "--inventory", str(small), "--out", str(out)]
    recipe.checkpoints.main([*words, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((out / "checkpoints.json").read_text(encoding="utf-8"))
    assert said["models"] == ["1: embedded", "2: embedded"]
    assert said["changes"][0]["difference"]["value"] == 0
    assert (out / "report.html").is_file()
    recipe.checkpoints.main(words)
    assert "What each step changed" in capsys.readouterr().out


def test_persona_prompting_from_the_command_line(
    recipe: SimpleNamespace, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "asked"
    words = ["embedded", "--inventory", str(small), "--out", str(out), "--level", ".5"]
    recipe.persona_prompting.main([*words, "--json"])
    [said] = json.loads(capsys.readouterr().out)
    assert [(r["trait"], r["direction"]) for r in said["requests"]] == [("E", "high"), ("E", "low")]
    recipe.persona_prompting.main([*words, "--wanted", "101"])
    shown = capsys.readouterr().out
    assert "below 101 per cent" in shown
    assert "Points of 100 that each trait moved by" in shown


def test_a_questionnaire_is_refused_in_one_sentence(
    recipe: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["persona_prompting.py", "embedded", "--inventory", "mini-ipip-20"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path)])
    assert recipe.asking.guarded(recipe.persona_prompting.main) == 2
    said = capsys.readouterr()
    assert said.err == "mini-ipip-20 has a response scale; give a bank of situations.\n"
    assert said.out == ""
