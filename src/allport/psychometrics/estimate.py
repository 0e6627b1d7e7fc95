"""A number with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Estimate", "undefined"]


class Estimate(NamedTuple):
    """A statistic with its interval.

    `value` is NaN exactly where the statistic cannot be computed, and `reason` then says why.
    `low` and `high` are NaN where no interval is defined or none was asked for; where one was asked
    for and only it cannot be had, `reason` says why.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str = ""


def undefined(reason: str) -> Estimate:
    """An estimate that cannot be computed, with the reason shown to people."""
    return Estimate(math.nan, math.nan, math.nan, reason)
