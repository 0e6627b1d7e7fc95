"""`allport score`: answers that people gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from allport.cli.output import Flag, Json, console, print_json
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.administration import PeopleScores
    from allport.inventories import Inventory
    from allport.models import HumanAnswers

__all__ = ["score"]

_MOST_PROFILES = 5


def score(
    file: Path,
    /,
    *,
    inventory: str | None = None,
    stored: Literal["keyed", "literal"] | None = None,
    sex: Literal["female", "male"] | None = None,
    age: int | None = None,
    norms: str | None = None,
    id_column: str | None = None,
    facets: Flag = False,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Score answers that people gave: a CSV, a Parquet or a person file.

    A few people are shown as profiles; many as one table of means and reliabilities, and each
    person's scores are written with --out.

    Args:
        file: CSV or Parquet with one row a person (columns i1, i2, …) or one row an answer, of
            situations the number of the option chosen; or a person file (.json).
        inventory: What was answered; a person file says it itself.
        stored: literal for answers as given, keyed where reversed items are reversed already.
        sex: Of everybody the file does not tell it of; chooses the norms.
        age: Likewise, in years.
        norms: One norm group for everybody, such as women-21-40.
        id_column: Column of the people's ids, where it has no usual name.
        facets: Show facets under their traits.
        out: Write every score of every person to this .csv, .parquet or .json file.
        json: Print JSON for machines.
    """
    from allport.administration import score as score_people

    answers, note = _read(file, inventory, stored, id_column)
    scores = score_people(answers, sex=sex, age=age, norm=norms)
    if out is not None:
        _write(scores, out)
    if json:
        print_json(
            {
                "name": scores.name,
                "inventory": scores.inventory,
                "people": len(answers.ids),
                "simulated": note == "simulated",
                "notes": list(scores.notes),
                "scores": scores.scores.to_dicts(),
                "reliability": scores.reliability.to_dicts(),
            }
        )
        return
    if len(answers.ids) <= _MOST_PROFILES:
        _print_profiles(scores, answers.inventory, note, facets)
    else:
        _print_sample(scores, answers, facets)
    out_console = console()
    for each in scores.notes:
        out_console.print(f"! {each}", style="yellow")
    if out is not None:
        out_console.print(f"Scores: {out}")


def _read(
    file: Path, name: str | None, stored: str | None, id_column: str | None
) -> tuple[HumanAnswers, str]:
    from allport.inventories import load_inventory
    from allport.models import read_human_answers
    from allport.personas import read_person
    from allport.reporting import answers_of

    if file.suffix.lower() == ".json":
        for option, value in (("stored", stored), ("id-column", id_column)):
            if value is not None:
                raise UsageError(f"--{option} is for tables; a person file says it itself.")
        inventory = None if name is None else load_inventory(name, with_text=False)
        person = read_person(file, inventory)
        return answers_of(person), "simulated" if person.simulated else ""
    if name is None:
        raise UsageError("Say what was answered with --inventory, such as ipip-neo-120.")
    if stored not in ("keyed", "literal"):
        raise UsageError(
            "Say how the file stores answers: --stored literal as they were given, --stored keyed "
            "where reversed items are reversed already."
        )
    inventory = load_inventory(name, with_text=False)
    kept: Literal["keyed", "literal"] = "keyed" if stored == "keyed" else "literal"
    return read_human_answers(file, inventory, stored=kept, id_column=id_column), ""


def _write(scores: PeopleScores, out: Path) -> None:
    import io

    from allport.errors import RunError
    from allport.files import write_atomically

    buffer = io.BytesIO()
    match out.suffix.lower():
        case ".csv":
            scores.scores.write_csv(buffer)
        case ".parquet":
            scores.scores.write_parquet(buffer)
        case ".json":
            scores.scores.write_json(buffer)
        case _:
            raise UsageError(f"--out takes a .csv, .parquet or .json file, not {out}.")
    try:
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise RunError(
            f"{out} cannot be written ({error.strerror or error}); name another file."
        ) from None


def _print_profiles(scores: PeopleScores, inventory: Inventory, note: str, facets: bool) -> None:
    from allport.reporting import people_subjects
    from allport.reporting.terminal import print_subject

    out = console()
    for subject in people_subjects(scores, inventory, note=note):
        print_subject(out, subject, inventory.title, facets=facets)


def _print_sample(scores: PeopleScores, answers: HumanAnswers, facets: bool) -> None:
    from allport.reporting.palette import number, reliability
    from allport.reporting.terminal import plain_table

    out = console()
    count = len(answers.ids)
    out.print(f"{scores.name}: {count:,} people · {answers.inventory.title}\n", style="bold")
    heads = ("Items", "People", "Mean", "SD", "Alpha", "95% interval", "SEM")
    table = plain_table("Scale", *heads, right=heads)
    of_facet = {facet.code: facet.trait for facet in answers.inventory.facets}
    rows = scores.reliability.to_dicts()
    nan = float("nan")
    for trait in (row for row in rows if row["kind"] == "trait"):
        parts = [row for row in rows if of_facet.get(row["code"]) == trait["code"]]
        for row in (trait, *(parts if facets else ())):
            low, high = row["alpha_low"], row["alpha_high"]
            table.add_row(
                row["name"] if row is trait else f"  {row['name']}",
                str(row["items"]),
                f"{row['people']:,}",
                number(_or(row["mean"], nan), 1),
                number(_or(row["sd"], nan), 1),
                reliability(_or(row["alpha"], nan)),
                "–" if low is None else f"{reliability(low)} to {reliability(high)}",
                number(_or(row["sem"], nan)),
                style="" if row is trait else "dim",
            )
    out.print(table)
    out.print("\nMeans, SD and SEM are of sums over the items.", style="dim")


def _or(value: float | None, instead: float) -> float:
    return instead if value is None else value
