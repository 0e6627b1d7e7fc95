"""Checks of situational items that need nobody: form, language, lengths, words, likeness.

Each gives an empty string where an item passes, else why it does not. What they look for is in
`building_words.toml`; what they cannot see is left to judges, see `building_judges`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from statistics import mean
from typing import Any

from allport.corpora.building_words import near_duplicates, words_of
from allport.inventories.inventory import Trait
from allport.personas.trait_levels import trait_adjectives

__all__ = ["RULES", "Candidate", "check_paraphrase", "check_rules", "english_share", "mark_repeats"]

_OPTION_WORDS = (12, 30)
_SITUATION_WORDS = (10, 90)
_LENGTH_GAP = 5.0
"""Most words by which the mean option of one side may be longer than that of the other."""
_ENGLISH = 0.25
_EVALUATIVE_GAP = 2
_SAME_WORDS = 0.75


@dataclass(frozen=True)
class Candidate:
    """An item on its way, with all that it came from."""

    trait: Trait
    seed_item: str
    """What its statement was made from, such as "mini-ipip-20 item 4"."""
    statement: str
    event: str = ""
    situation: str = ""
    question: str = ""
    high: tuple[str, ...] = ()
    low: tuple[str, ...] = ()
    again: str = ""
    """The situation in other words."""
    question_again: str = ""
    calls: Mapping[str, str] = field(default_factory=dict)
    """Key of the call that wrote each part, by stage."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Seed of that call, by stage."""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """By check: an empty string where it was passed, else why not."""

    @property
    def reason(self) -> str:
        """The first check that is not passed and why; empty where all are."""
        return next((f"{name}: {why}" for name, why in self.verdicts.items() if why), "")

    @property
    def whole(self) -> str:
        """Everything that is read when the item is asked."""
        return " ".join([self.situation, self.question, *self.high, *self.low])


@cache
def _words() -> dict[str, Any]:
    text = files("allport.corpora").joinpath("building_words.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def _set(name: str) -> frozenset[str]:
    return frozenset(str(_words()[name]).split())


def english_share(text: str) -> float:
    """Share of words that are among the commonest function words of English; 0 of no words."""
    words = words_of(text)
    return sum(word in _set("english") for word in words) / len(words) if words else 0.0


def check_rules(item: Candidate) -> dict[str, str]:
    """What each rule says of an item."""
    return {name: rule(item) for name, rule in RULES.items()}


def check_paraphrase(item: Candidate) -> str:
    """Whether the other wording asks a question, in other words, at about the same length."""
    if not item.question_again.endswith("?"):
        return "the question in other words does not end with a question mark"
    text, again = (set(words_of(each)) for each in (item.situation, item.again))
    if not again or len(text & again) / len(text | again) > _SAME_WORDS:
        return "it repeats the words of the original"
    ratio = len(words_of(item.again)) / max(1, len(words_of(item.situation)))
    if not 0.5 <= ratio <= 2:
        return "it is less than half or more than twice as long"
    if english_share(f"{item.again} {item.question_again}") < _ENGLISH:
        return "it is not in English"
    return ""


def mark_repeats(items: Sequence[Candidate], cosine: float = 0.9) -> list[str]:
    """For each item, why it repeats an earlier one; empty where it does not.

    Texts are compared whole, options included, by the cosine of their words weighted by rarity.
    """
    repeats = near_duplicates([item.whole for item in items], cosine)
    return [
        "" if n not in repeats else "it says nearly the same as another item"
        for n in range(len(items))
    ]


def _format(item: Candidate) -> str:
    texts = (item.situation, item.question, *item.high, *item.low)
    if not all(text.strip() for text in texts) or (len(item.high), len(item.low)) != (2, 2):
        return "a part is missing"
    if not item.question.endswith("?"):
        return "the question does not end with a question mark"
    if len({option.lower() for option in (*item.high, *item.low)}) < 4:
        return "two options are equal"
    if any(re.search(r"[{}<>]|\[|\b[A-D][.)] ", text) for text in texts):
        return "it holds labels or brackets"
    if not all(text.isprintable() for text in texts):
        return "it holds characters that are not printed"
    return ""


def _language(item: Candidate) -> str:
    if any(character.isalpha() and character > "ɏ" for character in item.whole):
        return "it is not in Latin letters"
    # Each part alone: a situation in English must not carry options that are not.
    parts = (item.situation, " ".join(item.high), " ".join(item.low))
    return "it is not in English" if min(map(english_share, parts)) < _ENGLISH else ""


def _length(item: Candidate) -> str:
    low, high = _OPTION_WORDS
    if not all(low <= len(option.split()) <= high for option in (*item.high, *item.low)):
        return f"an option has not {low} to {high} words"
    low, high = _SITUATION_WORDS
    if not low <= len(item.situation.split()) <= high:
        return f"the situation has not {low} to {high} words"
    return ""


def _balance(item: Candidate) -> str:
    high, low = (mean(len(o.split()) for o in side) for side in (item.high, item.low))
    return "options of one side are longer" if abs(high - low) > _LENGTH_GAP else ""


def _trait_words(item: Candidate) -> str:
    code = item.trait.code
    named = {word for ends in trait_adjectives().get(code, {}).values() for word in ends}
    named |= set(_words()["names"].get(code, ())) | {item.trait.name.lower()}
    stems = tuple(_words()["stems"])
    for option in (*item.high, *item.low):
        text = option.lower()
        said = next((w for w in sorted(named) if re.search(rf"\b{re.escape(w)}\b", text)), None)
        said = said or next((w for w in words_of(option) if w.startswith(stems)), None)
        if said:
            return f"an option says {said!r}"
    return ""


def _question(item: Candidate) -> str:
    text = item.question.lower().replace("’", "'")
    if any(words in text for words in _words()["leaning"]):
        return "the question expects one answer"
    # "And at the meeting, what should I say?" is open too.
    return "" if set(words_of(text)) & _set("open") else "the question asks for yes or no"


def _desirability(item: Candidate) -> str:
    high, low = (
        sum((w in _set("praise")) - (w in _set("blame")) for o in side for w in words_of(o))
        for side in (item.high, item.low)
    )
    return "words praise one side or blame the other" if abs(high - low) >= _EVALUATIVE_GAP else ""


RULES: Mapping[str, Callable[[Candidate], str]] = {
    "format": _format,
    "language": _language,
    "length": _length,
    "balance": _balance,
    "trait words": _trait_words,
    "question": _question,
    "desirability": _desirability,
}
"""Rules by name, in the order in which they are said to have failed."""
