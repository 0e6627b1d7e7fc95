"""How near answers in the place of people come to what the people answered.

Two scorings stand side by side. `published` is what the released code of PAPI computes, so that its
tables can be compared with; `corrected` is for conclusions. See docs/person.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import UsageError
from allport.evaluation.calibration_curve import Calibration, calibration
from allport.evaluation.people_bootstrap import FEWEST_CORRELATED, PeopleBootstrap, Resampled
from allport.evaluation.person_answers import READINGS, PersonAnswers, ScoreReading
from allport.evaluation.person_targets import BenchmarkPeople, known_mean
from allport.psychometrics.estimate import Estimate

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "EVERYONE",
    "LOG_SCORE_MIXTURE",
    "Figure",
    "PersonScores",
    "corrected_errors",
    "published_errors",
    "score_person_answers",
    "within_person_r",
]

Floats = NDArray[np.float64]

EVERYONE: Final = "everyone"
ALL: Final = "all"
LOG_SCORE_MIXTURE: Final = 0.01
"""Share of the even distribution that is mixed into every forecast before its logarithm is taken,
so that a certain answer that is wrong costs much and not infinitely much."""

_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "published": (0, math.inf),
    "error": (0, math.inf),
    "log score": (-math.inf, 0),
    "profile r": (-1, 1),
    "distinctive r": (-1, 1),
    "unusable": (0, 1),
    "label mass": (0, 1),
}
"""Lowest and highest value of the figures that are means over people."""
_FEWEST_IN_GROUP: Final = 5
_SMALL_GROUP: Final = f"no interval from fewer than {_FEWEST_IN_GROUP} people"
_NO_DISTRIBUTION: Final = "these answers have no distribution"
_SAME_TO_ITEMS: Final = "every item gets the same answer"
_SAME_FOR_PEOPLE: Final = "every person gets the same answers"
_SAME_OF_PEOPLE: Final = "all people gave the same answers"
_FEW_PEOPLE: Final = f"fewer than {FEWEST_CORRELATED} people can be compared"
_ONE_PERSON: Final = "one person differs from nobody"


class Figure(NamedTuple):
    """One figure with its interval from a bootstrap over people."""

    metric: str
    """"published", "error", "kappa", "log score", "calibration error", "profile r",
    "distinctive r", "trait r", "unusable" or "label mass"."""
    reading: str
    """"median", "arg-max" or "expected"; empty where the figure has none."""
    scale: str
    """"all", or the code of a trait or facet. Over "all", errors are the sum over traits of their
    means over people."""
    group: str
    """"everyone", or a group of people such as "sex: female"."""
    estimate: Estimate


@dataclass(frozen=True, eq=False)
class PersonScores:
    """Everything that is said of one respondent's answers in the place of people."""

    name: str
    people: int
    figures: tuple[Figure, ...]
    calibration: Calibration | None
    """None where the answers have no distribution."""
    profiles_undefined: int
    """People whose profile r has no value, and who are left out of its mean."""
    resampled: Mapping[tuple[str, str], Resampled]
    """The figures over all scales and everyone with their resamples, by metric and reading."""
    seed: int
    """Of the resamples."""

    def find(
        self, metric: str, reading: str = "", scale: str = ALL, group: str = EVERYONE
    ) -> Estimate:
        """The estimate of one figure.

        Raises:
            UsageError: There is no such figure.
        """
        for figure in self.figures:
            if figure[:4] == (metric, reading, scale, group):
                return figure.estimate
        raise UsageError(f"{self.name} has no figure {metric!r} {reading!r} {scale!r} {group!r}.")

    def difference(self, other: PersonScores, metric: str, reading: str = "") -> Estimate:
        """This respondent's figure less another's, with the interval of a paired comparison.

        Both must be of the same people in the same order, as those of one benchmark are, and be
        scored with equal numbers and seeds of resamples.

        Raises:
            UsageError: One of them has no such figure over all scales, or they were drawn anew
                differently.
        """
        key = (metric, reading)
        for scores in (self, other):
            if key not in scores.resampled:
                raise UsageError(f"{scores.name} has no figure {metric!r} {reading!r} to compare.")
        own, others = self.resampled[key], other.resampled[key]
        drawn = (self.people, self.seed, own.draws.shape)
        if drawn != (other.people, other.seed, others.draws.shape):
            raise UsageError(f"{self.name} and {other.name} were not resampled together.")
        return own.minus(others).estimate("one of the two has no value")

    def to_frame(self) -> pl.DataFrame:
        """One row a figure: name, metric, reading, scale, group, value, low, high, reason."""
        import polars as pl

        rows = [
            (self.name, *figure[:4], *figure.estimate[:3], figure.estimate.reason)
            for figure in self.figures
        ]
        columns = ("name", "metric", "reading", "scale", "group", "value", "low", "high", "reason")
        kinds = dict.fromkeys(columns, pl.String()) | dict.fromkeys(
            ("value", "low", "high"), pl.Float64()
        )
        return pl.DataFrame(rows, schema=kinds, orient="row").fill_nan(None)


