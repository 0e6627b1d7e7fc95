from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.errors import UsageError
from allport.personas import BIG_FIVE, Persona, TraitLevels
from allport.personas.trait_levels import (
    DARK_TRIAD,
    LEVEL_WORDS,
    describe_trait_levels,
    trait_adjectives,
)

LEVELS = st.floats(-1, 1, allow_nan=False)
PROFILES = st.dictionaries(st.sampled_from(list(BIG_FIVE)), LEVELS, min_size=1)


def test_levels_become_adjectives_with_degrees() -> None:
    prompt = TraitLevels({"E": 0.5, "N": -1, "O": 0}).system_prompt()
    assert prompt == (
        "You are a person who is rather outgoing, rather talkative and rather energetic; extremely "
        "calm, extremely relaxed and extremely even-tempered; neither conventional nor "
        "imaginative. Answer as this person."
    )


@pytest.mark.parametrize("code", BIG_FIVE)
def test_nine_degrees_are_said_in_nine_ways(code: str) -> None:
    said = [TraitLevels({code: step / 4}).system_prompt() for step in range(-4, 5)]
    assert len(set(said)) == 9
    for degree, prompts in (
        ("extremely", (0, 8)),
        ("very", (1, 7)),
        ("rather", (2, 6)),
        ("a bit", (3, 5)),
    ):
        assert all(said[place].count(f"{degree} ") == 3 for place in prompts)


@pytest.mark.parametrize("code", BIG_FIVE)
def test_the_sign_of_a_level_chooses_the_end_of_the_trait(code: str) -> None:
    for end, other, level in (("high", "low", 0.75), ("low", "high", -0.75)):
        prompt = TraitLevels({code: level}).system_prompt()
        assert all(f"very {word}" in prompt for word in trait_adjectives()[code][end][:3])
        assert not any(f" {word}" in prompt for word in trait_adjectives()[code][other])


def test_adjectives_are_told_apart() -> None:
    words = [word for ends in trait_adjectives().values() for end in ends.values() for word in end]
    assert len(words) == len(set(words)) == 8 * 2 * 6
    assert list(trait_adjectives()) == [*BIG_FIVE, *DARK_TRIAD]


def test_only_traits_that_are_given_are_mentioned_in_the_order_given() -> None:
    both = TraitLevels({"C": 1, "A": 1}).system_prompt()
    assert both.index("organized") < both.index("kind")
    assert not any(word in both for word in ("outgoing", "calm", "anxious", "curious"))


def test_chosen_positions_of_adjectives() -> None:
    said = describe_trait_levels({"N": (0.25, (5, 0)), "E": (0.0, (2,))})
    assert said == (
        "You are a person who is a bit insecure and a bit anxious; neither withdrawn nor "
        "energetic. Answer as this person."
    )


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("extraversion=high", {"E": 0.5}),
        ("Extraversion = Very-High , n=-0.5", {"E": 1.0, "N": -0.5}),
        ("o=average,A=low,conscientiousness=very-low", {"O": 0.0, "A": -0.5, "C": -1.0}),
    ],
)
def test_levels_are_read_from_words_and_numbers(text: str, levels: dict[str, float]) -> None:
    persona = TraitLevels.parse(text)
    assert persona.levels == levels
    assert persona.name == text


@given(PROFILES)
def test_a_persona_is_named_by_its_levels_and_read_back_from_its_name(
    levels: dict[str, float],
) -> None:
    persona: Persona = TraitLevels(levels)
    again = TraitLevels.parse(persona.name)
    assert list(again.levels) == list(levels)
    for code, level in levels.items():
        assert again.levels[code] == pytest.approx(level, abs=0.005001)
    assert persona.system_prompt().endswith("Answer as this person.")


def test_words_for_levels_are_in_order() -> None:
    values = list(LEVEL_WORDS.values())
    assert all(low < high for low, high in itertools.pairwise(values))
    assert (values[0], values[-1]) == (-1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no trait level"),
        ("extraversion", "'extraversion' is no trait level; write TRAIT=LEVEL"),
        ("honesty=high", "'honesty=high' is no trait level"),
        ("E=huge", "Level 'huge' of e is none of very-low, low, average, high, very-high"),
        ("E=high,", "'' is no trait level"),
        ("E=2", "The level of extraversion is 2.0, outside -1 to 1"),
        ("E=nan", "The level of extraversion is nan, outside -1 to 1"),
        ("E=high,extraversion=low", "extraversion is given twice"),
    ],
)
def test_what_is_no_level_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TraitLevels.parse(text)


def test_levels_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="needs at least one trait"):
        TraitLevels({})
    with pytest.raises(UsageError, match=r"Unknown trait 'X'; known are N \(neuroticism\)"):
        TraitLevels({"X": 0.5})
    with pytest.raises(UsageError, match="outside -1 to 1"):
        TraitLevels({"E": -1.01})
