"""Reading a choice out of what a model wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

__all__ = ["ParsedAnswer", "parse_choice"]


class ParsedAnswer(NamedTuple):
    """What a written answer amounts to; exactly one of the three holds."""

    choice: int | None
    """Index of the chosen option in content order."""
    refused: bool
    """It declines to answer."""
    unparsable: bool
    """It names no option, or more than one."""


_UNPARSABLE = ParsedAnswer(None, False, True)
_REFUSED = ParsedAnswer(None, True, False)

_REASONING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.S | re.I)
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'"})
_MARKUP = re.compile(r'\\boxed|\\text|</?[A-Za-z]{1,20}>|__+|[*`"\u201c\u201d{}$]')
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
# The scale named rather than answered on: "on a scale from 1 to 5", "1-5", "4 out of 5", "4/5".
_SCALE = re.compile(
    r"\bbetween \d+ and \d+|(?<![\w.])\d+ ?(?:-|\u2013|to|through) ?\d+(?![\w.])"
    r"|(?<=\d) ?(?:/|out of) ?\d+",
    re.I,
)

_DECLARATION = re.compile(
    r"(?:"
    r"\b(?:answer|response|rating|score|choice|selection)\b"
    r"(?: (?:to|for) (?:this|the) \w+)?(?: (?:is|would be|will be|has to be))?"
    r"|\bi(?:'d| would| will|'ll|'m going to| am going to)?"
    r" (?:choose|pick|select|say|answer|go (?:with|for)|(?:rate|give) (?:this|it|that|myself))"
    r"(?: with| as| a)?"
    r")\s*[:=\-\u2013\u2014]*\s*"
    r"(?:(?:option|letter|number|choice|statement|answer)\b ?[:=]?\s*)?",
    re.I,
)
_NAMED = re.compile(r"\b(?:option|letter|number|choice|answer) $", re.I)
_NEGATED = re.compile(r"(?:\bnot|n't|\bnever|\bneither|\bnor|\bthan)(?: \w+)? $", re.I)
_ALTERNATIVE = re.compile(r"\s*(?:[/,|]|\bor\b|\band\b|\bto\b)\s*(?:(?:option|letter)\s+)?", re.I)
_JOINT = re.compile(r"[\s).:,=\]\u2013\u2014-]{0,4}\(?")
_ENDS_CLAUSE = re.compile(r"\s*(?:$|[).:,;!?\]\n\u2013\u2014-])")
# What may follow a one-letter label, or "no", that is not the beginning of "a bit", "no idea".
_GOES_ON = re.compile(
    r"\s+(?:because|since|as|for|is|it|this|that|which|would|describes|fits|applies|but|i|my"
    r"|they|we)\b",
    re.I,
)

# Nothing can be chosen after these unless the answer is declared: "As an AI, I would rate it B"
# mentions a label without giving an answer of its own.
_NO_SELF = re.compile(
    r"\bas an? (?:ai|artificial|large language|language model|llm|machine|chatbot|virtual)"
    r"|\bi(?:'m| am) (?:just |only |merely )?(?:an? )?"
    r"(?:ai\b|artificial|large language|language model|llm\b|chatbot|virtual assistant|machine)"
    r"|\bi (?:do not|don't) (?:have|possess|experience|hold) (?:any |a |real |actual )?"
    r"(?:personal|feelings|emotions|opinions|preferences|experiences|personality|beliefs"
    r"|conscious|human|sense of self|self)",
    re.I,
)
_DECLINES = re.compile(
    r"\bi (?:can't|cannot|can not|won't|will not|am unable|am not able|am not comfortable|decline"
    r"|refuse)\b|\bi'm (?:unable|not able|not comfortable)\b"
    r"|\bi(?:'d| would) (?:rather|prefer) not\b|\bi(?:'m| am) sorry\b"
    r"|\bprefer not to (?:say|answer)\b|\bno comment\b",
    re.I,
)


def parse_choice(text: str, labels: tuple[str, ...], options: tuple[str, ...]) -> ParsedAnswer:
    """Find the one option that a written answer chooses.

    Labels (letters in either case, numbers, words) and option texts count alike. In order:

    1. Reasoning between think tags, markup and mentions of the scale itself ("from 1 to 5") are
       left out, and so is a recital of the options ("A) Agree B) Disagree").
    2. A declared answer ("Answer: B", "I'd choose (b)", "My rating is 4") decides. Of several, the
       last one counts: models correct themselves towards the end.
    3. Else a label or option that opens the text decides ("B) because ..."): of undeclared ones,
       the first one counts, as explanations come after.
    4. Else all labels and options named anywhere must agree. Small letters count only as "(b)",
       "b)" or "option b", negated ones ("not B") do not count.

    Two alternatives side by side ("A or B"), or a label beside another label's text, are
    unparsable. "a" and "I" as words of a sentence are no labels. Speaking as a machine
    without a self, or declining, is a refusal where no answer is declared, or named at all.

    Args:
        text: What was written.
        labels: What stands for each option, in content order.
        options: Text of each option, in content order.

    Returns:
        The choice in content order, or a refusal, or neither.
    """
    reader = _Reader.of(tuple(labels), tuple(options))
    plain = _plain(_REASONING.sub(" ", text))
    if reader.has_numbers:
        plain = _BLANKS.sub(" ", _SCALE.sub(" ", plain)).strip()
    rest = reader.without_recital(plain)
    found = reader.declared(rest)
    if found is None and rest == plain:
        found = reader.opening(plain)
    if found is None and not _NO_SELF.search(plain):
        found = reader.named(rest)
    if found is not None:
        return ParsedAnswer(found, False, False) if found >= 0 else _UNPARSABLE
    return _REFUSED if _NO_SELF.search(plain) or _DECLINES.search(plain) else _UNPARSABLE


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return _BLANKS.sub(" ", _MARKUP.sub(" ", text)).strip()


_AMBIGUOUS = -1


class _Mention(NamedTuple):
    option: int
    start: int
    end: int
    is_text: bool
    """It is the option's text rather than its label."""


