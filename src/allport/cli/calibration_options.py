"""`allport evaluate items --calibrate`: what an adaptive test has to know of its items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from allport.cli.item_tables import print_weak_items
from allport.cli.lists import listed
from allport.cli.output import console, print_json
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.administration import BankCalibration, Design
    from allport.evaluation import BankReport
    from allport.inventories import Inventory
    from allport.personas import TraitLevels
    from allport.reporting import BankFiles

__all__ = ["CalibrationOptions", "print_calibration"]

_PERSONAS = 60
_FEWEST = 10


@Parameter(name="*", group=Group("Calibrating for adaptive tests", sort_key=2))
@dataclass(frozen=True)
class CalibrationOptions:
    """Whether items are calibrated instead of judged, and how."""

    file: Annotated[Path | None, Parameter(name="--calibrate", show_default=False)] = None
    """Instead of judging, fit how much each item of one inventory tells, and write it to this file
    for allport measure --adaptive; weak items are named, in the folder of --out as well."""
    personas: Annotated[int | None, Parameter(show_default=False)] = None
    """As how many personas of all levels to calibrate, 60 unless given."""
    templates: str = "standard"
    """Question templates to calibrate with, separated by commas."""
    orders: str = "standard"
    """Option orders to calibrate with, separated by commas."""

    def check(self, inventories: int) -> None:
        """Check what can be checked before anything is read.

        Raises:
            UsageError: An option does not fit.
        """
        if self.file is None:
            if (self.personas, self.templates, self.orders) != (None, "standard", "standard"):
                raise UsageError("--personas, --templates and --orders go with --calibrate FILE.")
            return
        if self.file.is_dir():
            raise UsageError(f"{self.file} is a folder; name a file with --calibrate.")
        if inventories != 1:
            raise UsageError("--calibrate takes one inventory; name it with --inventory.")
        if self.personas is not None and self.personas < _FEWEST:
            raise UsageError(
                f"--personas {self.personas} are too few to calibrate items; give {_FEWEST} or "
                "more, better 60."
            )

    def plan(self, inventory: Inventory, seed: int) -> tuple[Design, list[TraitLevels]]:
        """How items are asked, and as whom.

        Raises:
            UsageError: A template or an order does not exist.
            ResponsesError: There are no personas for a trait of the inventory.
        """
        from allport.administration import Design, plan, standard_templates
        from allport.evaluation import calibration_personas

        design = Design(
            templates=standard_templates(inventory)
            if self.templates == "standard"
            else listed(self.templates),
            orders=listed(self.orders),
        )
        plan(inventory, design)
        many = _PERSONAS if self.personas is None else self.personas
        return design, calibration_personas(inventory, many, seed=seed)


def print_calibration(
    calibration: BankCalibration,
    report: BankReport,
    files: BankFiles,
    written: Path | None,
    json: bool,
) -> None:
    """Print how much the items of each trait tell, which are weak, and where it is written.

    Args:
        calibration: The items of each trait.
        report: Which of them are weak.
        files: Where that is written.
        written: The calibration file; None where no trait could be calibrated.
        json: Print JSON for machines.
    """
    import numpy as np

    from allport.psychometrics import item_information
    from allport.reporting.content import to_json
    from allport.reporting.palette import number
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    rows: list[dict[str, Any]] = []
    for code, trait in calibration.traits.items():
        known = trait.parameters
        # Of the level of an average respondent who was asked everything.
        error = float((1 + item_information(known, 0.0).sum()) ** -0.5)
        rows.append(
            {
                "trait": code,
                "items": len(trait.items),
                "discrimination": float(np.median(known.discriminations)),
                "easiest": float(known.difficulties.min()),
                "hardest": float(known.difficulties.max()),
                "whole_bank_error": error,
                "converged": known.converged,
            }
        )
    if json:
        print_json(
            {
                "file": None if written is None else str(written),
                "inventory": calibration.inventory,
                "respondent": calibration.respondent,
                "personas": calibration.personas,
                "traits": rows,
                "left_out": dict(calibration.left_out),
                "weak": to_json(report.weak),
                "bank": str(files.data),
                "figure": None if files.figure is None else str(files.figure),
            }
        )
        return
    screen = console()
    screen.print(
        f"{printable(calibration.inventory, 60)}, calibrated on "
        f"{printable(calibration.respondent, 60)} as {calibration.personas} personas",
        style="bold",
    )
    heads = ("Items", "Discrimination", "Difficulty", "SE of all")
    table = plain_table("Trait", *heads, "", right=heads)
    for row in rows:
        table.add_row(
            row["trait"],
            str(row["items"]),
            number(row["discrimination"]),
            f"{number(row['easiest'])} to {number(row['hardest'])}",
            number(row["whole_bank_error"]),
            "" if row["converged"] else "the fit had not settled; give more --personas",
        )
    if rows:
        screen.print(table)
        screen.print(
            "\nDiscrimination is the median; difficulty and the standard error that all items "
            "together reach are in standard deviations of these personas.",
            style="dim",
        )
    print_weak_items(report, files)
    for why in calibration.left_out.values():
        screen.print(f"! Left out of the calibration: {printable(why, 120)}.", style="yellow")
    if written is None:
        screen.print(
            "No trait is left to be asked adaptively, and no calibration file was written.",
            style="yellow",
        )
        return
    screen.print(
        f"Ask adaptively: `allport measure MODEL --inventory {calibration.inventory} "
        f"--adaptive {written}`"
    )
