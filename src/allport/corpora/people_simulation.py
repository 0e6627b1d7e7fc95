"""Simulated people: as many as wanted, in seconds, one byte an answer.

People are made in blocks of a fixed size, each from its own random stream. So person 5,000 is the
same whether 6,000 people are asked for or 300,000, and blocks can be made apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.corpora.people import PeopleCorpus, reverse_codes
from allport.corpora.population import DOMAINS, FACETS, Cells, PopulationModel, population_model
from allport.errors import UsageError
from allport.inventories.inventory import Inventory
from allport.inventories.norms import Sex, norm_group
from allport.personas.person import Person
from allport.personas.trait_levels import DARK_TRIAD, TraitLevels

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SimulatedPeople", "person_from_levels", "simulate_people"]

_BLOCK = 4096
_MOST = 9_999_999
_FACETS_OF_DOMAIN = len(FACETS) // len(DOMAINS)
_SD_OF_A_LEVEL = 2.0
"""A trait level of 1 is this many SDs above the mean of people."""


@dataclass(frozen=True, eq=False)
class SimulatedPeople:
    """Simulated people, and what they are like behind their answers."""

    corpus: PeopleCorpus
    facet_levels: NDArray[np.float32]
    """Level of each facet, shape (people, 30), facets N1 to C6; in SDs of the group that items were
    calibrated in, whose mean is 0."""
    acquiescence: NDArray[np.float32]
    """How much more each person agrees to whatever is said than others do, in SDs, shape
    (people,)."""

    @property
    def domain_levels(self) -> NDArray[np.float32]:
        """Mean of a domain's six facet levels, shape (people, 5), domains N E O A C."""
        facets = self.facet_levels.reshape(-1, len(DOMAINS), _FACETS_OF_DOMAIN)
        return np.asarray(facets.mean(axis=2), dtype=np.float32)


def simulate_people(
    people: int,
    inventory: Inventory | None = None,
    *,
    seed: int = 0,
    group: str | None = None,
    missing: float = 0.0,
    model: PopulationModel | None = None,
) -> SimulatedPeople:
    """Simulate people and their answers.

    Scores have the means and SDs of the norms by sex and age, the published alphas of the facets,
    and the domain correlations of `published`, within the bounds that docs/people.md states.

    Args:
        people: How many, up to 9,999,999.
        inventory: The IPIP-NEO-300 (by default) or the IPIP-NEO-120.
        seed: Chooses the people.
        group: A norm group to draw everybody from, such as "women-21-up"; by default people of both
            sexes and all ages as they come to a web page.
        missing: Share of the answers that are left out, at random.
        model: A population of your own making instead of `population_model(inventory)`.

    Returns:
        Answers literal, as `corpus`; and the levels that they come from.

    Raises:
        UsageError: A number is out of range, or the group is unknown.
        InventoryError: The inventory has no norms to simulate by.
    """
    if not 1 <= people <= _MOST:
        raise UsageError(f"From 1 to {_MOST:,} people can be simulated, not {people:,}.")
    if not 0 <= missing < 1:
        raise UsageError(f"The share of missing answers is {missing:g}; it lies from 0 to below 1.")
    model = model or population_model(inventory)
    cells = model.cells_of(group)
    items = len(model.inventory.items)
    codes = np.empty((people, items), dtype=np.int8)
    facets = np.empty((people, len(FACETS)), dtype=np.float32)
    acquiescence = np.empty(people, dtype=np.float32)
    cell = np.empty(people, dtype=np.intp)
    sampler = _Sampler(model, cells, missing)
    for start, block in zip(range(0, people, _BLOCK), sampler.blocks(seed), strict=False):
        rows = slice(start, min(start + _BLOCK, people))
        count = rows.stop - start
        codes[rows], facets[rows] = block.literal[:count], block.facets[:count]
        acquiescence[rows], cell[rows] = block.acquiescence[:count], block.cell[:count]
    name = f"simulated-{people}" if group is None else f"simulated-{group}-{people}"
    about = _about(cells, cell)
    corpus = PeopleCorpus(name, model.inventory, about, codes, simulated=True)
    return SimulatedPeople(corpus, facets, acquiescence)


def person_from_levels(
    levels: TraitLevels,
    inventory: Inventory | None = None,
    *,
    seed: int | None = None,
    sex: Sex | None = None,
    age: int | None = None,
    name: str | None = None,
    model: PopulationModel | None = None,
) -> Person:
    """The answers of a person with these trait levels, as a persona.

    A level of 1 puts the domain two SDs above the mean of people (T 70), -1 two below (T 30).
    Domains that are not named are at the mean; all facets of a domain move together.

    Args:
        levels: Which of the Big Five, and how far.
        inventory: The IPIP-NEO-300 (by default) or the IPIP-NEO-120.
        seed: Draws answers as a person of these levels might give them. None gives the expected
            ones, rounded so that the sum over each facet is kept.
        sex: With the age, the norm group whose mean the levels start from; without, the average of
            all groups.
        age: In years.
        name: What to call the person; the levels by default.
        model: A population of your own making instead of `population_model(inventory)`.

    Raises:
        UsageError: There are levels of other traits than the Big Five.
        InventoryError: The inventory has no norms to simulate by.
    """
    if others := [DARK_TRIAD[code] for code in levels.levels if code not in DOMAINS]:
        raise UsageError(
            f"{levels.name}: answers follow from levels of the Big Five alone, and not of "
            f"{' and '.join(others)}; leave these out, or ask for them in words (--method prompt "
            "--prompt adjectives, allport measure --persona)."
        )
    model = model or population_model(inventory)
    base, step = _means_and_steps(model, sex, age)
    given = np.array([levels.levels.get(domain, 0.0) for domain in DOMAINS])
    facets = base + _SD_OF_A_LEVEL * np.repeat(given, _FACETS_OF_DOMAIN) * step
    keyed = (
        _expected_answers(model, facets) if seed is None else _drawn_answers(model, facets, seed)
    )
    literal = model.inventory.literal(keyed)
    answers = dict(zip(model.inventory.numbers, literal.tolist(), strict=True))
    return Person(name or levels.name, model.inventory, answers, True, sex, age)


