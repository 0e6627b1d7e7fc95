"""How many factors there are, and whether the correlations are worth factoring at all."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import UsageError
from allport.psychometrics.correlation import eigenvalues, square_matrix, why_singular, why_unusable
from allport.psychometrics.covariance import MissingPairs, as_answers, item_covariance
from allport.psychometrics.factor_analysis import minimum_residual_loadings

__all__ = [
    "AveragePartial",
    "ParallelAnalysis",
    "SamplingAdequacy",
    "Sphericity",
    "bartlett_sphericity",
    "minimum_average_partial",
    "parallel_analysis",
    "sampling_adequacy",
]

Floats: TypeAlias = NDArray[np.float64]


class SamplingAdequacy(NamedTuple):
    """Kaiser-Meyer-Olkin measure: overall, and of each item, shape (items,)."""

    overall: float
    items: Floats
    reason: str = ""


class Sphericity(NamedTuple):
    """Bartlett's test that no items correlate."""

    chi_square: float
    df: int
    p_value: float
    reason: str = ""


class AveragePartial(NamedTuple):
    """Velicer's average squared partial correlations.

    Attributes:
        n_components: How many components leave the smallest average; 0 where none does, or where
            `reason` says that nothing could be computed.
        averages: After 0, 1, 2, ... components were taken out.
    """

    n_components: int
    averages: Floats
    reason: str = ""


class ParallelAnalysis(NamedTuple):
    """Eigenvalues of the answers beside those of answers that are unrelated.

    Attributes:
        n_factors: Factors before the first that explains no more than chance does.
        n_components: The same for principal components.
        factor_values: Eigenvalues of the correlations with communalities on the diagonal.
        component_values: Eigenvalues of the correlations.
        factor_chance: Quantile of `factor_values` of unrelated answers.
        component_chance: Quantile of `component_values` of unrelated answers.
        reason: Why nothing could be computed (counts are then 0 and values NaN), or "".
    """

    n_factors: int
    n_components: int
    factor_values: Floats
    component_values: Floats
    factor_chance: Floats
    component_chance: Floats
    reason: str = ""


def sampling_adequacy(correlation: ArrayLike) -> SamplingAdequacy:
    """Kaiser-Meyer-Olkin measure of sampling adequacy (Kaiser & Rice 1974).

    sum r^2 / (sum r^2 + sum q^2) over pairs of different items, where q is the correlation of two
    items with all others held constant. Above .8 is good, below .5 not worth factoring.

    Args:
        correlation: Shape (items, items).
    """
    matrix = square_matrix(correlation)
    reason = why_unusable(matrix) or why_singular(matrix)
    if reason:
        return SamplingAdequacy(math.nan, np.full(matrix.shape[0], math.nan), reason)
    precision = np.linalg.inv(matrix)
    scale = np.sqrt(np.diag(precision))
    squared, partial = matrix**2, (precision / np.outer(scale, scale)) ** 2
    np.fill_diagonal(squared, 0.0)
    np.fill_diagonal(partial, 0.0)
    if not squared.any():
        nothing = np.full(matrix.shape[0], math.nan)
        return SamplingAdequacy(math.nan, nothing, "no two items correlate")
    with np.errstate(invalid="ignore"):
        items = squared.sum(axis=0) / (squared.sum(axis=0) + partial.sum(axis=0))
    return SamplingAdequacy(float(squared.sum() / (squared.sum() + partial.sum())), items)


def bartlett_sphericity(correlation: ArrayLike, n_respondents: int) -> Sphericity:
    """Bartlett's test of sphericity (Bartlett 1951).

    chi^2 = -(n - 1 - (2k + 5) / 6) ln |R| with k (k - 1) / 2 degrees of freedom.

    Args:
        correlation: Shape (items, items).
        n_respondents: How many answered.
    """
    matrix = square_matrix(correlation)
    reason = why_unusable(matrix) or why_singular(matrix)
    items = matrix.shape[0]
    df = items * (items - 1) // 2
    correction = n_respondents - 1 - (2 * items + 5) / 6
    if not reason and correction <= 0:
        reason = f"{n_respondents} respondents are too few for {items} items"
    if not reason and df == 0:
        reason = "one item has no correlations to test"
    if reason:
        return Sphericity(math.nan, df, math.nan, reason)
    from scipy.stats import chi2

    chi_square = max(-correction * float(np.linalg.slogdet(matrix)[1]), 0.0)
    return Sphericity(chi_square, df, float(chi2.sf(chi_square, df)))


