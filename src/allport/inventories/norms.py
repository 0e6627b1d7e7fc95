"""Human norms: where a score stands among people of a named group.

A norm group is a yardstick. A person belongs to one by sex and age. A model belongs to none, so its
scores are set against a group by name, and every figure says which. Without sex and age, and
without a named group, there are no norm scores: none is guessed.

    T          50 + 10 (raw - mean) / SD of the group; raw is the sum over all items
    percentile share of the group below, from T: "normal" by the normal distribution, "johnson" by
               the cubic that Johnson's own program uses
    level      low below T 45, high above T 55, average between; always from T

The table "johnson" has means and SDs by sex and age band for the IPIP-NEO of 120 and 300 items.
Groups of both sexes are not in it. They are worked out from the rows of women and men of that age
as of a group of which each is half: the SD includes the distance between their means. The average
of the two SDs, which other programs take, leaves that distance out and makes scores too extreme.

The people of this table filled in a questionnaire on a web page of their own accord. They are no
sample of a population, and no ideal.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import InventoryError, UsageError
from allport.inventories.inventory import Inventory

__all__ = [
    "NORM_TABLES",
    "Level",
    "NormGroup",
    "NormScore",
    "NormScores",
    "PercentileMethod",
    "Sex",
    "default_group",
    "level",
    "norm_group",
    "norm_groups",
    "norm_scores",
    "percentiles",
    "t_scores",
]

NORM_TABLES = ("johnson",)
"""Names that the field `norms` of an inventory can have."""

_CUBIC = (210.335958661391, -16.7379362643389, 0.405936512733332, -0.00270624341822222)
"""Johnson's percentile as a polynomial of T, lowest power first."""

Sex = Literal["female", "male"]
PercentileMethod = Literal["normal", "johnson"]
Level = Literal["low", "average", "high"]


class NormGroup(NamedTuple):
    """People that scores are set against."""

    name: str
    """What to ask for it by, such as "women-21-40", "men-over-60" or "both-21-up"."""
    label: str
    """For people to read, such as "women aged 21 to 40"."""
    source: str
    mean: Mapping[str, float]
    """Mean raw sum by trait and facet code."""
    sd: Mapping[str, float]
    """Standard deviation of the raw sum by trait and facet code."""


class NormScore(NamedTuple):
    """One score on the yardstick. Limits are NaN where no standard error or interval was given."""

    raw: float
    t: float
    t_low: float
    t_high: float
    percentile: float
    """0 to 100."""
    percentile_low: float
    percentile_high: float
    level: Level | None
    """None where the raw score is NaN."""


class NormScores(NamedTuple):
    """Norm scores by trait and facet code, or the reason why there are none."""

    group: NormGroup | None
    scores: dict[str, NormScore]
    reason: str = ""
    """Why there are none; empty where there are."""


def norm_groups(inventory: Inventory) -> dict[str, NormGroup]:
    """The norm groups of an inventory by name; empty where it has no norms.

    Raises:
        InventoryError: The inventory names a norm table that does not fit it.
    """
    if inventory.norms is None:
        return {}
    if inventory.norms not in NORM_TABLES:
        raise InventoryError(
            f"{inventory.name}: there is no norm table {inventory.norms!r}; known: "
            f"{', '.join(NORM_TABLES)}."
        )
    groups = _johnson().get(len(inventory.items))
    codes = {item.trait for item in inventory.items}
    codes |= {item.facet for item in inventory.items if item.facet is not None}
    if groups is None or not codes <= set(groups["women-under-21"].mean):
        raise InventoryError(
            f"{inventory.name}: the norms {inventory.norms!r} are for the IPIP-NEO of 120 or 300 "
            "items and do not fit it; leave the field 'norms' out."
        )
    return groups


def norm_group(inventory: Inventory, sex: Sex, age: int) -> NormGroup | None:
    """The group that a person belongs to by sex and age; None where the inventory has no norms.

    Args:
        inventory: What was answered.
        sex: Sex as the norms count it.
        age: Age in years, 1 to 120.

    Raises:
        UsageError: The sex is neither of the two that the norms have, or the age is none.
    """
    name = _own(inventory, sex, age)
    return norm_groups(inventory).get(name)