class _Block(NamedTuple):
    literal: NDArray[np.int8]
    facets: NDArray[np.float32]
    acquiescence: NDArray[np.float32]
    cell: NDArray[np.intp]


class _Sampler:
    """Makes blocks of people, in float32, with the item axis as the inventory has it."""

    def __init__(self, model: PopulationModel, cells: Cells, missing: float) -> None:
        self.model, self.cells, self.missing = model, cells, missing
        order = np.argsort(model.columns.ravel())  # facets' items, put into the inventory's order
        items = model.items

        def by_item(values: NDArray[np.float64]) -> NDArray[np.float32]:
            flat = values.reshape(order.size, -1)[order]
            return np.ascontiguousarray(flat.T, dtype=np.float32)

        self.loadings = by_item(items.loadings)[0]
        self.agreement = by_item(items.agreement)[0]
        self.noise = by_item(items.noise)[0]
        self.thresholds = by_item(items.thresholds)  # (options - 1, items)
        self.facet_of_item = np.repeat(np.arange(len(FACETS)), items.loadings.shape[1])[order]
        self.means = np.stack([each.facet_mean for each in model.levels]).astype(np.float32)
        self.sds = np.stack([each.facet_sd for each in model.levels]).astype(np.float32)
        self.roots = np.stack(model.roots).astype(np.float32)

    def blocks(self, seed: int) -> Iterator[_Block]:
        """Blocks of people without end."""
        number = 0
        while True:
            yield self._block(np.random.default_rng([seed, number]))
            number += 1

    def _block(self, rng: np.random.Generator) -> _Block:
        cell = rng.choice(len(self.cells.share), size=_BLOCK, p=self.cells.share)
        group = self.cells.group[cell]
        normal = rng.standard_normal((_BLOCK, len(FACETS)), dtype=np.float32)
        facets = np.empty_like(normal)
        for index in np.unique(group):
            rows = group == index
            facets[rows] = normal[rows] @ self.roots[index].T
        facets = facets * self.sds[group] + self.means[group]
        acquiescence = rng.standard_normal(_BLOCK, dtype=np.float32)
        y = rng.standard_normal((_BLOCK, self.facet_of_item.size), dtype=np.float32)
        y *= self.noise
        y += acquiescence[:, None] * self.agreement
        y += facets[:, self.facet_of_item] * self.loadings
        keyed = np.ones(y.shape, dtype=np.int8)
        for edge in self.thresholds:
            keyed += y > edge
        if self.missing:
            keyed[rng.random(y.shape, dtype=np.float32) < self.missing] = 0
        literal = reverse_codes(keyed, self.model.inventory)
        return _Block(literal, facets, acquiescence, cell)


def _about(cells: Cells, cell: NDArray[np.intp]) -> pl.DataFrame:
    import polars as pl

    numbers = pl.int_range(1, len(cell) + 1, eager=True).cast(pl.String).str.zfill(7)
    female = pl.Series(cells.female[cell])
    return pl.DataFrame(
        {
            "id": "s" + numbers,
            "sex": pl.select(
                pl.when(female).then(pl.lit("female")).otherwise(pl.lit("male"))
            ).to_series(),
            "age": cells.age[cell],
        }
    )


def _means_and_steps(
    model: PopulationModel, sex: Sex | None, age: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean facet levels, and how far a facet moves with an SD of its domain, shapes (30,)."""
    chosen = model.levels
    if sex is not None and age is not None:
        own = norm_group(model.inventory, sex, age)
        if own is not None and own.name in model.groups:
            chosen = (model.levels[model.groups.index(own.name)],)
    base = np.mean([each.facet_mean for each in chosen], axis=0)
    sd = np.mean([each.facet_sd for each in chosen], axis=0)
    shared = np.mean([each.communality for each in chosen], axis=0)
    # The mean of six facets varies less than one of them, so a domain's SD is a smaller step.
    n = _FACETS_OF_DOMAIN
    of_domain = np.sqrt((1 + (n - 1) * shared) / n)
    return base, sd * np.repeat(of_domain, n)


def _expected_answers(model: PopulationModel, facets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected keyed answers, rounded with the sum over each facet kept, shape (items,)."""
    from scipy.special import ndtr

    items = model.items
    centre = items.loadings * facets[:, None]
    spread = np.sqrt(1 - items.loadings**2)
    expected = 1 + ndtr((centre[..., None] - items.thresholds) / spread[..., None]).sum(axis=-1)
    # Rounding what has been summed so far gives each item its floor or its ceiling.
    sums = np.round(np.cumsum(expected, axis=1))
    rounded = np.diff(sums, axis=1, prepend=0.0)
    keyed = np.empty(model.columns.size)
    keyed[model.columns.ravel()] = rounded.ravel()
    return keyed


def _drawn_answers(
    model: PopulationModel, facets: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    items = model.items
    y = items.loadings * facets[:, None] + items.agreement * rng.standard_normal()
    y = y + items.noise * rng.standard_normal(y.shape)
    keyed = np.empty(model.columns.size)
    keyed[model.columns.ravel()] = 1 + (y[..., None] > items.thresholds).sum(axis=-1).ravel()
    return keyed
