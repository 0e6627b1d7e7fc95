from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allport.administration.statements import statement
from allport.inventories import load_inventory

SHIPPED = ("ipip-neo-300", "ipip-neo-120", "big-five-markers-50", "mini-ipip-20")


@pytest.mark.parametrize(
    ("text", "stem", "first", "second"),
    [
        ("Worry about things.", "I", "I worry about things.", "You worry about things."),
        ("Am the life of the party.", "I", "I am the life of the party.", "You are the life"),
        ("Love my friends.", "I", "I love my friends.", "You love your friends."),
        ("Keep it to myself.", "I", "I keep it to myself.", "You keep it to yourself."),
        ("Think that I am right.", "I", "I think that I am right.", "You think that you are right"),
        ("I'm shy.", "", "I'm shy.", "You're shy."),
        ("I’m shy.", "", "I’m shy.", "You're shy."),
        (
            "I was there, and it was mine.",
            "",
            "I was there, and it was mine.",
            "You were there, and",
        ),
        ("Is it me?", "", "Is it me?", "Is it you?"),
        ("People trust others.", "", "People trust others.", "People trust others."),
        ("feel blue", "I", "I feel blue", "You feel blue"),
        ("TV bores me.", "I", "I TV bores me.", "You TV bores you."),
    ],
)
def test_a_sentence_in_each_person(text: str, stem: str, first: str, second: str) -> None:
    assert statement(text, stem, "none") == text
    assert statement(text, stem, "first") == first
    assert statement(text, stem, "second").startswith(second)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_items_leave_no_first_person_in_the_second(name: str) -> None:
    inventory = load_inventory(name)
    for item in inventory.items:
        assert item.text is not None
        said = statement(item.text, inventory.stem, "second")
        assert not re.search(r"\b(I|me|my|myself|mine|am)\b", said), said
        assert said.startswith("You "), said
        assert statement(item.text, inventory.stem, "first").startswith("I "), said


def test_words_that_only_look_like_pronouns_stay() -> None:
    text = "Imagine a mystery in Miami at 9 am, amid mines."
    assert statement(text, "", "second") == text.replace(" am,", " are,")
    assert statement("Meet my needs", "I", "second") == "You meet your needs"


@example("İ", "", "second")
@given(st.text(min_size=1), st.sampled_from(["", "I"]), st.sampled_from(["first", "second"]))
def test_any_text_can_be_said(text: str, stem: str, person: str) -> None:
    said = statement(text.strip() or "x", stem, person)  # type: ignore[arg-type]  # drawn
    assert said
    assert said[:1] == said[:1].upper() or len(said[:1].upper()) > 1
