"""Personality Activation Search: a person as displacements of a few attention heads.

    contrasts ──> differences of every head        once a model, kept on disk
    answers   ──> ridge per head, exact leave-one-item-out error ──> heads
    folds     ──> fit on the others, ask the held-out items at each strength ──> strength

The model's answers, not its activations, decide the strength: the model is asked items that neither
heads nor directions were fitted on, and zero wins unless a strength is better by more than one
standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from allport.alignment.activations import (
    ContrastActivations,
    capture_contrasts,
    descriptions_can_be_read,
)
from allport.alignment.alignment import Alignment, AlignmentPart, model_identity
from allport.alignment.answers_to_fit import FittingAnswers, fitting_answers
from allport.alignment.asked_answers import AskedAnswers
from allport.alignment.contrasts import DESCRIPTIONS, ITEM_CONTRASTS, ContrastKind
from allport.alignment.displacements import Displacements
from allport.alignment.population import fit_population
from allport.alignment.projections import ModelSites, model_sites
from allport.alignment.ridge_directions import (
    graded_targets,
    person_displacements,
    prepare_ridge,
)
from allport.alignment.steering import SteeredTokens
from allport.alignment.strength import (
    FACET_STRENGTHS,
    LEVEL_STRENGTHS,
    STRENGTHS,
    stratified_folds,
)

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = [
    "FitGround",
    "SteeringPlan",
    "fit_pas",
    "fit_record",
    "heads_alignment",
    "plan_steering",
    "prepare_fit",
]

_FOLDS = 4


class SteeringPlan(NamedTuple):
    """What steering is made of, and where it acts."""

    contrasts: tuple[ContrastKind, ...]
    heads: int | None
    """How many; None for `default_head_count`."""
    tokens: SteeredTokens
    strengths: tuple[float, ...]
    """The grid."""


def plan_steering(
    model: TransformersModel,
    sites: ModelSites,
    contrasts: Sequence[ContrastKind] | None = None,
    heads: int | None = None,
    tokens: SteeredTokens | None = None,
    strengths: Sequence[float] | None = None,
    *,
    few_facets: bool = False,
) -> SteeringPlan:
    """What goes together, where it is not said.

    Differences between descriptions are the whole of what saying something of somebody does to a
    model, in all heads, from the description on; so all heads are steered, on all tokens.
    Differences between answers to an item are at the answer, and clear in some heads.

    Args:
        model: A local model.
        sites: Of the model.
        contrasts: By default "facets", or `ITEM_CONTRASTS` where the chat template leaves no place
            to read them at.
        heads: How many are steered.
        tokens: Which are steered.
        strengths: The grid.
        few_facets: Whether the persona is to differ from the model in some domains only. A strength
            is in spreads of the whole displacement, so where fewer facets add up to it each gets
            more, and half the smallest strength is tried, too.
    """
    if contrasts is None:
        contrasts = ("facets",) if descriptions_can_be_read(model) else ITEM_CONTRASTS
    described = set(contrasts) <= set(DESCRIPTIONS)
    if heads is None and described:
        heads = sites.heads * len(sites.layers)
    if strengths is None:
        ends = LEVEL_STRENGTHS if "levels" in contrasts else FACET_STRENGTHS
        strengths = ends if described else STRENGTHS
        if few_facets:
            half = min(abs(strength) for strength in strengths if strength) / 2
            strengths = sorted((*strengths, -half, half))
    tokens = tokens or ("all" if described else "answer")
    return SteeringPlan(tuple(contrasts), heads, tokens, tuple(strengths))


def fit_pas(
    model: TransformersModel,
    persona: Persona,
    *,
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

    Args:
        model: A local model.
        persona: A person, or trait levels.
        items: Numbers of the items to fit on; see `fitting_answers` for the default.
        contrasts: Kinds of contrast that directions are made of; see `plan_steering` for the
            defaults of these, of heads, strengths and tokens.
        templates: Question templates, of contrasts and of the items asked for the strength.
        heads: How many are steered.
        strengths: The grid; a single value is taken as it is.
        tokens: Which are steered.
        prompt: System text that the strength is chosen under and that becomes part of the result.
        seed: Of the folds.
        cache: Whether activations are kept on disk.

    Raises:
        ResponsesError: Too few answers, or all the same.
        ModelError: The model cannot be steered.
        UsageError: An option does not fit.
    """
    ground = prepare_fit(
        model,
        fitting_answers(persona, items, model=model, templates=templates, whole=False),
        contrasts=contrasts,
        templates=templates,
        heads=heads,
        strengths=strengths,
        tokens=tokens,
        prompt=prompt,
        seed=seed,
        cache=cache,
    )
    answers, steered = ground.answers, ground.steered
    fit = fit_population(
        ground.activations.head_differences,
        answers.literal[None],
        folds=ground.folds,
        response=ground.asked,
        heads=steered.heads,
        strengths=steered.strengths,
        scale=answers.scale,
        unaligned=ground.unaligned,
    )
    fit.require(0)
    chosen = torch.from_numpy(fit.people.heads[:1].astype(np.int64))
    ridge = prepare_ridge(fit.differences, chosen=fit.penalties)
    targets = graded_targets(answers.literal[None], *answers.scale, unaligned=ground.unaligned)
    found = person_displacements(ridge, torch.from_numpy(targets), chosen)
    return heads_alignment(
        answers.name,
        "pas",
        model,
        ground.sites,
        found,
        strength=float(fit.people.strengths[0]),
        tokens=steered.tokens,
        prompt=prompt,
        fit={**ground.record, "skill": float(fit.people.skill[0])},
    )


