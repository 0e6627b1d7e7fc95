"""Who to become: trait levels, one person's answers."""

from allport.personas.example import example_person
from allport.personas.person import Person, read_person, write_person
from allport.personas.persona import Persona
from allport.personas.trait_levels import BIG_FIVE, TraitLevels

__all__ = [
    "BIG_FIVE",
    "Person",
    "Persona",
    "TraitLevels",
    "example_person",
    "read_person",
    "write_person",
]
