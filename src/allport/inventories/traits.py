"""Codes of traits that many questionnaires share, so that their results stand side by side."""

from __future__ import annotations

from allport.inventories.inventory import Trait
from allport.inventories.reading import slug

__all__ = ["BIG_FIVE", "DARK_TRIAD", "named_trait"]

BIG_FIVE = (
    Trait(code="N", name="Neuroticism"),
    Trait(code="E", name="Extraversion"),
    Trait(code="O", name="Openness"),
    Trait(code="A", name="Agreeableness"),
    Trait(code="C", name="Conscientiousness"),
)
"""The five domains, in the order of tables and norms."""

DARK_TRIAD = (
    Trait(code="Mach", name="Machiavellianism"),
    Trait(code="Narc", name="Narcissism"),
    Trait(code="Psych", name="Psychopathy"),
)


def named_trait(name: str) -> Trait:
    """The trait of that name: a shared one where it is known, else one coded by its own name."""
    wanted = slug(name)
    for trait in (*BIG_FIVE, *DARK_TRIAD):
        if wanted == slug(trait.name):
            return trait
    return Trait(code=wanted, name=name.strip() or wanted)
