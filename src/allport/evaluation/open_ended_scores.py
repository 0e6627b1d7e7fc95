"""What judges found: how well answers fit, whose fit best, what an interview tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.evaluation.judging import Preference, Rating, known_statements
from allport.evaluation.people_bootstrap import FEWEST_CORRELATED, PeopleBootstrap
from allport.evaluation.person_targets import BenchmarkPeople, known_mean
from allport.psychometrics.agreement import krippendorff_alpha
from allport.psychometrics.estimate import Estimate, undefined

__all__ = ["InterviewScores", "OpenEndedScores", "score_open_ended"]

Floats = NDArray[np.float64]

_ONE_JUDGE = "agreement takes two judges or more"
_FEW_RATED = f"answers of fewer than {FEWEST_CORRELATED} people were rated"
_RATED_ALIKE = "answers were rated alike for everybody, or everybody is alike"


class InterviewScores(NamedTuple):
    """Trait scores made of rated answers, against the person's own."""

    by_trait: Mapping[str, Estimate]
    """Correlation over people, by trait code."""
    mean: Estimate
    """Mean of these over traits."""


@dataclass(frozen=True)
class OpenEndedScores:
    """Open answers of several systems as judges saw them."""

    fit: Mapping[str, Estimate]
    """Mean rating on the rubric of fit, 1 to 6, by system, over judges and people."""
    preferred: Mapping[str, Estimate]
    """Share of choices that went to a system, by system; chance is one over their number."""
    interview: Mapping[str, InterviewScores]
    """By system."""
    fit_agreement: Estimate
    """Krippendorff's alpha (interval) between judges over answers."""
    level_agreement: Estimate
    """Likewise for the interview."""
    unusable: Mapping[str, int]
    """Judgements that could not be used, by judge."""
    pairs: int
    """Pairs of a person and a facet that something was written on."""
    unjudged: int
    """Those of them without an answer of the person to a test item: nothing there says how an
    answer would fit, so they count in the interview alone."""


def score_open_ended(
    people: BenchmarkPeople,
    fit: Sequence[Rating] = (),
    level: Sequence[Rating] = (),
    preferences: Sequence[Preference] = (),
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> OpenEndedScores:
    """Put judgements together; intervals are from a bootstrap over people.

    Args:
        people: In whose place answers were given.
        fit: Ratings of fit by all judges.
        level: Ratings of level by all judges; they tell on which facets something was written.
        preferences: Choices by all judges.
        resamples: Of people.
        seed: Of the resamples.
    """
    boot = PeopleBootstrap(len(people.ids), resamples=resamples, seed=seed)
    row = {person: index for index, person in enumerate(people.ids)}
    unusable: dict[str, int] = {}
    for rating in (*fit, *level):
        unusable[rating.judge] = unusable.get(rating.judge, 0) + int(np.isnan(rating.value))
    for choice in preferences:
        lost = any(np.isnan(share) for share in choice.shares.values())
        unusable[choice.judge] = unusable.get(choice.judge, 0) + int(lost)
    pairs = {(rating.answer.person, rating.answer.facet) for rating in (*fit, *level)}
    return OpenEndedScores(
        fit={
            system: _over_people(
                boot, ((row[r.answer.person], r.value) for r in fit if r.answer.system == system)
            )
            for system in _systems((*fit, *level))
        },
        preferred={
            system: _over_people(
                boot, ((row[choice.person], choice.shares[system]) for choice in preferences)
            )
            for system in dict.fromkeys(name for choice in preferences for name in choice.shares)
        },
        interview={
            system: _interview(
                [rating for rating in level if rating.answer.system == system], people, boot, row
            )
            for system in _systems(level)
        },
        fit_agreement=_agreement(fit, resamples, seed),
        level_agreement=_agreement(level, resamples, seed),
        unusable=unusable,
        pairs=len(pairs),
        unjudged=sum(not known_statements(people, *pair) for pair in pairs),
    )


def _systems(ratings: Sequence[Rating]) -> list[str]:
    return list(dict.fromkeys(rating.answer.system for rating in ratings))


def _over_people(boot: PeopleBootstrap, values: Iterable[tuple[int, float]]) -> Estimate:
    """Mean over people of each person's mean."""
    return boot.means(_person_means(boot.people, values)[:, None]).estimate("nothing was judged")


def _person_means(people: int, values: Iterable[tuple[int, float]]) -> Floats:
    sums, counts = np.zeros(people), np.zeros(people)
    for person, value in values:
        if not np.isnan(value):
            sums[person] += value
            counts[person] += 1
    return np.asarray(sums / np.where(counts > 0, counts, np.nan))


def _interview(
    ratings: Sequence[Rating],
    people: BenchmarkPeople,
    boot: PeopleBootstrap,
    row: Mapping[str, int],
) -> InterviewScores:
    traits = {facet.code: facet.trait for facet in people.inventory.facets}
    given = np.stack(
        [
            _person_means(
                boot.people,
                (
                    (row[rating.answer.person], rating.value)
                    for rating in ratings
                    if traits.get(rating.answer.facet) == code
                ),
            )
            for code in people.traits
        ],
        axis=1,
    )
    keyed = people.reversed_by_key(people.targets)
    own = np.stack([known_mean(keyed[:, columns]) for columns in people.traits.values()], axis=1)
    resampled = boot.correlations(given, own)
    rated = (~(np.isnan(given) | np.isnan(own))).sum(axis=0)
    reasons = [_FEW_RATED if count < FEWEST_CORRELATED else _RATED_ALIKE for count in rated]
    without = np.flatnonzero(np.isnan(resampled.observed))
    return InterviewScores(
        dict(zip(people.traits, resampled.estimates(reasons), strict=True)),
        resampled.mean().estimate(reasons[without[0]] if without.size else ""),
    )


def _agreement(ratings: Sequence[Rating], resamples: int, seed: int) -> Estimate:
    judges = list(dict.fromkeys(rating.judge for rating in ratings))
    if len(judges) < 2:
        return undefined(_ONE_JUDGE)
    units = {r.answer.key: r.answer.person for r in ratings}
    place = {key: index for index, key in enumerate(units)}
    table = np.full((len(judges), len(units)), np.nan)
    for rating in ratings:
        table[judges.index(rating.judge), place[rating.answer.key]] = rating.value
    return krippendorff_alpha(
        table, "interval", clusters=list(units.values()), resamples=resamples, seed=seed
    )
