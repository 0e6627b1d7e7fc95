from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from allport.errors import ResponsesError, UsageError
from allport.evaluation import (
    BenchmarkPeople,
    PeopleBootstrap,
    PersonAnswers,
    PersonScores,
    corrected_errors,
    published_errors,
    score_person_answers,
    within_person_r,
)
from allport.evaluation.person_scores import LOG_SCORE_MIXTURE
from allport.psychometrics.agreement import cohen_kappa

# In the order of the tables of the paper.
ACENO = tuple("ACENO")


def scored(answers: PersonAnswers, people: BenchmarkPeople, resamples: int = 0) -> PersonScores:
    return score_person_answers(
        answers, people, PeopleBootstrap(len(people.ids), resamples=resamples)
    )


def constant(people: BenchmarkPeople, value: float) -> PersonAnswers:
    return PersonAnswers.of_points("constant", np.full(people.targets.shape, value))


def certain(people: BenchmarkPeople, literal: np.ndarray) -> np.ndarray:
    """Distributions that are all on one answer, shape (people, items, options)."""
    shares = (literal[..., None] == people.values).astype(float)
    shares[np.isnan(literal)] = np.nan
    return shares


@pytest.mark.parametrize(
    ("value", "composite"), [(5, 8.33), (4, 4.05), (3, 3.80), (2, 6.86), (1, 11.68)]
)
def test_published_scores_of_constants_are_those_of_the_released_code(
    papi: BenchmarkPeople, value: float, composite: float
) -> None:
    found = scored(constant(papi, value), papi).find("published")
    assert found.value == pytest.approx(composite, abs=0.0051)


def test_published_errors_are_those_of_a_run_that_said_a_to_everything(
    papi: BenchmarkPeople,
) -> None:
    errors = published_errors(constant(papi, 5), papi).mean(axis=0)
    by_trait = dict(zip(papi.traits, errors, strict=True))
    assert [by_trait[code] for code in ACENO] == pytest.approx(
        [1.653, 1.556, 1.662, 2.113, 1.345], abs=5e-4
    )


def test_the_spread_of_the_published_score_of_constant_c(papi: BenchmarkPeople) -> None:
    found = scored(constant(papi, 3), papi, resamples=2000).find("published")
    # A normal interval of the standard error .06 known for these people.
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(0.06, abs=0.01)


def test_the_person_is_wrong_when_published_and_right_when_corrected(
    papi: BenchmarkPeople,
) -> None:
    copy = scored(PersonAnswers.of_points("copy", papi.targets), papi)
    assert copy.find("published").value == pytest.approx(3.86, abs=0.01)
    assert copy.find("error", "median").value == 0
    assert copy.find("kappa", "arg-max").value == pytest.approx(1)
    assert copy.find("profile r").value == pytest.approx(1)
    assert copy.find("trait r").value == pytest.approx(1)


def test_always_neutral_scores_about_the_same_either_way(papi: BenchmarkPeople) -> None:
    neutral = scored(constant(papi, 3), papi)
    assert neutral.find("error", "median").value == pytest.approx(3.795, abs=0.006)
    assert scored(constant(papi, 4), papi).find("error", "median").value == pytest.approx(
        4.975, abs=0.006
    )
    assert neutral.find("kappa", "median").value == pytest.approx(0, abs=1e-12)
    for metric in ("profile r", "distinctive r", "trait r"):
        assert math.isnan(neutral.find(metric).value)
        assert neutral.find(metric).reason


def test_stored_zeros_are_targets_when_published_and_left_out_when_corrected(
    papi: BenchmarkPeople,
) -> None:
    missing = np.isnan(papi.targets)
    assert missing.sum() == 35
    # An answer of 3 to a stored 0 is 3 off.
    wrong = np.abs(constant(papi, 3).letters[0] - papi.stored_targets)
    assert (wrong[missing] == 3).all()
    assert np.isnan(corrected_errors(constant(papi, 3), papi, "median")[missing]).all()


def test_unparsed_answers_are_dropped_when_published_and_cost_most_when_corrected(
    few_people: BenchmarkPeople,
) -> None:
    points = np.array(few_people.targets)
    points[:, ::2] = np.nan
    silent = PersonAnswers.of_points("silent on half", points)
    letters = few_people.reversed_by_key(silent.letters)
    as_stored = PersonAnswers.of_points("keyed letters", points, letters=letters[0])
    assert published_errors(as_stored, few_people).sum() == 0
    errors = corrected_errors(silent, few_people, "median")
    targets = few_people.targets
    assert (errors[:, ::2] == np.maximum(targets - 1, 5 - targets)[:, ::2]).all()
    assert (errors[:, 1::2] == 0).all()
    assert scored(silent, few_people).find("unusable").value == 0.5


