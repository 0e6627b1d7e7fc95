"""Confirmatory factor analysis: do the items measure the traits their key says, and only those."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.correlation import (
    eigenvalues,
    square_matrix,
    why_singular,
    why_unusable,
)
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.factor_analysis import noncentrality_interval

__all__ = ["ConfirmatoryFit", "ConfirmatorySolution", "confirmatory_factor_analysis"]

Floats: TypeAlias = NDArray[np.float64]

# Shares of an item's variance; below it the item would have no error at all.
LEAST_RESIDUAL = 1e-4
MOST_STEPS = 500


class ConfirmatoryFit(NamedTuple):
    """How well a confirmatory model reproduces the covariances.

    Attributes:
        chi_square: n times the maximum-likelihood discrepancy.
        df: Degrees of freedom.
        p_value: Probability of a larger statistic if the model held.
        cfi: Comparative fit index; .95 and above is good.
        tli: Tucker-Lewis index.
        rmsea: Root mean square error of approximation; the interval is of 90 %.
        srmr: Standardised root mean square residual, variances included; below .08 is good.
        reason: Why these are NaN, or "".
    """

    chi_square: float
    df: int
    p_value: float
    cfi: float
    tli: float
    rmsea: Estimate
    srmr: float
    reason: str = ""


@dataclass(frozen=True)
class ConfirmatorySolution:
    """One factor for each scale, each item on its own scale's factor only, factors correlated.

    Everything is standardised: factors and items have variance 1. All numbers are NaN where
    `reason` is not empty.
    """

    factors: tuple[str, ...]
    """Names of the scales, in the order in which they first appear among the items."""
    loadings: tuple[Estimate, ...]
    """Of each item on its factor."""
    factor_correlations: tuple[tuple[Estimate, ...], ...]
    """Rows of a square table in the order of `factors`."""
    omega: tuple[Estimate, ...]
    """Reliability of each scale's sum, (sum l)^2 / ((sum l)^2 + sum theta) with loadings l and
    residual variances theta in the units of the answers."""
    fit: ConfirmatoryFit
    caution: str = ""
    """What makes the solution doubtful though it was found, or ""."""
    reason: str = ""


def confirmatory_factor_analysis(
    covariance: ArrayLike,
    scale_of_item: Sequence[str],
    n_respondents: int,
    *,
    confidence: float = 0.95,
) -> ConfirmatorySolution:
    """Maximum-likelihood confirmatory factor analysis with simple structure.

    The model Sigma = L Phi L' + Theta has one loading an item, free factor correlations and free
    residual variances; ln |Sigma| + tr(S Sigma^-1) - ln |S| - k is minimised by Fisher scoring
    (Jöreskog, 1969, Psychometrika 34). Standard errors come from the expected information; the
    intervals of loadings and omega by the delta method.

    Args:
        covariance: Of keyed items, shape (items, items), with divisor n or n - 1.
        scale_of_item: Name of each item's scale, shape (items,). Each scale needs two items, and
            three where it is the only one.
        n_respondents: How many rows the covariances come from, n.
        confidence: Of the intervals, that of the RMSEA excepted.

    Raises:
        ValueError: The names do not fit the items.
    """
    matrix = square_matrix(covariance)
    items = len(matrix)
    if len(scale_of_item) != items:
        raise ValueError(f"{len(scale_of_item)} scale names do not fit {items} items")
    names = tuple(dict.fromkeys(scale_of_item))
    factor_of_item = np.array([names.index(name) for name in scale_of_item])
    variances = np.diag(matrix).copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.sqrt(np.where(variances > 0, variances, np.nan))
        correlation = matrix / np.outer(deviations, deviations)
    reason = _why_impossible(correlation, factor_of_item, names, n_respondents)
    if reason:
        return _without_solution(names, items, reason)
    # The model does not depend on units: fitting correlations fits covariances as well.
    model = _Model(factor_of_item, len(names))
    point, converged = _scoring(model, correlation)
    if not converged:
        return _without_solution(
            names,
            items,
            "no maximum of the likelihood was found: the scales may not hold",
        )
    return _solution(model, point, correlation, deviations, names, n_respondents, confidence)


class _Model:
    """Parameters in one vector: loadings, factor correlations (upper triangle), residuals."""

    def __init__(self, factor_of_item: NDArray[np.intp], factors: int) -> None:
        self.factor_of_item = factor_of_item
        self.items, self.factors = len(factor_of_item), factors
        self.upper = np.triu_indices(factors, 1)
        pairs = len(self.upper[0])
        self.loading = slice(0, self.items)
        self.correlation = slice(self.items, self.items + pairs)
        self.residual = slice(self.items + pairs, 2 * self.items + pairs)
        self.size = 2 * self.items + pairs

    def pattern(self, point: Floats) -> Floats:
        """Loadings as a matrix, shape (items, factors)."""
        matrix = np.zeros((self.items, self.factors))
        matrix[np.arange(self.items), self.factor_of_item] = point[self.loading]
        return matrix

    def phi(self, point: Floats) -> Floats:
        """Factor correlations, shape (factors, factors)."""
        matrix = np.eye(self.factors)
        matrix[self.upper] = point[self.correlation]
        return matrix + np.triu(matrix, 1).T

    def implied(self, point: Floats) -> Floats:
        """Sigma, shape (items, items)."""
        pattern = self.pattern(point)
        return pattern @ self.phi(point) @ pattern.T + np.diag(point[self.residual])

    def directions(self, point: Floats) -> tuple[Floats, Floats]:
        """X and Y, shape (items, parameters), with dSigma/dparameter_a = x_a y_a' + y_a x_a'."""
        pattern, unit = self.pattern(point), np.eye(self.items)
        first, second = self.upper
        x = np.hstack([unit, pattern[:, first], unit])
        reach = (pattern @ self.phi(point))[:, self.factor_of_item]
        return x, np.hstack([reach, pattern[:, second], unit / 2])

    def start(self, correlation: Floats) -> Floats:
        """First centroid of each scale, scales uncorrelated."""
        point = np.zeros(self.size)
        within = correlation * (self.factor_of_item[:, None] == self.factor_of_item)
        lengths = np.sqrt(np.maximum(self._factor_sums(within.sum(axis=1)), 1.0))
        loadings = np.clip(within.sum(axis=1) / lengths[self.factor_of_item], -0.9, 0.9)
        # A loading of zero would be a saddle: its factor could turn either way.
        point[self.loading] = np.where(np.abs(loadings) < 0.1, 0.1, loadings)
        point[self.residual] = 1 - point[self.loading] ** 2
        return point

    def oriented(self, point: Floats) -> Floats:
        """The same solution with each factor turned so that its loadings sum to at least zero."""
        signs = np.where(self._factor_sums(point[self.loading]) < 0, -1.0, 1.0)
        turned = point.copy()
        turned[self.loading] *= signs[self.factor_of_item]
        turned[self.correlation] *= np.outer(signs, signs)[self.upper]
        return turned

    def _factor_sums(self, values: Floats) -> Floats:
        sums = np.zeros(self.factors)
        np.add.at(sums, self.factor_of_item, values)
        return sums


def _scoring(model: _Model, correlation: Floats) -> tuple[Floats, bool]:
    """Fisher scoring with halved steps; residual variances are kept from reaching zero."""
    point = model.start(correlation)
    value, sigma_inverse = _discrepancy(model, point, correlation)
    for _ in range(MOST_STEPS):
        x, y = model.directions(point)
        weight = sigma_inverse - sigma_inverse @ correlation @ sigma_inverse
        gradient = 2 * np.einsum("ia,ij,ja->a", x, weight, y, optimize=True)
        held = np.zeros(model.size, dtype=bool)
        held[model.residual] = point[model.residual] <= LEAST_RESIDUAL
        free = ~(held & (gradient > 0))
        information = _information(x, y, sigma_inverse)[np.ix_(free, free)]
        step = np.zeros(model.size)
        step[free] = np.linalg.lstsq(information, -gradient[free], rcond=1e-12)[0]
        decrement = -float(gradient @ step)
        if decrement < 1e-14:
            return point, True
        length = 1.0
        while length > 1e-10:
            tried = point + length * step
            tried[model.residual] = np.maximum(tried[model.residual], LEAST_RESIDUAL)
            tried_value, tried_inverse = _discrepancy(model, tried, correlation)
            if tried_value < value:
                break
            length /= 2
        else:
            # No descent left: either rounding, at the optimum, or a dead end.
            return point, decrement < 1e-8
        point, value, sigma_inverse = tried, tried_value, tried_inverse
    return point, False


def _discrepancy(model: _Model, point: Floats, correlation: Floats) -> tuple[float, Floats]:
    """The discrepancy but for its constants, infinite where Sigma is singular; and Sigma^-1."""
    sigma = model.implied(point)
    try:
        root = np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        return math.inf, sigma
    inverse = np.asarray(np.linalg.inv(sigma), dtype=np.float64)
    log_determinant = 2 * float(np.log(np.diag(root)).sum())
    return log_determinant + float((correlation * inverse).sum()), inverse


def _information(x: Floats, y: Floats, sigma_inverse: Floats) -> Floats:
    """Second derivatives expected under the model, tr(W D_a W D_b) with W = Sigma^-1."""
    xx, yy = x.T @ sigma_inverse @ x, y.T @ sigma_inverse @ y
    xy = x.T @ sigma_inverse @ y
    return np.asarray(2 * (xy * xy.T + xx * yy), dtype=np.float64)


def _solution(
    model: _Model,
    point: Floats,
    correlation: Floats,
    deviations: Floats,
    names: tuple[str, ...],
    n_respondents: int,
    confidence: float,
) -> ConfirmatorySolution:
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    point = model.oriented(point)
    x, y = model.directions(point)
    information = _information(x, y, _discrepancy(model, point, correlation)[1])
    # The discrepancy counts twice the log-likelihood of one row.
    errors = np.linalg.pinv(information, hermitian=True) * 2 / n_respondents
    residuals = point[model.residual]

    def estimate(value: float, gradient: Floats) -> Estimate:
        width = z * math.sqrt(max(float(gradient @ errors @ gradient), 0.0))
        return Estimate(value, value - width, value + width)

    standardised = []
    for item, loading in enumerate(point[model.loading]):
        variance = loading**2 + residuals[item]
        gradient = np.zeros(model.size)
        gradient[item] = residuals[item] / variance**1.5
        gradient[model.residual.start + item] = -loading / (2 * variance**1.5)
        standardised.append(estimate(float(loading / math.sqrt(variance)), gradient))
    phi = model.phi(point)
    table = [[Estimate(1.0, 1.0, 1.0)] * model.factors for _ in names]
    for index, (a, b) in enumerate(zip(*model.upper, strict=True)):
        gradient = np.zeros(model.size)
        gradient[model.correlation.start + index] = 1.0
        table[a][b] = table[b][a] = estimate(float(phi[a, b]), gradient)
    omega = []
    for factor in range(model.factors):
        units = np.where(model.factor_of_item == factor, deviations, 0.0)
        shared = float(units @ point[model.loading])
        error = float(units**2 @ residuals)
        whole = shared**2 + error
        gradient = np.zeros(model.size)
        gradient[model.loading] = 2 * shared * error / whole**2 * units
        gradient[model.residual] = -(shared**2) / whole**2 * units**2
        omega.append(estimate(shared**2 / whole, gradient))
    cautions = []
    without_error = int((residuals <= LEAST_RESIDUAL).sum())
    if without_error:
        cautions.append(f"{without_error} items have no error variance left (Heywood cases)")
    if np.linalg.eigvalsh(phi)[0] <= 1e-8:
        cautions.append("the factor correlations contradict one another")
    spread = eigenvalues(information)
    if spread[-1] < 1e-8 * spread[0]:
        cautions.append("the answers do not determine all parameters")
    return ConfirmatorySolution(
        names,
        tuple(standardised),
        tuple(tuple(row) for row in table),
        tuple(omega),
        _fit(model, point, correlation, n_respondents),
        "; ".join(cautions),
    )


def _fit(model: _Model, point: Floats, correlation: Floats, n_respondents: int) -> ConfirmatoryFit:
    items = model.items
    log_determinant = float(np.linalg.slogdet(correlation)[1])
    discrepancy = _discrepancy(model, point, correlation)[0] - log_determinant - items
    chi_square = n_respondents * max(discrepancy, 0.0)
    residuals = (correlation - model.implied(point))[np.tril_indices(items)]
    srmr = math.sqrt(float(residuals @ residuals) / residuals.size)
    df = items * (items + 1) // 2 - model.size
    if df == 0:
        reason = "the model is saturated: it fits whatever the answers"
        nan = math.nan
        return ConfirmatoryFit(chi_square, 0, nan, nan, nan, undefined(reason), srmr, reason)
    from scipy.stats import chi2

    # Against the model in which no items correlate.
    null_df = items * (items - 1) // 2
    null = -n_respondents * log_determinant
    misfit, null_misfit = max(chi_square - df, 0.0), null - null_df
    worst = max(null_misfit, misfit)
    cfi = 1 - misfit / worst if worst > 0 else 1.0
    tli = math.nan
    if null_misfit > 0:
        tli = (null / null_df - chi_square / df) / (null / null_df - 1)
    low, high = noncentrality_interval(chi_square, df)
    scale = df * n_respondents
    rmsea = Estimate(math.sqrt(misfit / scale), math.sqrt(low / scale), math.sqrt(high / scale))
    return ConfirmatoryFit(chi_square, df, float(chi2.sf(chi_square, df)), cfi, tli, rmsea, srmr)


def _why_impossible(
    correlation: Floats,
    factor_of_item: NDArray[np.intp],
    names: tuple[str, ...],
    n_respondents: int,
) -> str:
    reason = why_unusable(correlation) or why_singular(correlation)
    if reason:
        return reason
    needed = 2 if len(names) > 1 else 3
    for name, count in zip(names, np.bincount(factor_of_item), strict=True):
        if count < needed:
            return f"scale {name} has {count} items where {needed} are needed"
    if n_respondents <= len(correlation):
        return f"{n_respondents} respondents are too few for {len(correlation)} items"
    return ""


def _without_solution(names: tuple[str, ...], items: int, reason: str) -> ConfirmatorySolution:
    nothing, nan = undefined(reason), math.nan
    return ConfirmatorySolution(
        names,
        (nothing,) * items,
        ((nothing,) * len(names),) * len(names),
        (nothing,) * len(names),
        ConfirmatoryFit(nan, 0, nan, nan, nan, nothing, nan, reason),
        reason=reason,
    )
