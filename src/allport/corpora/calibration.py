"""Fitting the population simulator to published figures, by solving and not by search.

    answer to item i, keyed   how many thresholds t_i1 < ... < t_i4 lie below y_i, plus 1
    y_i                       l_i F + a_i A + u_i e,   of unit variance in the reference group
    F                         the person's level of the item's facet
    A                         how much the person agrees to whatever is said; a_i has the item's key
    e                         what the person says for no lasting reason

Thresholds and loadings are the same in every norm group; groups differ in their means and SDs of F,
in how much the facets of a domain share, and in how domains go together. So a difference between
groups is a difference between people and not between what the items measure.

Arrays here have the axes (facets, items of a facet): every facet has equally many items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.corpora.ordinal import (
    answer_mean,
    answer_variance,
    bisect,
    covariance,
    series_coefficients,
)

__all__ = ["GroupTargets", "ItemParameters", "LatentGroup", "fit_group", "fit_items"]

Floats = NDArray[np.float64]

_DOMAINS = 5
_FACETS_OF_DOMAIN = 6
_GREATEST_LOADING = 0.95
_MOST_ROUNDS = 12
_SETTLED = 1e-5


class GroupTargets(NamedTuple):
    """What one norm group's answers are to look like; sums are over keyed items."""

    facet_mean: Floats
    """Mean facet sum, shape (30,)."""
    facet_sd: Floats
    """SD of the facet sum, shape (30,)."""
    domain_sd: Floats
    """SD of the domain sum, shape (5,)."""
    domain_correlation: Floats
    """Correlations of the domain sums, shape (5, 5)."""


@dataclass(frozen=True, eq=False)
class ItemParameters:
    """How items turn levels into answers; see the module."""

    thresholds: Floats
    """Shape (30, items, options - 1)."""
    loadings: Floats
    """l, shape (30, items)."""
    agreement: Floats
    """a, with the sign of the item's key, shape (30, items)."""

    @property
    def noise(self) -> Floats:
        """u, the SD of what is left, shape (30, items)."""
        return np.sqrt(1 - self.loadings**2 - self.agreement**2)


class LatentGroup(NamedTuple):
    """The levels of one norm group, in SDs of the reference group."""

    facet_mean: Floats
    """Shape (30,)."""
    facet_sd: Floats
    """Shape (30,)."""
    communality: Floats
    """Correlation of two facets of one domain, shape (5,)."""
    domain_correlation: Floats
    """Correlations of what the facets of a domain share, shape (5, 5)."""


def fit_items(
    item_means: Floats,
    keys: Floats,
    facet_sd: Floats,
    alphas: Floats,
    relative_loadings: Floats,
    acquiescence: float,
    options: int = 5,
) -> ItemParameters:
    """Item parameters that give the reference group its figures.

    Alpha and the SD of a facet's sum fix the mean variance of its items, (1 - alpha (k - 1) / k)
    SD^2 / k; that fixes how wide an answer is on the continuum. What items then lack to the SD of
    the sum they must share, and that fixes the loadings.

    Args:
        item_means: Mean keyed answers, shape (30, items).
        keys: +1 or -1, shape (30, items).
        facet_sd: SDs of the facet sums, shape (30,).
        alphas: Cronbach's alpha of each facet, shape (30,).
        relative_loadings: Loadings of the items of a facet, up to a factor, shape (30, items).
        acquiescence: SD, in steps of the scale, of agreeing to whatever is said.
        options: Options of the scale.
    """
    k = item_means.shape[1]
    edges = np.arange(1, options) + 0.5
    variance = facet_sd**2 * (1 - alphas * (k - 1) / k) / k

    def thresholds(width: Floats) -> Floats:
        """Thresholds that give the items their means, where an SD is this many steps wide."""
        wide = width[:, None, None]
        centre = bisect(
            lambda at: answer_mean((edges - at[..., None]) / wide),
            np.full_like(item_means, -30.0),
            np.full_like(item_means, 36.0),
            item_means,
        )
        return np.asarray((edges - centre[..., None]) / wide)

    low = np.full_like(variance, 0.2)
    width = bisect(
        lambda wide: answer_variance(thresholds(wide)).mean(axis=1), low, low * 40, variance, 40
    )
    cuts = thresholds(width)
    agreement = keys * (acquiescence / width)[:, None]
    coefficients = series_coefficients(cuts)
    variances = answer_variance(cuts)

    def loadings(common: Floats) -> Floats:
        return np.minimum(common[:, None] * relative_loadings, _GREATEST_LOADING)

    def sd(common: Floats) -> Floats:
        shared = _outer(loadings(common)) + _outer(agreement)
        return _sd_of_sum(variances, covariance(coefficients, coefficients, shared))

    common = bisect(sd, 0 * variance, np.ones_like(variance), facet_sd)
    return ItemParameters(cuts, loadings(common), agreement)