def test_refusing_never_pays(few_people: BenchmarkPeople) -> None:
    rng = np.random.default_rng(1)
    points = rng.integers(1, 6, few_people.targets.shape).astype(float)
    given = PersonAnswers.of_points("random", points)
    points = np.where(rng.random(points.shape) < 0.3, np.nan, points)
    refusing = PersonAnswers.of_points("refusing some", points)
    for reading in ("median", "arg-max", "expected"):
        assert (
            corrected_errors(refusing, few_people, reading)
            >= corrected_errors(given, few_people, reading)
        ).all()
    more, fewer = scored(refusing, few_people), scored(given, few_people)
    assert more.find("kappa", "median").value < fewer.find("kappa", "median").value


def test_a_refusal_in_one_of_two_administrations_costs_half(few_people: BenchmarkPeople) -> None:
    answers = PersonAnswers.of_probabilities(
        "half",
        certain(few_people, few_people.targets),
        few_people.values,
        usable=np.full(few_people.targets.shape, 0.5),
    )
    targets = few_people.targets
    penalty = np.maximum(targets - 1, 5 - targets)
    assert corrected_errors(answers, few_people, "median") == pytest.approx(penalty / 2)
    log_score = scored(answers, few_people).find("log score").value
    mixed = (1 - LOG_SCORE_MIXTURE) * 0.5 + LOG_SCORE_MIXTURE / 5
    assert log_score == pytest.approx(math.log(mixed))


def test_readings_of_a_distribution() -> None:
    shares = np.array([[[0.4, 0.1, 0.1, 0.2, 0.2], [0.5, 0, 0, 0, 0.5], [0, 0.3, 0.3, 0.4, 0]]])
    answers = PersonAnswers.of_probabilities("one", shares, [1, 2, 3, 4, 5])
    assert answers.median.tolist() == [[2.5, 3, 3]]
    assert answers.arg_max.tolist() == [[1, 1, 4]]
    assert answers.expected == pytest.approx(np.array([[2.7, 3.0, 3.1]]))


def test_the_median_has_the_least_expected_error() -> None:
    rng = np.random.default_rng(2)
    values = np.arange(1.0, 6.0)
    shares = rng.dirichlet(np.full(5, 0.6), size=(40, 20))
    answers = PersonAnswers.of_probabilities("random", shares, values)

    def expected_error(given: np.ndarray) -> np.ndarray:
        return (shares * np.abs(given[..., None] - values)).sum(axis=2)

    least = expected_error(answers.median)
    for other in (answers.arg_max, answers.expected, *(np.full((40, 20), v) for v in values)):
        assert (least <= expected_error(other) + 1e-12).all()


def test_the_kappa_is_that_of_cohen_with_quadratic_weights(few_people: BenchmarkPeople) -> None:
    rng = np.random.default_rng(3)
    points = np.clip(few_people.targets + rng.integers(-2, 3, few_people.targets.shape), 1, 5)
    found = scored(PersonAnswers.of_points("near", points), few_people).find("kappa", "arg-max")
    wanted = cohen_kappa(
        points.ravel(), few_people.targets.ravel(), weights="quadratic", categories=range(1, 6)
    )
    assert found.value == pytest.approx(wanted.value, abs=1e-12)


def test_the_log_score_of_an_even_distribution_and_of_certainty(
    few_people: BenchmarkPeople,
) -> None:
    even = np.full((*few_people.targets.shape, 5), 0.2)
    answers = PersonAnswers.of_probabilities("even", even, few_people.values)
    assert scored(answers, few_people).find("log score").value == pytest.approx(-math.log(5))
    right = certain(few_people, few_people.targets)
    answers = PersonAnswers.of_probabilities("right", right, few_people.values)
    best = math.log(1 - LOG_SCORE_MIXTURE + LOG_SCORE_MIXTURE / 5)
    assert scored(answers, few_people).find("log score").value == pytest.approx(best)
    wrong = certain(few_people, np.where(few_people.targets == 1, 5.0, 1.0))
    answers = PersonAnswers.of_probabilities("wrong", wrong, few_people.values)
    assert scored(answers, few_people).find("log score").value == pytest.approx(
        math.log(LOG_SCORE_MIXTURE / 5)
    )


def test_points_have_no_log_score_and_no_calibration(few_people: BenchmarkPeople) -> None:
    found = scored(constant(few_people, 3), few_people)
    assert found.calibration is None
    for metric in ("log score", "calibration error"):
        assert "distribution" in found.find(metric).reason


def test_distinctive_r_gives_no_credit_for_what_everybody_is_like(papi: BenchmarkPeople) -> None:
    typical = np.broadcast_to(np.nanmean(papi.targets, axis=0), papi.targets.shape)
    answers = PersonAnswers.of_points("typical", typical)
    overall = within_person_r(answers, papi, distinctive=False)
    assert np.nanmean(overall) > 0.5
    assert np.isnan(within_person_r(answers, papi, distinctive=True)).all()


