from __future__ import annotations

import json

import numpy as np
import pytest
from tests.planted_situations import situation_bank

from allport.administration import (
    Design,
    item_shares,
    measure,
    measure_adaptively,
    profile,
    read_calibration,
)
from allport.errors import ResponsesError, UsageError
from allport.evaluation import calibrate_items, calibration_personas
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels

RNG = np.random.default_rng(5)
STATEMENTS = 6
PER_STATEMENT = 4
COUNT = STATEMENTS * PER_STATEMENT
A = np.exp(np.repeat(RNG.normal(0.3, 0.3, STATEMENTS), PER_STATEMENT) + RNG.normal(0, 0.15, COUNT))
B = np.repeat(RNG.normal(0, 0.7, STATEMENTS), PER_STATEMENT) + RNG.normal(0, 0.4, COUNT)
DESIGN = Design(templates=("advice-after",), orders=("0123", "2301"))


BANK = situation_bank({"A": STATEMENTS}, PER_STATEMENT)
PERSONAS = [
    TraitLevels({"A": level}, name=f"p{n}") for n, level in enumerate(np.linspace(-1, 1, 80))
]
# Standard normal levels, so that difficulties come back in their own unit.
LEVELS = dict(
    zip((p.name for p in PERSONAS), np.random.default_rng(8).normal(size=80), strict=True)
)


def planted(question: Question) -> list[float]:
    """The planted model, with noise, and a pull towards what is shown first that orders undo."""
    place = question.item - 1
    level = LEVELS[question.condition.persona]
    p = 1 / (1 + np.exp(-A[place] * (level - B[place])))
    rng = np.random.default_rng((question.item, int(1e6 * abs(level))))
    high = float(np.clip(rng.beta(9 * p, 9 * (1 - p)), 0.02, 0.98))
    pull = 0.02 if question.condition.order == "0123" else -0.02
    high += pull
    return [0.6 * high, 0.4 * high, 0.5 * (1 - high), 0.5 * (1 - high)]


def test_planted_parameters_are_recovered_from_shares() -> None:
    found = calibrate_items(ScriptedRespondent(planted), BANK, PERSONAS, DESIGN)
    known = found.traits["A"].parameters
    assert found.traits["A"].items == BANK.numbers
    assert known.converged
    assert np.corrcoef(known.difficulties, B)[0, 1] > 0.95
    assert np.corrcoef(np.log(known.discriminations), np.log(A))[0, 1] > 0.8
    # Levels of eighty people are not quite standard: their mean and spread carry over.
    assert np.abs(known.difficulties - B).mean() < 0.3
    assert 0.05 < known.dispersion < 0.2
    assert (found.respondent, found.personas, found.inventory) == ("scripted", 80, "cases")
    assert found.asking["orders"] == ["0123", "2301"]


def test_what_is_calibrated_serves_to_test_others() -> None:
    respondent = ScriptedRespondent(planted)
    calibration = calibrate_items(respondent, BANK, PERSONAS[:60], DESIGN)
    others = PERSONAS[60:]
    design = Design(
        templates=DESIGN.templates, orders=DESIGN.orders, personas=tuple(p.name for p in others)
    )
    found = measure_adaptively(
        respondent, BANK, calibration, design, personas=others, most_items=10, progress=None
    )
    levels = [LEVELS[p.name] for p in others]
    assert np.corrcoef([s.level for s in found.scores], levels)[0, 1] > 0.9
    assert found.share_used < 0.45


