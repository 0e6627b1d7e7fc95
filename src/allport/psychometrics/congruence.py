"""Whether the factors of one group, model or condition are those of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import MissingPairs, as_answers, item_covariance
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.factor_analysis import exploratory_factor_analysis
from allport.psychometrics.intervals import MOST_UNDEFINED
from allport.psychometrics.rotation import target_rotation

__all__ = [
    "Congruence",
    "congruence_matrix",
    "congruence_of_answers",
    "factor_congruence",
    "tucker_phi",
]

Floats: TypeAlias = NDArray[np.float64]

# Loadings shorter than this, all taken together, are rounding.
NO_LENGTH = 1e-8


@dataclass(frozen=True)
class Congruence:
    """Factors of a target, each with the factor that matches it best.

    .95 and above speaks for the same factor, .85 to .94 for a fair likeness (Lorenzo-Seva & ten
    Berge, 2006, Methodology 2).
    """

    coefficients: tuple[Estimate, ...]
    """Tucker's phi of each target factor and its match, at least 0 in absolute terms: a match of
    opposite sign is turned over first. In the order of the target's columns."""
    matches: NDArray[np.intp]
    """Column of the loadings that matches each target factor, shape (target factors,); -1 where
    there are fewer factors than in the target."""
    signs: Floats
    """1, or -1 where the match had to be turned over, shape (target factors,)."""
    table: Floats
    """Phi of every factor (rows) with every target factor (columns), before matching."""
    overall: Estimate
    """Phi of all matched loadings taken together, as one long vector."""


