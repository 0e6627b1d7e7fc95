"""Polychoric correlations: of the normal variables that ordered answers are cut from."""

from __future__ import annotations

import functools
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.psychometrics.covariance import MissingPairs, as_answers, refuse_missing
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.rotation import Stopping

__all__ = [
    "bivariate_normal_cdf",
    "polychoric_correlation",
    "polychoric_matrix",
    "polychoric_of_counts",
    "thresholds",
]

Floats: TypeAlias = NDArray[np.float64]

# Stands for infinity: the normal distribution holds less than 1e-22 beyond it.
FAR = 10.0
# Correlations closer to ±1 than this are not told from ±1.
NEAR_ONE = 1e-4
QUADRATURE_NODES = 64
# Differences of distribution functions are not known more finely.
LEAST_PROBABILITY = 1e-15


def thresholds(counts: ArrayLike) -> Floats:
    """Cuts of a standard normal variable that give categories these shares.

    Args:
        counts: How often each category was chosen, in order, shape (categories,).

    Returns:
        Shape (categories - 1,); infinite where all answers lie on one side.
    """
    from scipy.special import ndtri

    numbers = np.asarray(counts, dtype=np.float64)
    return np.asarray(ndtri(np.cumsum(numbers)[:-1] / numbers.sum()), dtype=np.float64)


def bivariate_normal_cdf(upper_x: ArrayLike, upper_y: ArrayLike, rho: float) -> Floats:
    """Probability that two standard normal variables correlated `rho` lie below two limits.

    Phi(h) Phi(k) + 1/(2 pi) times the integral from 0 to arcsin(rho) of
    exp(-(h^2 + k^2 - 2 h k sin t) / (2 cos^2 t)) (Plackett, 1954, Biometrika 41), by Gauss-Legendre
    quadrature; right to about 1e-8 for |rho| up to .9999.

    Args:
        upper_x: h, finite; broadcast against `upper_y`.
        upper_y: k, finite.
        rho: Above -1 and below 1.
    """
    from scipy.special import ndtr

    h, k = np.broadcast_arrays(
        np.asarray(upper_x, dtype=np.float64)[..., None],
        np.asarray(upper_y, dtype=np.float64)[..., None],
    )
    nodes, weights = _quadrature()
    half = math.asin(rho) / 2
    sines = np.sin(half * (nodes + 1))
    exponents = -(h**2 + k**2 - 2 * h * k * sines) / (2 * (1 - sines**2))
    integral = half * (np.exp(exponents) @ weights)
    return np.asarray(ndtr(h[..., 0]) * ndtr(k[..., 0]) + integral / (2 * math.pi))


