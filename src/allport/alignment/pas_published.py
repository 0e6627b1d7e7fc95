"""Personality Activation Search as released, on any model: for comparison with its figures.

`published` says where it goes wrong; all of that is kept. What the released code did by writing a
bias into the weights is done by adding to the projection's input at every token, which is the same
sum. The strength is chosen on the very answers that are then reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from allport.alignment.activations import capture_contrasts
from allport.alignment.alignment import Alignment
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.asked_answers import AskedAnswers
from allport.alignment.displacements import Displacements
from allport.alignment.pas import fit_record, heads_alignment
from allport.alignment.projections import model_sites
from allport.alignment.published import (
    PUBLISHED_HEADS,
    PUBLISHED_STRENGTHS,
    best_on_reported,
    fit_published,
)
from allport.errors import UsageError
from allport.personas.person import Person

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["fit_pas_published"]

_ORDER = "reversed"
"""The released prompts list the answers from the most to the least accurate."""


def fit_pas_published(
    model: TransformersModel,
    persona: Persona,
    *,
    items: Sequence[int] = (),
    strength: float | None = None,
    heads: int | None = None,
    few_shot: bool = True,
    template: str = "letters",
    seed: int = 0,
    cache: bool = True,
) -> Alignment:
    """Fit one person as released.

    Args:
        model: A local model.
        persona: A person with answers to the items to report on as well; where a strength is
            given, any person or trait levels. Answers are on a scale of 1 to 5.
        items: Items to fit on; see `fitting_answers` for the default.
        strength: Taken as it is; by default the one with the smallest error on the person's other
            answers, as released, which makes it unfit for conclusions.
        heads: How many are steered; 24 by default, or all where there are fewer.
        few_shot: Whether the answers stand in the system text as well, as released: keyed, so that
            for half of the items they say the opposite of what the person said.
        template: Question template.
        seed: Of the random split of rows.
        cache: Whether activations are kept on disk.

    Raises:
        UsageError: There is nothing to choose the strength on, the scale is another, or
            scikit-learn is not installed.
        ResponsesError: Too few answers, or all the same.
        AlignmentError: Too few answers that are not neutral.
        ModelError: The model cannot be steered.
    """
    answers = fitting_answers(persona, items, model=model, templates=(template,), orders=(_ORDER,))
    inventory = answers.inventory
    sites = model_sites(model.model)
    if [option.value for option in inventory.scale] != [1, 2, 3, 4, 5]:
        raise UsageError(
            "The published method reads answers on a scale of 1 to 5, and that of "
            f"{inventory.name} is another; use pas."
        )
    said = persona.literal_answers if isinstance(persona, Person) else {}
    reported = [number for number in inventory.numbers if number not in set(answers.numbers)]
    if strength is None and not any(number in said for number in reported):
        raise UsageError(
            f"{persona.name} has no answers but those to fit on, on which the published method "
            "could choose a strength; give one (--strength)."
        )
    activations = capture_contrasts(
        model,
        inventory,
        answers.numbers,
        kinds=("options",),
        templates=(template,),
        cache=cache,
    )
    column = next(i for i, name in enumerate(activations.contrasts) if name.endswith(_ORDER))
    sides = activations.sides[:, column]
    total = len(sites.layers) * sites.heads
    low, high = answers.scale
    keyed = np.where(answers.keys == 1, answers.literal, low + high - answers.literal)
    found = fit_published(
        sides.reshape(*sides.shape[:2], total, -1),
        keyed,
        heads=min(PUBLISHED_HEADS, total) if heads is None else heads,
        seed=seed,
    )
    displacements = Displacements(
        torch.from_numpy(found.heads.astype(np.int64))[None],
        torch.from_numpy(found.displacements().astype(np.float32))[None],
    )
    prompt = ""
    if few_shot:
        given = zip(answers.numbers, keyed.tolist(), strict=True)
        stored = {number: value for number, value in given if not np.isnan(value)}
        prompt = Person(answers.name, inventory, stored).system_prompt()
    chosen = strength
    if chosen is None:
        asked = AskedAnswers(
            model,
            sites,
            inventory,
            reported,
            tokens="all",
            prompt=prompt,
            templates=(template,),
            orders=(_ORDER,),
        )
        dense = displacements.dense(total)[0]
        rows = [asked.row(dense * tried) for tried in PUBLISHED_STRENGTHS]
        letters = asked.ask(rows).probabilities.argmax(axis=2) + low
        place = {number: column for column, number in enumerate(inventory.numbers)}
        literal = np.full(len(inventory.numbers), np.nan)
        for number, value in said.items():
            literal[place[number]] = value
        stored_keyed = np.nan_to_num(inventory.keyed(literal))[[place[n] for n in reported]]
        traits = np.array([inventory.item(number).trait for number in reported])
        errors = np.stack(
            [
                np.abs(letters - stored_keyed)[:, traits == trait].mean(axis=1)
                for trait in dict.fromkeys(traits.tolist())
            ],
            axis=1,
        )
        chosen = PUBLISHED_STRENGTHS[best_on_reported(errors)]
    return heads_alignment(
        answers.name,
        "pas-published",
        model,
        sites,
        displacements,
        strength=chosen,
        tokens="all",
        prompt=prompt,
        fit={
            **fit_record(answers, activations),
            "contrasts": [activations.contrasts[column]],
            "strengths_tried": [] if strength is not None else list(PUBLISHED_STRENGTHS),
            "seed": seed,
            "templates": [template],
        },
    )
