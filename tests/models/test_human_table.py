from __future__ import annotations

import polars as pl
import pytest

from allport.models.human_table import about_column, ages_of, sexes_of


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Female", " F ", "woman", "2", "2.0"], ["female"] * 5),
        (["male", "M", "Man", "1", "1.0"], ["male"] * 5),
        (["other", "", "NA", "3", None], [None] * 5),
        ([1, 2, 0, None], ["male", "female", None, None]),
        ([1.0, 2.0, float("nan")], ["male", "female", None]),
        ([None, None], [None, None]),
    ],
)
def test_sexes_in_words_and_numbers(cells: list[object], expected: list[str | None]) -> None:
    assert sexes_of(pl.Series(cells)).to_list() == expected


@pytest.mark.parametrize(
    ("cells", "expected", "wrong"),
    [
        (["34", " 34.9 ", "1", "120"], [34, 34, 1, 120], 0),
        (["", "NA", "n/a", None, "."], [None] * 5, 0),
        (["0", "-3", "121", "230", "young", "inf"], [None] * 6, 6),
        ([34, 999, None], [34, None, None], 1),
        ([34.0, float("nan"), 0.5], [34, None, None], 1),
        ([None, None], [None, None], 0),
    ],
)
def test_ages_that_nobody_has_are_counted(
    cells: list[object], expected: list[int | None], wrong: int
) -> None:
    years, note = ages_of(pl.Series(cells))
    assert years.to_list() == expected
    assert years.dtype == pl.Int64
    said = f"Taken as missing: {wrong} of {len(cells)} ages, which are not from 1 to 120 years."
    assert note == (said if wrong else "")


def test_columns_about_people_are_found_by_any_name_of_theirs() -> None:
    assert about_column(["id", " Age ", "Gender"], "sex") == "Gender"
    assert about_column(["gender", "SEX"], "sex") == "SEX"
    assert about_column(["id", " Age ", "Gender"], "age") == " Age "
    assert about_column(["id", "gender"], "country") is None
