"""Fitting PAS to people: ours for whole populations against the released kind of loop, one person
at a time with a scikit-learn regression a head, on the same simulated model, people and heads.

The model is simulated with the embedded model's shape: 120 items, 6 layers of 4 heads of size 48.
Ratios are seconds a person: processor time of the loop on its fastest setting, one thread, which
other programs do not lengthen, over our time by the clock on all cores; both without strengths,
which the loop finds by running the model. The whole population is fitted in a process of its own
with penalties, heads and strengths, and written to disk. The floor for 307,313 people: their errors
on 24 heads are 1.1e11 multiply-adds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np

from allport.alignment import fit_published
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people
from benchmarks.results import Row, summarised

POPULATION = 307_313
REPEATS = 3
LOOPED = 6
"""People on whom the loop is timed; its seconds a person hardly differ between people."""

PROGRAM = """
import json, resource, sys, tempfile, time
from pathlib import Path
from allport.models import prepare_process
prepare_process()  # as the command does, before torch is there
import torch
from allport.alignment import TiltedResponse, fit_population, stratified_folds, write_population
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people
people, choosing = int(sys.argv[1]), sys.argv[2] == "strengths"
model = planted_model()
literal, _ = planted_people(people)
inventory = load_inventory("ipip-neo-120")
options = {"strengths": (1.0,)}
if choosing:
    options = {
        "folds": stratified_folds([item.facet for item in inventory.items], inventory.keys),
        "response": TiltedResponse(
            torch.tensor(model.probabilities, dtype=torch.float32),
            torch.arange(1.0, 6.0),
            torch.tensor(model.slopes),
        ),
    }
fit_population(model.differences, literal[:2000], **options)
times = []
for _ in range(7 if people < 1000 else 1):
    start = time.perf_counter()
    fit = fit_population(model.differences, literal, **options)
    times.append(time.perf_counter() - start)
seconds = sorted(times)[len(times) // 2]
start = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    if choosing:
        write_population(folder, fit)
        seconds += time.perf_counter() - start
    size = sum(file.stat().st_size for file in Path(folder).iterdir())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"seconds": seconds, "peak_gb": peak, "bytes": size}))
"""


def rows() -> list[Row]:
    """Ratios to the loop, the whole population's time and memory, and how cost grows."""
    loop = [_loop_seconds() for _ in range(REPEATS)]
    sizes = [_fit(300, "fit") for _ in range(REPEATS)]
    fits = [_fit(POPULATION, "fit") for _ in range(REPEATS)]
    whole = [_fit(POPULATION, "strengths") for _ in range(REPEATS)]
    quarter = [_fit(POPULATION // 4, "strengths") for _ in range(REPEATS)]
    return [
        summarised(
            "person.fit_ratio.300",
            "PAS fit of 300 people, a person, times faster than the released kind of loop",
            [a / (b["seconds"] / 300) for a, b in zip(loop, sizes, strict=True)],
            "×",
            1000,
            "higher",
        ),
        summarised(
            "person.fit_ratio.population",
            f"PAS fit of {POPULATION:,} people, a person, times faster than that loop",
            [a / (b["seconds"] / POPULATION) for a, b in zip(loop, fits, strict=True)],
            "×",
            10_000,
            "higher",
        ),
        summarised(
            "person.population.seconds",
            f"penalties, heads and strengths of {POPULATION:,} people, written to disk",
            [run["seconds"] for run in whole],
            "s",
            120,
            "lower",
        ),
        summarised(
            "person.population.memory",
            "peak memory of that process, answers included",
            [run["peak_gb"] for run in whole],
            "GB",
            4,
            "lower",
        ),
        summarised(
            "person.population.linear",
            "seconds a person at the whole population over those at a quarter of it",
            [a["seconds"] / b["seconds"] / 4 for a, b in zip(whole, quarter, strict=True)],
            "",
            1.15,
            "lower",
        ),
        summarised(
            "person.population.bytes",
            "bytes on disk a person",
            [run["bytes"] / POPULATION for run in whole],
            "B",
            200,
            "lower",
        ),
    ]


def _loop_seconds() -> float:
    """Processor seconds a person of the released kind of loop, on one thread."""
    from threadpoolctl import threadpool_limits

    model = planted_model()
    inventory = load_inventory("ipip-neo-120")
    keyed = inventory.keyed(planted_people(LOOPED, missing=0)[0].astype(np.float64))
    base = np.random.default_rng(0).normal(size=(120, 1, *model.differences.shape[1:]))
    half = model.differences[:, None] / 2
    activations = (base + np.concatenate([half, -half], axis=1)).astype(np.float32)
    with threadpool_limits(1):
        fit_published(activations, keyed[0])
        start = time.process_time()
        for seed, answers in enumerate(keyed):
            fit_published(activations, answers, seed=seed)
        return (time.process_time() - start) / LOOPED


def _fit(people: int, what: str) -> dict[str, float]:
    """Seconds, peak memory and bytes of a population fitted in a process of its own."""
    found: dict[str, float] = json.loads(
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(people), what],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    return found
