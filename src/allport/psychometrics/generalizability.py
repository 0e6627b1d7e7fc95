"""Generalizability theory: where the variance of answers comes from, and what more asking buys.

Scores vary over the facets of the asking: statements, items within statements, option orders,
templates, wordings. A balanced random-effects analysis of variance shares the variance out among
them and their interactions; from the shares follows the standard error of the mean over any other
number of each (a decision study). Brennan, 2001, Generalizability Theory, chapters 3 to 5.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allport.errors import ResponsesError, UsageError

__all__ = ["VarianceComponents", "needed_levels", "standard_error_of_mean", "variance_components"]

Effect = tuple[str, ...]


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of the effects of a balanced random design."""

    levels: Mapping[str, int]
    """Levels of each facet that was observed; of a nested one, within one level of its nest."""
    nested: Mapping[str, str]
    """What each nested facet lies within."""
    variances: Mapping[Effect, float]
    """By effect, an effect being the facets that interact, in the order of the axes. The last is
    confounded with what is left. Estimates below zero are kept as they come out."""

    @property
    def shares(self) -> Mapping[Effect, float]:
        """Share of each effect in the variance of a single answer; effects below zero count as 0.

        NaN where nothing varies.
        """
        kept = {effect: max(0.0, v) for effect, v in self.variances.items()}
        total = sum(kept.values())
        return {effect: v / total if total > 0 else math.nan for effect, v in kept.items()}


def variance_components(
    scores: ArrayLike, facets: Sequence[str], nested: Mapping[str, str] | None = None
) -> VarianceComponents:
    """Estimate the variance of every effect from a complete table.

    The mean squares of a balanced design are set equal to their expectations: with all facets
    random, E MS(A) is the sum over the effects B that contain A of var(B) times the number of
    observations at each level of B.

    Args:
        scores: One axis a facet, such as (statement, item, order, template). An axis of a nested
            facet holds its levels within each level of its nest.
        facets: Names of the axes.
        nested: For a nested facet, the facet it lies within.

    Raises:
        UsageError: Names and axes do not fit.
        ResponsesError: A score is missing, or a facet has one level only.
    """
    y = np.asarray(scores, dtype=np.float64)
    nested = dict(nested or {})
    if y.ndim != len(facets) or len(set(facets)) < len(facets):
        raise UsageError(f"{y.ndim} axes need as many different facets, not {list(facets)}.")
    for inner, outer in nested.items():
        if inner not in facets or outer not in facets or outer in nested:
            raise UsageError(f"{inner!r} cannot lie within {outer!r}; facets are {list(facets)}.")
    for name, count in zip(facets, y.shape, strict=True):
        if count < 2:
            raise ResponsesError(
                f"Facet {name} has {count} level; variance over it needs two or more."
            )
    if not np.isfinite(y).all():
        raise ResponsesError(
            f"{int((~np.isfinite(y)).sum())} of {y.size} scores are missing; a balanced analysis "
            "needs all of them."
        )
    levels = dict(zip(facets, y.shape, strict=True))
    effects = [e for e in _subsets(facets) if all(nested.get(f, f) in e for f in e)]
    means: dict[Effect, Any] = {(): np.full((1,) * y.ndim, y.mean())}
    squares: dict[Effect, float] = {}
    for effect in effects:
        axes = tuple(i for i, f in enumerate(facets) if f not in effect)
        mean = y.mean(axis=axes, keepdims=True)
        # What is left of the mean over these facets when every smaller effect is taken away.
        within = [small for small in means if set(small) < set(effect)]
        residual = mean - sum((means[small] for small in within), np.zeros_like(mean))
        means[effect] = residual
        repeats = math.prod(levels[f] for f in facets if f not in effect)
        degrees = math.prod(
            levels[f] - 1 if _is_inner(f, effect, nested) else levels[f] for f in effect
        )
        squares[effect] = float((residual**2).sum()) * repeats / degrees
    variances: dict[Effect, float] = {}
    for effect in reversed(effects):
        repeats = math.prod(levels[f] for f in facets if f not in effect)
        above = sum(
            variances[b] * math.prod(levels[f] for f in facets if f not in b)
            for b in variances
            if set(b) > set(effect)
        )
        variances[effect] = (squares[effect] - above) / repeats
    return VarianceComponents(levels, nested, {e: variances[e] for e in effects})


def standard_error_of_mean(
    components: VarianceComponents,
    levels: Mapping[str, int | float] | None = None,
    fixed: Sequence[str] = (),
) -> float:
    """Absolute standard error of the mean over so many levels of each facet.

    Args:
        components: Of the facets.
        levels: Levels to be averaged over; as observed where not given. Of a nested facet, within
            each level of its nest.
        fixed: Facets all of whose levels are asked, such as both orders of a response scale:
            effects of such facets alone are no error. What goes with other facets is, averaged
            over their levels.

    Raises:
        UsageError: A facet is unknown or has no levels, or other levels of a fixed one are wanted.
    """
    counts = {**components.levels, **(levels or {})}
    for facet, count in counts.items():
        if facet not in components.levels or count <= 0:
            raise UsageError(f"{count} levels of {facet!r} cannot be averaged over.")
        if facet in fixed and count != components.levels[facet]:
            raise UsageError(
                f"All {components.levels[facet]} levels of {facet!r} are asked, as it is fixed; "
                f"they cannot be {count}."
            )
    total = 0.0
    for effect, variance in components.variances.items():
        if all(f in fixed for f in effect):
            # The mean over all levels of a fixed facet is the same each time: no error.
            continue
        total += max(0.0, variance) / math.prod(counts[f] for f in effect)
    return math.sqrt(total)


def needed_levels(
    components: VarianceComponents,
    standard_error: float,
    choices: Mapping[str, Sequence[int]],
    fixed: Sequence[str] = (),
) -> dict[str, int] | None:
    """The cheapest asking whose mean has at most this standard error.

    Args:
        components: Of the facets.
        standard_error: In the units of the scores.
        choices: Numbers of levels that can be asked, by facet; the others stay as observed.
        fixed: See `standard_error_of_mean`.

    Returns:
        Levels of the chosen facets with the fewest answers in all, or None if no choice reaches it.
    """
    best: tuple[int, dict[str, int]] | None = None
    for counts in itertools.product(*choices.values()):
        asked = dict(zip(choices, counts, strict=True))
        answers = math.prod({**components.levels, **asked}.values())
        if best is not None and answers >= best[0]:
            continue
        if standard_error_of_mean(components, asked, fixed) <= standard_error:
            best = (answers, asked)
    return None if best is None else best[1]


def _subsets(facets: Sequence[str]) -> Iterator[Effect]:
    for size in range(1, len(facets) + 1):
        yield from itertools.combinations(facets, size)


def _is_inner(facet: str, effect: Effect, nested: Mapping[str, str]) -> bool:
    """Whether a facet of an effect has one degree of freedom less than levels: all but those that
    others of the effect lie within.
    """
    return not any(nested.get(other) == facet for other in effect)
