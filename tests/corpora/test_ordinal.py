"""Moments of ordered answers against integrals, and solving many equations at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from allport.corpora.ordinal import (
    answer_mean,
    answer_variance,
    bisect,
    covariance,
    series_coefficients,
)

FIRST = np.array([-1.2, -0.3, 0.4, 1.5])
SECOND = np.array([-0.2, 0.6, 1.1, 2.0])


def probabilities(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diff(np.concatenate([[0.0], norm.cdf(thresholds), [1.0]]))


def test_mean_and_variance_are_those_of_the_five_answers() -> None:
    values = np.arange(1, 6)
    for thresholds in (FIRST, SECOND):
        share = probabilities(thresholds)
        mean = (share * values).sum()
        assert answer_mean(thresholds) == pytest.approx(mean, abs=1e-12)
        variance = (share * (values - mean) ** 2).sum()
        assert answer_variance(thresholds) == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("correlation", [-0.7, -0.2, 0.0, 0.35, 0.75])
def test_the_series_is_the_bivariate_normal_integral(correlation: float) -> None:
    normal = multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    # E[(answer - 1)(answer' - 1)] adds up the chances of being above both of two thresholds.
    above = sum(1 - norm.cdf(a) - norm.cdf(b) + normal.cdf([a, b]) for a in FIRST for b in SECOND)
    expected = above - (answer_mean(FIRST) - 1) * (answer_mean(SECOND) - 1)
    found = covariance(
        series_coefficients(FIRST[None]),
        series_coefficients(SECOND[None]),
        np.array([[correlation]]),
    )
    assert found.item() == pytest.approx(expected, abs=1e-3)


def test_at_correlation_one_the_series_approaches_the_variance_from_below() -> None:
    own = series_coefficients(FIRST[None], terms=400)
    total = covariance(own, own, np.array([[1.0]])).item()
    assert 0.97 * answer_variance(FIRST) < total < answer_variance(FIRST)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=4))
def test_bisection_inverts_each_function_on_its_own(roots: list[float]) -> None:
    at = np.array(roots)
    found = bisect(lambda x: x**3 + x, at * 0 - 6, at * 0 + 6, at**3 + at)
    np.testing.assert_allclose(found, at, atol=1e-9)


def test_a_target_out_of_reach_gives_the_nearer_end() -> None:
    found = bisect(lambda x: x, np.zeros(2), np.ones(2), np.array([-3.0, 7.0]))
    np.testing.assert_allclose(found, [0, 1], atol=1e-9)
