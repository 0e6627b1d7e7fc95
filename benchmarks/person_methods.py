"""What aligning to one person costs, and what it brings, by PAS, SFT, DPO and few-shot.

Simulated people answer 300 items; every method is given a person's 120 answers of the short form
and the model is then asked the other 180, options in both orders. Errors are corrected composites
(docs/person.md), with 95 % intervals over people, Student's; of so few people they are wide. Fit
seconds are processor time on one thread, which other programs do not lengthen; those of PAS leave
out reading the model's activations, which is done once for all people. SFT makes 4 passes over the
240 questions (120 steps of 8), DPO 2 over the 960 pairs (240 steps of 8), each with its defaults.
That this is enough is a row: of the fall of the loss in three templates that were not trained on,
the share that the second half of the passes brings. Where DPO misses it, more passes would take
longer still, so that its ratio to PAS is no overstatement. In the population, 1,000 people are
fitted together, everything included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allport.administration import Design, plan
from allport.alignment import Alignment, align_people, capture_contrasts, fit
from allport.alignment.methods import Method
from allport.corpora import simulate_people
from allport.evaluation import BenchmarkPeople, benchmark_people, run_person_benchmark
from allport.evaluation.person_cells import PersonMethod
from allport.models import TransformersModel, load_model
from allport.psychometrics import Estimate
from benchmarks.results import Row, summarised

PEOPLE = 3
SIMULATED = 60
"""Whom item means and the like are taken over."""
POPULATION = 1000
BY_NAME: dict[str, Method] = {"PAS": "pas", "SFT": "sft", "DPO": "dpo"}
OTHER_TEMPLATES = ("digits", "words", "first-person")


def rows() -> list[Row]:
    """Errors by method, differences from PAS, seconds, and whether training was long enough."""
    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    people = benchmark_people(simulate_people(SIMULATED, seed=1).corpus)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        capture_contrasts(model, people.inventory, people.split.fit)
        fit(model, people.person(people.ids[-1]), "sft", epochs=0.01)  # imports are paid once
        fitted = {method: _fitted(model, people, method) for method in BY_NAME}
        return [
            *_errors(model, people, {name: found[0] for name, found in fitted.items()}),
            *_costs(model, {name: found[1] for name, found in fitted.items()}),
            *_long_enough(model, people, {name: found[0] for name, found in fitted.items()}),
        ]
    finally:
        torch.set_num_threads(before)


def _fitted(
    model: TransformersModel, people: BenchmarkPeople, method: str
) -> tuple[dict[str, Alignment], list[float]]:
    """Alignments by person, and processor seconds of each."""
    alignments, seconds = {}, []
    for name in people.ids[:PEOPLE]:
        found, took = _timed(partial(fit, model, people.person(name), BY_NAME[method]))
        alignments[name] = found
        seconds.append(took)
    return alignments, seconds


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def _errors(
    model: TransformersModel,
    people: BenchmarkPeople,
    alignments: dict[str, dict[str, Alignment]],
) -> list[Row]:
    methods = [
        PersonMethod.of_alignments(name, model, some, with_prompts=False)
        for name, some in alignments.items()
    ]
    found = run_person_benchmark(model, people, methods, asked=range(PEOPLE), progress=None)
    scores = found.scores()
    errors = {name: each.find("error", "median") for name, each in scores.items()}
    targets = {"unaligned": errors["constant C"].value}

    def row(id: str, metric: str, estimate: Estimate, target: float) -> Row:
        return Row(f"person_methods.{id}", metric, *estimate[:3], "", target, "lower")

    rows = [
        row(
            f"error.{name}",
            f"corrected composite, {name}, {PEOPLE} people x 180 items (target: "
            f"{'constant C' if name == 'unaligned' else 'unaligned'})",
            errors[name],
            targets.get(name, errors["unaligned"].value),
        )
        for name in ("unaligned", "few-shot", *BY_NAME)
    ]
    for other in ("SFT", "DPO"):
        rows.append(
            row(
                f"difference.{other}",
                f"corrected composite of PAS less that of {other}",
                scores["PAS"].difference(scores[other], "error", "median"),
                0.0,
            )
        )
    return rows


def _costs(model: TransformersModel, seconds: dict[str, list[float]]) -> list[Row]:
    population = simulate_people(POPULATION, seed=2).corpus
    with tempfile.TemporaryDirectory() as folder:
        _, took = _timed(lambda: align_people(model, population, folder, cache=False))
    each = took / POPULATION
    budgets = {"PAS": float(np.median(seconds["DPO"])) / 50, "SFT": 60.0, "DPO": 180.0}
    rows = [
        summarised(
            f"person_methods.seconds.{name}",
            f"fitting one person by {name}",
            some,
            "s",
            budgets[name],
            "lower",
        )
        for name, some in seconds.items()
    ]
    for name, target in (("DPO", 50.0), ("SFT", 1.0)):
        pairs = zip(seconds[name], seconds["PAS"], strict=True)
        rows.append(
            summarised(
                f"person_methods.ratio.{name}",
                f"fitting by {name} over fitting by PAS, the same person",
                [slow / fast for slow, fast in pairs],
                "×",
                target,
                "higher",
            )
        )
    rows.append(
        summarised(
            "person_methods.ratio.population",
            f"fitting one person by DPO over fitting one of {POPULATION:,} by PAS",
            [slow / each for slow in seconds["DPO"]],
            "×",
            50.0,
            "higher",
        )
    )
    return rows


def _long_enough(
    model: TransformersModel,
    people: BenchmarkPeople,
    alignments: dict[str, dict[str, Alignment]],
) -> list[Row]:
    """Share of the fall of the loss, in templates not trained on, that the second half brings."""
    name = people.ids[0]
    plain = _said(model, people, name)
    rows = []
    for method in ("SFT", "DPO"):
        whole = alignments[method][name]
        half = fit(model, people.person(name), BY_NAME[method], epochs=whole.fit["epochs"] / 2)
        beta = whole.fit.get("beta")
        start, middle, end = (
            _loss(log_probabilities, plain, beta)
            for log_probabilities in (
                plain,
                _said(model.aligned(half), people, name),
                _said(model.aligned(whole), people, name),
            )
        )
        rows.append(
            summarised(
                f"person_methods.second_half.{method}",
                f"{method}: share of the fall of the loss in other templates that the second half "
                f"of {whole.fit['steps']} steps brings",
                [(middle - end) / (start - end)],
                "",
                0.15,
                "lower",
            )
        )
    return rows


def _said(model: TransformersModel, people: BenchmarkPeople, name: str) -> NDArray[np.float64]:
    """Log-probabilities of what the person said and of the others, (questions, options).

    The first column is what the person said.
    """
    person = people.person(name)
    values = [option.value for option in people.inventory.scale]
    design = Design(
        templates=OTHER_TEMPLATES,
        orders=("forward", "reversed"),
        items=tuple(person.literal_answers),
    )
    questions = plan(people.inventory, design)
    place = {(q.item, q.condition): row for row, q in enumerate(questions)}
    found = np.empty((len(questions), len(values)))
    for response in model.answer(questions):
        said = values.index(person.literal_answers[response.item])
        order = [said, *(i for i in range(len(values)) if i != said)]
        found[place[response.item, response.condition]] = np.array(response.probabilities)[order]
    return np.log(found)


def _loss(given: NDArray[np.float64], reference: NDArray[np.float64], beta: float | None) -> float:
    """Mean loss of SFT over labels, or of DPO over pairs where there is a beta."""
    if beta is None:
        return float(-given[:, 0].mean())
    moved = given - reference
    margins = beta * (moved[:, :1] - moved[:, 1:])
    return float(np.logaddexp(0, -margins).mean())
