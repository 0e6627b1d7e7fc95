"""A population of people in figures: five domains, thirty facets, and items that ask for them.

No real person's answers are in it. Its parameters come from published figures: means and SDs of
facets and domains by sex and age from Johnson's norms, alphas of facets from IPIP, correlations of
domains in round figures. What they leave open is chosen here and written down: how items of one
facet differ, how much people agree to whatever is said, how long they are.

Simple by design, and to be known: a facet belongs to one domain only; what the facets of a domain
share is the same for each; levels are normal; nobody answers carelessly or in extremes by habit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.corpora.calibration import (
    GroupTargets,
    ItemParameters,
    LatentGroup,
    facet_correlation,
    fit_group,
    fit_items,
)
from allport.corpora.published import (
    AGE_SHAPE,
    DOMAIN_CORRELATIONS,
    FACET_ALPHAS,
    FEMALE_SHARE,
    SHORT_FORM_GAIN,
)
from allport.corpora.splits import LONG_FORM, SHORT_FORM, short_form_split
from allport.errors import InventoryError, UsageError
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.inventories.norms import NormGroup, norm_group, norm_groups

__all__ = ["DOMAINS", "FACETS", "Cells", "PopulationModel", "population_model"]

Floats = NDArray[np.float64]

DOMAINS = ("N", "E", "O", "A", "C")
FACETS = tuple(f"{domain}{number}" for domain in DOMAINS for number in range(1, 7))
"""Codes of the facets, in the order of every axis of facets here."""

ACQUIESCENCE_SD = 0.15
"""SD between people, in steps of the scale, of agreeing to whatever is said."""
ACQUIESCENCE_MEAN = 0.1
"""How far people agree more than they mean, in steps of the scale."""
ITEM_SCATTER_SD = 0.3
"""SD of the means of a facet's items around its mean, in steps of the scale."""

_AGES = np.arange(13, 100)
_LOWEST_MEAN, _HIGHEST_MEAN = 1.4, 4.6
# Items' figures are fitted to one group; it has rows in the norms of both lengths.
_REFERENCE = {"ipip-neo-300": "women-21-up", "ipip-neo-120": "women-21-40"}

_FITTED: dict[tuple[str, int], PopulationModel] = {}


class Cells(NamedTuple):
    """The population by sex and age; arrays have one entry a cell."""

    female: NDArray[np.bool_]
    age: NDArray[np.int64]
    group: NDArray[np.intp]
    """Index into `PopulationModel.groups`."""
    share: Floats
    """Share of the population; sums to 1."""


@dataclass(frozen=True, eq=False)
class PopulationModel:
    """Everything needed to simulate people; see `population_model`."""

    inventory: Inventory
    items: ItemParameters
    columns: NDArray[np.intp]
    """Where each facet's items stand on the inventory's item axis, shape (30, items)."""
    groups: tuple[str, ...]
    """Names of the norm groups."""
    levels: tuple[LatentGroup, ...]
    """Levels of each norm group."""
    cells: Cells

    @cached_property
    def roots(self) -> tuple[Floats, ...]:
        """A matrix for each group that turns independent normals into facet levels, (30, 30)."""
        return tuple(
            np.asarray(
                np.linalg.cholesky(facet_correlation(each.communality, each.domain_correlation))
            )
            for each in self.levels
        )

    def cells_of(self, group: str | None) -> Cells:
        """The cells of a norm group, or of everybody.

        Args:
            group: A norm group such as "women-21-up" or "both-under-21" (half women, half men);
                None for the whole population.

        Raises:
            UsageError: There is no such group.
        """
        if group is None:
            return self.cells
        names = (
            [group] if not group.startswith("both-") else ["women" + group[4:], "men" + group[4:]]
        )
        if not set(names) <= set(self.groups):
            known = ", ".join(norm_groups(self.inventory))
            raise UsageError(
                f"{self.inventory.name} has no norm group {group!r} to simulate; known: {known}."
            )
        share = np.zeros_like(self.cells.share)
        for name in names:
            inside = self.cells.group == self.groups.index(name)
            share[inside] = self.cells.share[inside] / self.cells.share[inside].sum()
        return self.cells._replace(share=share / share.sum())


def population_model(inventory: Inventory | None = None, *, seed: int = 1936) -> PopulationModel:
    """The population that answers an IPIP-NEO as its norms say people do.

    Args:
        inventory: The IPIP-NEO-300 (by default) or the IPIP-NEO-120.
        seed: Chooses how the items of a facet differ from each other, which no published table
            tells. It does not choose people.

    Raises:
        InventoryError: The inventory has no such norms, or not six facets to each of five domains
            with equally many items.
    """
    inventory = inventory or load_inventory(LONG_FORM)
    key = (inventory.content_hash, seed)
    if key not in _FITTED:
        _FITTED[key] = _fit(inventory, seed)
    return _FITTED[key]


