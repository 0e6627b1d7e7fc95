"""Guttman's lower bounds of reliability, and split halves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import MissingPairs, item_covariance
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.reliability import NEGLIGIBLE, why_inconsistent
from allport.psychometrics.scoring import scale_membership

__all__ = [
    "GuttmanLambdas",
    "SplitHalf",
    "SquaredMultipleCorrelations",
    "guttman_lambdas",
    "lambda6_of_pool",
    "lambdas_of_matrix",
    "split_half",
    "squared_multiple_correlations",
]

Floats: TypeAlias = NDArray[np.float64]
Halves: TypeAlias = Literal["all", "odd-even", "random"]

# Up to this many halvings all are tried (18 items have 24,310); beyond, a sample stands for them.
MOST_SPLITS = 50_000


class SquaredMultipleCorrelations(NamedTuple):
    """How well each item is predicted by all others, R squared."""

    values: Floats
    """Shape (items,), 0 to 1."""
    pseudo_inverse: bool
    """True where the correlations are not positive definite and a pseudo-inverse stood in."""


class GuttmanLambdas(NamedTuple):
    """Guttman's six lower bounds of the reliability of a sum (1945, Psychometrika 10)."""

    lambda1: float
    lambda2: float
    lambda3: float
    """Cronbach's alpha."""
    lambda4: float
    """The best split into halves."""
    lambda5: float
    lambda6: float
    """From squared multiple correlations within the scale."""
    exhaustive: bool
    """Whether lambda 4 looked at every halving; if not, a longer search might find a larger one."""
    pseudo_inverse: bool
    """Whether lambda 6 rests on a pseudo-inverse, the correlations being singular."""
    reason: str
    """Why the lambdas are NaN, where they are."""


class SplitHalf(NamedTuple):
    """Reliability from splitting a scale into halves."""

    reliability: Estimate
    """Mean over the splits."""
    lowest: float
    highest: float
    splits: int
    exhaustive: bool
    """Whether these are all splits into halves of the scale."""


def squared_multiple_correlations(matrix: ArrayLike) -> SquaredMultipleCorrelations:
    """R squared of each item on all others, 1 - 1 / (R^-1)_jj.

    In a singular matrix an item that is a linear combination of others is predicted perfectly; the
    rest take the pseudo-inverse, which gives the same value as leaving redundant items out.

    Args:
        matrix: Covariances or correlations, shape (items, items), without NaN.
    """
    covariance = np.asarray(matrix, dtype=np.float64)
    deviations = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    values, vectors = np.linalg.eigh(correlation)
    null = np.abs(values) < 1e-10 * values[-1]
    inverse_values = np.where(null, 0.0, 1 / np.where(null, 1.0, values))
    inverse = np.einsum("jm,m,jm->j", vectors, inverse_values, vectors)
    redundant = np.square(vectors[:, null]).sum(axis=1) > 1e-8
    with np.errstate(divide="ignore"):
        squared = np.where(redundant, 1.0, 1 - 1 / inverse)
    # Pairwise correlations can be indefinite, and then give values outside 0 to 1.
    irregular = bool(null.any() or values[0] < 0)
    return SquaredMultipleCorrelations(np.clip(squared, 0.0, 1.0), irregular)


