"""Aligning a model to many people: one store, from which anyone is served.

Of a few dozen people the model is asked what it answers under each one's displacements, at every
strength. Of more, it is asked under a few dozen displacements only, and from these it is foretold
what it would answer under everyone's (`expected_answers`); the store's `about` says how well.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from allport.administration.progress import ProgressCallback, reporting
from allport.alignment.activations import capture_contrasts
from allport.alignment.alignment import model_identity
from allport.alignment.answers_to_fit import fitting_numbers
from allport.alignment.asked_answers import AskedAnswers
from allport.alignment.contrasts import ContrastKind
from allport.alignment.expected_answers import Calibration, calibrate_response
from allport.alignment.pas import plan_steering
from allport.alignment.population import Engine, fit_population, probe_displacements
from allport.alignment.population_store import PopulationStore, open_population, write_population
from allport.alignment.projections import model_sites
from allport.alignment.ray_engine import import_ray
from allport.alignment.steering import SteeredTokens
from allport.alignment.strength import ExpectedLiteral, stratified_folds
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.corpora import PeopleCorpus
    from allport.models.transformers_model import TransformersModel

__all__ = ["align_people"]

_FOLDS = 4
_ORDERS = ("forward", "reversed")
_PROBES = 64
_MOST_ASKED = 50
"""People of whom each one's answers are asked for."""


def align_people(
    model: TransformersModel,
    people: PeopleCorpus,
    folder: Path | str,
    *,
    items: Sequence[int] = (),
    contrasts: Sequence[ContrastKind] | None = None,
    templates: Sequence[str] = ("letters",),
    heads: int | None = None,
    strengths: Sequence[float] | None = None,
    tokens: SteeredTokens | None = None,
    foretell: bool | None = None,
    probes: int = _PROBES,
    engine: Engine = "local",
    seed: int = 0,
    cache: bool = True,
    progress: ProgressCallback | Literal["bar"] | None = None,
) -> PopulationStore:
    """Fit everyone by PAS and keep them in a folder.

    Args:
        model: A local model.
        people: Whom to align to; those with too few answers are excluded and counted.
        folder: Of the store.
        items: Items to fit on; see `fitting_answers` for the default.
        contrasts: Kinds of contrast that directions are made of; see `pas.plan_steering` for the
            defaults of these, of heads, strengths and tokens.
        templates: Question templates.
        heads: How many are steered for each person.
        strengths: The grid; a single value is everyone's strength.
        tokens: Which are steered.
        foretell: Whether answers are foretold and not asked for while strengths are chosen; by
            default where there are more than 50 people.
        probes: Displacements under which the model is asked, where answers are foretold.
        engine: "local", or "ray" to spread the fitting over a cluster; the figures are the same.
            People whose answers are asked for are fitted in this process, where the model is.
        seed: Of the folds.
        cache: Whether activations are kept on disk.
        progress: "bar", or takes answers given and answers needed while strengths are chosen; None
            for nothing.

    Returns:
        The store; its `about` says what it was fitted on and how.

    Raises:
        ResponsesError: Nobody can be fitted.
        ModelError: The model cannot be steered.
        UsageError: An option does not fit, or Ray is asked for and not installed.
        AlignmentError: The folder cannot be written.
    """
    if engine == "ray":
        import_ray()  # before the model is asked for minutes
    inventory = people.inventory
    numbers = fitting_numbers(inventory, items)
    columns = [inventory.numbers.index(number) for number in numbers]
    # Half precision holds every answer of a Likert scale, and a population of them in memory.
    literal = np.concatenate([people.literal(c, np.float16)[:, columns] for c in people.chunks()])
    values = [option.value for option in inventory.scale]
    scale = (min(values), max(values))
    if probes < 3:
        raise UsageError(f"{probes} probes tell nothing about a model; give 3 or more.")
    sites = model_sites(model.model)
    steered = plan_steering(model, sites, contrasts, heads, tokens, strengths)
    start = time.perf_counter()
    activations = capture_contrasts(
        model, inventory, numbers, kinds=steered.contrasts, templates=templates, cache=cache
    )
    differences = activations.head_differences
    calibration: Calibration | None = None
    response: ExpectedLiteral | None = None
    choosing = len(steered.strengths) > 1
    foretold = len(people) > _MOST_ASKED if foretell is None else foretell
    facets = [inventory.item(n).facet or inventory.item(n).trait for n in numbers]
    keys = [inventory.item(n).key for n in numbers]
    # People who turn out to be excluded are not asked for, so that the end may come early.
    each = len(people) * sum(strength != 0 for strength in steered.strengths)
    rows = 1 + (0 if not choosing else probes if foretold else each)
    answers = rows * len(numbers) * len(templates) * len(_ORDERS)
    with reporting(progress, f"{model.name}, {len(people):,} people", 0, answers) as report:
        asked = AskedAnswers(
            *(model, sites, inventory, numbers),
            tokens=steered.tokens,
            templates=templates,
            orders=_ORDERS,
            report=report,
        )
        alone = asked.unaligned
        # What is the same of everyone, whichever way they are fitted.
        common: dict[str, Any] = {
            "heads": steered.heads,
            "strengths": steered.strengths,
            "scale": scale,
            "unaligned": alone.expected[0],
        }
        if choosing:
            response = asked
            if foretold:
                moved = probe_displacements(differences, literal, count=probes, **common)
                found = asked.ask(
                    [asked.row(torch.from_numpy(probe).flatten()) for probe in moved]
                ).expected
                calibration = calibrate_response(moved, found, alone.probabilities[0], values)
                response = calibration.response
        fit = fit_population(
            differences,
            literal,
            folds=stratified_folds(facets, keys, _FOLDS, seed),
            response=response,
            engine="local" if response is asked else engine,
            **common,
        )
    about: dict[str, Any] = {
        "model": model_identity(model, sites),
        "site": "heads",
        "tokens": steered.tokens,
        "inventory": inventory.name,
        "inventory_hash": inventory.content_hash,
        "items": list(numbers),
        "contrasts": list(activations.contrasts),
        "templates": list(templates),
        "strengths_tried": list(steered.strengths),
        "answers_foretold": None if calibration is None else calibration.r_squared,
        "seed": seed,
        "people": people.name,
        "fit_seconds": time.perf_counter() - start,
    }
    write_population(folder, fit, identifiers=people.ids, about=about)
    return open_population(folder)
