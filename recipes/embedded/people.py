"""Simulated people: five correlated domains, thirty facets, items with thresholds.

No real person's answers enter. The domain correlations are round figures of the published kind, and
item means are the published ones of their facet: how the items of a facet differ is in no norms,
and made-up differences would teach the model to misread people.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from allport.inventories import load_inventory, norm_groups
from allport.inventories.inventory import Item

Array = NDArray[np.float64]
TEXTS = Path(__file__).parent / "texts"

DOMAINS = "NEOAC"
DOMAIN_CORRELATIONS = np.array(
    [
        [1.00, -0.45, -0.10, -0.30, -0.50],
        [-0.45, 1.00, 0.30, 0.15, 0.25],
        [-0.10, 0.30, 1.00, 0.20, 0.00],
        [-0.30, 0.15, 0.20, 1.00, 0.40],
        [-0.50, 0.25, 0.00, 0.40, 1.00],
    ]
)
DARK_TRIAD = ("Mach", "Narc", "Psych")
DARK_ON_DOMAINS = np.array(
    [
        # N     E     O     A     C
        [0.10, 0.00, 0.00, -0.50, -0.20],
        [-0.05, 0.40, 0.10, -0.40, 0.00],
        [-0.05, 0.10, 0.05, -0.50, -0.35],
    ]
)
"""Regression of the dark triad on the domains, of the size that is published."""
DARK_OWN_SD = 0.75
FACETS = [f"{domain}{n}" for domain in DOMAINS for n in range(1, 7)]
N_LEVELS = len(DOMAINS) + len(FACETS) + len(DARK_TRIAD)
FACET_DOMAIN_SHARE = 0.55
"""Share of a facet's variance that comes from its domain."""
ACQUIESCENCE_SD = 0.2
LIST_SPREAD = 0.75
"""SD of listed answers around their mean, scale points."""
ANSWER_VARIANCE = LIST_SPREAD**2 + 1 / 12
"""Of a listed answer around its mean, scale points squared, with what rounding adds."""
DEFAULT_DOMAINS = np.array([-0.7, 0.3, 0.6, 0.9, 0.8])
"""Who the model is when nobody asks for anyone: a calm, friendly, careful assistant (SD units)."""

SHIPPED = ("ipip-neo-300", "big-five-markers-50", "mini-ipip-20")
"""Inventories whose items are trained on; the 120 are among the 300."""


@dataclass(frozen=True)
class ItemBank:
    """Every distinct item of the shipped inventories, and statements written for the recipe.

    Each has its place among the factors.
    """

    items: tuple[Item, ...]
    shipped: int
    """How many items, the first ones, are of shipped inventories."""
    keys: Array  # (items,)
    domains: NDArray[np.intp]  # (items,) index into DOMAINS
    facets: NDArray[np.intp]  # (items,) index into FACETS, -1 where the inventory has none
    means: Array  # (items,) keyed, on the scale 1 to 5
    loadings: Array  # (items,) scale points per SD of the latent


def item_bank(seed: int = 7) -> ItemBank:
    """The items to train on; one that stands in two inventories keeps its facet."""
    by_text: dict[str, Item] = {}
    for name in SHIPPED:
        for item in load_inventory(name).items:
            assert item.text is not None
            by_text.setdefault(item.text, item)
    shipped, written = list(by_text.values()), written_statements()
    first, second = _placed(shipped, [seed]), _placed(written, [seed, 1])
    both = (np.concatenate(parts) for parts in zip(first, second, strict=True))
    return ItemBank((*shipped, *written), len(shipped), *both)


def written_statements() -> list[Item]:
    """Statements on every facet, in the manner of items, that no questionnaire asks."""
    found: list[Item] = []
    for facet, ends in tomllib.loads((TEXTS / "statements.toml").read_text("utf-8")).items():
        for end, key in (("high", 1), ("low", -1)):
            for text in ends[end]:
                place = {"trait": facet[0], "facet": facet, "key": key}
                found.append(Item(number=len(found) + 1, text=text, **place))
    return found


def _placed(items: list[Item], seed: list[int]) -> tuple[NDArray[Any], ...]:
    """Keys, domains, facets, means and loadings of items, as in `ItemBank`."""
    rng = np.random.default_rng(seed)
    facets = np.array([FACETS.index(i.facet) if i.facet else -1 for i in items], dtype=np.intp)
    domains = np.array([DOMAINS.index(i.trait) for i in items], dtype=np.intp)
    facet_means = published_facet_means()
    domain_means = facet_means.reshape(5, 6).mean(axis=1)
    means = np.where(facets >= 0, facet_means[facets], domain_means[domains])
    loadings = rng.uniform(0.75, 1.0, len(items))
    keys = np.array([float(i.key) for i in items])
    return keys, domains, facets, means, loadings


def published_facet_means() -> Array:
    """Mean keyed answer per facet on the scale 1 to 5, averaged over norm groups, shape (30,)."""
    groups = norm_groups(load_inventory("ipip-neo-120"))
    # Groups of both sexes are worked out from the others, which would count twice.
    published = [group for name, group in groups.items() if not name.startswith("both-")]
    return np.array([np.mean([group.mean[f] / 4 for group in published]) for f in FACETS])


