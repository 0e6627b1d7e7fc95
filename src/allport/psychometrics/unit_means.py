"""Means over few units: their error, and Student's interval.

A bootstrap draws from the spread of the units it has, which is too small where they are few: of
nominal 95 % intervals for the mean of 5 normal values some 83 % hold it, of 10 some 90 %. Student's
interval holds the mean of normal values as often as it says, however few there are.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["error_of_mean", "student_interval", "student_width"]

Floats: TypeAlias = NDArray[np.float64]

FEWEST_DRAWN = 15
"""Means over fewer units have Student's interval; from here on they are drawn anew."""
_ALIKE = 1e-12
"""Units that differ by no more than this differ by rounding."""


def error_of_mean(values: Floats, clusters: NDArray[np.intp] | None = None) -> float:
    """Standard error of the mean of units, of which others might have been drawn.

    It is sd(values) / sqrt(units). Units of one cluster are drawn together: each cluster then
    counts as one unit, of value mean + (k / n) * (sum of its deviations), with k clusters of n
    units in all; that is the mean of the cluster where all have equally many units.

    Args:
        values: Shape (units,), none missing.
        clusters: Index of the cluster of each, shape (units,).

    Returns:
        The error, in the units of the values; NaN with fewer than two units or clusters, and where
        all are alike, which tells nothing of others.
    """
    drawn = values if clusters is None else _cluster_values(values, clusters)
    if drawn.size < 2 or np.ptp(drawn) <= _ALIKE * max(1.0, float(np.abs(values).max())):
        return math.nan
    return float(drawn.std(ddof=1)) / math.sqrt(drawn.size)


def student_width(units: ArrayLike, confidence: float = 0.95) -> Floats:
    """How many standard errors Student's interval reaches to either side.

    Args:
        units: How many the error is estimated from, of any shape.
        confidence: Of the interval, 0 to 1.

    Returns:
        The quantile of Student's t with units - 1 degrees of freedom, of the same shape; NaN below
        two units.
    """
    from scipy.special import stdtrit

    freedom = np.asarray(units, dtype=np.float64) - 1
    return np.asarray(stdtrit(np.where(freedom > 0, freedom, np.nan), (1 + confidence) / 2))


def student_interval(
    mean: float,
    error: float,
    units: int,
    *,
    confidence: float = 0.95,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float]:
    """Student's interval of a mean, cut at the lowest and the highest mean there can be.

    Args:
        mean: Of the units.
        error: Its standard error.
        units: How many there are, or clusters of them.
        confidence: Of the interval, 0 to 1.
        limits: Where the interval is cut.
    """
    width = float(student_width(units, confidence)) * error
    return max(limits[0], mean - width), min(limits[1], mean + width)


def _cluster_values(values: Floats, clusters: NDArray[np.intp]) -> Floats:
    index = np.unique(clusters, return_inverse=True)[1]
    mean = values.mean()
    sums = np.bincount(index, weights=values - mean)
    return np.asarray(mean + sums * (sums.size / values.size))
