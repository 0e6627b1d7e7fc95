from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.guttman import (
    guttman_lambdas,
    lambda6_of_pool,
    lambdas_of_matrix,
    split_half,
    squared_multiple_correlations,
)
from allport.psychometrics.reliability import cronbach_alpha

BFI = {trait: range(5 * place, 5 * place + 5) for place, trait in enumerate("ACENO")}


@pytest.mark.parametrize(
    ("trait", "own", "pool", "rounded"),
    [
        ("A", ".682280", ".699514", ".70"),
        ("C", ".694287", ".719126", ".72"),
        ("E", ".726385", ".762880", ".76"),
        ("N", ".798914", ".811048", ".81"),
        ("O", ".568634", ".601096", ".60"),
    ],
)
def test_lambda6_of_bfi_as_in_psych(bfi, printed, trait, own, pool, rounded):
    assert guttman_lambdas(bfi.scale(trait)).lambda6 == printed(own)
    filled = np.where(np.isnan(bfi.keyed), np.nanmedian(bfi.keyed, axis=0), bfi.keyed)
    in_pool = lambda6_of_pool(item_covariance(filled).covariance, BFI)[trait]
    assert in_pool.value == printed(pool)
    assert in_pool.value == printed(rounded)


def test_lambdas_of_bfi_neuroticism_as_in_psych(bfi, printed):
    result = guttman_lambdas(bfi.scale("N")[bfi.complete])
    figures = (".654151", ".821941", ".817689", ".833547", ".802544", ".803183")
    assert result[:6] == tuple(printed(figure) for figure in figures)
    assert result.exhaustive
    assert not result.pseudo_inverse


def test_lambdas_of_thurstone_as_in_psych(thurstone, printed):
    result = lambdas_of_matrix(thurstone)
    assert result.lambda2 == printed(".894887")
    assert result.lambda3 == printed(".891458")
    assert result.lambda4 == printed(".923190")
    assert result.lambda6 == printed(".908176")


def test_lambdas_of_ten_by_five_as_in_psych(ten_by_five, printed):
    result = guttman_lambdas(ten_by_five)
    assert result.lambda1 == printed(".767202282746")
    assert result.lambda2 == printed(".960346886859")
    assert result.lambda3 == printed(".959002853433")
    assert result.lambda5 == printed(".930634793677")
    assert result.lambda6 == printed(".983259522966")
    # psych looks at only half of the splits of an odd number of items, and stops at .954325 here.
    assert result.lambda4 == printed(".959222222538")


def test_lambdas_of_covariances_have_alpha_as_the_third(bfi):
    result = guttman_lambdas(bfi.scale("C"), metric="covariance")
    assert result.lambda3 == pytest.approx(cronbach_alpha(bfi.scale("C")).raw.value)


def test_squared_multiple_correlations_are_those_of_regressions():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(100, 1)) + rng.normal(size=(100, 4)) * [1, 2, 3, 4]
    result = squared_multiple_correlations(np.cov(answers.T))
    centred = answers - answers.mean(axis=0)
    for item in range(4):
        others, target = np.delete(centred, item, axis=1), centred[:, item]
        predicted = others @ np.linalg.lstsq(others, target)[0]
        assert result.values[item] == pytest.approx(predicted.var() / target.var())
    assert not result.pseudo_inverse


def test_redundant_items_are_predicted_perfectly_and_flagged():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(100, 1)) + rng.normal(size=(100, 5))
    doubled = np.column_stack([answers, answers[:, 0]])
    result = squared_multiple_correlations(np.cov(doubled.T))
    assert result.pseudo_inverse
    assert result.values[[0, 5]] == pytest.approx([1.0, 1.0])
    plain = squared_multiple_correlations(np.cov(answers.T))
    np.testing.assert_allclose(result.values[1:5], plain.values[1:], rtol=1e-8)
    assert guttman_lambdas(doubled).pseudo_inverse


def test_fewer_rows_than_items_still_give_lambdas():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(6, 1)) + rng.normal(size=(6, 10))
    result = guttman_lambdas(answers)
    assert result.pseudo_inverse
    assert result.lambda6 == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (np.ones((2, 4)), "there are 2"),
        (np.arange(10.0).reshape(10, 1), "one item"),
        (np.tile([1.0, 2.0, 3.0], (5, 1)), "does not vary"),
        (np.column_stack([np.arange(6.0), 6 - np.arange(6.0)]), "sum of the items does not vary"),
    ],
)
def test_what_has_no_lambdas_says_why(answers, reason):
    result = guttman_lambdas(answers)
    assert all(math.isnan(value) for value in result[:6])
    assert reason in result.reason


def test_a_pool_with_an_item_that_does_not_vary_has_no_lambda6():
    covariance = np.diag([1.0, 0.0, 1.0])
    assert "does not vary" in lambda6_of_pool(covariance, {"all": [0, 1, 2]})["all"].reason
    opposed = np.array([[1.0, -1.0, 0.2], [-1.0, 1.0, -0.2], [0.2, -0.2, 1.0]])
    assert "scale score" in lambda6_of_pool(opposed, {"first": [0, 1]})["first"].reason


