"""Files of human answers: reading them with their declaration checked, and writing them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from allport.errors import ResponsesError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory
from allport.models.human_answers import (
    HumanAnswers,
    choice_values,
    first_off_scale,
    has_own_options,
)
from allport.models.human_layouts import Content, item_columns, read_long, read_wide
from allport.models.human_table import RawTable, read_table
from allport.psychometrics.styles import check_keying

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Stored", "checked_keying", "read_human_answers", "write_human_answers"]

Stored = Literal["keyed", "literal"]
"""How a file stores answers: as they were given, or with items of key -1 reversed already."""

_ID_COLUMNS = ("id", "case", "person", "participant", "respondent", "subject", "user")
_EXTRA_COLUMNS = frozenset(
    {
        *("sex", "gender", "age", "country", "language", "education", "occupation", "ethnicity"),
        *("date", "time", "duration", "group", "sample", "site", "source", "weight", "wave"),
    }
)
_LONG_ITEM = ("item", "item_number", "number", "question")
_LONG_ANSWER = ("answer", "response", "value", "literal", "keyed")


def read_human_answers(
    path: Path | str,
    inventory: Inventory,
    *,
    stored: Stored,
    id_column: str | None = None,
    extra_columns: Sequence[str] = (),
) -> HumanAnswers:
    """Read a CSV, TSV or Parquet file of human answers.

    A wide file has a row for each person and a column for each item, named by its number, plain or
    after a prefix (`1`, `i1`, `item_1`). A long file has a row for each answer, with columns for
    the person, the item (`item`) and the answer (`answer`). Empty cells, NA, and 0 where the item's
    scale starts above 0, are missing answers. People without an id column are numbered from 1.

    Answers to items on the response scale are values of the scale. Answers to items with options of
    their own, such as situations, are numbers of options: 1 for the first in the inventory.

    Whether the file is what `stored` says is checked with the correlations of items of one facet
    with opposite keys: positive where answers are keyed, negative where they are literal. Where the
    file is too small to tell, `note` says so.

    Args:
        path: The file.
        inventory: What was answered.
        stored: "literal" for answers as given, "keyed" where items with key -1 are reversed
            already.
        id_column: Column of the people's ids; by default `id`, `case`, `person` and their like.
        extra_columns: Further columns about people to keep; the usual ones (sex, age, country and
            their like) are kept without being named.

    Raises:
        ResponsesError: The file does not hold what it should, with file, line, person and column;
            or it contradicts `stored`, with the figure.
    """
    table = read_table(Path(path))
    names = {name.strip().lower(): name for name in table.frame.columns}
    if id_column is not None and id_column not in table.frame.columns:
        raise ResponsesError(
            f"{table.path.name} has no column {id_column!r} for people's ids; it has "
            f"{', '.join(table.frame.columns[:8])}."
        )
    person = id_column or _first(names, _ID_COLUMNS)
    item, answer = _first(names, _LONG_ITEM), _first(names, _LONG_ANSWER)
    if item is not None and answer is not None:
        content = read_long(table, inventory, person, item, answer)
        used = {person, item, answer}
    else:
        columns = item_columns(table, inventory)
        if not columns:
            raise ResponsesError(
                f"{table.path.name} has no columns named by item numbers (i1, i2, …) and none "
                "named 'item' and 'answer'."
            )
        content = read_wide(table, inventory, person, columns)
        used = {person, *columns}
    rest = [name for name in table.frame.columns if name not in used]
    kept = {*extra_columns, *(names[name] for name in _EXTRA_COLUMNS if name in names)}
    unknown = [name for name in rest if name not in kept]
    if unknown:
        raise ResponsesError(
            f"{table.path.name}: column {unknown[0]!r} is neither an item of {inventory.name} nor "
            "known; remove it, or name it among the extra columns."
        )
    people = _people(table, content, rest)
    values, chosen = _chosen(content, inventory)
    literal = values if stored == "literal" else inventory.literal(values)
    wrong = first_off_scale(literal, inventory)
    if wrong is not None:
        value = values[wrong.row, wrong.column]
        where = content.where(wrong.row, wrong.column)
        raise ResponsesError(f"{where}: {value:g} is not on the scale ({wrong.scale}).")
    note = checked_keying(table.path.name, values, inventory, stored)
    return HumanAnswers(table.path.stem, inventory, people, literal, note, chosen)


def _chosen(
    content: Content, inventory: Inventory
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Answers as stored with the values of options in place of their numbers, and the indices of
    these options; None where the file has no numbers of options.
    """
    own = has_own_options(inventory)
    if not own.any():
        return content.values, None
    chosen = np.where(own, content.values - 1, np.nan)
    found = choice_values(chosen, inventory)
    wrong = np.argwhere(~np.isnan(chosen) & np.isnan(found))
    if len(wrong):
        row, column = (int(index) for index in wrong[0])
        item = inventory.items[column]
        raise ResponsesError(
            f"{content.where(row, column)}: {content.values[row, column]:g} is no option of item "
            f"{item.number}; give the number of the option chosen, 1 to {len(item.options)} in the "
            "order of the inventory, and not what it speaks for."
        )
    return np.where(own, found, content.values), chosen


