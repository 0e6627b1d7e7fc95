"""Correlations between measures, and what they would be without error of measurement."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import PERFECT, IntervalMethod, bootstrap, fisher_interval

__all__ = [
    "CorrelationInterval",
    "correlate",
    "correlation_table",
    "disattenuated_correlation",
]

Floats: TypeAlias = NDArray[np.float64]
CorrelationInterval: TypeAlias = Literal["fisher", "bootstrap", "none"]
Ranking: TypeAlias = Literal["pearson", "spearman"]


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: Ranking = "pearson",
    interval: CorrelationInterval = "fisher",
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Correlation of two measures over those who have both.

    Args:
        x: Scores, shape (respondents or administrations,), NaN where missing.
        y: The same shape.
        kind: "pearson", or "spearman" for ranks, ties taking their mean rank.
        interval: "fisher" is tanh(atanh r ± z / sqrt(n - 3)), for ranks with the wider standard
            error sqrt((1 + r^2 / 2) / (n - 3)) (Bonett & Wright, 2000, Psychometrika 65); both
            take rows as independent. "bootstrap" does not assume normal scores, and can draw
            whole clusters.
        clusters: Label of each row's cluster, for the bootstrap only.
        method: See `bootstrap`.
        confidence: Of the interval.
        resamples: See `bootstrap`.
        seed: See `bootstrap`.

    Returns:
        NaN with the reason below three pairs, or where either does not vary over them.

    Raises:
        ValueError: The lengths differ, or clusters were given for an interval that ignores them.
    """
    first, second = (np.asarray(v, dtype=np.float64) for v in (x, y))
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"scores of shapes {first.shape} and {second.shape} do not pair up")
    if kind not in ("pearson", "spearman") or interval not in ("fisher", "bootstrap", "none"):
        raise ValueError(f"no {kind!r} correlation with interval {interval!r} is known")
    if clusters is not None and interval == "fisher":
        raise ValueError("Fisher's interval takes rows as independent; ask for the bootstrap")
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    if first.size < 3:
        return undefined(f"{first.size} pairs of scores are too few for a correlation")
    for name, scores in (("first", first), ("second", second)):
        if _is_constant(scores):
            return undefined(f"the {name} measure does not vary over the {first.size} pairs")
    r = _correlation(first, second, kind)
    if interval == "none":
        return Estimate(r)
    if interval == "bootstrap":
        return bootstrap(
            lambda a, b: _correlation(a, b, kind),
            first,
            second,
            clusters=None if clusters is None else np.asarray(clusters)[both],
            method=method,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
    if kind == "pearson" or first.size < 4 or abs(r) >= PERFECT:
        return fisher_interval(r, first.size, confidence)
    from scipy.special import ndtri

    error = math.sqrt((1 + r**2 / 2) / (first.size - 3))
    width = float(ndtri((1 + confidence) / 2)) * error
    return Estimate(r, math.tanh(math.atanh(r) - width), math.tanh(math.atanh(r) + width))


def correlation_table(
    scores: ArrayLike, *, kind: Ranking = "pearson", confidence: float = 0.95
) -> tuple[tuple[Estimate, ...], ...]:
    """Correlations of every measure with every other, each over those who have both.

    Args:
        scores: Shape (respondents or administrations, measures), NaN where missing.
        kind: See `correlate`.
        confidence: Of Fisher's intervals.

    Returns:
        Rows of a square table; the diagonal is 1 where a measure varies.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"scores have shape {table.shape}; (rows, measures) is needed")
    measures = table.shape[1]
    cells: dict[tuple[int, int], Estimate] = {}
    for i in range(measures):
        for j in range(i, measures):
            cell = correlate(table[:, i], table[:, j], kind=kind, confidence=confidence)
            if i == j and not math.isnan(cell.value):
                cell = Estimate(1.0, 1.0, 1.0)
            cells[i, j] = cells[j, i] = cell
    return tuple(tuple(cells[i, j] for j in range(measures)) for i in range(measures))


def disattenuated_correlation(
    correlation: Estimate | float, reliability_x: float, reliability_y: float
) -> Estimate:
    """Correlation of true scores, r / sqrt(reliability_x reliability_y) (Spearman, 1904).

    The limits of `correlation` are divided alike, which takes the reliabilities as known. Values
    beyond ±1 are not cut off: they say that a reliability is underestimated, or that errors are
    shared.

    Args:
        correlation: Of the observed scores, with its interval if it has one.
        reliability_x: Above 0, at most 1.
        reliability_y: The same.
    """
    observed = correlation if isinstance(correlation, Estimate) else Estimate(float(correlation))
    if math.isnan(observed.value):
        return undefined(observed.reason or "the correlation is missing")
    for reliability in (reliability_x, reliability_y):
        if math.isnan(reliability):
            return undefined("a reliability is missing")
        if not 0 < reliability <= 1:
            return undefined(f"a reliability of {reliability:.3g} is not above 0 and at most 1")
    scale = math.sqrt(reliability_x * reliability_y)
    return Estimate(
        observed.value / scale, observed.low / scale, observed.high / scale, observed.reason
    )


def _correlation(x: Floats, y: Floats, kind: Ranking) -> float:
    """NaN where either does not vary, as can happen to resamples."""
    if kind == "spearman":
        from scipy.stats import rankdata

        x, y = rankdata(x), rankdata(y)
    if _is_constant(x) or _is_constant(y):
        return math.nan
    first, second = x - x.mean(), y - y.mean()
    length = math.sqrt(float(first @ first)) * math.sqrt(float(second @ second))
    return min(max(float(first @ second) / length, -1.0), 1.0)


def _is_constant(scores: Floats) -> bool:
    """Whether scores differ by no more than rounding."""
    return bool(np.ptp(scores) <= 1e-12 * np.abs(scores).max())
