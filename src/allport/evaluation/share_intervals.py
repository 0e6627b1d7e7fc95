"""Intervals of shares that stay honest where nothing varies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from allport.psychometrics.estimate import Estimate
from allport.psychometrics.intervals import mean_interval

__all__ = ["share_interval", "wilson_interval"]


def wilson_interval(count: int, of: int) -> Estimate:
    """A share of independent draws, 0 to 1, with Wilson's 95 % interval (1927, JASA 22)."""
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Estimate(count / of, float(interval.low), float(interval.high))


def share_interval(shares: ArrayLike, clusters: ArrayLike | None = None, seed: int = 0) -> Estimate:
    """Mean of shares with its 95 % interval from a bootstrap over units.

    Where all are 0, or all are 1, no resample differs and a bootstrap would claim certainty: the
    interval is then Wilson's, for as many draws as there are units, or clusters of them.

    Args:
        shares: Shape (units,), 0 to 1.
        clusters: Label of what a unit was drawn with, shape (units,); each is its own by default.
        seed: The same seed gives the same interval.
    """
    values = np.asarray(shares, dtype=np.float64)
    first = float(values[0])
    if first in (0.0, 1.0) and bool((values == first).all()):
        drawn = values.size if clusters is None else np.unique(np.asarray(clusters)).size
        return wilson_interval(int(first) * drawn, drawn)
    return mean_interval(values, clusters=clusters, seed=seed)