def polychoric_of_counts(
    counts: ArrayLike, *, confidence: float = 0.95, stopping: Stopping = "exact"
) -> Estimate:
    """Polychoric correlation of a two-way table, in two steps (Olsson, 1979, Psychometrika 44).

    Thresholds come from the margins; then rho maximises sum n_ij ln p_ij, where p_ij is the
    bivariate normal probability of a cell. With two categories each it is the tetrachoric
    correlation. The interval is tanh(atanh rho ± z SE / (1 - rho^2)) with the SE from the expected
    information about rho, thresholds taken as known.

    Args:
        counts: Shape (categories of x, categories of y), in order; empty rows and columns are
            passed over.
        confidence: Of the interval.
        stopping: Search to the optimum, or stop where R's psych does, within 1e-4 of it.

    Returns:
        NaN with the reason where a margin has one category; ±1 without an interval where the
        likelihood rises all the way.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import ndtri

    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (table < 0).any() or not np.isfinite(table).all():
        raise ValueError("a two-way table of counts is needed")
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape, default=0) < 2:
        return undefined("all answers to one of the items are the same")
    cuts_x = np.concatenate([[-FAR], thresholds(table.sum(axis=1)), [FAR]])
    cuts_y = np.concatenate([[-FAR], thresholds(table.sum(axis=0)), [FAR]])

    def probabilities(rho: float) -> Floats:
        below = bivariate_normal_cdf(cuts_x[:, None], cuts_y[None, :], rho)
        cells = np.diff(np.diff(below, axis=0), axis=1)
        return np.maximum(cells, LEAST_PROBABILITY)

    def loss(rho: float) -> float:
        return -float((table * np.log(probabilities(rho))).sum())

    precision = 1e-10 if stopping == "exact" else np.finfo(float).eps ** 0.25
    found = minimize_scalar(
        loss, bounds=(-1.0, 1.0), method="bounded", options={"xatol": precision}
    )
    rho = float(found.x)
    end = math.copysign(1 - NEAR_ONE, rho)
    if abs(rho) >= abs(end) or loss(end) <= found.fun + 1e-6:
        return Estimate(math.copysign(1.0, rho), reason="no interval: no answers speak against ±1")
    # The derivative of the distribution function by rho is the density at its corner.
    spread = 1 - rho**2
    corners = np.exp(
        -(cuts_x[:, None] ** 2 + cuts_y**2 - 2 * rho * cuts_x[:, None] * cuts_y) / (2 * spread)
    ) / (2 * math.pi * math.sqrt(spread))
    slopes = np.diff(np.diff(corners, axis=0), axis=1)
    cells = probabilities(rho)
    known = cells > 1e3 * LEAST_PROBABILITY
    information = table.sum() * float((slopes[known] ** 2 / cells[known]).sum())
    width = float(ndtri((1 + confidence) / 2)) / math.sqrt(information) / spread
    centre = math.atanh(rho)
    return Estimate(rho, math.tanh(centre - width), math.tanh(centre + width))


def polychoric_correlation(
    x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95, stopping: Stopping = "exact"
) -> Estimate:
    """Polychoric correlation of two items over those who answered both.

    Args:
        x: Ordered answers, shape (respondents or administrations,), NaN where missing.
        y: The same shape.
        confidence: Of the interval, see `polychoric_of_counts`.
        stopping: See `polychoric_of_counts`.

    Raises:
        ValueError: The lengths differ.
    """
    first, second = (np.asarray(v, dtype=np.float64) for v in (x, y))
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"answers of shapes {first.shape} and {second.shape} do not pair up")
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3:
        return undefined(f"{int(both.sum())} pairs of answers are too few for a correlation")
    values_x, codes_x = np.unique(first[both], return_inverse=True)
    values_y, codes_y = np.unique(second[both], return_inverse=True)
    counts = np.zeros((values_x.size, values_y.size))
    np.add.at(counts, (codes_x, codes_y), 1.0)
    return polychoric_of_counts(counts, confidence=confidence, stopping=stopping)


def polychoric_matrix(
    answers: ArrayLike, missing: MissingPairs = "pairwise", *, stopping: Stopping = "exact"
) -> Floats:
    """Polychoric correlations of every two items.

    Args:
        answers: Ordered answers, shape (respondents or administrations, items), NaN where missing.
        missing: "pairwise" takes, for each pair, those who answered both; see `item_covariance`.
        stopping: See `polychoric_of_counts`.

    Returns:
        Shape (items, items); NaN in the row and column of an item that does not vary. Estimated
        pair by pair, the correlations need not fit together.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    table = as_answers(answers).astype(np.float64)
    if missing == "refuse":
        refuse_missing(table, "pairwise or listwise")
    elif missing == "listwise":
        table = table[np.isfinite(table).all(axis=1)]
    items = table.shape[1]
    matrix = np.full((items, items), np.nan)
    for i in range(items):
        answered = table[np.isfinite(table[:, i]), i]
        if answered.size and np.ptp(answered) > 0:
            matrix[i, i] = 1.0
        for j in range(i):
            estimate = polychoric_correlation(table[:, i], table[:, j], stopping=stopping)
            matrix[i, j] = matrix[j, i] = estimate.value
    return matrix


@functools.cache
def _quadrature() -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on -1 to 1; finding them takes longer than using them."""
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    return nodes, weights
