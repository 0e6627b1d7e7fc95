"""Convergent and discriminant validity: several traits, each measured by several methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.validity import correlate

__all__ = [
    "ConvergentCheck",
    "MultitraitMultimethod",
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
