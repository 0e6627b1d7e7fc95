"""Moments of ordered answers that come from normal continua cut by thresholds.

An answer is 1 plus the number of thresholds below a standard normal variable. The covariance of two
such answers is a power series in the correlation of the two variables,

    cov = sum over k >= 1 of a_k b_k rho^k
    a_k = sum over thresholds t of phi(t) He_(k-1)(t) / sqrt(k!)

with He the probabilists' Hermite polynomials (Mehler's formula; Pearson's tetrachoric series). It
is exact, needs no integrals, and makes calibration to published figures a matter of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["answer_mean", "answer_variance", "bisect", "covariance", "series_coefficients"]

Floats = NDArray[np.float64]

TERMS = 14
"""Terms of the series. With correlations below .8 what is left out is under a thousandth."""


def answer_mean(thresholds: Floats) -> Floats:
    """Mean answer of items with standardised thresholds, shape (..., thresholds) to (...)."""
    from scipy.special import ndtr

    return np.asarray(1 + ndtr(-thresholds).sum(axis=-1))


def answer_variance(thresholds: Floats) -> Floats:
    """Variance of the answers, shape (..., thresholds) to (...)."""
    from scipy.special import ndtr

    above = ndtr(-thresholds)
    # With steps of 1, E[x^2] for x = answer - 1 is the sum of (2c - 1) P(x >= c).
    odd = 2 * np.arange(1, thresholds.shape[-1] + 1) - 1
    return np.asarray((above * odd).sum(axis=-1) - above.sum(axis=-1) ** 2)


def series_coefficients(thresholds: Floats, terms: int = TERMS) -> Floats:
    """Coefficients a_1 to a_terms of each item, shape (..., thresholds) to (..., terms)."""
    density = np.exp(-0.5 * thresholds**2) / math.sqrt(2 * math.pi)
    # Polynomials over the root of their norms, k!, which itself would soon pass all bounds.
    before, polynomial = np.zeros_like(thresholds), np.ones_like(thresholds)
    coefficients = np.empty((*thresholds.shape[:-1], terms))
    for k in range(1, terms + 1):
        coefficients[..., k - 1] = (density * polynomial).sum(axis=-1) / math.sqrt(k)
        following = (thresholds * polynomial - math.sqrt(k - 1) * before) / math.sqrt(k)
        before, polynomial = polynomial, following
    return coefficients


def covariance(first: Floats, second: Floats, correlation: Floats) -> Floats:
    """Covariances of the answers of two sets of items.

    Args:
        first: Coefficients of one set, shape (..., m, terms).
        second: Coefficients of the other, shape (..., n, terms).
        correlation: Correlations of the variables behind the answers, shape (..., m, n).

    Returns:
        Shape (..., m, n). The diagonal of a set with itself is no variance: see `answer_variance`.
    """
    total = np.zeros(correlation.shape)
    for k in reversed(range(first.shape[-1])):
        total = (total + first[..., :, None, k] * second[..., None, :, k]) * correlation
    return total


def bisect(
    function: Callable[[Floats], Floats], low: Floats, high: Floats, target: Floats, steps: int = 50
) -> Floats:
    """Where rising functions reach their targets, each on its own interval, all at once.

    Args:
        function: Takes an array of the targets' shape and gives one; each element rises with its
            own argument alone.
        low: Lower ends of the intervals.
        high: Upper ends.
        target: Values to reach. Beyond the interval's values its nearer end is given.
        steps: Halvings.
    """
    low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
    for _ in range(steps):
        middle = (low + high) / 2
        below = function(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
