"""The two layouts of files of human answers: a row for each person, or one for each answer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.models.human_table import RawTable, numbers_of

__all__ = ["Content", "item_columns", "read_long", "read_wide"]

_ITEM_COLUMN = re.compile(r"([a-z]*?)[ _.-]?0*([1-9][0-9]*)")
_ITEM_PREFIXES = ("i", "item", "q", "")
_LISTED = 3


class Content(NamedTuple):
    """What a table says, with the way back to its cells."""

    ids: tuple[str, ...]
    values: NDArray[np.float64]
    """Answers as stored, shape (people, items)."""
    table: RawTable
    rows: NDArray[np.int64]
    """The table's row of each answer, shape (people, items) or (people, 1); -1 where there
    is none."""
    columns: tuple[str, ...]
    """The table's column of each item; one for all in a long table."""

    def where(self, person: int, item: int) -> str:
        """The place of an answer, for messages."""
        row = self.rows[person, min(item, self.rows.shape[1] - 1)]
        column = self.columns[min(item, len(self.columns) - 1)]
        return self.table.where(int(row), self.ids[person], column)


def item_columns(table: RawTable, inventory: Inventory) -> tuple[str, ...]:
    """The columns of a wide table that hold the answers to the inventory's items.

    Their names are item numbers, plain or after one prefix ("i1", "item_1", "Q001", "neo12").

    Returns:
        Column names in the order of the inventory's items; none where the table is not wide.

    Raises:
        ResponsesError: They do not cover the inventory, or go beyond it.
    """
    groups: dict[str, dict[int, str]] = {}
    for name in table.frame.columns:
        found = _ITEM_COLUMN.fullmatch(name.strip().lower())
        if found:
            prefix, number = found[1], int(found[2])
            if number in groups.setdefault(prefix, {}):
                raise ResponsesError(
                    f"{table.path.name}: columns {groups[prefix][number]!r} and {name!r} both name "
                    f"item {number}."
                )
            groups[prefix][number] = name
    wanted = set(inventory.numbers)
    # Columns such as "test1" and "test2" are no answers, unless they are most of an inventory.
    likely = [
        prefix
        for prefix, columns in groups.items()
        if prefix in _ITEM_PREFIXES or 2 * len(wanted & columns.keys()) > len(wanted)
    ]
    if not likely:
        return ()
    prefix = max(likely, key=lambda prefix: len(wanted & groups[prefix].keys()))
    columns = groups[prefix]
    missing, beyond = sorted(wanted - columns.keys()), sorted(columns.keys() - wanted)
    if missing or beyond:
        what = (
            f"no column for item {_some(missing)}"
            if missing
            else f"no item {_some(beyond)} in the inventory"
        )
        raise ResponsesError(
            f"{table.path.name} has {len(columns)} item columns, and {inventory.name} has "
            f"{len(wanted)} items: {what}."
        )
    return tuple(columns[number] for number in inventory.numbers)


def _person_of_rows(table: RawTable, column: str) -> list[str]:
    persons = table.frame[column].str.strip_chars().fill_null("")
    for row, person in enumerate(persons):
        if not person:
            raise ResponsesError(f"{table.where(row, None, column)}: the person has no id.")
    return list(persons)


def read_wide(
    table: RawTable, inventory: Inventory, person: str | None, columns: tuple[str, ...]
) -> Content:
    """Read a table with a row for each person.

    Args:
        table: The table.
        inventory: What was answered.
        person: Column of ids; None to number people from 1.
        columns: The column of each item (see `item_columns`).

    Raises:
        ResponsesError: An id is missing or given twice, or an answer is no number.
    """
    rows = len(table.frame)
    ids = (
        [str(number) for number in range(1, rows + 1)]
        if person is None
        else _person_of_rows(table, person)
    )
    if len(set(ids)) < rows:
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        again = [row for row, name in enumerate(ids) if name == twice][1]
        raise ResponsesError(
            f"{table.where(again, None, person)}: the id {twice!r} was given before, on "
            f"{table.unit} {table.lines[ids.index(twice)]}."
        )
    values = np.empty((rows, len(columns)))
    for position, (column, item) in enumerate(zip(columns, inventory.items, strict=True)):
        zero_is_missing = bool(inventory.option_values(item).min() > 0)
        values[:, position] = numbers_of(table, column, ids, zero_is_missing=zero_is_missing)
    return Content(tuple(ids), values, table, np.arange(rows)[:, None], columns)


def read_long(
    table: RawTable, inventory: Inventory, person: str | None, item: str, answer: str
) -> Content:
    """Read a table with a row for each answer.

    Args:
        table: The table.
        inventory: What was answered.
        person: Column of ids.
        item: Column of item numbers, plain or after a prefix.
        answer: Column of answers.

    Raises:
        ResponsesError: An id is missing, an answer is no number or given twice, or the items are
            not those of the inventory.
    """
    if person is None:
        raise ResponsesError(
            f"{table.path.name} has no column of people's ids beside {item!r} and {answer!r}; name "
            "it as the id column."
        )
    persons = _person_of_rows(table, person)
    order = {name: row for row, name in enumerate(dict.fromkeys(persons))}
    places = {str(number): place for place, number in enumerate(inventory.numbers)}
    given = numbers_of(table, answer, persons, zero_is_missing=False)
    lowest = [inventory.option_values(each).min() for each in inventory.items]
    values = np.full((len(order), len(places)), np.nan)
    rows = np.full(values.shape, -1, dtype=np.int64)
    names = table.frame[item].str.strip_chars().str.to_lowercase()
    # "i1", "Item_01" and "1" all say item 1; Parquet files may hold it as 1.0.
    numbers = names.str.extract(r"^[a-z]*[ _.-]?0*([1-9][0-9]*)(?:\.0+)?$")
    for row, (name, number) in enumerate(zip(persons, numbers, strict=True)):
        place = places.get(number)
        if place is None:
            raise ResponsesError(
                f"{table.where(row, name, item)}: {names[row]!r} is no item of {inventory.name}."
            )
        cell = (order[name], place)
        if rows[cell] >= 0:
            raise ResponsesError(
                f"{table.where(row, name, item)}: item {number} was answered before, on "
                f"{table.unit} {table.lines[rows[cell]]}."
            )
        rows[cell] = row
        is_missing = given[row] == 0 and lowest[place] > 0
        values[cell] = math.nan if is_missing else given[row]
    unanswered = np.flatnonzero((rows < 0).all(axis=0))
    if len(unanswered):
        raise ResponsesError(
            f"{table.path.name} has answers to {len(places) - len(unanswered)} items, and "
            f"{inventory.name} has {len(places)}: none to item {inventory.numbers[unanswered[0]]}."
        )
    return Content(tuple(order), values, table, rows, (answer,))


def _some(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_LISTED])
    return shown if len(numbers) <= _LISTED else f"{shown} and {len(numbers) - _LISTED} more"
