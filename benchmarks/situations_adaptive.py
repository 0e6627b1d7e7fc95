"""Adaptive against whole: what the situations that tell most say of what all of them would say.

Items are calibrated on other personas than those tested, all of random levels of every trait. The
adaptive test stops at a standard error of .3 in the level and of 2 points in the score, or at 16 of
40 items. Each item is asked in one template and four option orders, of the model in bfloat16, which
halves the time on a processor that multiplies in it. Adaptive answers are those of the whole bank,
which the model gives alike when it is asked again. Beside it stand what costs nothing, the mean
score of the other personas, and what costs the same, the mean of as many items drawn at random;
and how far adaptive scores go with whole ones over personas. Intervals are 95 % bootstrap
intervals over personas.
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
_DRAWS = 200
"""Random choices of items whose mean difference stands for a random choice."""


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
    points, used, held, adaptive, whole_bank, at_random = (
        np.zeros((tested, len(traits))) for _ in range(6)
    )
    rng = np.random.default_rng(3)
    for score in found.scores:
        cell = place[score.persona], traits.index(score.trait)
        items = calibration.traits[score.trait].items
        each = 100 * np.array([shares[score.persona, number] for number in items])
        each = each[~np.isnan(each)]
        whole = float(each.mean())
        drawn = rng.permuted(np.tile(each, (_DRAWS, 1)), axis=1)[:, : len(score.items)]
        adaptive[cell], whole_bank[cell] = score.score.value, whole
        at_random[cell] = np.abs(drawn.mean(axis=1) - whole).mean()
        points[cell] = abs(score.score.value - whole)
        used[cell] = len(score.items) / score.bank
        held[cell] = score.score.low <= whole <= score.score.high
    others = (whole_bank.sum(axis=0) - whole_bank) / (tested - 1)
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
            "adaptive.random_items",
            f"as many items at random against whole bank, the same difference, {of_whom}",
            *_mean(at_random),
            "",
            3.0,
            "lower",
        ),
        Row(
            "adaptive.nothing_asked",
            f"the other personas' mean against whole bank, the same difference, {of_whom}",
            *_mean(np.abs(others - whole_bank)),
            "",
            3.0,
            "lower",
        ),
        Row(
            "adaptive.correlation",
            f"adaptive against whole bank over personas, r, mean of traits, {of_whom}",
            *_correlation(adaptive, whole_bank),
            "",
            0.9,
            "higher",
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


def _correlation(
    adaptive: NDArray[np.float64], whole: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Mean over traits of the correlation over personas, with its interval over personas."""

    def mean_of_traits(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        with np.errstate(invalid="ignore"):
            return float(np.mean((a * b).sum(axis=0) / spread))

    found = bootstrap(mean_of_traits, adaptive, whole, resamples=1000)
    return found.value, found.low, found.high


def _mean(cells: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean over personas and traits, with its interval over personas."""
    each = cells.mean(axis=1)
    found = bootstrap(lambda values: float(values.mean()), each, resamples=1000)
    return float(each.mean()), found.low, found.high