def minimum_average_partial(
    correlation: ArrayLike, max_components: int | None = None
) -> AveragePartial:
    """Velicer's minimum average partial (Velicer 1976).

    Principal components are taken out one by one; as long as what they carry is common to several
    items, the average squared partial correlation of the rest falls.

    Args:
        correlation: Shape (items, items).
        max_components: How many to try, 0 or more; by default all that leave two items' worth of
            variance.

    Raises:
        UsageError: `max_components` is negative.
    """
    if max_components is not None and max_components < 0:
        raise UsageError(f"At most {max_components} components cannot be tried; give 0 or more.")
    matrix = square_matrix(correlation)
    reason = why_unusable(matrix)
    items = matrix.shape[0]
    if not reason and items < 3:
        reason = "partial correlations need at least three items"
    if reason:
        return AveragePartial(0, np.array([]), reason)
    most = items - 2 if max_components is None else min(max_components, items - 2)
    values, vectors = np.linalg.eigh(matrix)
    components = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    averages = []
    for count in range(most + 1):
        rest = matrix - components[:, :count] @ components[:, :count].T
        variances = np.diag(rest)
        if variances.min() < 1e-10:  # an item has been taken out whole
            break
        partial = (rest / np.sqrt(np.outer(variances, variances))) ** 2
        averages.append((partial.sum() - items) / (items * (items - 1)))
    return AveragePartial(int(np.argmin(averages)), np.array(averages))


def parallel_analysis(
    answers: ArrayLike,
    *,
    iterations: int = 20,
    quantile: float = 0.95,
    unrelated: Literal["normal", "permuted"] = "normal",
    missing: MissingPairs = "pairwise",
    seed: int = 0,
) -> ParallelAnalysis:
    """Horn's parallel analysis (Horn 1965), of factors and of components.

    Factors are kept as long as their eigenvalue exceeds the `quantile` of the same eigenvalue over
    `iterations` tables of unrelated answers. For factors, the diagonal holds the communalities of
    a one-factor minres solution, in the answers and in each unrelated table, as in R's
    `psych::fa.parallel`.

    Args:
        answers: Shape (respondents, items); NaN where missing.
        iterations: Tables of unrelated answers, at least 1.
        quantile: Of the chance eigenvalues, 0 to 1.
        unrelated: `normal` draws normal deviates; `permuted` shuffles every item's own answers
            among respondents, which keeps each distribution and its missing answers.
        missing: See `item_covariance`.
        seed: Of the unrelated answers.

    Raises:
        UsageError: There are no iterations, or the kind of unrelated answers is unknown.
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    if unrelated not in ("normal", "permuted"):
        raise UsageError(
            f"Unrelated answers of the kind {unrelated!r} are unknown; choose normal or permuted."
        )
    if iterations < 1:
        raise UsageError(f"Parallel analysis in {iterations} iterations cannot be; give 1 or more.")
    table = as_answers(answers).astype(np.float64)
    matrix = item_covariance(table, missing).correlation
    items = matrix.shape[0]
    reason = why_unusable(matrix) or ("" if items > 2 else "three items or more are needed")
    if reason:
        return _no_parallel_analysis(items, reason)
    if missing == "listwise":
        table = table[np.isfinite(table).all(axis=1)]
    rng = np.random.default_rng(seed)
    chance = np.full((iterations, 2, items), math.nan)
    for iteration in range(iterations):
        draw = (
            rng.standard_normal(table.shape)
            if unrelated == "normal"
            else rng.permuted(table, axis=0)
        )
        unrelated_matrix = item_covariance(draw).correlation
        # Few answers, shuffled, can leave two items without a pair that varies.
        if not why_unusable(unrelated_matrix):
            chance[iteration] = _eigenvalues(unrelated_matrix)
    chance = chance[np.isfinite(chance).all(axis=(1, 2))]
    if not len(chance):
        return _no_parallel_analysis(items, "too few answers: some items share no respondents")
    factor_chance, component_chance = np.quantile(chance, quantile, axis=0)
    factor_values, component_values = _eigenvalues(matrix)
    return ParallelAnalysis(
        _count_above(factor_values, factor_chance),
        _count_above(component_values, component_chance),
        factor_values,
        component_values,
        factor_chance,
        component_chance,
    )


def _no_parallel_analysis(items: int, reason: str) -> ParallelAnalysis:
    nothing = np.full(items, math.nan)
    return ParallelAnalysis(0, 0, nothing, nothing, nothing, nothing, reason)


def _eigenvalues(correlation: Floats) -> tuple[Floats, Floats]:
    """Of the reduced correlation matrix and of the matrix itself, largest first."""
    loadings, _ = minimum_residual_loadings(correlation, 1)
    reduced = correlation.copy()
    np.fill_diagonal(reduced, (loadings**2).sum(axis=1))
    return eigenvalues(reduced), eigenvalues(correlation)


def _count_above(values: Floats, chance: Floats) -> int:
    """How many values come before the first that is not above chance."""
    above = values > chance
    return int(above.size if above.all() else np.argmin(above))
