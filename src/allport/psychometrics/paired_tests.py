"""Two respondents on the same items: whether one of them differs from the other throughout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from allport.errors import ResponsesError

__all__ = ["adjust_for_many", "sign_flip_test"]

_MOST_LISTED = 12
"""Clusters up to which every choice of signs is tried."""
_DRAWS = 10_000
_ROUNDING = 1e-9
"""Share of the largest sum by which sums differ through rounding alone."""


def sign_flip_test(
    differences: ArrayLike, clusters: ArrayLike | None = None, *, seed: int = 0
) -> float:
    """Sign-flip permutation test of no difference between two respondents, over clusters of items.

    Where respondents do not differ, the sum of the differences in each cluster could as well have
    had the other sign (Fisher, 1935, The Design of Experiments). The p-value is the share of all
    choices of signs whose total is at least as far from zero as the one observed; every choice
    is tried for at most 12 clusters that do not sum to zero, else 10,000 are drawn, and
    p = (1 + those at least as far) / (1 + draws) (Phipson & Smyth, 2010). Items of one cluster keep
    their signs together, so that what they share does not count as often as there are items.

    Args:
        differences: One respondent less the other, of each item; NaN where one of them did not
            answer. Shape (items,).
        clusters: Label of what each item was drawn with, shape (items,); by default each is its
            own.
        seed: Of the draws; the same seed gives the same p-value.

    Returns:
        The two-sided p-value, above 0 and at most 1; 1 where they never differ.

    Raises:
        ResponsesError: Clusters do not label the differences.
    """
    found = np.asarray(differences, dtype=np.float64)
    labels = np.arange(found.size) if clusters is None else np.asarray(clusters)
    if found.ndim != 1 or labels.shape != found.shape:
        raise ResponsesError(
            f"Clusters of shape {labels.shape} do not label differences of shape {found.shape}."
        )
    known = ~np.isnan(found)
    _, cluster = np.unique(labels[known], return_inverse=True)
    sums = np.bincount(cluster.ravel(), weights=found[known])
    sums = sums[np.abs(sums) > _ROUNDING * np.abs(found[known]).sum()]
    least = abs(sums.sum()) - _ROUNDING * np.abs(sums).sum()
    if sums.size <= _MOST_LISTED:
        bits = np.arange(2**sums.size)[:, None] >> np.arange(sums.size) & 1
        return float((np.abs((1 - 2 * bits) @ sums) >= least).mean())
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (_DRAWS, sums.size))
    extreme = int((np.abs(signs @ sums) >= least).sum())
    return (1 + extreme) / (1 + _DRAWS)


def adjust_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values of a family of tests, adjusted so that those under .05 hold false ones in a share of
    .05 at most (Benjamini & Hochberg, 1995).
    """
    from scipy.stats import false_discovery_control

    if not p_values:
        return {}
    adjusted = false_discovery_control(list(p_values.values()))
    return dict(zip(p_values, map(float, adjusted), strict=True))
