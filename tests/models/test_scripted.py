from __future__ import annotations

import math

import pytest

from allport.errors import ModelError
from allport.models.respondent import Condition, Message, Question, Response
from allport.models.scripted import ScriptedRespondent

QUESTION = Question(
    item=3,
    condition=Condition("letters", "forward"),
    messages=(Message("user", "How are you?"),),
    cue="",
    labels=("A", "B", "C"),
    options=("well", "so so", "badly"),
)


def test_shares_are_normalised_and_their_sum_is_the_label_mass() -> None:
    (response,) = ScriptedRespondent(lambda question: [0.1, 0.2, 0.1]).answer([QUESTION])
    assert response.probabilities == pytest.approx((0.25, 0.5, 0.25))
    assert response.label_mass == pytest.approx(0.4)
    assert response.choice == 1
    assert (response.item, response.condition) == (QUESTION.item, QUESTION.condition)


def test_an_index_is_a_certain_choice_and_none_a_refusal() -> None:
    (certain,) = ScriptedRespondent(lambda question: 2).answer([QUESTION])
    assert (certain.probabilities, certain.choice) == ((0.0, 0.0, 1.0), 2)
    (silent,) = ScriptedRespondent(lambda question: None).answer([QUESTION])
    assert (silent.probabilities, silent.choice, silent.refused) == (None, None, True)
    assert math.isnan(silent.label_mass)


def test_a_whole_response_is_passed_on() -> None:
    response = Response(3, QUESTION.condition, None, None, math.nan, unparsable=True, text="?")
    (given,) = ScriptedRespondent(lambda question: response).answer([QUESTION])
    assert given is response


def test_what_was_asked_is_counted() -> None:
    respondent = ScriptedRespondent(lambda question: 0, "ann", {"mood": 1})
    list(respondent.answer([QUESTION]))
    list(respondent.answer([QUESTION]))
    assert respondent.asked == {QUESTION: 2}
    assert respondent.name == "ann"
    assert respondent.describe() == {
        "kind": "scripted",
        "name": "ann",
        "parameters": {"mood": 1},
    }


@pytest.mark.parametrize("answer", [3, -1, [0.5, 0.5], [0.5, 0.6, 0.5], [0, 0, 0], [1, -0.5, 0.5]])
def test_an_impossible_script_is_refused(answer: int | list[float]) -> None:
    with pytest.raises(ModelError, match="on item 3"):
        list(ScriptedRespondent(lambda question: answer).answer([QUESTION]))
