"""How long a person waits for `allport --help`: whole processes, imports included."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.results import Row, summarised


def rows() -> list[Row]:
    """Seconds from start to exit over ten runs, after one that is not counted."""
    seconds = []
    for _ in range(11):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "allport", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return [summarised("start.help", "allport --help", seconds[1:], "s", 0.3, "lower")]
