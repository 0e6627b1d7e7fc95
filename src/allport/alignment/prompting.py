"""Aligning by words: what a system text can say of a person.

few-shot     the person's literal answers, item by item
description  the same in the second person: by rule, or written by a model (the P^2 of the PAPI
             paper, Zhu et al., arXiv 2408.11779, there from keyed answers)
adjectives   the person's traits in adjectives with degrees, against the norms
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from allport.administration.statements import statement
from allport.alignment.alignment import Alignment
from allport.alignment.answers_to_fit import FittingAnswers, fitting_answers
from allport.errors import ModelError, UsageError
from allport.inventories import default_group, norm_group
from allport.models.respondent import Message
from allport.models.writing import write_texts
from allport.personas.person import Person
from allport.personas.trait_levels import BIG_FIVE, TraitLevels

if TYPE_CHECKING:
    from allport.models.respondent import Respondent
    from allport.personas.persona import Persona

__all__ = ["PROMPTS", "PromptKind", "fit_prompt", "person_levels"]

PromptKind = Literal["few-shot", "description", "adjectives"]
PROMPTS: tuple[PromptKind, ...] = get_args(PromptKind)
"""Kinds of prompt, by name."""

_TASK = (
    "Below is what one person said about statements on themselves. Describe this person's "
    'character in the second person ("You ..."), in one text of about 200 words, so that somebody '
    "who reads it could answer other questions as this person would. Name what sets this person "
    "apart, also where it is not flattering. Write the description and nothing else.\n\n"
)


def fit_prompt(
    persona: Persona,
    *,
    kind: PromptKind = "few-shot",
    items: Sequence[int] = (),
    model: Respondent | None = None,
    writer: Respondent | None = None,
    max_new_tokens: int = 400,
    seed: int = 0,
) -> Alignment:
    """Put a person into words; every model takes the result.

    Args:
        persona: A person, or trait levels.
        kind: "few-shot", "description" or "adjectives".
        items: Items whose answers may be told; see `fitting_answers` for the default.
        model: Who is to take the prompt, where trait levels are told as answers: on domains that
            they do not name, its own are told.
        writer: Writes the description; by rule where none is given.
        max_new_tokens: Limit of what a local writer writes.
        seed: Of a writer that samples.

    Raises:
        ResponsesError: Too few answers, or all the same.
        UsageError: There is no such kind, adjectives are asked for and nothing on the Big Five is
            answered, or trait levels need the model.
        ModelError: The writer writes nothing.
    """
    if kind not in PROMPTS:
        raise UsageError(f"Unknown prompt {kind!r}; known: {', '.join(PROMPTS)}.")
    fit: dict[str, Any] = {"prompt": kind}
    if isinstance(persona, TraitLevels) and kind == "adjectives":
        return Alignment(persona.name, "prompt", prompt=persona.system_prompt(), fit=fit)
    answers = fitting_answers(persona, items, model=model)
    fit |= answers.record
    if kind == "few-shot":
        text = answers.as_person().system_prompt()
    elif kind == "adjectives":
        text = person_levels(persona, answers).system_prompt()
    elif writer is None:
        text = _described(answers)
    else:
        chat = (Message("user", _TASK + _listed(answers)),)
        [text] = write_texts(writer, [chat], max_new_tokens=max_new_tokens, seed=seed)
        fit["writer"] = writer.name
        if not text.strip():
            raise ModelError(f"{writer.name} wrote no description; name another writer.")
    return Alignment(answers.name, "prompt", prompt=text, fit=fit)


def person_levels(persona: Persona, answers: FittingAnswers) -> TraitLevels:
    """A person's Big Five as levels: two standard deviations from the norm are 1.

    Norms are those of the person's sex and age where these are known, and of younger adults where
    not. Where an inventory has no norms, the ends of its scale are the ends of the levels. A domain
    without an answer has no level.

    Raises:
        UsageError: No item that measures the Big Five, under their letters, is answered.
    """
    inventory = answers.inventory
    items = [inventory.item(number) for number in answers.numbers]
    answered = {
        item.trait
        for item, value in zip(items, answers.literal, strict=True)
        if not np.isnan(value)
    }
    codes = [code for code in BIG_FIVE if code in answered]
    if not codes:
        raise UsageError(
            f"{answers.name} answered no item of {inventory.name} on the Big Five, for which there "
            "are adjectives; use another prompt."
        )
    group = default_group(inventory)
    if isinstance(persona, Person) and persona.sex in ("female", "male") and persona.age:
        group = norm_group(inventory, "female" if persona.sex == "female" else "male", persona.age)
    low, high = answers.scale
    keyed = np.where(answers.keys == 1, answers.literal, low + high - answers.literal)
    levels = {}
    for code in codes:
        mean = np.nanmean(keyed[[item.trait == code for item in items]])
        if group is None:
            level = (mean - (low + high) / 2) / ((high - low) / 2)
        else:
            count = len(inventory.columns(code))
            level = (mean * count - group.mean[code]) / (2 * group.sd[code])
        levels[code] = float(np.clip(level, -1, 1))
    return TraitLevels(levels, name=answers.name)


def _listed(answers: FittingAnswers) -> str:
    lines = []
    for number, value in zip(answers.numbers, answers.literal.tolist(), strict=True):
        if np.isnan(value):
            continue
        text = answers.inventory.item(number).text or ""
        said = next(o.text for o in answers.inventory.scale if o.value == value)
        lines.append(f"{statement(text, answers.inventory.stem, 'first')} {said}.")
    return "\n".join(lines)


def _described(answers: FittingAnswers) -> str:
    """Statements in the second person under what was said of them, the middle left out."""
    middle = sum(answers.scale) / 2
    paragraphs = []
    for option in reversed(answers.inventory.scale):
        said = [
            statement(answers.inventory.item(n).text or "", answers.inventory.stem, "second")
            for n, value in zip(answers.numbers, answers.literal.tolist(), strict=True)
            if value == option.value and value != middle
        ]
        if said:
            paragraphs.append(f"{option.text} of you: {' '.join(said)}")
    return "\n".join(["This is what you are like.", *paragraphs, "Answer as this person."])
