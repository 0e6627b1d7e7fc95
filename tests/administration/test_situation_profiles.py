"""Profiles of situational inventories: three scores, free of what labels add."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.planted_situations import situation_bank

from allport.administration import Design, measure, profile
from allport.inventories import Inventory
from allport.models.respondent import Question
from allport.models.scripted import Script, ScriptedRespondent
from allport.reporting import run_content
from allport.reporting.content import to_json

ITEMS = 12
BIAS = np.array([1.5, 0.3, -0.6, -1.2])


@pytest.fixture(scope="module")
def bank() -> Inventory:
    """Two traits of six situations each."""
    return situation_bank({"A": ITEMS // 2, "E": ITEMS // 2})


CONTENT = np.random.default_rng(3).normal(0, 1.3, (ITEMS, 4))


def biased(bias: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Script:
    def script(question: Question) -> list[float]:
        labels = ["ABCD".index(label) for label in question.labels]
        odds = np.exp(CONTENT[question.item - 1] + bias[labels])
        return [float(share) for share in odds / odds.sum()]

    return script


DESIGN = Design(templates=("advice-after", "advice-bare"))


def test_the_score_is_the_mass_of_the_high_side_whatever_labels_add(bank: Inventory) -> None:
    run = measure(ScriptedRespondent(biased(BIAS)), bank, DESIGN, progress=None)
    found = profile(run.responses, bank, resamples=200)
    shares = np.exp(CONTENT) / np.exp(CONTENT).sum(axis=1, keepdims=True)
    high = shares[:, :2].sum(axis=1)
    for row in found.traits:
        own = bank.columns(row.code)
        assert row.sides is not None
        assert row.score == row.sides.mass
        assert row.score.value == pytest.approx(high[own].mean())
        logits = np.log(high[own] / (1 - high[own]))
        assert row.sides.logit.value == pytest.approx(logits.mean())
        error = logits.std(ddof=1) / math.sqrt(len(own))
        assert row.sides.logit.high - row.sides.logit.low == pytest.approx(
            2 * 2.5705818 * error, rel=1e-6
        )
        assert row.sides.argmax.value * len(own) == pytest.approx(
            round(row.sides.argmax.value * len(own))
        )
        # The arithmetic mean of the frame still holds some of what the labels add.
        frame = run.responses.filter(run.responses["trait"] == row.code)
        plain = frame["expected_keyed"].mean()
        assert isinstance(plain, float)
        assert abs(plain - row.score.value) > 1e-3
    frame = found.to_frame()
    assert frame["score_logit"].to_list() == [
        row.sides.logit.value for row in found.rows if row.sides
    ]
    assert frame["score_argmax"].null_count() == 0
    # The position effect stays to be seen: earlier places are favoured.
    assert found.position.coefficient.high < 0


def test_argmax_counts_the_option_chosen_most(bank: Inventory) -> None:
    run = measure(
        ScriptedRespondent(lambda question: [0.3, 0.25, 0.4, 0.05]), bank, DESIGN, progress=None
    )
    for row in profile(run.responses, bank, resamples=0).traits:
        assert row.sides is not None
        assert row.sides.argmax.value == 0
        # Wilson's upper limit for none of so many statements.
        drawn = len({i.cluster for i in bank.items if i.trait == row.code})
        assert row.sides.argmax.low == 0
        assert row.sides.argmax.high == pytest.approx(1.96**2 / (drawn + 1.96**2), abs=1e-4)
        assert row.sides.mass.value == pytest.approx(0.55, abs=1e-3)
        assert row.sides.logit.value > 0


def test_answers_of_zeros_and_ones_are_averaged_as_they_are(bank: Inventory) -> None:
    def script(question: Question) -> int:
        return 0 if question.condition.order in ("0132", "1203", "2310") else 2

    run = measure(ScriptedRespondent(script), bank, DESIGN, progress=None)
    found = profile(run.responses, bank, resamples=0)
    for row in found.traits:
        assert row.score.value == pytest.approx(0.75)
        assert row.sides is not None
        assert row.sides.logit.value == pytest.approx(math.log(3))
    chosen = profile(run.responses, bank, scores="chosen", resamples=0)
    assert [row.sides for row in chosen.traits] == [None, None]
    assert [r.score for r in chosen.traits] == [r.score for r in found.traits]


def test_personas_are_averaged_and_missing_items_left_out(bank: Inventory) -> None:
    from allport.personas import TraitLevels

    def script(question: Question) -> list[float] | None:
        if question.item == 1:
            return None
        return [0.1, 0.2, 0.3, 0.4] if question.condition.persona else [0.4, 0.3, 0.2, 0.1]

    design = Design(templates=("advice-after",), personas=("", "high"))
    high = TraitLevels({"E": 1.0}, name="high")
    run = measure(ScriptedRespondent(script), bank, design, personas=[high], progress=None)
    both, one = (profile(run.responses, bank, persona=p, resamples=0) for p in (None, "high"))
    assert [row.score.value for row in both.traits] == pytest.approx([0.5, 0.5])
    assert [row.score.value for row in one.traits] == pytest.approx([0.3, 0.3])


def test_figures_for_machines_have_all_three_and_the_position(
    bank: Inventory, likert: Inventory
) -> None:
    run = measure(ScriptedRespondent(biased(BIAS)), bank, DESIGN, progress=None)
    [subject] = to_json(run_content(run).subjects)
    for row in subject["traits"]:
        assert row["sides"].keys() == {"mass", "argmax", "logit"}
        assert row["sides"]["mass"] == row["score"]
    coefficient = subject["position"]["coefficient"]
    assert coefficient["low"] < coefficient["value"] < coefficient["high"] < 0
    statements = measure(ScriptedRespondent(lambda question: 2), likert, progress=None)
    [other] = to_json(run_content(statements).subjects)
    assert [row["sides"] for row in other["traits"]] == [None, None]
