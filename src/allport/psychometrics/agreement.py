"""Agreement beyond chance: kappa, Krippendorff's alpha, and flips between conditions.

Choices and ratings are arrays of shape (conditions or coders, items), NaN where missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError, UsageError
from allport.psychometrics.covariance import as_answers
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import IntervalMethod, weighted_bootstrap

__all__ = ["Flips", "KappaWeights", "Level", "cohen_kappa", "flips", "krippendorff_alpha"]

Floats: TypeAlias = NDArray[np.float64]
KappaWeights: TypeAlias = Literal["linear", "quadratic"]
Level: TypeAlias = Literal["nominal", "ordinal", "interval"]


class Flips(NamedTuple):
    """How often the choice on an item differs between two conditions."""

    raw: Estimate
    """Share of comparisons in which the choice differs, 0 to 1."""
    chance: float
    """Flips expected of answers that have nothing to do with the item, given how often each option
    is chosen in each condition: 1 - sum_c p_a(c) p_b(c), with the shares p of each option over the
    items that both conditions of a pair answered, averaged over comparisons."""
    corrected: Estimate
    """raw / chance: 0 where choices never flip, 1 where they flip as often as chance makes them.
    For one pair of conditions it is 1 minus Cohen's kappa."""
    uniform_chance: float
    """Flips expected of answers drawn evenly from the K options, 1 - 1 / K."""
    corrected_uniform: Estimate
    """raw / uniform_chance. Unlike `corrected` it stays defined, and small, where a respondent
    gives nearly the same answer to everything."""
    by_item: Floats
    """Raw flips of each item, shape (items,); NaN where no pair of conditions has it."""
    pairs: int
    """Pairs of conditions compared."""
    comparisons: int
    """Pairs of choices compared: pairs of conditions times items, less what is missing."""


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: KappaWeights | None = None,
    categories: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Cohen's kappa of two ratings of the same units, plain or weighted.

    With P the table of shares and w agreement weights (1 on the diagonal and 0 elsewhere; linear,
    1 - |i - j| / (k - 1); quadratic, 1 - (i - j)^2 / (k - 1)^2), kappa = (Po - Pe) / (1 - Pe), with
    Po = sum w P and Pe = sum w p_row p_column. The interval takes the large-sample standard error
    of Fleiss, Cohen and Everitt (1969, Psychol Bull 72), cut at -1 and 1. Where that error is 0, as
    with ratings that agree throughout, nothing tells how far others would: there is no interval.

    Args:
        first: Shape (units,), NaN where missing; units missing either rating are left out.
        second: Shape (units,).
        weights: None, "linear" or "quadratic".
        categories: All values that could be given, in order; by default those that were. Weights
            go by rank in this order, so give it where some option was never chosen.
        confidence: Of the interval.

    Returns:
        NaN with the reason where nothing was rated twice, or both ratings are constant and equal;
        no interval but the reason where the standard error is 0.

    Raises:
        ResponsesError: The ratings differ in length, or hold a value that is not a category.
        UsageError: The weights are unknown.
    """
    from scipy.special import ndtri

    if weights not in (None, "linear", "quadratic"):
        raise UsageError(f"Weights {weights!r} are unknown; choose linear, quadratic or None.")
    if np.size(first) != np.size(second):
        raise ResponsesError(
            f"{np.size(first)} ratings cannot be compared with {np.size(second)}; "
            "both must be of the same units."
        )
    pair = np.stack([_vector(first), _vector(second)])
    pair = pair[:, ~np.isnan(pair).any(axis=0)]
    units = pair.shape[1]
    if units == 0:
        return undefined("no unit has both ratings")
    known = np.unique(pair) if categories is None else np.unique(_vector(categories))
    if not np.isin(pair, known).all():
        raise ResponsesError("A rating is not among the categories given.")
    size = known.size
    row, column = np.searchsorted(known, pair)
    table = np.zeros((size, size))
    np.add.at(table, (row, column), 1 / units)
    rank = np.arange(size)
    distance = np.abs(rank[:, None] - rank[None, :]) / max(size - 1, 1)
    if weights is None:
        distance = (distance > 0).astype(np.float64)
    agreement = 1 - (distance**2 if weights == "quadratic" else distance)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed = (agreement * table).sum()
    expected = float(rows @ agreement @ columns)
    if 1 - expected < 1e-12:
        return undefined("both ratings are the same one value throughout")
    kappa = (observed - expected) / (1 - expected)
    margins = (agreement @ columns)[:, None] + (rows @ agreement)[None, :]
    spread = (table * (agreement - margins * (1 - kappa)) ** 2).sum()
    spread -= (kappa - expected * (1 - kappa)) ** 2
    # What rounding leaves of a difference of sums is no spread.
    if spread <= 1e-12:
        return Estimate(float(kappa), reason="no interval: the standard error of kappa is 0")
    error = math.sqrt(spread / units) / (1 - expected)
    width = float(ndtri((1 + confidence) / 2)) * error
    return Estimate(float(kappa), max(-1.0, float(kappa) - width), min(1.0, float(kappa) + width))


def krippendorff_alpha(
    ratings: ArrayLike,
    level: Level = "nominal",
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Krippendorff's alpha: agreement of any number of coders, with missing ratings.

    alpha = 1 - Do / De, from coincidences o(c, k) of values within units: each of the m ratings of
    a unit meets the m - 1 others with weight 1 / (m - 1). Distances are 0 or 1 (nominal), squared
    differences (interval), or squared sums of the ranks in between (ordinal). Units with one rating
    are left out. (Krippendorff, 2011, Computing Krippendorff's alpha-reliability.)

    Args:
        ratings: Shape (coders or conditions, units or items), NaN where missing.
        level: Of measurement.
        clusters: Label of what a unit was drawn with, shape (units,): the person whose answers are
            rated, say. By default each unit is its own cluster.
        method: Of the interval, a bootstrap over units or clusters.
        confidence: Of the interval.
        resamples: How often to resample; 0 leaves the interval out.
        seed: The same seed gives the same interval.

    Returns:
        NaN with the reason where no unit has two ratings or all ratings are equal.

    Raises:
        UsageError: The level is unknown.
    """
    if level not in ("nominal", "ordinal", "interval"):
        raise UsageError(f"Level {level!r} is unknown; choose nominal, ordinal or interval.")
    table = np.asarray(as_answers(ratings), dtype=np.float64)
    paired = (~np.isnan(table)).sum(axis=0) >= 2
    table = table[:, paired]
    groups = None if clusters is None else np.asarray(clusters)[paired]
    units = table.shape[1]
    if units == 0:
        return undefined("no unit has two ratings")
    if np.nanmin(table) == np.nanmax(table):
        return undefined("every rating is the same")
    if level == "interval":
        statistic = _interval_alpha(table)
    else:
        statistic = _category_alpha(table, ordinal=level == "ordinal")
    return weighted_bootstrap(
        statistic,
        units,
        clusters=groups,
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def flips(
    choices: ArrayLike,
    options: ArrayLike,
    pairs: ArrayLike | None = None,
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Flips:
    """How often the choice on an item differs between two conditions, raw and against chance.

    Raw flips flatter a respondent that answers everything alike and punish one that uses the whole
    scale; so they are set beside the flips that chance makes, in two meanings of chance that
    `Flips` documents. Intervals are bootstraps over items, chance being found anew each time.

    Args:
        choices: Index of the chosen option in content order, shape (conditions, items), NaN where
            nothing usable was said.
        options: How many options there are: one number, or one for each item, shape (items,).
        pairs: Indices of the conditions to compare, shape (pairs, 2); by default all pairs.
        clusters: Label of what an item was drawn with, shape (items,): the statement that several
            paraphrases share, say. By default each item is its own cluster.
        method: Of the intervals.
        confidence: Of the intervals.
        resamples: How often to resample; 0 leaves the intervals out.
        seed: The same seed gives the same intervals.

    Returns:
        NaN with the reason where no pair of conditions shares an answered item, and for the
        corrected rate where every answer is the same option.

    Raises:
        ResponsesError: A choice is not a whole number from 0 to options - 1.
    """
    table = np.asarray(as_answers(choices), dtype=np.float64)
    conditions, items = table.shape
    sizes = np.broadcast_to(np.asarray(options, dtype=np.int64), (items,))
    answered = ~np.isnan(table)
    whole = np.where(answered, table, 0.0)
    if (whole < 0).any() or (whole >= sizes).any() or (whole != np.floor(whole)).any():
        raise ResponsesError(
            "Choices are indices of options, whole numbers from 0 to the number of options less 1; "
            "keep missing ones as NaN."
        )
    if pairs is None:
        first, second = np.triu_indices(conditions, 1)
    else:
        first, second = np.asarray(pairs, dtype=np.intp).reshape(-1, 2).T
    shared = (answered[first] & answered[second]).astype(np.float64)
    flipped = (shared * (whole[first] != whole[second])).sum(axis=0)
    compared = shared.sum(axis=0)
    if compared.sum() == 0:
        none = undefined("no item was answered under two conditions that can be compared")
        by_item = np.full(items, np.nan)
        return Flips(none, math.nan, none, math.nan, none, by_item, first.size, 0)

    most = int(sizes.max())
    chosen = (whole[:, :, None] == np.arange(most)) & answered[:, :, None]
    # (items, conditions * options): one product with weights counts the choices of each condition.
    counted = chosen.transpose(1, 0, 2).reshape(items, -1).astype(np.float64)
    # A condition's choices count in a pair where the other condition has an answer, too. Conditions
    # that answered the same items share one count, so complete answers need only one.
    patterns, pattern = np.unique(answered, axis=0, return_inverse=True)
    pattern = pattern.ravel()

    def by_chance(weights: Floats) -> tuple[Floats, Floats]:
        """Flips expected of the observed marginals, and comparisons, under weights of items."""
        counts = np.stack([(weights * among) @ counted for among in patterns], axis=1)
        counts = counts.reshape(-1, len(patterns), conditions, most)
        same = np.einsum(
            "wpc,wpc->wp", counts[:, pattern[second], first], counts[:, pattern[first], second]
        )
        comparisons = weights @ shared.T
        expected = comparisons - same / np.maximum(comparisons, 1)
        return expected.sum(axis=1), comparisons.sum(axis=1)

    def corrected(weights: Floats) -> Floats:
        expected, comparisons = by_chance(weights)
        possible = expected > 1e-12 * np.maximum(comparisons, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(possible, weights @ flipped / expected, np.nan)

    even = compared * (1 - 1 / sizes)
    expected, comparisons = by_chance(np.ones((1, items)))
    chance = float(expected[0] / comparisons[0])
    with np.errstate(invalid="ignore"):
        by_item = flipped / np.where(compared > 0, compared, np.nan)

    def interval(statistic: Callable[[Floats], Floats], numbers: int = 0) -> Estimate:
        return weighted_bootstrap(
            statistic,
            items,
            clusters=clusters,
            method=method,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            numbers_per_resample=numbers,
        )

    return Flips(
        raw=interval(_ratio(flipped, compared)),
        chance=chance,
        corrected=interval(corrected, len(patterns) * counted.shape[1] + 2 * first.size * most)
        if chance > 1e-12
        else undefined("every answer is the same option, so chance makes no flips"),
        uniform_chance=float(even.sum() / compared.sum()),
        corrected_uniform=interval(_ratio(flipped, even)),
        by_item=by_item,
        pairs=first.size,
        comparisons=int(compared.sum()),
    )


def _ratio(above: Floats, below: Floats) -> Callable[[Floats], Floats]:
    def ratio(weights: Floats) -> Floats:
        total = weights @ below
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total > 0, weights @ above / total, np.nan)

    return ratio


def _interval_alpha(table: Floats) -> Callable[[Floats], Floats]:
    """Interval alpha under weights of units, from sums, so that values need not be few."""
    table = table - np.nanmean(table)
    counts = (~np.isnan(table)).sum(axis=0).astype(np.float64)
    sums, squares = np.nansum(table, axis=0), np.nansum(table * table, axis=0)
    # Half the squared differences within a unit, each weighted 1 / (m - 1), are m s^2.
    within = np.nansum((table - sums / counts) ** 2, axis=0) * counts / (counts - 1)

    def alpha(weights: Floats) -> Floats:
        count, square = weights @ counts, weights @ squares
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = square - (weights @ sums) ** 2 / count
            expected = np.where(spread > 1e-12 * square, spread, np.nan) * count / (count - 1)
            return np.asarray(1 - weights @ within / expected)

    return alpha


def _category_alpha(table: Floats, *, ordinal: bool) -> Callable[[Floats], Floats]:
    """Nominal or ordinal alpha under weights of units, from coincidences of categories."""
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(axis=0).astype(np.float64)
    others = counts[:, None, :] - np.eye(values.size)
    rated = counts.sum(axis=1)
    coincidences = counts[:, :, None] * others / (rated - 1)[:, None, None]
    flat = coincidences.reshape(len(rated), -1)
    unequal = 1 - np.eye(values.size)

    def alpha(weights: Floats) -> Floats:
        totals = weights @ counts
        count = totals.sum(axis=1)
        together = (weights @ flat).reshape(-1, values.size, values.size)
        distance = unequal
        if ordinal:
            # Half-way ranks: the sum of n_g from c to k less half of n_c and n_k is a difference.
            ranks = np.cumsum(totals, axis=1) - totals / 2
            distance = (ranks[:, :, None] - ranks[:, None, :]) ** 2
        observed = (together * distance).sum(axis=(1, 2))
        expected = np.einsum(
            "wc,wk,wck->w", totals, totals, np.broadcast_to(distance, together.shape)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 0, 1 - (count - 1) * observed / expected, np.nan)

    return alpha


def _vector(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64).ravel()
