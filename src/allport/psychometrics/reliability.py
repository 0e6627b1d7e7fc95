"""Internal consistency, error of measurement and stability of scale scores.

Rows are whatever a score is to be consistent over: people, or the administrations of one model
(its conditions and personas). One row has no consistency: every figure is then NaN with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import (
    Covariance,
    MissingPairs,
    as_answers,
    covariance_of_scales,
    has_missing,
    item_covariance,
)
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import fisher_interval
from allport.psychometrics.intraclass import intraclass_correlations
from allport.psychometrics.scoring import scale_membership

__all__ = [
    "Alpha",
    "ItemStatistics",
    "RetestReliability",
    "alpha_standard_error",
    "cronbach_alpha",
    "feldt_interval",
    "item_statistics",
    "retest_reliability",
    "scale_alphas",
    "smallest_detectable_change",
    "spearman_brown",
    "standard_error_of_measurement",
]

Floats: TypeAlias = NDArray[np.float64]

# A total whose variance is this small beside the items' covariances is constant but for rounding.
NEGLIGIBLE = 1e-12


class Alpha(NamedTuple):
    """Cronbach's alpha of one scale."""

    raw: Estimate
    """From covariances, with Feldt's interval. Its n, where answers are missing, is the harmonic
    mean over pairs of items of the rows that have both."""
    standardised: Estimate
    """From correlations: alpha of the items at equal variance. No interval."""
    standard_error: float
    """Asymptotic standard error of the raw alpha, for the same n."""
    mean_correlation: float
    """Mean correlation between two items."""
    items: int
    rows: int
    """Respondents or administrations with an answer to any of the items (pairwise), or to all."""


class ItemStatistics(NamedTuple):
    """How each item does in its scale. Arrays have shape (items,)."""

    means: Floats
    standard_deviations: Floats
    answered: NDArray[np.int64]
    """Rows that answered the item."""
    item_rest: Floats
    """Correlation of the item with the sum of the others."""
    alpha_if_dropped: Floats
    """Raw alpha of the scale without the item."""
    reason: str
    """Why figures are NaN, where some are."""


class RetestReliability(NamedTuple):
    """Stability of scores over occasions."""

    correlation: Estimate
    """Mean correlation between two occasions; Fisher's interval where there are just two."""
    agreement: Estimate
    """ICC(A,1): absolute agreement of single occasions, which a shift of all scores lowers."""


def why_inconsistent(rows: int, items: int) -> str:
    """Why a table this small has no internal consistency, or "" where it can have one."""
    if rows < 3:
        there = "there is 1" if rows == 1 else f"there are {rows}"
        return f"reliability needs at least 3 respondents or administrations; {there}"
    if items < 2:
        return "a scale of one item has no internal consistency"
    return ""


