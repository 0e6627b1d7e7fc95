"""PAS by directions of traits that are a population's, of which a person is a few coefficients.

    people   ──> loadings of items on traits ──> ridge per head ──> a direction per trait, and heads
    answers  ──> how far the person is from the model on each trait, in SDs: the coefficients
    folds    ──> all of that without the items that are asked, at each strength ──> strength

Contrasts, targets and the choice of the strength are those of `pas`. What differs is that answers
count only through the trait scores they add up to: what a person answered by chance, or alone
among all people, is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from allport.alignment.alignment import Alignment
from allport.alignment.answers_to_fit import FittingAnswers, fitting_answers
from allport.alignment.contrasts import ContrastKind
from allport.alignment.displacements import Displacements
from allport.alignment.pas import heads_alignment, prepare_fit
from allport.alignment.ridge_directions import graded_targets
from allport.alignment.steering import SteeredTokens
from allport.alignment.strength import choose_strength, held_out_losses
from allport.alignment.trait_banks import fit_trait_bank
from allport.corpora import simulate_people
from allport.errors import InventoryError, UsageError

if TYPE_CHECKING:
    from allport.corpora import PeopleCorpus
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["SIMULATED_PEOPLE", "TraitDirections", "fit_pas_traits"]

TraitDirections = Literal[5, 30]

SIMULATED_PEOPLE = 4096
"""How many people are simulated, always the same ones, where none are given."""
_SEED = 0


def fit_pas_traits(
    model: TransformersModel,
    persona: Persona,
    *,
    directions: TraitDirections = 30,
    people: PeopleCorpus | None = None,
    items: Sequence[int] = (),
    contrasts: Sequence[ContrastKind] | None = None,
    templates: Sequence[str] = ("letters",),
    heads: int | None = None,
    strengths: Sequence[float] | None = None,
    tokens: SteeredTokens | None = None,
    prompt: str = "",
    seed: int = 0,
    cache: bool = True,
) -> Alignment:
    """Fit one person.

    The record of the alignment holds the coefficients by trait: how far the person is from the
    model by itself, in SDs between the people that the directions are of.

    Args:
        model: A local model.
        persona: A person, or trait levels.
        directions: 5 for those of traits, 30 for those of facets.
        people: Whose directions they are; by default `SIMULATED_PEOPLE` that are simulated for the
            person's inventory, always the same.
        items: Numbers of the items to fit on; see `fitting_answers` for the default.
        contrasts: As for `fit_pas`, like all that follow.
        templates: Question templates.
        heads: How many are steered.
        strengths: The grid; a single value is taken as it is.
        tokens: Which are steered.
        prompt: System text that the strength is chosen under and that becomes part of the result.
        seed: Of the folds.
        cache: Whether activations are kept on disk.

    Raises:
        ResponsesError: Too few answers, or all the same; or too few items of a trait to fit on.
        ModelError: The model cannot be steered.
        UsageError: An option does not fit, the inventory has not that many traits or facets, or
            there are no people to take directions from.
    """
    answers = fitting_answers(persona, items, model=model, templates=templates, whole=False)
    codes, key = _scoring_key(answers, directions)
    literal, source = _population(answers, people)
    ground = prepare_fit(
        model,
        answers,
        contrasts=contrasts,
        templates=templates,
        heads=heads,
        strengths=strengths,
        tokens=tokens,
        prompt=prompt,
        seed=seed,
        cache=cache,
    )
    differences = ground.activations.head_differences
    population = graded_targets(literal, *answers.scale, unaligned=ground.unaligned)
    own = graded_targets(answers.literal[None], *answers.scale, unaligned=ground.unaligned)

    def found_by(columns: NDArray[np.intp]) -> tuple[NDArray[np.float64], Displacements]:
        bank = fit_trait_bank(
            differences[columns],
            population[:, columns],
            key[:, columns],
            codes,
            heads=ground.steered.heads,
        )
        coefficients = bank.coefficients(own[:, columns])
        return coefficients[0], bank.displacements(coefficients)

    coefficients, displacements = found_by(np.arange(len(answers.numbers)))
    grid = torch.tensor(ground.steered.strengths)
    strength = grid[0]
    if len(grid) > 1:
        losses = []
        for fold in np.unique(ground.folds):
            held_out = np.flatnonzero(ground.folds == fold)
            losses.append(
                held_out_losses(
                    ground.asked,
                    found_by(np.flatnonzero(ground.folds != fold))[1],
                    grid,
                    torch.from_numpy(held_out),
                    torch.from_numpy(answers.literal[None, held_out]).float(),
                )
            )
        strength = grid[choose_strength(torch.cat(losses, dim=2), grid)][0]
    return heads_alignment(
        answers.name,
        "pas-traits",
        model,
        ground.sites,
        displacements,
        strength=float(strength),
        tokens=ground.steered.tokens,
        prompt=prompt,
        fit={
            **ground.record,
            "directions": directions,
            "people": source,
            "coefficients": dict(zip(codes, coefficients.tolist(), strict=True)),
        },
    )


def _scoring_key(
    answers: FittingAnswers, directions: int
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Codes of the traits or facets, and the key of each item on them, (directions, items)."""
    if directions not in get_args(TraitDirections):
        raise UsageError(
            f"There are no {directions} directions; take 5, of traits, or 30, of facets."
        )
    inventory = answers.inventory
    kinds = inventory.traits if directions == 5 else inventory.facets
    if len(kinds) != directions:
        raise UsageError(
            f"{inventory.name} has {len(inventory.traits)} traits and {len(inventory.facets)} "
            f"facets, so not {directions} directions; an IPIP-NEO has 5 and 30."
        )
    codes = tuple(kind.code for kind in kinds)
    asked = [inventory.item(number) for number in answers.numbers]
    of_item = np.array([item.trait if directions == 5 else item.facet for item in asked])
    return codes, (of_item == np.array(codes)[:, None]) * answers.keys.astype(np.float64)


def _population(
    answers: FittingAnswers, people: PeopleCorpus | None
) -> tuple[NDArray[np.float32], str]:
    """Literal answers of the people to the items fitted on, (people, items), and who they are."""
    inventory = answers.inventory
    if people is None:
        try:
            people = simulate_people(SIMULATED_PEOPLE, inventory, seed=_SEED).corpus
        except InventoryError:
            raise UsageError(
                f"{inventory.name} has no norms by which to simulate people for directions; give "
                "some who answered it (people=...), or take method pas."
            ) from None
    if people.inventory.items_hash != inventory.items_hash:
        raise UsageError(
            f"The people answered {people.inventory.name} and {answers.name} {inventory.name}, or "
            "another version of it; directions need people who answered the same."
        )
    columns = [inventory.numbers.index(number) for number in answers.numbers]
    return people.literal(dtype=np.float32)[:, columns], people.name
