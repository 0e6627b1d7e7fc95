"""`allport evaluate items`: what questionnaires are worth as measures of a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from allport.cli.calibration_options import CalibrationOptions, print_calibration
from allport.cli.item_tables import print_validity
from allport.cli.lists import listed
from allport.cli.measure import new_run_folder, resuming
from allport.cli.model_options import ModelOptions
from allport.cli.output import Flag, Json, console, notice, print_json
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.evaluation import ItemEvaluation
    from allport.psychometrics import Estimate

__all__ = ["items_"]

_WHAT = Group("Items", sort_key=1)
_SHORT_NAME = "items"
_FEWEST = 10


def items_(
    model: str,
    /,
    *,
    inventory: Annotated[str, Parameter(group=_WHAT)] = "ipip-neo-120,mini-ipip-20",
    no_generation: Annotated[Flag, Parameter(group=_WHAT)] = False,
    validity: Annotated[int, Parameter(group=_WHAT)] = 0,
    seed: int = 0,
    out: Path | None = None,
    json: Json = False,
    calibration: CalibrationOptions = CalibrationOptions(),
    options: ModelOptions = ModelOptions(),
) -> None:
    """Judge inventories as measures of a model, Likert and situational side by side.

    Each is asked in every template, order and wording, in the standard templates and orders as high
    and as low on each trait, and with answers generated; what comes out are the seven columns of
    TRAIT's comparison of instruments, with intervals over statements, and what moves which trait.
    The same command with the same --out goes on where it stopped.

    Args:
        model: embedded, a local folder, a Hugging Face id, or openai:NAME.
        inventory: Names or files of inventories, separated by commas.
        no_generation: Leave generated answers out, and with them one column.
        validity: As how many personas to ask all inventories, to see whether they measure the same
            traits and tell them apart; 40 are a good number, and 0 leaves it out.
        seed: Of resampling, and of the personas to calibrate or compare as.
        out: Folder of the runs and of items.json; by default runs/MODEL-items-TIME.
        json: Print JSON for machines.
        calibration: Whether items are calibrated instead.
        options: How models are loaded or asked.
    """
    from allport.evaluation import compare_inventories, evaluate_items, shared_traits
    from allport.files import write_atomically
    from allport.inventories import load_inventory
    from allport.reporting.content import to_json

    names = listed(inventory)
    if not names:
        raise UsageError("--inventory names no inventory.")
    calibration.check(len(names))
    if no_generation and calibration.file is not None:
        raise UsageError("--no-generation does not go with --calibrate, which generates nothing.")
    if validity:
        if calibration.file is not None:
            raise UsageError("--validity does not go with --calibrate; give one of them.")
        if validity < _FEWEST:
            raise UsageError(
                f"--validity {validity} are too few personas; give {_FEWEST} or more, better 40."
            )
    banks = [load_inventory(name).require_text() for name in names]
    if validity:
        shared_traits(banks)
    folder = new_run_folder(model, _SHORT_NAME) if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder with --out.")
    progress: Literal["bar"] | None = None if json else "bar"
    if calibration.file is not None:
        from allport.administration import read_run
        from allport.evaluation import bank_report, calibrate_items
        from allport.reporting import write_bank_report

        design, personas = calibration.plan(banks[0], seed)
        notice(f"Folder: {folder}")
        respondent = options.load(model)
        with resuming(folder):
            fitted = calibrate_items(
                *(respondent, banks[0], personas, design),
                folder=folder / "calibration",
                progress=progress,
            )
        written = fitted.write(calibration.file) if fitted.traits else None
        answered = read_run(folder / "calibration").responses
        report = bank_report(fitted, banks[0], answered, personas)
        files = write_bank_report(report, banks[0], folder)
        print_calibration(fitted, report, files, written, json)
        return
    respondent = options.load(model)
    notice(f"Folder: {folder}")
    compared = None
    with resuming(folder):
        found = [
            evaluate_items(
                respondent,
                bank,
                generate=not no_generation,
                folder=folder / bank.name,
                seed=seed,
                progress=progress,
            )
            for bank in banks
        ]
        if validity:
            compared = compare_inventories(
                respondent,
                banks,
                personas=validity,
                folder=folder / "validity",
                seed=seed,
                progress=progress,
            )
    content = {"folder": str(folder), "inventories": to_json(found)}
    if compared is not None:
        content["validity"] = to_json(compared)
    import json as as_json

    text = as_json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    written = write_atomically(folder / "items.json", text)
    if json:
        print_json(content)
        return
    _print(found)
    if compared is not None:
        print_validity(compared)
    console().print(f"Everything with its intervals: {written}", style="bold")


def _print(found: list[ItemEvaluation]) -> None:
    from rich.table import Table

    from allport.evaluation import COLUMNS
    from allport.reporting.palette import number
    from allport.reporting.plain_text import printable

    screen = console()
    table = Table(title=f"Inventories as measures of {printable(found[0].respondent, 60)}")
    table.add_column("")
    for each in found:
        table.add_column(printable(each.inventory, 30), justify="right")
    table.add_row("items", *(f"{each.items:,}" for each in found))
    for name in COLUMNS:
        table.add_row(name, *(_cell(each.columns[name]) for each in found))
        if name == "refusal, generated":
            table.add_row("of it refused", *(_cell(each.refused) for each in found), style="dim")
        if name == "refusal, labels":
            cells = (_cell(each.low_mass["1/4"]) for each in found)
            table.add_row("labels under a quarter", *cells, style="dim")
    for factor, said in (("template", "prompt"), ("order", "order"), ("form", "paraphrase")):
        asked = [each.sensitivity.get(factor) for each in found]
        rows: tuple[tuple[str, list[Estimate | None], int], ...] = (
            (f"{said}, beside chance", [s.corrected if s else None for s in asked], 2),
            (f"{said}, to the other side", [s.side if s else None for s in asked], 1),
            (f"{said}, sides beside chance", [s.side_corrected if s else None for s in asked], 2),
        )
        for what, estimates, digits in rows:
            cells = ("–" if e is None else _cell(e, digits) for e in estimates)
            table.add_row(what, *cells, style="dim")
    cells = (_cell(each.position.coefficient, 3) for each in found)
    table.add_row("position effect", *cells, style="dim")
    screen.print(table)
    for each in found:
        screen.print(f"\n{printable(each.inventory, 60)}: what moved when a trait was asked for")
        traits = list(next(iter(each.moved.values())))
        matrix = Table()
        matrix.add_column("asked for")
        for trait in traits:
            matrix.add_column(trait, justify="right")
        matrix.add_column("high reached", justify="right")
        matrix.add_column("low reached", justify="right")
        for code, row in each.moved.items():
            matrix.add_row(
                code,
                *(number(row[trait].value, 0, signed=True) for trait in traits),
                *(_cell(each.reached[code][end], 0) for end in ("high", "low")),
            )
        screen.print(matrix)
        _print_reliability(each)
    screen.print(
        "Points of 100. Sensitivities are shares of items whose chosen option changes; beside "
        "chance, 1 is as often as chance would. Position effect: what an option's probability "
        "gains from first place to last. Movement is the score with a high persona less that with "
        "a low one. Standard error: of a trait's score, had other items, templates and orders been "
        "asked; needed is the least asking for one of 2 points.",
        style="dim",
    )
    for each in found:
        if each.unanswered:
            screen.print(
                f"! {printable(each.inventory, 60)}: {each.unanswered:,} of {each.asked:,} "
                "questions had no usable answer; figures are of the others.",
                style="yellow",
            )


def _print_reliability(found: ItemEvaluation) -> None:
    """Where the variance of each trait's item scores comes from."""
    from rich.table import Table

    from allport.reporting.plain_text import printable

    table = Table()
    table.add_column("trait")
    table.add_column("standard error", justify="right")
    table.add_column("needed")
    table.add_column("largest shares of variance")
    reasons: dict[str, list[str]] = {}
    for code, trait in found.reliability.items():
        if trait.components is None:
            reasons.setdefault(trait.error.reason, []).append(code)
            continue
        needed = "more than was tried"
        if trait.needed is not None:
            needed = ", ".join(f"{n} {of}{'s' if n > 1 else ''}" for of, n in trait.needed.items())
        shares = sorted(trait.components.shares.items(), key=lambda s: -s[1])[:3]
        said = ", ".join(f"{' x '.join(e)} {_percent(100 * s)}" for e, s in shares)
        table.add_row(code, _cell(trait.error), needed, said)
    if table.row_count:
        console().print(table)
    for reason, codes in reasons.items():
        console().print(
            f"! {printable(found.inventory, 60)}, {', '.join(codes)}: no standard error. "
            f"{printable(reason, 200)}",
            style="yellow",
        )
    for code, trait in found.reliability.items():
        if trait.components is not None and trait.left_out:
            console().print(
                f"! {code}: {trait.left_out} items were left out of the variances, which need "
                "complete answers and equally many items a statement.",
                style="yellow",
            )


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0f}%"


def _cell(estimate: Estimate, digits: int = 1) -> str:
    if math.isnan(estimate.value):
        return "–"
    text = f"{estimate.value:.{digits}f}"
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        text += f" ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"
    return text