def test_a_calibration_goes_on_where_it_was_and_is_kept(tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own
    first = ScriptedRespondent(planted)
    found = calibrate_items(first, BANK, PERSONAS[:12], DESIGN, folder=tmp_path / "run")
    again = ScriptedRespondent(planted)
    same = calibrate_items(again, BANK, PERSONAS[:12], DESIGN, folder=tmp_path / "run")
    assert first.asked.total() == 12 * COUNT * 2
    assert not again.asked
    assert same.content_hash == found.content_hash
    path = found.write(tmp_path / "calibration.json")
    assert read_calibration(path, BANK).content_hash == found.content_hash


def test_likert_items_are_calibrated_toward_the_trait() -> None:
    inventory = load_inventory("mini-ipip-20")

    def answer(question: Question) -> list[float]:
        item = inventory.item(question.item)
        place = int(question.condition.persona.rsplit("-", 1)[1])
        level = levels[place].levels[item.trait]
        middle = 2 + item.key * 1.5 * level
        weights = np.exp(-((np.arange(5) - middle) ** 2) - 0.1 * item.number % 3)
        return (weights / weights.sum()).tolist()

    levels = calibration_personas(inventory, 30)
    respondent = ScriptedRespondent(answer)
    found = calibrate_items(respondent, inventory, levels, Design(templates=("letters",)))
    assert set(found.traits) == set("NEOAC")
    for trait in found.traits.values():
        assert len(trait.items) == 4
        assert (trait.parameters.discriminations > 0.5).all()


def test_shares_are_of_the_high_side_over_usable_answers() -> None:
    def answer(question: Question) -> list[float] | None:
        if question.item == 1 and question.condition.order == "0123":
            return None
        if question.item == 2:
            return None
        return [0.1, 0.2, 0.3, 0.4]

    frame = measure(ScriptedRespondent(answer), BANK, DESIGN, progress=None).responses
    shares = item_shares(frame, BANK)
    assert shares["", 1] == pytest.approx(0.3)
    assert np.isnan(shares["", 2])
    likert = load_inventory("mini-ipip-20")
    run = measure(ScriptedRespondent(lambda q: 4), likert, Design(), progress=None)
    found = item_shares(run.responses, likert)
    assert [found["", n] for n in likert.numbers] == [(1 + k) / 2 for k in likert.keys]


@pytest.mark.parametrize("bias", [1.0, 4.0])
def test_what_a_label_adds_is_not_in_the_shares_of_situations(bias: float) -> None:
    def answer(question: Question) -> list[float]:
        # The label shown first gains, whatever it stands for.
        content = np.log([0.4, 0.2, 0.3, 0.1]) + 0.1 * question.item * np.array([1, 1, -1, -1])
        content[int(question.condition.order[0])] += bias * (question.condition.persona == "biased")
        return (np.exp(content) / np.exp(content).sum()).tolist()  # type: ignore[no-any-return]  # an array's own

    personas = [TraitLevels({"A": 0.0}, name=name) for name in ("even", "biased")]
    design = Design(templates=("advice-after", "advice-bare"), personas=("even", "biased"))
    run = measure(ScriptedRespondent(answer), BANK, design, personas=personas, progress=None)
    shares = item_shares(run.responses, BANK)
    for number in BANK.numbers:
        assert shares["biased", number] == pytest.approx(shares["even", number], abs=1e-9)
    (row,) = profile(run.responses, BANK, persona="biased").rows
    assert np.mean([shares["biased", n] for n in BANK.numbers]) == pytest.approx(row.score.value)


def test_shares_of_answers_without_probabilities_are_means_of_choices() -> None:
    run = measure(ScriptedRespondent(lambda question: 1), BANK, DESIGN, progress=None)
    told = item_shares(run.responses.with_columns(probabilities=None), BANK)
    assert set(told.values()) == {1.0}


def test_personas_cover_the_levels_of_each_trait() -> None:
    inventory = load_inventory("mini-ipip-20")
    found = calibration_personas(inventory, 45, seed=3)
    for code in "NEOAC":
        levels = sorted(p.levels[code] for p in found)
        assert levels == sorted(5 * [n / 4 - 1 for n in range(9)])
    assert found != calibration_personas(inventory, 45, seed=4)
    table = np.array([[p.levels[code] for code in "NEOAC"] for p in found])
    assert np.abs(np.corrcoef(table.T) - np.eye(5)).max() < 0.5


def test_a_trait_of_one_item_is_left_out_and_kept_so(tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own
    whole = situation_bank({"A": STATEMENTS, "E": 1}, PER_STATEMENT)
    bank = whole.model_copy(update={"items": whole.items[: COUNT + 1]})
    respondent = ScriptedRespondent(
        lambda q: (
            planted(q) if q.item <= COUNT else [LEVELS[q.condition.persona] / 9 + 0.5, 0.1, 0, 0.1]
        )
    )
    found = calibrate_items(respondent, bank, PERSONAS[:12], DESIGN)
    assert set(found.traits) == {"A"}
    assert "Extraversion has one item" in found.left_out["E"]
    path = found.write(tmp_path / "calibration.json")
    again = read_calibration(path, bank)
    assert (again.left_out, again.content_hash) == (found.left_out, found.content_hash)
    measured = measure_adaptively(
        respondent,
        bank,
        again,
        Design(DESIGN.templates, DESIGN.orders, personas=(PERSONAS[0].name,)),
        personas=PERSONAS[:1],
        progress=None,
    )
    assert [score.trait for score in measured.scores] == ["A"]
    assert measured.to_json()["left_out"] == found.left_out
    # Files that were written before have parameters of such items.
    content = json.loads(path.read_text("utf-8"))
    known = content["traits"]["A"]
    one = {
        k: v[:1] if k in ("items", "discriminations", "difficulties") else v
        for k, v in known.items()
    }
    path.write_text(json.dumps(content | {"traits": {**content["traits"], "E": one}}))
    with pytest.raises(ResponsesError, match="trait E has one item, which tells no parameters"):
        read_calibration(path, bank)


def test_a_bank_of_lone_items_makes_no_calibration(tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own
    bank = situation_bank({"A": 1})
    found = calibrate_items(ScriptedRespondent(planted), bank, PERSONAS[:12], DESIGN)
    assert found.traits == {}
    with pytest.raises(ResponsesError, match="No trait of cases could be calibrated"):
        found.write(tmp_path / "calibration.json")
    with pytest.raises(UsageError, match="No trait of cases could be calibrated"):
        measure_adaptively(ScriptedRespondent(planted), bank, found, DESIGN, progress=None)


def test_what_cannot_be_calibrated_is_said() -> None:
    with pytest.raises(ResponsesError, match="measures X, which is none of the Big Five"):
        calibrate_items(ScriptedRespondent(planted), situation_bank({"X": 1}))
    with pytest.raises(UsageError, match="asks every item under every condition"):
        calibrate_items(
            ScriptedRespondent(planted), BANK, PERSONAS, Design(DESIGN.templates, items=(1,))
        )
    with pytest.raises(
        ResponsesError, match=r"Trait A of cases: Responses of shape \(5, 24\) are too few"
    ):
        calibrate_items(ScriptedRespondent(planted), BANK, PERSONAS[:5], DESIGN)
    with pytest.raises(ResponsesError, match="Trait A of cases: All respondents answer alike"):
        calibrate_items(ScriptedRespondent(lambda q: [0.25] * 4), BANK, PERSONAS[:12], DESIGN)
    with pytest.raises(ResponsesError, match="no usable answer to item 3 of cases"):
        calibrate_items(
            ScriptedRespondent(lambda q: None if q.item == 3 else planted(q)),
            BANK,
            PERSONAS[:12],
            DESIGN,
        )
