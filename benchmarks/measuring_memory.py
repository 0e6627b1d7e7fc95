"""Peak memory of whole processes: the engine against the reference loop, same questions.

Case (b) of measuring_speed, a persona of 120 answers, where cached prefixes cost most.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.results import Row, summarised

PROGRAM = """
import resource, sys
from allport.models import load_model, prepare_process
from benchmarks.measuring_speed import person_of_120_answers, questions_of
from benchmarks.reference_loops import ask_by_logits
prepare_process()
model = load_model("embedded")
questions = questions_of(person_of_120_answers())
if sys.argv[1] == "engine":
    list(model.answer(questions))
else:
    ask_by_logits(model, questions[:: len(questions) // 24])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_megabytes(way: str) -> float:
    """Largest resident size of a process that asks in this way, in MB."""
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, way], check=True, capture_output=True, text=True
    ).stdout
    return int(output) / 1024


def rows() -> list[Row]:
    """Ratio of peak memory over three pairs of processes."""
    ratios = [peak_megabytes("engine") / peak_megabytes("loop") for _ in range(3)]
    return [
        summarised(
            "measuring.memory",
            "peak memory over the logits loop's, 120-answer persona",
            ratios,
            "×",
            1.5,
            "lower",
        )
    ]
