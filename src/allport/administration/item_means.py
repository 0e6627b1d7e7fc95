"""Means over the items of a scale, with the error that another draw of items would make."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from allport.inventories.inventory import Inventory
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.share_intervals import share_interval
from allport.psychometrics.unit_means import error_of_mean, student_interval

__all__ = ["item_clusters", "mean_of_items", "score_limits", "share_of_items"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


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


def score_limits(inventory: Inventory, columns: Indices) -> tuple[float, float]:
    """Lowest and highest mean that items can have; NaN without any.

    Args:
        inventory: Of the items.
        columns: Where they stand in it, shape (items,).
    """
    values = [inventory.option_values(inventory.items[column]) for column in columns]
    if not values:
        return math.nan, math.nan
    return (
        float(np.mean([each.min() for each in values])),
        float(np.mean([each.max() for each in values])),
    )


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
        clusters: Index of the cluster of each item, shape (items,): items of one cluster were drawn
            together and count as one unit. See `allport.psychometrics.unit_means.error_of_mean`.
        confidence: Of the interval, 0 to 1.
        limits: Lowest and highest score there can be, at which the interval is cut.

    Returns:
        The mean and its standard error. Both are NaN without any item; the interval and the error
        are where the error cannot be told.
    """
    answered = ~np.isnan(values)
    known = values[answered]
    if known.size == 0:
        return undefined("no item was answered"), math.nan
    clusters = None if clusters is None else clusters[answered]
    value, error = float(known.mean()), error_of_mean(known, clusters)
    units = known.size if clusters is None else np.unique(clusters).size
    if math.isnan(error):
        reason = (
            "no interval: every item gives the same value, which tells nothing of its error"
            if units > 1
            else "no interval from a single item"
            if known.size == 1
            else "no interval from the items of a single statement"
        )
        return Estimate(value, reason=reason), error
    ends = student_interval(value, error, units, confidence=confidence, limits=limits)
    return Estimate(value, *ends), error


def share_of_items(
    values: Floats, clusters: Indices | None = None, *, confidence: float = 0.95
) -> Estimate:
    """Mean over items of shares, with Student's interval or, where all are 0 or all 1, Wilson's.

    Args:
        values: 0 to 1, shape (items,), NaN where an item was not answered.
        clusters: See `mean_of_items`; Wilson's interval is for as many draws as there are clusters.
        confidence: Of the interval, 0 to 1.
    """
    found, _ = mean_of_items(values, clusters, confidence=confidence, limits=(0.0, 1.0))
    if found.value in (0.0, 1.0):
        return share_interval(values, clusters, confidence=confidence)
    return found
