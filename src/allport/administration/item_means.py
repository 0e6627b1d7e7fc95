"""Means over the items of a scale, with the error that another draw of items would make."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from allport.inventories.inventory import Inventory
from allport.psychometrics.estimate import Estimate, undefined

__all__ = ["error_of_mean", "item_clusters", "mean_of_items"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_ALIKE = 1e-12
"""Items that differ by no more than this differ by rounding."""


def item_clusters(inventory: Inventory) -> Indices | None:
    """Index of the cluster of each item, shape (items,); an item without one is its own.

    None where no item has a cluster, so that every item is a unit.
    """
    if not any(item.cluster for item in inventory.items):
        return None
    found: dict[str | int, int] = {}
    return np.array(
        [found.setdefault(item.cluster or item.number, len(found)) for item in inventory.items]
    )


def error_of_mean(values: Floats, clusters: Indices | None = None) -> float:
    """Standard error of the mean of items, of which others might have been drawn.

    It is sd(values) / sqrt(items). Items of one cluster are drawn together: each cluster then
    counts as one unit, of value mean + (k / n) * (sum of its deviations), with k clusters of n
    items in all; that is the mean of the cluster where all have equally many items.

    Args:
        values: Shape (items,), none missing.
        clusters: Index of the cluster of each, shape (items,).

    Returns:
        The error, in the units of the values; NaN with fewer than two units, and where all are
        alike, which tells nothing of others.
    """
    units = _units(values, clusters)
    if units.size < 2 or np.ptp(units) <= _ALIKE * max(1.0, float(np.abs(values).max())):
        return math.nan
    return float(units.std(ddof=1)) / math.sqrt(units.size)


def mean_of_items(
    values: Floats,
    clusters: Indices | None = None,
    *,
    confidence: float = 0.95,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[Estimate, float]:
    """Mean over items, with Student's interval and its standard error.

    Args:
        values: Shape (items,), NaN where an item was not answered.
        clusters: See `error_of_mean`; degrees of freedom are units - 1.
        confidence: Of the interval, 0 to 1.
        limits: Lowest and highest score there can be, at which the interval is cut.

    Returns:
        The mean and its standard error. Both are NaN without any item; the interval and the error
        are where the error cannot be told.
    """
    from scipy.special import stdtrit

    answered = ~np.isnan(values)
    known = values[answered]
    if known.size == 0:
        return undefined("no item was answered"), math.nan
    clusters = None if clusters is None else clusters[answered]
    value, error = float(known.mean()), error_of_mean(known, clusters)
    units = known.size if clusters is None else np.unique(clusters).size
    if math.isnan(error):
        reason = (
            "no interval: every item has the same score, which tells nothing of its error"
            if units > 1
            else "no interval from a single item"
            if known.size == 1
            else "no interval from the items of a single statement"
        )
        return Estimate(value, reason=reason), error
    width = float(stdtrit(units - 1, (1 + confidence) / 2)) * error
    return Estimate(value, max(limits[0], value - width), min(limits[1], value + width)), error


def _units(values: Floats, clusters: Indices | None) -> Floats:
    if clusters is None:
        return values
    index = np.unique(clusters, return_inverse=True)[1]
    mean = values.mean()
    sums = np.bincount(index, weights=values - mean)
    return np.asarray(mean + sums * (sums.size / values.size))
