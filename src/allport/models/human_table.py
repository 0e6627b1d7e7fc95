"""Tables of human answers on disk, cell by cell, before anything is made of them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ResponsesError

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Ages",
    "RawTable",
    "about_column",
    "ages_of",
    "is_missing",
    "numbers_of",
    "read_table",
    "sexes_of",
]

_MISSING = ("", "na", "n/a", "nan", "null", "none", ".")
"""Cells that say that nothing was answered, in lower case."""

_SEXES: Final = {
    **dict.fromkeys(("1", "m", "male", "man"), "male"),
    **dict.fromkeys(("2", "f", "female", "woman"), "female"),
}
"""Words for the two sexes that norms have; the numbers are those of Johnson's IPIP-NEO archive."""

_SEPARATORS = {".csv": ",;\t", ".tsv": "\t"}


class RawTable(NamedTuple):
    """A file's cells as text, before anything is made of them."""

    path: Path
    frame: pl.DataFrame
    """Every column as text; null where a Parquet file holds null."""
    lines: NDArray[np.int64]
    """Where each row stands in the file, counted from 1, shape (rows,)."""
    unit: str
    """What `lines` counts: "line" or "row"."""

    def where(self, row: int, person: str | None = None, column: str | None = None) -> str:
        """The place of a cell, for messages."""
        place = f"{self.path.name}, {self.unit} {self.lines[row]}"
        if person is not None:
            place += f" (person {person})"
        return place if column is None else f"{place}, column {column!r}"


def read_table(path: Path) -> RawTable:
    """Read a CSV, TSV or Parquet file as text.

    Raises:
        ResponsesError: The file is not there, or is no such table.
    """
    import polars as pl

    if not path.is_file():
        raise ResponsesError(f"There is no file {path}.")
    kind = path.suffix.lower()
    if kind not in (*_SEPARATORS, ".parquet"):
        raise ResponsesError(
            f"{path.name} is read as CSV, TSV or Parquet, by its ending; give one."
        )
    try:
        if kind == ".parquet":
            frame = pl.read_parquet(path, glob=False)
            lines = np.arange(1, len(frame) + 1)
            texts = frame.with_columns(pl.all().cast(pl.String))
            return _not_empty(RawTable(path, texts, lines, "row"))
        separator, lines, is_blank = _checked_lines(path, _SEPARATORS[kind])
        frame = pl.read_csv(
            path, separator=separator, infer_schema=False, empty_string_is_null=False, glob=False
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n")[0]
        raise ResponsesError(
            f"{path.name} cannot be read as {kind[1:].upper()}: {reason}."
        ) from None
    if len(frame) != len(lines):  # the two readers disagree about where records end
        raise ResponsesError(
            f"{path.name} has {len(lines)} records, of which {len(frame)} can be read; check "
            "its quotes."
        )
    return _not_empty(RawTable(path, frame.filter(~is_blank), lines[~is_blank], "line"))


def _not_empty(table: RawTable) -> RawTable:
    if not len(table.frame):
        raise ResponsesError(f"{table.path.name} holds no answers.")
    return table


class _Lines(NamedTuple):
    separator: str
    lines: NDArray[np.int64]
    """Line of each record, shape (records,)."""
    is_blank: NDArray[np.bool_]


def _checked_lines(path: Path, separators: str) -> _Lines:
    """Where each record stands, once every record has as many cells as the head of the table.

    A record that is cut short would otherwise pass for one with missing answers.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            head = handle.readline()
            separator = max(separators, key=head.count)
            handle.seek(0)
            records = csv.reader(handle, delimiter=separator)
            names = next(records, [])
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ResponsesError(f"{path.name} has two columns {twice[0]!r}.")
            lines: list[int] = []
            is_blank: list[bool] = []
            for record in records:
                if record and len(record) != len(names):
                    raise ResponsesError(
                        f"{path.name}, line {records.line_num}: {len(record)} cells, but the head "
                        f"of the table has {len(names)}."
                    )
                lines.append(records.line_num)
                is_blank.append(not record)
    except UnicodeDecodeError as error:
        raise ResponsesError(
            f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start}); save it "
            "as UTF-8."
        ) from None
    except (OSError, csv.Error) as error:
        raise ResponsesError(f"{path.name} cannot be read: {error}.") from None
    return _Lines(separator, np.array(lines, dtype=np.int64), np.array(is_blank, dtype=np.bool_))


def numbers_of(
    table: RawTable, column: str, persons: Sequence[str], *, zero_is_missing: bool
) -> NDArray[np.float64]:
    """A column's cells as numbers, NaN where nothing was answered, shape (rows,).

    Args:
        table: The table.
        column: The column's name.
        persons: Who each row speaks of, for messages.
        zero_is_missing: Whether 0 stands for no answer.

    Raises:
        ResponsesError: A cell is no number.
    """
    import polars as pl

    texts = table.frame[column].str.strip_chars()
    missing = is_missing(texts)
    numbers = texts.cast(pl.Float64, strict=False)
    wrong = (~missing & ~numbers.is_finite().fill_null(False)).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise ResponsesError(
            f"{table.where(row, persons[row], column)}: {texts[row]!r} is no number."
        )
    values: NDArray[np.float64] = np.where(
        missing.to_numpy(), np.nan, numbers.fill_null(np.nan).to_numpy()
    )
    if zero_is_missing:
        values[values == 0] = np.nan
    return values


def is_missing(texts: pl.Series) -> pl.Series:
    """Which cells say that nothing was answered: empty ones, NA and its like, shape (rows,).

    Args:
        texts: Cells as text without spaces around it, shape (rows,).
    """
    return texts.is_null() | texts.str.to_lowercase().is_in(_MISSING)


def about_column(names: Iterable[str], kind: str) -> str | None:
    """The column that tells something of people, whatever its capitals; None where there is none.

    Args:
        names: Of all columns.
        kind: "sex", which may also be called gender, "age" or "country".
    """
    plain = {name.strip().lower(): name for name in names}
    return plain.get(kind) or (plain.get("gender") if kind == "sex" else None)


def sexes_of(cells: pl.Series) -> pl.Series:
    """The sex that each cell tells, "female" or "male", shape (people,); null where it is neither.

    Words (female, F, woman) count in any case; 1 is male and 2 is female.
    """
    import polars as pl

    texts = _stripped(cells).str.to_lowercase().str.strip_suffix(".0")
    return texts.replace_strict(_SEXES, default=None, return_dtype=pl.String)


class Ages(NamedTuple):
    """People's ages as a file tells them."""

    years: pl.Series
    """In whole years, 1 to 120, shape (people,); null where there is no such age."""
    note: str
    """How many cells hold something else than an age, in a sentence; empty where none does."""


def ages_of(cells: pl.Series) -> Ages:
    """The age that each cell tells. What nobody's age can be is missing, and is counted.

    Such ages are typing errors or jokes; the answers may hold all the same.
    """
    import polars as pl

    texts = _stripped(cells)
    years = texts.cast(pl.Float64, strict=False)
    years = years.set(~years.is_between(1, 120), None).cast(pl.Int64)
    wrong = int((years.is_null() & ~is_missing(texts)).sum())
    note = f"Taken as missing: {wrong} of {len(cells)} ages, which are not from 1 to 120 years."
    return Ages(years, note if wrong else "")


def _stripped(cells: pl.Series) -> pl.Series:
    import polars as pl

    return cells.cast(pl.String).str.strip_chars()
