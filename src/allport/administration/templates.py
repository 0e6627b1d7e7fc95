"""Question templates: how one item and its options are put to a respondent."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from allport.administration.statements import Person, statement
from allport.errors import UsageError
from allport.inventories.inventory import Inventory, Item
from allport.models.respondent import Reading

__all__ = [
    "LabelStyle",
    "RenderedItem",
    "Template",
    "asks_openly",
    "load_templates",
    "read_templates",
    "standard_templates",
    "templates_for",
    "wordings",
]

LabelStyle = Literal["letters", "lower", "digits", "words", "none"]
Asks = Literal["statement", "situation"]

_KINDS = {"letters": "letter", "lower": "letter", "digits": "number"}
"""What stands for {kind} in the text of a template, by its labels."""


class RenderedItem(NamedTuple):
    """What a template makes of one item."""

    text: str
    """The user's turn."""
    labels: tuple[str, ...]
    """What the respondent says to choose each option, in content order."""
    options: tuple[str, ...]
    """Text of each option, in content order."""


@dataclass(frozen=True, slots=True)
class Template:
    """Wording around an item: framing, label style and grammatical person."""

    name: str
    text: str
    """User's turn with the places {statement} and, unless labels are "none", {options}."""
    labels: LabelStyle
    """What stands for an option in the list; "none" where there is no list, so that the option
    itself is the answer, and is read by its likelihood."""
    person: Person = "none"
    option: str = "{label}. {option}"
    """One entry of the list of answers, with the places {option} and, unless labels are "words",
    {label}."""
    joiner: str = "\n"
    asks: Asks = "statement"
    """What it puts into words: statements on a response scale, or situations with own options."""

    def __post_init__(self) -> None:
        """Check that the wording can be filled in."""
        if not self.lists_options and "{options}" in self.text:
            raise UsageError(
                f"Template {self.name!r} has labels none, so its text cannot hold {{options}}."
            )
        places = [("{statement}", self.text, "text"), ("{option}", self.option, "option line")]
        if self.lists_options:
            places.append(("{options}", self.text, "text"))
        # Where the options are their own labels, a line need not say one twice.
        if self.labels not in ("words", "none"):
            places.append(("{label}", self.option, "option line"))
        for place, text, where in places:
            if text.count(place) != 1:
                raise UsageError(
                    f"Template {self.name!r} must hold {place} exactly once in its {where}."
                )
        for value, allowed, what in (
            (self.labels, get_args(LabelStyle), "labels"),
            (self.person, get_args(Person), "person"),
            (self.asks, get_args(Asks), "asks"),
        ):
            if value not in allowed:
                raise UsageError(
                    f"Template {self.name!r}: {what} {value!r} is none of {', '.join(allowed)}."
                )

    @property
    def lists_options(self) -> bool:
        """Whether the options are shown."""
        return self.labels != "none"

    def neutral(self) -> str:
        """The user's turn with nothing in particular in the statement's place.

        "N/A" asks nothing and still reads as a text (Zhao et al., 2021, arXiv 2102.09690).
        """
        return _fill(self.text, {"{statement}": "N/A"})

    def render(
        self, inventory: Inventory, item: Item, shown: Sequence[int], form: str = "original"
    ) -> RenderedItem:
        """Put an item and its options into words.

        Args:
            inventory: The inventory that the item belongs to.
            item: The item.
            shown: Content index of the option at each shown position; a permutation.
            form: "original", or the name of another wording that the item has.

        Raises:
            UsageError: The item has no such form, no text, or more options than labels.
        """
        options = tuple(option.text for option in inventory.options(item))
        labels = self._labels(options, shown)
        lines = self.joiner.join(
            _fill(self.option, {"{label}": labels[index], "{option}": options[index]})
            for index in shown
        )
        text = item.text if form == "original" else item.forms.get(form)
        if text is None:
            missing = "text" if form == "original" else f"form {form!r}"
            raise UsageError(f"Item {item.number} of {inventory.name} has no {missing}.")
        sentence = statement(text, inventory.stem, self.person)
        user = _fill(self.text, {"{statement}": sentence, "{options}": lines})
        return RenderedItem(user, labels, options)

    def _labels(self, options: tuple[str, ...], shown: Sequence[int]) -> tuple[str, ...]:
        if self.labels in ("words", "none"):
            return options
        alphabet: Sequence[str] = {
            "letters": string.ascii_uppercase,
            "lower": string.ascii_lowercase,
            "digits": [str(n) for n in range(1, len(options) + 1)],
        }[self.labels]
        if len(options) > len(alphabet):
            raise UsageError(
                f"Template {self.name!r} has {len(alphabet)} labels, but an item has "
                f"{len(options)} options; use a template with digits."
            )
        labels = [""] * len(options)
        for position, index in enumerate(shown):
            labels[index] = alphabet[position]
        return tuple(labels)


