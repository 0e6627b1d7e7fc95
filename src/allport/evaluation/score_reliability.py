"""How far a trait's score hangs on which items, templates and orders happened to be asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allport.administration.responses import answers
from allport.errors import ResponsesError
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.generalizability import (
    VarianceComponents,
    needed_levels,
    standard_error_of_mean,
    variance_components,
)

if TYPE_CHECKING:
    import polars as pl

    from allport.inventories.inventory import Inventory

__all__ = ["ScoreReliability", "reliability_by_trait"]

Floats = NDArray[np.float64]

_TARGET_ERROR = 2.0
_STATEMENTS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 200)
_TEMPLATES = (1, 2, 3, 4, 6)
_ORDERS = (1, 2, 4, 8, 12, 24)


@dataclass(frozen=True)
class ScoreReliability:
    """Where the variance of a trait's item scores comes from, and what more asking buys."""

    components: VarianceComponents | None
    """Of item scores, 0 to 100; None where they cannot be had."""
    error: Estimate
    """Standard error of the trait's score over items, templates and orders, in points, with its
    jackknife interval over statements or items; NaN with the reason where it cannot be had."""
    needed: Mapping[str, int] | None
    """The least asking for a standard error of 2 points; None where none of those tried reaches it.
    """
    left_out: int
    """Items left out of the variances: those with a missing answer, and those that keep statements
    from having equally many items."""


def _item_scores(frame: pl.DataFrame, inventory: Inventory) -> Floats:
    """Item scores 0 to 100 toward the trait, shape (administrations, items); NaN where missing."""
    keyed = answers(frame, inventory, "expected_keyed").values
    low = np.array([inventory.option_values(i).min() for i in inventory.items])
    high = np.array([inventory.option_values(i).max() for i in inventory.items])
    scores: Floats = 100 * (keyed - low) / (high - low)
    return scores


def reliability_by_trait(frame: pl.DataFrame, inventory: Inventory) -> dict[str, ScoreReliability]:
    """Variance components of item scores by trait, over the original wording.

    Items, and the statements they were written from, and templates are samples of many; so are the
    orders of options, unless all that there are were asked.

    Args:
        frame: Responses of nobody in particular, complete over templates and orders.
        inventory: What was asked.
    """
    import polars as pl

    plain = frame.filter(pl.col("form") == "original")
    conditions = answers(plain, inventory, "expected_keyed").administrations
    templates = list(dict.fromkeys(c.template for c in conditions))
    orders = list(dict.fromkeys(c.order for c in conditions))
    table = np.full((len(templates), len(orders), len(inventory.items)), np.nan)
    for row, condition in zip(_item_scores(plain, inventory), conditions, strict=True):
        table[templates.index(condition.template), orders.index(condition.order)] = row
    return {
        trait.code: _of_trait(table, inventory, inventory.columns(trait.code))
        for trait in inventory.traits
    }


def _of_trait(table: Floats, inventory: Inventory, own: NDArray[np.intp]) -> ScoreReliability:
    complete = [int(i) for i in own if not np.isnan(table[..., i]).any()]
    by_statement: dict[str | None, list[int]] = {}
    for i in complete:
        by_statement.setdefault(inventory.items[i].cluster, []).append(i)
    scores = np.moveaxis(table[..., complete], 2, 0)
    facets: tuple[str, ...] = ("item", "template", "order")
    nested: dict[str, str] = {}
    size = 1 if None in by_statement else _alike(list(map(len, by_statement.values())))
    kept = len(complete)
    if size > 1:
        chosen = [items[:size] for items in by_statement.values() if len(items) >= size]
        kept = len(chosen) * size
        scores = np.moveaxis(table[..., chosen], (2, 3), (0, 1))
        facets, nested = ("statement", "item", "template", "order"), {"item": "statement"}
    left_out = len(own) - kept
    try:
        components = variance_components(scores, facets, nested)
    except ResponsesError as refused:
        why = str(refused)
        if len(complete) < len(own):
            why = f"{len(own) - len(complete)} of {len(own)} items have a missing answer. {why}"
        return ScoreReliability(None, undefined(why), None, left_out)
    every = math.factorial(len(inventory.options(inventory.items[own[0]])))
    if inventory.scale:
        every = 2  # A response scale is shown forward or reversed.
    fixed = ("order",) if components.levels["order"] == every else ()
    # Of the score as it is, whatever was left out of the variances.
    asked: dict[str, float] = {"item": len(own)}
    if size > 1:
        statements = Counter(inventory.items[i].cluster for i in own)
        asked = {"statement": len(statements), "item": len(own) / len(statements)}

    def error_of(found: VarianceComponents) -> float:
        return standard_error_of_mean(found, asked, fixed)

    without = [
        error_of(variance_components(np.delete(scores, n, axis=0), facets, nested))
        for n in range(len(scores))
        if len(scores) > 2
    ]
    choices: dict[str, tuple[int, ...]] = {facets[0]: _STATEMENTS, "template": _TEMPLATES}
    if not fixed:
        choices["order"] = _ORDERS
    needed = needed_levels(components, _TARGET_ERROR, choices, fixed=fixed)
    error = _jackknifed(error_of(components), np.array(without))
    return ScoreReliability(components, error, needed, left_out)


def _jackknifed(error: float, without: Floats) -> Estimate:
    """A standard error with its interval from those without each statement, on a log scale.

    Tukey's jackknife with Student's t; a logarithm keeps the interval above zero.
    """
    if len(without) < 3 or error <= 0 or (without <= 0).any():
        return Estimate(error, reason="no interval without three statements or items that vary")
    from scipy.special import stdtrit

    n, logs = len(without), np.log(without)
    spread = math.sqrt((n - 1) / n * float(np.square(logs - logs.mean()).sum()))
    width = float(stdtrit(n - 1, 0.975)) * spread
    return Estimate(error, error * math.exp(-width), error * math.exp(width))


def _alike(sizes: list[int]) -> int:
    """Items a statement so that, with as many of each, most are kept; 1 where none can be nested.

    A balanced analysis needs two statements or more of two items or more.
    """
    kept = {n: n * sum(size >= n for size in sizes) for n in set(sizes) if n > 1}
    usable = {n: total for n, total in kept.items() if total >= 2 * n}
    return max(usable, key=lambda n: (usable[n], n), default=1)