def domain_covariance(*, at_odds: bool = False) -> Array:
    """Covariance of people's domain levels, shape (5, 5).

    Of people at odds one trait says nothing about another, and all are further from the middle.
    """
    return 1.4**2 * np.eye(5) if at_odds else DOMAIN_CORRELATIONS


def sample_domains(rng: np.random.Generator, *, at_odds: bool = False) -> Array:
    """Domain levels of one person, SD units, shape (5,)."""
    return rng.multivariate_normal(np.zeros(5), domain_covariance(at_odds=at_odds))


def sample_facets(rng: np.random.Generator, domains: Array) -> Array:
    """Facet levels around a person's domain levels, SD units, shape (30,)."""
    own = rng.normal(size=30)
    return (
        np.sqrt(FACET_DOMAIN_SHARE) * np.repeat(domains, 6) + np.sqrt(1 - FACET_DOMAIN_SHARE) * own
    )


def expected_dark(domains: Array) -> Array:
    """Dark triad levels that go with domain levels on average, SD units, shape (3,)."""
    return DARK_ON_DOMAINS @ domains


def sample_dark(rng: np.random.Generator, domains: Array) -> Array:
    """Dark triad levels of a person of these domain levels, SD units, shape (3,)."""
    return expected_dark(domains) + rng.normal(0, DARK_OWN_SD, 3)


def literal_means(
    bank: ItemBank, domains: Array, facets: Array | None, acquiescence: float = 0.0
) -> Array:
    """Expected literal answer to every item on the scale 1 to 5 before clipping, shape (items,)."""
    latent = domains[bank.domains]
    if facets is not None:
        latent = np.where(bank.facets >= 0, facets[bank.facets], latent)
    keyed = bank.means + bank.loadings * latent
    return np.where(bank.keys > 0, keyed, 6 - keyed) + acquiescence


def answer_distribution(mean: Array | float, n_options: int, spread: float) -> Array:
    """Probabilities of ordered options around a mean on the scale 1 to 5, shape (..., options).

    The options cut a normal distribution of SD `spread` (scale points) into equal steps.
    """
    # The scale 1 to 5 reaches half a point beyond its ends, so that each option has equal width.
    edges = 0.5 + 5 / n_options * np.arange(1, n_options)
    below = ndtr((edges - np.asarray(mean, dtype=np.float64)[..., None]) / spread)
    ones = np.ones((*below.shape[:-1], 1))
    return np.diff(np.concatenate([0 * ones, below, ones], axis=-1), axis=-1)


def levels_known_from(
    bank: ItemBank,
    items: Sequence[int] | NDArray[np.intp],
    answers: Sequence[int],
    *,
    at_odds: bool = False,
) -> Array:
    """What literal answers on the scale 1 to 5 say of who gave them, as they come.

    Expected levels of the domains, the facets and the dark triad after each answer, SD units, shape
    (answers, 38). Levels are jointly normal, and so are answers, nearly: this is a Kalman filter.
    Agreeing with whatever is said, and the ends of the scale, are left out of account.
    """
    parts = np.vstack([np.eye(5), np.sqrt(FACET_DOMAIN_SHARE) * np.repeat(np.eye(5), 6, axis=0)])
    own = np.repeat([0.0, 1 - FACET_DOMAIN_SHARE], [5, 30])
    covariance = parts @ domain_covariance(at_odds=at_odds) @ parts.T + np.diag(own)
    levels = np.zeros((len(items) + 1, 35))
    for n, (item, answer) in enumerate(zip(items, answers, strict=True)):
        facet, loading = int(bank.facets[item]), bank.loadings[item]
        at = 5 + facet if facet >= 0 else int(bank.domains[item])
        keyed = answer if bank.keys[item] > 0 else 6 - answer
        together = loading * covariance[:, at]
        variance = loading * together[at] + ANSWER_VARIANCE
        surprise = keyed - bank.means[item] - loading * levels[n, at]
        levels[n + 1] = levels[n] + together * surprise / variance
        covariance = covariance - np.outer(together, together) / variance
    return np.hstack([levels[1:], levels[1:, :5] @ DARK_ON_DOMAINS.T])


@cache
def levels_of_takers(trait: str, end: int) -> Array:
    """Expected levels of somebody who takes an option of the high (1) or low end (-1) of a trait.

    SD units, shape (38,): domains, facets, dark triad. Whoever takes it is .8 SD from the middle,
    the mean of half a normal distribution.
    """
    if trait in DOMAINS:
        domains = DOMAIN_CORRELATIONS[DOMAINS.index(trait)]
        dark = DARK_ON_DOMAINS @ domains
    else:
        own = DARK_TRIAD.index(trait)
        domains = DOMAIN_CORRELATIONS @ DARK_ON_DOMAINS[own]
        dark = DARK_ON_DOMAINS @ domains
        dark[own] = 1.0
    facets = np.sqrt(FACET_DOMAIN_SHARE) * np.repeat(domains, 6)
    return 0.8 * end * np.concatenate([domains, facets, dark])
