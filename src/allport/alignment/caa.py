"""Contrastive Activation Addition, for comparison: one vector in the residual stream.

Rimsky, Gabrieli, Schulz, Tong, Hubinger and Turner, "Steering Llama 2 via Contrastive Activation
Addition", arXiv 2312.06681. The vector of a layer is the mean difference, over the person's
answers, between the residual stream on the side the person is on and on the other; it is added at
the output of one block, a fixed number of times, from the answer on. Activations are read from the
blocks themselves, so that the last one is read before the final norm, where it is added, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from allport.alignment.activations import capture_contrasts
from allport.alignment.alignment import Alignment, AlignmentPart, model_identity
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.contrasts import ITEM_CONTRASTS, ContrastKind
from allport.alignment.pas import fit_record
from allport.alignment.projections import model_sites
from allport.alignment.steering import SteeredTokens
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["fit_caa"]

_DEPTH = 0.4
"""The paper's layers of strongest effect: 13 of 32 and 14 or 15 of 40."""


def fit_caa(
    model: TransformersModel,
    persona: Persona,
    *,
    items: Sequence[int] = (),
    contrasts: Sequence[ContrastKind] = ITEM_CONTRASTS,
    templates: Sequence[str] = ("letters",),
    layer: int | None = None,
    strength: float = 1.0,
    tokens: SteeredTokens = "answer",
    cache: bool = True,
) -> Alignment:
    """Fit one person; nothing is chosen.

    Args:
        model: A local model.
        persona: A person, or trait levels.
        items: Items to fit on; see `fitting_answers` for the default.
        contrasts: Kinds of contrast that the vector is made of.
        templates: Their question templates.
        layer: Block whose output is displaced; two fifths of the way up by default.
        strength: How many times the vector is added.
        tokens: Which are steered.
        cache: Whether activations are kept on disk.

    Raises:
        ResponsesError: Too few answers, or all on one side.
        ModelError: The model cannot be steered.
        UsageError: There is no such layer.
    """
    answers = fitting_answers(persona, items, model=model, templates=templates)
    signs = answers.sides()
    sites = model_sites(model.model)
    at = sites.layers[int(_DEPTH * len(sites.layers))] if layer is None else layer
    if at not in sites.layers:
        raise UsageError(
            f"There is no layer {at} to steer in {model.name}; it has {sites.layers[0]} to "
            f"{sites.layers[-1]}."
        )
    activations = capture_contrasts(
        model, answers.inventory, answers.numbers, kinds=contrasts, templates=templates, cache=cache
    )
    found = activations.residual[:, :, :, sites.layers.index(at)]
    differences = (found[:, :, 0] - found[:, :, 1]).mean(axis=1)
    vector = (signs[:, None] * differences).sum(axis=0) / np.abs(signs).sum()
    return Alignment(
        name=answers.name,
        method="caa",
        model=model_identity(model, sites),
        parts=(AlignmentPart("residual", {at: vector.astype(np.float32)}, strength, tokens),),
        fit={**fit_record(answers, activations), "templates": list(templates)},
    )
