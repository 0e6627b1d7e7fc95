"""Corpora of people: what they hold, how they are cut, and who is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allport.administration import score
from allport.corpora import (
    PeopleCorpus,
    read_people,
    scan_people,
    short_form_split,
    simulate_people,
    write_people,
)
from allport.errors import ResponsesError, UsageError
from allport.inventories import Inventory, load_inventory
from allport.models import read_human_answers

MINI = load_inventory("mini-ipip-20")


def corpus_of(rows: list[list[int]], inventory: Inventory = MINI) -> PeopleCorpus:
    about = pl.DataFrame({"id": [f"p{row}" for row in range(len(rows))]})
    return PeopleCorpus("some", inventory, about, np.array(rows, dtype=np.int8))


@pytest.fixture(scope="module")
def people() -> PeopleCorpus:
    return simulate_people(200, load_inventory("ipip-neo-120"), missing=0.02, seed=11).corpus


def test_literal_and_keyed_are_those_of_the_inventory(people: PeopleCorpus) -> None:
    literal = people.literal()
    assert literal.dtype == np.float64
    np.testing.assert_array_equal(np.isnan(literal), people.literal_codes == 0)
    np.testing.assert_array_equal(people.keyed(), people.inventory.keyed(literal))
    np.testing.assert_array_equal(np.nan_to_num(people.keyed()), people.keyed_codes())


def test_rows_can_be_asked_for_alone(people: PeopleCorpus) -> None:
    whole = people.keyed(dtype=np.float32)
    assert whole.dtype == np.float32
    joined = np.concatenate([people.keyed(rows, np.float32) for rows in people.chunks(64)])
    np.testing.assert_array_equal(joined, whole)
    np.testing.assert_array_equal(people.keyed([7, 3], np.float32), whole[[7, 3]])
    assert [rows.stop - rows.start for rows in people.chunks(64)] == [64, 64, 64, 8]
    with pytest.raises(UsageError, match="one person or more"):
        next(people.chunks(0))


def test_answers_cannot_be_changed(people: PeopleCorpus) -> None:
    with pytest.raises(ValueError, match="read-only"):
        people.literal_codes[0, 0] = 1


def test_a_person_knows_only_the_items_they_may(people: PeopleCorpus) -> None:
    numbers = people.inventory.numbers[:30]
    person = people.person(people.ids[5], numbers)
    expected = people.literal_codes[5, :30]
    answered = expected != 0
    assert list(person.literal_answers) == [
        n for n, yes in zip(numbers, answered, strict=True) if yes
    ]
    assert list(person.literal_answers.values()) == expected[answered].tolist()
    assert person.simulated
    assert person.sex == people.about["sex"][5]
    assert person.age == people.about["age"][5]
    with pytest.raises(UsageError, match="has no person 'nobody'"):
        people.person("nobody")


def test_people_can_be_scored(people: PeopleCorpus) -> None:
    scores = score(people.answers([3, 9]))
    assert set(scores.scores["id"]) == {people.ids[3], people.ids[9]}
    trait = scores.scores.filter((pl.col("id") == people.ids[9]) & (pl.col("code") == "E"))
    expected = np.nanmean(people.keyed([9])[:, people.inventory.columns("E")])
    assert trait["score"][0] == pytest.approx(expected)
    assert trait["percentile"][0] is not None


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("stored", ["literal", "keyed"])
def test_what_is_written_is_read(
    people: PeopleCorpus, tmp_path: Path, ending: str, stored: str
) -> None:
    path = write_people(people, tmp_path / f"people.{ending}", stored=stored)  # type: ignore[arg-type]  # parametrised
    back = read_people(path, people.inventory, stored=stored)  # type: ignore[arg-type]  # likewise
    np.testing.assert_array_equal(back.literal_codes, people.literal_codes)
    assert back.about.equals(people.about)
    assert back.note == ""
    other = "keyed" if stored == "literal" else "literal"
    with pytest.raises(ResponsesError, match=f"declare it {stored}"):
        read_people(path, people.inventory, stored=other)  # type: ignore[arg-type]  # likewise


def test_other_readers_understand_what_is_written(people: PeopleCorpus, tmp_path: Path) -> None:
    path = write_people(people, tmp_path / "people.csv")
    answers = read_human_answers(path, people.inventory, stored="literal")
    np.testing.assert_array_equal(answers.literal, people.literal())


def test_files_are_opened_lazily(people: PeopleCorpus, tmp_path: Path) -> None:
    write_people(people, tmp_path / "people.csv")
    table = scan_people(tmp_path / "people.csv")
    assert isinstance(table.frame, pl.LazyFrame)
    assert table.frame.select(pl.len()).collect().item() == 200
    women = read_people(
        tmp_path / "people.csv",
        people.inventory,
        stored="literal",
        where=pl.col("sex") == "female",
    )
    assert len(women) == (people.about["sex"] == "female").sum()


def test_what_cannot_be_written_is_said(people: PeopleCorpus, tmp_path: Path) -> None:
    with pytest.raises(ResponsesError, match=r"\.csv or \.parquet"):
        write_people(people, tmp_path / "people.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_filter_that_leaves_nobody_is_said(people: PeopleCorpus, tmp_path: Path) -> None:
    path = write_people(people, tmp_path / "people.parquet")
    with pytest.raises(ResponsesError, match="holds no people"):
        read_people(path, people.inventory, stored="literal", where=pl.col("age") > 200)


def test_ages_nobody_has_are_not_taken(tmp_path: Path) -> None:
    head = "case,sex,age," + ",".join(f"i{n}" for n in MINI.numbers)
    rows = [
        f"{case},{sex},{age}," + ",".join("3" * 20)
        for case, sex, age in [(1, "M", 30), (2, "Female", 999), (3, "", ""), (4, "2.0", -1)]
    ]
    (tmp_path / "p.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    corpus = read_people(tmp_path / "p.csv", MINI, stored="literal")
    assert corpus.about["sex"].to_list() == ["male", "female", None, "female"]
    assert corpus.about["age"].to_list() == [30, None, None, None]
    assert corpus.note.endswith("Taken as missing: 2 of 4 ages, which are not from 1 to 120 years.")


# --- who can be used ---------------------------------------------------------------------------


def test_people_who_cannot_be_used_are_counted_by_reason() -> None:
    full = [1, 2, 3, 4, 5] * 4
    rows = [full, [0] * 20, [3] * 20, [1, 2] + [0] * 18, full[::-1], [4] * 10 + [0] * 10]
    usable = corpus_of(rows).usable(fewest=10)
    assert usable.rows.tolist() == [0, 4]
    assert usable.excluded == {
        "no answer": ("p1",),
        "fewer than 10 answers": ("p3",),
        "the same answer to every item": ("p2", "p5"),
    }
    assert str(usable) == (
        "2 people are used; left out are 1 with no answer and 1 with fewer than 10 answers and 2 "
        "with the same answer to every item."
    )


def test_only_the_items_asked_about_count() -> None:
    corpus = corpus_of([[3] * 10 + [1, 2] * 5, [1, 2] * 5 + [0] * 10])
    assert corpus.usable(5, np.arange(10)).rows.tolist() == [1]
    assert corpus.usable(5, np.arange(10, 20)).rows.tolist() == [0]


def test_a_random_test_set_is_random_and_leaves_out_whom_it_must(people: PeopleCorpus) -> None:
    barred = people.ids[:100]
    drawn = people.draw(40, seed=1, exclude=[*barred, "someone else"])
    assert len(set(drawn.ids)) == 40
    assert not set(drawn.ids) & set(barred)
    assert drawn.ids == people.draw(40, seed=1, exclude=barred).ids
    assert drawn.ids != people.draw(40, seed=2, exclude=barred).ids
    row = people.ids.index(drawn.ids[7])
    np.testing.assert_array_equal(drawn.literal_codes[7], people.literal_codes[row])
    with pytest.raises(UsageError, match="101 people cannot be drawn from the 100"):
        people.draw(101, exclude=barred)


def test_people_who_cannot_be_used_are_not_drawn() -> None:
    corpus = corpus_of(
        [[1, 2, 3, 4, 5] * 60, [3] * 300, [0] * 300, [5, 4, 3, 2, 1] * 60],
        load_inventory("ipip-neo-300"),
    )
    assert corpus.draw(2).ids == ("p0", "p3")
    with pytest.raises(UsageError, match="from the 2 of some"):
        corpus.draw(3)


def test_the_fitting_items_of_the_example_split_are_enough() -> None:
    corpus = simulate_people(50, seed=2).corpus
    columns = short_form_split(corpus.inventory).fit_columns
    assert len(corpus.usable(columns=columns).rows) == 50


# --- what is no corpus -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "codes", "reason"),
    [
        ({"id": ["a", "a"]}, np.full((2, 20), 3, np.int8), "'a' is given 2 times"),
        ({"id": ["a", None]}, np.full((2, 20), 3, np.int8), "person 2 has no id"),
        ({"id": ["a", "b"]}, np.full((2, 20), 6, np.int8), "person a: 6 to item 1"),
        ({"id": ["a", "b"]}, np.full((2, 20), -1, np.int8), "person a: -1 to item 1"),
        ({"id": ["a", "b"]}, np.full((2, 19), 3, np.int8), "do not fit 2 people and the 20"),
        ({"id": ["a", "b"]}, np.full((2, 20), 3.0), "type float64"),
        ({"id": [1, 2]}, np.full((2, 20), 3, np.int8), "text column 'id'"),
        ({"who": ["a", "b"]}, np.full((2, 20), 3, np.int8), "text column 'id'"),
    ],
)
def test_people_and_answers_that_do_not_fit_are_refused(
    about: dict[str, list[object]], codes: np.ndarray, reason: str
) -> None:
    with pytest.raises(ResponsesError, match=reason):
        PeopleCorpus("some", MINI, pl.DataFrame(about), codes)


def test_scales_that_do_not_fit_a_byte_are_refused() -> None:
    halves = [{"text": "No", "value": 0.5}, {"text": "Yes", "value": 1.5}]
    inventory = MINI.model_copy(update={"scale": halves})
    with pytest.raises(ResponsesError, match="scale of whole numbers from 1 up"):
        corpus_of([[1] * 20], inventory)
