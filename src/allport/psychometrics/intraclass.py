"""Intraclass correlations: how far ratings, or repeated scores, agree on the same targets."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import as_answers, refuse_missing
from allport.psychometrics.estimate import Estimate, undefined

__all__ = ["IntraclassCorrelation", "IntraclassCorrelations", "intraclass_correlations"]

Floats: TypeAlias = NDArray[np.float64]


class IntraclassCorrelation(NamedTuple):
    """One intraclass correlation and the F test against zero."""

    estimate: Estimate
    f: float
    df1: float
    df2: float
    p: float


class IntraclassCorrelations(NamedTuple):
    """The six forms of Shrout and Fleiss, with McGraw and Wong's names."""

    icc1: IntraclassCorrelation
    """ICC(1,1): single ratings, each target rated by other raters."""
    icc2: IntraclassCorrelation
    """ICC(2,1), ICC(A,1): single ratings, absolute agreement of raters taken at random."""
    icc3: IntraclassCorrelation
    """ICC(3,1), ICC(C,1): single ratings, consistency of these raters."""
    icc1k: IntraclassCorrelation
    """ICC(1,k): the mean of all raters, each target rated by other raters."""
    icc2k: IntraclassCorrelation
    """ICC(2,k), ICC(A,k): the mean of all raters, absolute agreement."""
    icc3k: IntraclassCorrelation
    """ICC(3,k), ICC(C,k): the mean of all raters, consistency; equals Cronbach's alpha."""
    targets: int
    raters: int


def intraclass_correlations(
    ratings: ArrayLike,
    *,
    missing: Literal["listwise", "refuse"] = "listwise",
    confidence: float = 0.95,
) -> IntraclassCorrelations:
    """The six intraclass correlations with F tests and intervals.

    With mean squares between targets B, within targets W, between raters J and residual E, over n
    targets and k raters: ICC1 = (B - W) / (B + (k - 1) W);
    ICC2 = (B - E) / (B + (k - 1) E + k (J - E) / n); ICC3 = (B - E) / (B + (k - 1) E); of means,
    (B - W) / B, (B - E) / (B + (J - E) / n) and (B - E) / B. Intervals are exact under normality,
    for agreement by Satterthwaite's approximation.
    (Shrout and Fleiss, 1979, Psychol Bull 86; McGraw and Wong, 1996, Psychol Methods 1.)

    Args:
        ratings: Shape (targets, raters). Targets may be people or personas and raters occasions;
            or targets rows and raters items, as in reliability.
        missing: "listwise" leaves out targets with a missing rating; "refuse" raises.
        confidence: Of the intervals.

    Returns:
        NaN with the reason below three targets or two raters, or where the ratings do not vary. F
        is infinite where nothing is left beside targets and raters, and NaN if targets do not
        differ either. Agreement (ICC2) has no interval where targets do not differ in their means.

    Raises:
        ResponsesError: Ratings are missing and `missing` is "refuse".
    """
    table = np.asarray(as_answers(ratings), dtype=np.float64)
    if missing == "refuse":
        refuse_missing(table, "listwise")
    table = table[~np.isnan(table).any(axis=1)]
    targets, raters = table.shape
    reason = ""
    if targets < 3:
        reason = f"an intraclass correlation needs at least 3 complete targets; there are {targets}"
    elif raters < 2:
        reason = "an intraclass correlation needs at least 2 ratings of each target"
    elif np.ptp(table) == 0:
        reason = "the ratings do not vary"
    if reason:
        none = IntraclassCorrelation(undefined(reason), math.nan, math.nan, math.nan, math.nan)
        return IntraclassCorrelations(none, none, none, none, none, none, targets, raters)
    return _from_mean_squares(_mean_squares(table), targets, raters, confidence)


class _MeanSquares(NamedTuple):
    between: float
    within: float
    raters: float
    error: float


def _mean_squares(table: Floats) -> _MeanSquares:
    targets, raters = table.shape
    # Any origin will do; this one keeps the digits of scores far from zero.
    table = table - table.mean()
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    return _MeanSquares(
        between=float(raters * np.square(rows).sum() / (targets - 1)),
        within=float(np.square(table - rows).sum() / (targets * (raters - 1))),
        raters=float(targets * np.square(columns).sum() / (raters - 1)),
        error=float(np.square(table - rows - columns).sum() / ((targets - 1) * (raters - 1))),
    )