def cronbach_alpha(
    keyed: ArrayLike, *, missing: MissingPairs = "pairwise", confidence: float = 0.95
) -> Alpha:
    """Cronbach's alpha of one scale, raw and standardised.

    With C the covariances of the k items, V = sum(C) and S = sum of their correlations:
    alpha = k / (k - 1) (1 - trace(C) / V); standardised, k / (k - 1) (1 - k / S).
    It may be negative: items then speak against each other, as a wrong key makes them do.
    (Cronbach, 1951, Psychometrika 16; interval: Feldt, 1965, Psychometrika 30.)

    Args:
        keyed: Keyed answers to the items of one scale, shape (rows, items), NaN where missing.
        missing: See `item_covariance`.
        confidence: Of the interval.

    Returns:
        NaN with the reason below three rows or two items, where the scale score does not vary, and
        where a pair of items shares fewer than two rows.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    return _alpha(item_covariance(keyed, missing), confidence)


def scale_alphas(
    keyed: ArrayLike,
    scales: Mapping[str, ArrayLike],
    *,
    missing: MissingPairs = "pairwise",
    confidence: float = 0.95,
) -> dict[str, Alpha]:
    """Cronbach's alpha of many scales; see `cronbach_alpha`.

    All scales share one matrix of covariances, so that time hardly depends on how many there are.

    Args:
        keyed: Keyed answers, shape (rows, items), NaN where missing.
        scales: Positions on the item axis of each scale's items, by the scale's name.
        missing: See `item_covariance`; rows are complete, or not, on each scale for itself.
        confidence: Of the intervals.
    """
    answers = as_answers(keyed)
    membership = scale_membership(scales, answers.shape[1])
    if missing != "pairwise" and has_missing(answers):
        return {
            name: cronbach_alpha(answers[:, inside], missing=missing, confidence=confidence)
            for name, inside in zip(scales, membership.T, strict=True)
        }
    shared, rows = covariance_of_scales(answers, membership, missing)
    alphas = {}
    for index, name in enumerate(scales):
        inside = membership[:, index]
        block = np.ix_(inside, inside)
        moments = Covariance(
            shared.covariance[block],
            shared.correlation[block],
            shared.means[inside],
            int(rows[index]),
            shared.counts[block],
        )
        alphas[name] = _alpha(moments, confidence)
    return alphas


def _alpha(moments: Covariance, confidence: float) -> Alpha:
    covariance, correlation = moments.covariance, moments.correlation
    items = covariance.shape[0]
    reason = why_inconsistent(moments.rows, items)
    if not reason and np.isnan(covariance).any():
        reason = "two items were never answered by the same two respondents"
    if not reason and _is_negligible(covariance):
        reason = f"the scale score does not vary over the {moments.rows} rows"
    if reason:
        return Alpha(undefined(reason), undefined(reason), math.nan, math.nan, items, moments.rows)

    alpha = items / (items - 1) * (1 - np.trace(covariance) / covariance.sum())
    pairs = np.triu_indices(items, 1)
    # The error of a covariance goes by 1 / n, and alpha takes all of them alike: so their n stand
    # together by the harmonic mean. The smallest would let one pair widen the interval of them all.
    rows = pairs[0].size / float((1 / moments.counts[pairs]).sum())
    low, high = feldt_interval(alpha, rows, items, confidence)
    error = alpha_standard_error(covariance, rows)
    constant = np.flatnonzero(np.isnan(np.diagonal(correlation)))
    if constant.size:
        columns = ", ".join(str(column + 1) for column in constant[:5])
        standardised = undefined(f"{constant.size} item(s) do not vary (column {columns})")
    elif np.isnan(correlation).any():
        standardised = undefined("two items do not vary over the rows that answered both")
    elif _is_negligible(correlation):
        standardised = undefined("the sum of the standardised items does not vary")
    else:
        standardised = Estimate(float(items / (items - 1) * (1 - items / correlation.sum())))
    return Alpha(
        Estimate(float(alpha), low, high),
        standardised,
        error,
        float(correlation[pairs].mean()),
        items,
        moments.rows,
    )


def _is_negligible(matrix: Floats) -> bool:
    return bool(matrix.sum() <= NEGLIGIBLE * np.abs(matrix).sum())


def alpha_standard_error(covariance: ArrayLike, rows: float) -> float:
    """Asymptotic standard error of the raw alpha, sqrt(Q / n).

    Q = 2 k^2 / ((k - 1)^2 V^3) [V (trace(C^2) + trace(C)^2) - 2 trace(C) sum(C^2)], with C^2 the
    matrix product. (van Zyl, Neudecker and Nel, 2000, Psychometrika 65.)

    Args:
        covariance: Of the k items, shape (k, k).
        rows: Respondents or administrations, n.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    items = matrix.shape[0]
    square = matrix @ matrix
    trace, total = np.trace(matrix), matrix.sum()
    spread = total * (np.trace(square) + trace**2) - 2 * trace * square.sum()
    variance = 2 * items**2 / ((items - 1) ** 2 * total**3) * spread / rows
    return float(math.sqrt(max(variance, 0.0)))


