"""Files of many people's answers: read through lazy Polars frames, checked, and written."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.corpora.people import MISSING, PeopleCorpus, reverse_codes
from allport.errors import ResponsesError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory
from allport.models.human_files import Stored, checked_keying
from allport.models.human_layouts import item_columns
from allport.models.human_table import RawTable, about_column, ages_of, is_missing, sexes_of

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "PeopleTable",
    "read_file",
    "read_people",
    "read_people_frame",
    "scan_people",
    "write_people",
]

_ID_COLUMNS = ("id", "case", "person", "participant", "respondent", "subject", "user")
_ENDINGS = ".csv, .tsv, .json, .jsonl, .ndjson or .parquet"
# More people than this would only make the check of the keying slow.
_CHECKED = 20_000


class PeopleTable(NamedTuple):
    """A file of people's answers before it is read."""

    name: str
    frame: pl.LazyFrame
    """A row for each person; columns as the file names them."""


def scan_people(path: Path | str, *, as_text: bool = False) -> PeopleTable:
    """Open a wide file of people's answers without reading it.

    The frame can be filtered and joined as Polars can; give it to `read_people_frame`.

    Args:
        path: A .csv, .tsv, .json (a list of objects), .jsonl, .ndjson or .parquet file.
        as_text: Take the item columns of CSV files as text and not as whole numbers, where cells
            such as NA stand among them. It costs a population gigabytes.

    Raises:
        ResponsesError: There is no such file, or it cannot be opened as what its ending says.
    """
    import polars as pl

    path = Path(path)
    if not path.is_file():
        raise ResponsesError(f"There is no file {path}.")
    kind = path.suffix.lower()
    try:
        match kind:
            case ".csv" | ".tsv":
                frame = _scan_csv(path, "\t" if kind == ".tsv" else ",", as_text)
            case ".json":
                frame = pl.read_json(path, infer_schema_length=None).lazy()
            case ".jsonl" | ".ndjson":
                frame = pl.scan_ndjson(path, infer_schema_length=None)
            case ".parquet":
                frame = pl.scan_parquet(path, glob=False)
            case _:
                raise ResponsesError(f"{path.name} is read by its ending; give {_ENDINGS}.")
        frame.collect_schema()
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise _unreadable(path.name, error) from None
    return PeopleTable(path.name, frame)


def read_people(
    path: Path | str,
    inventory: Inventory,
    *,
    stored: Stored,
    id_column: str | None = None,
    where: pl.Expr | None = None,
) -> PeopleCorpus:
    """Read a wide file of people's answers: a row for each person, a column for each item.

    Item columns are named by item numbers, plain or after a prefix (`1`, `i1`, `item_1`) and are
    matched by them, never by position. Empty cells, NA and 0 are missing answers. Of the other
    columns the id, `sex` (female, F, woman or 2; male, M, man or 1), `age` and `country` are kept.
    Ages that are none from 1 to 120 years are missing, and the corpus' `note` counts them.

    Args:
        path: The file; see `scan_people`.
        inventory: What was answered; a Likert inventory with whole values from 1 up.
        stored: "literal" for answers as given, "keyed" where items with key -1 are reversed
            already. It is checked, see `read_people_frame`.
        id_column: Column of the people's ids; by default `id`, `case` and their like. Without one,
            people are numbered from 1.
        where: Which people to read, such as `pl.col("country") == "USA"`.

    Raises:
        ResponsesError: The file does not hold what it should, with person and column; or it
            contradicts `stored`, with the figure.
    """

    def read(table: PeopleTable) -> PeopleCorpus:
        return read_people_frame(table, inventory, stored=stored, id_column=id_column)

    return read_file(path, where, read)


