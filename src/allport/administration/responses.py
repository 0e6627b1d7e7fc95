"""Responses as a Polars frame: one row a response, and the arrays that statistics take."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allport.administration.orders import permutation
from allport.errors import ResponsesError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory
from allport.models.respondent import Condition, Response

__all__ = [
    "CONDITION_COLUMNS",
    "SCHEMA",
    "Answers",
    "administrations",
    "answers",
    "option_places",
    "option_probabilities",
    "read_responses",
    "responses_frame",
    "validate_responses",
    "write_responses",
]

SCHEMA: Final = pl.Schema(
    {
        "respondent": pl.String(),
        "inventory": pl.String(),
        "item": pl.Int64(),
        "trait": pl.String(),
        "facet": pl.String(),
        "key": pl.Int8(),
        "template": pl.String(),
        "order": pl.String(),
        "form": pl.String(),
        "persona": pl.String(),
        "repeat": pl.Int64(),
        "choice": pl.Int64(),
        "literal": pl.Float64(),
        "keyed": pl.Float64(),
        "expected_literal": pl.Float64(),
        "expected_keyed": pl.Float64(),
        "probabilities": pl.List(pl.Float64()),
        "label_mass": pl.Float64(),
        "refused": pl.Boolean(),
        "unparsable": pl.Boolean(),
        "text": pl.String(),
        "prompt_tokens": pl.Int64(),
        "completion_tokens": pl.Int64(),
    }
)
"""Columns of a frame of responses, in order.

