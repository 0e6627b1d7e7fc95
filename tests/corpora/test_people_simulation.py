"""Simulated people against the norms and the published figures they are made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.administration import score
from allport.corpora import (
    PopulationModel,
    SimulatedPeople,
    person_from_levels,
    population_model,
    short_form_split,
    simulate_people,
)
from allport.corpora.population import DOMAINS, FACETS
from allport.corpora.published import DOMAIN_CORRELATIONS, FACET_ALPHAS
from allport.errors import InventoryError, UsageError
from allport.inventories import load_inventory, norm_groups
from allport.models.human_answers import HumanAnswers
from allport.personas import TraitLevels
from allport.psychometrics.reliability import cronbach_alpha
from allport.psychometrics.styles import acquiescence, check_keying
from allport.reporting import answers_of

LONG, SHORT = load_inventory("ipip-neo-300"), load_inventory("ipip-neo-120")
GROUPS = [
    (inventory, group)
    for inventory in (LONG, SHORT)
    for group in norm_groups(inventory)
    if not group.startswith("both-")
]
PEOPLE = 10_000
MANY = 25_000
BOUND = 0.03
"""What docs/people.md promises of figures of 25,000 people: five standard errors of a sample. The
calibration itself is exact."""


def sums(keyed: np.ndarray, model: PopulationModel) -> tuple[np.ndarray, np.ndarray]:
    facets = np.stack([keyed[:, columns].sum(axis=1) for columns in model.columns], axis=1)
    return facets, facets.reshape(-1, 5, 6).sum(axis=2)


def facet_alphas(keyed: np.ndarray, model: PopulationModel) -> np.ndarray:
    return np.array([cronbach_alpha(keyed[:, columns]).raw.value for columns in model.columns])


@pytest.fixture(scope="module")
def everybody() -> SimulatedPeople:
    return simulate_people(20_000, LONG, seed=1)


@pytest.fixture(scope="module")
def keyed(everybody: SimulatedPeople) -> np.ndarray:
    return everybody.corpus.keyed(dtype=np.float32)


# --- bounds that docs/people.md states ------------------------------------------------------------


@pytest.mark.parametrize(
    ("inventory", "group"), GROUPS, ids=lambda each: getattr(each, "name", each)
)
def test_each_norm_group_has_its_means_sds_and_correlations(inventory, group: str) -> None:  # type: ignore[no-untyped-def]  # parametrised
    model, norm = population_model(inventory), norm_groups(inventory)[group]
    people = simulate_people(MANY, inventory, group=group, seed=2).corpus
    facets, domains = sums(people.keyed(dtype=np.float32), model)
    facet_sd = np.array([norm.sd[code] for code in FACETS])
    mean_errors = (facets.mean(axis=0) - [norm.mean[code] for code in FACETS]) / facet_sd
    assert np.abs(mean_errors).max() < BOUND
    assert np.abs(facets.std(axis=0) / facet_sd - 1).max() < BOUND
    domain_sd = np.array([norm.sd[code] for code in DOMAINS])
    assert np.abs(domains.std(axis=0) / domain_sd - 1).max() < BOUND
    assert np.abs(np.corrcoef(domains.T) - DOMAIN_CORRELATIONS).max() < BOUND
    ages = people.about["age"]
    assert set(people.about["sex"]) == {"female" if group.startswith("women") else "male"}
    assert (ages.max() < 21) == group.endswith("under-21")  # type: ignore[operator]  # integers


def test_facets_are_as_consistent_as_published(keyed: np.ndarray) -> None:
    model = population_model(LONG)
    reference = simulate_people(PEOPLE, LONG, group="women-21-up", seed=3).corpus
    published = np.array([FACET_ALPHAS[code] for code in FACETS])
    own = facet_alphas(reference.keyed(dtype=np.float32), model)
    assert np.abs(own - published).max() < 0.015
    # Among all people, whose groups differ in their SDs and means.
    assert np.abs(facet_alphas(keyed, model) - published).max() < 0.05


def test_domains_are_as_consistent_as_published_without_being_fitted_to_it(
    keyed: np.ndarray,
) -> None:
    # IPIP's table "A Comparison between the 30 Facet Scales" gives these for its own sample.
    for domain, published in {"N": 0.95, "E": 0.92, "O": 0.92}.items():
        alpha = cronbach_alpha(keyed[:, LONG.columns(domain)]).raw.value
        assert alpha == pytest.approx(published, abs=0.02)


def test_domains_correlate_as_published_among_everybody(keyed: np.ndarray) -> None:
    _, domains = sums(keyed, population_model(LONG))
    assert np.abs(np.corrcoef(domains.T) - DOMAIN_CORRELATIONS).max() < 0.06


def test_items_of_the_short_form_fit_its_own_norms_and_go_together_better() -> None:
    split, norm = short_form_split(LONG), norm_groups(SHORT)["women-21-40"]
    people = simulate_people(PEOPLE, LONG, group="women-21-up", seed=4).corpus
    keyed = people.keyed(dtype=np.float32)
    short_alphas, rest_alphas = [], []
    for facet in FACETS:
        columns = LONG.columns(facet)
        short = np.intersect1d(columns, split.fit_columns)
        rest = np.setdiff1d(columns, short)
        mean = keyed[:, short].sum(axis=1).mean()
        assert mean == pytest.approx(norm.mean[facet], abs=0.2)
        short_alphas.append(cronbach_alpha(keyed[:, short]).raw.value)
        rest_alphas.append(cronbach_alpha(keyed[:, rest[:4]]).raw.value)
    # Johnson (2014) reports .68 on average.
    assert np.mean(short_alphas) == pytest.approx(0.68, abs=0.03)
    assert np.mean(short_alphas) > np.mean(rest_alphas) + 0.05


def test_answers_are_literal_and_agreed_to_a_little(everybody: SimulatedPeople) -> None:
    literal = everybody.corpus.literal(dtype=np.float32)
    facets = [item.facet for item in LONG.items]
    assert check_keying(literal[:2000], LONG.keys, facets).verdict == "literal"
    index = acquiescence(literal, LONG.keys)
    assert index.mean() == pytest.approx(3.1, abs=0.05)
    assert index.std() == pytest.approx(0.15, abs=0.03)
    assert np.corrcoef(index, everybody.acquiescence)[0, 1] > 0.85


def test_scores_tell_the_levels_behind_them(everybody: SimulatedPeople, keyed: np.ndarray) -> None:
    _, domains = sums(keyed, population_model(LONG))
    for place in range(5):
        assert np.corrcoef(domains[:, place], everybody.domain_levels[:, place])[0, 1] > 0.95
    # Of items of one facet nothing is left to correlate once its level is known.
    columns = population_model(LONG).columns[0]
    level = everybody.facet_levels[:, 0]
    rest = keyed[:, columns] - np.outer(
        level, [np.polyfit(level, keyed[:, c], 1)[0] for c in columns]
    )
    correlations = np.corrcoef(rest.T)[np.triu_indices(10, 1)]
    assert abs(correlations.mean()) < 0.03


def test_people_come_as_to_a_web_page(everybody: SimulatedPeople) -> None:
    about = everybody.corpus.about
    assert (about["sex"] == "female").mean() == pytest.approx(0.6, abs=0.02)
    ages = about["age"].to_numpy()
    assert (np.median(ages), ages.min() >= 13) == (22, True)
    assert ages.mean() == pytest.approx(25, abs=1.0)
    assert everybody.corpus.simulated


# --- people as numbers --------------------------------------------------------------------------


def test_a_person_is_the_same_however_many_are_asked_for() -> None:
    few, many = simulate_people(10, SHORT, seed=7), simulate_people(5000, SHORT, seed=7)
    np.testing.assert_array_equal(few.corpus.literal_codes, many.corpus.literal_codes[:10])
    np.testing.assert_array_equal(few.facet_levels, many.facet_levels[:10])
    assert few.corpus.about.equals(many.corpus.about.head(10))
    other = simulate_people(10, SHORT, seed=8).corpus
    assert not np.array_equal(other.literal_codes, few.corpus.literal_codes)


@settings(max_examples=15, deadline=None)
@given(people=st.integers(1, 5000), seed=st.integers(0, 2**31), missing=st.floats(0, 0.9))
def test_any_number_of_people_can_be_had(people: int, seed: int, missing: float) -> None:
    made = simulate_people(people, SHORT, seed=seed, missing=missing)
    codes = made.corpus.literal_codes
    assert codes.shape == (people, 120)
    assert codes.dtype == np.int8
    assert 0 <= codes.min() <= codes.max() <= 5
    assert (codes == 0).mean() == pytest.approx(missing, abs=0.5 / np.sqrt(codes.size) * 6 + 1e-9)
    assert np.isfinite(made.facet_levels).all()
    assert len(set(made.corpus.ids)) == people


def test_groups_of_both_sexes_are_half_women() -> None:
    people = simulate_people(4000, SHORT, group="both-41-60", seed=1).corpus
    assert (people.about["sex"] == "female").mean() == pytest.approx(0.5, abs=0.04)
    assert people.about["age"].is_between(41, 60).all()


def test_another_model_of_the_items_is_another_population() -> None:
    one, other = population_model(SHORT), population_model(SHORT, seed=2)
    assert one is population_model(load_inventory("ipip-neo-120"))
    assert not np.allclose(one.items.thresholds, other.items.thresholds)
    # Facets keep their published figures whatever their items do.
    people = simulate_people(PEOPLE, model=other, group="men-21-40").corpus
    facets, _ = sums(people.keyed(dtype=np.float32), other)
    norm = norm_groups(SHORT)["men-21-40"]
    assert np.abs(facets.mean(axis=0) - [norm.mean[code] for code in FACETS]).max() < 0.2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"people": 0}, "not 0"),
        ({"people": 10**8}, "9,999,999"),
        ({"people": 5, "missing": 1.0}, "below 1"),
        ({"people": 5, "missing": -0.1}, "below 1"),
        ({"people": 5, "group": "women-21-40"}, "no norm group 'women-21-40'.*women-21-up"),
        ({"people": 5, "group": "both-"}, "no norm group"),
    ],
)
def test_what_cannot_be_simulated_is_said(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        simulate_people(**options)  # type: ignore[arg-type]  # parametrised


def test_inventories_without_norms_are_refused() -> None:
    with pytest.raises(InventoryError, match="mini-ipip-20 has none"):
        simulate_people(5, load_inventory("mini-ipip-20"))


# --- a person from trait levels -------------------------------------------------------------------


def t_scores(answers: HumanAnswers) -> dict[str, float]:
    table = score(answers, sex="female", age=30).scores
    return dict(table.filter(kind="trait").select("code", "t").iter_rows())


@pytest.mark.parametrize("inventory", [LONG, SHORT], ids=lambda each: each.name)
@pytest.mark.parametrize("level", [-1.0, -0.5, 0.5, 1.0])
def test_a_level_of_one_is_two_sds(inventory, level: float) -> None:  # type: ignore[no-untyped-def]  # parametrised
    for domain in "EC":
        levels = TraitLevels({domain: level}, name=f"{domain} {level}")
        person = person_from_levels(levels, inventory, sex="female", age=30)
        scores = t_scores(answers_of(person))
        # The table's own domain means are off the sums of its facets by up to a point of T.
        for code in "NEOAC":
            expected = 50 + 20 * level if code == domain else 50
            assert scores[code] == pytest.approx(expected, abs=2.5)
        assert person.simulated
        assert (person.name, person.sex, person.age) == (f"{domain} {level}", "female", 30)


@pytest.mark.parametrize("text", ["psychopathy=very-high", "extraversion=high,Mach=low"])
def test_levels_that_no_answer_follows_from_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"the Big Five alone, and not of (psycho|machia)") as said:
        person_from_levels(TraitLevels.parse(text), SHORT)
    assert str(said.value).startswith(text)


def test_without_a_seed_a_person_is_what_is_expected_and_with_one_a_draw() -> None:
    levels = TraitLevels({"N": 0.5})
    assert (
        person_from_levels(levels, SHORT).literal_answers
        == person_from_levels(levels, SHORT).literal_answers
    )
    drawn = [person_from_levels(levels, SHORT, seed=seed) for seed in range(40)]
    assert len({tuple(each.literal_answers.values()) for each in drawn}) == 40
    mean = np.mean([t_scores(answers_of(each))["N"] for each in drawn])
    expected = t_scores(answers_of(person_from_levels(levels, SHORT)))["N"]
    assert mean == pytest.approx(expected, abs=2.0)