def read_file(
    path: Path | str, where: pl.Expr | None, read: Callable[[PeopleTable], PeopleCorpus]
) -> PeopleCorpus:
    """Open a file, take the people asked for, and read them, once more as text where need be.

    Args:
        path: The file; see `scan_people`.
        where: Which people to read; all by default.
        read: What makes a corpus of the opened table.
    """
    import polars as pl

    def selected(table: PeopleTable) -> PeopleTable:
        return table if where is None else table._replace(frame=table.frame.filter(where))

    try:
        return read(selected(scan_people(path)))
    except ResponsesError as error:
        if not isinstance(error.__cause__, pl.exceptions.PolarsError):
            raise
    # A cell is no whole number; as text it is understood, or named in the message.
    return read(selected(scan_people(path, as_text=True)))


def read_people_frame(
    table: PeopleTable,
    inventory: Inventory,
    *,
    stored: Stored,
    id_column: str | None = None,
    columns: Mapping[int, str] | None = None,
) -> PeopleCorpus:
    """Read people from an opened table; see `read_people`.

    Whether answers are stored as declared is told by items of one facet with opposite keys: they
    correlate positively where answers are keyed and negatively where they are literal. Where the
    people are too few to tell, the corpus' `note` says so.

    Args:
        table: An opened file, filtered as you like.
        inventory: What was answered.
        stored: How answers are stored.
        id_column: Column of the people's ids.
        columns: Column of each item by number, where names do not tell.

    Raises:
        ResponsesError: See `read_people`.
    """
    import polars as pl

    try:
        names = table.frame.collect_schema().names()
        of_items = (
            _item_columns(table.name, names, inventory)
            if columns is None
            else tuple(columns[number] for number in inventory.numbers)
        )
        person = _id_column(table.name, names, id_column)
        about_columns = _about_columns(names, person)
        # One pass over the source; afterwards the item columns become bytes and go.
        frame = table.frame.select(*of_items, *about_columns.values()).collect()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(table.name, error) from error
    if not len(frame):
        raise ResponsesError(f"{table.name} holds no people.")
    about, about_note = _about(frame, about_columns)
    codes = _codes(table.name, frame, of_items, about["id"], inventory)
    sample = codes[:: max(1, len(codes) // _CHECKED)].astype(np.float64)
    sample[sample == MISSING] = np.nan
    note = checked_keying(table.name, sample, inventory, stored)
    literal = codes if stored == "literal" else reverse_codes(codes, inventory)
    name = Path(table.name).stem
    notes = " ".join(each for each in (note, about_note) if each)
    return PeopleCorpus(name, inventory, about, literal, note=notes)


def write_people(corpus: PeopleCorpus, path: Path | str, *, stored: Stored = "literal") -> Path:
    """Write a wide file (`id`, what is known of people, `i1`, `i2`, …), CSV or Parquet by ending.

    Args:
        corpus: Who.
        path: The file; it is written whole or not at all.
        stored: Whether answers are written as given or keyed; say the same when reading it.

    Raises:
        ResponsesError: The ending is neither .csv nor .parquet.
    """
    import polars as pl

    path = Path(path)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ResponsesError(f"People are written as .csv or .parquet, not {path.name!r}.")
    codes = corpus.literal_codes if stored == "literal" else corpus.keyed_codes()
    columns = [
        pl.Series(f"i{number}", codes[:, column]).replace(MISSING, None)
        for column, number in enumerate(corpus.inventory.numbers)
    ]
    frame = corpus.about.hstack(columns)
    buffer = io.BytesIO()
    if path.suffix.lower() == ".csv":
        frame.write_csv(buffer)
    else:
        frame.write_parquet(buffer)
    return write_atomically(path, buffer.getvalue())


def _scan_csv(path: Path, separator: str, as_text: bool) -> pl.LazyFrame:
    import polars as pl

    texts = pl.scan_csv(path, separator=separator, infer_schema=False)
    if as_text:
        return texts
    kinds = {
        name: pl.Int16 if name.strip(" iIqQ_.-").isdigit() else pl.String
        for name in texts.collect_schema().names()
    }
    return pl.scan_csv(path, separator=separator, schema=kinds)


def _item_columns(name: str, names: Sequence[str], inventory: Inventory) -> tuple[str, ...]:
    import polars as pl

    heads = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    columns = item_columns(RawTable(Path(name), heads, np.empty(0, np.int64), "row"), inventory)
    if not columns:
        raise ResponsesError(
            f"{name} has no columns named by item numbers (i1, i2, …); it has "
            f"{', '.join(names[:8])}."
        )
    return columns


def _id_column(name: str, names: Sequence[str], wanted: str | None) -> str | None:
    if wanted is not None and wanted not in names:
        raise ResponsesError(
            f"{name} has no column {wanted!r} for people's ids; it has {', '.join(names[:8])}."
        )
    plain = {each.strip().lower(): each for each in names}
    return wanted or next((plain[each] for each in _ID_COLUMNS if each in plain), None)


def _about_columns(names: Sequence[str], person: str | None) -> dict[str, str]:
    found = {} if person is None else {"id": person}
    for kind in ("sex", "age", "country"):
        column = about_column(names, kind)
        if column is not None and column != person:
            found[kind] = column
    return found


def _about(frame: pl.DataFrame, columns: Mapping[str, str]) -> tuple[pl.DataFrame, str]:
    """What is known of people, and a note on what could not be taken."""
    import polars as pl

    note = ""
    kept = {
        kind: frame[column].cast(pl.String).str.strip_chars() for kind, column in columns.items()
    }
    people = len(frame)
    series = [kept.get("id", pl.Series([str(row + 1) for row in range(people)])).alias("id")]
    series[0] = series[0].set(series[0] == "", None)
    if "sex" in kept:
        series.append(sexes_of(kept["sex"]).alias("sex"))
    if "age" in kept:
        years, note = ages_of(kept["age"])
        series.append(years.alias("age"))
    if "country" in kept:
        series.append(kept["country"].alias("country"))
    return pl.DataFrame(series), note


def _codes(
    name: str, frame: pl.DataFrame, columns: Sequence[str], ids: pl.Series, inventory: Inventory
) -> NDArray[np.int8]:
    """Answers as stored in bytes, shape (people, items); 0 where missing."""
    import polars as pl

    low, high = inventory.scale[0].value, inventory.scale[-1].value
    codes = np.empty((len(frame), len(columns)), dtype=np.int8)
    for place, column in enumerate(columns):
        cells = frame[column]
        if cells.dtype.is_integer() and low == 1:
            # The way of a clean column, many times as fast as finding fault with one.
            whole = cells.fill_null(MISSING)
            if whole.is_between(MISSING, int(high)).all():
                codes[:, place] = whole.cast(pl.Int8).to_numpy()
                continue
        values = _numbers(name, cells, ids)
        wrong = (values != MISSING) & ((values < low) | (values > high) | (values % 1 != 0))
        if wrong.any():
            row = int(wrong.argmax())
            raise ResponsesError(
                f"{name}, person {ids[row]}, column {column!r}: {values[row]:g} is not on the "
                f"scale ({low:g} to {high:g}; 0 or empty where missing)."
            )
        codes[:, place] = values
    return codes


def _numbers(name: str, cells: pl.Series, ids: pl.Series) -> NDArray[np.float64]:
    """A column's cells as numbers, 0 where nothing was answered, shape (people,)."""
    import polars as pl

    if cells.dtype.is_numeric():
        numbers = cells.cast(pl.Float64).fill_nan(None)
    else:
        texts = cells.cast(pl.String).str.strip_chars()
        missing = is_missing(texts)
        numbers = texts.cast(pl.Float64, strict=False)
        wrong = (~missing & ~numbers.is_finite().fill_null(False)).arg_true()
        if len(wrong):
            row = int(wrong[0])
            raise ResponsesError(
                f"{name}, person {ids[row]}, column {cells.name!r}: {texts[row]!r} is no number."
            )
        numbers = numbers.set(missing, None)
    return np.asarray(numbers.fill_null(float(MISSING)).to_numpy(), dtype=np.float64)


def _unreadable(name: str, error: Exception) -> ResponsesError:
    reason = str(error).split("\n")[0].rstrip(".")
    return ResponsesError(f"{name} cannot be read as a table of people: {reason}.")