def published_errors(answers: PersonAnswers, people: BenchmarkPeople) -> Floats:
    """Errors as the released code of PAPI has them, shape (people, traits); NaN where none is.

    The mean over a trait's test items of |value of the letter - stored answer|. The letter's value
    is literal and the stored answer keyed; an answer that is missing is stored as 0 and scored as
    such; an answer that could not be parsed is dropped. Over several administrations it is the mean
    of their errors.
    """
    wrong = np.abs(answers.letters - people.stored_targets)
    by_trait = np.stack([known_mean(wrong[:, :, columns]) for columns in people.traits.values()])
    return known_mean(by_trait, axis=1).T


def corrected_errors(
    answers: PersonAnswers, people: BenchmarkPeople, reading: ScoreReading
) -> Floats:
    """Distance of each answer from the person's own, shape (people, test items).

    Literal answers are compared with literal ones. Items that the person did not answer are NaN. An
    answer that was refused or could not be parsed costs as much as the option farthest from what
    the person said, so that nothing is ever gained by giving none; with several administrations it
    does so by its share of them.
    """
    given = answers.reading(reading)
    distance = np.where(np.isnan(given), 0.0, np.abs(given - people.targets))
    penalty = np.abs(_farthest(people) - people.targets)
    return np.asarray(answers.usable * distance + (1 - answers.usable) * penalty)


def within_person_r(
    answers: PersonAnswers, people: BenchmarkPeople, *, distinctive: bool
) -> Floats:
    """Correlation over test items of expected answers with those given, shape (people,).

    Args:
        answers: In the place of the people.
        people: Who answered what.
        distinctive: Whether to take the mean over people off every item first, on both sides. What
            everybody answers alike then counts for nothing (Furr, 2008, J Pers 76, 1267-1302).

    Returns:
        NaN where either side does not vary, or fewer than three items have both.
    """
    given, wanted = np.array(answers.expected), np.array(people.targets)
    if distinctive:
        given -= known_mean(given, axis=0)
        wanted -= known_mean(wanted, axis=0)
    missing = np.isnan(given) | np.isnan(wanted)
    for table in (given, wanted):
        table[missing] = np.nan
        table -= known_mean(table)[:, None]
        table[missing] = 0.0
    spread = np.square(given).sum(axis=1), np.square(wanted).sum(axis=1)
    defined = ((~missing).sum(axis=1) >= 3) & (spread[0] > 1e-12) & (spread[1] > 1e-12)
    product = np.sqrt(np.where(defined, spread[0] * spread[1], np.nan))
    return np.asarray((given * wanted).sum(axis=1) / product)


def score_person_answers(
    answers: PersonAnswers,
    people: BenchmarkPeople,
    bootstrap: PeopleBootstrap | None = None,
) -> PersonScores:
    """Score answers in the place of people in every way.

    Args:
        answers: In the place of the people, on the test items.
        people: Who answered what.
        bootstrap: Of the people; give one to all respondents that are to be compared.
    """
    boot = PeopleBootstrap(len(people.ids)) if bootstrap is None else bootstrap
    scorer = _Scorer(answers, people, boot)
    figures = tuple(scorer.figures())
    return PersonScores(
        name=answers.name,
        people=len(people.ids),
        figures=figures,
        calibration=scorer.calibration,
        profiles_undefined=int(np.isnan(scorer.profile).sum()),
        resampled=scorer.resampled,
        seed=boot.seed,
    )


