"""Item response theory: the two-parameter logistic model with items nested in statements.

    P(high | theta) = 1 / (1 + exp(-a (theta - b)))

Discriminations `a` and difficulties `b` of the items that were written from one statement scatter
around that statement's own, and statements around a common mean; how far is estimated with them.
So an item that few have answered leans on its statement, and one with many answers does not.
Responses may be fractions, such as the probability with which a model chooses the high side: they
enter a quasi-binomial likelihood whose dispersion is estimated (McCullagh & Nelder, 1989, chapter
9). Estimation is by EM over a grid (Bock & Aitkin, 1981), with penalties in place of the normal
distributions of the hierarchy. Where items tell much, posteriors are narrow: the grid of the fit
is as fine as the narrowest of them needs, and levels are estimated on a grid for each respondent.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit

from allport.errors import ResponsesError

__all__ = [
    "ItemFit",
    "ItemParameters",
    "TraitEstimates",
    "expected_share",
    "fit_two_parameter",
    "item_fit",
    "item_information",
    "trait_estimates",
]

Floats = NDArray[np.float64]

_REACH = 5.0
"""Items are fitted on levels from minus to plus this, in standard deviations."""
_POINTS = 61
"""Points of a respondent's own grid, and the fewest of the one that items are fitted on."""
_SEARCHED = 21
"""Points of the grids that close in on it."""
_NEGLIGIBLE = 18.0
"""Fall of a log density from its mode at 6 standard deviations of a normal distribution."""
_BLOCK = 256
"""Respondents whose levels are estimated at once, so that many need little memory."""
_FEWEST = 10
_USUAL_SDS = np.array([0.3, 0.7])
_WEIGHT_OF_USUAL = 4
_SMALLEST_DISPERSION = 0.01


@dataclass(frozen=True)
class ItemParameters:
    """What is known of the items of one trait."""

    discriminations: Floats
    """a, above zero, shape (items,)."""
    difficulties: Floats
    """b, in standard deviations of the respondents fitted on, shape (items,)."""
    dispersion: float
    """Squared residuals over those of yes/no answers: 1 for these, less for fractions."""
    statement_sds: tuple[float, float]
    """SD of log discriminations and of intercepts (-a b) over statements."""
    item_sds: tuple[float, float]
    """SD of the same over items within a statement."""
    converged: bool
    """Whether the last step was small."""


@dataclass(frozen=True)
class TraitEstimates:
    """Levels of respondents, in standard deviations of those that the items were fitted on."""

    levels: Floats
    """Posterior means, shape (respondents,)."""
    standard_errors: Floats
    """Posterior standard deviations, shape (respondents,)."""


@dataclass(frozen=True)
class ItemFit:
    """How well each item follows the model."""

    infit: Floats
    """Squared residuals over their expectation, information-weighted, shape (items,); 1 is as
    expected, more is noise, less is more regular than expected."""
    outfit: Floats
    """The same unweighted, which a few unexpected answers move, shape (items,)."""
    rest_correlations: Floats
    """Of each item's responses with the respondent's mean over the other items, shape (items,)."""


def fit_two_parameter(
    responses: ArrayLike,
    statements: Sequence[Hashable] | None = None,
    *,
    iterations: int = 500,
    tolerance: float = 1e-4,
) -> ItemParameters:
    """Fit discriminations and difficulties of the items of one trait.

    Args:
        responses: Share of the high side chosen, 0 to 1, shape (respondents, items); NaN where not
            asked.
        statements: What each item was written from; each item its own where None.
        iterations: Most EM steps.
        tolerance: Largest change of a parameter in the last step.

    Raises:
        ResponsesError: Too few respondents, shares outside 0 to 1, or no variance between them.
    """
    y = _checked(responses)
    items = y.shape[1]
    labels = list(range(items)) if statements is None else list(statements)
    if len(labels) != items:
        raise ResponsesError(f"{len(labels)} statements were given for {items} items.")
    which = np.unique([str(label) for label in labels], return_inverse=True)[1]
    nested = which.max() + 1 < items
    observed = (~np.isnan(y)).astype(np.float64)
    answered = observed.any(axis=1)
    filled = np.nan_to_num(y)
    share = np.clip(filled.sum(0) / np.maximum(observed.sum(0), 1), 0.02, 0.98)
    # log a and intercept of each item; the second is -a b.
    parameters = np.stack([np.zeros(items), np.log(share / (1 - share))])
    between, within = _USUAL_SDS.copy(), _USUAL_SDS.copy()
    dispersion, change = 1.0, np.inf
    for step in range(iterations):
        grid = _grid(observed, parameters, dispersion)
        weights = _posterior(grid, filled, observed, parameters, dispersion)
        centre = _statement_means(parameters, which, between, within)
        # Where each statement has one item, that scatters by both around the mean of all.
        spread = within if nested else np.hypot(between, within)
        high, asked = filled.T @ weights / dispersion, observed.T @ weights / dispersion
        new, uncertainty = _maximised(grid, high, asked, parameters, centre, spread)
        if step >= 5:
            between, within = _spreads(new, uncertainty, which)
            dispersion = _dispersion(grid, filled, observed, weights, new)
        new = _in_standard_deviations(grid, weights[answered], new)
        change = float(np.abs(new - parameters).max())
        parameters = new
        if step >= 10 and change < tolerance:
            break
    a = np.exp(parameters[0])
    return ItemParameters(
        a,
        -parameters[1] / a,
        dispersion,
        (float(between[0]), float(between[1])),
        (float(within[0]), float(within[1])),
        change < tolerance,
    )