def tucker_phi(a: ArrayLike, b: ArrayLike) -> Estimate:
    """Tucker's coefficient of congruence, a.b / sqrt(a.a b.b) (Tucker, 1951).

    Loadings are not centred: it is no correlation. It is blind to the length of either vector.

    Args:
        a: Loadings of the same items on one factor each, shape (items,).
        b: The same shape.

    Raises:
        ValueError: The shapes differ.
    """
    first, second = (np.asarray(v, dtype=np.float64).ravel() for v in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"{first.size} loadings cannot be compared with {second.size}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return undefined("a loading is missing")
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if min(lengths) < NO_LENGTH:
        return undefined("all loadings of a factor are zero")
    return Estimate(min(max(float(first @ second) / (lengths[0] * lengths[1]), -1.0), 1.0))


def congruence_matrix(loadings: ArrayLike, target: ArrayLike) -> Floats:
    """Tucker's phi of every factor with every target factor, shape (factors, target factors).

    NaN where a factor has no loadings other than zero, or one is missing.

    Args:
        loadings: Shape (items, factors).
        target: Shape (items, target factors): the same items in the same order.

    Raises:
        ValueError: The items differ in number.
    """
    moved, fixed = (np.asarray(v, dtype=np.float64) for v in (loadings, target))
    if moved.ndim != 2 or fixed.ndim != 2 or len(moved) != len(fixed):
        raise ValueError(f"loadings of shapes {moved.shape} and {fixed.shape} do not share items")
    products = moved.T @ fixed
    of_factors, of_target = np.linalg.norm(moved, axis=0), np.linalg.norm(fixed, axis=0)
    lengths = np.outer(
        np.where(of_factors < NO_LENGTH, np.nan, of_factors),
        np.where(of_target < NO_LENGTH, np.nan, of_target),
    )
    phi = products / lengths
    return np.asarray(np.clip(phi, -1.0, 1.0), dtype=np.float64)


def factor_congruence(loadings: ArrayLike, target: ArrayLike, *, rotate: bool = True) -> Congruence:
    """Match factors with those of a target, one to one, and say how congruent each pair is.

    The matching is the one that makes the sum of absolute coefficients largest. Rotation to the
    target favours likeness, the more so the more factors there are beside items; without it, the
    coefficients depend on how each solution was rotated.

    Args:
        loadings: Shape (items, factors).
        target: Shape (items, target factors): another group's loadings, or an ideal pattern of
            keys: 1 or -1 where an item belongs to a factor, else 0.
        rotate: Turn the loadings orthogonally to the target first (see `target_rotation`), which
            needs as many factors as the target has.

    Raises:
        ValueError: The items differ in number; or, to rotate, the factors do.
    """
    from scipy.optimize import linear_sum_assignment

    moved, fixed = (np.asarray(v, dtype=np.float64) for v in (loadings, target))
    if rotate:
        moved, _ = target_rotation(moved, fixed)
    table = congruence_matrix(moved, fixed)
    wanted = fixed.shape[1]
    matches = np.full(wanted, -1, dtype=np.intp)
    rows, columns = linear_sum_assignment(-np.nan_to_num(np.abs(table)))
    matches[columns] = rows
    signs = np.ones(wanted)
    coefficients: list[Estimate] = []
    for column, row in enumerate(matches):
        if row < 0:
            coefficients.append(undefined("there are fewer factors than in the target"))
        elif np.isnan(table[row, column]):
            coefficients.append(undefined("a loading is missing, or all of a factor are zero"))
        else:
            signs[column] = -1.0 if table[row, column] < 0 else 1.0
            coefficients.append(Estimate(abs(float(table[row, column]))))
    matched = matches >= 0
    overall = tucker_phi(moved[:, matches[matched]] * signs[matched], fixed[:, matched])
    return Congruence(tuple(coefficients), matches, signs, table, overall)


def congruence_of_answers(
    keyed: ArrayLike,
    target: ArrayLike,
    *,
    missing: MissingPairs = "pairwise",
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[Estimate, ...]:
    """Congruence of the factors of answers with a target, with intervals over rows.

    The answers are factored by minres into as many factors as the target has and turned to it.
    Resampling adds noise to factors, so resampled coefficients lie below the observed one, and
    their quantiles would make an interval that misses it. Only their spread is taken:
    tanh(atanh phi ± z SD(atanh phi*)) over resamples phi*.

    Args:
        keyed: Keyed answers, shape (respondents or administrations, items), NaN where missing.
        target: Shape (items, factors), see `factor_congruence`.
        missing: See `item_covariance`.
        confidence: Of the intervals.
        resamples: Each factors the answers anew, at some milliseconds; 0 for no intervals.
        seed: The same seed gives the same intervals.

    Returns:
        One coefficient for each target factor, in its order, and the overall one last. A negative
        one says that the factor runs against the target even after turning.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
        ValueError: The items of answers and target differ in number.
    """
    answers = as_answers(keyed)
    fixed = np.asarray(target, dtype=np.float64)
    if fixed.ndim != 2 or len(fixed) != answers.shape[1]:
        raise ValueError(f"a target of shape {fixed.shape} does not fit {answers.shape[1]} items")
    factors: int = fixed.shape[1]

    def coefficients_of(rows: NDArray[Any]) -> tuple[Estimate, ...]:
        matrix = item_covariance(rows, missing).correlation
        solution = exploratory_factor_analysis(matrix, factors, rotation="none")
        if solution.reason:
            return (undefined(solution.reason),) * (factors + 1)
        turned, _ = target_rotation(solution.loadings, fixed)
        each = [tucker_phi(turned[:, j], fixed[:, j]) for j in range(factors)]
        return (*each, tucker_phi(turned, fixed))

    observed = coefficients_of(answers)
    if resamples < 2:
        return observed
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, factors + 1))
    for resample in range(resamples):
        rows = answers[rng.integers(len(answers), size=len(answers))]
        drawn[resample] = [estimate.value for estimate in coefficients_of(rows)]
    return tuple(
        _spread_interval(estimate, values, confidence)
        for estimate, values in zip(observed, drawn.T, strict=True)
    )


def _spread_interval(estimate: Estimate, drawn: Floats, confidence: float) -> Estimate:
    from scipy.special import ndtri

    usable = drawn[np.isfinite(drawn) & (np.abs(drawn) < 1.0)]
    if math.isnan(estimate.value) or abs(estimate.value) >= 1.0:
        return estimate
    if usable.size < max(2.0, (1 - MOST_UNDEFINED) * drawn.size):
        lost = drawn.size - usable.size
        return estimate._replace(
            reason=f"no interval: {lost} of {drawn.size} resamples have no value"
        )
    width = float(ndtri((1 + confidence) / 2)) * float(np.arctanh(usable).std(ddof=1))
    centre = math.atanh(estimate.value)
    return Estimate(estimate.value, math.tanh(centre - width), math.tanh(centre + width))
