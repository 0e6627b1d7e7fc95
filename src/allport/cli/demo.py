"""`allport demo`: everything once, offline, with what ships in the package."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from allport.cli.measure import new_run_folder, resuming, run_json
from allport.cli.output import Json, console, print_json

if TYPE_CHECKING:
    from allport.evaluation import OnePerson
    from allport.models import TransformersModel
    from allport.personas import Person

__all__ = ["demo"]

_MODEL = "embedded"
_INVENTORY = "ipip-neo-120"


def demo(*, out: Path | None = None, json: Json = False) -> None:
    """See it work: measure the model that ships with Allport, align it to a person, open a report.

    The embedded model answers the IPIP-NEO-120 under four conditions (two templates, two option
    orders). Then it is aligned to an example person, who is simulated: fitted on the person's
    answers to these 120 items, and measured on 180 others. The person's own profile stands beside
    the model's in the report.

    Args:
        out: Run folder; by default runs/MODEL-INVENTORY-TIME.
        json: Print JSON for machines.
    """
    from allport.administration import Design, measure
    from allport.corpora import short_form_person
    from allport.inventories import load_inventory
    from allport.models import TransformersModel, load_model
    from allport.personas import example_person
    from allport.reporting import person_subject, print_profile, run_content, write_report
    from allport.reporting.content import to_json

    inventory = load_inventory(_INVENTORY)
    design = Design(templates=("letters", "digits"), orders=("forward", "reversed"))
    person = example_person()
    folder = new_run_folder(_MODEL, _INVENTORY) if out is None else out
    model = load_model(_MODEL)
    with resuming(folder):
        run = measure(model, inventory, design, folder, progress=None if json else "bar")
    content = run_content(run, others=[person_subject(short_form_person(person))])
    if isinstance(model, TransformersModel):
        content = dataclasses.replace(content, person=_aligned(model, person, folder))
    written = write_report(content, folder)
    if json:
        near = to_json(content.person)
        print_json({**run_json(run, content), "person": near, "report": str(written.page)})
        return
    screen = console()
    print_profile(screen, content)
    if content.person is not None:
        _print_person(content.person)
    screen.print(f"Run folder: {folder}")
    screen.print(f"Report: {written.page.resolve()}", style="bold")


def _aligned(model: TransformersModel, person: Person, folder: Path) -> OnePerson:
    """How near the model comes to a person: as it is, told the answers, steered, and both."""
    from allport.alignment import fit, random_direction, save_alignment, sign_flipped
    from allport.evaluation import among_others, person_distances

    steered = fit(model, person, "pas")
    told = fit(model, person, "prompt", kind="few-shot")
    both = fit(model, person, "pas", prompt=told.prompt)
    save_alignment(steered, folder / "alignment")
    return person_distances(
        among_others(person),
        {
            "unaligned": model,
            "steered (PAS)": model.aligned(steered),
            "told the answers": model.aligned(told),
            "told and steered": model.aligned(both),
        },
        {
            "steered, sign turned": model.aligned(sign_flipped(steered)),
            "steered, random direction": model.aligned(random_direction(steered)),
        },
    )


def _print_person(person: OnePerson) -> None:
    from rich.table import Table

    table = Table(
        title=f"Mean distance from {person.name}'s answers to {person.items} held-out items",
        title_justify="left",
    )
    table.add_column("Who answers")
    table.add_column("Distance", justify="right")
    table.add_column("95% interval", justify="right")
    for row in sorted(person.rows, key=lambda row: row.distance.value):
        low, high = row.distance.low, row.distance.high
        table.add_row(row.name, f"{row.distance.value:.2f}", f"{low:.2f} to {high:.2f}")
    console().print(table)