def best_split(covariance):
    """Lambda 4 by trying every split into halves."""
    items = len(covariance)
    total = covariance.sum()
    best = -math.inf
    for half in itertools.combinations(range(items), items // 2):
        rest = [item for item in range(items) if item not in half]
        inside = covariance[np.ix_(half, half)].sum() + covariance[np.ix_(rest, rest)].sum()
        best = max(best, 2 * (1 - inside / total))
    return best


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), items=st.integers(2, 9))
def test_lambda4_is_the_best_split(seed, items):
    rng = np.random.default_rng(seed)
    covariance = np.cov(rng.normal(size=(40, 1)) + rng.normal(size=(40, items)), rowvar=False)
    result = lambdas_of_matrix(covariance)
    assert result.lambda4 == pytest.approx(best_split(covariance))
    assert result.lambda2 >= result.lambda3 - 1e-12
    assert result.lambda3 >= result.lambda1


def test_search_for_lambda4_in_a_long_scale_finds_a_planted_split():
    # Twelve pairs of near twins: the best split puts each twin in another half.
    rng = np.random.default_rng(5)
    trait = rng.normal(size=(400, 12))
    twins = np.hstack([trait, trait]) + 0.1 * rng.normal(size=(400, 24))
    covariance = np.cov(twins.T)
    result = lambdas_of_matrix(covariance)
    signs = np.repeat([1.0, -1.0], 12)
    assert not result.exhaustive
    # Which twin goes to which half is left to chance, so the search can do better than this one.
    planted = 1 - signs @ covariance @ signs / covariance.sum()
    assert planted <= result.lambda4 <= planted + 0.002
    assert result.lambda4 > result.lambda3 + 0.01


def test_split_halves_as_in_psych(ten_by_five, printed):
    standard = (ten_by_five - ten_by_five.mean(axis=0)) / ten_by_five.std(axis=0, ddof=1)
    five = split_half(standard, coefficient="rulon")
    # The sums of each half's correlations with the other in R, times 4 / sum(R), over all ten.
    assert (five.lowest, five.highest) == (printed(".86887749906"), printed(".959222222538"))
    assert five.splits == 10
    assert five.exhaustive
    four = split_half(standard[:, :4], coefficient="rulon")
    assert (four.lowest, four.highest) == (printed(".921974850127"), printed(".974261219135"))
    assert four.reliability.value == printed(".945260139370")
    assert four.splits == 3


def test_spearman_brown_of_a_split_steps_up_the_correlation_of_the_halves(bfi):
    answers = bfi.scale("E")[bfi.complete]
    r = np.corrcoef(answers[:, ::2].sum(axis=1), answers[:, 1::2].sum(axis=1))[0, 1]
    result = split_half(answers, "odd-even")
    assert result.reliability.value == pytest.approx(2 * r / (1 + r))
    assert (result.splits, result.exhaustive) == (1, False)
    assert result.lowest == result.highest == result.reliability.value


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), pairs=st.integers(1, 5))
def test_mean_of_all_rulon_splits_is_alpha(seed, pairs):
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(30, 1)) + rng.normal(size=(30, 2 * pairs))
    result = split_half(answers, coefficient="rulon")
    assert result.reliability.value == pytest.approx(cronbach_alpha(answers).raw.value)
    assert result.splits == math.comb(2 * pairs, pairs) // 2


def test_random_splits_are_seeded_and_near_the_mean_of_all():
    rng = np.random.default_rng(1)
    answers = rng.normal(size=(100, 1)) + rng.normal(size=(100, 10))
    every = split_half(answers)
    drawn = split_half(answers, "random", splits=500, seed=3)
    assert drawn == split_half(answers, "random", splits=500, seed=3)
    assert drawn.splits == 500
    assert drawn.reliability.value == pytest.approx(every.reliability.value, abs=0.003)
    assert every.lowest <= drawn.lowest < drawn.highest <= every.highest


def test_a_scale_with_too_many_splits_is_sampled_and_says_so():
    rng = np.random.default_rng(1)
    answers = rng.normal(size=(50, 1)) + rng.normal(size=(50, 24))
    result = split_half(answers, splits=200)
    assert (result.splits, result.exhaustive) == (200, False)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (np.ones((1, 4)), "there is 1"),
        (np.ones((4, 4)), "does not vary over the 4 rows"),
        (np.column_stack([np.ones(6), np.arange(6.0)]), "one of the halves does not vary"),
    ],
)
def test_what_has_no_split_half_says_why(answers, reason):
    result = split_half(answers)
    assert math.isnan(result.reliability.value)
    assert reason in result.reliability.reason


def test_halves_that_contradict_each_other_have_no_spearman_brown():
    one = np.random.default_rng(0).normal(size=30)
    opposite = np.column_stack([one, -2 * one])
    result = split_half(opposite)
    assert math.isnan(result.reliability.value)
    assert "correlate -1" in result.reliability.reason
    # The halves have 1 and 4 times the variance of their sum.
    assert split_half(opposite, coefficient="rulon").reliability.value == pytest.approx(-8)
