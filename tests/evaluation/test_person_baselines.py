from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allport.evaluation import (
    Baseline,
    BenchmarkPeople,
    PeopleBootstrap,
    PersonScores,
    baselines,
    score_person_answers,
)


@pytest.fixture(scope="module")
def papi_baselines(papi: BenchmarkPeople) -> dict[str, Baseline]:
    return {each.name: each for each in baselines(papi)}


def scored(baseline: Baseline, people: BenchmarkPeople) -> PersonScores:
    boot = PeopleBootstrap(len(people.ids), resamples=0)
    return score_person_answers(baseline.answers, people, boot)


@pytest.mark.parametrize(
    ("name", "composite", "traits"),
    [
        ("item median of the others", 2.89, (0.577, 0.537, 0.596, 0.668, 0.517)),
        ("own domain mean", 2.87, (0.595, 0.502, 0.593, 0.559, 0.618)),
        ("own facet mean", 2.73, (0.588, 0.484, 0.559, 0.552, 0.547)),
        ("item mean + domain offset", 2.36, None),
        ("item mean + facet offset", 2.26, None),
        ("ridge 120 to 180", 1.95, (0.413, 0.358, 0.388, 0.401, 0.389)),
    ],
)
def test_baselines_on_papi_are_what_they_are_known_to_be(
    papi: BenchmarkPeople,
    papi_baselines: dict[str, Baseline],
    name: str,
    composite: float,
    traits: tuple[float, ...] | None,
) -> None:
    found = scored(papi_baselines[name], papi)
    assert found.find("published").value == pytest.approx(composite, abs=0.02)
    assert found.find("error", "median").value == pytest.approx(composite, abs=0.02)
    if traits is not None:
        by_trait = [found.find("published", scale=code).value for code in "ACENO"]
        assert by_trait == pytest.approx(traits, abs=0.012)


def test_trait_scores_of_the_facet_offset_are_near_the_true_ones(
    papi: BenchmarkPeople, papi_baselines: dict[str, Baseline]
) -> None:
    found = scored(papi_baselines["item mean + facet offset"], papi)
    by_trait = [found.find("trait r", scale=code).value for code in "ACENO"]
    assert by_trait == pytest.approx([0.91, 0.94, 0.93, 0.95, 0.91], abs=0.012)


def test_every_baseline_says_what_it_knows(papi_baselines: dict[str, Baseline]) -> None:
    assert [name for name in papi_baselines if name.startswith("constant")] == [
        f"constant {letter}" for letter in "ABCDE"
    ]
    assert {each.uses for each in papi_baselines.values()} == {
        "nothing",
        "the person",
        "other people",
        "the person and other people",
        "the answers themselves",
    }


def test_nothing_is_learned_from_the_test_answers_of_the_person(papi: BenchmarkPeople) -> None:
    """Other test answers of one person change nobody's prediction for that person."""
    some = papi.take(range(60))
    codes = np.array(some.corpus.literal_codes)
    codes[7, some.test] = 6 - codes[7, some.test].clip(1, 5)
    changed = dataclasses.replace(
        some, corpus=dataclasses.replace(some.corpus, literal_codes=codes)
    )
    for before, after in zip(baselines(some), baselines(changed), strict=True):
        if before.uses != "the answers themselves":
            assert np.array_equal(before.answers.median[7], after.answers.median[7])


def test_the_item_distribution_is_a_forecast_worth_beating(
    papi: BenchmarkPeople, papi_baselines: dict[str, Baseline]
) -> None:
    found = scored(papi_baselines["item median of the others"], papi)
    assert found.find("log score").value > -np.log(5) + 0.4
    assert found.find("calibration error").value < 0.01
    assert "every person gets the same" in found.find("trait r").reason


def test_few_people_have_no_ridge(few_people: BenchmarkPeople) -> None:
    names = [each.name for each in baselines(few_people)]
    assert not any(name.startswith("ridge") for name in names)
    assert "own facet mean" in names
    alone = [each.name for each in baselines(few_people.take([3]))]
    assert "item median of the others" not in alone


def test_a_facet_nobody_asked_of_the_person_falls_back(few_people: BenchmarkPeople) -> None:
    codes = np.array(few_people.corpus.literal_codes)
    anxiety = [
        position
        for position in few_people.fit
        if few_people.inventory.items[position].facet == "N1"
    ]
    codes[0, anxiety] = 0
    people = dataclasses.replace(
        few_people, corpus=dataclasses.replace(few_people.corpus, literal_codes=codes)
    )
    for each in baselines(people):
        assert not np.isnan(each.answers.median).any(), each.name