`choice` and `probabilities` are in content order. `literal` and `keyed` are the value of the chosen
option, `expected_literal` and `expected_keyed` the mean value under `probabilities`. All of them,
and `label_mass`, are null where nothing usable was said.
"""

CONDITION_COLUMNS: Final = ("template", "order", "form", "persona", "repeat")
"""Columns that together name an administration."""


_ROUNDING: Final = 1e-9
"""Values that are computed and differ by no more are the same."""


class Answers(NamedTuple):
    """One value for each item in each administration."""

    administrations: tuple[Condition, ...]
    values: NDArray[np.float64]
    """Shape (administrations, items), items in the order of the inventory; NaN where missing."""


def responses_frame(
    inventory: Inventory, respondent: str, responses: Iterable[Response]
) -> pl.DataFrame:
    """Lay responses out as a frame with the columns of `SCHEMA`, in the order given."""
    rows: list[tuple[Any, ...]] = []
    items = {item.number: (item, inventory.option_values(item)) for item in inventory.items}
    for response in responses:
        item, literal_values = items[response.item]
        literal = expected = None
        if response.choice is not None:
            literal = float(literal_values[response.choice])
        if response.probabilities is not None:
            expected = math.fsum(
                p * v for p, v in zip(response.probabilities, literal_values, strict=True)
            )
        limits = float(literal_values.min() + literal_values.max())
        condition = response.condition
        rows.append(
            (
                respondent,
                inventory.name,
                item.number,
                item.trait,
                item.facet,
                item.key,
                condition.template,
                condition.order,
                condition.form,
                condition.persona,
                condition.repeat,
                response.choice,
                literal,
                literal if literal is None or item.key == 1 else limits - literal,
                expected,
                expected if expected is None or item.key == 1 else limits - expected,
                None if response.probabilities is None else list(response.probabilities),
                None if math.isnan(response.label_mass) else response.label_mass,
                response.refused,
                response.unparsable,
                response.text,
                response.prompt_tokens,
                response.completion_tokens,
            )
        )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def administrations(responses: pl.DataFrame) -> tuple[Condition, ...]:
    """The conditions that a frame holds, in order of first appearance."""
    rows = responses.select(CONDITION_COLUMNS).unique(maintain_order=True)
    return tuple(Condition(**row) for row in rows.iter_rows(named=True))


def answers(responses: pl.DataFrame, inventory: Inventory, column: str) -> Answers:
    """One numeric column as an array of administrations by items.

    Args:
        responses: A frame of responses to this inventory.
        inventory: Gives the order of the items.
        column: "expected_keyed", "keyed", "literal", "choice", "label_mass" and so on.
    """
    conditions = responses.select(CONDITION_COLUMNS).unique(maintain_order=True)
    placed = responses.join(
        conditions.with_row_index("row"),
        on=CONDITION_COLUMNS,
        how="left",
        maintain_order="left",
    )
    values = np.full((conditions.height, len(inventory.items)), np.nan)
    positions = {number: index for index, number in enumerate(inventory.numbers)}
    columns = [positions[number] for number in responses["item"]]
    cells = responses[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    values[placed["row"].to_numpy(), columns] = cells
    return Answers(administrations(responses), values)


def option_probabilities(responses: pl.DataFrame, inventory: Inventory) -> NDArray[np.float64]:
    """Probabilities, shape (administrations, items, options), options in content order.

    NaN where nothing usable was said, and on options that an item does not have. Administrations
    are in the order of `administrations`.
    """
    index = {condition: row for row, condition in enumerate(administrations(responses))}
    column = {number: place for place, number in enumerate(inventory.numbers)}
    most = max(len(inventory.options(item)) for item in inventory.items)
    table = np.full((len(index), len(column), most), np.nan)
    usable = responses.filter(pl.col("probabilities").is_not_null())
    for item, probabilities, *condition in usable.select(
        "item", "probabilities", *CONDITION_COLUMNS
    ).iter_rows():
        cell = table[index[Condition(*condition)], column[item]]
        cell[: len(probabilities)] = probabilities
    return table


def option_places(responses: pl.DataFrame, inventory: Inventory) -> NDArray[np.float64]:
    """Place at which each option was shown, 0 the first, in the shape of `option_probabilities`."""
    conditions = administrations(responses)
    most = max(len(inventory.options(item)) for item in inventory.items)
    places = np.zeros((len(conditions), len(inventory.items), most))
    for row, condition in enumerate(conditions):
        for column, item in enumerate(inventory.items):
            count = len(inventory.options(item))
            places[row, column, list(permutation(condition.order, count))] = np.arange(count)
    return places


def validate_responses(responses: pl.DataFrame, inventory: Inventory, where: str) -> pl.DataFrame:
    """Check that a frame from outside holds responses to this inventory.

    Args:
        responses: The frame; columns beyond `SCHEMA` are refused.
        inventory: What the responses are said to answer.
        where: Where the frame came from, for messages.

    Returns:
        The frame with the columns and types of `SCHEMA`.

    Raises:
        ResponsesError: A column is missing, unknown or of another type; a response is there twice,
            answers no item of the inventory, or contradicts its trait, facet, key or options; or
            its values are not those of its choice and probabilities.
    """
    for problem, names in (
        ("has no column", set(SCHEMA) - set(responses.columns)),
        ("has an unknown column", set(responses.columns) - set(SCHEMA)),
    ):
        if names:
            raise ResponsesError(f"{where} {problem} {min(names)!r}; it is no frame of responses.")
    try:
        frame = responses.select([pl.col(name).cast(kind) for name, kind in SCHEMA.items()])
    except pl.exceptions.PolarsError as error:
        raise ResponsesError(f"{where}: a column is of the wrong type ({error}).") from None
    never_null = ("respondent", "inventory", "item", "trait", "key", *CONDITION_COLUMNS, "refused")
    for name in never_null:
        if frame[name].null_count():
            raise ResponsesError(f"{where}: column {name!r} has empty cells.")
    others = frame.filter(pl.col("inventory") != inventory.name)["inventory"]
    if len(others):
        raise ResponsesError(f"{where} holds responses to {others[0]}, not to {inventory.name}.")
    twice = frame.filter(frame.select("item", *CONDITION_COLUMNS).is_duplicated())
    if twice.height:
        raise ResponsesError(
            f"{where}: item {twice['item'][0]} is answered twice in one condition."
        )
    numbers = set(inventory.numbers)
    for number in frame["item"].unique():
        if number not in numbers:
            raise ResponsesError(f"{where} answers item {number}, which {inventory.name} has not.")
    _check_values(frame, inventory, where)
    return frame


def _check_values(frame: pl.DataFrame, inventory: Inventory, where: str) -> None:
    """Check every row against its item, and what is computed against what it is computed from."""
    stated = frame.join(_facts(inventory), on="item", how="left", maintain_order="left")
    count = pl.col("own_values").list.len()
    limits = pl.col("own_values").list.min() + pl.col("own_values").list.max()

    def keyed(literal: pl.Expr) -> pl.Expr:
        return pl.when(pl.col("own_key") == 1).then(literal).otherwise(limits - literal)

    def first(wrong: pl.Expr) -> dict[str, Any] | None:
        return next(stated.filter(wrong).head(1).iter_rows(named=True), None)

    def differs(column: str, true: pl.Expr) -> pl.Expr:
        # NaN, which counts as more than any number in Polars, is refused too.
        off = (pl.col(column) - true).abs() > _ROUNDING
        return off | (pl.col(column).is_null() != true.is_null())

    trait, key, facet = (pl.col(name) for name in ("trait", "key", "facet"))
    if row := first((trait != pl.col("own_trait")) | (key != pl.col("own_key"))):
        raise ResponsesError(
            f"{where}: item {row['item']} is stored as {row['key']:+d}{row['trait']}, but "
            f"{inventory.name} has it as {row['own_key']:+d}{row['own_trait']}."
        )
    if row := first(facet.ne_missing(pl.col("own_facet"))):
        raise ResponsesError(
            f"{where}: item {row['item']} is stored with facet {row['facet'] or 'none'}, but "
            f"{inventory.name} has it in {row['own_facet'] or 'none'}."
        )
    if row := first(pl.col("probabilities").list.len() != count):
        raise ResponsesError(
            f"{where}: item {row['item']} has {len(row['probabilities'])} probabilities for "
            f"{len(row['own_values'])} options."
        )
    choice = pl.col("choice")
    if row := first(choice.is_null() & ~pl.all_horizontal(pl.col("literal", "keyed").is_null())):
        raise ResponsesError(f"{where}: item {row['item']} has a value without a choice.")
    if row := first((choice < 0) | (choice >= count)):
        raise ResponsesError(
            f"{where}: item {row['item']} has choice {row['choice']}, which is no option."
        )
    value = pl.col("own_values").list.get(choice)
    if row := first(differs("literal", value) | differs("keyed", keyed(value))):
        raise ResponsesError(
            f"{where}: the values stored with item {row['item']} are not those of its option "
            f"{row['choice']}; literal and keyed may be exchanged."
        )
    mean = (pl.col("probabilities") * pl.col("own_values")).list.sum()
    if row := first(differs("expected_literal", mean) | differs("expected_keyed", keyed(mean))):
        raise ResponsesError(
            f"{where}: the mean values stored with item {row['item']} are not those of its "
            "probabilities; expected_literal and expected_keyed may be exchanged."
        )


def _facts(inventory: Inventory) -> pl.DataFrame:
    """What an inventory says of each of its items, one row an item."""
    return pl.DataFrame(
        [
            (item.number, item.trait, item.facet, item.key, inventory.option_values(item).tolist())
            for item in inventory.items
        ],
        schema={
            "item": pl.Int64(),
            "own_trait": pl.String(),
            "own_facet": pl.String(),
            "own_key": pl.Int8(),
            "own_values": pl.List(pl.Float64()),
        },
        orient="row",
    )


def read_responses(path: Path | str, inventory: Inventory) -> pl.DataFrame:
    """Read a Parquet file of responses and check it against its inventory.

    Raises:
        ResponsesError: The file cannot be read or does not hold; see `validate_responses`.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(Path(path).read_bytes()))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ResponsesError(f"{path} cannot be read as Parquet ({error}).") from None
    return validate_responses(frame, inventory, str(path))


def write_responses(responses: pl.DataFrame, path: Path | str) -> Path:
    """Write a frame as Parquet; a reader sees the whole file or none.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    buffer = io.BytesIO()
    responses.write_parquet(buffer)
    return write_atomically(path, buffer.getvalue())