class FitGround(NamedTuple):
    """What one person is fitted by, whatever directions are made of."""

    answers: FittingAnswers
    sites: ModelSites
    steered: SteeringPlan
    activations: ContrastActivations
    asked: AskedAnswers
    unaligned: NDArray[np.float64]
    """Literal answers expected of the model by itself, (items,)."""
    folds: NDArray[np.int64]
    """Fold of each item, (items,), by which the strength is chosen."""
    record: dict[str, Any]
    """What of all this is said in an alignment, JSON-ready."""


def prepare_fit(
    model: TransformersModel,
    answers: FittingAnswers,
    *,
    contrasts: Sequence[ContrastKind] | None,
    templates: Sequence[str],
    heads: int | None,
    strengths: Sequence[float] | None,
    tokens: SteeredTokens | None,
    prompt: str,
    seed: int,
    cache: bool,
) -> FitGround:
    """Read the activations and ask the model by itself; see `fit_pas` for arguments and errors."""
    sites = model_sites(model.model)
    steered = plan_steering(
        *(model, sites, contrasts, heads, tokens, strengths), few_facets=bool(answers.own_answers)
    )
    activations = capture_contrasts(
        model,
        answers.inventory,
        answers.numbers,
        kinds=steered.contrasts,
        templates=templates,
        cache=cache,
    )
    asked = AskedAnswers(
        model,
        sites,
        answers.inventory,
        answers.numbers,
        tokens=steered.tokens,
        prompt=prompt,
        templates=templates,
    )
    return FitGround(
        answers=answers,
        sites=sites,
        steered=steered,
        activations=activations,
        asked=asked,
        unaligned=asked.unaligned.expected[0],
        folds=stratified_folds(answers.facets, answers.keys, _FOLDS, seed),
        record={
            **fit_record(answers, activations),
            "strengths_tried": list(steered.strengths),
            "folds": _FOLDS,
            "seed": seed,
            "templates": list(templates),
        },
    )


def heads_alignment(
    name: str,
    method: str,
    model: TransformersModel,
    sites: ModelSites,
    displacements: Displacements,
    *,
    strength: float,
    tokens: SteeredTokens,
    prompt: str = "",
    fit: Mapping[str, Any],
) -> Alignment:
    """An alignment of displaced heads, with the heads named in its record.

    Args:
        name: Of the person.
        method: How it was made.
        model: What it is for.
        sites: Of the model.
        displacements: Of one person.
        strength: How many times they are added.
        tokens: Which are steered.
        prompt: System text.
        fit: Said of the fit, beside the heads.
    """
    dense = displacements.dense(len(sites.layers) * sites.heads)[0].view(len(sites.layers), -1)
    by_layer = zip(sites.layers, dense.numpy().astype(np.float32), strict=True)
    heads = [divmod(head, sites.heads) for head in displacements.heads[0].tolist()]
    return Alignment(
        name=name,
        method=method if not prompt else f"prompt + {method}",
        model=model_identity(model, sites),
        parts=(
            AlignmentPart(
                site="heads",
                vectors={layer: vector for layer, vector in by_layer if vector.any()},
                strength=strength,
                tokens=tokens,
            ),
        ),
        prompt=prompt,
        fit={**fit, "heads": [[sites.layers[place], head] for place, head in heads]},
    )


def fit_record(answers: FittingAnswers, activations: ContrastActivations) -> dict[str, Any]:
    """What a fit was made of, JSON-ready."""
    return {**answers.record, "contrasts": list(activations.contrasts)}
