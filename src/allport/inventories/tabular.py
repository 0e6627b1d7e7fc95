"""Inventories as CSV, for those who keep them in a spreadsheet.

One file holds all. Lines that begin with `#` come first and say what the questionnaire is; then a
header and one line an item:

    # title: My scale
    # stem: I
    # option: 1 = Disagree
    # option: 2 = Neither
    # option: 3 = Agree
    # trait: W = Warmth
    number,text,trait,facet,key
    1,like to hug people.,W,,1
    2,keep my distance.,W,,-1

`facet` may be left out, and so may every `#` line whose value may be left out of any inventory
file. Commas, semicolons and tabs separate cells; the header tells which.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from allport.errors import InventoryError
from allport.inventories.inventory import Inventory

__all__ = ["Table", "inventory_csv", "parse_csv", "read_table"]

_COLUMNS = ("number", "text", "trait", "facet", "key")
_ABOUT = (
    "name", "title", "version", "language", "stem", "scoring", "norms", "licence", "source",
    "notes", "n_items",
)  # fmt: skip
_ENTRIES = ("option", "trait", "facet")
_KEYS = {"1": 1, "+1": 1, "+": 1, "-1": -1, "-": -1, "−1": -1, "−": -1}

N = TypeVar("N", int, float)


class Row(NamedTuple):
    """One line of a table."""

    line: int
    """Number of its last line in the file, from 1."""
    cells: dict[str, str]
    """Content by column name."""


class Table(NamedTuple):
    """A CSV file: what its `#` lines say, its columns, and its rows."""

    about: list[tuple[int, str]]
    """Line number and text of each `#` line, without the `#`."""
    columns: list[str]
    rows: list[Row]


def read_table(text: str, where: str, required: Iterable[str], known: Iterable[str]) -> Table:
    """Read a CSV with a header, after lines that begin with `#`.

    Args:
        text: The content of the file.
        where: What to call the file in messages.
        required: Columns that must be there.
        known: All columns that may be there.

    Returns:
        The table; column names are in small letters.

    Raises:
        InventoryError: A column is missing, unknown or given twice, a line has more or fewer
            cells than the header, or a quote is not closed.
    """
    required, known = list(required), list(known)
    lines = _cells(text, where, _delimiter(text, required))
    start = next((i for i, (_, row) in enumerate(lines) if not _is_remark(row)), len(lines))
    wanted = ",".join(required)
    if start == len(lines):
        raise InventoryError(f"{where}: there is no header line such as {wanted}.")
    at, header = lines[start]
    columns = _names(header)
    for name in columns:
        if name not in known:
            raise InventoryError(
                f"{where}: line {at} has an unknown column {name!r}; known: {', '.join(known)}."
            )
        if columns.count(name) > 1:
            raise InventoryError(f"{where}: line {at} has the column {name!r} twice.")
    missing = [name for name in required if name not in columns]
    if missing:
        raise InventoryError(f"{where}: line {at} lacks the column {missing[0]!r} of {wanted}.")
    rows = []
    for line, cells in lines[start + 1 :]:
        if len(cells) != len(columns):
            raise InventoryError(
                f"{where}: line {line} has {len(cells)} cells where the header has "
                f"{len(columns)}; put texts with commas between double quotes."
            )
        rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    return Table([(line, _remark(row)) for line, row in lines[:start]], columns, rows)


def parse_csv(text: str, where: str) -> dict[str, Any]:
    """The fields of an inventory that is laid out as CSV.

    Args:
        text: The content of the file.
        where: What to call the file in messages.

    Returns:
        Fields by name, ready for `build_inventory`.

    Raises:
        InventoryError: The table does not hold; the message names the line.
    """
    table = read_table(text, where, ("number", "trait", "key"), _COLUMNS)
    content: dict[str, Any] = {}
    scale: list[dict[str, Any]] = []
    names: dict[str, dict[str, str]] = {"trait": {}, "facet": {}}
    for line, remark in table.about:
        field, colon, value = remark.partition(":")
        field, value = field.strip().lower(), value.strip(" ")
        if not colon or field not in (*_ABOUT, *_ENTRIES):
            raise InventoryError(
                f"{where}: line {line} begins with # and is none of: "
                f"{', '.join((*_ABOUT, *_ENTRIES))}."
            )
        if field in _ENTRIES:
            code, equals, name = value.partition(" = ")
            if not equals:
                raise InventoryError(f"{where}: line {line} should read '# {field}: CODE = TEXT'.")
            if field == "option":
                scale.append({"text": name, "value": _number(code, float, where, line)})
            elif code in names[field]:
                raise InventoryError(f"{where}: line {line} names the {field} {code} again.")
            else:
                names[field][code] = name
        elif field in content:
            raise InventoryError(f"{where}: line {line} gives {field!r} again.")
        elif field == "n_items":
            content[field] = _number(value, int, where, line)
        else:
            content[field] = value
    if scale:
        content["scale"] = scale
    items = _items(table, where)
    if names["trait"]:
        content["traits"] = [{"code": code, "name": name} for code, name in names["trait"].items()]
    if names["facet"]:
        owner = {item["facet"]: item["trait"] for item in items if "facet" in item}
        for code in names["facet"]:
            if code not in owner:
                raise InventoryError(f"{where}: no item belongs to the facet {code}.")
        content["facets"] = [
            {"code": code, "name": name, "trait": owner[code]}
            for code, name in names["facet"].items()
        ]
    content["items"] = items
    return content


def inventory_csv(inventory: Inventory) -> str:
    """An inventory as CSV text.

    Raises:
        InventoryError: It holds what the layout has no place for: options, wordings, a question
            or a cluster of single items, a facet without items, or a code with " = " in it.
    """
    for item in inventory.items:
        kept = (
            ("options", item.options),
            ("wordings", item.forms),
            ("a question", item.question),
            ("a cluster", item.cluster),
        )
        if own := [what for what, value in kept if value]:
            raise InventoryError(
                f"{inventory.name}: item {item.number} has {' and '.join(own)} of its own, for "
                "which CSV has no place; write .json or .toml."
            )
    used = {item.facet for item in inventory.items}
    codes = [trait.code for trait in inventory.traits]
    codes += [facet.code for facet in inventory.facets]
    for code in codes:
        if " = " in code or code.endswith(" ="):
            raise InventoryError(f"{inventory.name}: CSV cannot hold the code {code!r}.")
    for facet in inventory.facets:
        if facet.code not in used:
            raise InventoryError(f"{inventory.name}: CSV cannot hold {facet.code}, without items.")
    about = inventory.model_dump(include=set(_ABOUT), exclude_defaults=True)
    about["n_items"] = len(inventory.items)
    remarks = [f"# {field}: {about[field]}" for field in _ABOUT if field in about]
    remarks += [f"# option: {_plain(option.value)} = {option.text}" for option in inventory.scale]
    remarks += [f"# trait: {trait.code} = {trait.name}" for trait in inventory.traits]
    remarks += [f"# facet: {facet.code} = {facet.name}" for facet in inventory.facets]
    columns = [
        name
        for name in _COLUMNS
        if (name != "facet" or inventory.facets) and (name != "text" or inventory.has_text)
    ]
    out = io.StringIO(newline="")
    # Ends lines as RFC 4180 has it; with "\n" alone some Pythons leave a "\r" in a text unquoted.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([remark] for remark in remarks)
    writer.writerow(columns)
    for item in inventory.items:
        cells = item.model_dump()
        writer.writerow(["" if cells[name] is None else cells[name] for name in columns])
    return out.getvalue()


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _items(table: Table, where: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    seen: dict[int, int] = {}
    for line, cells in table.rows:
        item: dict[str, Any] = {"number": _number(cells["number"], int, where, line)}
        if item["number"] in seen:
            raise InventoryError(
                f"{where}: line {line} gives the number {item['number']} again; it is on line "
                f"{seen[item['number']]} already."
            )
        seen[item["number"]] = line
        for name in ("text", "trait", "facet"):
            value = cells.get(name)
            if value is not None and value.strip(" \t\r\n"):
                item[name] = value
            elif value is not None and name != "facet":
                raise InventoryError(f"{where}: line {line}: the {name} is empty.")
        key = cells["key"].strip()
        if key not in _KEYS:
            raise InventoryError(f"{where}: line {line}: the key must be 1 or -1, not {key!r}.")
        item["key"] = _KEYS[key]
        items.append(item)
    return items


def _cells(text: str, where: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, each with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InventoryError(
            f"{where}: line {reader.line_num} is not CSV ({error}); write double quotes within a "
            "text twice."
        ) from None
    return rows


def _delimiter(text: str, required: list[str]) -> str:
    """What separates the cells of the header, the first line with all required names in it."""
    for line in text.splitlines():
        for delimiter in ",;\t":
            if set(required) <= {cell.strip(' "').lower() for cell in line.split(delimiter)}:
                return delimiter
    return ","


def _is_remark(row: list[str]) -> bool:
    return row[0].lstrip().startswith("#")


def _remark(row: list[str]) -> str:
    # Spreadsheets pad lines to the width of the table, and cut a sentence at its commas.
    while len(row) > 1 and not row[-1]:
        row = row[:-1]
    return ",".join(row).lstrip().removeprefix("#")


def _names(row: list[str]) -> list[str]:
    return [cell.strip().lower() for cell in row]


def _number(text: str, kind: Callable[[str], N], where: str, line: int) -> N:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise InventoryError(f"{where}: line {line}: {text!r} is not {what}.") from None
