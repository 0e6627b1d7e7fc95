"""PAPI: what hundreds of thousands of people answered to the IPIP-NEO.

The corpora of the PAPI benchmark (Zhu et al., arXiv 2408.11779) are John A. Johnson's public
archive of IPIP-NEO answers: 307,313 people with 300 items, 619,150 with 120, and a test set of the
300 people nearest to cluster centres. They store answers keyed: an item with key -1 is reversed
already. Code that takes them for literal gives a persona the opposite of what the person said on
148 of the 300 items. Here they are literal on arrival, and the reader checks it by the figures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from allport.corpora.people import PeopleCorpus
from allport.corpora.people_files import PeopleTable, read_file, read_people_frame
from allport.corpora.splits import LONG_FORM, SHORT_FORM, short_form_numbers
from allport.errors import ResponsesError
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PAPI_CORPORA", "read_papi"]

PAPI_CORPORA = {
    "WestlakeNLP/PAPI-300K": LONG_FORM,
    "WestlakeNLP/PAPI-120-600K": SHORT_FORM,
}
"""Hub ids of the full corpora, and what their people answered."""

_ITEM = re.compile(r"[iI]0*([1-9][0-9]*)")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def read_papi(
    source: Path | str,
    *,
    where: pl.Expr | None = None,
    revision: str | None = None,
) -> PeopleCorpus:
    """Read people of a PAPI corpus: the test set or a full corpus.

    Items are matched by number (`i1` to `i300`, or `i1` to `i120` as the short form numbers them,
    or its 120 items under their numbers in the long form), never by position. A stored 0 is a
    missing answer. Sex is 1 for male and 2 for female, as in Johnson's archive.

    Args:
        source: A .json, .jsonl, .csv or .parquet file; or a hub id of `PAPI_CORPORA`, for which
            the `datasets` library is needed.
        where: Which people to read, such as `pl.col("country") == "USA"`.
        revision: Branch, tag or commit of a hub id.

    Returns:
        The people, answers literal.

    Raises:
        ResponsesError: The source cannot be had, or does not hold what it should; or its answers
            are not keyed, with the figure.
    """
    path = Path(source)
    if path.exists() or path.suffix or not _HUB_ID.fullmatch(str(source)):
        return read_file(path, where, _read)
    table = _scan_hub(str(source), revision)
    if where is not None:
        table = table._replace(frame=table.frame.filter(where))
    return replace(_read(table), name=table.name)


def _read(table: PeopleTable) -> PeopleCorpus:
    names = table.frame.collect_schema().names()
    if "case" not in {name.strip() for name in names}:
        raise ResponsesError(
            f"{table.name} has no column 'case' and is no file of PAPI; of another file say "
            "whether answers are stored literal or keyed (--stored)."
        )
    inventory, columns = _items(table.name, names)
    return read_people_frame(table, inventory, stored="keyed", id_column="case", columns=columns)


def _items(name: str, names: Sequence[str]) -> tuple[Inventory, dict[int, str]]:
    """What was answered, and the column of each item by its number there."""
    found: dict[int, str] = {}
    for column in names:
        match = _ITEM.fullmatch(column.strip())
        if match:
            found[int(match[1])] = column
    long = load_inventory(LONG_FORM)
    if set(found) == set(long.numbers):
        return long, found
    short = load_inventory(SHORT_FORM)
    if set(found) == set(short.numbers):
        return short, found
    in_long = short_form_numbers(long, short)
    if set(found) == set(in_long.values()):
        return short, {number: found[place] for number, place in in_long.items()}
    raise ResponsesError(
        f"{name} has {len(found)} item columns; PAPI has the 300 of {LONG_FORM} (i1 to i300) or "
        f"the 120 of {SHORT_FORM}."
    )


def _scan_hub(name: str, revision: str | None) -> PeopleTable:
    """A corpus of the hub, downloaded by the datasets library, which keeps it on disk."""
    import polars as pl

    try:
        load_dataset = import_module("datasets").load_dataset
    except ImportError:
        raise ResponsesError(
            f"Reading {name} from the Hugging Face hub needs the datasets library: pip install "
            "'allport[hub]'. A file of it can be read without: give its path."
        ) from None
    try:
        dataset = load_dataset(name, split="train", revision=revision)
        # In batches, and answers in two bytes: as they come, a population would fill gigabytes.
        batches = [_small(batch) for batch in dataset.to_polars(batch_size=20_000, batched=True)]
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise ResponsesError(
            f"{name} cannot be had from the Hugging Face hub ({reason}); check its name and your "
            "connection, or give the path of a file of it."
        ) from None
    return PeopleTable(name, pl.concat(batches).lazy())


def _small(batch: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    items = [name for name in batch.columns if _ITEM.fullmatch(name.strip())]
    wide = [name for name in items if batch[name].dtype in (pl.Int32, pl.Int64)]
    return batch.with_columns(pl.col(wide).clip(-1, 1000).cast(pl.Int16)) if wide else batch
