"""Intervals of shares that stay honest where nothing varies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import mean_interval

__all__ = ["share_interval", "wilson_interval"]


def wilson_interval(count: int, of: int, confidence: float = 0.95) -> Estimate:
    """A share of independent draws, 0 to 1, with Wilson's interval (1927, JASA 22)."""
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(confidence, method="wilson")
    return Estimate(count / of, float(interval.low), float(interval.high))


def share_interval(
    shares: ArrayLike,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Mean of shares with its interval over units; NaN values are left out.

    It is the interval of `mean_interval`, from 0 to 1 at most. Where all are 0, or all are 1, their
    spread tells nothing: the interval is then Wilson's, for as many draws as there are units, or
    clusters of them.

    Args:
        shares: Shape (units,), 0 to 1.
        clusters: Label of what a unit was drawn with, shape (units,); each is its own by default.
        seed: The same seed gives the same interval.
        confidence: Of the interval.

    Returns:
        NaN with the reason where no share is known.
    """
    values = np.asarray(shares, dtype=np.float64)
    known = ~np.isnan(values)
    if not known.any():
        return undefined("there is nothing to compute it from")
    first = float(values[known][0])
    if first in (0.0, 1.0) and bool((values[known] == first).all()):
        labels = np.arange(values.size) if clusters is None else np.asarray(clusters)
        drawn = np.unique(labels[known]).size
        return wilson_interval(int(first) * drawn, drawn, confidence)
    return mean_interval(values, clusters=clusters, seed=seed, confidence=confidence, limits=(0, 1))
