from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from allport.errors import ResponsesError
from allport.psychometrics.polychoric import (
    bivariate_normal_cdf,
    polychoric_correlation,
    polychoric_matrix,
    polychoric_of_counts,
    thresholds,
)


def test_neuroticism_of_bfi_is_that_of_psych(bfi):
    answers = bfi.scale("N")
    assert np.isfinite(answers).all(axis=1).sum() == 2694
    compared = polychoric_matrix(answers, "listwise", stopping="psych")
    assert round(compared[0, 1], 5) == 0.76351
    assert round(compared[0, 2], 5) == 0.60810
    assert round(compared[3, 4], 5) == 0.43985
    optimum = polychoric_matrix(answers, "listwise")
    assert optimum == pytest.approx(compared, abs=2e-5)
    assert np.array_equal(optimum, optimum.T)
    assert np.diag(optimum).tolist() == [1.0] * 5
    # R: polychoric(...)$tau
    counts = [(bfi.scale("N")[np.isfinite(answers).all(axis=1), 0] == v).sum() for v in range(1, 7)]
    expected = [-0.725005911454, -0.0707731238952, 0.3188840991855, 0.872247270598, 1.46913349254]
    assert thresholds(counts) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("rho", [-0.9999, -0.6, 0.0, 0.3, 0.95, 0.9999])
def test_bivariate_normal_equals_scipys(rho):
    h = np.array([-2.0, 0.0, 0.3, 1.0, 10.0])
    k = np.array([-1.0, 0.1, 0.3, 1.001, -10.0])
    oracle = multivariate_normal(cov=[[1, rho], [rho, 1]], abseps=1e-12)
    expected = [oracle.cdf([a, b]) for a, b in zip(h, k, strict=True)]
    assert bivariate_normal_cdf(h, k, rho) == pytest.approx(expected, abs=1e-9)


def test_four_equal_quadrants_have_a_closed_form():
    # Tetrachoric with medians as cuts: P(both above) = 1/4 + arcsin(rho) / (2 pi).
    rho = 0.6
    both = 1000 * (0.25 + math.asin(rho) / (2 * math.pi))
    table = [[both, 500 - both], [500 - both, both]]
    estimate = polychoric_of_counts(table)
    assert estimate.value == pytest.approx(rho, abs=1e-6)
    assert estimate.low < rho < estimate.high


def test_a_planted_correlation_is_recovered_from_coarse_answers():
    rng = np.random.default_rng(12)
    latent = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 6000)
    x = np.digitize(latent[:, 0], [-1.0, 0.2, 1.5]).astype(float)
    y = np.digitize(latent[:, 1], [0.8, 1.2]).astype(float)
    estimate = polychoric_correlation(x, y)
    assert estimate.low < 0.7 < estimate.high
    assert estimate.high - estimate.low < 0.08
    assert np.corrcoef(x, y)[0, 1] < 0.6  # what coarse answers show
    x[:50] = np.nan
    assert polychoric_correlation(x, y) == polychoric_correlation(x[50:], y[50:])


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(6)
    cuts = norm.ppf([0.3, 0.6, 0.85])
    covered = 0
    for _ in range(100):
        latent = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 300)
        estimate = polychoric_correlation(*np.digitize(latent, cuts).astype(float).T)
        covered += estimate.low < 0.5 < estimate.high
    assert 88 <= covered <= 100


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_only_the_order_of_answers_matters(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 5, 40).astype(float)
    y = np.clip(x + rng.integers(-2, 3, 40), 1, 5)
    estimate = polychoric_correlation(x, y)
    assert polychoric_correlation(np.exp(x), y**3).value == pytest.approx(estimate.value, abs=1e-7)
    assert polychoric_correlation(-x, y).value == pytest.approx(-estimate.value, abs=1e-6)
    assert polychoric_correlation(y, x).value == pytest.approx(estimate.value, abs=1e-6)
    assert -1 <= estimate.value <= 1


def test_perfect_order_is_one_without_an_interval():
    for table in (np.eye(3) * 10, [[10, 0], [0, 7]], [[10, 0], [5, 7]]):
        estimate = polychoric_of_counts(table)
        assert estimate.value == 1.0
        assert math.isnan(estimate.low)
        assert "no interval" in estimate.reason
    assert polychoric_of_counts([[0, 10], [7, 0]]).value == -1.0


def test_undefined_polychorics_say_why():
    assert "the same" in polychoric_of_counts([[3, 0], [5, 0]]).reason
    assert "the same" in polychoric_correlation([2, 2, 2, 2], [1, 2, 3, 4]).reason
    assert "2 pairs" in polychoric_correlation([1, 2, np.nan], [1, 2, 3]).reason
    matrix = polychoric_matrix(np.array([[1, 2, 5], [2, 2, 4], [3, 2, 4], [2, 2, 5.0]]))
    assert np.isnan(matrix[1]).all()
    assert matrix[0, 0] == 1.0
    with pytest.raises(ResponsesError, match="missing"):
        polychoric_matrix([[1, np.nan], [2, 3]], "refuse")
    with pytest.raises(ValueError, match="pair up"):
        polychoric_correlation([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="counts"):
        polychoric_of_counts([[1, -2], [3, 4]])
