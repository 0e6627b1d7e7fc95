"""`allport runs`: the run folders there are."""

from __future__ import annotations

from pathlib import Path

from allport.cli.output import Json, console, print_json
from allport.errors import UsageError

__all__ = ["runs"]


def runs(folder: Path = Path("runs"), /, *, json: Json = False) -> None:
    """List run folders, newest first.

    Args:
        folder: Where they lie.
        json: Print JSON for machines.
    """
    from allport.administration import find_runs
    from allport.reporting.palette import percent
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder.")
    found = find_runs(folder)
    if json:
        print_json([{"folder": str(run.folder), **run.summary._asdict()} for run in found])
        return
    out = console()
    if not found:
        out.print(f"There are no runs in {folder}; `allport measure` makes one.")
        return
    heads = ("Answered", "Refused", "Label mass")
    table = plain_table(
        "Folder",
        "Respondent",
        "Inventory",
        "Conditions",
        *heads,
        "Started",
        right=("Conditions", *heads),
    )
    for run in found:
        row = run.summary
        done = "" if row.finished else " (unfinished)"
        table.add_row(
            str(run.folder),
            printable(row.respondent, 40),
            row.inventory,
            str(row.conditions),
            f"{row.answered:,}/{row.questions:,}{done}",
            f"{row.refused + row.unparsable:,}",
            "–" if row.label_mass is None else percent(row.label_mass),
            row.started.replace("T", " ")[:16],
        )
    out.print(table)
