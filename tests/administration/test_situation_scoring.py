from __future__ import annotations

import math

import numpy as np
import pytest

from allport.administration import Design, measure, situation_scores
from allport.errors import UsageError
from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels


def few() -> Inventory:
    bank = load_inventory("situations-320")
    return bank.model_copy(update={"items": bank.items[:3]})


def test_items_are_scored_by_persona_over_all_conditions() -> None:
    bank = few()
    numbers = bank.numbers

    def answer(question: Question) -> list[float] | None:
        if question.condition.persona or question.item == numbers[1]:
            return [0.3, 0.3, 0.4, 0.0]
        if question.item == numbers[2]:
            return None
        return [0.1, 0.7, 0.1, 0.1] if question.condition.order == "0132" else [0.2, 0.6, 0.1, 0.1]

    persona = TraitLevels({"O": 1.0}, name="high")
    design = Design(templates=("advice-after",), personas=("", "high"))
    run = measure(ScriptedRespondent(answer), bank, design, personas=[persona], progress=None)
    scores = situation_scores(run.responses, bank)
    assert list(scores) == ["", "high"]
    plain = scores[""]
    np.testing.assert_array_equal(plain.argmax, [1, 0, math.nan])
    high = (0.1 * 0.2**3) ** 0.25 + (0.7 * 0.6**3) ** 0.25
    assert plain.mass[0] == pytest.approx(high / (high + 0.2))
    assert plain.mass[1] == pytest.approx(0.6)
    assert math.isnan(plain.mass[2])
    np.testing.assert_array_equal(scores["high"].argmax, [0, 0, 0])
    assert [list(found.orders_answered) for found in scores.values()] == [[4, 4, 0], [4, 4, 4]]


def test_what_is_chosen_most_is_counted_by_template_as_trait_does() -> None:
    bank = few()

    def answer(question: Question) -> list[float]:
        template, order = question.condition.template, question.condition.order
        if template == "advice-after":
            return [0.9, 0.0, 0.1, 0.0]
        # Over the two orders of this template option 0 is chosen; of single orders, option 2.
        return [0.55, 0.0, 0.45, 0.0] if order == "0123" else [0.0, 0.3, 0.3, 0.4]

    templates = ("advice-after", "advice-bare", "advice-before")
    orders = ("0123", "3210")
    run = measure(ScriptedRespondent(answer), bank, Design(templates, orders), progress=None)
    whole = situation_scores(run.responses, bank)[""]
    single = [
        situation_scores(run.responses.filter(run.responses["template"] == template), bank)[
            ""
        ].argmax
        for template in templates
    ]
    assert [found.tolist() for found in single] == [[1] * 3, [0] * 3, [0] * 3]
    assert whole.argmax == pytest.approx([1 / 3] * 3)


def test_a_template_without_an_answer_is_not_counted() -> None:
    bank = few()

    def answer(question: Question) -> list[float] | None:
        return [0.7, 0.1, 0.1, 0.1] if question.condition.template == "advice-after" else None

    run = measure(
        ScriptedRespondent(answer), bank, Design(("advice-after", "advice-bare")), progress=None
    )
    assert situation_scores(run.responses, bank)[""].argmax.tolist() == [1] * 3


def test_answers_of_zeros_and_ones_are_averaged_as_they_are() -> None:
    bank = few()
    run = measure(
        ScriptedRespondent(lambda question: 2 if question.condition.order == "0132" else 0),
        bank,
        Design(templates=("advice-after",)),
        progress=None,
    )
    scores = situation_scores(run.responses, bank)[""]
    assert scores.mass.tolist() == [0.75] * 3
    assert scores.logit == pytest.approx([math.log(3)] * 3)


def test_a_response_scale_has_no_sides() -> None:
    likert = load_inventory("mini-ipip-20")
    run = measure(ScriptedRespondent(lambda question: 2), likert, progress=None)
    with pytest.raises(UsageError, match="Item 1 of mini-ipip-20 has no high and low side"):
        situation_scores(run.responses, likert)
