"""Inference-Time Intervention, for comparison: difference of means, a fixed strength.

Li, Patel, Viégas, Pfister and Wattenberg, "Inference-Time Intervention: Eliciting Truthful Answers
from a Language Model", arXiv 2306.03341, with a person's answers in the place of truth. Heads are
ranked by the accuracy of a probe on held-out items; the direction is the difference between the
means of the side the person is on and the other side, which that paper calls mass mean shift; the
48 best heads get 15 standard deviations of the activations along it, from the answer on.

The accuracy is that of the difference of means itself, each item left out in turn, in closed form:
with D the differences of a head, s the signs of the answers and K = D D', item j is on the right
side where s_j (K s)_j - K_jj > 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from allport.alignment.activations import ContrastActivations, capture_contrasts
from allport.alignment.alignment import Alignment
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.contrasts import ITEM_CONTRASTS, ContrastKind
from allport.alignment.displacements import Displacements
from allport.alignment.pas import fit_record, heads_alignment
from allport.alignment.projections import model_sites
from allport.alignment.steering import SteeredTokens
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["ITI_HEADS", "ITI_STRENGTH", "fit_iti"]

ITI_HEADS, ITI_STRENGTH = 48, 15.0
"""Heads and strength of the paper."""


def fit_iti(
    model: TransformersModel,
    persona: Persona,
    *,
    items: Sequence[int] = (),
    contrasts: Sequence[ContrastKind] = ITEM_CONTRASTS,
    templates: Sequence[str] = ("letters",),
    heads: int | None = None,
    strength: float = ITI_STRENGTH,
    tokens: SteeredTokens = "answer",
    cache: bool = True,
) -> Alignment:
    """Fit one person; nothing is chosen but the heads.

    Args:
        model: A local model.
        persona: A person, or trait levels.
        items: Items to fit on; see `fitting_answers` for the default.
        contrasts: Kinds of contrast that directions are made of.
        templates: Their question templates.
        heads: How many are steered; 48 by default, or all where there are fewer.
        strength: In standard deviations of the activations along the direction.
        tokens: Which are steered.
        cache: Whether activations are kept on disk.

    Raises:
        ResponsesError: Too few answers, or all on one side.
        ModelError: The model cannot be steered.
        UsageError: An option does not fit.
    """
    answers = fitting_answers(persona, items, model=model, templates=templates)
    signs = answers.sides()
    sites = model_sites(model.model)
    total = len(sites.layers) * sites.heads
    count = min(ITI_HEADS, total) if heads is None else heads
    if not 1 <= count <= total:
        raise UsageError(f"{count} heads were asked for, and the model has 1 to {total} to give.")
    activations = capture_contrasts(
        model, answers.inventory, answers.numbers, kinds=contrasts, templates=templates, cache=cache
    )
    differences = _by_head(activations)
    chosen = _accuracies(differences, signs).argsort(kind="stable")[::-1][:count].copy()
    picked = differences[:, chosen]
    directions = np.einsum("i,ihd->hd", signs, picked)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(lengths > 0, lengths, 1.0)
    # Both sides of every item, as the spread is that of activations and not of differences.
    sides = activations.sides.mean(axis=1).reshape(len(signs) * 2, total, -1)[:, chosen]
    spreads = np.einsum("rhd,hd->rh", sides, directions).std(axis=0)
    vectors = torch.from_numpy((spreads[:, None] * directions).astype(np.float32))
    return heads_alignment(
        answers.name,
        "iti",
        model,
        sites,
        Displacements(torch.from_numpy(chosen)[None], vectors[None]),
        strength=strength,
        tokens=tokens,
        fit={**fit_record(answers, activations), "templates": list(templates)},
    )


def _by_head(activations: ContrastActivations) -> NDArray[np.float64]:
    """Differences that are not centred, (items, heads, head_dim)."""
    found = (activations.sides[:, :, 0] - activations.sides[:, :, 1]).mean(axis=1)
    items, layers, _ = found.shape
    by_head = found.reshape(items, layers * activations.heads, -1)
    return np.asarray(by_head, dtype=np.float64)


def _accuracies(
    differences: NDArray[np.float64], signs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Share of the items on whose side the direction of the others is, (heads,)."""
    used = differences[signs != 0]
    sides = signs[signs != 0].astype(np.float64)
    sums = np.einsum("i,ihd->hd", sides, used)
    margins = sides[:, None] * np.einsum("ihd,hd->ih", used, sums) - np.square(used).sum(axis=2)
    return np.asarray((margins > 0).mean(axis=0))
