"""Convergent and discriminant validity: several traits, each measured by several methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.correlation import square_matrix
from allport.psychometrics.covariance import MissingPairs, as_answers, item_covariance
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import IntervalMethod, bootstrap
from allport.psychometrics.validity import correlate

__all__ = [
    "ConvergentCheck",
    "MultitraitMultimethod",
    "heterotrait_monotrait",
    "heterotrait_monotrait_matrix",
    "multitrait_multimethod",
]

Floats: TypeAlias = NDArray[np.float64]


class ConvergentCheck(NamedTuple):
    """One trait measured by two methods, and the comparisons it should win.

    A margin is the convergent correlation minus the absolute value of a neighbour's: positive
    where it wins. NaN where there is nothing to compare with.
    """

    trait: str
    methods: tuple[str, str]
    convergent: Estimate
    """Correlation of the two measures of the trait, with Fisher's interval."""
    heteromethod_margins: Floats
    """Against other traits measured by the other method: the rest of the row and of the column in
    the block of the two methods, shape (2 (traits - 1),)."""
    monomethod_margins: Floats
    """Against other traits measured by the same method, for either method, the same shape."""

    @property
    def discriminant(self) -> float:
        """Mean margin over other traits measured by the other method."""
        return _mean(self.heteromethod_margins)

    @property
    def is_convergent(self) -> bool:
        """First criterion: the interval of the convergent correlation lies above zero."""
        return self.convergent.low > 0

    @property
    def exceeds_heteromethod(self) -> bool:
        """Second criterion: above every correlation in its row and column."""
        return bool(self.heteromethod_margins.size and (self.heteromethod_margins > 0).all())

    @property
    def exceeds_monomethod(self) -> bool:
        """Third criterion: above every correlation that shares its method and not its trait."""
        return bool(self.monomethod_margins.size and (self.monomethod_margins > 0).all())


@dataclass(frozen=True)
class MultitraitMultimethod:
    """Correlations of traits x methods, and Campbell and Fiske's checks on them."""

    traits: tuple[str, ...]
    methods: tuple[str, ...]
    matrix: Floats
    """Shape (methods * traits, methods * traits), the traits of one method side by side.
    The diagonal holds reliabilities where they were given, else 1."""
    checks: tuple[ConvergentCheck, ...]
    """For each pair of methods, each trait."""
    pattern: Estimate
    """Fourth criterion: Kendall's coefficient of concordance, 0 to 1, between the rank orders of
    the trait correlations in all blocks of the matrix."""

    @property
    def convergent_mean(self) -> float:
        """Mean convergent correlation."""
        return _mean(np.array([check.convergent.value for check in self.checks]))

    @property
    def discriminant_mean(self) -> float:
        """Mean margin of convergent correlations over those of other traits, other method."""
        return _mean(np.concatenate([check.heteromethod_margins for check in self.checks]))


def multitrait_multimethod(
    scores: ArrayLike,
    traits: Sequence[str],
    methods: Sequence[str],
    *,
    reliabilities: ArrayLike | None = None,
    confidence: float = 0.95,
) -> MultitraitMultimethod:
    """Multitrait-multimethod matrix with Campbell and Fiske's four criteria.

    The criteria (Campbell & Fiske, 1959, Psychological Bulletin 56): correlations of one trait over
    two methods are above zero; above those of other traits in the same row and column; above those
    of other traits with the same method; and traits are related alike in every block. Methods are
    whatever may differ while the trait stays: inventories, templates, self-report and text.

    Args:
        scores: Shape (respondents or administrations, methods, traits), NaN where missing;
            correlations are pairwise.
        traits: Names, at least one.
        methods: Names, at least two.
        reliabilities: Shape (methods, traits), for the diagonal.
        confidence: Of the intervals of convergent correlations.

    Raises:
        ValueError: Shapes and names do not agree, or there is one method.
    """
    cube = np.asarray(scores, dtype=np.float64)
    if cube.ndim != 3 or cube.shape[1:] != (len(methods), len(traits)) or len(methods) < 2:
        raise ValueError(
            f"scores of shape {cube.shape} are not (rows, {len(methods)} methods, "
            f"{len(traits)} traits) with two methods or more"
        )
    count = len(traits)
    matrix = item_covariance(cube.reshape(len(cube), -1)).correlation
    checks = tuple(
        _check(cube, matrix, trait, (first, second), traits, methods, confidence)
        for first in range(len(methods))
        for second in range(first + 1, len(methods))
        for trait in range(count)
    )
    shown = matrix.copy()
    if reliabilities is not None:
        diagonal = np.asarray(reliabilities, dtype=np.float64)
        if diagonal.shape != (len(methods), count):
            raise ValueError(f"reliabilities of shape {diagonal.shape} are not (methods, traits)")
        np.fill_diagonal(shown, diagonal.ravel())
    return MultitraitMultimethod(
        tuple(traits), tuple(methods), shown, checks, _pattern(matrix, len(methods), count)
    )