def _fill(text: str, places: Mapping[str, str]) -> str:
    """Replace each place once, in one pass, so that text put in is never itself filled in."""
    parts: list[str] = []
    while found := [(text.index(place), place) for place in places if place in text]:
        start, place = min(found)
        parts += [text[:start], places[place]]
        text = text[start + len(place) :]
    return "".join([*parts, text])


def read_templates(path: Path | str) -> Mapping[str, Template]:
    """Read templates from a TOML file of tables `[name]` with the fields of `Template`.

    A table with `like = "name"` takes the fields that it does not give from that template, which
    must stand above it. The place {kind} in a text is what its labels are: letter, number, answer.

    Raises:
        UsageError: The file cannot be read, or a template does not hold.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: the templates cannot be read: {error}.") from None
    return _templates(tables, str(path))


@cache
def _shipped() -> Mapping[str, Mapping[str, object]]:
    text = files("allport.administration").joinpath("templates.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def load_templates(asks: Asks = "statement", *, every: bool = False) -> Mapping[str, Template]:
    """The shipped templates by name, those for statements or those for situations.

    Args:
        asks: Which of the two.
        every: With those that say what another says with other labels, and those that list no
            options.
    """
    tables = _shipped()
    return MappingProxyType(
        {
            name: template
            for name, template in _templates(tables, "templates.toml").items()
            if template.asks == asks
            and (every or ("like" not in tables[name] and template.lists_options))
        }
    )


def templates_for(inventory: Inventory) -> Mapping[str, Template]:
    """All shipped templates that fit the items of an inventory, by name."""
    return load_templates(_asked_as(inventory), every=True)


def wordings(inventory: Inventory) -> tuple[str, ...]:
    """Names of the shipped templates that list the options of an inventory, each wording once."""
    return tuple(load_templates(_asked_as(inventory)))


def asks_openly(name: str) -> bool:
    """Whether a shipped template of that name lists no options."""
    return _shipped().get(name, {}).get("labels") == "none"


def standard_templates(inventory: Inventory, reading: Reading = "distribution") -> tuple[str, ...]:
    """Names of the templates that an inventory is asked in where none are named."""
    if reading == "likelihood":
        return tuple(name for name, t in templates_for(inventory).items() if not t.lists_options)
    if _asked_as(inventory) == "situation":
        return wordings(inventory)
    return ("letters", "digits")


def _asked_as(inventory: Inventory) -> Asks:
    return "situation" if all(item.options for item in inventory.items) else "statement"


def _templates(tables: Mapping[str, object], where: str) -> Mapping[str, Template]:
    templates = {}
    whole: dict[str, dict[str, str]] = {}
    for name, given in tables.items():
        if not isinstance(given, dict):
            raise UsageError(f"{where}: {name!r} is not a table of template fields.")
        table = dict(given)
        if "like" in table:
            other = table.pop("like")
            if not isinstance(other, str) or other not in whole:
                raise UsageError(
                    f"{where}: template {name!r} is like {other!r}, which is no template above it."
                )
            table = whole[other] | table
        unknown = set(table) - {"text", "labels", "person", "option", "joiner", "asks"}
        missing = {"text", "labels"} - set(table)
        if unknown or missing:
            what = f"unknown field {min(unknown)!r}" if unknown else f"no field {min(missing)!r}"
            raise UsageError(f"{where}: template {name!r} has {what}.")
        for field, value in table.items():
            if not isinstance(value, str):
                raise UsageError(f"{where}: {field!r} of template {name!r} is not a text.")
        whole[name] = table
        kind = _KINDS.get(table["labels"], "answer")
        fields = table | {"text": table["text"].replace("{kind}", kind)}
        templates[name] = Template(name=name, **fields)
    return MappingProxyType(templates)