def guttman_lambdas(
    keyed: ArrayLike,
    *,
    missing: MissingPairs = "pairwise",
    metric: Literal["covariance", "correlation"] = "correlation",
    seed: int = 0,
) -> GuttmanLambdas:
    """Guttman's lambda 1 to 6 of one scale; see `lambdas_of_matrix` for the formulas.

    Args:
        keyed: Keyed answers to the items of one scale, shape (rows, items), NaN where missing.
        missing: See `item_covariance`.
        metric: Lambdas of the sum of the items as they are, or of the standardised items.
        seed: Of the search for lambda 4 in long scales.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    moments = item_covariance(keyed, missing)
    reason = why_inconsistent(moments.rows, moments.covariance.shape[0])
    if reason:
        return _no_lambdas(reason)
    return lambdas_of_matrix(
        moments.covariance if metric == "covariance" else moments.correlation, seed=seed
    )


def lambdas_of_matrix(matrix: ArrayLike, *, seed: int = 0) -> GuttmanLambdas:
    """Guttman's lambda 1 to 6 of a sum of k items, from their covariances or correlations C.

    With V = sum(C) and off-diagonal sums written off():
    l1 = 1 - trace(C) / V; l2 = l1 + sqrt(k / (k - 1) off(C^2)) / V; l3 = k / (k - 1) l1;
    l4 = 2 (1 - (V_A + V_B) / V) for the halves A and B that make it largest;
    l5 = l1 + 2 sqrt(max_j off(C_j^2)) / V; l6 = 1 - sum_j var_j (1 - R2_j) / V.
    Halves differ in length by at most one item.

    Args:
        matrix: Shape (items, items).
        seed: Of the search for lambda 4 in scales of 19 items and more.

    Returns:
        NaN with the reason where an item or the sum does not vary, or a covariance is missing.
    """
    covariance = np.asarray(matrix, dtype=np.float64)
    items = covariance.shape[0]
    reason = ""
    if items < 2:
        reason = why_inconsistent(3, items)
    elif np.isnan(covariance).any() or (np.diagonal(covariance) <= 0).any():
        reason = "an item does not vary, or two items were never answered together"
    elif covariance.sum() <= NEGLIGIBLE * np.abs(covariance).sum():
        reason = "the sum of the items does not vary"
    if reason:
        return _no_lambdas(reason)
    total, variances = covariance.sum(), np.diagonal(covariance)
    off_squares = np.square(covariance)
    np.fill_diagonal(off_squares, 0.0)
    first = 1 - variances.sum() / total
    smallest, exhaustive = _smallest_contrast(covariance, seed)
    predicted = squared_multiple_correlations(covariance)
    return GuttmanLambdas(
        lambda1=float(first),
        lambda2=float(first + math.sqrt(items / (items - 1) * off_squares.sum()) / total),
        lambda3=float(items / (items - 1) * first),
        lambda4=float(1 - smallest / total),
        lambda5=float(first + 2 * math.sqrt(off_squares.sum(axis=0).max()) / total),
        lambda6=float(1 - (variances * (1 - predicted.values)).sum() / total),
        exhaustive=exhaustive,
        pseudo_inverse=predicted.pseudo_inverse,
        reason="",
    )


def lambda6_of_pool(covariance: ArrayLike, scales: Mapping[str, ArrayLike]) -> dict[str, Estimate]:
    """Lambda 6 of scales whose items are predicted from the whole pool, not from the scale alone.

    1 - sum over the scale of var_j (1 - R2_j) / V, with R2 from all items of the pool. It is what
    psych's `scoreItems` prints as G6: larger than a scale's own lambda 6 where scales overlap.

    Args:
        covariance: Of all items of the pool, shape (items, items).
        scales: Positions of each scale's items, by the scale's name.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    membership = scale_membership(scales, matrix.shape[0])
    variances = np.diagonal(matrix)
    if np.isnan(matrix).any() or (variances <= 0).any():
        return dict.fromkeys(
            scales, undefined("an item of the pool does not vary, or has no covariance")
        )
    unexplained = variances * (1 - squared_multiple_correlations(matrix).values)
    results = {}
    for name, inside in zip(scales, membership.T, strict=True):
        block = matrix[np.ix_(inside, inside)]
        if block.sum() <= NEGLIGIBLE * np.abs(block).sum():
            results[name] = undefined("the scale score does not vary")
        else:
            results[name] = Estimate(float(1 - unexplained[inside].sum() / block.sum()))
    return results