def _from_mean_squares(
    squares: _MeanSquares, n: int, k: int, confidence: float
) -> IntraclassCorrelations:
    between, within, raters, error = squares
    # What is left where targets, raters or residuals do not differ is rounding.
    negligible = 1e-14 * (between + raters + error)
    between, raters, error = (
        square if square > negligible else 0.0 for square in (between, raters, error)
    )
    if within <= 1e-14 * (between + within):
        within = 0.0
    one = _Test(between, within, n - 1, n * (k - 1), confidence)
    two = _Test(between, error, n - 1, (n - 1) * (k - 1), confidence)
    agreement = _ratio(between - error, between + (k - 1) * error + k * (raters - error) / n)
    low, high = _agreement_interval(agreement, between, raters, error, n, k, confidence)

    def lengthened(r: float) -> float:
        return r * k / (1 + r * (k - 1))

    return IntraclassCorrelations(
        icc1=one.result(_ratio(between - within, between + (k - 1) * within), *one.single(k)),
        icc2=two.result(agreement, low, high),
        icc3=two.result(_ratio(between - error, between + (k - 1) * error), *two.single(k)),
        icc1k=one.result(_ratio(between - within, between), *one.mean()),
        icc2k=two.result(
            _ratio(between - error, between + (raters - error) / n),
            lengthened(low),
            lengthened(high),
        ),
        icc3k=two.result(_ratio(between - error, between), *two.mean()),
        targets=n,
        raters=k,
    )


class _Test:
    """An F test of the spread between targets, and the intervals that come of inverting it."""

    def __init__(self, above: float, below: float, df1: int, df2: int, confidence: float) -> None:
        from scipy.special import fdtrc, fdtri

        self.df1, self.df2 = float(df1), float(df2)
        self.f = above / below if below > 0 else math.inf if above > 0 else math.nan
        self.p = 0.0 if math.isinf(self.f) else float(fdtrc(df1, df2, self.f))
        upper = (1 + confidence) / 2
        self.low = self.f / float(fdtri(df1, df2, upper))
        self.high = self.f * float(fdtri(df2, df1, upper))

    def single(self, k: int) -> tuple[float, float]:
        if math.isinf(self.f):
            return 1.0, 1.0
        return (self.low - 1) / (self.low + k - 1), (self.high - 1) / (self.high + k - 1)

    def mean(self) -> tuple[float, float]:
        # With F = 0 (targets do not differ) the coefficient has no lower end.
        if self.f == 0:
            return math.nan, math.nan
        return 1 - 1 / self.low, 1 - 1 / self.high

    def result(self, value: float, low: float, high: float) -> IntraclassCorrelation:
        reason = "the targets do not differ in their means"
        if math.isnan(value):
            estimate = undefined(reason)
        elif math.isnan(low):
            estimate = Estimate(value, reason=f"no interval: {reason}")
        else:
            estimate = Estimate(value, low, high)
        return IntraclassCorrelation(estimate, self.f, self.df1, self.df2, self.p)


def _ratio(above: float, below: float) -> float:
    return above / below if below != 0 else math.nan


def _agreement_interval(
    icc: float, between: float, raters: float, error: float, n: int, k: int, confidence: float
) -> tuple[float, float]:
    """Interval of ICC(2,1), whose denominator mixes three mean squares; none if B is 0."""
    from scipy.special import fdtri

    if between == 0:
        return math.nan, math.nan
    if raters == error == 0:
        return 1.0, 1.0
    # Degrees of freedom of the mixture, with its two parts multiplied by E, which may be 0.
    from_raters = k * icc * raters
    from_error = (n * (1 + (k - 1) * icc) - k * icc) * error
    degrees = (k - 1) * (n - 1) * (from_raters + from_error) ** 2
    degrees /= (n - 1) * from_raters**2 + from_error**2
    upper = (1 + confidence) / 2
    f_low, f_high = float(fdtri(n - 1, degrees, upper)), float(fdtri(degrees, n - 1, upper))
    other = k * raters + (k * n - k - n) * error
    return (
        n * (between - f_low * error) / (f_low * other + n * between),
        n * (f_high * between - error) / (other + n * f_high * between),
    )
