"""`allport measure --adaptive`: the items that tell most, until each trait is known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from allport.cli.output import console
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.administration import AdaptiveMeasurement, BankCalibration
    from allport.cli.design_options import DesignOptions
    from allport.inventories import Inventory

__all__ = ["AdaptiveOptions", "adaptive_json", "as_calibrated", "print_adaptive"]

_STANDARD_ERROR = 0.3
_MOST = 16


@Parameter(name="*", group=Group("Adaptive testing", sort_key=3))
@dataclass(frozen=True)
class AdaptiveOptions:
    """Whether items are chosen by what they tell, and when to stop."""

    calibration: Annotated[Path | None, Parameter(name="--adaptive", show_default=False)] = None
    """Ask only the items that tell most; takes a file that allport evaluate items calibrated."""
    se: Annotated[float | None, Parameter(show_default=False)] = None
    """Standard error of a trait's level at which to stop, 0.3 standard deviations unless given."""
    points: Annotated[float | None, Parameter(show_default=False)] = None
    """Standard error of a trait's score, in points of 100, to be reached as well before stopping.
    """
    most: Annotated[int | None, Parameter(show_default=False)] = None
    """After how many items of a trait to stop in any case, 16 unless given."""

    @property
    def standard_error(self) -> float:
        """At which standard error to stop."""
        return _STANDARD_ERROR if self.se is None else self.se

    @property
    def most_items(self) -> int:
        """After how many items of a trait to stop."""
        return _MOST if self.most is None else self.most

    def read(self, inventory: Inventory, **refused: bool) -> BankCalibration | None:
        """The calibration, where items are to be chosen by one.

        Args:
            inventory: What is asked.
            refused: Options that have no meaning then, and whether they were given.

        Raises:
            UsageError: An option does not fit, or the calibration is of another inventory.
            ResponsesError: The file cannot be read.
        """
        if self.calibration is None:
            if (self.se, self.points, self.most) != (None, None, None):
                raise UsageError("--se, --points and --most go with --adaptive CALIBRATION.json.")
            return None
        given = [f"--{name.replace('_', '-')}" for name, there in refused.items() if there]
        if given:
            raise UsageError(f"{given[0]} does not go with --adaptive; leave it out.")
        from allport.administration import read_calibration

        return read_calibration(self.calibration, inventory)


def as_calibrated(design: DesignOptions, calibration: BankCalibration) -> DesignOptions:
    """The options of a design, with what was left at its standard as items were calibrated."""

    def standard(given: str, name: str) -> str:
        return ",".join(calibration.asking.get(name, [given])) if given == "standard" else given

    return dataclasses.replace(
        design,
        templates=standard(design.templates, "templates"),
        orders=standard(design.orders, "orders"),
    )


def adaptive_json(found: AdaptiveMeasurement, calibration: BankCalibration) -> dict[str, Any]:
    """An adaptive run in figures, for machines."""
    run = found.run
    return {
        "folder": None if run.folder is None else str(run.folder),
        "asked": run.asked,
        "summary": run.summary._asdict(),
        "calibrated_on": calibration.respondent,
        **found.to_json(),
    }


def print_adaptive(found: AdaptiveMeasurement, calibration: BankCalibration) -> None:
    """Print what an adaptive run found."""
    from allport.reporting.palette import number
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    out = console()
    run = found.run
    names = {trait.code: trait.name for trait in run.inventory.traits}
    respondent = printable(run.record.respondent, 60)
    out.print(f"{respondent} · {run.inventory.title} · adaptive", style="bold")
    personas = list(dict.fromkeys(score.persona for score in found.scores))
    for persona in personas:
        if personas != [""]:
            out.print(f"\n{printable(persona, 80) or 'no persona'}", style="bold")
        heads = ("Score", "95% interval", "Level", "SE", "Items")
        table = plain_table("Trait", *heads, "", right=heads)
        for score in found.scores:
            if score.persona == persona:
                table.add_row(
                    printable(names[score.trait], 40),
                    number(score.score.value, 1),
                    f"{number(score.score.low, 1)} to {number(score.score.high, 1)}",
                    number(score.level, signed=True),
                    number(score.standard_error),
                    f"{len(score.items)} of {score.bank}",
                    "" if score.reached else "not known well enough",
                )
        out.print(table)
    out.print(
        "\nScores are what the whole bank would give, 0 to 100; levels are in standard deviations "
        "of the personas that items were calibrated on.",
        style="dim",
    )
    for why in found.left_out.values():
        out.print(f"! Not measured adaptively: {printable(why, 120)}.", style="yellow")
    if calibration.respondent != run.record.respondent:
        out.print(
            f"! Items were calibrated on {printable(calibration.respondent, 60)}; calibrate them "
            f"on {respondent} where intervals are to be relied on.",
            style="yellow",
        )
    out.print(
        f"{found.share_used:.0%} of the items were asked, in {run.responses.height:,} of "
        f"{run.record.questions:,} questions."
    )
    if run.folder is not None:
        out.print(f"Run folder: {run.folder}")