def default_group(inventory: Inventory) -> NormGroup | None:
    """The yardstick for a respondent without sex and age, such as a model: younger adults.

    Women and men in equal parts, aged 21 to 40 for the 120 items and 21 or more for the 300, whose
    table has no narrower band. It is a choice, and any figure from it has to name it. None where
    the inventory has no norms.
    """
    groups = norm_groups(inventory)
    return groups[f"both-{_band(30, len(inventory.items))}"] if groups else None


def norm_scores(
    inventory: Inventory,
    raw_sums: Mapping[str, float],
    sex: Sex | None = None,
    age: int | None = None,
    percentile: PercentileMethod = "normal",
    *,
    group: NormGroup | str | None = None,
    sem: Mapping[str, float] | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    z: float = 1.959963984540054,
) -> NormScores:
    """Set raw scores against a norm group.

    Args:
        inventory: What was answered.
        raw_sums: Sum of the keyed answers over all items of each trait or facet, by code. Sums over
            expected answers need not be whole numbers. NaN gives NaN.
        sex: Sex of the person, where the norms are to be those of the person's own group.
        age: Age of the person in years, likewise; both or neither count.
        percentile: "normal", or "johnson" to agree with Johnson's program.
        group: A group, or the name of one, instead of the person's own.
        sem: Standard error of the raw sum, by code; the limits are the raw sum plus and minus `z`
            times it, carried over to T and percentile.
        intervals: Limits of the raw sum by code, where they come from elsewhere; they go before
            `sem`.
        z: Width of the intervals from `sem`; 1.96 covers 95 % of a normal error.

    Returns:
        A score for each code that the group has; or none, with the reason.

    Raises:
        UsageError: The group is unknown, or the sex or age cannot be.
        InventoryError: A raw score cannot be the sum of the items, or a code is unknown.
    """
    groups = norm_groups(inventory)
    if not groups:
        return NormScores(None, {}, f"there are no human norms for {inventory.name}")
    if isinstance(group, str):
        if group not in groups:
            raise UsageError(
                f"{inventory.name} has no norm group {group!r}; known: {', '.join(groups)}."
            )
        group = groups[group]
    if group is None:
        if sex is None or age is None:
            unknown = [what for what, known in (("sex", sex), ("age", age)) if known is None]
            return NormScores(
                None, {}, f"human norms go by sex and age, and there is no {' or '.join(unknown)}"
            )
        group = groups[_own(inventory, sex, age)]
    scores = {}
    for code, raw in raw_sums.items():
        _check_sum(inventory, code, raw)
        low, high = math.nan, math.nan
        if intervals is not None and code in intervals:
            low, high = intervals[code]
        elif sem is not None and code in sem:
            low, high = raw - z * sem[code], raw + z * sem[code]
        mean, sd = group.mean[code], group.sd[code]
        t, t_low, t_high = t_scores([raw, low, high], mean, sd).tolist()
        p_low, p_high = _percentile_limits(t_low, t_high, percentile)
        scores[code] = NormScore(
            raw=float(raw),
            t=t,
            t_low=t_low,
            t_high=t_high,
            percentile=float(percentiles(t, percentile)),
            percentile_low=p_low,
            percentile_high=p_high,
            level=level(t),
        )
    return NormScores(group, scores)