def split_half(
    keyed: ArrayLike,
    halves: Halves = "all",
    *,
    coefficient: Literal["spearman-brown", "rulon"] = "spearman-brown",
    splits: int = 1000,
    missing: MissingPairs = "pairwise",
    seed: int = 0,
) -> SplitHalf:
    """Split-half reliability of one scale.

    With r the correlation of the two half scores, Spearman-Brown is 2 r / (1 + r); Rulon's
    coefficient, 2 (1 - (V_A + V_B) / V), does not need halves of equal variance, and its mean over
    all splits of an even number of items is alpha (Cronbach, 1951, Psychometrika 16).

    Args:
        keyed: Keyed answers to the items of one scale, shape (rows, items), NaN where missing.
        halves: "all" splits into halves (lengths differ by one if the number of items is odd);
            "odd-even" the one by position; "random" a seeded sample of `splits`. A scale with more
            than 50,000 halvings, 19 items or more, is sampled under "all" too, and says so.
        coefficient: Which reliability of a split.
        splits: How many to sample.
        missing: See `item_covariance`.
        seed: Of the sample.

    Returns:
        NaN with the reason where the scale score or a half does not vary, and for Spearman-Brown
        where two halves correlate -1.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    moments = item_covariance(keyed, missing)
    covariance = moments.covariance
    items = covariance.shape[0]
    reason = why_inconsistent(moments.rows, items)
    if not reason and np.isnan(covariance).any():
        reason = "two items were never answered by the same two respondents"
    if not reason and covariance.sum() <= NEGLIGIBLE * np.abs(covariance).sum():
        reason = f"the scale score does not vary over the {moments.rows} rows"
    if reason:
        return SplitHalf(undefined(reason), math.nan, math.nan, 0, False)
    exhaustive = halves == "all" and _halvings(items) <= MOST_SPLITS
    if halves == "odd-even":
        signs = np.where(np.arange(items) % 2 == 0, 1.0, -1.0)[None]
    elif exhaustive:
        signs = _all_halvings(items)
    else:
        signs = _random_halvings(items, splits, seed)
    total = covariance.sum()
    contrast = np.einsum("si,ij,sj->s", signs, covariance, signs, optimize=True)
    between = (total - contrast) / 4
    if coefficient == "rulon":
        values = 4 * between / total
    else:
        # V_A + V_B and V_A - V_B from the contrast s'Cs and from s'C1.
        both, difference = (total + contrast) / 2, signs @ covariance.sum(axis=1)
        spread = (both + difference) * (both - difference) / 4
        with np.errstate(divide="ignore", invalid="ignore"):
            r = between / np.sqrt(np.where(spread > (NEGLIGIBLE * total) ** 2, spread, np.nan))
            values = 2 * r / (1 + r)
        # Pairwise covariances can be indefinite, and then take r beyond -1.
        if np.isnan(r).any():
            reason = "in a split one of the halves does not vary"
        elif (1 + r <= NEGLIGIBLE).any():
            reason = "in a split the halves correlate -1; only Rulon's coefficient has a value"
    if reason:
        return SplitHalf(undefined(reason), math.nan, math.nan, len(signs), exhaustive)
    return SplitHalf(
        Estimate(float(values.mean())),
        float(values.min()),
        float(values.max()),
        len(signs),
        exhaustive,
    )


def _no_lambdas(reason: str) -> GuttmanLambdas:
    return GuttmanLambdas(*(math.nan,) * 6, False, False, reason)


def _halvings(items: int) -> int:
    ways = math.comb(items, items // 2)
    return ways // 2 if items % 2 == 0 else ways


def _all_halvings(items: int) -> Floats:
    """Every split into halves once, as signs, shape (splits, items)."""
    chosen = np.array(list(itertools.combinations(range(items), items // 2)), dtype=np.intp)
    # With even length each split appears from both sides; keep the side with the first item.
    chosen = chosen[: _halvings(items)]
    signs = -np.ones((len(chosen), items))
    np.put_along_axis(signs, chosen, 1.0, axis=1)
    return signs


def _random_halvings(items: int, splits: int, seed: int) -> Floats:
    signs = np.where(np.arange(items) < items // 2, 1.0, -1.0)
    return np.random.default_rng(seed).permuted(np.tile(signs, (splits, 1)), axis=1)


def _smallest_contrast(covariance: Floats, seed: int) -> tuple[float, bool]:
    """Smallest s'Cs over halvings s, and whether all were tried."""
    items = covariance.shape[0]
    if _halvings(items) <= MOST_SPLITS:
        signs = _all_halvings(items)
        return float(np.einsum("si,ij,sj->s", signs, covariance, signs, optimize=True).min()), True
    best = math.inf
    variances = np.diagonal(covariance)
    # Exchange the two items that help most until none does; starts are many because each can stick.
    for start in _random_halvings(items, 50, seed):
        signs = start
        while True:
            pull = covariance @ signs
            above, below = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
            change = 4 * (
                (variances - pull)[above][:, None]
                + (variances + pull)[below][None, :]
                - 2 * covariance[np.ix_(above, below)]
            )
            step = int(change.argmin())
            if change.flat[step] >= -1e-12 * variances.sum():
                break
            row, column = divmod(step, below.size)
            signs[above[row]], signs[below[column]] = -1.0, 1.0
        best = min(best, float(signs @ covariance @ signs))
    return best, False
