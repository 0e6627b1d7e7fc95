"""From an inventory and a design to the questions that are put."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from allport.administration.design import Design
from allport.administration.label_priors import prior_items
from allport.administration.orders import permutation
from allport.administration.templates import Template, templates_for
from allport.errors import InventoryError, UsageError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Condition, Message, Question, Response
from allport.personas.persona import Persona

_LISTS = {
    True: "lists the options, and the reading likelihood asks without a list",
    False: "lists no options, so answers can be read by the reading likelihood alone",
}

__all__ = ["QuestionKey", "persona_prompts", "plan", "question_key"]


class QuestionKey(NamedTuple):
    """What tells one question of a run from every other: its item and its condition."""

    item: int
    template: str
    order: str
    form: str
    persona: str
    repeat: int


def question_key(asked: Question | Response) -> QuestionKey:
    """The key that a question shares with its response, and with nothing else in a run."""
    c = asked.condition
    return QuestionKey(asked.item, c.template, c.order, c.form, c.persona, c.repeat)


def plan(
    inventory: Inventory,
    design: Design,
    personas: Iterable[Persona] = (),
    templates: Mapping[str, Template] | None = None,
) -> list[Question]:
    """Put every item of a design's conditions into words.

    Args:
        inventory: What is asked; every item asked must have its text.
        design: Under which conditions.
        personas: The personas that the design names; others are not used.
        templates: Question templates by name; the shipped ones by default.

    Returns:
        The questions, conditions together, items in the inventory's order within each. With a label
        prior, orders after the first are asked of some items only.

    Raises:
        InventoryError: The inventory's texts are not imported, or it has no such item.
        UsageError: The design names a template, order, form or persona that does not exist, or a
            template that does not go with its reading.
    """
    templates = templates_for(inventory) if templates is None else templates
    for name in design.templates:
        if name not in templates:
            raise UsageError(f"Unknown template {name!r}; known: {', '.join(templates)}.")
        if templates[name].lists_options == (design.reading == "likelihood"):
            fitting = [
                n for n, t in templates.items() if t.lists_options != templates[name].lists_options
            ]
            raise UsageError(
                f"Template {name!r} {_LISTS[templates[name].lists_options]}; use "
                f"{', '.join(fitting) or 'a template of your own'}."
            )
    prompts = persona_prompts(design, personas)
    asked = {inventory.item(number).number for number in design.items or inventory.numbers}
    items = [item for item in inventory.items if item.number in asked]
    if any(item.text is None for item in items):
        raise InventoryError(
            f"The item texts of {inventory.name} are not in the package; bring your own with "
            f"`allport inventories import {inventory.name} --from FILE`."
        )
    conditions = design.conditions(inventory)
    in_every_order = prior_items(inventory, design)
    questions = []
    for condition in conditions:
        template = templates[condition.template]
        neutral = (Message("user", template.neutral()),) if design.pmi else ()
        prompt = prompts[condition.persona]
        system = (Message("system", prompt),) if prompt else ()
        for item in items:
            if condition.order != conditions[0].order and item.number not in in_every_order:
                continue
            shown = permutation(condition.order, len(inventory.options(item)))
            rendered = template.render(inventory, item, shown, condition.form)
            questions.append(
                Question(
                    item=item.number,
                    condition=condition,
                    messages=(*system, Message("user", rendered.text)),
                    cue="",
                    labels=rendered.labels,
                    options=rendered.options,
                    reading=design.reading,
                    seed=_seed(design.seed, item.number, condition),
                    neutral=neutral,
                )
            )
    return questions


def persona_prompts(design: Design, personas: Iterable[Persona]) -> dict[str, str]:
    """System text of each persona of a design, by name; the empty name has the empty text.

    Raises:
        UsageError: A persona of the design is not among those given, or two share a name.
    """
    given: dict[str, Persona] = {}
    for persona in personas:
        if persona.name in given or not persona.name:
            raise UsageError(f"Every persona needs a name of its own; {persona.name!r} is not one.")
        given[persona.name] = persona
    for name in design.personas:
        if name and name not in given:
            raise UsageError(
                f"The design names persona {name!r}, which was not given; given: "
                f"{', '.join(given) or 'none'}."
            )
    return {name: given[name].system_prompt() if name else "" for name in design.personas}


def _seed(seed: int, item: int, condition: Condition) -> int:
    """A seed of its own for each question, the same whichever other questions are asked."""
    digest = hashlib.blake2b(repr((seed, item, condition)).encode(), digest_size=4)
    return int.from_bytes(digest.digest(), "big")
