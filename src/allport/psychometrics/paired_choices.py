"""Two respondents on the same items, each item answered one way or the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from allport.errors import ResponsesError

__all__ = ["McNemar", "adjust_for_many", "mcnemar"]


class McNemar(NamedTuple):
    """Whether one of two respondents says yes more often, on the same items."""

    only_first: int
    """Items on which the first alone said yes."""
    only_second: int
    p: float
    """Exact two-sided p-value; 1 where they never differ."""


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test (McNemar, 1947), on the items that both answered.

    Args:
        first: 1 or 0 for each item, NaN where missing, shape (items,).
        second: Likewise.

    Raises:
        ResponsesError: The shapes differ, or something is neither 1, 0 nor missing.
    """
    a, b = (np.asarray(each, dtype=np.float64) for each in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ResponsesError(f"Choices of shapes {a.shape} and {b.shape} cannot be paired.")
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if not np.isin(np.concatenate([a, b]), (0, 1)).all():
        raise ResponsesError("Paired choices must be 1 or 0, or missing.")
    from scipy.stats import binomtest

    one, other = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    p = float(binomtest(one, one + other).pvalue) if one + other else 1.0
    return McNemar(one, other, p)


def adjust_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values of a family of tests, adjusted so that those under .05 hold false ones in a share of
    .05 at most (Benjamini & Hochberg, 1995).
    """
    from scipy.stats import false_discovery_control

    if not p_values:
        return {}
    adjusted = false_discovery_control(list(p_values.values()))
    return dict(zip(p_values, map(float, adjusted), strict=True))
