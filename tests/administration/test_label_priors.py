"""One order with the labels' own share divided out, against what was planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.planted_situations import situation_bank

from allport.administration import Design, measure, plan, read_run, situation_scores
from allport.administration.label_priors import (
    Prompting,
    label_priors,
    prior_items,
    unknown_label_priors,
    without_label_priors,
)
from allport.administration.run_store import read_stored
from allport.errors import UsageError
from allport.inventories import Inventory
from allport.models.respondent import Question, Response
from allport.models.scripted import ScriptedRespondent

ITEMS = 60
BIAS = np.array([1.2, 0.4, -0.4, -1.2])
"""What the labels A to D add to the log-probability of an option."""
Answer = Callable[[Question], "list[float] | None"]


@pytest.fixture(scope="module")
def bank() -> Inventory:
    return situation_bank({"A": ITEMS})


def answering(bias: np.ndarray[Any, Any], refuses: bool = False) -> Answer:
    """Answers by content, plus what each label adds, which differs somewhat from item to item."""
    rng = np.random.default_rng(7)
    content = rng.normal(0, 1.0, (ITEMS, 4))
    jitter = rng.normal(0, 0.3, (ITEMS, 4)) * (np.abs(bias).max() > 0)

    def answer(question: Question) -> list[float] | None:
        if refuses and question.condition.order == "3021":
            return None
        labels = ["ABCD".index(label) for label in question.labels]
        item = question.item - 1
        odds = np.exp(content[item] + (bias + jitter[item])[labels])
        return [float(share) for share in 0.9 * odds / odds.sum()]

    return answer


def points(bank: Inventory, answer: Answer, **design: Any) -> float:
    """Score on 0 to 100."""
    asked = Design(templates=("advice-after",), **design)
    run = measure(ScriptedRespondent(answer), bank, asked, progress=None)
    return 100 * float(situation_scores(run.responses, bank)[""].mass.mean())


def test_a_label_bias_moves_one_order_and_not_one_order_without_the_prior(
    bank: Inventory,
) -> None:
    fair, biased = answering(np.zeros(4)), answering(BIAS)
    one = ("0132",)
    truth = points(bank, fair, orders=one)
    assert abs(points(bank, biased, orders=one) - truth) > 10
    assert abs(points(bank, biased, label_prior=0.2) - truth) < 2
    assert abs(points(bank, biased) - truth) < 0.1
    assert points(bank, fair, label_prior=0.2) == pytest.approx(truth, abs=0.5)


def test_a_share_of_the_items_is_asked_in_every_order(bank: Inventory) -> None:
    design = Design(templates=("advice-after", "advice-bare"), label_prior=0.1, seed=3)
    questions = plan(bank, design)
    assert len(questions) == 2 * (ITEMS + 3 * 6)
    chosen = prior_items(bank, design)
    assert len(chosen) == 6
    assert {q.item for q in questions if q.condition.order != "0132"} == chosen
    first = [q.item for q in questions if q.condition.order == "0132"]
    assert sorted(first) == sorted(2 * list(bank.numbers))
    again = Design(label_prior=0.1, seed=4)
    assert prior_items(bank, again) != chosen
    some = Design(items=(5, 9, 11), label_prior=0.5)
    assert len(prior_items(bank, some)) == 2
    assert prior_items(bank, some) < {5, 9, 11}
    assert prior_items(bank, Design()) == set(bank.numbers)


def test_a_share_is_rounded_up_from_what_it_is_and_not_from_its_floating_point() -> None:
    hundred = situation_bank({"A": 100})
    for share, items in ((0.07, 7), (0.55, 55), (0.071, 8), (1e-6, 1)):
        assert len(prior_items(hundred, Design(label_prior=share))) == items


def test_the_prior_is_the_one_planted(bank: Inventory) -> None:
    design = Design(templates=("advice-after",), label_prior=0.5)
    answers = list(ScriptedRespondent(answering(BIAS)).answer(plan(bank, design)))
    [(prompting, prior)] = label_priors(answers, bank, design).items()
    assert prompting == Prompting("advice-after", "")
    assert prior.items == ITEMS // 2
    planted = np.exp(BIAS) / np.exp(BIAS).sum()
    np.testing.assert_allclose(prior.probabilities, planted, atol=0.04)
    cleared = without_label_priors(answers, bank, design)
    one = next(r for r in cleared if r.condition.order == "3021")
    raw = next(r for r in answers if (r.item, r.condition) == (one.item, one.condition))
    assert raw.probabilities is not None
    by_hand = np.array(raw.probabilities)
    by_hand[[3, 0, 2, 1]] /= prior.probabilities
    np.testing.assert_allclose(one.probabilities, by_hand / by_hand.sum())
    assert one.choice == int(by_hand.argmax())
    assert without_label_priors(answers, bank, Design(templates=("advice-after",))) == answers


def test_a_run_keeps_what_was_said_and_reads_what_is_left(bank: Inventory, tmp_path: Any) -> None:
    design = Design(templates=("advice-after",), label_prior=0.2)
    run = measure(ScriptedRespondent(answering(BIAS)), bank, design, tmp_path, progress=None)
    assert run.complete
    assert read_run(tmp_path).responses.equals(run.responses)
    assert read_run(tmp_path).design == design
    frame = run.responses.filter(pl.col("order") == "0132").sort("item")
    kept = {(r.item, r.condition): r for r in read_stored(tmp_path, run.record).values()}
    asked = [q for q in plan(bank, design) if q.condition.order == "0132"]
    stored = np.array([kept[q.item, q.condition].probabilities for q in asked])
    said = np.array([answering(BIAS)(q) for q in asked])
    np.testing.assert_allclose(stored, said / 0.9)
    left = np.array(frame["probabilities"].to_list())
    assert stored[:, :2].sum(axis=1).mean() - left[:, :2].sum(axis=1).mean() > 0.1


def test_a_prior_that_no_item_tells_is_not_divided_out_and_said(bank: Inventory) -> None:
    from allport.reporting import run_content

    design = Design(templates=("advice-after",), label_prior=0.2)
    answer = answering(BIAS, refuses=True)
    run = measure(ScriptedRespondent(answer), bank, design, progress=None)
    given: list[Response] = list(ScriptedRespondent(answer).answer(plan(bank, design)))
    assert label_priors(given, bank, design) == {}
    assert without_label_priors(given, bank, design) == given
    assert unknown_label_priors(run.responses, bank, design) == (Prompting("advice-after", ""),)
    assert "No item has an answer in every order" in run_content(run).cautions[0]
    told = measure(ScriptedRespondent(answering(BIAS)), bank, design, progress=None)
    content = run_content(told)
    assert not any("in every order" in caution for caution in content.cautions)
    [fact] = (fact.value for fact in content.facts if fact.name == "Label prior")
    assert "found from 12 items asked in every order" in fact


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label_prior": 1.0}, "label_prior is 1; it must be 0 or above and under 1"),
        ({"label_prior": -0.1}, "label_prior is -0.1"),
        ({"label_prior": float("nan")}, "label_prior is nan"),
        ({"label_prior": 0.1, "reading": "generation"}, "from the distributions of answers"),
        ({"label_prior": 0.1, "fraction": 0.5}, "leave the reading and the fraction"),
    ],
)
def test_designs_in_which_no_prior_can_be_found(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Design(**fields)


def test_orders_that_do_not_balance_places(bank: Inventory, likert: Inventory) -> None:
    for inventory, orders in ((likert, ("standard",)), (bank, ("0123", "1032")), (bank, ("0123",))):
        with pytest.raises(UsageError, match=r"stands equally often at each place, such as will"):
            Design(orders=orders, label_prior=0.1).conditions(inventory)
    assert len(Design(orders=("williams",), label_prior=0.1).conditions(likert)) == 20
    cyclic = Design(orders=("0123", "1230", "2301", "3012"), label_prior=0.1)
    assert len(cyclic.conditions(bank)) == 8