class _Scorer:
    """Works out the figures of one respondent, one kind after the other."""

    def __init__(
        self, answers: PersonAnswers, people: BenchmarkPeople, bootstrap: PeopleBootstrap
    ) -> None:
        self._answers = answers
        self._people = people
        self._boot = bootstrap
        self.resampled: dict[tuple[str, str], Resampled] = {}
        self.calibration: Calibration | None = None
        self.profile = within_person_r(answers, people, distinctive=False)
        self._published = published_errors(answers, people)
        self._errors = {r: corrected_errors(answers, people, r) for r in READINGS}

    def figures(self) -> Iterator[Figure]:
        yield from self._error_figures()
        yield from self._distribution_figures()
        yield from self._correlation_figures()
        yield from self._group_figures()
        yield self._over_people("unusable", 1 - known_mean(self._answers.usable, axis=1))
        if self._answers.label_mass is not None:
            yield self._over_people("label mass", known_mean(self._answers.label_mass, axis=1))

    def _error_figures(self) -> Iterator[Figure]:
        people = self._people
        none = "no answer could be parsed"
        yield from self._by_scale("published", "", tuple(people.traits), self._published, none)
        for reading in READINGS:
            errors = _by_scale(self._errors[reading], people.traits)
            yield from self._by_scale("error", reading, tuple(people.traits), errors)
            kappa = self._boot.sums(self._moments(reading), _quadratic_kappa)
            yield self._kept("kappa", reading, kappa, "neither side varies")
        errors = _by_scale(self._errors["median"], people.facets)
        by_facet = self._boot.means(errors).estimates(limits=_LIMITS["error"])
        for code, estimate in zip(people.facets, by_facet, strict=True):
            yield Figure("error", "median", code, EVERYONE, estimate)

    def _by_scale(
        self,
        metric: str,
        reading: str,
        codes: tuple[str, ...],
        table: Floats,
        reason: str = "no item of it was answered",
    ) -> Iterator[Figure]:
        """Figures of scales, shape (people, scales), and their sum over all."""
        means = self._boot.means(table)
        yield self._kept(metric, reading, means.total(), reason)
        by_scale = means.estimates(reason, limits=_LIMITS[metric])
        for code, estimate in zip(codes, by_scale, strict=True):
            yield Figure(metric, reading, code, EVERYONE, estimate)

    def _moments(self, reading: ScoreReading) -> Floats:
        """Sums over items of each person that the weighted kappa is made of, shape (people, 6)."""
        answers, people = self._answers, self._people
        wanted, used = people.targets, answers.usable
        given = answers.reading(reading)
        first = used * np.nan_to_num(given) + (1 - used) * _farthest(people)
        square = used * np.nan_to_num(given) ** 2 + (1 - used) * _farthest(people) ** 2
        known = ~np.isnan(wanted)
        parts = (np.ones_like(wanted), first, wanted, square, wanted**2, first * wanted)
        return np.stack([np.where(known, part, 0.0).sum(axis=1) for part in parts], axis=1)

    def _distribution_figures(self) -> Iterator[Figure]:
        people, probabilities = self._people, self._answers.probabilities
        if probabilities is None:
            nothing = np.full(len(people.ids), np.nan)
            yield self._over_people("log score", nothing, _NO_DISTRIBUTION)
            yield self._over_people("calibration error", nothing, _NO_DISTRIBUTION)
            return
        hits = np.where(
            np.isnan(people.targets)[..., None], np.nan, people.targets[..., None] == people.values
        )
        yield from self._by_log_score(hits)
        self.calibration = calibration(probabilities, hits, self._boot)
        error = self.calibration.error
        yield Figure("calibration error", "", ALL, EVERYONE, error)

    def _by_log_score(self, hits: Floats) -> Iterator[Figure]:
        people, answers = self._people, self._answers
        assert answers.probabilities is not None
        given = np.nansum(np.nan_to_num(hits) * np.nan_to_num(answers.probabilities), axis=2)
        share = (1 - LOG_SCORE_MIXTURE) * answers.usable * given
        share += LOG_SCORE_MIXTURE / people.values.size
        scores = np.where(np.isnan(people.targets), np.nan, np.log(share))
        self._log_scores = known_mean(scores)
        yield self._over_people("log score", self._log_scores)
        means = self._boot.means(_by_scale(scores, people.traits))
        by_trait = means.estimates(limits=_LIMITS["log score"])
        for code, estimate in zip(people.traits, by_trait, strict=True):
            yield Figure("log score", "", code, EVERYONE, estimate)

    def _correlation_figures(self) -> Iterator[Figure]:
        people, answers = self._people, self._answers
        yield self._over_people("profile r", self.profile, _SAME_TO_ITEMS)
        distinctive = within_person_r(answers, people, distinctive=True)
        alone = len(people.ids) == 1
        reason = _ONE_PERSON if alone else _SAME_FOR_PEOPLE
        yield self._over_people("distinctive r", distinctive, reason)
        given = people.reversed_by_key(answers.expected)
        wanted = people.reversed_by_key(people.targets)
        for scales, summed in ((people.traits, True), (people.facets, False)):
            pair = _by_scale(given, scales), _by_scale(wanted, scales)
            over_people, reasons = self._boot.correlations(*pair), _no_correlation(*pair)
            if summed:
                missing = np.flatnonzero(np.isnan(over_people.observed))
                reason = reasons[missing[0]] if missing.size else ""
                yield self._kept("trait r", "", over_people.mean(), reason)
            for code, estimate in zip(scales, over_people.estimates(reasons), strict=True):
                yield Figure("trait r", "", code, EVERYONE, estimate)

    def _group_figures(self) -> Iterator[Figure]:
        people = self._people
        corrected = _by_scale(self._errors["median"], people.traits)
        for grouping, labels in people.groups.items():
            for label in sorted(set(labels) - {""}):
                inside = np.array([each == label for each in labels])[:, None]
                group = f"{grouping}: {label}"
                for metric, reading, table in (
                    ("published", "", self._published),
                    ("error", "median", corrected),
                    ("profile r", "", self.profile[:, None]),
                ):
                    own = self._boot.means(np.where(inside, table, np.nan)).total()
                    found = own.estimate("nobody has a value", limits=_LIMITS[metric])
                    if inside.sum() < _FEWEST_IN_GROUP:
                        found = Estimate(found.value, reason=_SMALL_GROUP)
                    yield Figure(metric, reading, ALL, group, found)

    def _over_people(self, metric: str, values: Floats, reason: str = "") -> Figure:
        """The mean over people of a value of each, shape (people,)."""
        return self._kept(metric, "", self._boot.means(values[:, None]), reason)

    def _kept(self, metric: str, reading: str, resampled: Resampled, reason: str) -> Figure:
        self.resampled[metric, reading] = resampled
        limits = _LIMITS.get(metric, (-math.inf, math.inf))
        return Figure(metric, reading, ALL, EVERYONE, resampled.estimate(reason, limits=limits))


