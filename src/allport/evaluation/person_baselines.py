"""What answers in the place of people are worth that need no language model.

Constants need nothing; own means need the person's answers to the items to fit on; the others need
other people as well. A claim of having met a person begins where these end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.evaluation.person_answers import PersonAnswers
from allport.evaluation.person_targets import BenchmarkPeople, known_mean
from allport.psychometrics.reliability import cronbach_alpha

__all__ = ["FEWEST_FOR_RIDGE", "Baseline", "baselines"]

Floats = NDArray[np.float64]

FEWEST_FOR_RIDGE: Final = 30
"""With fewer people there is no predicting of one from the others."""
_FOLDS: Final = 10
_PENALTIES: Final = np.geomspace(1.0, 1e5, 41)


class Baseline(NamedTuple):
    """Answers made by a rule, and what the rule needs to know."""

    name: str
    uses: str
    """What it knows of: "nothing", "the person", "other people", "the person and other people"."""
    answers: PersonAnswers


def baselines(people: BenchmarkPeople, *, seed: int = 0) -> list[Baseline]:
    """Every baseline for these people.

    Nothing is ever taken from the test answers of the person predicted: what is taken of other
    people leaves the person out, or the person's fold. In `published` scoring, rules that know
    answers give the stored (keyed) value as their letter, since that is what is compared there.

    Args:
        people: Whose answers are predicted, from one another's where a rule needs others.
        seed: Of the folds.
    """
    found = [*_constants(people), *_own_means(people)]
    if len(people.ids) > 1:
        found += _from_item_means(people)
    if len(people.ids) >= FEWEST_FOR_RIDGE:
        found.append(_ridge(people, seed))
    found.append(
        Baseline(
            "the person's own answers",
            "the answers themselves",
            PersonAnswers.of_points("the person's own answers", people.targets),
        )
    )
    return found


def _constants(people: BenchmarkPeople) -> Iterator[Baseline]:
    """The same answer to everything, named by the letters of the paper: A is the highest value."""
    for place, value in enumerate(people.values[::-1]):
        name = f"constant {chr(ord('A') + place)}"
        points = np.full(people.targets.shape, value)
        yield Baseline(name, "nothing", PersonAnswers.of_points(name, points))


def _own_means(people: BenchmarkPeople) -> Iterator[Baseline]:
    for name, kind in (("own domain mean", "trait"), ("own facet mean", "facet")):
        keyed = np.empty(people.targets.shape)
        overall = known_mean(people.keyed[:, people.fit], axis=1)
        for fit, test in _scales(people, kind):
            own = known_mean(people.keyed[:, fit], axis=1)
            keyed[:, test] = np.where(np.isnan(own), overall, own)[:, None]
        yield _rounded(people, name, "the person", keyed)


def _from_item_means(people: BenchmarkPeople) -> Iterator[Baseline]:
    """Rules that know how others answered each item."""
    yield _item_distribution(people)
    known = ~np.isnan(people.keyed)
    counts, sums = known.sum(axis=0), np.nansum(people.keyed, axis=0)
    others = counts - known
    means = (sums - np.nan_to_num(people.keyed)) / np.where(others > 0, others, np.nan)
    deviations = people.keyed - means
    for scale, kind in (("domain", "trait"), ("facet", "facet")):
        name = f"item mean + {scale} offset"
        keyed = means[:, people.test]
        for fit, test in _scales(people, kind):
            # Kelley's estimate of a true score: a few items say it as far as they are reliable.
            alpha = cronbach_alpha(people.keyed[:, fit]).raw.value
            reliability = min(max(alpha, 0.0), 1.0) if np.isfinite(alpha) else 1.0
            offset = known_mean(deviations[:, fit], axis=1)
            keyed[:, test] += reliability * np.nan_to_num(offset)[:, None]
        yield _rounded(people, name, "the person and other people", keyed)


def _item_distribution(people: BenchmarkPeople) -> Baseline:
    """How others answered each item; its median is the item median of the others."""
    name = "item median of the others"
    chosen = people.targets[..., None] == people.values
    counts = chosen.sum(axis=0) - chosen
    totals = counts.sum(axis=2, keepdims=True).astype(np.float64)
    shares = counts / np.where(totals > 0, totals, np.nan)
    answers = PersonAnswers.of_probabilities(name, shares, people.values)
    # A person who left the item out stands as 0 there; the rule leaves it out as well.
    letters = np.where(np.isnan(people.targets), np.nan, people.reversed_by_key(answers.median))
    # Leaving each person out makes the means of the others a mirror image of the person's answers,
    # and correlations -1. Correlations take the mean of everybody, which nobody differs in.
    everybody = np.broadcast_to(known_mean(people.targets, axis=0), people.targets.shape)
    return Baseline(
        name,
        "other people",
        dataclasses.replace(answers, letters=letters[None], expected=everybody),
    )


def _ridge(people: BenchmarkPeople, seed: int) -> Baseline:
    """Ridge regression of the test items on the items to fit on, across people, in folds.

    The penalty of each fold is the one with the least leave-one-out error among the people it is
    fitted on; the people predicted have no part in it.
    """
    keyed = np.empty(people.targets.shape)
    fold = np.random.default_rng(seed).permutation(len(people.ids)) % _FOLDS
    for number in range(_FOLDS):
        inside = fold != number
        keyed[~inside] = _ridge_predictions(
            people.keyed[np.ix_(inside, people.fit)],
            people.keyed[np.ix_(inside, people.test)],
            people.keyed[np.ix_(~inside, people.fit)],
        )
    name = f"ridge {people.fit.size} to {people.test.size}"
    return _rounded(people, name, "the person and other people", keyed)


def _ridge_predictions(features: Floats, targets: Floats, new: Floats) -> Floats:
    """Predict targets of new people, shape (new people, targets).

    Missing answers stand at the mean of their item, on either side.
    """
    middle, centre = known_mean(features, axis=0), known_mean(targets, axis=0)
    x = np.nan_to_num(features - middle)
    y = np.nan_to_num(targets - centre)
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    rotated = left.T @ y
    errors = []
    for penalty in _PENALTIES:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = left**2 @ shrunk + 1 / len(x)
        residual = y - left @ (shrunk[:, None] * rotated)
        left_out = residual / np.maximum(1 - leverage, 1e-9)[:, None]
        errors.append(np.nanmean(np.where(np.isnan(targets), np.nan, left_out) ** 2))
    penalty = _PENALTIES[int(np.argmin(errors))]
    weights = right.T @ ((singular / (singular**2 + penalty))[:, None] * rotated)
    return np.asarray(centre + np.nan_to_num(new - middle) @ weights)


def _scales(
    people: BenchmarkPeople, kind: str
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Items to fit on of each scale, on the item axis, and to test on, on the test axis.

    A facet without items to fit on falls back on its trait.
    """
    of_item = [getattr(item, kind) or item.trait for item in people.inventory.items]
    traits = [item.trait for item in people.inventory.items]
    for code in dict.fromkeys(of_item[position] for position in people.test):
        test = np.flatnonzero([of_item[position] == code for position in people.test])
        fit = np.array([p for p in people.fit if of_item[p] == code], dtype=np.intp)
        if not fit.size:
            trait = traits[people.test[test[0]]]
            fit = np.array([p for p in people.fit if traits[p] == trait], dtype=np.intp)
        yield (fit if fit.size else people.fit), test


def _rounded(people: BenchmarkPeople, name: str, uses: str, keyed: Floats) -> Baseline:
    """A baseline of keyed predictions, rounded to options for all but the expected answer."""
    low, high = people.values[0], people.values[-1]
    exact = np.clip(keyed, low, high)
    whole = np.rint(exact)
    answers = PersonAnswers.of_points(
        name,
        people.reversed_by_key(whole),
        expected=people.reversed_by_key(exact),
        letters=whole,
    )
    return Baseline(name, uses, answers)
