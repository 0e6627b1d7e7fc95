"""A personality given as levels of traits, said in adjectives with degrees."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from allport.errors import UsageError

__all__ = [
    "BIG_FIVE",
    "DARK_TRIAD",
    "LEVEL_WORDS",
    "TraitLevels",
    "describe_trait_levels",
    "trait_adjectives",
]

BIG_FIVE: Mapping[str, str] = {
    "N": "neuroticism",
    "E": "extraversion",
    "O": "openness",
    "A": "agreeableness",
    "C": "conscientiousness",
}

DARK_TRIAD: Mapping[str, str] = {
    "Mach": "machiavellianism",
    "Narc": "narcissism",
    "Psych": "psychopathy",
}

_TRAITS: Mapping[str, str] = {**BIG_FIVE, **DARK_TRIAD}

LEVEL_WORDS: Mapping[str, float] = {
    "very-low": -1.0,
    "low": -0.5,
    "average": 0.0,
    "high": 0.5,
    "very-high": 1.0,
}
"""Words that a level can be asked for by."""

# Five degrees to each side, as the distance from the middle grows.
_DEGREES = ("", "a bit ", "rather ", "very ", "extremely ")


@cache
def trait_adjectives() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Adjectives by trait code and end ("low", "high")."""
    text = files("allport.personas").joinpath("adjectives.toml").read_text(encoding="utf-8")
    return {
        code: {end: tuple(words) for end, words in ends.items()}
        for code, ends in tomllib.loads(text).items()
    }


@dataclass(frozen=True)
class TraitLevels:
    """A persona of levels of the Big Five and the dark triad.

    Each is from -1 (lowest) through 0 (average) to 1 (highest). Traits that are not given are not
    mentioned in the prompt. One step of .25 is one degree:
    a bit, rather, very, extremely.
    """

    levels: Mapping[str, float]
    name: str = field(default="")

    def __post_init__(self) -> None:
        """Check codes and ranges, and name the persona by its levels if it has no name."""
        if not self.levels:
            raise UsageError("A persona of trait levels needs at least one trait, such as E=high.")
        for code, level in self.levels.items():
            if code not in _TRAITS:
                raise UsageError(
                    f"Unknown trait {code!r}; known are "
                    + ", ".join(f"{c} ({n})" for c, n in _TRAITS.items())
                    + "."
                )
            if not -1 <= level <= 1:
                raise UsageError(f"The level of {_TRAITS[code]} is {level}, outside -1 to 1.")
        if not self.name:
            levels = ",".join(f"{code}={self.levels[code]:+.2f}" for code in self.levels)
            object.__setattr__(self, "name", levels)

    @classmethod
    def parse(cls, text: str) -> TraitLevels:
        """Read "extraversion=high,N=-0.5" into a persona of that name.

        Raises:
            UsageError: An unknown trait, one given twice, or a level that is neither a word nor a
                number from -1 to 1.
        """
        codes = {name: code for code, name in _TRAITS.items()}
        codes |= {code.lower(): code for code in _TRAITS}
        levels: dict[str, float] = {}
        for part in text.split(","):
            trait, equals, value = (piece.strip().lower() for piece in part.partition("="))
            code = codes.get(trait)
            if code is None or not equals:
                raise UsageError(
                    f"{part.strip()!r} is no trait level; write TRAIT=LEVEL, such as "
                    f"extraversion=high or N=-0.5, with a trait of {', '.join(_TRAITS.values())}."
                )
            if code in levels:
                raise UsageError(f"{text.strip()!r}: {_TRAITS[code]} is given twice.")
            try:
                levels[code] = LEVEL_WORDS[value] if value in LEVEL_WORDS else float(value)
            except ValueError:
                raise UsageError(
                    f"Level {value!r} of {trait} is none of {', '.join(LEVEL_WORDS)} and no number "
                    "from -1 to 1."
                ) from None
        return cls(levels, name=text.strip())

    def system_prompt(self) -> str:
        """The levels in adjectives, three to a trait."""
        return describe_trait_levels(
            {code: (level, range(3)) for code, level in self.levels.items()}
        )


def describe_trait_levels(levels: Mapping[str, tuple[float, range | tuple[int, ...]]]) -> str:
    """Say trait levels in adjectives with degrees.

    Args:
        levels: By trait code, in the order to be said: the level, -1 to 1, and which of the
            trait's adjectives to use, by position.

    Returns:
        One or two sentences in the second person, for a system prompt.
    """
    phrases = [_phrase(code, level, positions) for code, (level, positions) in levels.items()]
    return f"You are a person who is {'; '.join(phrases)}. Answer as this person."


def _phrase(code: str, level: float, positions: range | tuple[int, ...]) -> str:
    adjectives = trait_adjectives()[code]
    steps = round(abs(level) * (len(_DEGREES) - 1))
    if steps == 0:
        pairs = zip(adjectives["low"], adjectives["high"], strict=True)
        low, high = list(pairs)[positions[0]]
        return f"neither {low} nor {high}"
    words = adjectives["high" if level > 0 else "low"]
    return _listed([_DEGREES[steps] + words[position] for position in positions])


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
