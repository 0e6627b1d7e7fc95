"""Designs: which conditions an inventory is administered under."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, get_args

from allport.administration.balance import balanced_fraction
from allport.administration.orders import is_balanced, option_orders
from allport.errors import RunError, UsageError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Condition, Reading

__all__ = ["Design"]


@dataclass(frozen=True, slots=True)
class Design:
    """Templates x option orders x item forms x personas x repeats, in full or as a fraction.

    Example:
        >>> Design(templates=("letters", "digits"), orders=("forward", "reversed")).templates
        ('letters', 'digits')
    """

    templates: tuple[str, ...] = ("letters", "digits")
    """Names of question templates."""
    orders: tuple[str, ...] = ("standard",)
    """Option orders: "forward", "reversed", digits such as "0132", or a set of orders: "standard"
    (forward and reversed on a response scale, a Williams square on situations), "williams", "all".
    """
    forms: tuple[str, ...] = ("original",)
    """Wordings of the items; any but "original" must be given by every item asked."""
    personas: tuple[str, ...] = ("",)
    """Names of the personas asked for; the empty name asks for none."""
    repeats: int = 1
    """How often each question is asked. A local model's distribution is the same each time; repeats
    tell something where answers are sampled."""
    reading: Reading = "distribution"
    """Whether answers are read from the distribution over labels, generated and parsed, or read
    from the likelihood of each option's text, which is then asked for without a list."""
    fraction: float = 1.0
    """Share of the conditions to ask, above 0 and up to 1; below 1 they are a balanced fraction."""
    seed: int = 0
    """Seed of the fraction and of sampled answers, 0 or above."""
    items: tuple[int, ...] = ()
    """Numbers of the items to ask; empty for all."""
    pmi: bool = False
    """Set likelihoods against those after a neutral prompt; see `allport.models.likelihood`."""
    label_prior: float = 0.0
    """Share of the items, from 0 and under 1, that are asked in every order, to find out what
    labels get whatever stands behind them; the others are asked in the first order only, and the
    prior is divided out of all. 0 asks every item in every order and divides nothing out."""

    def __post_init__(self) -> None:
        """Check every field that can be checked without the inventory."""
        for factor in ("templates", "orders", "forms", "personas", "items"):
            levels = getattr(self, factor)
            if isinstance(levels, str):
                raise UsageError(f"Design: {factor} is a single text; give a list of names.")
            object.__setattr__(self, factor, tuple(levels))
            if not levels and factor != "items":
                raise UsageError(f"Design: {factor} is empty; give at least one.")
            twice = [level for level in levels if list(levels).count(level) > 1]
            if twice:
                raise UsageError(f"Design: {factor} has {twice[0]!r} twice; give each once.")
        if self.seed < 0:
            raise UsageError(f"Design: seed is {self.seed}; it must be 0 or above.")
        if self.repeats < 1:
            raise UsageError(f"Design: repeats is {self.repeats}; ask at least once.")
        if self.reading not in get_args(Reading):
            raise UsageError(
                f"Design: reading {self.reading!r} is none of {', '.join(get_args(Reading))}."
            )
        if not 0 < self.fraction <= 1:
            raise UsageError(
                f"Design: fraction is {self.fraction:g}; it must be above 0 and up to 1."
            )
        if self.pmi and self.reading != "likelihood":
            raise UsageError(
                "Design: pmi corrects likelihoods; it goes with the reading likelihood alone."
            )
        if not 0 <= self.label_prior < 1:
            raise UsageError(
                f"Design: label_prior is {self.label_prior:g}; it must be 0 or above and under 1."
            )
        if self.label_prior and (self.reading != "distribution" or self.fraction < 1):
            raise UsageError(
                "Design: a label prior is found from the distributions of answers under every "
                "condition; leave the reading and the fraction as they are."
            )

    def conditions(self, inventory: Inventory) -> tuple[Condition, ...]:
        """Every condition that this design asks on an inventory.

        Conditions with the same persona, template and order stand together, so that what their
        questions share is read once. In a balanced fraction each level of each factor is used
        equally often as far as the count allows, and pairs of levels as evenly as can be.

        Raises:
            UsageError: An order does not fit the items, the fraction is too small to use every
                level of a factor once, or a label prior cannot be found in these orders.
        """
        orders = option_orders(self._orders, inventory)
        if self.reading == "likelihood" and len(orders) > 1:
            raise UsageError(
                "The reading likelihood shows no list of options, so no order makes a difference; "
                "leave the orders out."
            )
        if self.label_prior:
            _check_balance(orders, inventory)
        factors: tuple[Sequence[Any], ...] = (
            self.personas,
            self.templates,
            orders,
            self.forms,
            range(self.repeats),
        )
        cells = itertools.product(*factors)
        total = math.prod(map(len, factors))
        count = max(1, round(self.fraction * total))
        chosen: Sequence[Sequence[Any]] = list(cells)
        if count < total:
            names = ("personas", "templates", "orders", "forms", "repeats")
            for name, levels in zip(names, factors, strict=True):
                if count < len(levels):
                    enough = math.ceil(1000 * len(levels) / total) / 1000
                    raise UsageError(
                        f"A fraction of {self.fraction:g} asks {count} of {total} conditions, too "
                        f"few for {len(levels)} {name}; ask for {enough:g} or more."
                    )
            picked = balanced_fraction([len(levels) for levels in factors], count, self.seed)
            chosen = [
                [levels[index] for levels, index in zip(factors, cell, strict=True)]
                for cell in picked.tolist()
            ]
        return tuple(
            Condition(template=template, order=order, form=form, persona=persona, repeat=repeat)
            for persona, template, order, form, repeat in chosen
        )

    @property
    def _orders(self) -> tuple[str, ...]:
        unlisted = self.reading == "likelihood" and self.orders == ("standard",)
        return ("forward",) if unlisted else self.orders

    def to_json(self) -> dict[str, Any]:
        """The design as a JSON object; see `from_json`."""
        fields = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            RunError: The object is no design.
        """
        try:
            return cls(**content)
        except (TypeError, UsageError) as error:
            raise RunError(f"The design cannot be read ({error}).") from None


def _check_balance(orders: Sequence[str], inventory: Inventory) -> None:
    counts = {len(inventory.options(item)) for item in inventory.items}
    if len(counts) > 1 or not is_balanced(orders, *counts):
        raise UsageError(
            f"A label prior needs orders in which every option of {inventory.name} stands equally "
            "often at each place, such as williams."
        )
