"""Adaptive testing: the next item is the one that tells most about the respondent so far.

Levels are expected a posteriori; the next item has the most Fisher information there, among items
of the statements asked least (content balance), drawn at random from the best few so that no item
is asked of everybody (randomesque exposure control; Kingsbury & Zara, 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allport.errors import UsageError
from allport.psychometrics.item_response import (
    ItemParameters,
    expected_share,
    item_information,
    trait_estimates,
)

__all__ = ["AdaptiveTest", "adaptive_steps", "adaptive_test", "next_item"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AdaptiveTest:
    """What an adaptive test asked of one respondent, and what it found."""

    items: tuple[int, ...]
    """Columns of the items asked, in order."""
    responses: tuple[float, ...]
    """Share of the high side chosen on each, 0 to 1."""
    levels: tuple[float, ...]
    """Level after each item, in standard deviations."""
    standard_errors: tuple[float, ...]
    bank_score: float
    """What the whole bank would give, 0 to 100: the mean of the responses given and of those
    expected of the items not asked."""
    score_error: float
    """Standard error of that score, 0 to 100: from the level's own error and from the scatter of
    the responses not asked for."""


def next_item(
    parameters: ItemParameters,
    level: float,
    asked: Sequence[int],
    statements: Sequence[Hashable],
    rng: np.random.Generator,
    among: int = 5,
) -> int:
    """Column of the item to ask next.

    Args:
        parameters: Of the items.
        level: Of the respondent, as far as is known.
        asked: Columns asked before.
        statements: What each item was written from, or its facet: what takes turns, shape (items,).
        rng: Draws from the best.
        among: How many of the best to draw from; 1 always takes the best.

    Raises:
        UsageError: Every item was asked.
    """
    done = set(asked)
    left = [i for i in range(len(statements)) if i not in done]
    if not left:
        raise UsageError(f"All {len(statements)} items were asked; nothing is left to ask.")
    times = {statement: 0 for statement in statements}
    for item in asked:
        times[statements[item]] += 1
    fewest = min(times[statements[i]] for i in left)
    left = [i for i in left if times[statements[i]] == fewest]
    information = item_information(parameters, level)
    best = sorted(left, key=lambda i: -information[i])[:among]
    return int(rng.choice(best))


def adaptive_test(
    parameters: ItemParameters,
    answer: Callable[[int], float],
    statements: Sequence[Hashable] | None = None,
    *,
    standard_error: float = 0.3,
    score_error: float | None = None,
    most_items: int | None = None,
    among: int = 5,
    seed: int = 0,
) -> AdaptiveTest:
    """Ask one respondent until the level is known well enough.

    Args:
        parameters: Of the items of one trait.
        answer: Gives the share of the high side that the respondent chooses on an item, by column;
            NaN where there is no usable answer, which counts as asked.
        statements: What each item was written from, or its facet: what takes turns; each item its
            own where None.
        standard_error: Of the level at which to stop, in standard deviations.
        score_error: Standard error of the bank's score, in points of 100, that is to be reached
            before stopping too.
        most_items: After how many items to stop in any case.
        among: See `next_item`.
        seed: Of the draws.
    """
    steps = adaptive_steps(
        parameters,
        statements,
        standard_error=standard_error,
        score_error=score_error,
        most_items=most_items,
        among=among,
        seed=seed,
    )
    item = next(steps)
    while True:
        try:
            item = steps.send(answer(item))
        except StopIteration as end:
            found: AdaptiveTest = end.value
            return found


def adaptive_steps(
    parameters: ItemParameters,
    statements: Sequence[Hashable] | None = None,
    *,
    standard_error: float = 0.3,
    score_error: float | None = None,
    most_items: int | None = None,
    among: int = 5,
    seed: int = 0,
) -> Generator[int, float, AdaptiveTest]:
    """An adaptive test as a generator, so that many tests can be asked side by side.

    Arguments are those of `adaptive_test`. It yields the column of the item to ask, is sent the
    share of the high side chosen on it (NaN where there is no usable answer), and returns what was
    found. Which items are asked follows from the answers and the seed alone.
    """
    count = len(parameters.discriminations)
    labels = list(range(count)) if statements is None else list(statements)
    if len(labels) != count:
        raise UsageError(f"{len(labels)} statements were given for {count} items.")
    if most_items is not None and most_items < 1:
        raise UsageError(f"An adaptive test of at most {most_items} items asks nothing; give 1.")
    rng = np.random.default_rng(seed)
    responses: Floats = np.full(count, np.nan)
    asked: list[int] = []
    levels: list[float] = []
    errors: list[float] = []
    level, error = 0.0, 1.0
    while len(asked) < min(count, most_items or count):
        item = next_item(parameters, level, asked, labels, rng, among)
        responses[item] = yield item
        asked.append(item)
        found = trait_estimates(parameters, responses)
        level, error = float(found.levels[0]), float(found.standard_errors[0])
        levels.append(level)
        errors.append(error)
        known = score_error is None or _score(parameters, responses, level, error)[1] <= score_error
        if error <= standard_error and known:
            break
    return AdaptiveTest(
        tuple(asked),
        tuple(float(responses[i]) for i in asked),
        tuple(levels),
        tuple(errors),
        *_score(parameters, responses, level, error),
    )


def _score(
    parameters: ItemParameters, responses: Floats, level: float, error: float
) -> tuple[float, float]:
    """Score of the whole bank and its standard error, both 0 to 100."""
    open_ = np.isnan(responses)
    p = expected_share(parameters, level)
    scatter = p * (1 - p)
    slope = (parameters.discriminations * scatter)[open_].sum()
    variance = (slope * error) ** 2 + parameters.dispersion * scatter[open_].sum()
    score = np.where(open_, p, responses).mean()
    return 100 * float(score), 100 * float(np.sqrt(variance)) / len(p)