def test_profile_r_is_a_correlation_over_items(few_people: BenchmarkPeople) -> None:
    rng = np.random.default_rng(4)
    points = few_people.targets + rng.normal(size=few_people.targets.shape)
    points[0, :7] = np.nan
    found = within_person_r(PersonAnswers.of_points("noisy", points), few_people, distinctive=False)
    for row in (0, 5):
        both = ~np.isnan(points[row])
        wanted = np.corrcoef(points[row, both], few_people.targets[row, both])[0, 1]
        assert found[row] == pytest.approx(wanted)


def test_trait_r_is_over_people_and_keyed(few_people: BenchmarkPeople) -> None:
    rng = np.random.default_rng(5)
    keyed = few_people.reversed_by_key(few_people.targets)
    noisy = few_people.reversed_by_key(keyed + rng.normal(size=(12, 1)))
    found = scored(PersonAnswers.of_points("noisy", noisy), few_people)
    for code, columns in few_people.traits.items():
        given = few_people.reversed_by_key(noisy)[:, columns].mean(axis=1)
        wanted = np.corrcoef(given, keyed[:, columns].mean(axis=1))[0, 1]
        assert found.find("trait r", scale=code).value == pytest.approx(wanted)
    traits = [found.find("trait r", scale=code).value for code in few_people.traits]
    assert found.find("trait r").value == pytest.approx(np.mean(traits))


def test_the_reason_for_a_missing_trait_r_is_the_true_one(few_people: BenchmarkPeople) -> None:
    two = few_people.take(range(2))
    found = scored(PersonAnswers.of_points("their own", two.targets), two)
    assert found.find("trait r").reason == "fewer than 3 people can be compared"
    assert found.find("trait r", scale="N").reason == found.find("trait r").reason
    same = scored(constant(few_people, 3), few_people)
    assert same.find("trait r").reason == "every person gets the same answers"
    codes = np.array(few_people.corpus.literal_codes)
    codes[:] = codes[0]
    alike = dataclasses.replace(
        few_people, corpus=dataclasses.replace(few_people.corpus, literal_codes=codes)
    )
    found = scored(PersonAnswers.of_points("others", few_people.targets), alike)
    assert found.find("trait r").reason == "all people gave the same answers"
    one = few_people.take([0])
    found = scored(PersonAnswers.of_points("their own", one.targets), one)
    assert found.find("distinctive r").reason == "one person differs from nobody"


def test_figures_of_facets_and_groups(papi: BenchmarkPeople) -> None:
    neutral = scored(constant(papi, 3), papi)
    facets = [neutral.find("error", "median", code).value for code in papi.facets]
    assert len(facets) == 30
    # Six items a facet: a trait is the mean of its six facets but for missing answers.
    trait = neutral.find("error", "median", "N").value
    of_n = [f for code, f in zip(papi.facets, facets, strict=True) if code[0] == "N"]
    assert trait == pytest.approx(np.mean(of_n), abs=0.002)
    women = neutral.find("published", group="sex: female").value
    men = neutral.find("published", group="sex: male").value
    sexes = papi.groups["sex"]
    share = sexes.count("female") / 300
    assert share * women + (1 - share) * men == pytest.approx(neutral.find("published").value)
    assert {f.group for f in neutral.figures} > {"age: 21 to 40", "country: USA"}


def test_answers_that_are_no_distributions_are_refused(few_people: BenchmarkPeople) -> None:
    shares = np.full((*few_people.targets.shape, 5), 0.3)
    with pytest.raises(ResponsesError, match="does not sum to 1"):
        PersonAnswers.of_probabilities("wrong", shares, few_people.values)
    with pytest.raises(ResponsesError, match="do not fit 5 options"):
        PersonAnswers.of_probabilities("wrong", shares[..., :4], few_people.values)


def test_scores_are_compared_in_pairs(few_people: BenchmarkPeople) -> None:
    boot = PeopleBootstrap(12, resamples=500)
    neutral = score_person_answers(constant(few_people, 3), few_people, boot)
    agreeing = score_person_answers(constant(few_people, 4), few_people, boot)
    found = agreeing.difference(neutral, "error", "median")
    wanted = agreeing.find("error", "median").value - neutral.find("error", "median").value
    assert found.value == pytest.approx(wanted)
    assert found.low < found.value < found.high
    fewer = few_people.take(range(11))
    for other in (
        score_person_answers(constant(few_people, 3), few_people, PeopleBootstrap(12)),
        score_person_answers(
            constant(few_people, 3), few_people, PeopleBootstrap(12, resamples=500, seed=1)
        ),
        score_person_answers(constant(fewer, 3), fewer, PeopleBootstrap(11, resamples=500)),
    ):
        with pytest.raises(UsageError, match="not resampled together"):
            agreeing.difference(other, "error", "median")
    with pytest.raises(UsageError, match="no figure"):
        agreeing.find("error", "mode")


def test_figures_as_a_frame(few_people: BenchmarkPeople) -> None:
    found = scored(constant(few_people, 3), few_people)
    frame = found.to_frame()
    assert frame.height == len(found.figures)
    assert frame.select("metric", "reading", "scale", "group").is_unique().all()
    assert frame.filter(metric="profile r", scale="all", group="everyone")["value"][0] is None