def feldt_interval(
    alpha: float, rows: float, items: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Feldt's interval of alpha: 1 - (1 - alpha) F at both tails, df n - 1 and (n - 1)(k - 1).

    Args:
        alpha: Raw alpha.
        rows: Respondents or administrations, n.
        items: Items of the scale, k.
        confidence: Of the interval.
    """
    from scipy.special import fdtri

    tail = (1 - confidence) / 2
    degrees = rows - 1, (rows - 1) * (items - 1)
    return (
        float(1 - (1 - alpha) * fdtri(*degrees, 1 - tail)),
        float(1 - (1 - alpha) * fdtri(*degrees, tail)),
    )


def item_statistics(keyed: ArrayLike, *, missing: MissingPairs = "pairwise") -> ItemStatistics:
    """Mean, spread, item-rest correlation and alpha without the item, for each item of a scale.

    With T the sum of all items, the item-rest correlation of item j is
    (cov(j, T) - var(j)) / sqrt(var(j) (V - 2 cov(j, T) + var(j))); alpha without it is the formula
    of `cronbach_alpha` on the remaining covariances.

    Args:
        keyed: Keyed answers to the items of one scale, shape (rows, items), NaN where missing.
        missing: See `item_covariance`.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    answers = as_answers(keyed)
    moments = item_covariance(answers, missing)
    covariance = moments.covariance
    items = covariance.shape[0]
    answered = np.full(items, moments.rows, dtype=np.int64)
    if missing == "pairwise" and answers.dtype.kind == "f":
        answered = (~np.isnan(answers)).sum(axis=0).astype(np.int64)
    reason = why_inconsistent(moments.rows, items)
    variances = np.diagonal(covariance)
    nothing = np.full(items, np.nan)
    if reason:
        return ItemStatistics(
            moments.means, np.sqrt(variances), answered, nothing, nothing.copy(), reason
        )
    with_total, total = covariance.sum(axis=1), covariance.sum()
    rest = total - 2 * with_total + variances
    scale = NEGLIGIBLE * np.abs(covariance).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        item_rest = (with_total - variances) / np.sqrt(variances * rest)
        dropped = nothing
        if items > 2:
            others = variances.sum() - variances
            dropped = (items - 1) / (items - 2) * (1 - others / rest)
    item_rest = np.where((rest > scale) & (variances > 0), item_rest, np.nan)
    dropped = np.where(rest > scale, dropped, np.nan)
    if np.isnan(covariance).any():
        reason = "two items were never answered by the same two respondents"
    elif np.isnan(item_rest).any():
        reason = "an item, or the sum of the others, does not vary"
    elif items == 2:
        reason = "a scale of two items has no alpha without one of them"
    return ItemStatistics(moments.means, np.sqrt(variances), answered, item_rest, dropped, reason)


def standard_error_of_measurement(standard_deviation: ArrayLike, reliability: ArrayLike) -> Floats:
    """SD sqrt(1 - reliability), in the units of the score.

    Args:
        standard_deviation: Of the scores, any shape.
        reliability: Alpha, omega, a retest correlation; broadcast against the SD.

    Returns:
        NaN where the reliability is NaN or above 1.
    """
    with np.errstate(invalid="ignore"):
        spread = np.asarray(standard_deviation, dtype=np.float64)
        return np.asarray(spread * np.sqrt(1 - np.asarray(reliability, dtype=np.float64)))


def smallest_detectable_change(standard_error: ArrayLike, confidence: float = 0.95) -> Floats:
    """The difference between two scores that errors of measurement alone seldom make.

    z sqrt(2) SEM, with z = 1.96 at 95 %. (de Vet et al., 2006, J Clin Epidemiol 59.)
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    return np.asarray(z * math.sqrt(2) * np.asarray(standard_error, dtype=np.float64))


def spearman_brown(reliability: ArrayLike, factor: float = 2.0) -> Floats:
    """Reliability of a test made `factor` times as long: f r / (1 + (f - 1) r)."""
    r = np.asarray(reliability, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(factor * r / (1 + (factor - 1) * r))


def retest_reliability(scores: ArrayLike, *, confidence: float = 0.95) -> RetestReliability:
    """Stability of scores over occasions: repeats, seeds, paraphrases, option orders.

    Args:
        scores: Shape (respondents or personas, occasions); rows with a missing score are left out.
        confidence: Of the intervals.

    Returns:
        NaN with the reason below three rows or two occasions, or where an occasion does not vary.
    """
    table = np.asarray(as_answers(scores), dtype=np.float64)
    table = table[~np.isnan(table).any(axis=1)]
    rows, occasions = table.shape
    agreement = intraclass_correlations(table, confidence=confidence).icc2.estimate
    if rows < 3:
        return RetestReliability(undefined(why_inconsistent(rows, 2)), agreement)
    if occasions < 2:
        return RetestReliability(
            undefined("stability needs at least 2 occasions; there is 1"), agreement
        )
    correlation = item_covariance(table).correlation
    pairs = correlation[np.triu_indices(occasions, 1)]
    if np.isnan(pairs).any():
        return RetestReliability(undefined("on an occasion the scores do not vary"), agreement)
    mean = float(pairs.mean())
    if occasions > 2:
        # Fisher's interval is for one correlation; these share occasions.
        reason = "no interval: correlations over more than two occasions depend on each other"
        return RetestReliability(Estimate(mean, reason=reason), agreement)
    return RetestReliability(fisher_interval(mean, rows, confidence), agreement)
