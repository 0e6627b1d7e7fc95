"""Resampling people once for all figures of a benchmark, so that they compare in pairs.

Means over few people have Student's interval instead, since a bootstrap of few is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import UsageError
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import (
    BATCH_NUMBERS,
    MOST_JACKKNIFE_GROUPS,
    MOST_UNDEFINED,
    bca_interval,
)
from allport.psychometrics.unit_means import FEWEST_DRAWN, student_interval

__all__ = ["FEWEST_CORRELATED", "PeopleBootstrap", "Resampled"]

Floats = NDArray[np.float64]

FEWEST_CORRELATED = 3
"""Fewer people than this have no correlation."""
_MOST_KEPT = 20_000_000
"""Weights kept between figures, 160 MB; with more people they are drawn anew each time."""


class Resampled(NamedTuple):
    """Statistics on the sample, on each resample and without each person, K of them."""

    observed: Floats
    """Shape (K,)."""
    draws: Floats
    """Shape (resamples, K)."""
    left_out: Floats
    """With each person, or group of people, left out: shape (groups, K)."""
    deviations: Floats
    """How far each person draws a mean, shape (people, K): the standard error of the mean is the
    root of the sum of their squares. NaN, shape (1, K), for statistics that are no means."""
    people: Floats
    """People that each mean is over, the fewest where means were put together; NaN for statistics
    that are no means. Shape (K,)."""

    def minus(self, other: Resampled) -> Resampled:
        """The differences of statistics that were resampled together."""
        return Resampled(
            observed=self.observed - other.observed,
            draws=self.draws - other.draws,
            left_out=self.left_out - other.left_out,
            deviations=self.deviations - other.deviations,
            people=np.minimum(self.people, other.people),
        )

    def total(self) -> Resampled:
        """The sum of the statistics, as a single one."""
        return Resampled(
            observed=self.observed.sum(keepdims=True),
            draws=self.draws.sum(axis=1, keepdims=True),
            left_out=self.left_out.sum(axis=1, keepdims=True),
            deviations=self.deviations.sum(axis=1, keepdims=True),
            people=self.people.min(keepdims=True),
        )

    def mean(self) -> Resampled:
        """The mean of the statistics, as a single one."""
        total, count = self.total(), self.observed.size
        return total._replace(
            observed=total.observed / count,
            draws=total.draws / count,
            left_out=total.left_out / count,
            deviations=total.deviations / count,
        )

    def estimates(
        self,
        reason: str | Sequence[str] = "",
        confidence: float = 0.95,
        limits: tuple[float, float] = (-math.inf, math.inf),
    ) -> list[Estimate]:
        """Each statistic with its interval.

        It is bias-corrected and accelerated; but means over fewer than 15 people, and sums, means
        and differences of such means, have Student's interval with people - 1 degrees of freedom.

        Args:
            reason: Why a statistic that has no value has none; one for all, or one for each.
            confidence: Of the intervals.
            limits: Lowest and highest value there can be, at which Student's interval is cut.
        """
        reasons = [reason] * len(self.observed) if isinstance(reason, str) else reason
        errors = np.sqrt(np.square(self.deviations).sum(axis=0))
        found = []
        for place, (value, why) in enumerate(zip(self.observed.tolist(), reasons, strict=True)):
            draws, people = self.draws[:, place], float(self.people[place])
            # NaN, of what is no mean, is not few.
            if draws.size and 1 < people < FEWEST_DRAWN:
                error = float(errors[place])
                found.append(_of_few(value, error, int(people), confidence, limits))
            else:
                found.append(_estimate(value, draws, self.left_out[:, place], why, confidence))
        return found

    def estimate(
        self,
        reason: str = "",
        confidence: float = 0.95,
        limits: tuple[float, float] = (-math.inf, math.inf),
    ) -> Estimate:
        """The only statistic with its interval; see `estimates`."""
        (only,) = self.estimates(reason, confidence, limits)
        return only


class PeopleBootstrap:
    """Draws people with replacement, always the same draws.

    Statistics are functions of sums over people, so that one matrix product gives their values on
    all resamples. Those of two respondents to the same people are resampled together, and their
    difference has the interval of a paired comparison.

    Example:
        >>> boot = PeopleBootstrap(4, resamples=100)
        >>> round(boot.means([[1.0], [2.0], [3.0], [4.0]]).estimate().value, 2)
        2.5
    """

    def __init__(self, people: int, *, resamples: int = 2000, seed: int = 0) -> None:
        """Draw from so many people.

        Args:
            people: How many there are.
            resamples: How often to draw; 0 leaves intervals out.
            seed: The same seed gives the same intervals.

        Raises:
            UsageError: There are no people, or the number of resamples is negative.
        """
        if people < 1 or resamples < 0:
            raise UsageError(f"{people} people cannot be resampled {resamples} times.")
        self.people = people
        self.resamples = resamples
        self.seed = seed

    def sums(self, columns: Floats, statistic: Callable[[Floats], Floats]) -> Resampled:
        """Resample a statistic of sums over people.

        Args:
            columns: What is summed, shape (people, C), without NaN.
            statistic: Takes sums of shape (n, C) and returns K statistics of each row,
                shape (n, K), NaN where one has no value.
        """
        if columns.shape[0] != self.people:
            raise UsageError(
                f"{columns.shape[0]} rows cannot be resampled as {self.people} people."
            )
        observed = statistic(columns.sum(axis=0, keepdims=True))
        draws = [statistic(weights @ columns) for weights in self._draws()]
        # Leaving somebody out subtracts what is theirs.
        groups = np.arange(self.people) % MOST_JACKKNIFE_GROUPS
        parts = np.zeros((int(groups.max()) + 1, columns.shape[1]))
        np.add.at(parts, groups, columns)
        left_out = statistic(columns.sum(axis=0) - parts)
        width = observed.shape[1]
        return Resampled(
            observed=observed[0],
            draws=np.concatenate(draws) if draws else np.empty((0, width)),
            left_out=left_out,
            deviations=np.full((1, width), np.nan),
            people=np.full(width, np.nan),
        )

    def means(self, values: ArrayLike) -> Resampled:
        """Means over people of K columns, shape (people, K); people with NaN are left out of it."""
        table = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(table)
        columns = np.concatenate([np.where(known, table, 0.0), known], axis=1)
        width = table.shape[1]

        def means(sums: Floats) -> Floats:
            return _ratio(sums[:, :width], sums[:, width:])

        resampled = self.sums(columns, means)
        people = known.sum(axis=0).astype(np.float64)
        scale = np.sqrt(people * np.where(people > 1, people - 1, np.nan))
        deviations = np.where(known, (table - resampled.observed) / scale, 0.0)
        return resampled._replace(deviations=deviations, people=people)

    def correlations(self, first: ArrayLike, second: ArrayLike) -> Resampled:
        """Correlations over people of K pairs of columns, each of shape (people, K).

        People with NaN in either column of a pair are left out of it; two people who are left lie
        on a line whatever they are like, so that fewer than three have no correlation.
        """
        x, y = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
        known = ~(np.isnan(x) | np.isnan(y))
        for table in (x, y):
            # Centring first, so that sums of squares keep their digits.
            means = _ratio(np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0))
            table -= means
            table[~known] = 0.0
            table[:, known.sum(axis=0) < FEWEST_CORRELATED] = 0.0
            # What differs by rounding only does not vary.
            table[:, np.abs(table).max(axis=0, initial=0.0) < 1e-9] = 0.0
        width = x.shape[1]
        columns = np.concatenate([known.astype(np.float64), x, y, x * x, y * y, x * y], axis=1)

        def correlations(sums: Floats) -> Floats:
            n, sx, sy, sxx, syy, sxy = (
                sums[:, part * width : (part + 1) * width] for part in range(6)
            )
            x_spread, y_spread = n * sxx - sx**2, n * syy - sy**2
            # Draws of one person over and over, or of people alike, do not vary.
            varies = (x_spread > 1e-9 * n * sxx) & (y_spread > 1e-9 * n * syy)
            product = np.sqrt(np.where(varies, x_spread * y_spread, np.nan))
            return np.asarray((n * sxy - sx * sy) / product)

        return self.sums(columns, correlations)

    def _draws(self) -> Iterator[Floats]:
        """Weights of the people, shape (some resamples, people) each time."""
        if self.resamples * self.people <= _MOST_KEPT:
            if self.resamples:
                yield self._kept
            return
        yield from self._drawn()

    @cached_property
    def _kept(self) -> Floats:
        return np.concatenate(list(self._drawn()))

    def _drawn(self) -> Iterator[Floats]:
        rng = np.random.default_rng(self.seed)
        chances = np.full(self.people, 1 / self.people)
        batch = max(1, BATCH_NUMBERS // self.people)
        for done in range(0, self.resamples, batch):
            size = min(batch, self.resamples - done)
            yield rng.multinomial(self.people, chances, size=size).astype(np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _of_few(
    value: float, error: float, people: int, confidence: float, limits: tuple[float, float]
) -> Estimate:
    if error <= 1e-12 * max(1.0, abs(value)):
        reason = "no interval: it is the same for everybody, which tells nothing of its error"
        return Estimate(value, reason=reason)
    return Estimate(
        value, *student_interval(value, error, people, confidence=confidence, limits=limits)
    )


def _estimate(
    value: float, draws: Floats, left_out: Floats, reason: str, confidence: float
) -> Estimate:
    if math.isnan(value):
        return undefined(reason or "it has no value on these answers")
    if not draws.size:
        return Estimate(value)
    if left_out.size < 2:
        return Estimate(value, reason="no interval from a single person")
    usable = draws[~np.isnan(draws)]
    if usable.size < (1 - MOST_UNDEFINED) * draws.size:
        return Estimate(value, reason="no interval: too few people to draw anew")
    if np.ptp(usable) <= 1e-12 * max(abs(value), 1e-300):
        return Estimate(value, reason="no interval: the statistic is the same on every resample")
    without = left_out[~np.isnan(left_out)]
    return Estimate(value, *bca_interval(usable, value, without, confidence))