def expected_share(parameters: ItemParameters, levels: ArrayLike) -> Floats:
    """Expected share of the high side at trait levels (...,), shape (..., items)."""
    theta = np.asarray(levels, dtype=np.float64)[..., None]
    p: Floats = expit(parameters.discriminations * (theta - parameters.difficulties))
    return p


def item_information(parameters: ItemParameters, levels: ArrayLike) -> Floats:
    """Fisher information of each item at trait levels (...,), shape (..., items).

    a^2 P (1 - P) / dispersion: the precision that one response adds.
    """
    p = expected_share(parameters, levels)
    information: Floats = parameters.discriminations**2 * p * (1 - p) / parameters.dispersion
    return information


def trait_estimates(parameters: ItemParameters, responses: ArrayLike) -> TraitEstimates:
    """Expected a posteriori levels under a standard normal prior (Bock & Mislevy, 1982).

    Args:
        parameters: Of the items.
        responses: Shape (respondents, items), NaN where not asked.
    """
    y = np.atleast_2d(np.asarray(responses, dtype=np.float64))
    observed = (~np.isnan(y)).astype(np.float64)
    filled = np.nan_to_num(y)
    blocks = [slice(start, start + _BLOCK) for start in range(0, max(1, len(y)), _BLOCK)]
    found = [_moments(parameters, filled[block], observed[block]) for block in blocks]
    levels, errors = np.concatenate(found, axis=1)
    return TraitEstimates(levels, errors)


