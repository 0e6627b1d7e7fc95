"""`allport demo`: everything once, offline, with what ships in the package."""

from __future__ import annotations

from pathlib import Path

from allport.cli.measure import new_run_folder, run_json
from allport.cli.output import Json, console, print_json

__all__ = ["demo"]

_MODEL = "embedded"
_INVENTORY = "ipip-neo-120"


def demo(*, out: Path | None = None, json: Json = False) -> None:
    """See it work: measure the model that ships with Allport, and open a report.

    The embedded model answers the IPIP-NEO-120 under four conditions (two templates, two option
    orders). An example person, who is simulated, is scored and stands beside it in the report.

    Args:
        out: Run folder; by default runs/MODEL-INVENTORY-TIME.
        json: Print JSON for machines.
    """
    from allport.administration import Design, measure
    from allport.inventories import load_inventory
    from allport.models import load_model
    from allport.personas import example_person
    from allport.reporting import person_subject, print_profile, run_content, write_report

    inventory = load_inventory(_INVENTORY)
    design = Design(templates=("letters", "digits"), orders=("forward", "reversed"))
    person = example_person()
    folder = new_run_folder(_MODEL, _INVENTORY) if out is None else out
    run = measure(load_model(_MODEL), inventory, design, folder, progress=None if json else "bar")
    content = run_content(run, others=[person_subject(person)])
    written = write_report(content, folder)
    if json:
        print_json({**run_json(run, content), "report": str(written.page)})
        return
    screen = console()
    print_profile(screen, content)
    screen.print(f"Run folder: {folder}")
    screen.print(f"Report: {written.page.resolve()}", style="bold")
