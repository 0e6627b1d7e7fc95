"""Items as sentences in the first and the second person."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Person", "statement"]

Person = Literal["none", "first", "second"]

# Longer patterns first: "I am" must not be read as "I" and "am".
_SECOND_PERSON = {
    "i am": "you are",
    "i'm": "you're",
    "i was": "you were",
    "am i": "are you",
    "was i": "were you",
    "i've": "you've",
    "i'd": "you'd",
    "i'll": "you'll",
    "myself": "yourself",
    "mine": "yours",
    "my": "your",
    "me": "you",
    "am": "are",
    "i": "you",
}
_APOSTROPHE = "['’]"
_FIRST_PERSON_WORDS = re.compile(
    rf"\b({'|'.join(_SECOND_PERSON)})\b(?!')".replace("'", _APOSTROPHE),
    re.IGNORECASE | re.ASCII,  # beyond ASCII, "İ" would count as an "i" whose lower case is longer
)


def statement(text: str, stem: str, person: Person) -> str:
    """An item's text as it is, or as a sentence in the first or second person.

    Args:
        text: The item as published, such as "Worry about things."
        stem: What makes it a first-person sentence, such as "I"; empty where it is one already.
        person: "none" leaves the text alone; "first" gives "I worry about things."; "second"
            gives "You worry about things."

    Returns:
        The sentence. Items written in neither person (a sentence about others) stay as they are.
    """
    if person == "none":
        return text
    sentence = f"{stem} {_decapitalised(text)}" if stem else text
    if person == "second":
        sentence = _FIRST_PERSON_WORDS.sub(
            lambda m: _SECOND_PERSON[m[0].lower().replace("’", "'")], sentence
        )
    return sentence[:1].upper() + sentence[1:]


def _decapitalised(text: str) -> str:
    first_word = text.split(maxsplit=1)[0] if text else ""
    keeps_capital = (
        first_word == "I"
        or first_word.startswith(("I'", "I’"))
        or first_word[1:] != first_word[1:].lower()
    )
    return text if keeps_capital else text[:1].lower() + text[1:]