def _farthest(people: BenchmarkPeople) -> Floats:
    """The option farthest from what each person said; the highest where both ends are equally."""
    low, high = people.values[0], people.values[-1]
    return np.asarray(np.where(people.targets - low > high - people.targets, low, high))


def _by_scale(table: Floats, scales: Mapping[str, NDArray[np.intp]]) -> Floats:
    """Mean of each person over the items of each scale, shape (people, scales)."""
    return np.stack([known_mean(table[:, columns]) for columns in scales.values()], axis=1)


def _no_correlation(given: Floats, wanted: Floats) -> list[str]:
    """Why each pair of columns, shape (people, scales), has no correlation if it has none."""
    reasons = []
    for first, second in zip(given.T, wanted.T, strict=True):
        known = ~(np.isnan(first) | np.isnan(second))
        if known.sum() < FEWEST_CORRELATED:
            reasons.append(_FEW_PEOPLE)
        else:
            reasons.append(_SAME_FOR_PEOPLE if np.ptp(first[known]) < 1e-9 else _SAME_OF_PEOPLE)
    return reasons


def _quadratic_kappa(sums: Floats) -> Floats:
    """Cohen's kappa with quadratic weights from moments, shape (n, 1).

    On options at equal distances it is 1 - E(x - y)^2 / (E x^2 + E y^2 - 2 E x E y), which also has
    a value for answers between options.
    """
    n, x, y, xx, yy, xy = (sums[:, part] for part in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = (xx - 2 * xy + yy) / n
        expected = (xx + yy) / n - 2 * x * y / n**2
        kappa = np.where(expected > 1e-12, 1 - observed / expected, np.nan)
    return np.asarray(kappa)[:, None]
