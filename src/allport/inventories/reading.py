"""Reading an inventory from a file, and saying plainly why a file cannot be read.

A file in JSON or TOML has the fields of `Inventory`; a CSV is laid out as `tabular` says. What a
person would write again and again may be left out:

    name       the file's own name
    title      the name
    version    "1"
    licence    "not stated"
    source     the file's name
    traits     the trait codes of the items, in order of appearance; then any code is a known one
    facets     likewise
    scale      may be a list of texts, lowest agreement first: they stand for 1, 2, 3, ...
    n_items    may be added: the number of items there should be
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from allport.errors import InventoryError
from allport.inventories.inventory import Facet, Inventory, Item, Option, Trait
from allport.inventories.norms import NORM_TABLES

__all__ = ["build_inventory", "decode", "parse_json", "read_inventory", "slug"]


def read_inventory(path: Path | str, **about: Any) -> Inventory:
    """Read an inventory from a file of one's own.

    Args:
        path: A `.json`, `.toml` or `.csv` file; or a `.jsonl` file of yes/no statements in the
            layout of Anthropic's persona evaluations.
        **about: Fields of `Inventory` to set beside or instead of those in the file, such as
            `title="..."` or `scale=["Disagree", "Neutral", "Agree"]`.

    Returns:
        The inventory. Texts lose white space at their ends and nothing else.

    Raises:
        InventoryError: The file cannot be read or does not hold; the message names the file, the
            line or item, and the reason.
    """
    # Here, as these layouts build on this module.
    from allport.inventories.situations import are_situations, holds_situations

    path = Path(path).expanduser()
    data: Any
    match path.suffix.lower():
        case ".json":
            data = parse_json(decode(path), str(path))
        case ".toml":
            data = _parse_toml(decode(path), path)
        case ".csv":
            from allport.inventories.tabular import parse_csv

            data = parse_csv(decode(path), str(path))
        case _ if holds_situations(path):
            _refuse_situations(path)
        case ".jsonl":
            from allport.inventories.persona_statements import parse_statements

            data = parse_statements([path])
        case _:
            raise InventoryError(
                f"{path}: an inventory is a .json, .toml, .csv or .jsonl file; "
                "save it as one of these."
            )
    if are_situations(data):
        _refuse_situations(path)
    if isinstance(data, list):
        raise InventoryError(
            f"{path}: this is a list of questionnaires, not one inventory; import one of them by "
            f"its name: allport inventories import NAME --from {path}."
        )
    if not isinstance(data, dict):
        raise InventoryError(f"{path}: an inventory is an object with fields, not a bare value.")
    return build_inventory(data | about, str(path), default_name=slug(path.stem))


def _refuse_situations(path: Path) -> NoReturn:
    raise InventoryError(
        f"{path}: these are situations in a layout of TRAIT; import them first, and ask them by "
        f"name: allport inventories import trait --from {path}."
    )


def build_inventory(
    data: Mapping[str, Any], where: str, *, default_name: str = "inventory"
) -> Inventory:
    """Make an inventory of the content of a file, filling in what may be left out.

    Args:
        data: Fields by name, as a file gives them.
        where: What to call the file in messages.
        default_name: Name of the inventory where the data give none.

    Returns:
        The inventory.

    Raises:
        InventoryError: The content does not hold.
    """
    content = dict(data)
    declared = content.pop("n_items", None)
    content.setdefault("name", default_name)
    content.setdefault("title", content["name"])
    content.setdefault("version", "1")
    content.setdefault("licence", "not stated")
    content.setdefault("source", Path(where).name)
    items = content.get("items")
    given = items if isinstance(items, list) else []
    rows: list[Mapping[str, Any]] = [row if isinstance(row, Mapping) else {} for row in given]
    if "traits" not in content:
        codes = _unique(row.get("trait") for row in rows)
        content["traits"] = [{"code": code, "name": code} for code in codes]
    if "facets" not in content:
        pairs = [(row.get("facet"), row.get("trait")) for row in rows]
        owners = {
            facet: trait
            for facet, trait in reversed(pairs)
            if isinstance(facet, str) and isinstance(trait, str)
        }
        content["facets"] = [
            {"code": code, "name": code, "trait": owners[code]}
            for code in _unique(facet for facet, _ in pairs)
            if code in owners
        ]
    scale = content.get("scale")
    if isinstance(scale, list | tuple) and scale and all(isinstance(text, str) for text in scale):
        content["scale"] = [{"text": text, "value": i} for i, text in enumerate(scale, start=1)]
    if not scale and rows and not any("options" in row for row in rows):
        raise InventoryError(
            f"{where}: there is no response scale; give one, lowest agreement first: "
            'scale = ["Disagree", "Neutral", "Agree"], or in CSV lines such as '
            "'# option: 1 = Disagree'."
        )
    norms = content.get("norms")
    if isinstance(norms, str) and norms not in NORM_TABLES:
        raise InventoryError(
            f"{where}: there is no norm table {norms!r}; known: {', '.join(NORM_TABLES)}."
        )
    if declared is not None and isinstance(items, list) and declared != len(items):
        raise InventoryError(f"{where}: it declares n_items = {declared!r} and has {len(items)}.")
    try:
        # By way of JSON, where strict reading still takes lists for tuples and 1 for 1.0.
        text = json.dumps(content, ensure_ascii=False, default=str)
        return Inventory.model_validate_json(text.encode(), strict=True)
    except UnicodeEncodeError:
        raise InventoryError(
            f"{where}: a text holds half of a surrogate pair, which no character is."
        ) from None
    except ValidationError as error:
        _refuse(error, where, rows)


def slug(text: str) -> str:
    """A name that commands can take: "My scale (2)" becomes "my-scale-2"."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:64] or "inventory"