def write_human_answers(
    answers: HumanAnswers, path: Path | str, *, stored: Stored = "literal"
) -> Path:
    """Write a wide file (`id`, what is known of people, `i1`, `i2`, …), CSV or Parquet by ending.

    Of items with options of their own the number of the option is written; see
    `read_human_answers`.

    Args:
        answers: What to write.
        path: The file; it is written whole or not at all.
        stored: Whether answers are written as given or keyed; say the same when reading it.

    Raises:
        ResponsesError: The ending is neither .csv nor .parquet, or it is not known which option
            of an item was chosen.
    """
    import polars as pl

    path = Path(path)
    values = answers.literal if stored == "literal" else answers.keyed
    own = has_own_options(answers.inventory)
    if own.any():
        unknown = np.argwhere(own & np.isnan(answers.choices) & ~np.isnan(answers.literal))
        if len(unknown):
            row, column = (int(index) for index in unknown[0])
            raise ResponsesError(
                f"{answers.name}, person {answers.ids[row]}: which option of item "
                f"{answers.inventory.numbers[column]} was chosen is not known, so the file cannot "
                "name it; give HumanAnswers what was chosen."
            )
        values = np.where(own, answers.choices + 1, values)
    whole = bool(np.all(np.isnan(values) | (values == np.round(values))))
    columns = [
        pl.Series(f"i{number}", values[:, column]).fill_nan(None)
        for column, number in enumerate(answers.inventory.numbers)
    ]
    frame = answers.people.hstack([c.cast(pl.Int64) if whole else c for c in columns])
    buffer = io.BytesIO()
    if path.suffix.lower() == ".csv":
        frame.write_csv(buffer)
    elif path.suffix.lower() == ".parquet":
        frame.write_parquet(buffer)
    else:
        raise ResponsesError(f"Human answers are written as .csv or .parquet, not {path.name!r}.")
    return write_atomically(path, buffer.getvalue())


def _first(names: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _people(table: RawTable, content: Content, extra: Sequence[str]) -> pl.DataFrame:
    """One row a person, with numbers as numbers where a whole column is."""
    import polars as pl

    # Any of a person's rows says the same of them; that is checked.
    first = content.rows.max(axis=1)
    people = table.frame[first.tolist()].select(extra)
    if content.rows.shape[1] > 1:
        of_row = np.empty(len(table.frame), dtype=np.int64)
        for person, rows in enumerate(content.rows):
            of_row[rows[rows >= 0]] = person
        for name in extra:
            differs = (people[name][of_row.tolist()].ne_missing(table.frame[name])).arg_true()
            if len(differs):
                row = int(differs[0])
                raise ResponsesError(
                    f"{table.where(row, content.ids[of_row[row]], name)}: the person has another "
                    "value elsewhere in the file."
                )
    ids = pl.Series("id", content.ids, dtype=pl.String)
    columns = [_plain(people[name]) for name in extra if name.lower() != "id"]
    return pl.DataFrame([ids, *columns])


def _plain(texts: pl.Series) -> pl.Series:
    """A column of text as whole numbers or numbers, where every cell is one."""
    import polars as pl

    texts = texts.str.strip_chars()
    texts = texts.set(texts == "", None)
    for kind in (pl.Int64, pl.Float64):
        numbers = texts.cast(kind, strict=False)
        if numbers.null_count() == texts.null_count():
            return numbers
    return texts


def checked_keying(
    name: str, values: NDArray[np.float64], inventory: Inventory, stored: Stored
) -> str:
    """A note where a file cannot tell how it is stored; empty where it agrees with `stored`.

    Args:
        name: What to call the file.
        values: Answers as stored, shape (people, items); NaN where missing.
        inventory: What was answered.
        stored: What the file was declared to be.

    Raises:
        ResponsesError: It tells the opposite of what was declared.
    """
    facets = [item.facet or item.trait for item in inventory.items]
    if not (inventory.keys == -1).any():
        return ""  # keyed and literal are the same
    check = check_keying(values, inventory.keys, facets)
    if check.verdict == "undecided":
        other = "literal" if stored == "keyed" else "keyed"
        return (
            f"{name} is taken as {stored}, which could not be checked: {check.reason}; if its "
            f"answers are {other}, say so (--stored {other})."
        )
    if check.verdict != stored:
        raise ResponsesError(
            f"{name} was declared {stored}, but {check.reason}; declare it {check.verdict}, or "
            "look at its answers."
        )
    return ""