def fit_group(items: ItemParameters, targets: GroupTargets) -> LatentGroup:
    """The levels that give one norm group its figures, with the items as they are."""
    mean, sd = _facet_levels(items, targets)
    cuts = _standardised(items, mean, sd)
    flat = _Flat(items, sd, series_coefficients(cuts), answer_variance(cuts))
    communality = bisect(
        lambda shared: np.sqrt(np.diag(flat.domain_covariance(shared, np.eye(_DOMAINS)))),
        np.zeros(_DOMAINS),
        np.full(_DOMAINS, 0.98),
        targets.domain_sd,
        20,
    )

    def correlation(between: Floats) -> Floats:
        both = flat.domain_covariance(communality, between)
        spread = np.sqrt(np.diag(both))
        return np.asarray(both / spread[:, None] / spread)

    between = bisect(
        correlation,
        np.full((_DOMAINS, _DOMAINS), -0.98),
        np.full((_DOMAINS, _DOMAINS), 0.98),
        targets.domain_correlation,
        20,
    )
    np.fill_diagonal(between, 1.0)
    return LatentGroup(mean, sd, communality, (between + between.T) / 2)


def _facet_levels(items: ItemParameters, targets: GroupTargets) -> tuple[Floats, Floats]:
    """Means and SDs of the facets' levels, each of shape (30,)."""
    mean, sd = np.zeros_like(targets.facet_mean), np.ones_like(targets.facet_mean)
    low, high = np.full_like(mean, -4.0), np.full_like(mean, 4.0)
    narrow, wide = np.full_like(sd, 0.2), np.full_like(sd, 3.0)
    # Mean and SD of a facet hang together through the ends of the scale; in turn, they settle.
    for _ in range(_MOST_ROUNDS):
        mean = bisect(partial(_facet_sums, items, sd), low, high, targets.facet_mean, 30)
        before = sd
        sd = bisect(partial(_facet_sd, items, mean), narrow, wide, targets.facet_sd, 25)
        if np.abs(sd - before).max() < _SETTLED:
            break
    return mean, sd


def facet_correlation(communality: Floats, between: Floats) -> Floats:
    """Correlations of facet levels, shape (30, 30).

    Args:
        communality: Correlation of two facets of one domain, shape (5,).
        between: Correlations of what the facets of a domain share, shape (5, 5).
    """
    between = between.copy()
    np.fill_diagonal(between, 1.0)
    root = np.sqrt(communality)
    whole = np.kron(between * root[:, None] * root, np.ones((_FACETS_OF_DOMAIN,) * 2))
    np.fill_diagonal(whole, 1.0)
    return np.asarray(whole)


def _standardised(items: ItemParameters, mean: Floats, sd: Floats) -> Floats:
    """Thresholds on the continuum of a group with these means and SDs of the facets."""
    centre = items.loadings * mean[:, None]
    return np.asarray((items.thresholds - centre[..., None]) / _spread(items, sd)[..., None])


def _spread(items: ItemParameters, sd: Floats) -> Floats:
    """SD of y in a group, shape (30, items)."""
    return np.sqrt(1 + items.loadings**2 * (sd[:, None] ** 2 - 1))


def _facet_sums(items: ItemParameters, sd: Floats, mean: Floats) -> Floats:
    return np.asarray(answer_mean(_standardised(items, mean, sd)).sum(axis=1))


def _facet_sd(items: ItemParameters, mean: Floats, sd: Floats) -> Floats:
    cuts = _standardised(items, mean, sd)
    coefficients, spread = series_coefficients(cuts), _spread(items, sd)
    shared = _outer(items.loadings * sd[:, None] / spread) + _outer(items.agreement / spread)
    return _sd_of_sum(answer_variance(cuts), covariance(coefficients, coefficients, shared))


def _outer(values: Floats) -> Floats:
    return values[..., :, None] * values[..., None, :]


def _sd_of_sum(variances: Floats, covariances: Floats) -> Floats:
    """SD of the sum of items, shapes (..., k) and (..., k, k) to (...)."""
    own = np.trace(covariances, axis1=-2, axis2=-1)
    return np.asarray(np.sqrt(variances.sum(axis=-1) + covariances.sum(axis=(-2, -1)) - own))


class _Flat:
    """All items of a group on one axis, for figures across facets."""

    def __init__(
        self, items: ItemParameters, sd: Floats, coefficients: Floats, variances: Floats
    ) -> None:
        spread = _spread(items, sd)
        self.items_of_facet = items.loadings.shape[1]
        self.weights = (items.loadings * sd[:, None] / spread).ravel()
        self.agreement = _outer((items.agreement / spread).ravel())
        self.coefficients = coefficients.reshape(-1, coefficients.shape[-1])
        self.variances = variances.ravel()

    def domain_covariance(self, communality: Floats, between: Floats) -> Floats:
        """Covariances of the domain sums, shape (5, 5)."""
        facets = facet_correlation(communality, between)
        levels = np.repeat(np.repeat(facets, self.items_of_facet, 0), self.items_of_facet, 1)
        shared = _outer(self.weights) * levels + self.agreement
        items = covariance(self.coefficients, self.coefficients, shared)
        np.fill_diagonal(items, self.variances)
        size = len(self.weights) // _DOMAINS
        return np.asarray(items.reshape(_DOMAINS, size, _DOMAINS, size).sum(axis=(1, 3)))