def _fit(inventory: Inventory, seed: int) -> PopulationModel:
    columns = _facet_columns(inventory)
    norms = {name: g for name, g in norm_groups(inventory).items() if not name.startswith("both-")}
    targets = {name: _targets(group) for name, group in norms.items()}
    reference = targets[_REFERENCE[inventory.name]]
    keys = inventory.keys[columns].astype(np.float64)
    is_short = _is_short(inventory, columns)
    means = _item_means(inventory, reference, keys, is_short, seed)
    alphas, relative = _consistency(inventory, is_short)
    items = fit_items(means, keys, reference.facet_sd, alphas, relative, ACQUIESCENCE_SD)
    levels = tuple(fit_group(items, each) for each in targets.values())
    return PopulationModel(
        inventory, items, columns, tuple(norms), levels, _cells(inventory, norms)
    )


def _facet_columns(inventory: Inventory) -> NDArray[np.intp]:
    if inventory.name not in _REFERENCE or not norm_groups(inventory):
        raise InventoryError(
            f"People are simulated for {' and '.join(_REFERENCE)}, whose norms are known; "
            f"{inventory.name} has none."
        )
    columns = [inventory.columns(facet) for facet in FACETS]
    if len({len(each) for each in columns}) > 1 or not len(columns[0]):
        raise InventoryError(f"{inventory.name} has not equally many items for each of 30 facets.")
    return np.stack(columns)


def _targets(group: NormGroup) -> GroupTargets:
    return GroupTargets(
        facet_mean=np.array([group.mean[facet] for facet in FACETS]),
        facet_sd=np.array([group.sd[facet] for facet in FACETS]),
        domain_sd=np.array([group.sd[domain] for domain in DOMAINS]),
        domain_correlation=DOMAIN_CORRELATIONS,
    )


def _is_short(inventory: Inventory, columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which items are in the short form, too, shape (30, items)."""
    if inventory.name == SHORT_FORM:
        return np.ones(columns.shape, dtype=bool)
    split = short_form_split(inventory)
    return np.isin(columns, split.fit_columns)


def _item_means(
    inventory: Inventory,
    reference: GroupTargets,
    keys: Floats,
    is_short: NDArray[np.bool_],
    seed: int,
) -> Floats:
    """Mean keyed answers of the reference group, shape (30, items).

    Those of the short form average to its norms, all of them to the norms of the long one.
    """
    count = keys.shape[1]
    means = np.repeat(reference.facet_mean[:, None] / count, count, axis=1)
    if not is_short.all():
        short = norm_groups(load_inventory(SHORT_FORM))[_REFERENCE[SHORT_FORM]]
        short_sum = np.array([short.mean[facet] for facet in FACETS])
        of_short = short_sum / is_short.sum(axis=1)
        of_rest = (reference.facet_mean - short_sum) / (~is_short).sum(axis=1)
        means = np.where(is_short, of_short[:, None], of_rest[:, None])
    # Keyed, agreement raises items of one key and lowers those of the other.
    apart = ACQUIESCENCE_MEAN * keys
    apart = apart + np.random.default_rng(seed).normal(0, ITEM_SCATTER_SD, keys.shape)
    for part in (is_short, ~is_short):
        size = np.maximum(part.sum(axis=1, keepdims=True), 1)
        apart = np.where(part, apart - (apart * part).sum(axis=1, keepdims=True) / size, apart)
    room = np.where(apart > 0, _HIGHEST_MEAN - means, means - _LOWEST_MEAN)
    fits = np.clip((room / np.maximum(np.abs(apart), 1e-9)).min(axis=1, keepdims=True), 0, 1)
    return np.asarray(means + apart * fits)


def _consistency(inventory: Inventory, is_short: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Alphas of the facets, shape (30,), and relative loadings of the items, shape (30, items)."""
    alphas = np.array([FACET_ALPHAS[facet] for facet in FACETS])
    mean_r = alphas / (10 - 9 * alphas)
    if inventory.name == SHORT_FORM:
        mean_r = SHORT_FORM_GAIN * mean_r
        return 4 * mean_r / (1 + 3 * mean_r), np.ones(is_short.shape)
    # Short items correlate with each other by the gain; all pairs together, as alpha says.
    short = np.sqrt(SHORT_FORM_GAIN)
    n, m = 4, 6
    pairs = (n * (n - 1) / 2 * short**2, n * m * short, m * (m - 1) / 2)
    total = (n + m) * (n + m - 1) / 2
    rest = (-pairs[1] + np.sqrt(pairs[1] ** 2 - 4 * pairs[2] * (pairs[0] - total))) / (2 * pairs[2])
    return alphas, np.where(is_short, short, rest)


def _cells(inventory: Inventory, norms: dict[str, NormGroup]) -> Cells:
    from scipy.special import ndtr

    shift, scale, spread = AGE_SHAPE
    edges = np.log((np.append(_AGES, _AGES[-1] + 1) - shift) / scale) / spread
    of_age = np.diff(ndtr(edges))
    of_age /= of_age.sum()
    names = list(norms)
    female, age, group, share = [], [], [], []
    for is_female in (True, False):
        sex_share = FEMALE_SHARE if is_female else 1 - FEMALE_SHARE
        for years, part in zip(_AGES.tolist(), of_age.tolist(), strict=True):
            own = norm_group(inventory, "female" if is_female else "male", years)
            assert own is not None  # `_facet_columns` has seen that there are norms
            female.append(is_female)
            age.append(years)
            group.append(names.index(own.name))
            share.append(sex_share * part)
    return Cells(np.array(female), np.array(age), np.array(group, np.intp), np.array(share))
