from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from allport.errors import ModelError
from allport.evaluation import ability_scores, exercise_kinds, exercises, is_held_out
from allport.models.respondent import Message, Question, Response
from allport.models.scripted import ScriptedRespondent

KINDS = ("sums", "copying", "spelling", "sorting", "recall", "facts", "yes-no")


def test_every_kind_has_exercises_of_which_a_fifth_is_held_out() -> None:
    assert exercise_kinds() == KINDS
    for kind in KINDS:
        every = exercises(kind)
        assert every == exercises(kind)
        assert len({e.question for e in every}) == len(every) > 100
        share = sum(e.held_out for e in every) / len(every)
        assert 0.1 < share < 0.3, kind
        assert all(e.held_out == is_held_out(e.question) for e in every)


def test_the_answers_are_right() -> None:
    for e in exercises("sums"):
        found = re.fullmatch(r"What is (\d+) (plus|minus) (\d+)\?", e.question)
        assert found
        a, b = int(found[1]), int(found[3])
        assert int(e.answer) == (a + b if found[2] == "plus" else a - b) >= 0
    for e in exercises("sorting"):
        said = [int(n) for n in e.question.split(": ")[1].split()]
        assert [int(n) for n in e.answer.split()] == sorted(said)
    for e in exercises("spelling"):
        assert e.answer.replace("-", "") in e.question
    for e in exercises("recall"):
        thing = re.search(r"Where is the (\w+)\?", e.question)
        assert thing
        assert f"The {thing[1]} is {e.answer}." in e.question
    answers = [e.answer for e in exercises("yes-no")]
    assert answers.count("yes") == answers.count("no") == len(answers) / 2


def writes(how: Callable[[str], str | None]) -> ScriptedRespondent:
    """A respondent that writes the same after the same question."""

    def answer(q: Question) -> Response:
        text = how(q.messages[-1].content)
        return Response(q.item, q.condition, None, None, math.nan, unparsable=True, text=text)

    return ScriptedRespondent(answer)


def test_right_answers_count_however_they_are_dressed_up() -> None:
    known = {e.question: e.answer for kind in KINDS for e in exercises(kind)}
    for how in (known.get, lambda q: f" {known[q].capitalize()}.\n"):
        scores = ability_scores(writes(how), n_per_kind=10)
        assert set(scores) == {*KINDS, "all"}
        assert all(score.value == 1 for score in scores.values())
        assert 0.6 < scores["sums"].low < scores["all"].low < 1
    wrong = writes(lambda question: "I do not know")
    scores = ability_scores(wrong, "You are a person.", person="p1", n_per_kind=10)
    assert all(score.value == 0 for score in scores.values())
    assert all(q.messages[0] == Message("system", "You are a person.") for q in wrong.asked)
    assert {q.condition.persona for q in wrong.asked} == {"p1"}
    asked = [q.messages[-1].content for q in wrong.asked]
    assert len(asked) == len(set(asked)) == 70
    assert all(is_held_out(question) for question in asked)


def test_whoever_writes_no_text_has_no_share() -> None:
    with pytest.raises(ModelError, match="scripted writes no text, so it cannot do exercises"):
        ability_scores(ScriptedRespondent(lambda question: 0), n_per_kind=4)
    # One exercise without a text, such as a refusal that a service sends empty, is not done.
    known = {e.question: e.answer for kind in KINDS for e in exercises(kind)}
    first = next(iter(known_asked(n_per_kind=4)))
    scores = ability_scores(writes(lambda q: None if q == first else known[q]), n_per_kind=4)
    assert scores["all"].value == pytest.approx(27 / 28)


def known_asked(n_per_kind: int) -> list[str]:
    """The questions that are put."""
    listener = writes(lambda question: "?")
    ability_scores(listener, n_per_kind=n_per_kind)
    return [q.messages[-1].content for q in listener.asked]


def test_half_right_is_half() -> None:
    known = {e.question: e.answer for kind in KINDS for e in exercises(kind)}
    half = writes(lambda q: known[q] if "plus" in q or "capital" in q else "?")
    scores = ability_scores(half, n_per_kind=30)
    assert 0 < scores["sums"].value < 1
    assert scores["copying"].value == 0
    assert scores["sums"].low < scores["sums"].value < scores["sums"].high
    assert scores["all"].value == pytest.approx(
        sum(
            scores[kind].value * min(30, sum(e.held_out for e in exercises(kind))) for kind in KINDS
        )
        / sum(min(30, sum(e.held_out for e in exercises(kind))) for kind in KINDS)
    )
