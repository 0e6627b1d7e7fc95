"""Measure in a process of its own, which stops at a planted question and waits to be signalled.

    python interruptible.py INVENTORY_JSON RUN LOG STOP [limit BYTES | nobody | reader]

Every question that is put is written to LOG before it is answered. At question number STOP of this
process (-1: never) the line "waiting" is printed and nothing more happens until a signal comes. No
file may grow beyond BYTES; "nobody" gives up the right to write anywhere; "reader" does so too, and
only reads the run.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from pathlib import Path

from allport.administration import Design, measuring, read_run
from allport.administration.planning import question_key
from allport.errors import AllportError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent


def main(inventory_file: str, run: str, log_file: str, stop: str, *limits: str) -> None:
    inventory = Inventory.model_validate_json(Path(inventory_file).read_text(encoding="utf-8"))
    log = Path(log_file).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - until killed
    asked = 0

    def script(question: Question) -> list[float]:
        nonlocal asked
        asked += 1
        log.write(f"{question_key(question)}\n")
        if asked == int(stop):
            sys.stdout.write("waiting\n")
            sys.stdout.flush()
            signal.pause()
        digest = hashlib.blake2b(repr(question).encode(), digest_size=5).digest()
        return [(1 + byte) / (5 + sum(digest)) for byte in digest]

    def ask(respondent: ScriptedRespondent, folder: str | None) -> str:
        design = Design(repeats=2)
        measured = measuring.measure(respondent, inventory, design, folder, progress=None)
        return f"asked {measured.asked}"

    if limits:
        # Whatever is imported on the way must be in memory before files are out of reach.
        ask(ScriptedRespondent(lambda question: 0), None)
    if limits[:1] == ("limit",):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limits[1]), resource.RLIM_INFINITY))
    if limits[:1] in (("nobody",), ("reader",)) and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    status = 0
    try:
        if limits == ("reader",):
            said = f"read {read_run(run).responses.height}"
        else:
            said = ask(ScriptedRespondent(script), run)
    except AllportError as error:
        said, status = f"{type(error).__name__}: {error}", error.exit_code
    sys.stdout.write(f"{said}\n")
    log.close()
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