def t_scores(raw: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> NDArray[np.float64]:
    """T scores, 50 + 10 (raw - mean) / SD, of any shape."""
    raw, mean, sd = (np.asarray(each, dtype=np.float64) for each in (raw, mean, sd))
    return np.asarray(50 + 10 * (raw - mean) / sd)


def percentiles(t: ArrayLike, method: PercentileMethod = "normal") -> NDArray[np.float64]:
    """Percentiles, 0 to 100, of T scores of any shape.

    Args:
        t: T scores; NaN stays NaN.
        method: "normal" is the distribution function of a normal with mean 50 and SD 10. "johnson"
            is the cubic of Johnson's IPIP-NEO program, 1 below T 32 and 99 above T 73; it is off
            the normal by up to 1.93 points and bends down above T 70.9, so that 73 stands below 71.

    Raises:
        UsageError: The method is unknown.
    """
    t = np.asarray(t, dtype=np.float64)
    if method == "normal":
        from scipy.special import ndtr

        return np.asarray(100 * ndtr((t - 50) / 10), dtype=np.float64)
    if method != "johnson":
        raise UsageError(f"Percentiles are 'normal' or 'johnson', not {method!r}.")
    constant, linear, square, cube = _CUBIC
    cubic = constant + linear * t + square * t**2 + cube * t**3
    return np.where(t < 32, 1.0, np.where(t > 73, 99.0, cubic))


def level(t: float) -> Level | None:
    """Low below T 45, high above T 55, average between; None for NaN."""
    if math.isnan(t):
        return None
    return "low" if t < 45 else "high" if t > 55 else "average"


def _percentile_limits(
    t_low: float, t_high: float, method: PercentileMethod
) -> tuple[float, float]:
    """The lowest and highest percentile on an interval of T."""
    if math.isnan(t_low) or math.isnan(t_high):
        return math.nan, math.nan
    # Johnson's cubic has its summit and its end inside the range of T, so limits may lie there.
    summit = (-_CUBIC[2] - math.sqrt(_CUBIC[2] ** 2 - 3 * _CUBIC[3] * _CUBIC[1])) / (3 * _CUBIC[3])
    turns = [turn for turn in (summit, 73.0) if t_low < turn < t_high and method == "johnson"]
    found = percentiles([t_low, *turns, t_high], method)
    return float(found.min()), float(found.max())


def _check_sum(inventory: Inventory, code: str, raw: float) -> None:
    columns = inventory.columns(code)
    if not len(columns):
        raise InventoryError(f"{inventory.name} has no trait or facet {code!r}.")
    values = [inventory.option_values(inventory.items[i]) for i in columns]
    low, high = sum(each.min() for each in values), sum(each.max() for each in values)
    # Expected answers are sums of probabilities times values and may miss the limits by rounding.
    if raw < low - 1e-6 or raw > high + 1e-6:
        raise InventoryError(
            f"{inventory.name}: the raw score of {code} is {raw:g}, and the sum of its "
            f"{len(columns)} items lies between {low:g} and {high:g}; norms need sums, not means."
        )


def _own(inventory: Inventory, sex: str, age: float) -> str:
    """Name of the group of a person."""
    if sex not in ("female", "male"):
        raise UsageError(f"The norms know the sexes female and male, not {sex!r}.")
    if not 1 <= age <= 120:
        raise UsageError(f"{age} is not the age of a person in years.")
    return f"{'women' if sex == 'female' else 'men'}-{_band(age, len(inventory.items))}"


def _band(age: float, items: int) -> str:
    if age < 21:
        return "under-21"
    if items == 300:
        return "21-up"
    return "21-40" if age <= 40 else "41-60" if age <= 60 else "over-60"


_AGES = {
    "under-21": "under 21",
    "21-40": "aged 21 to 40",
    "41-60": "aged 41 to 60",
    "over-60": "over 60",
    "21-up": "aged 21 or more",
}


@cache
def _johnson() -> dict[int, dict[str, NormGroup]]:
    """Johnson's norms: groups by name, by number of items."""
    file = resources.files("allport.inventories") / "data" / "norms" / "johnson.csv"
    lines = file.read_text("utf-8").splitlines()
    source = lines[0].removeprefix("# ")
    rows: dict[tuple[int, str, str], dict[str, tuple[float, float]]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        key = (int(row["items"]), row["group"], row["ages"])
        rows.setdefault(key, {})[row["scale"]] = (float(row["mean"]), float(row["sd"]))
    tables: dict[int, dict[str, NormGroup]] = {}
    for (items, who, ages), figures in rows.items():
        mean = {code: pair[0] for code, pair in figures.items()}
        sd = {code: pair[1] for code, pair in figures.items()}
        group = NormGroup(f"{who}-{ages}", f"{who} {_AGES[ages]}", source, mean, sd)
        tables.setdefault(items, {})[group.name] = group
    for groups in tables.values():
        for women in [group for group in groups.values() if group.name.startswith("women-")]:
            both = _both(women, groups[women.name.replace("women-", "men-")])
            groups[both.name] = both
    return tables


def _both(women: NormGroup, men: NormGroup) -> NormGroup:
    """The group of which women and men are half each: mean and SD of the mixture, exactly."""
    mean = {code: (women.mean[code] + men.mean[code]) / 2 for code in women.mean}
    sd = {
        code: math.sqrt(
            (women.sd[code] ** 2 + men.sd[code] ** 2) / 2
            + ((women.mean[code] - men.mean[code]) / 2) ** 2
        )
        for code in women.mean
    }
    return NormGroup(
        name=women.name.replace("women-", "both-"),
        label=women.label.replace("women", "women and men in equal parts", 1),
        source=f"{women.source}; both sexes worked out from the rows of each",
        mean=mean,
        sd=sd,
    )
