"""Intervals by the bootstrap, over units or clusters of units, and Fisher's for a correlation.

Means over few units have Student's interval instead, since a bootstrap of few is too narrow.

The unit is what was sampled and would be drawn anew: people, items, scenes. Clusters are units that
belong together, such as the paraphrases of one statement, and are drawn as a whole.

Two ways to say what is computed: `bootstrap` takes any function of resampled arrays; and
`weighted_bootstrap` takes a function of weights (how often each unit was drawn), which is hundreds
of times as fast for anything made of sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import UsageError
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.unit_means import FEWEST_DRAWN, error_of_mean, student_interval

__all__ = [
    "IntervalMethod",
    "bca_interval",
    "bootstrap",
    "fisher_interval",
    "mean_interval",
    "percentile_interval",
    "ratio_interval",
    "weighted_bootstrap",
]

Floats: TypeAlias = NDArray[np.float64]
IntervalMethod: TypeAlias = Literal["bca", "percentile"]

# Numbers held at once while resampling: 32 MB of float64.
BATCH_NUMBERS = 4_000_000
# Acceleration is estimated by leaving out units one at a time, or this many groups of units.
MOST_JACKKNIFE_GROUPS = 500
# An interval from resamples of which more than this share had no value would mislead.
MOST_UNDEFINED = 0.05
# A correlation from here on, of either sign, differs from 1 by rounding.
PERFECT = 1 - 1e-12


def bootstrap(
    statistic: Callable[..., float],
    *samples: ArrayLike,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """A statistic with its bootstrap interval, for any statistic.

    Args:
        statistic: Called as `statistic(*samples)`; returns a number, NaN where it has none.
        samples: Arrays whose first axis is the units, the same units in each: they are resampled
            together.
        clusters: Label of the cluster of each unit, shape (units,); whole clusters are drawn.
        method: "bca" (bias-corrected and accelerated; Efron, 1987, JASA 82) or "percentile".
        confidence: Of the interval.
        resamples: How often to resample.
        seed: The same seed gives the same interval.

    Returns:
        NaN with the reason where the statistic has no value on the samples. Where only the interval
        cannot be had (one unit, or a statistic that never varies) it is NaN, and the reason says
        so.

    Raises:
        UsageError: Samples or clusters differ in length, or an option is out of its range.
    """
    arrays = [np.asarray(sample) for sample in samples]
    if not arrays or any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays):
        raise UsageError("Bootstrap samples need the same units on their first axis.")
    groups = _cluster_index(clusters, len(arrays[0]))
    drawable = int(groups.max()) + 1 if groups.size else 0
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])

    def value_of(drawn: NDArray[Any]) -> float:
        units = drawn if clusters is None else np.concatenate([members[index] for index in drawn])
        return float(statistic(*(array[units] for array in arrays)))

    def values_of(weights: Floats) -> Floats:
        every = np.arange(drawable)
        counts = weights.astype(np.intp)
        return np.array([value_of(np.repeat(every, row)) for row in counts])

    return _interval(values_of, drawable, method, confidence, resamples, seed)


def weighted_bootstrap(
    statistic: Callable[[Floats], Floats],
    units: int,
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    numbers_per_resample: int = 0,
) -> Estimate:
    """A statistic of weighted units with its bootstrap interval.

    Args:
        statistic: Takes weights of shape (resamples, units), how often each unit was drawn, and
            returns the statistic under each, shape (resamples,).
        units: How many there are.
        clusters: As for `bootstrap`.
        method: As for `bootstrap`.
        confidence: As for `bootstrap`.
        resamples: As for `bootstrap`.
        seed: As for `bootstrap`.
        numbers_per_resample: How many numbers the statistic holds for one resample, where that is
            more than `units`; batches are kept small accordingly.

    Returns:
        As `bootstrap`.

    Raises:
        UsageError: Clusters do not fit the units, or an option is out of its range.
    """
    groups = _cluster_index(clusters, units)
    drawable = int(groups.max()) + 1 if groups.size else 0

    def values_of(weights: Floats) -> Floats:
        spread = weights if clusters is None else weights[:, groups]
        return np.asarray(statistic(spread), dtype=np.float64)

    size = max(units, numbers_per_resample)
    return _interval(values_of, drawable, method, confidence, resamples, seed, size)


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Ratio of two sums over units, sum(numerators) / sum(denominators), with its interval.

    Rates and slopes are ratios of sums: flips over comparisons, products over squares. Units with a
    NaN are left out.

    Args:
        numerators: Shape (units,).
        denominators: Shape (units,).
        clusters: As for `bootstrap`.
        method: As for `bootstrap`.
        confidence: As for `bootstrap`.
        resamples: As for `bootstrap`.
        seed: As for `bootstrap`.

    Returns:
        As `bootstrap`; NaN with the reason where the denominators sum to zero.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    if above.ndim != 1 or above.shape != below.shape:
        raise UsageError(
            f"Numerators of shape {above.shape} and denominators of shape {below.shape} "
            "are not over the same units."
        )
    known = ~(np.isnan(above) | np.isnan(below))
    groups = None if clusters is None else _cluster_index(clusters, above.size)[known]
    above, below = above[known], below[known]

    def ratio(weights: Floats) -> Floats:
        total = weights @ below
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total != 0, weights @ above / total, np.nan)

    return weighted_bootstrap(
        ratio,
        above.size,
        clusters=groups,
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def mean_interval(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """Mean of units with its interval; NaN values are left out.

    With clusters, it is the mean of all units, not of the cluster means. Over 15 units or more, or
    clusters of them, the interval is that of `bootstrap`. Over fewer it is Student's, whatever the
    method, since a bootstrap of few units is too narrow: mean ± t sd / sqrt(units), with units - 1
    degrees of freedom. A cluster then counts as one unit; see
    `allport.psychometrics.unit_means.error_of_mean`.

    Args:
        values: Shape (units,).
        clusters: As for `bootstrap`.
        method: As for `bootstrap`.
        confidence: Of the interval.
        resamples: As for `bootstrap`; 0 leaves Student's interval out, too.
        seed: As for `bootstrap`.
        limits: Lowest and highest mean there can be, at which Student's interval is cut; resampled
            means never pass them.

    Returns:
        As `bootstrap`.

    Raises:
        UsageError: As for `bootstrap`, or values are not one for each unit.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(f"Values of shape {array.shape} are not one for each unit.")
    known = ~np.isnan(array)
    groups = None if clusters is None else _cluster_index(clusters, array.size)[known]
    array = array[known]
    units = array.size if groups is None else np.unique(groups).size
    if resamples and 2 <= units < FEWEST_DRAWN:
        _refuse_options(method, confidence, resamples)
        mean, error = float(array.mean()), error_of_mean(array, groups)
        if math.isnan(error):
            reason = "no interval: every unit has the same value, which tells nothing of its error"
            return Estimate(mean, reason=reason)
        ends = student_interval(mean, error, units, confidence=confidence, limits=limits)
        return Estimate(mean, *ends)
    return ratio_interval(
        array,
        np.ones_like(array),
        clusters=groups,
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def percentile_interval(distribution: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Quantiles of a bootstrap distribution, shape (resamples,), at both tails."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(distribution, dtype=np.float64), (tail, 1 - tail))
    return float(low), float(high)


def bca_interval(
    distribution: ArrayLike, observed: float, jackknife: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron, 1987, JASA 82).

    The quantiles taken are Phi(z0 + (z0 + z) / (1 - a (z0 + z))), with z0 the normal quantile of
    the share of resamples below what was observed (ties count half), and
    a = sum d^3 / (6 (sum d^2)^1.5) over d = mean(jackknife) - jackknife.

    Args:
        distribution: The statistic on resamples, shape (resamples,).
        observed: The statistic on the sample.
        jackknife: The statistic with each unit, or group of units, left out.
        confidence: Of the interval.
    """
    from scipy.special import ndtr, ndtri

    values = np.asarray(distribution, dtype=np.float64)
    below = ((values < observed).sum() + 0.5 * (values == observed).sum()) / values.size
    # All resamples on one side give no finite correction; half a resample stands for the rest.
    below = min(max(below, 0.5 / values.size), 1 - 0.5 / values.size)
    bias = float(ndtri(below))
    left_out = np.asarray(jackknife, dtype=np.float64)
    deviations = left_out.sum() / max(left_out.size, 1) - left_out
    power = np.square(deviations).sum() ** 1.5
    acceleration = float((deviations**3).sum() / (6 * power)) if power > 0 else 0.0
    z = ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    levels = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(values, levels)
    return float(low), float(high)


def fisher_interval(correlation: float, rows: int, confidence: float = 0.95) -> Estimate:
    """A product-moment correlation with Fisher's interval, tanh(atanh r ± z / sqrt(n - 3)).

    Args:
        correlation: -1 to 1.
        rows: Pairs of values it was computed over, n; below 4 there is no interval.
        confidence: Of the interval.

    Returns:
        NaN with the reason where the correlation is NaN; no interval but the reason below four
        rows, and at -1 and 1, where the formula has none and the rows tell nothing of others.
    """
    from scipy.special import ndtri

    if math.isnan(correlation):
        return undefined("a correlation needs two things that vary")
    if rows < 4:
        return Estimate(correlation, reason=f"no interval from {rows} rows: at least 4 are needed")
    if abs(correlation) >= PERFECT:
        reason = "no interval: a correlation of 1 or -1 tells nothing of its error"
        return Estimate(correlation, reason=reason)
    centre = math.atanh(correlation)
    width = float(ndtri((1 + confidence) / 2)) / math.sqrt(rows - 3)
    return Estimate(correlation, math.tanh(centre - width), math.tanh(centre + width))


def _cluster_index(clusters: ArrayLike | None, units: int) -> NDArray[np.intp]:
    """Index of the thing drawn, a unit or its cluster, for each unit. Shape (units,)."""
    if clusters is None:
        return np.arange(units)
    labels = np.asarray(clusters)
    if labels.shape != (units,):
        raise UsageError(f"Clusters of shape {labels.shape} do not label {units} units.")
    return np.unique(labels, return_inverse=True)[1].ravel()


def _refuse_options(method: str, confidence: float, resamples: int) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"A confidence of {confidence} is not between 0 and 1; try 0.95.")
    if resamples < 0 or method not in ("bca", "percentile"):
        raise UsageError(f"No interval by {method!r} with {resamples} resamples can be made.")


def _interval(
    values_of: Callable[[Floats], Floats],
    drawable: int,
    method: IntervalMethod,
    confidence: float,
    resamples: int,
    seed: int,
    numbers_per_resample: int = 1,
) -> Estimate:
    """The statistic and its interval, from its values under weights of shape (..., drawable)."""
    _refuse_options(method, confidence, resamples)
    if drawable == 0:
        return undefined("there is nothing to compute it from")
    observed = float(values_of(np.ones((1, drawable)))[0])
    if math.isnan(observed):
        return undefined("the statistic has no value on these answers")
    if resamples == 0:
        return Estimate(observed)
    if drawable < 2:
        return Estimate(observed, reason="no interval from a single unit")
    rng = np.random.default_rng(seed)
    batch = max(1, BATCH_NUMBERS // max(numbers_per_resample, drawable))
    chances = np.full(drawable, 1 / drawable)
    parts = [
        values_of(
            rng.multinomial(drawable, chances, size=min(batch, resamples - done)).astype(np.float64)
        )
        for done in range(0, resamples, batch)
    ]
    distribution = np.concatenate(parts)
    usable = distribution[~np.isnan(distribution)]
    if usable.size < (1 - MOST_UNDEFINED) * resamples:
        lost = resamples - usable.size
        return Estimate(
            observed, reason=f"no interval: {lost} of {resamples} resamples have no value"
        )
    if np.ptp(usable) <= 1e-12 * max(abs(observed), 1e-300):
        return Estimate(observed, reason="no interval: the statistic is the same on every resample")
    if method == "percentile":
        return Estimate(observed, *percentile_interval(usable, confidence))
    left_out = _jackknife(values_of, drawable, batch, rng)
    left_out = left_out[~np.isnan(left_out)]
    return Estimate(observed, *bca_interval(usable, observed, left_out, confidence))


def _jackknife(
    values_of: Callable[[Floats], Floats],
    drawable: int,
    batch: int,
    rng: np.random.Generator,
) -> Floats:
    """The statistic with each unit left out, or each of a few hundred groups of units.

    Groups leave the acceleration what it is: a group's influence is the sum of its units', and both
    sums in the formula grow with the number of units, however they are grouped.
    """
    groups = np.arange(drawable)
    if drawable > MOST_JACKKNIFE_GROUPS:
        groups = rng.permutation(drawable) % MOST_JACKKNIFE_GROUPS
    count = int(groups.max()) + 1
    parts = []
    for start in range(0, count, batch):
        left_out = np.arange(start, min(start + batch, count))
        parts.append(values_of((groups[None, :] != left_out[:, None]).astype(np.float64)))
    return np.concatenate(parts)
