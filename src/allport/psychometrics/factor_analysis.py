"""Exploratory factor analysis: minimum residuals, rotation, and how well the factors fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.correlation import eigenvalues, square_matrix, why_singular, why_unusable
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.rotation import Rotation, Stopping, rotate_loadings

__all__ = [
    "FactorFit",
    "FactorSolution",
    "exploratory_factor_analysis",
    "minimum_residual_loadings",
    "noncentrality_interval",
]

Floats: TypeAlias = NDArray[np.float64]

# R's psych keeps uniquenesses above this; a solution that reaches it is a Heywood case.
LEAST_UNIQUENESS = 0.005


class FactorFit(NamedTuple):
    """How well a factor model reproduces a correlation matrix.

    Attributes:
        chi_square: Likelihood-ratio statistic with Bartlett's correction; NaN with `reason`.
        df: Its degrees of freedom; zero or negative where the model is saturated.
        p_value: Probability of a larger statistic if the model held.
        rmsea: Root mean square error of approximation; the interval is of 90 %.
        tli: Tucker-Lewis index against uncorrelated items.
        bic: `chi_square` - `df` ln n; lower is better.
        rms: Root mean square of the off-diagonal residual correlations.
        reason: Why statistics that need the likelihood are NaN, or "".
    """

    chi_square: float
    df: int
    p_value: float
    rmsea: Estimate
    tli: float
    bic: float
    rms: float
    reason: str = ""


@dataclass(frozen=True)
class FactorSolution:
    """Loadings of items on common factors. All arrays are NaN where `reason` is not empty."""

    loadings: Floats
    """Pattern, shape (items, factors): largest factor first, columns summing to at least zero."""
    factor_correlations: Floats
    """Shape (factors, factors)."""
    uniquenesses: Floats
    """1 - communality, shape (items,)."""
    ss_loadings: Floats
    """Variance explained by each factor, in items, shape (factors,)."""
    eigenvalues: Floats
    """Of the correlation matrix, largest first, shape (items,)."""
    fit: FactorFit
    rotation: Rotation
    improper: tuple[int, ...]
    """Items whose uniqueness reached zero (Heywood cases): too many factors, or too few answers."""
    reason: str = ""

    @property
    def communalities(self) -> Floats:
        """Share of each item's variance that the factors explain, shape (items,)."""
        return 1.0 - self.uniquenesses

    @property
    def structure(self) -> Floats:
        """Correlations of items with factors, shape (items, factors)."""
        return self.loadings @ self.factor_correlations


def exploratory_factor_analysis(
    correlation: ArrayLike,
    n_factors: int,
    *,
    n_respondents: int | None = None,
    rotation: Rotation = "oblimin",
    starts: int = 3,
    seed: int = 0,
    stopping: Stopping = "exact",
) -> FactorSolution:
    """Factor a correlation matrix by minimum residuals and rotate the factors.

    Minres finds the loadings L that minimise the squared off-diagonal residuals of R - L L'
    (Harman & Jones 1966), here through the uniquenesses (Jöreskog 1977), as R's `psych::fa` does.
    The fit is judged by the likelihood of the model all the same.

    Args:
        correlation: Shape (items, items), for example `item_covariance(answers).correlation`.
        n_factors: How many common factors, at least 1 and fewer than items.
        n_respondents: How many answered; without it, fit that depends on it is NaN.
        rotation: `none`, `varimax` or `oblimin`.
        starts: Starting points of the rotation, see `rotate_loadings`.
        seed: Of the random starting points.
        stopping: Search to the optimum, or stop where R's psych stops. The two part visibly only
            where the answers do not determine the factors.

    Raises:
        ValueError: The number of factors does not fit the number of items.
    """
    matrix = square_matrix(correlation)
    reason = why_unusable(matrix)
    items = matrix.shape[0]
    if not 1 <= n_factors < items:
        raise ValueError(f"{items} items have 1 to {items - 1} factors, not {n_factors}")
    if reason:
        return _without_solution(items, n_factors, rotation, reason)
    unrotated, improper = minimum_residual_loadings(matrix, n_factors, stopping)
    rotated = rotate_loadings(unrotated, rotation, starts=starts, seed=seed, stopping=stopping)
    return FactorSolution(
        loadings=rotated.loadings,
        factor_correlations=rotated.factor_correlations,
        uniquenesses=1.0 - (unrotated**2).sum(axis=1),
        ss_loadings=rotated.ss_loadings,
        eigenvalues=eigenvalues(matrix),
        fit=_fit(matrix, unrotated, n_respondents),
        rotation=rotation,
        improper=improper,
    )