class _Reader:
    """The labels and options of one question, made ready for finding."""

    @classmethod
    @lru_cache(maxsize=512)
    def of(cls, labels: tuple[str, ...], options: tuple[str, ...]) -> _Reader:
        return cls(labels, options)

    def __init__(self, labels: tuple[str, ...], options: tuple[str, ...]) -> None:
        self._labels = [_plain(label) for label in labels]
        self._written: dict[str, int] = {}
        self._spelled: dict[str, str] = {}
        for names in (self._labels, [_plain(option) for option in options]):
            for index, name in enumerate(names):
                folded = name.casefold()
                if name:
                    # A text that two options share tells nothing about which one is meant.
                    same = self._written.setdefault(folded, index) == index
                    self._written[folded] = index if same else _AMBIGUOUS
                    self._spelled[folded] = name
        self._folded_labels = {label.casefold() for label in self._labels}
        self.has_numbers = any(label.isdigit() for label in self._labels)
        # At one place the longest wins: "Very Accurate" is no mention of "Accurate".
        longest_first = sorted(self._written, key=len, reverse=True)
        either = "|".join(re.escape(name) for name in longest_first) or r"(?!)"
        self._any = re.compile(rf"(?<!\w)(?<!\w')(?<!\d[.,])(?:{either})(?!\w|'\w|[.,]\d)", re.I)
        self._recital = []
        for label, option in zip(self._labels, options, strict=True):
            if label and label.casefold() != _plain(option).casefold():
                line = rf"{re.escape(label)} ?[).:=\]\u2013-] ?{re.escape(_plain(option))}"
                self._recital.append(re.compile(rf"(?<!\w){line}(?!\w)", re.I))

    def without_recital(self, text: str) -> str:
        """The text without the options' own list, where it repeats two or more lines of it."""
        said = [pattern for pattern in self._recital if pattern.search(text)]
        if len(said) < 2:
            return text
        for pattern in said:
            text = pattern.sub(" ", text)
        return _BLANKS.sub(" ", text).strip()

    def declared(self, text: str) -> int | None:
        """The option of the last declaration; -1 where that one names two; None without any."""
        found = None
        for declaration in _DECLARATION.finditer(text):
            mention = self._at(text, declaration.end())
            if mention is not None and self._stands_alone(text, mention):
                found = self._settled(text, mention)
        return found

    def opening(self, text: str) -> int | None:
        """The option that the text begins with; -1 where it names two; None where none."""
        mention = self._at(text, 0)
        if mention is None or not self._stands_alone(text, mention):
            return None
        option = self._settled(text, mention)
        if option == _AMBIGUOUS or mention.is_text or self._ends_or_goes_on(text, mention):
            return option
        return None

    def named(self, text: str) -> int | None:
        """The only option named anywhere; -1 where several are; None where none."""
        options = {mention.option for mention in self._free(text)}
        if not options:
            return None
        return options.pop() if len(options) == 1 else _AMBIGUOUS

    def _at(self, text: str, position: int) -> _Mention | None:
        while position < len(text) and text[position] in " ([\n'":
            position += 1
        match = self._any.match(text, position)
        return None if match is None else self._mention(match)

    def _mention(self, match: re.Match[str]) -> _Mention:
        name = match.group().casefold()
        option = self._written.get(name, _AMBIGUOUS)
        return _Mention(option, match.start(), match.end(), name not in self._folded_labels)

    def _settled(self, text: str, mention: _Mention) -> int:
        """The mention's option, unless another one stands right beside it."""
        for link in (_ALTERNATIVE, _JOINT):
            joint = link.match(text, mention.end)
            beside = None if joint is None else self._at(text, joint.end())
            if beside is None or beside.option == mention.option:
                continue
            # Past a joint a label's text or a text's "(2)" contradicts; more is another sentence.
            contradicts = text[beside.start - 1] == "(" if mention.is_text else beside.is_text
            if link is _ALTERNATIVE or contradicts:
                return _AMBIGUOUS
        return mention.option

    def _stands_alone(self, text: str, mention: _Mention) -> bool:
        """Whether "a", "I" or "no" is meant as an answer, not as a word of a phrase."""
        name = text[mention.start : mention.end]
        if name.casefold() not in ("a", "i", "no"):
            return True
        return self._ends_or_goes_on(text, mention) or self._has_alternative(text, mention)

    def _ends_or_goes_on(self, text: str, mention: _Mention) -> bool:
        if _ENDS_CLAUSE.match(text, mention.end) or _GOES_ON.match(text, mention.end):
            return True
        after = self._at(text, mention.end)
        return after is not None and after.is_text

    def _has_alternative(self, text: str, mention: _Mention) -> bool:
        link = _ALTERNATIVE.match(text, mention.end)
        return link is not None and self._at(text, link.end()) is not None

    def _free(self, text: str) -> Iterator[_Mention]:
        for match in self._any.finditer(text):
            mention, name = self._mention(match), match.group()
            before = text[max(0, mention.start - 30) : mention.start]
            if _NEGATED.search(before) or not self._stands_alone(text, mention):
                continue
            if len(name) == 1 and name.isalpha():
                closed = text[mention.end : mention.end + 1] in (")", "]")
                if not closed and not _NAMED.search(before) and not self._is_bare(text, mention):
                    continue
            elif len(name) <= 3 and name.isalpha() and name != self._spelled[name.casefold()]:
                continue  # "no" inside a sentence is not the option "No"
            yield mention

    def _is_bare(self, text: str, mention: _Mention) -> bool:
        """Whether a letter stands as a label by itself: "B", not "b", unless it is all there is."""
        name = text[mention.start : mention.end]
        if name in ("A", "I"):
            # A capital A may begin a sentence about something else.
            ends = _ENDS_CLAUSE.match(text, mention.end)
            return ends is not None or self._has_alternative(text, mention)
        return name.isupper() or text.strip(" .!()[]\n") == name
