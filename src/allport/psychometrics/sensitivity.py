"""How much answers depend on what should not matter: option order, template, paraphrase."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.psychometrics.agreement import Flips, flips
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import IntervalMethod, ratio_interval

__all__ = ["PositionEffect", "contrasting_pairs", "flips_by_factor", "one_hot", "position_effect"]

Floats: TypeAlias = NDArray[np.float64]


class PositionEffect(NamedTuple):
    """What being shown early or late does to an option, its content held constant."""

    coefficient: Estimate
    """Slope of the probability of an option on its shown position (0 first, 1 last). Positive:
    later options are favoured."""
    displacement: Estimate
    """How far choices are drawn along the list: 0 by content alone, -1 always the first shown,
    +1 always the last shown. Items seen in one order only do not count."""
    excess: Floats
    """Probability of choosing what is shown at each place, less what content gives it, shape
    (positions,); sums to 0. Shows what a slope cannot, such as a pull toward the middle."""


def contrasting_pairs(levels: Mapping[str, Sequence[Hashable]], factor: str) -> NDArray[np.intp]:
    """Pairs of conditions that differ in one factor and in nothing else.

    Args:
        levels: What each condition is on each factor, such as
            {"order": ["forward", "reversed"], "template": ["letters", "letters"]}.
        factor: The factor of which the effect is sought.

    Returns:
        Indices of conditions, shape (pairs, 2), the smaller first.

    Raises:
        ResponsesError: The factor is not in `levels`, or factors differ in length.
    """
    if factor not in levels:
        raise ResponsesError(f"No condition says its {factor}; known: {', '.join(levels)}.")
    if len({len(values) for values in levels.values()}) > 1:
        raise ResponsesError("The factors are given for different numbers of conditions.")
    alike: dict[tuple[Hashable, ...], list[int]] = {}
    others = [values for name, values in levels.items() if name != factor]
    for condition in range(len(levels[factor])):
        alike.setdefault(tuple(values[condition] for values in others), []).append(condition)
    own = levels[factor]
    pairs = [
        (first, second)
        for group in alike.values()
        for place, first in enumerate(group)
        for second in group[place + 1 :]
        if own[first] != own[second]
    ]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def flips_by_factor(
    choices: ArrayLike,
    options: ArrayLike,
    levels: Mapping[str, Sequence[Hashable]],
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Flips]:
    """Flips that each factor of a design causes: order, template, form, repeat sensitivity.

    For each factor, choices are compared over the pairs of conditions that differ in that factor
    alone. Repeats under sampling are the floor: what flips without any cause.

    Args:
        choices: Index of the chosen option in content order, shape (conditions, items), NaN where
            nothing usable was said.
        options: How many options there are, one number or one for each item.
        levels: What each condition is on each factor; see `contrasting_pairs`.
        clusters: Label of what each item was drawn with; see `flips`.
        method: Of the intervals, bootstraps over items.
        confidence: Of the intervals.
        resamples: How often to resample.
        seed: The same seed gives the same intervals.

    Returns:
        By factor, those with two levels or more. NaN with the reason where no two conditions differ
        in the factor alone.

    Raises:
        ResponsesError: Levels do not fit the choices, or a choice is no index of an option.
    """
    conditions = np.asarray(choices).shape[0]
    for name, values in levels.items():
        if len(values) != conditions:
            raise ResponsesError(
                f"Factor {name} is given for {len(values)} conditions, but there are {conditions}."
            )
    return {
        name: flips(
            choices,
            options,
            contrasting_pairs(levels, name),
            clusters=clusters,
            method=method,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        for name, values in levels.items()
        if len(set(values)) > 1
    }


def one_hot(choices: ArrayLike, options: int) -> Floats:
    """Choices as distributions: 1 on the chosen option, all NaN where there is no choice.

    Args:
        choices: Index of the chosen option, any shape, NaN where missing.
        options: How many options there are.

    Returns:
        Shape (..., options).
    """
    table = np.asarray(choices, dtype=np.float64)[..., None]
    return np.where(np.isnan(table), np.nan, (table == np.arange(options)).astype(np.float64))


def position_effect(
    probabilities: ArrayLike,
    positions: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    method: IntervalMethod = "bca",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PositionEffect:
    """Effect of an option's shown position on choosing it, with its content held constant.

    The regression p(condition, item, option) = content(item, option) + coefficient * position, with
    positions scaled 0 (first) to 1 (last). Holding content constant means taking deviations from
    the mean over conditions, of p and of position, within each option of each item:
    coefficient = sum dp * dpos / sum dpos^2. An effect shows only where options changed places.

    Displacement and excess are set against what a respondent who goes by place alone would show
    over the same answers, so that missing ones do not shrink them: displacement = sum dp * dpos /
    reach, with reach = sum (last - first) * dpos / 2, last and first being 1 on what was shown
    there and 0 elsewhere; excess = (sum of dp at a place) / (2 reach). Where each option is shown
    equally often in each place, reach is half the number of answers. Always the first and always
    the last come to -1 and +1 exactly, also on a part of the answers, if orders are two opposite
    ones or a Williams square of four.

    Args:
        probabilities: Over the options in content order, shape (conditions, items, options); NaN
            where there was no usable answer, and on options that an item does not have.
        positions: Place at which each option was shown, 0 the first, in content order: shape
            (conditions, options), or (conditions, items, options).
        clusters: Label of what each item was drawn with; see `flips`.
        method: Of the intervals, bootstraps over items.
        confidence: Of the intervals.
        resamples: How often to resample.
        seed: The same seed gives the same intervals.

    Returns:
        NaN with the reason where no option was shown in two places; displacement and excess also
        where that holds of what is shown first and last.

    Raises:
        ResponsesError: The shapes do not fit.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    places = np.asarray(positions, dtype=np.float64)
    if places.ndim == 2:
        places = places[:, None, :]
    try:
        if given.ndim != 3:
            raise ValueError
        places = np.broadcast_to(places, given.shape)
    except ValueError:
        raise ResponsesError(
            f"Probabilities of shape {given.shape} and positions of shape "
            f"{np.shape(positions)} do not fit: (conditions, items, options) is needed."
        ) from None
    known = ~np.isnan(given)
    counts = np.maximum(known.sum(axis=0), 1)
    # Places are scaled by the options the item has, which can be fewer than the array holds.
    last = np.maximum(known.any(axis=0).sum(axis=1) - 1, 1)[None, :, None]
    ends = known * ((places == last).astype(np.float64) - (places == 0))
    share, place = np.where(known, given, 0.0), np.where(known, places / last, 0.0)
    share_deviation = np.where(known, share - share.sum(axis=0) / counts, 0.0)
    place_deviation = np.where(known, place - place.sum(axis=0) / counts, 0.0)
    together = (share_deviation * place_deviation).sum(axis=(0, 2))
    spread = np.square(place_deviation).sum(axis=(0, 2))
    reach = (ends * place_deviation).sum(axis=(0, 2)) / 2
    negligible = 1e-12 * max(known.sum(), 1)
    slots = int(places[known].max()) + 1 if known.any() else 0
    if spread.sum() <= negligible:
        none = undefined("no option was shown in two places, so position and content are one")
        return PositionEffect(none, none, np.full(slots, np.nan))

    def interval(above: Floats, below: Floats) -> Estimate:
        return ratio_interval(
            above,
            below,
            clusters=clusters,
            method=method,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )

    coefficient = interval(together, spread)
    if reach.sum() <= negligible:
        none = undefined("what was shown first and last was shown nowhere else")
        return PositionEffect(coefficient, none, np.full(slots, np.nan))
    excess = np.array(
        [(share_deviation * (known & (places == slot))).sum() for slot in range(slots)]
    )
    return PositionEffect(coefficient, interval(together, reach), excess / (2 * reach.sum()))
