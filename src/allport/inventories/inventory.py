"""What is asked: inventories, their items and their response scales."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from allport.errors import InventoryError
from allport.files import sha256_of

__all__ = ["Facet", "Inventory", "Item", "Option", "Trait"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Option(_Frozen):
    """One answer that can be given."""

    text: Text
    """What the respondent reads, such as "Very Accurate"."""
    value: FiniteFloat
    """On a response scale: the literal value of this answer (agreement, 1 to 5). On an item of its
    own options: the value toward the item's trait."""


class Trait(_Frozen):
    """A domain that the inventory measures."""

    code: Text
    name: Text


class Facet(_Frozen):
    """A part of a trait."""

    code: Text
    name: Text
    trait: Text
    """Code of the trait that the facet belongs to."""


class Item(_Frozen):
    """One statement, or one situation with options."""

    number: PositiveInt
    text: Text | None = None
    """None on every item of an inventory whose text is under copyright and not imported."""
    trait: Text
    """Code of the trait that the item speaks for."""
    facet: Text | None = None
    key: Literal[1, -1] = 1
    """Which end of the trait agreeing speaks for."""
    cluster: Text | None = None
    """What several items were written from, such as the statement behind five situations; such
    items are alike, and are resampled together."""
    question: Text | None = None
    """What a situational item asks at the end of its text."""
    options: tuple[Option, ...] = ()
    """Options of a situational item; empty on a Likert item, which takes the inventory's scale."""
    forms: dict[Text, Text] = Field(default_factory=dict)
    """Other wordings of the same item, by name, such as {"paraphrase": "..."}."""

    @field_validator("key", mode="before")
    @classmethod
    def _is_a_sign(cls, value: object) -> object:
        # True equals 1 and would pass for it, though "key: false" cannot mean -1.
        if isinstance(value, bool):
            raise ValueError("the key must be 1 or -1")
        return value


