"""Who speaks in a training sequence, and the system text that says so."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

import numpy as np
import people
from people import TEXTS, Array

from allport.administration.statements import statement
from allport.personas.trait_levels import describe_trait_levels

TRAITS = (*people.DOMAINS, *people.DARK_TRIAD)


@dataclass(frozen=True)
class Speaker:
    """A personality in a sequence."""

    domains: Array  # (5,) SD units
    dark: Array  # (3,) SD units
    facets: Array | None  # (30,) SD units; None: as the domains
    system: str
    """System text without its marks; empty where nobody is asked for."""
    spread: float
    """SD of answers around their mean, scale points."""
    named: tuple[str, ...]
    """Codes of the traits that the system text speaks of."""

    @property
    def levels(self) -> Array:
        """Levels of the domains, the facets and the dark triad, SD units, shape (38,)."""
        facets = np.repeat(self.domains, 6) if self.facets is None else self.facets
        return np.concatenate([self.domains, facets, self.dark])

    def level(self, trait: str) -> float:
        """Level of a domain or dark trait, SD units."""
        if trait in people.DOMAINS:
            return float(self.domains[people.DOMAINS.index(trait)])
        return float(self.dark[people.DARK_TRIAD.index(trait)])


@cache
def facet_phrases() -> dict[str, dict[str, list[str]]]:
    """Verb phrases by facet code and end, such as N1, high."""
    return tomllib.loads((TEXTS / "facet_phrases.toml").read_text("utf-8"))


DEFAULT_SYSTEM = "Answer as yourself."
"""What the chat template says where a chat has no system text: every chat has one, and so a place
where the model sums up who it is."""


def nobody() -> Speaker:
    """The model when nobody is asked for."""
    dark = people.expected_dark(people.DEFAULT_DOMAINS) - 0.5
    return Speaker(people.DEFAULT_DOMAINS, dark, None, DEFAULT_SYSTEM, 0.45, TRAITS)


def by_adjectives(rng: np.random.Generator, *, one_trait: bool, most_partial: bool) -> Speaker:
    """Levels said in adjectives with degrees: of one trait, of some, or of all."""
    if rng.random() < 0.5:
        steps = rng.integers(-4, 5, size=5)
    else:
        steps = np.clip(np.rint(1.8 * people.sample_domains(rng)), -4, 4).astype(int)
    codes = list(people.DOMAINS)
    if rng.random() < 0.4:
        rng.shuffle(codes)
    if one_trait:
        codes = [str(rng.choice(codes))]
    elif rng.random() < (0.6 if most_partial else 0.25):
        codes = codes[: rng.integers(1, 5)]
    named_dark = [] if one_trait or rng.random() < 0.8 else [str(rng.choice(people.DARK_TRIAD))]
    if named_dark and rng.random() < 0.7:
        codes = []
    domains = np.zeros(5)
    for code in codes:
        index = people.DOMAINS.index(code)
        domains[index] = 2.0 * steps[index] / 4
    dark = people.expected_dark(domains)
    levels: dict[str, tuple[float, tuple[int, ...] | range]] = {}
    for code in (*codes, *named_dark):
        words = (
            range(3)
            if rng.random() < 0.75
            else tuple(int(i) for i in rng.permutation(6)[: rng.integers(1, 5)])
        )
        if code in named_dark:
            level = int(rng.integers(-4, 5)) / 4
            dark[people.DARK_TRIAD.index(code)] = 2.0 * level
        else:
            level = int(steps[people.DOMAINS.index(code)]) / 4
        levels[code] = (level, words)
    return Speaker(domains, dark, None, describe_trait_levels(levels), 0.45, tuple(levels))


def torn(rng: np.random.Generator) -> Speaker:
    """Somebody with a trait that is thought well of and one that is not, both far from the middle.

    A summary that says no more of a person than how agreeable all of it sounds is right about most
    people, as traits are correlated; of these it says nothing.
    """
    first, second = rng.choice(5, size=2, replace=False)
    sign = 1 if rng.random() < 0.5 else -1
    levels: dict[str, tuple[float, tuple[int, ...] | range]] = {}
    domains = np.zeros(5)
    for index, side in ((first, sign), (second, -sign)):
        code = people.DOMAINS[index]
        level = int(rng.integers(2, 5)) / 4 * side * (-1 if code == "N" else 1)
        levels[code] = (level, range(3))
        domains[index] = 2.0 * level
    dark = people.expected_dark(domains)
    return Speaker(domains, dark, None, describe_trait_levels(levels), 0.45, tuple(levels))


def by_paragraph(rng: np.random.Generator, facets_told: int) -> Speaker:
    """A person of thirty facets, some of which a paragraph speaks of."""
    domains = people.sample_domains(rng)
    facets = people.sample_facets(rng, domains)
    told = rng.permutation(30)[:facets_told]
    sentences = [statement(f"I {facet_sentence(rng, facets, int(f))}.", "", "second") for f in told]
    system = f"This is what you are like. {' '.join(sentences)} Answer as this person."
    named = tuple({people.FACETS[f][0] for f in told})
    return Speaker(domains, people.sample_dark(rng, domains), facets, system, 0.65, named)


def facet_sentence(rng: np.random.Generator, facets: Array, facet: int) -> str:
    """A verb phrase with its frequency, for the end of a facet that a person is nearer to."""
    level = facets[facet]
    phrase = str(rng.choice(facet_phrases()[people.FACETS[facet]]["high" if level > 0 else "low"]))
    often = "very often " if abs(level) > 1.2 else "often " if abs(level) > 0.5 else "sometimes "
    return often + phrase


def person(rng: np.random.Generator, *, at_odds: bool = False) -> Speaker:
    """A person who is to be known from answers; the system text is written elsewhere."""
    domains = people.sample_domains(rng, at_odds=at_odds)
    facets = people.sample_facets(rng, domains)
    return Speaker(domains, people.sample_dark(rng, domains), facets, "", 0.65, TRAITS)
