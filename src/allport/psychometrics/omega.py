"""McDonald's omega: how much of a scale's variance its factors explain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.correlation import square_matrix
from allport.psychometrics.covariance import MissingPairs, as_answers, item_covariance
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.factor_analysis import (
    exploratory_factor_analysis,
    minimum_residual_loadings,
)
from allport.psychometrics.intervals import IntervalMethod, bootstrap
from allport.psychometrics.rotation import Stopping, rotate_loadings

__all__ = ["Omega", "SchmidLeiman", "mcdonald_omega", "omega_interval", "schmid_leiman"]

Floats: TypeAlias = NDArray[np.float64]

TOO_FEW_ITEMS = "omega needs at least three items"


@dataclass(frozen=True)
class SchmidLeiman:
    """A general factor beside group factors, all orthogonal. NaN where `reason` is not empty."""

    general: Floats
    """Loadings on the general factor, shape (items,)."""
    group: Floats
    """Loadings on the group factors, shape (items, factors)."""
    uniquenesses: Floats
    """Variance of each item that no factor explains, shape (items,)."""
    factor_correlations: Floats
    """Of the oblique factors that the general one was drawn from, shape (factors, factors)."""
    caution: str = ""
    """What makes the general factor doubtful though it can be computed, or ""."""
    reason: str = ""


@dataclass(frozen=True)
class Omega:
    """Omega coefficients of a scale and the loadings they come from."""

    total: Estimate
    """Share of the variance of the sum that all factors explain."""
    hierarchical: Estimate
    """Share that the general factor alone explains; with one factor, what that factor explains."""
    limit: float
    """hierarchical / total: omega hierarchical of an endless scale of such items."""
    explained_common_variance: float
    """Share of the common variance that is the general factor's (ECV)."""
    solution: SchmidLeiman


def schmid_leiman(
    correlation: ArrayLike, n_factors: int = 3, *, stopping: Stopping = "exact"
) -> SchmidLeiman:
    """Split the common variance into a general factor and group factors.

    Minres factors L are rotated by oblimin; one factor of their correlations has loadings gamma;
    the general factor is g = L gamma and the group factors are L sqrt(1 - gamma^2)
    (Schmid & Leiman, 1957, Psychometrika 22). The uniquenesses are those of L. Two factors have
    one correlation r, which does not fix two loadings: both are then taken as sqrt(r).

    Args:
        correlation: Of keyed items, shape (items, items). Items are never turned round here,
            whatever their loading: one that runs against its key must count against the scale.
        n_factors: How many group factors; with one, it is itself the general factor.
        stopping: See `exploratory_factor_analysis`.

    Raises:
        ValueError: The number of factors does not fit the number of items.
    """
    matrix = square_matrix(correlation)
    factors = exploratory_factor_analysis(matrix, n_factors, rotation="varimax", stopping=stopping)
    if factors.reason:
        return _without_general(factors.loadings, factors.uniquenesses, factors.reason)
    loadings, phi, _ = rotate_loadings(factors.loadings, "oblimin", stopping=stopping)
    cautions = []
    if factors.fit.df < 0:
        cautions.append(
            f"{n_factors} factors of {len(matrix)} items are not determined: other solutions fit "
            "as well and have another general factor"
        )
    if factors.improper:
        cautions.append(f"{len(factors.improper)} items have no variance of their own left")
    if n_factors == 1:
        gamma = np.ones(1)
    elif n_factors == 2:
        if phi[0, 1] < 0:
            return _without_general(
                factors.loadings,
                factors.uniquenesses,
                "the two factors correlate negatively, so they share no general factor",
            )
        gamma = np.full(2, math.sqrt(phi[0, 1]))
        cautions.append("two factors share the general factor equally by assumption")
    else:
        second_order, improper = minimum_residual_loadings(phi, 1, stopping)
        gamma = second_order[:, 0]
        if improper:
            cautions.append("a group factor is the general factor: it has no variance of its own")
            if stopping == "exact":
                gamma = np.clip(gamma, -1.0, 1.0)
    general = loadings @ gamma
    if general.sum() < 0:  # the direction of a factor is arbitrary: it follows the keys
        general = -general
    return SchmidLeiman(
        general=general,
        group=loadings * np.sqrt(np.maximum(1.0 - gamma**2, 0.0)),
        uniquenesses=factors.uniquenesses,
        factor_correlations=phi,
        caution="; ".join(cautions),
    )


