"""The person benchmark on the embedded model: how near steering and prompts come, and how fast.

300 people (those of PAPI where ALLPORT_PAPI_PEOPLE names their file, else simulated ones), 180
items of each that nothing was fitted on, options in both orders. Errors are corrected composites
(docs/person.md); intervals are 95 % bootstrap intervals over people. Steering is PAS as
`allport align --people` fits it. The loop is timed on a sample of the same questions: one prompt
at a time, whole, one pass, labels picked out of the last position.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from allport.administration import Design, plan
from allport.alignment import align_people
from allport.corpora import PeopleCorpus, read_papi, simulate_people
from allport.evaluation import (
    BenchmarkPeople,
    PersonScores,
    benchmark_people,
    few_shot,
    run_person_benchmark,
    steering_methods,
)
from allport.models import TransformersModel, load_model, prepare_process
from benchmarks.reference_loops import ask_by_logits
from benchmarks.results import Row

PEOPLE = 300
SAMPLE = 24
TIMED = ("unaligned", "few-shot", "steering", "few-shot + steering")
MINUTES = 15.0


def corpus() -> PeopleCorpus:
    """The people who are asked for."""
    source = os.environ.get("ALLPORT_PAPI_PEOPLE")
    return simulate_people(PEOPLE, seed=1).corpus if source is None else read_papi(source)


def rows(model_name: str = "embedded", most: int = PEOPLE) -> list[Row]:
    """Errors of all cells, their differences, trait correlations, time, and rates."""
    prepare_process()
    model = load_model(model_name)
    assert isinstance(model, TransformersModel)
    given = corpus()
    everybody = benchmark_people(given)
    asked = range(min(most, len(everybody.ids)))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        store = align_people(model, given, Path(folder) / "people")
        fit_seconds = time.perf_counter() - start
        methods = steering_methods(model, store, [everybody.ids[i] for i in asked])
        found = run_person_benchmark(model, everybody, methods, asked=asked, progress=None)
    scores = found.scores()
    seconds = {cell.name: cell.seconds for cell in found.cells}
    return [
        *_errors(scores, len(asked)),
        *_correlations(scores),
        *_speed(model, everybody, seconds, fit_seconds, len(asked)),
    ]


def _errors(scores: dict[str, PersonScores], people: int) -> list[Row]:
    def error(name: str) -> tuple[float, float, float]:
        value, low, high, _ = scores[name].find("error", "median")
        return value, low, high

    shown = [
        Row(
            f"person.error.{name}",
            f"corrected composite, {name}, {people} people",
            *error(name),
            "",
            error("constant C")[0],
            "lower",
        )
        for name in scores
    ]
    for name, other in (
        ("steering", "unaligned"),
        ("steering", "random direction"),
        ("steering", "sign-flipped"),
        ("steering", "constant C"),
        ("few-shot + steering", "few-shot"),
        ("few-shot", "unaligned"),
    ):
        difference = scores[name].difference(scores[other], "error", "median")
        shown.append(
            Row(
                f"person.difference.{name}.{other}",
                f"corrected composite of {name} less that of {other}",
                *difference[:3],
                "",
                0.0,
                "lower",
            )
        )
    return shown


def _correlations(scores: dict[str, PersonScores]) -> list[Row]:
    return [
        Row(
            f"person.trait_r.{name}.{trait}",
            f"r over people of {trait} scores with the people's own, {name}",
            *scores[name].find("trait r", "", trait)[:3],
            "",
            0.6,
            "higher",
        )
        for name in ("steering", "few-shot", "few-shot + steering")
        for trait in "NEOAC"
    ]


def _speed(
    model: TransformersModel,
    people: BenchmarkPeople,
    seconds: dict[str, float],
    fit_seconds: float,
    asked: int,
) -> list[Row]:
    minutes = sum(seconds[name] for name in TIMED) / 60
    scale = PEOPLE / asked
    found = [
        Row(
            "person.minutes",
            f"minutes for {asked} people x {len(people.split.held_out)} items x 2 orders x "
            f"{len(TIMED)} cells (target for {PEOPLE})",
            minutes,
            minutes,
            minutes,
            "min",
            MINUTES / scale,
            "lower",
        ),
        Row(
            "person.fit_seconds",
            f"seconds of fitting all {len(people.ids)} people, activations included",
            fit_seconds,
            fit_seconds,
            fit_seconds,
            "s",
            120.0,
            "lower",
        ),
    ]
    persona = few_shot(people).persona_for(people.ids[0])
    design = Design(
        templates=("letters",),
        orders=("forward", "reversed"),
        personas=(persona.name,),
        items=people.split.held_out,
    )
    questions = plan(people.inventory, design, [persona])
    sample = questions[:: len(questions) // SAMPLE]
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        ask_by_logits(model, sample)
        loop = (time.perf_counter() - start) / len(sample)
        rounds.append(loop * asked * len(questions) / seconds["few-shot"])
    rounds.sort()
    what = "questions per second over the one-prompt loop, few-shot"
    return [*found, Row("person.ratio", what, rounds[1], rounds[0], rounds[2], "×", 10.0, "higher")]
