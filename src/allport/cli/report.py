"""`allport report`: the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from allport.cli.output import Json, console, print_json

__all__ = ["report"]


def report(
    run: Path,
    /,
    *,
    out: Path | None = None,
    norms: str = "default",
    people: Annotated[tuple[Path, ...], Parameter(name="--person", show_default=False)] = (),
    json: Json = False,
) -> None:
    """Write the report of a run: report.html, its figures and its tables.

    Args:
        run: A run folder.
        out: Where to write; the run folder by default.
        norms: Norm group, such as women-21-40, men-over-60 or both-21-40; or none.
        people: A person file to show beside the model; can be repeated.
        json: Print what the report says as JSON, and write nothing.
    """
    from allport.administration import read_run
    from allport.personas import read_person
    from allport.reporting import person_subject, run_content
    from allport.reporting import report as write
    from allport.reporting.content import to_json

    found = read_run(run)
    persons = [read_person(path) for path in people]
    norm = None if norms == "none" else norms
    if json:
        others = [person_subject(person) for person in persons]
        print_json(to_json(run_content(found, norm=norm, others=others)))
        return
    files = write(found, out, norm=norm, people=persons)
    console().print(f"Report: {files.page}")
    console().print(
        f"Its figures and tables: {files.figures[0].parent} and {files.tables[0].parent}"
    )
