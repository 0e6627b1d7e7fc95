"""Adaptive against whole: what the situations that tell most say of what all of them would say.

Items are calibrated on other personas than those tested, all of random levels of every trait. The
adaptive test stops at a standard error of .3 in the level and of 2 points in the score, or at 16 of
40 items. Each item is asked in one template and four option orders, of the model in bfloat16, which
halves the time on a processor that multiplies in it. Adaptive answers are those of the whole bank,
which the model gives alike when it is asked again. Intervals are 95 % bootstrap intervals over
personas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from allport.administration import (
    Design,
    Run,
    item_shares,
    measure,
    measure_adaptively,
    standard_templates,
)
from allport.administration.planning import QuestionKey, question_key
from allport.evaluation import calibrate_items, calibration_personas
from allport.inventories import Inventory, load_inventory
from allport.models import load_model
from allport.models.respondent import Condition, Question, Respondent, Response
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels
from allport.psychometrics import bootstrap
from benchmarks.results import Row

BANK = "situations-320"
CALIBRATED = 60
TESTED = 100
MOST = 16
POINTS = 2.0


def rows(
    model: Respondent | None = None,
    inventory: Inventory | None = None,
    *,
    calibrated: int = CALIBRATED,
    tested: int = TESTED,
) -> list[Row]:
    """Points between both scores, the share of items asked, and how often intervals hold."""
    model = load_model("embedded", dtype="bfloat16") if model is None else model
    inventory = load_inventory(BANK) if inventory is None else inventory
    design = Design(templates=standard_templates(inventory)[:1])
    known = calibration_personas(inventory, calibrated, seed=1)
    calibration = calibrate_items(model, inventory, known, design)
    personas = other_personas(inventory, tested, known, seed=2)
    asked = replace(design, personas=tuple(persona.name for persona in personas))
    full = measure(model, inventory, asked, personas=personas, progress=None)
    found = measure_adaptively(
        *(answering_as(full), inventory, calibration, asked),
        score_error=POINTS,
        most_items=MOST,
        personas=personas,
        progress=None,
    )
    shares = item_shares(full.responses, inventory)
    place = {persona.name: row for row, persona in enumerate(personas)}
    traits = list(calibration.traits)
    points, used, held = (np.zeros((tested, len(traits))) for _ in range(3))
    for score in found.scores:
        cell = place[score.persona], traits.index(score.trait)
        items = calibration.traits[score.trait].items
        whole = 100 * float(np.nanmean([shares[score.persona, number] for number in items]))
        points[cell] = abs(score.score.value - whole)
        used[cell] = len(score.items) / score.bank
        held[cell] = score.score.low <= whole <= score.score.high
    of_whom = f"{inventory.name}, {tested} personas x {len(traits)} traits"
    return [
        Row(
            "adaptive.score_difference",
            f"adaptive against whole bank, mean absolute difference in points of 100, {of_whom}",
            *_mean(points),
            "",
            3.0,
            "lower",
        ),
        Row(
            "adaptive.items_used",
            f"share of the items asked, {of_whom}",
            *_mean(used),
            "",
            0.4,
            "lower",
        ),
        Row(
            "adaptive.coverage",
            f"share of 95 % intervals that hold the whole bank's score, {of_whom}",
            *_mean(held),
            "",
            0.9,
            "higher",
        ),
    ]


def other_personas(
    inventory: Inventory, count: int, others: list[TraitLevels], *, seed: int
) -> list[TraitLevels]:
    """Personas of random levels in steps of .25, none of which is one of `others`."""
    rng = np.random.default_rng(seed)
    codes = [trait.code for trait in inventory.traits]
    taken = {tuple(persona.levels[code] for code in codes) for persona in others}
    if len(taken) > 9 ** len(codes) // 2:
        raise ValueError(f"{len(taken)} personas leave few others of {len(codes)} traits.")
    found: list[TraitLevels] = []
    while len(found) < count:
        levels = tuple(float(step) / 4 for step in rng.integers(-4, 5, size=len(codes)))
        if levels not in taken:
            found.append(
                TraitLevels(dict(zip(codes, levels, strict=True)), name=f"tested-{len(found)}")
            )
    return found


def answering_as(run: Run) -> ScriptedRespondent:
    """Whoever answered a run, answering the same again."""
    answers: Mapping[QuestionKey, Response] = {
        question_key(response): response for response in _responses(run)
    }

    def script(question: Question) -> Response:
        return answers[question_key(question)]

    return ScriptedRespondent(script, run.record.respondent)


def _responses(run: Run) -> list[Response]:
    columns = ("item", "template", "order", "form", "persona", "repeat", "probabilities", "choice")
    return [
        Response(
            item,
            Condition(template, order, form, persona, repeat),
            None if probabilities is None else tuple(probabilities),
            choice,
            1.0,
            refused=choice is None,
        )
        for item, template, order, form, persona, repeat, probabilities, choice in (
            run.responses.select(columns).iter_rows()
        )
    ]


def _mean(cells: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over personas and traits, with its interval over personas."""
    each = cells.mean(axis=1)
    found = bootstrap(lambda values: float(values.mean()), each, resamples=1000)
    return float(each.mean()), found.low, found.high