def minimum_residual_loadings(
    correlation: Floats, n_factors: int, stopping: Stopping = "exact"
) -> tuple[Floats, tuple[int, ...]]:
    """Unrotated minres loadings, shape (items, factors), and the items that are Heywood cases.

    Args:
        correlation: A usable correlation matrix (see `why_unusable`).
        n_factors: At least 1 and fewer than items.
        stopping: See `exploratory_factor_analysis`.
    """
    # Imported here: scipy's optimisers take half a second, and scoring does not need them.
    from scipy.optimize import minimize

    exact = stopping == "exact"
    # psych searches in hundredths of a uniqueness, which sets the length of its first step.
    unit = 1.0 if exact else 0.01

    def residual(point: Floats) -> tuple[float, Floats]:
        values, vectors = np.linalg.eigh(correlation - np.diag(point * unit))
        # Factors can reproduce only positive roots; all else is left over.
        left = values.copy()
        left[-n_factors:] = np.minimum(left[-n_factors:], 0.0)
        on_diagonal = (vectors**2) @ left
        squares = float(left @ left)
        if not exact:
            # psych takes the off-diagonal residuals alone, yet the gradient of all of them.
            squares -= float(on_diagonal @ on_diagonal)
        return 0.5 * squares, -unit * on_diagonal

    # Squared multiple correlations; the pseudo-inverse serves singular matrices too.
    precision = np.diag(np.linalg.pinv(correlation, hermitian=True))
    start = np.clip(1.0 / np.maximum(precision, 1.0), LEAST_UNIQUENESS, 1.0)
    found = minimize(
        residual,
        start / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST_UNIQUENESS / unit, 1.0 / unit)] * len(start),
        options=(
            {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
            if exact
            else {"maxiter": 100, "ftol": 1e7 * np.finfo(float).eps, "gtol": 0.0, "maxcor": 5}
        ),
    )
    uniquenesses = found.x * unit
    values, vectors = np.linalg.eigh(correlation - np.diag(uniquenesses))
    roots = np.sqrt(np.maximum(values[::-1][:n_factors], 0.0))
    loadings = vectors[:, ::-1][:, :n_factors] * roots
    loadings = loadings * np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    improper = np.flatnonzero(uniquenesses <= LEAST_UNIQUENESS * (1 + 1e-9))
    return loadings, tuple(int(item) for item in improper)


def noncentrality_interval(chi_square: float, df: int, level: float = 0.90) -> tuple[float, float]:
    """Interval of the noncentrality of which `chi_square` is a draw.

    The lower limit is the noncentrality under which a larger statistic has probability
    (1 - level) / 2, the upper one that under which a smaller one has (Steiger & Lind 1980).
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2, ncx2

    def limit(probability: float) -> float:
        if chi2.cdf(chi_square, df) <= probability:
            return 0.0
        # The noncentrality is at most the statistic plus many of its standard deviations.
        highest = chi_square + 20.0 * math.sqrt(2.0 * (df + 2.0 * chi_square)) + 20.0
        return float(brentq(lambda nc: ncx2.cdf(chi_square, df, nc) - probability, 1e-12, highest))

    tail = (1.0 - level) / 2.0
    return limit(1.0 - tail), limit(tail)


def _fit(correlation: Floats, loadings: Floats, n_respondents: int | None) -> FactorFit:
    items, factors = loadings.shape
    df = ((items - factors) ** 2 - items - factors) // 2
    model = loadings @ loadings.T
    residuals = (correlation - model)[~np.eye(items, dtype=bool)]
    rms = math.sqrt(float(residuals @ residuals) / residuals.size)
    np.fill_diagonal(model, 1.0)

    def without(reason: str) -> FactorFit:
        return FactorFit(math.nan, df, math.nan, undefined(reason), math.nan, math.nan, rms, reason)

    if n_respondents is None:
        return without("the number of respondents is not known")
    correction = n_respondents - 1 - (2 * items + 5) / 6
    if correction - 2 * factors / 3 <= 0:
        return without(f"{n_respondents} respondents are too few for {items} items")
    singular = why_singular(correlation) or why_singular(model)
    if singular:
        return without(singular)
    log_determinant = np.linalg.slogdet(correlation)[1]
    model_log_determinant = np.linalg.slogdet(model)[1]
    discrepancy = (
        float(np.trace(np.linalg.solve(model, correlation)))
        - log_determinant
        + model_log_determinant
        - items
    )
    chi_square = float(discrepancy * (correction - 2 * factors / 3))
    bic = chi_square - df * math.log(n_respondents)
    if df <= 0:
        saturated = f"{factors} factors of {items} items leave no degrees of freedom"
        return FactorFit(
            chi_square, df, math.nan, undefined(saturated), math.nan, bic, rms, saturated
        )
    from scipy.stats import chi2

    # Discrepancy for each degree of freedom, without factors, with them, and by chance.
    null = -float(log_determinant) / (items * (items - 1) / 2)
    chance = 1 / (correction - 2 * factors / 3)
    # Items that correlate no more than by chance leave nothing to explain.
    tli = (null - float(discrepancy) / df) / (null - chance) if null > chance else math.nan
    squared = chi_square / (df * n_respondents) - 1 / (n_respondents - 1)
    low, high = noncentrality_interval(chi_square, df)
    scale = df * (n_respondents - 1)
    rmsea = Estimate(math.sqrt(max(squared, 0.0)), math.sqrt(low / scale), math.sqrt(high / scale))
    return FactorFit(chi_square, df, float(chi2.sf(chi_square, df)), rmsea, tli, bic, rms)


def _without_solution(items: int, factors: int, rotation: Rotation, reason: str) -> FactorSolution:
    nan = math.nan
    df = ((items - factors) ** 2 - items - factors) // 2
    return FactorSolution(
        loadings=np.full((items, factors), nan),
        factor_correlations=np.full((factors, factors), nan),
        uniquenesses=np.full(items, nan),
        ss_loadings=np.full(factors, nan),
        eigenvalues=np.full(items, nan),
        fit=FactorFit(nan, df, nan, undefined(reason), nan, nan, nan, reason),
        rotation=rotation,
        improper=(),
        reason=reason,
    )
