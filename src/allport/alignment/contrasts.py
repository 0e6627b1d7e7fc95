"""Pairs of prompts that differ in nothing but agreeing or disagreeing with an item.

    options   the item under a template, answered with its highest or its lowest option, with the
              options in both orders: the letter of agreement turns with the order, so that averaged
              over orders it cancels
    yes-no    "Is this true of you? ... Answer yes or no.", answered either way
    persona   a system text in which the model has said of itself that the item is accurate or
              inaccurate; read where it then answers other items
    levels    a system text that describes somebody as extremely high or low on the item's trait,
              toward the item's key in agreeing; read behind that text, before anything is asked
    facets    a system text in which somebody has answered all items of the item's facet at the end
              toward the item's key in agreeing, or all at the other; read there, too

The first two are read at the answer and the third at the place where an answer is due. Levels and
facets are read at the tokens that the chat template puts between the system text and the user's,
which see all that was said of the person and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from allport.administration.orders import permutation
from allport.administration.statements import statement
from allport.administration.templates import load_templates
from allport.errors import UsageError
from allport.inventories.inventory import Inventory, Item
from allport.models.respondent import Message
from allport.personas.person import Person
from allport.personas.trait_levels import TraitLevels

__all__ = [
    "CONTRASTS",
    "DESCRIPTIONS",
    "ITEM_CONTRASTS",
    "Contrast",
    "ContrastKind",
    "ContrastPrompt",
    "contrast_prompts",
]

ContrastKind = Literal["options", "yes-no", "persona", "levels", "facets"]
CONTRASTS: tuple[ContrastKind, ...] = get_args(ContrastKind)
"""Kinds of contrast, by name."""
ITEM_CONTRASTS: tuple[ContrastKind, ...] = ("options", "yes-no")
"""Those that are read at the answer to an item."""
DESCRIPTIONS: tuple[ContrastKind, ...] = ("levels", "facets")
"""Those that are read behind a system text."""

_ORDERS = ("forward", "reversed")
_YES_NO = (
    'Is this statement true of you: "{statement}"? Answer yes or no.',
    'Answer no or yes: is this statement true of you? "{statement}"',
)


@dataclass(frozen=True)
class Contrast:
    """One way of making both sides of an item."""

    name: str
    """Such as "options letters forward"."""
    kind: ContrastKind
    template: str = ""
    order: str = ""


class ContrastPrompt(NamedTuple):
    """One side of an item under a contrast."""

    messages: tuple[Message, ...]
    answer: str = ""
    """What the model is made to answer; empty where activations are read before an answer."""
    behind_system: bool = False
    """Whether they are read behind the system text, which is the first message."""


def contrasts_of(
    kinds: Sequence[ContrastKind], templates: Sequence[str] = ("letters",)
) -> tuple[Contrast, ...]:
    """The contrasts of some kinds.

    Raises:
        UsageError: There is no such kind or template, or none is given.
    """
    found: list[Contrast] = []
    for kind in kinds:
        if kind not in CONTRASTS:
            raise UsageError(f"Unknown contrast {kind!r}; known: {', '.join(CONTRASTS)}.")
        if kind in DESCRIPTIONS:
            found.append(Contrast(kind, kind))
            continue
        if kind == "yes-no":
            found += [Contrast(f"yes-no {i + 1}", kind, template=t) for i, t in enumerate(_YES_NO)]
            continue
        for name in templates:
            if name not in load_templates():
                raise UsageError(
                    f"Unknown template {name!r}; known: {', '.join(load_templates())}."
                )
            found += [Contrast(f"{kind} {name} {o}", kind, name, o) for o in _ORDERS]
    if not found:
        raise UsageError("Contrasts need a kind, such as options.")
    return tuple(found)


def contrast_prompts(
    contrast: Contrast,
    inventory: Inventory,
    item: Item,
    probes: Sequence[Item] = (),
    items: Sequence[Item] = (),
) -> tuple[tuple[ContrastPrompt, ...], tuple[ContrastPrompt, ...]]:
    """Prompts of the agreeing and of the disagreeing side of an item; sides are averaged.

    Args:
        contrast: From `contrasts_of`.
        inventory: With its texts.
        item: The item contrasted.
        probes: Items that are asked after a persona, where the contrast is one.
        items: All that are contrasted, of which those of the item's facet (or trait, where it has
            none) are answered together, where the contrast is of facets.
    """
    options = inventory.options(item)
    ends = {True: len(options) - 1, False: 0}
    if contrast.kind == "yes-no":
        text = contrast.template.replace(
            "{statement}", statement(item.text or "", inventory.stem, "first")
        )
        chat = (Message("user", text),)
        return (ContrastPrompt(chat, "Yes"),), (ContrastPrompt(chat, "No"),)
    if contrast.kind in DESCRIPTIONS:
        high, low = (
            TraitLevels({item.trait: float(sign * item.key)}, "contrast")
            if contrast.kind == "levels"
            else _at_one_end(inventory, _of_same_facet(item, items), sign * item.key)
            for sign in (1, -1)
        )
        agree, disagree = (
            ContrastPrompt((Message("system", each.system_prompt()),), behind_system=True)
            for each in (high, low)
        )
        return (agree,), (disagree,)
    template = load_templates()[contrast.template]
    shown = permutation(contrast.order, len(options))
    if contrast.kind == "options":
        rendered = template.render(inventory, item, shown)
        chat = (Message("user", rendered.text),)
        agree, disagree = (ContrastPrompt(chat, rendered.labels[ends[s]]) for s in (True, False))
        return (agree,), (disagree,)
    sides = []
    for agrees in (True, False):
        said = {item.number: float(options[ends[agrees]].value)}
        told = Message("system", Person("contrast", inventory, said).system_prompt())
        sides.append(
            tuple(
                ContrastPrompt((told, Message("user", text)))
                for text in (template.render(inventory, p, shown).text for p in probes)
            )
        )
    return sides[0], sides[1]


def _of_same_facet(item: Item, items: Sequence[Item]) -> list[Item]:
    same = [i for i in items if (i.trait, i.facet) == (item.trait, item.facet)]
    return same or [item]


def _at_one_end(inventory: Inventory, items: Sequence[Item], sign: int) -> Person:
    """Somebody whose answers are all as far toward a trait (1) or away from it (-1) as can be."""
    values = [option.value for option in inventory.scale]
    ends = {1: float(max(values)), -1: float(min(values))}
    return Person("contrast", inventory, {i.number: ends[sign * i.key] for i in items})