def heterotrait_monotrait(
    keyed_x: ArrayLike,
    keyed_y: ArrayLike,
    *,
    missing: MissingPairs = "pairwise",
    method: IntervalMethod = "percentile",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Heterotrait-monotrait ratio of two scales with its bootstrap interval over rows.

    Mean correlation of items of different scales over the geometric mean of the two mean
    correlations within scales (Henseler, Ringle & Sarstedt, 2015, J. Acad. Marketing Science 43).
    It estimates the correlation of what the scales measure; scales are told apart where it is
    below .85 or its interval below 1.

    Args:
        keyed_x: Keyed answers to one scale, shape (respondents or administrations, items).
        keyed_y: Keyed answers of the same rows to the other scale.
        missing: See `item_covariance`.
        method: See `bootstrap`.
        confidence: Of the interval.
        resamples: See `bootstrap`; 0 for no interval.
        seed: See `bootstrap`.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
        ValueError: The rows differ in number.
    """
    first, second = as_answers(keyed_x), as_answers(keyed_y)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} rows do not pair up")
    answers = np.hstack([first, second])
    scales = np.repeat([0, 1], [first.shape[1], second.shape[1]])

    def ratio(rows: Floats) -> Estimate:
        return _ratio(item_covariance(rows, missing).correlation, scales == 0, scales == 1)

    observed = ratio(answers)
    if observed.reason:
        return observed
    return bootstrap(
        lambda rows: ratio(rows).value,
        answers,
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def heterotrait_monotrait_matrix(
    correlation: ArrayLike, scale_of_item: Sequence[str]
) -> dict[tuple[str, str], Estimate]:
    """Heterotrait-monotrait ratios of every two scales, without intervals.

    Args:
        correlation: Of keyed items, shape (items, items).
        scale_of_item: Name of each item's scale, shape (items,).

    Returns:
        By pair of names, in the order in which the scales first appear.

    Raises:
        ValueError: The names do not fit the items.
    """
    matrix = square_matrix(correlation)
    labels = np.asarray(scale_of_item)
    if labels.shape != (len(matrix),):
        raise ValueError(f"{labels.size} scale names do not fit {len(matrix)} items")
    names = list(dict.fromkeys(scale_of_item))
    return {
        (a, b): _ratio(matrix, labels == a, labels == b)
        for position, a in enumerate(names)
        for b in names[position + 1 :]
    }


def _ratio(correlation: Floats, in_x: NDArray[np.bool_], in_y: NDArray[np.bool_]) -> Estimate:
    within = []
    for inside in (in_x, in_y):
        block = correlation[np.ix_(inside, inside)]
        if len(block) < 2:
            return undefined("a scale of one item has no correlations within")
        within.append(float(block[~np.eye(len(block), dtype=bool)].mean()))
    between = float(correlation[np.ix_(in_x, in_y)].mean())
    if math.isnan(between) or any(math.isnan(mean) for mean in within):
        return undefined("an item does not vary, or two were answered together too rarely")
    if min(within) <= 0:
        return undefined("the items of a scale do not correlate positively on average")
    return Estimate(between / math.sqrt(within[0] * within[1]))


def _check(
    cube: Floats,
    matrix: Floats,
    trait: int,
    pair: tuple[int, int],
    traits: Sequence[str],
    methods: Sequence[str],
    confidence: float,
) -> ConvergentCheck:
    first, second = pair
    count = len(traits)
    convergent = correlate(cube[:, first, trait], cube[:, second, trait], confidence=confidence)
    one, other = first * count + trait, second * count + trait
    others = np.delete(np.arange(count), trait)
    of_first, of_second = first * count + others, second * count + others
    heteromethod = np.concatenate([matrix[one, of_second], matrix[of_first, other]])
    monomethod = np.concatenate([matrix[one, of_first], matrix[other, of_second]])
    return ConvergentCheck(
        traits[trait],
        (methods[first], methods[second]),
        convergent,
        convergent.value - np.abs(heteromethod),
        convergent.value - np.abs(monomethod),
    )


def _pattern(matrix: Floats, methods: int, traits: int) -> Estimate:
    """Kendall's W, with ties, over the off-diagonal triangles of all blocks."""
    from scipy.stats import rankdata

    if traits < 3:
        return undefined("fewer than three traits have no pattern of correlations")
    blocks = matrix.reshape(methods, traits, methods, traits)
    upper = np.triu_indices(traits, 1)
    triangles = []
    for first in range(methods):
        for second in range(first, methods):
            block = blocks[first, :, second, :]
            triangles.append(block[upper])
            if first != second:
                triangles.append(block.T[upper])
    values = np.array(triangles)
    if np.isnan(values).any():
        return undefined("a measure does not vary")
    # Rounding keeps correlations that are equal but for the last bits tied.
    ranks = rankdata(values.round(12), axis=1)
    judges, objects = ranks.shape
    ties = sum(
        float((counts**3 - counts).sum())
        for counts in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    largest = judges**2 * (objects**3 - objects) - judges * ties
    if largest <= 0:
        return undefined("all correlations between traits are alike")
    totals = ranks.sum(axis=0)
    return Estimate(float(12 * ((totals - totals.mean()) ** 2).sum() / largest))


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
