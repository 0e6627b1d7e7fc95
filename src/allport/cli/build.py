"""`allport build situations`: write situational items, check them, and keep what passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from allport.cli.lists import listed
from allport.cli.model_options import ModelOptions
from allport.cli.output import Json, console, notice, print_json
from allport.errors import RunError, UsageError

if TYPE_CHECKING:
    from allport.corpora import BuiltSituations

__all__ = ["situations_"]

_FROM = Group("What they are built from", sort_key=1)
_WHO = Group("Who writes and who judges", sort_key=2)
_HOW_MANY = Group("How many", sort_key=2)
_WRITER_TOKENS = 700
"""Tokens of a reply of an endpoint: four options in JSON take about 200."""


def situations_(
    out: Path,
    /,
    *,
    traits: Annotated[str, Parameter(group=_FROM)] = "",
    inventory: Annotated[str, Parameter(group=_FROM)] = "ipip-neo-120",
    statements_from: Annotated[Path | None, Parameter(group=_FROM)] = None,
    writer: Annotated[str | None, Parameter(group=_WHO)] = None,
    judge: Annotated[tuple[str, ...], Parameter(group=_WHO, show_default=False)] = (),
    retries: Annotated[int, Parameter(group=_WHO)] = 2,
    statements: Annotated[int, Parameter(group=_HOW_MANY)] = 8,
    per_statement: Annotated[int, Parameter(group=_HOW_MANY)] = 5,
    spare: Annotated[int, Parameter(group=_HOW_MANY)] = 2,
    seed: int = 0,
    json: Json = False,
    options: ModelOptions = ModelOptions(),
) -> None:
    """Build a bank of situations with two options of the high and two of the low end of a trait.

    A writer makes statements of questionnaire items, situations of statements, options and a
    paraphrase of each; rules and judges drop what is faulty, and a card says what fell and why.
    Every reply is kept: after an interruption the same command goes on and asks nothing twice.

    Args:
        out: Folder of the bank; inventory.json in it is asked like any inventory.
        traits: Codes or names, separated by commas; all that there are where not given.
        inventory: Name or file of the questionnaire whose items the statements are made from.
        statements_from: A .csv, .json or .jsonl with trait and statement, taken as they are.
        writer: Who writes, such as openai:NAME or a local model. Where nobody is named, ready
            sentences are put together, which is good for trying it out and for nothing else.
        judge: A model that keys every item without knowing the key; give it again for more. Items
            stay where all judges agree, or all but one of two or more. Judges take the options of
            their kind, but for --temperature and --revision.
        retries: How often a reply that cannot be used is asked for anew.
        statements: Statements of each trait.
        per_statement: Situations of each statement; statements with fewer are left out.
        spare: Situations written beyond those, as some will fall.
        seed: Of everything that is drawn or sampled.
        json: Print JSON for machines.
        options: How models are loaded or asked.
    """
    from allport.corpora import RespondentWriter, build_situations, read_statements, seed_items

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder for the bank.")
    if writer is None and (options.temperature, options.revision) != (None, None):
        raise UsageError("--temperature and --revision are for the writer; name one with --writer.")
    wanted = listed(traits)
    seeds = (
        seed_items(inventory, wanted)
        if statements_from is None
        else read_statements(statements_from, wanted)
    )
    named = None
    if writer is not None:
        own = options.among(writer, (writer, *judge))
        tokens = options.answer_tokens or _WRITER_TOKENS
        named = RespondentWriter(replace(own, answer_tokens=tokens).load(writer))
    names = judge if writer is None else (writer, *judge)
    judges = [options.for_judge(name, names).load(name) for name in judge]
    notice(f"Folder: {out}")
    try:
        built = build_situations(
            out,
            seeds,
            writer=named,
            judges=judges,
            statements=statements,
            per_statement=per_statement,
            spare=spare,
            retries=retries,
            seed=seed,
            progress=None if json else "bar",
        )
    except KeyboardInterrupt:
        raise RunError(
            f"Interrupted; what was written is kept in {out}, and the same command goes on there."
        ) from None
    if json:
        print_json(_content(built, out))
        return
    _print(built, out)


def _content(built: BuiltSituations, folder: Path) -> dict[str, object]:
    from allport.reporting.content import to_json

    return {
        "folder": str(folder),
        "inventory": built.inventory.name,
        "items": {
            trait.code: sum(item.trait == trait.code for item in built.inventory.items)
            for trait in built.inventory.traits
        },
        "writer": built.writer,
        "judges": list(built.judges),
        "seed": built.seed,
        "replies_asked": built.replies_asked,
        "stages": [stage.as_json() for stage in built.stages],
        "found": to_json(dict(built.found)),
        "remarks": list(built.remarks),
        "files": dict(built.files),
    }


def _print(built: BuiltSituations, folder: Path) -> None:
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    screen = console()
    bank = built.inventory
    screen.print(
        f"{len(bank.items)} situations from {len({item.cluster for item in bank.items})} "
        f"statements, written by {printable(built.writer, 60)}.",
        style="bold",
    )
    table = plain_table("stage", "in", "out", "of no use", "why the rest fell", right=("in", "out"))
    for stage in built.stages:
        dropped = ", ".join(f"{why} {count}" for why, count in stage.dropped.most_common(3))
        table.add_row(
            stage.stage,
            f"{stage.given:,}",
            f"{stage.kept:,}",
            f"{stage.invalid.total():,} of {stage.replies:,}" if stage.replies else "",
            printable(dropped, 80),
        )
    screen.print(table)
    for name, estimate in built.found.items():
        shown = f"{estimate.value:.2f}"
        if estimate.low == estimate.low:
            shown += f" ({estimate.low:.2f} to {estimate.high:.2f})"
        if estimate.value != estimate.value:
            shown = f"not known: {estimate.reason}"
        screen.print(f"{printable(name, 80)}: {shown}")
    for remark in built.remarks:
        screen.print(f"! {printable(remark, 600)}", style="dim")
    screen.print(f"Card: {built.files['card']}")
    screen.print(f"Measure: `allport measure MODEL --inventory {built.files['inventory']}`")
