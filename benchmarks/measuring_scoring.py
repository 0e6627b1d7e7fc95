"""Scale scores and alphas of 300,000 simulated people on 300 items, in a process of its own.

The floor: 90 million answers are 90 MB read once; the covariance matrix is 300 000 x 300 x 300
multiply-adds, 27 GFLOP, about half a second on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.results import Row, summarised

PROGRAM = """
import json, resource, time
import numpy as np
from allport.inventories import load_inventory
from allport.psychometrics import scale_alphas, scale_scores
rng = np.random.default_rng(0)
inventory = load_inventory("ipip-neo-300")
people = 300_000
answers = np.empty((people, 300), dtype=np.int8)
domains = rng.standard_normal((people, 5), dtype=np.float32)
which = np.array(["NEOAC".index(item.trait) for item in inventory.items])
for start in range(0, people, 20_000):
    part = slice(start, start + 20_000)
    noise = rng.standard_normal((len(answers[part]), 300), dtype=np.float32)
    answers[part] = np.clip(np.rint(3 + 0.5 * domains[part][:, which] + noise), 1, 5)
scales = {code: inventory.columns(code) for code in "NEOAC"}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
scores = scale_scores(answers, scales)
alphas = scale_alphas(answers, scales)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_gb": peak / 1e6}))
"""


def rows() -> list[Row]:
    """Seconds for scoring plus alpha, and the peak memory of the whole process."""
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
            ).stdout
        )
        for _ in range(3)
    ]
    return [
        summarised(
            "scoring.seconds",
            "scores and alphas of 300,000 people x 300 items",
            [run["seconds"] for run in runs],
            "s",
            2.0,
            "lower",
        ),
        summarised(
            "scoring.memory",
            "peak memory of that process, answers included",
            [run["peak_gb"] for run in runs],
            "GB",
            2.0,
            "lower",
        ),
    ]
