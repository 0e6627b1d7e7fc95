from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allport.administration import (
    SCHEMA,
    Design,
    administrations,
    answers,
    measure,
    read_responses,
    validate_responses,
    write_responses,
)
from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent

COLUMNS = (
    "respondent inventory item trait facet key template order form persona repeat choice literal "
    "keyed expected_literal expected_keyed probabilities label_mass refused unparsable text "
    "prompt_tokens completion_tokens"
)


@pytest.fixture
def frame(likert: Inventory) -> pl.DataFrame:
    def script(question: Question) -> list[float] | None:
        return None if question.item == 2 else [0.0, 0.1, 0.2, 0.3, 0.3]

    design = Design(templates=("digits",))
    return measure(ScriptedRespondent(script, "ann"), likert, design, progress=None).responses


def test_columns_and_types_are_those_of_the_schema(frame: pl.DataFrame) -> None:
    assert frame.schema == SCHEMA
    assert frame.columns == COLUMNS.split()
    assert frame.height == 32


def test_values_are_literal_keyed_and_expected(frame: pl.DataFrame, likert: Inventory) -> None:
    (positive,) = frame.filter(pl.col("item") == 1, order="forward").iter_rows(named=True)
    (negative,) = frame.filter(pl.col("item") == 5, order="reversed").iter_rows(named=True)
    assert (likert.item(1).key, likert.item(5).key) == (1, -1)
    # Shares of .1 .2 .3 .3 on 2 to 5, renormalised by .9; the tie goes to the first.
    mean = (0.2 + 0.6 + 1.2 + 1.5) / 0.9
    for row, keyed, expected in ((positive, 4.0, mean), (negative, 2.0, 6 - mean)):
        assert (row["choice"], row["literal"], row["keyed"]) == (3, 4.0, keyed)
        assert row["expected_literal"] == pytest.approx(mean)
        assert row["expected_keyed"] == pytest.approx(expected)
        assert row["label_mass"] == pytest.approx(0.9)
        assert row["probabilities"] == pytest.approx([0, 1 / 9, 2 / 9, 1 / 3, 1 / 3])


def test_what_is_not_usable_is_null_and_flagged(frame: pl.DataFrame) -> None:
    silent = frame.filter(pl.col("item") == 2)
    assert silent["refused"].to_list() == [True, True]
    for column in ("choice", "literal", "keyed", "expected_keyed", "probabilities", "label_mass"):
        assert silent[column].null_count() == 2


def test_situations_take_the_values_of_their_options(situational: Inventory) -> None:
    run = measure(
        ScriptedRespondent(lambda question: question.item % 4), situational, progress=None
    )
    for row in run.responses.iter_rows(named=True):
        assert row["keyed"] == row["literal"] == (1.0 if row["item"] % 4 < 2 else 0.0)


def test_arrays_have_administrations_by_items(frame: pl.DataFrame, likert: Inventory) -> None:
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    table = answers(shuffled, likert, "expected_literal")
    assert table.values.shape == (2, 16)
    assert table.administrations == administrations(shuffled)
    assert np.isnan(table.values[:, 1]).all()
    for row in frame.iter_rows(named=True):
        index = [c.order for c in table.administrations].index(row["order"])
        value = table.values[index, likert.numbers.index(row["item"])]
        if row["expected_literal"] is None:
            assert math.isnan(value)
        else:
            assert value == row["expected_literal"]


def test_items_that_were_not_asked_are_nan(likert: Inventory) -> None:
    design = Design(items=(9, 3))
    run = measure(ScriptedRespondent(lambda question: 4), likert, design, progress=None)
    choices = answers(run.responses, likert, "choice").values
    assert choices.shape == (4, 16)
    assert np.flatnonzero(~np.isnan(choices[0])).tolist() == [2, 8]


def test_a_file_comes_back_as_it_was(
    frame: pl.DataFrame, likert: Inventory, tmp_path: Path
) -> None:
    path = write_responses(frame, tmp_path / "responses.parquet")
    assert read_responses(path, likert).equals(frame)
    assert [p.name for p in tmp_path.iterdir()] == ["responses.parquet"]


def test_a_file_that_is_no_parquet_is_refused(likert: Inventory, tmp_path: Path) -> None:
    path = tmp_path / "responses.parquet"
    path.write_text("nothing of the kind")
    with pytest.raises(ResponsesError, match="cannot be read as Parquet"):
        read_responses(path, likert)
    with pytest.raises(ResponsesError, match="cannot be read as Parquet"):
        read_responses(tmp_path / "nowhere.parquet", likert)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("keyed"), "no column 'keyed'"),
        (lambda f: f.with_columns(mood=1), "unknown column 'mood'"),
        (lambda f: f.with_columns(choice=pl.lit("many")), "wrong type"),
        (lambda f: pl.concat([f, f.head(1)]), "item 1 is answered twice"),
        (lambda f: f.with_columns(item=pl.col("item") + 100), "which likert has not"),
        (lambda f: f.with_columns(inventory=pl.lit("other")), "responses to other, not to likert"),
        (lambda f: f.with_columns(key=-pl.col("key")), r"item 1 is stored as -1E, but .* as \+1E"),
        (lambda f: f.with_columns(choice=pl.lit(7)), "choice 7, which is no option"),
        (
            lambda f: f.with_columns(literal=pl.col("keyed"), keyed=pl.col("literal")),
            "literal and keyed may be exchanged",
        ),
        (lambda f: f.with_columns(choice=None), "a value without a choice"),
        (lambda f: f.with_columns(facet=None), "item 1 is stored with facet none, but .* in E2"),
        (lambda f: f.with_columns(facet=pl.lit("N1")), "with facet N1, but likert has it in E2"),
        (
            lambda f: f.with_columns(
                expected_literal=pl.col("expected_keyed"), expected_keyed=pl.col("expected_literal")
            ),
            "expected_literal and expected_keyed may be exchanged",
        ),
        (
            lambda f: f.with_columns(expected_keyed=pl.col("expected_keyed") + 1e-6),
            "the mean values stored with item 1 are not those of its probabilities",
        ),
        (lambda f: f.with_columns(expected_literal=None), "mean values stored with item 1 are not"),
        (
            lambda f: f.with_columns(pl.col("expected_literal", "expected_keyed").fill_null(3)),
            "mean values stored with item 2 are not",
        ),
        (lambda f: f.with_columns(probabilities=[0.5, 0.5]), "2 probabilities for 5 options"),
        (lambda f: f.with_columns(template=None), "'template' has empty cells"),
    ],
)
def test_a_frame_that_does_not_hold_is_refused(
    frame: pl.DataFrame, likert: Inventory, change: object, message: str
) -> None:
    assert callable(change)
    with pytest.raises(ResponsesError, match=message):
        validate_responses(change(frame), likert, "here")
    assert validate_responses(frame, likert, "here").equals(frame)
