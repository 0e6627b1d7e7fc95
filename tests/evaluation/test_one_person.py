from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allport.errors import UsageError
from allport.evaluation import OnePerson, among_others, baselines, person_distances
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import Person, example_person


@pytest.fixture(scope="module")
def person() -> Person:
    return example_person()


@pytest.fixture(scope="module")
def found(person: Person) -> OnePerson:
    def told(question: Question) -> int:
        return int(person.literal_answers[question.item]) - 1

    def middle(question: Question) -> list[float]:
        return [0.2] * 5

    def off_by_one(question: Question) -> int:
        answer = told(question)
        return answer + 1 if answer < 4 else answer - 1

    return person_distances(
        among_others(person, others=120),
        {"middle": ScriptedRespondent(middle), "themselves": ScriptedRespondent(told)},
        {"off by one": ScriptedRespondent(off_by_one)},
    )


def test_distances_are_those_of_the_answers_given(found: OnePerson, person: Person) -> None:
    rows = {row.name: row for row in found.rows}
    assert rows["themselves"].distance.value == 0
    assert rows["off by one"].distance.value == pytest.approx(1)
    assert rows["off by one"].kind == "control"
    # Equal shares expect the middle, which is what the rule of that name answers.
    assert rows["middle"].distance.value == pytest.approx(rows["constant C"].distance.value)
    gained = rows["themselves"].nearer
    assert gained.value == pytest.approx(rows["middle"].distance.value)
    assert gained.low < gained.value < gained.high
    assert np.isnan(rows["middle"].nearer.value)
    assert rows["middle"].nearer.reason


def test_rules_know_the_fitting_items_alone(found: OnePerson, person: Person) -> None:
    assert (found.items, found.fitted_on, found.simulated) == (180, 120, True)
    fit = set(among_others(person, others=30).split.fit)
    # Other answers to the held-out items change no rule's prediction, only its distance.
    turned = {n: v if n in fit else 6 - v for n, v in person.literal_answers.items()}
    again = among_others(dataclasses.replace(person, literal_answers=turned), others=120)
    own, other = (
        {rule.name: rule.answers for rule in baselines(people)}
        for people in (among_others(person, others=120), again)
    )
    for name in ("own facet mean", "item mean + facet offset"):
        np.testing.assert_allclose(own[name].expected[0], other[name].expected[0])
    name = "item median of the others"
    np.testing.assert_allclose(own[name].median[0], other[name].median[0])


def test_a_refusal_is_as_far_off_as_an_answer_can_be(person: Person) -> None:
    people = among_others(person, others=30)
    kept = set(people.split.held_out[:10])

    def seldom(question: Question) -> int | None:
        told = int(person.literal_answers[question.item]) - 1
        return told if question.item in kept else None

    def worst(question: Question) -> int:
        told = int(person.literal_answers[question.item])
        return told - 1 if question.item in kept else (0 if told > 3 else 4)

    found = person_distances(
        people, {"seldom": ScriptedRespondent(seldom), "worst": ScriptedRespondent(worst)}
    )
    rows = {row.name: row for row in found.rows}
    assert rows["seldom"].distance == rows["worst"].distance
    assert rows["seldom"].distance.value > 2
    assert rows["seldom"].unusable == pytest.approx(170 / 180)
    assert rows["worst"].unusable == rows["constant C"].unusable == 0


def test_what_is_said_of_the_person_is_true_of_the_person(person: Person) -> None:
    whole = among_others(person, others=30)
    left_out = {*whole.split.held_out[:60], *whole.split.fit[:20]}
    answers = {n: v for n, v in person.literal_answers.items() if n not in left_out}
    # Simulated people are called s0000001 and so on.
    somebody = dataclasses.replace(
        person, name="s0000001", literal_answers=answers, simulated=False
    )
    people = among_others(somebody, others=30)
    assert len(set(people.ids)) == 31
    found = person_distances(people, {"middle": ScriptedRespondent(lambda question: 2)})
    assert (found.name, found.simulated) == ("s0000001", False)
    assert (found.items, found.fitted_on) == (120, 100)
    middle, rule = (row.distance for row in found.rows if row.name in ("middle", "constant C"))
    assert middle == rule


def test_a_person_without_the_items_is_refused(person: Person) -> None:
    few = dict(list(person.literal_answers.items())[:5])
    with pytest.raises(UsageError, match="answered too few of the items to fit on"):
        among_others(dataclasses.replace(person, literal_answers=few), others=30)
