"""Files of human answers: what they hold, what is refused, and people as respondents."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from allport.errors import ModelError, ResponsesError
from allport.inventories.catalog import load_inventory
from allport.inventories.inventory import Facet, Inventory, Item, Option, Trait
from allport.models.human_answers import HumanAnswers
from allport.models.human_files import read_human_answers, write_human_answers
from allport.models.respondent import Condition, Message, Question

AGREEMENT = ("no", "rather not", "partly", "rather", "yes")


def inventory(lowest: int = 1, keys: Sequence[int] = (1, -1, 1, -1)) -> Inventory:
    return Inventory(
        name="planted",
        title="Planted",
        version="1",
        scale=tuple(Option(text=text, value=lowest + i) for i, text in enumerate(AGREEMENT)),
        traits=(Trait(code="E", name="Extraversion"),),
        facets=(Facet(code="E1", name="Friendliness", trait="E"),),
        items=tuple(
            Item(number=n, text=f"Item {n}.", trait="E", facet="E1", key=key)
            for n, key in enumerate(keys, start=1)
        ),
        licence="CC0-1.0",
        source="made for this test",
    )


def simulated(people: int, seed: int = 7) -> NDArray[np.float64]:
    """Literal answers to the planted inventory by people who differ in one trait."""
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=(people, 1))
    keyed = 3 + trait + rng.normal(scale=0.7, size=(people, 4))
    keys = np.array([1, -1, 1, -1])
    keyed = np.clip(np.round(keyed), 1, 5)
    return np.where(keys == 1, keyed, 6 - keyed)


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def question(item: int, person: str, options: tuple[str, ...] = AGREEMENT) -> Question:
    condition = Condition("letters", "reversed", persona=person)
    labels = tuple("EDCBA"[: len(options)])
    return Question(item, condition, (Message("user", "?"),), "", labels, options)


# --- what a file holds -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "case,i1,i2,i3,i4",
        "case,1,2,3,4",
        "case,Item_01,Item_02,Item_03,Item_04",
        "case,x1,x2,x3,x4",
    ],
)
def test_wide_files_name_items_by_number(tmp_path: Path, head: str) -> None:
    path = table(tmp_path / "people.csv", f"{head}\nann,1,2,3,4\nbob,5,4,3,2\n")
    answers = read_human_answers(path, inventory(), stored="literal")
    assert answers.ids == ("ann", "bob")
    assert answers.literal.tolist() == [[1, 2, 3, 4], [5, 4, 3, 2]]
    assert answers.keyed.tolist() == [[1, 4, 3, 2], [5, 2, 3, 4]]


def test_columns_of_a_wide_file_may_stand_in_any_order(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "i3,i1,case,i4,i2\n3,1,ann,4,2\n")
    assert read_human_answers(path, inventory(), stored="literal").literal.tolist() == [
        [1, 2, 3, 4]
    ]


def test_keyed_files_give_literal_answers(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "case,i1,i2,i3,i4\nann,1,2,3,4\n")
    answers = read_human_answers(path, inventory(), stored="keyed")
    assert answers.keyed.tolist() == [[1, 2, 3, 4]]
    assert answers.literal.tolist() == [[1, 4, 3, 2]]


def test_long_files_have_a_row_for_each_answer(tmp_path: Path) -> None:
    path = table(
        tmp_path / "people.csv",
        "person,age,item,answer\nann,30,i2,4\nbob,41,1,5\nann,30,i1,1\nbob,41,i03,2\nbob,41,4,\n",
    )
    answers = read_human_answers(path, inventory(), stored="literal")
    assert answers.ids == ("ann", "bob")
    np.testing.assert_array_equal(answers.literal, [[1, 4, np.nan, np.nan], [5, np.nan, 2, np.nan]])
    assert answers.people.to_dicts() == [{"id": "ann", "age": 30}, {"id": "bob", "age": 41}]


def test_what_a_file_says_of_people_is_kept(tmp_path: Path) -> None:
    path = table(
        tmp_path / "people.csv",
        "case,sex,age,country,shoe,i1,i2,i3,i4\n007,1,30,NA,42.5,1,2,3,4\n12,2,,Chile,38,5,4,3,2\n",
    )
    answers = read_human_answers(path, inventory(), stored="literal", extra_columns=["shoe"])
    assert answers.people.to_dicts() == [
        {"id": "007", "sex": 1, "age": 30, "country": "NA", "shoe": 42.5},
        {"id": "12", "sex": 2, "age": None, "country": "Chile", "shoe": 38.0},
    ]


def test_people_without_ids_are_numbered(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "i1,i2,i3,i4\n1,2,3,4\n5,4,3,2\n")
    assert read_human_answers(path, inventory(), stored="literal").ids == ("1", "2")


@pytest.mark.parametrize("cell", ["", "NA", "na", " ", "NaN", ".", "0", "0.0"])
def test_missing_answers_stay_missing(tmp_path: Path, cell: str) -> None:
    path = table(tmp_path / "people.csv", f"case,i1,i2,i3,i4\nann,1,{cell},3,4\n")
    answers = read_human_answers(path, inventory(), stored="keyed")
    np.testing.assert_array_equal(answers.literal, [[1, np.nan, 3, 2]])


def test_zero_is_an_answer_where_the_scale_starts_at_zero(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "case,i1,i2,i3,i4\nann,0,0,NA,4\n")
    answers = read_human_answers(path, inventory(lowest=0), stored="literal")
    np.testing.assert_array_equal(answers.literal, [[0, 0, np.nan, 4]])


def test_semicolons_tabs_blank_lines_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    text = "\ufeffcase;i1;i2;i3;i4\nann;1;2;3;4\n\nbob;5;4;3;2\n"
    semicolons = table(tmp_path / "a.csv", text)
    tabs = table(tmp_path / "b.tsv", text.replace(";", "\t"))
    for path in (semicolons, tabs):
        answers = read_human_answers(path, inventory(), stored="literal")
        assert answers.ids == ("ann", "bob")
        assert answers.literal.tolist() == [[1, 2, 3, 4], [5, 4, 3, 2]]


# --- what is refused ---------------------------------------------------------------------------

WIDE = "case,sex,i1,i2,i3,i4\nann,1,1,2,3,4\nbob,2,{},4,3,2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            WIDE.format("6"),
            ["line 3", "person bob", "'i1'", "6 is not on the scale", "1, 2, 3, 4, 5"],
        ),
        (WIDE.format("2.5"), ["line 3", "person bob", "'i1'", "2.5 is not on the scale"]),
        (WIDE.format("often"), ["line 3", "person bob", "'i1'", "'often' is no number"]),
        (WIDE.format("inf"), ["line 3", "'inf' is no number"]),
        (
            "case,i1,i2,i3,i4\nann,1,2,3,4\n\nann,1,2,3,4\n",
            ["line 4", "'ann'", "before, on line 2"],
        ),
        ("case,i1,i2,i3,i4\n,1,2,3,4\n", ["line 2", "'case'", "no id"]),
        ("case,i1,i2,i3\nann,1,2,3\n", ["3 item columns", "4 items", "no column for item 4"]),
        ("case,i1,i2,i3,i4,i5\nann,1,2,3,4,5\n", ["5 item columns", "4 items", "no item 5"]),
        ("case,i1,i2,i3,i4,mood\nann,1,2,3,4,5\n", ["'mood'", "neither an item"]),
        ("case,i1,i2,i3,i4,I01\nann,1,2,3,4,1\n", ["'i1'", "'I01'", "item 1"]),
        ("case,i1,i1,i3,i4\nann,1,2,3,4\n", ["two columns 'i1'"]),
        ("case,i1,i2,i3,i4\nann,1,2\n", ["line 2", "3 cells", "5"]),
        ("case,i1,i2,i3,i4\n", ["holds no answers"]),
        ("case,mood\nann,5\n", ["no columns named by item numbers"]),
        ("person,item,answer\nann,9,1\n", ["line 2", "'9' is no item"]),
        ("person,item,answer\nann,two,1\n", ["line 2", "'two' is no item"]),
        ("person,item,answer\nann,1,1\nann,i1,2\n", ["line 3", "before, on line 2"]),
        ("person,item,answer\nann,1,1\nann,2,x\n", ["line 3", "'answer'", "'x' is no number"]),
        (
            "person,item,answer\nann,1,1\nann,2,9\nann,3,1\nann,4,1\n",
            ["line 3", "'answer'", "9 is not on the scale"],
        ),
        ("person,item,answer\nann,1,1\nbob,2,2\n", ["answers to 2 items", "has 4", "item 3"]),
        ("who,item,answer\nann,1,1\n", ["no column of people's ids"]),
        (
            "person,sex,item,answer\nann,1,1,1\nann,2,2,2\nann,1,3,1\nann,1,4,1\n",
            ["line 3", "'sex'", "another value"],
        ),
    ],
)
def test_files_that_do_not_hold_are_refused_in_one_sentence(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    path = table(tmp_path / "people.csv", text)
    with pytest.raises(ResponsesError) as error:
        read_human_answers(path, inventory(), stored="literal")
    message = str(error.value)
    assert "people.csv" in message
    for part in said:
        assert part in message
    assert "\n" not in message


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes("case,i1,i2,i3,i4\nRené,1,2,3,4\n".encode("latin-1"))
    with pytest.raises(ResponsesError, match=r"latin\.csv is not UTF-8"):
        read_human_answers(latin, inventory(), stored="literal")
    fake = table(tmp_path / "fake.parquet", "no Parquet")
    with pytest.raises(ResponsesError, match=r"fake\.parquet cannot be read as PARQUET"):
        read_human_answers(fake, inventory(), stored="literal")
    with pytest.raises(ResponsesError, match="There is no file"):
        read_human_answers(tmp_path / "none.csv", inventory(), stored="literal")
    with pytest.raises(ResponsesError, match="by its ending"):
        read_human_answers(table(tmp_path / "a.xlsx", ""), inventory(), stored="literal")
    path = table(tmp_path / "people.csv", WIDE.format("1"))
    with pytest.raises(ResponsesError, match="no column 'who'"):
        read_human_answers(path, inventory(), stored="literal", id_column="who")


# --- keyed or literal --------------------------------------------------------------------------


def test_a_declaration_that_the_answers_contradict_is_refused(tmp_path: Path) -> None:
    literal = simulated(60)
    rows = "".join(
        f"p{n}," + ",".join(f"{value:g}" for value in row) + "\n" for n, row in enumerate(literal)
    )
    path = table(tmp_path / "people.csv", "case,i1,i2,i3,i4\n" + rows)
    answers = read_human_answers(path, inventory(), stored="literal")
    assert answers.note == ""
    np.testing.assert_array_equal(answers.literal, literal)
    with pytest.raises(
        ResponsesError, match=r"declared keyed, but .* -0\.\d\d .* declare it literal"
    ):
        read_human_answers(path, inventory(), stored="keyed")


def test_files_too_small_to_tell_are_read_with_a_note(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "case,i1,i2,i3,i4\nann,1,5,2,4\nbob,5,1,4,2\n")
    answers = read_human_answers(path, inventory(), stored="keyed")
    assert "could not be checked" in answers.note
    assert "2 rows are too few" in answers.note


def test_without_opposite_keys_there_is_nothing_to_check(tmp_path: Path) -> None:
    path = table(tmp_path / "people.csv", "case,i1,i2\nann,1,5\nbob,5,1\n")
    answers = read_human_answers(path, inventory(keys=(1, 1)), stored="keyed")
    assert answers.note == ""
    np.testing.assert_array_equal(answers.literal, answers.keyed)


# --- PAPI's people -----------------------------------------------------------------------------


def test_papi_people_are_stored_keyed(shared: Path) -> None:
    bank = load_inventory("ipip-neo-300")
    people = shared / "data" / "papi" / "people.csv"
    answers = read_human_answers(people, bank, stored="keyed")
    assert answers.literal.shape == (300, 300)
    assert int(np.isnan(answers.literal).sum()) == 52
    assert answers.people.columns == ["id", "sex", "age", "country"]
    assert answers.note == ""
    # Shares of literal answers 1 to 5, found by reversing the file by hand.
    given = answers.literal[~np.isnan(answers.literal)]
    shares = [round(float(100 * (given == value).mean()), 1) for value in range(1, 6)]
    assert shares == [4.5, 25.1, 32.6, 33.2, 4.6]
    with pytest.raises(ResponsesError, match=r"declared literal, but .* \+0\.42 .* keyed"):
        read_human_answers(people, bank, stored="literal")


def test_papi_people_written_literal_are_told_from_keyed(shared: Path, tmp_path: Path) -> None:
    bank = load_inventory("ipip-neo-300")
    answers = read_human_answers(shared / "data" / "papi" / "people.csv", bank, stored="keyed")
    path = write_human_answers(answers, tmp_path / "people.parquet", stored="literal")
    again = read_human_answers(path, bank, stored="literal")
    np.testing.assert_array_equal(again.literal, answers.literal)
    assert again.people.equals(answers.people)
    with pytest.raises(ResponsesError, match="declare it literal"):
        read_human_answers(path, bank, stored="keyed")


# --- writing and answering ---------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["keyed", "literal"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, stored: str, ending: str) -> None:
    literal = simulated(40)
    literal[3, 2] = np.nan
    people = pl.DataFrame({"id": [f"p, {n}" for n in range(40)], "age": list(range(20, 60))})
    answers = HumanAnswers("them", inventory(), people, literal)
    path = write_human_answers(answers, tmp_path / f"them.{ending}", stored=stored)  # type: ignore[arg-type]  # parametrised by text
    again = read_human_answers(path, inventory(), stored=stored)  # type: ignore[arg-type]  # same
    np.testing.assert_array_equal(again.literal, literal)
    assert again.people.equals(people)
    assert again.describe() == answers.describe()
    if ending == "csv":
        with path.open(encoding="utf-8", newline="") as handle:
            assert next(csv.reader(handle)) == ["id", "age", "i1", "i2", "i3", "i4"]


def test_people_answer_as_respondents() -> None:
    people = pl.DataFrame({"id": ["ann", "bob"]})
    literal = np.array([[2.0, 5.0, np.nan, 1.0], [1.0, 1.0, 1.0, 1.0]])
    answers = HumanAnswers("them", inventory(), people, literal)
    questions = [question(1, "ann"), question(3, "ann"), question(2, "bob")]
    responses = list(answers.answer(questions))
    assert [r.condition for r in responses] == [q.condition for q in questions]
    # Content order: index 1 is the second option, though the question shows it last but one.
    assert (responses[0].probabilities, responses[0].choice) == ((0, 1, 0, 0, 0), 1)
    assert responses[0].label_mass == 1
    assert (responses[1].probabilities, responses[1].choice) == (None, None)
    assert math.isnan(responses[1].label_mass)
    assert not responses[1].refused
    assert not responses[1].unparsable
    assert responses[2].choice == 0


def situations(values: Sequence[float] = (1, 0, 1, 0)) -> Inventory:
    """One situation whose options share values, beside a statement of key -1 on the scale."""
    options = tuple(Option(text=text, value=v) for text, v in zip("abcd", values, strict=True))
    return inventory().model_copy(
        update={
            "items": (
                Item(number=1, text="At a party …", trait="E", options=options),
                Item(number=2, text="I stay at home.", trait="E", key=-1),
            )
        }
    )


def test_which_of_two_options_of_one_value_was_chosen_is_not_made_up(tmp_path: Path) -> None:
    people = pl.DataFrame({"id": ["ann"]})
    answers = HumanAnswers("them", situations(), people, np.array([[1.0, 2.0]]))
    first, second = answers.answer([question(1, "ann", tuple("abcd")), question(2, "ann")])
    assert (first.probabilities, first.choice, first.label_mass) == ((0.5, 0, 0.5, 0), None, 1)
    assert second.choice == 1
    np.testing.assert_array_equal(answers.choices, [[np.nan, 1]])
    with pytest.raises(ResponsesError, match="person ann: which option of item 1 was chosen"):
        write_human_answers(answers, tmp_path / "them.csv")


@pytest.mark.parametrize("stored", ["keyed", "literal"])
def test_answers_to_situations_name_the_option(
    tmp_path: Path, stored: Literal["keyed", "literal"]
) -> None:
    path = table(tmp_path / "p.csv", "id,i1,i2\nann,1,2\nbob,3,2\ncem,4,2\ndan,,2\n")
    answers = read_human_answers(path, situations(), stored=stored)
    plain = 2 if stored == "literal" else 4
    assert answers.literal[:3].tolist() == [[1, plain], [1, plain], [0, plain]]
    np.testing.assert_array_equal(answers.choices[:, 0], [0, 2, 3, np.nan])
    responses = answers.answer([question(1, person, tuple("abcd")) for person in answers.ids])
    found = [(response.choice, response.probabilities) for response in responses]
    assert found == [(0, (1, 0, 0, 0)), (2, (0, 0, 1, 0)), (3, (0, 0, 0, 1)), (None, None)]
    for ending in ("csv", "parquet"):
        written = write_human_answers(answers, tmp_path / f"again.{ending}", stored=stored)
        again = read_human_answers(written, situations(), stored=stored)
        np.testing.assert_array_equal(again.choices, answers.choices)
    long = table(tmp_path / "long.csv", "id,item,answer\nann,1,3\nann,2,2\n")
    one = read_human_answers(long, situations(), stored=stored)
    assert one.choices[0, 0] == 2
    # Ann and Bob are of one score, and told apart.
    assert answers.chosen is not None
    alike = [
        HumanAnswers(
            "x",
            situations(),
            answers.people[:1],
            answers.literal[:1].copy(),
            "",
            answers.chosen[n : n + 1].copy(),
        )
        for n in (0, 1)
    ]
    assert alike[0].describe() != alike[1].describe()


@pytest.mark.parametrize("given", ["0", "5", "1.5", "-1"])
def test_sides_are_refused_where_the_option_is_wanted(tmp_path: Path, given: str) -> None:
    path = table(tmp_path / "p.csv", f"id,i1,i2\nann,1,2\nbob,{given},2\n")
    with pytest.raises(
        ResponsesError,
        match=rf"line 3 \(person bob\), column 'i1': {given} is no option of item 1; give",
    ):
        read_human_answers(path, situations(), stored="literal")


def test_options_that_do_not_stand_for_the_answer_are_refused() -> None:
    people = pl.DataFrame({"id": ["ann"]})
    for chosen, said in (
        ([[1.0, np.nan]], "index 1 of item 1"),
        ([[9.0, np.nan]], "index 9"),
        ([[1.0]], "shape"),
    ):
        with pytest.raises(ResponsesError, match=said):
            HumanAnswers("x", situations(), people, np.array([[1.0, 2.0]]), "", np.array(chosen))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (question(1, "eve"), "no person 'eve'"),
        (question(9, "ann"), "no item 9"),
        (question(1, "ann", ("yes", "no")), "5 options"),
    ],
)
def test_what_people_were_not_asked_is_refused_before_any_answer(
    asked: Question, said: str
) -> None:
    answers = HumanAnswers("them", inventory(), pl.DataFrame({"id": ["ann"]}), np.ones((1, 4)))
    with pytest.raises(ModelError, match=said):
        next(answers.answer([question(1, "ann"), asked]))


def test_answers_that_do_not_fit_are_refused() -> None:
    ann = pl.DataFrame({"id": ["ann"]})
    with pytest.raises(ResponsesError, match="shape"):
        HumanAnswers("them", inventory(), ann, np.ones((1, 3)))
    with pytest.raises(ResponsesError, match="same id"):
        HumanAnswers("them", inventory(), pl.concat([ann, ann]), np.ones((2, 4)))
    with pytest.raises(ResponsesError, match="person ann: 9 to item 3"):
        HumanAnswers("them", inventory(), ann, np.array([[1.0, 1.0, 9.0, 1.0]]))


def test_descriptions_tell_answers_apart() -> None:
    def described(literal: float, person: str) -> object:
        people = pl.DataFrame({"id": [person]})
        answers = HumanAnswers("them", inventory(), people, np.full((1, 4), literal))
        return answers.describe()["answers_hash"]

    assert len({described(1, "ann"), described(2, "ann"), described(1, "bob")}) == 3


def test_answers_cannot_be_changed_behind_their_description() -> None:
    answers = HumanAnswers("them", inventory(), pl.DataFrame({"id": ["ann"]}), np.ones((1, 4)))
    with pytest.raises(ValueError, match="read-only"):
        answers.literal[0, 0] = 2