def item_fit(parameters: ItemParameters, responses: ArrayLike) -> ItemFit:
    """Mean squares of residuals at the estimated levels, and item-rest correlations.

    Args:
        parameters: Of the items.
        responses: Share of the high side chosen, 0 to 1, shape (respondents, items); NaN where not
            asked.

    Returns:
        Each of shape (items,); NaN of an item that nobody answered.
    """
    y = np.asarray(responses, dtype=np.float64)
    p = expected_share(parameters, trait_estimates(parameters, y).levels)
    variance = p * (1 - p) * parameters.dispersion
    squares = np.where(np.isnan(y), np.nan, (y - p) ** 2)
    asked = ~np.isnan(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        infit = np.nansum(squares, axis=0) / np.where(asked, variance, 0).sum(axis=0)
        ratios = squares / variance
        outfit = np.nansum(ratios, axis=0) / (~np.isnan(ratios)).sum(axis=0)
    return ItemFit(infit, outfit, _rest_correlations(y))


def _checked(responses: ArrayLike) -> Floats:
    y = np.asarray(responses, dtype=np.float64)
    if y.ndim != 2 or y.shape[0] < _FEWEST:
        raise ResponsesError(
            f"Responses of shape {y.shape} are too few to fit items; {_FEWEST} respondents or more "
            "are needed, each a row."
        )
    known = y[~np.isnan(y)]
    if known.size == 0 or known.min() < 0 or known.max() > 1:
        raise ResponsesError("Responses must be shares from 0 to 1, and some must be there.")
    if np.isnan(y).all(axis=0).any():
        number = int(np.flatnonzero(np.isnan(y).all(axis=0))[0]) + 1
        raise ResponsesError(f"Nobody answered the item in column {number}; leave it out.")
    some = ~np.isnan(y).all(axis=1)
    if np.nanmean(y[some], axis=1).std() < 1e-9:
        raise ResponsesError(
            "All respondents answer alike, so nothing tells items apart; add respondents who "
            "differ, such as personas of several levels."
        )
    return y


def _moments(parameters: ItemParameters, filled: Floats, observed: Floats) -> Floats:
    """Means and standard deviations of the posteriors of some respondents, shape (2, respondents).

    Each is evaluated on a grid of its own. It begins where the posterior lies for certain, as no
    likelihood is above 1, and closes in on where the density is not negligible. The density has one
    mode and falls off to both sides, so nothing is lost beyond the points next to those.
    """
    some = observed.any(axis=0)
    filled, observed = filled[:, some], observed[:, some]
    a, b = parameters.discriminations[some], parameters.difficulties[some]
    slope, intercept = (filled @ a)[:, None], (filled @ (-a * b))[:, None]

    def log_density(levels: Floats) -> Floats:
        """At levels of shape (respondents, points)."""
        unexpected = np.einsum("rpi,ri->rp", log_expit(-a * (levels[..., None] - b)), observed)
        fit: Floats = slope * levels + intercept + unexpected
        return fit / parameters.dispersion - levels**2 / 2

    rows = np.arange(len(filled))
    high = np.sqrt(2 * (_NEGLIGIBLE - log_density(np.zeros((len(filled), 1)))[:, 0]))
    low = -high
    closing = True
    while closing:
        levels = np.linspace(low, high, _SEARCHED, axis=1)
        density = log_density(levels)
        there = density > density.max(axis=1, keepdims=True) - _NEGLIGIBLE
        first = np.maximum(there.argmax(axis=1) - 1, 0)
        last = np.minimum(_SEARCHED - there[:, ::-1].argmax(axis=1), _SEARCHED - 1)
        low, high = levels[rows, first], levels[rows, last]
        closing = bool((last - first < _SEARCHED // 2).any())
    levels = np.linspace(low, high, _POINTS, axis=1)
    density = log_density(levels)
    weights = np.exp(density - density.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    means = (weights * levels).sum(axis=1)
    errors = np.sqrt((weights * (levels - means[:, None]) ** 2).sum(axis=1))
    return np.stack([means, errors])


def _grid(observed: Floats, parameters: Floats, dispersion: float) -> Floats:
    """Levels to fit items on, shape (grid,).

    Their step is at most the standard deviation of the narrowest posterior that there can be, at
    which a sum over equal steps differs from the integral of a normal density by less than
    1 in 10^8.
    """
    most = (observed @ np.exp(2 * parameters[0])).max() / (4 * dispersion)  # as P (1 - P) <= 1/4
    points = int(np.ceil(2 * _REACH * np.sqrt(1 + most))) + 1
    return np.linspace(-_REACH, _REACH, max(_POINTS, points))


def _posterior(
    grid: Floats, filled: Floats, observed: Floats, parameters: Floats, dispersion: float
) -> Floats:
    """Probabilities of the grid points for each respondent, shape (respondents, grid)."""
    logits = np.exp(parameters[0])[:, None] * grid + parameters[1][:, None]
    log_p, log_q = log_expit(logits), log_expit(-logits)
    fit = filled @ log_p + (observed - filled) @ log_q
    fit = fit / dispersion - grid**2 / 2
    fit -= fit.max(axis=1, keepdims=True)
    weights: Floats = np.exp(fit)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _maximised(
    grid: Floats, high: Floats, asked: Floats, parameters: Floats, centre: Floats, spread: Floats
) -> tuple[Floats, Floats]:
    """Newton steps on every item at once.

    Args:
        grid: Levels, shape (grid,).
        high: Expected high answers at each grid point, shape (items, grid).
        asked: Expected answers there.
        parameters: Where to begin, shape (2, items).
        centre: Where each is expected, shape (2, items).
        spread: SD around there, shape (2,).

    Returns:
        The parameters and the variances of their estimates, each shape (2, items).
    """
    x = parameters.copy()
    for _ in range(8):
        a = np.exp(x[0])[:, None]
        p = expit(a * grid + x[1][:, None])
        slope = a * grid
        residual, variance = high - asked * p, asked * p * (1 - p)
        gradient = np.stack([(residual * slope).sum(1), residual.sum(1)])
        gradient -= (x - centre) / spread[:, None] ** 2
        h00 = (variance * slope**2).sum(1) + 1 / spread[0] ** 2
        h01 = (variance * slope).sum(1)
        h11 = variance.sum(1) + 1 / spread[1] ** 2
        determinant = h00 * h11 - h01**2
        move = np.stack(
            [
                (h11 * gradient[0] - h01 * gradient[1]) / determinant,
                (h00 * gradient[1] - h01 * gradient[0]) / determinant,
            ]
        )
        x = x + np.clip(move, -0.5, 0.5)
        if np.abs(move).max() < 1e-6:
            break
    return x, np.stack([h11, h00]) / determinant


def _in_standard_deviations(grid: Floats, weights: Floats, parameters: Floats) -> Floats:
    """Parameters in the unit of a trait that is standard over the respondents.

    Where each level is known well, the prior alone would bring the unit there in thousands of steps
    (parameter-expanded EM: Liu, Rubin & Wu, 1998, Biometrika 85).
    """
    everybody = weights.mean(axis=0)
    mean = everybody @ grid
    sd = np.sqrt(everybody @ (grid - mean) ** 2)
    return np.stack([parameters[0] + np.log(sd), parameters[1] + np.exp(parameters[0]) * mean])


def _statement_means(
    parameters: Floats, which: NDArray[np.intp], between: Floats, within: Floats
) -> Floats:
    """Where each item's parameters are expected: its statement's mean, itself drawn towards the
    mean of all. Shape (2, items).
    """
    counts = np.bincount(which)
    sums = np.stack([np.bincount(which, weights=row) for row in parameters])
    overall = (sums / counts).mean(axis=1, keepdims=True)
    share = between[:, None] ** 2 / (between[:, None] ** 2 + within[:, None] ** 2 / counts)
    means = overall + share * (sums / counts - overall)
    if (counts == 1).all():
        means = np.broadcast_to(overall, means.shape)
    found: Floats = means[:, which]
    return found


def _spreads(
    parameters: Floats, uncertainty: Floats, which: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """SDs over statements and within them, the uncertainty of the parameters counted in."""
    counts = np.bincount(which)
    sums = np.stack([np.bincount(which, weights=row) for row in parameters])
    means = sums / counts
    if (counts == 1).all():
        total = _sd(
            ((parameters - means.mean(1, keepdims=True)) ** 2 + uncertainty).sum(1), len(which)
        )
        return total / np.sqrt(2), total / np.sqrt(2)
    inner = ((parameters - means[:, which]) ** 2 + uncertainty).sum(1)
    within = _sd(inner, len(which) - len(counts) + 1)
    outer = (means - means.mean(1, keepdims=True)) ** 2 - within[:, None] ** 2 / counts
    return _sd(np.maximum(outer.sum(1), 0), len(counts)), within


def _sd(squares: Floats, count: int) -> Floats:
    """Standard deviations, with as much said beforehand as a few observations of _USUAL_SDS say,
    which keeps them from collapsing to zero.
    """
    sd: Floats = np.sqrt((squares + _WEIGHT_OF_USUAL * _USUAL_SDS**2) / (count + _WEIGHT_OF_USUAL))
    return sd


def _dispersion(
    grid: Floats, filled: Floats, observed: Floats, weights: Floats, parameters: Floats
) -> float:
    """Mean squared Pearson residual over the posterior of each respondent's level."""
    p = expit(np.exp(parameters[0])[:, None] * grid + parameters[1][:, None])
    # Sums over respondents of weights, weighted responses and weighted squares, (items, grid).
    all_, high, squares = observed.T @ weights, filled.T @ weights, (filled**2).T @ weights
    numerator = (squares - 2 * p * high + p**2 * all_).sum()
    denominator = (all_ * p * (1 - p)).sum()
    return float(max(_SMALLEST_DISPERSION, numerator / denominator))


def _rest_correlations(y: Floats) -> Floats:
    found = np.full(y.shape[1], np.nan)
    for item in range(y.shape[1]):
        others = np.delete(y, item, axis=1)
        answered = (~np.isnan(others)).sum(axis=1)
        rest = np.where(answered > 0, np.nansum(others, axis=1) / np.maximum(answered, 1), np.nan)
        both = ~np.isnan(rest) & ~np.isnan(y[:, item])
        if both.sum() > 2 and np.std(rest[both]) > 0 and np.std(y[both, item]) > 0:
            found[item] = np.corrcoef(rest[both], y[both, item])[0, 1]
    return found
