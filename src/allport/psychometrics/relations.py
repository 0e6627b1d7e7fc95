"""How scales of one table of answers go together, every figure drawn anew in one bootstrap.

One draw of rows gives alphas, correlations, correlations without error of measurement and
heterotrait-monotrait ratios of all scales at once, from sums of items alone: with z the
standardised items, the mean correlation between the items of two scales is the covariance of their
mean z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import MOST_UNDEFINED, percentile_interval

__all__ = ["ScaleRelations", "scale_relations"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScaleRelations:
    """Figures of every two scales, by their positions (first, second) with first < second."""

    correlation: dict[tuple[int, int], Estimate]
    disattenuated: dict[tuple[int, int], Estimate]
    """Over the geometric mean of the two alphas (Spearman, 1904)."""
    htmt: dict[tuple[int, int], Estimate]
    """Heterotrait-monotrait ratio (Henseler, Ringle & Sarstedt, 2015, J. Acad. Marketing Science
    43): the mean correlation of items of different scales over the geometric mean of the two mean
    correlations within scales. It estimates the correlation of what the scales measure; they are
    told apart where it is below .85 or its interval below 1."""
    criterion: tuple[Estimate, ...]
    """Correlation of each scale with its criterion; empty without one."""


class _Figures(NamedTuple):
    """What one table of rows gives; NaN where a figure has no value. Squares are scales x scales,
    and `criterion` has shape (scales,).
    """

    correlation: Floats
    disattenuated: Floats
    htmt: Floats
    criterion: Floats


def scale_relations(
    scales: Sequence[ArrayLike],
    criterion: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ScaleRelations:
    """Relate scales over the same rows, with percentile intervals over rows.

    Items that do not vary have no correlations and count in no mean of them.

    Args:
        scales: One or more, keyed answers to the items of each, shape (rows, items), none missing.
        criterion: What the score of each scale is set against, shape (rows, scales), none missing.
        confidence: Of the intervals.
        resamples: How often rows are drawn anew; 0 for no intervals.
        seed: The same seed gives the same intervals.

    Raises:
        ResponsesError: An answer or a number of the criterion is missing.
        ValueError: There is no scale, or scales and criterion differ in their rows.
    """
    tables = [np.asarray(scale, dtype=np.float64) for scale in scales]
    if not tables:
        raise ValueError("There are no scales to relate; give one or more.")
    rows = len(tables[0])
    outside = np.zeros((rows, 0)) if criterion is None else np.asarray(criterion, dtype=np.float64)
    if any(table.ndim != 2 or len(table) != rows for table in (*tables, outside)):
        raise ValueError("scales and criterion are tables of the same rows")
    if any(np.isnan(table).any() for table in tables):
        raise ResponsesError("Scales with missing answers cannot be related; complete them first.")
    if np.isnan(outside).any():
        raise ResponsesError(
            "The criterion is missing in some rows; leave these out of scales and criterion."
        )
    items = np.hstack(tables)
    member = np.repeat(np.arange(len(tables)), [table.shape[1] for table in tables])
    membership = (member[:, None] == np.arange(len(tables))).astype(np.float64)
    observed = _figures(items, membership, outside)
    rng = np.random.default_rng(seed)
    drawn = [
        _figures(items[kept], membership, outside[kept])
        for kept in (rng.integers(rows, size=rows) for _ in range(resamples))
    ]
    found: dict[str, dict[tuple[int, int], Estimate]] = {}
    pairs = [(a, b) for a in range(len(tables)) for b in range(a + 1, len(tables))]
    for name in ("correlation", "disattenuated", "htmt"):
        values = getattr(observed, name)
        draws = np.array([getattr(each, name) for each in drawn]).reshape(resamples, *values.shape)
        found[name] = {
            (a, b): _estimate(
                values[a, b], draws[:, a, b], _why(name, tables[a], tables[b]), confidence
            )
            for a, b in pairs
        }
    against = np.array([each.criterion for each in drawn]).reshape(resamples, outside.shape[1])
    return ScaleRelations(
        found["correlation"],
        found["disattenuated"],
        found["htmt"],
        tuple(
            _estimate(value, against[:, n], "the score or its criterion does not vary", confidence)
            for n, value in enumerate(observed.criterion)
        ),
    )


def _figures(items: Floats, membership: Floats, criterion: Floats) -> _Figures:
    counts = membership.sum(axis=0)
    centred = items - items.mean(axis=0)
    variances = (centred**2).sum(axis=0)
    varies = _varying(items, variances)
    centred, variances = centred * varies, variances * varies
    sums = centred @ membership
    between = sums.T @ sums
    total = np.diag(between).copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        total[total <= 0] = np.nan
        correlation = between / np.sqrt(np.outer(total, total))
        alpha = counts / (counts - 1) * (1 - variances @ membership / total)
        alpha[(counts < 2) | ~(alpha > 0)] = np.nan
        disattenuated = correlation / np.sqrt(np.outer(alpha, alpha))
        z = np.where(varies, centred / np.sqrt(np.where(varies, variances, 1)), 0.0) @ membership
        known = varies.astype(np.float64) @ membership
        products = z.T @ z
        means = products / np.outer(known, known)
        within = (np.diag(products) - known) / (known * (known - 1))
        within[(known < 2) | ~(within > 0)] = np.nan
        htmt = means / np.sqrt(np.outer(within, within))
        outside = criterion - criterion.mean(axis=0)
        spread = np.sqrt((outside**2).sum(axis=0))
        spread[spread <= 1e-12] = np.nan
        own = sums[:, : criterion.shape[1]]
        against = (own * outside).sum(axis=0) / (spread * np.sqrt(total[: criterion.shape[1]]))
    return _Figures(correlation, disattenuated, htmt, against)


def _varying(items: Floats, squares: Floats) -> NDArray[np.bool_]:
    """Which items vary, from their squared deviations; what rounding leaves is no variance."""
    return np.asarray(squares > 1e-12 * np.maximum((items**2).sum(axis=0), 1e-300))


def _why(name: str, first: Floats, second: Floats) -> str:
    """Why a figure of two scales has no value, should it have none."""
    for table in (first, second):
        if np.ptp(table.sum(axis=1)) <= 1e-12:
            return "the score of a scale does not vary"
        if name != "correlation" and table.shape[1] < 2:
            return (
                "a scale of one item has no internal consistency"
                if name == "disattenuated"
                else "a scale of one item has no correlations within"
            )
        if name == "htmt" and _varying(table, len(table) * table.var(axis=0)).sum() < 2:
            return "fewer than two items of a scale vary"
    if name == "disattenuated":
        return "the alpha of a scale is not above 0"
    return "the items of a scale do not correlate positively on average"


def _estimate(value: float, draws: Floats, why: str, confidence: float) -> Estimate:
    if np.isnan(value):
        return undefined(why)
    usable = draws[~np.isnan(draws)]
    if not draws.size:
        return Estimate(float(value))
    if usable.size < (1 - MOST_UNDEFINED) * draws.size:
        lost = draws.size - usable.size
        return Estimate(
            float(value), reason=f"no interval: {lost} of {draws.size} resamples have no value"
        )
    return Estimate(float(value), *percentile_interval(usable, confidence))