class Inventory(_Frozen):
    """A questionnaire: items, response scale, scoring key, norms, licence, source.

    Every array of answers over an inventory has the item axis last, in the order of `items`.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What commands call it, such as "ipip-neo-120"."""
    title: Text
    version: Text
    language: Text = "en"
    stem: Remark = ""
    """Words that turn an item into a first-person sentence: "I" before "worry about things"; empty
    where items are sentences already."""
    scale: tuple[Option, ...] = ()
    """Likert response scale, literal values ascending; empty where items have their own options."""
    traits: tuple[Trait, ...]
    facets: tuple[Facet, ...] = ()
    items: tuple[Item, ...]
    scoring: Literal["sum", "mean"] = "mean"
    """How published scores of this inventory are formed from keyed answers."""
    norms: Text | None = None
    """Name of the shipped norm table that fits this inventory, if any."""
    licence: Text
    source: Text
    notes: Remark = ""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not self.items:
            raise ValueError("it has no items")
        if self.scale:
            values = [option.value for option in self.scale]
            if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
                raise ValueError("the scale needs two or more options with ascending values")
            if len({option.text for option in self.scale}) < len(values):
                raise ValueError("two options of the scale have the same text")
        traits = [trait.code for trait in self.traits]
        if len(set(traits)) < len(traits):
            raise ValueError("a trait code is given twice")
        facets = {facet.code: facet for facet in self.facets}
        if len(facets) < len(self.facets):
            raise ValueError("a facet code is given twice")
        for facet in self.facets:
            if facet.code in traits:
                raise ValueError(f"facet {facet.code}: a trait has the same code")
            if facet.trait not in traits:
                raise ValueError(f"facet {facet.code}: unknown trait {facet.trait!r}")
        some_text = any(item.text is not None for item in self.items)
        seen: set[int] = set()
        for item in self.items:
            where = f"item {item.number}"
            if item.number in seen:
                raise ValueError(f"{where}: the number is given twice")
            seen.add(item.number)
            if some_text and item.text is None:
                raise ValueError(f"{where}: the text is missing")
            if item.trait not in traits:
                raise ValueError(
                    f"{where}: unknown trait {item.trait!r}; known: {', '.join(traits)}"
                )
            if item.facet is not None and item.facet not in facets:
                raise ValueError(f"{where}: unknown facet {item.facet!r}")
            if item.facet is not None and facets[item.facet].trait != item.trait:
                raise ValueError(
                    f"{where}: facet {item.facet} does not belong to trait {item.trait}"
                )
            if not item.options and not self.scale:
                raise ValueError(f"{where}: no options, and the inventory has no scale")
            if item.options and len({option.text for option in item.options}) < len(item.options):
                raise ValueError(f"{where}: two options have the same text")
            if len(item.options) == 1:
                raise ValueError(f"{where}: one option is no choice")
            if item.question is not None and not (item.text or "").endswith(item.question):
                raise ValueError(f"{where}: the text does not end with its question")
            if item.options and item.key != 1:
                raise ValueError(f"{where}: options carry their own values, so the key must be 1")
        return self

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Item numbers, in the order of `items`."""
        return tuple(item.number for item in self.items)

    @cached_property
    def keys(self) -> NDArray[np.int8]:
        """Keys of the items, +1 or -1, shape (items,)."""
        return np.array([item.key for item in self.items], dtype=np.int8)

    @cached_property
    def has_text(self) -> bool:
        """Whether every item has its text, so that the inventory can be asked."""
        return all(item.text is not None for item in self.items)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of everything the inventory says."""
        # Without defaults, so that a field added to the format changes no hash.
        return sha256_of(self.model_dump_json(exclude_defaults=True))

    @cached_property
    def items_hash(self) -> str:
        """SHA-256 of what an answer means: number, text, key and options of every item.

        Other wordings, norms and notes change `content_hash` and not this.
        """
        told = [
            [i.number, i.text, i.key, [[o.text, o.value] for o in self.options(i)]]
            for i in self.items
        ]
        return sha256_of(json.dumps(told, ensure_ascii=False))

    def require_text(self) -> Self:
        """This inventory, which can be asked.

        Raises:
            InventoryError: The texts of its items have not been imported.
        """
        if not self.has_text:
            raise InventoryError(
                f"{self.name} ships its key but not its texts, which are under copyright; import "
                f"the text you are entitled to: allport inventories import {self.name} --from FILE"
                " (a CSV with the columns number,text)."
            )
        return self

    def with_texts(self, texts: Mapping[int, str]) -> Self:
        """The same inventory with these item texts, by number.

        Args:
            texts: A text for each item of the inventory, and for nothing else.

        Raises:
            InventoryError: The numbers are not those of the items.
        """
        if set(texts) != set(self.numbers):
            differing = ", ".join(map(str, sorted(set(texts) ^ set(self.numbers))))
            raise InventoryError(f"{self.name}: the texts do not match its items at {differing}.")
        items = [item.model_dump() | {"text": texts[item.number]} for item in self.items]
        return type(self).model_validate(self.model_dump() | {"items": items})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, validated anew so that nothing derived is stale."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**fields, **(update or {})})

    def item(self, number: int) -> Item:
        """The item of that number.

        Raises:
            InventoryError: There is none.
        """
        try:
            return self.items[self.numbers.index(number)]
        except ValueError:
            raise InventoryError(f"{self.name} has no item {number}.") from None

    def options(self, item: Item) -> tuple[Option, ...]:
        """The options of an item in content order, the order of every response to it."""
        return item.options or self.scale

    def option_values(self, item: Item) -> NDArray[np.float64]:
        """Literal values of an item's options in content order, shape (options,)."""
        return np.array([option.value for option in self.options(item)])

    @cached_property
    def reversal_sums(self) -> NDArray[np.float64]:
        """Smallest plus largest possible answer of each item, shape (items,)."""
        return np.array(
            [self.option_values(item).min() + self.option_values(item).max() for item in self.items]
        )

    def keyed(self, literal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn literal answers into keyed ones, shape (..., items); NaN stays NaN.

        Items with key -1 become `smallest + largest - answer`, with the scale's own limits and
        never the observed ones. The map is its own inverse: see `literal`.
        """
        literal = np.asarray(literal, dtype=np.float64)
        return np.where(self.keys == 1, literal, self.reversal_sums - literal)

    def literal(self, keyed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn keyed answers into literal ones, shape (..., items); NaN stays NaN."""
        return self.keyed(keyed)

    def columns(self, code: str) -> NDArray[np.intp]:
        """Positions on the item axis of the items of a trait or facet, by code."""
        return np.array(
            [i for i, item in enumerate(self.items) if code in (item.trait, item.facet)],
            dtype=np.intp,
        )