def decode(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark; line ends stay as they are.

    Raises:
        InventoryError: There is no such file, it cannot be opened, or it is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InventoryError(f"{path}: there is no such file.") from None
    except OSError as error:
        reason = error.strerror or error
        raise InventoryError(f"{path}: the file cannot be read ({reason}).") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InventoryError(
            f"{path}: line {line} is not UTF-8 text; save the file as UTF-8."
        ) from None


def parse_json(text: str, where: str) -> Any:
    """The content of a JSON text.

    Raises:
        InventoryError: It is not JSON, or a field is given twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InventoryError(
            f"{where}: line {error.lineno}, column {error.colno} is not JSON ({error.msg})."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InventoryError(f"{where}: the JSON cannot be used: {reason}.") from None


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InventoryError(f"{path}: it is not TOML: {reason}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is given twice in one object")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _unique(codes: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(code for code in codes if isinstance(code, str)))


_PARTS: dict[str, tuple[str, type[BaseModel]]] = {
    "scale": ("option", Option),
    "options": ("option", Option),
    "traits": ("trait", Trait),
    "facets": ("facet", Facet),
    "items": ("item", Item),
}


def _refuse(error: ValidationError, where: str, rows: Sequence[Mapping[str, Any]]) -> NoReturn:
    details = error.errors(include_url=False, include_context=True)
    # A misspelt field is also a missing one: the misspelling is the better thing to name.
    first = next((each for each in details if each["type"] == "extra_forbidden"), details[0])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    raise InventoryError(f"{where}: {_explain(first, rows)}{more}.") from None


def _explain(detail: ErrorDetails, rows: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong at one place, in words."""
    model: type[BaseModel] = Inventory
    place: list[str] = []
    field = ""
    steps = list(detail["loc"])
    for at, step in enumerate(steps):
        if isinstance(step, int):
            continue
        following = steps[at + 1] if at + 1 < len(steps) else None
        if step in _PARTS and isinstance(following, int):
            what, model = _PARTS[str(step)]
            row = rows[following] if what == "item" and following < len(rows) else {}
            number = row.get("number")
            numbered = isinstance(number, int) and not isinstance(number, bool)
            place.append(f"{what} {number}" if numbered else f"{what} at position {following + 1}")
        else:
            field = str(step)
    prefix = ", ".join(place) + ": " if place else ""
    given = detail["input"]
    match detail["type"]:
        case "missing":
            reason = f"the field {field!r} is missing"
        case "extra_forbidden":
            close = difflib.get_close_matches(field, model.model_fields, n=1)
            hint = (
                f"did you mean {close[0]!r}" if close else f"known: {', '.join(model.model_fields)}"
            )
            reason = f"unknown field {field!r} ({hint})"
        case "string_too_short":
            reason = f"the {field} is empty"
        case "literal_error":
            expected = detail["ctx"]["expected"]
            reason = f"the {field} must be {expected}, not {_shown(given)}"
        case "greater_than" if field == "number":
            reason = f"the number must be 1 or more, not {_shown(given)}"
        case "string_pattern_mismatch":
            reason = (
                f"the {field} {_shown(given)} must be small letters, digits, dots, dashes and "
                "underscores, at most 64"
            )
        case "int_type":
            reason = f"the {field} must be a whole number, not {_shown(given)}"
        case "value_error":
            reason = detail["msg"].removeprefix("Value error, ")
        case _:
            wanted = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            reason = f"{field or 'the entry'} must be {wanted}, not {_shown(given)}"
    return prefix + reason


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."
