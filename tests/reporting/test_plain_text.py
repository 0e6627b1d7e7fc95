from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from allport.reporting.plain_text import printable


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"]
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200e\u200f")
    assert shown.encode().decode() == shown


@given(st.text("abc äöü 中文 😀 <>&\n\t"))
def test_ordinary_text_is_untouched(text: str) -> None:
    assert printable(text) == text


def test_escape_sequences_are_shown_and_not_run() -> None:
    assert printable("\x1b[2Jgone\x07") == "␛[2Jgone␇"


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 100_000, 5) == "xxxxx… (100,000 characters)"
    assert printable("xxxxx", 5) == "xxxxx"
