from __future__ import annotations

import math

import numpy as np
import pytest

from allport.errors import ModelError
from allport.evaluation import fluency, neutral_texts, word_log_probabilities
from allport.models import Question, Response, ScriptedRespondent


def test_the_texts_are_in_two_parts_and_differ() -> None:
    texts = neutral_texts()
    assert len(texts) >= 20
    assert len({text.beginning for text in texts}) == len(texts)
    assert min(text.words for text in texts) >= 5


def test_log_probabilities_are_those_of_whole_labels() -> None:
    def script(question: Question) -> Response:
        # The continuation has .03 of all probability, its shuffled words .01.
        return Response(question.item, question.condition, (0.75, 0.25), 0, 0.04)

    found = word_log_probabilities(ScriptedRespondent(script))
    wanted = [math.log(0.03) / text.words for text in neutral_texts()]
    assert found == pytest.approx(wanted)


def test_the_prompt_and_the_person_are_passed_on() -> None:
    model = ScriptedRespondent(lambda question: (0.5, 0.1))
    word_log_probabilities(model, "You are a person who is shy.", person="p1")
    question = next(iter(model.asked))
    assert question.messages[0].content == "You are a person who is shy."
    assert question.condition.persona == "p1"
    assert question.cue in {text.beginning for text in neutral_texts()}


def test_a_ratio_of_one_is_nothing_lost() -> None:
    plain = np.linspace(-4, -2, 24)
    found = fluency(np.stack([plain, plain]), plain)
    assert found["perplexity ratio"].value == pytest.approx(1)
    assert found["perplexity"].value == pytest.approx(math.exp(3))
    worse = fluency(np.stack([plain - 0.2, plain]), plain)["perplexity ratio"]
    assert worse.value == pytest.approx(math.exp(0.1))


def test_a_respondent_without_full_probabilities_is_refused() -> None:
    with pytest.raises(ModelError, match="no probability of a whole sentence"):
        word_log_probabilities(ScriptedRespondent(lambda question: None))