def mcdonald_omega(
    correlation: ArrayLike, n_factors: int = 3, *, stopping: Stopping = "exact"
) -> Omega:
    """McDonald's omega total and hierarchical of the sum of keyed, standardised items.

    With S the sum of all correlations, u2 the uniquenesses and g the general loadings,
    total = 1 - sum u2 / S and hierarchical = (sum g)^2 / S (McDonald, 1999, Test Theory;
    Zinbarg et al., 2005, Psychometrika 70).

    Args:
        correlation: Of keyed items, shape (items, items), for example
            `item_covariance(keyed).correlation`. Reverse items before: this function never does. A
            scale whose items contradict their keys gets the low omega it deserves.
        n_factors: Group factors; 1 gives the omega of a scale with a single factor.
        stopping: See `exploratory_factor_analysis`.

    Raises:
        ValueError: The number of factors does not fit the number of items.
    """
    matrix = square_matrix(correlation)
    if len(matrix) < 3:
        nothing = np.full((len(matrix), n_factors), math.nan)
        solution = _without_general(nothing, nothing[:, 0], TOO_FEW_ITEMS)
        return Omega(
            undefined(TOO_FEW_ITEMS), undefined(TOO_FEW_ITEMS), math.nan, math.nan, solution
        )
    solution = schmid_leiman(matrix, n_factors, stopping=stopping)
    total = _total(matrix, solution.uniquenesses, solution.reason)
    reason = total.reason or solution.reason
    if reason:
        return Omega(total, undefined(reason), math.nan, math.nan, solution)
    hierarchical = float(solution.general.sum()) ** 2 / float(matrix.sum())
    general = float(solution.general @ solution.general)
    common = general + float((solution.group**2).sum())
    return Omega(
        total=total,
        hierarchical=Estimate(hierarchical),
        limit=hierarchical / total.value if total.value > 0 else math.nan,
        explained_common_variance=general / common if common > 0 else math.nan,
        solution=solution,
    )


def omega_interval(
    keyed: ArrayLike,
    n_factors: int = 1,
    coefficient: Literal["total", "hierarchical"] = "total",
    *,
    missing: MissingPairs = "pairwise",
    method: IntervalMethod = "percentile",
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """Omega of keyed answers with its bootstrap interval over rows.

    Args:
        keyed: Keyed answers to the items of one scale, shape (respondents or administrations,
            items), NaN where missing.
        n_factors: See `mcdonald_omega`.
        coefficient: Which omega.
        missing: See `item_covariance`.
        method: See `bootstrap`.
        confidence: Of the interval.
        resamples: Each factors the scale anew: some milliseconds, and tens for hierarchical.
        seed: The same seed gives the same interval.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
        ValueError: The number of factors does not fit the number of items.
    """
    answers = as_answers(keyed)

    def omega_of(rows: Floats) -> Estimate:
        matrix = item_covariance(rows, missing).correlation
        if coefficient == "hierarchical" or len(matrix) < 3:
            return mcdonald_omega(matrix, n_factors).hierarchical
        # Omega total does not need the rotation, which takes most of the time.
        solution = exploratory_factor_analysis(matrix, n_factors, rotation="none")
        return _total(matrix, solution.uniquenesses, solution.reason)

    observed = omega_of(answers)
    if observed.reason:
        return observed
    return bootstrap(
        lambda rows: omega_of(rows).value,
        answers,
        method=method,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def _total(correlation: Floats, uniquenesses: Floats, reason: str) -> Estimate:
    if np.isnan(uniquenesses).any():
        return undefined(reason)
    whole = float(correlation.sum())
    if whole <= 1e-10 * correlation.size:
        return undefined("the items cancel out, so their sum does not vary")
    return Estimate(1.0 - float(uniquenesses.sum()) / whole)


def _without_general(loadings: Floats, uniquenesses: Floats, reason: str) -> SchmidLeiman:
    items, factors = loadings.shape
    return SchmidLeiman(
        general=np.full(items, math.nan),
        group=np.full((items, factors), math.nan),
        uniquenesses=uniquenesses,
        factor_correlations=np.full((factors, factors), math.nan),
        reason=reason,
    )
