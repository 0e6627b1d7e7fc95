"""A survey keeps what it is given, whatever happens to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.corpora import Survey, open_survey
from allport.errors import InventoryError, ResponsesError, UsageError
from allport.inventories import Inventory, Option, load_inventory
from allport.personas import read_person

MINI = load_inventory("mini-ipip-20")


def number_of(survey: Survey) -> int:
    assert survey.item is not None
    return survey.item.number


def option(value: float) -> Option:
    return next(option for option in MINI.scale if option.value == value)


def answer(survey: Survey, count: int) -> dict[int, float]:
    given: dict[int, float] = {}
    for _ in range(count):
        number = number_of(survey)
        given[number] = float(1 + number % 5)
        survey.give(option(given[number]))
    return given


def test_a_whole_survey_becomes_a_person_file(tmp_path: Path) -> None:
    with open_survey(tmp_path / "me.json", MINI, sex="female", age=33, seed=4) as survey:
        given = answer(survey, 20)
        assert survey.item is None
        person = survey.finish()
    assert person.literal_answers == given
    assert (person.name, person.sex, person.age, person.simulated) == ("me", "female", 33, False)
    assert read_person(tmp_path / "me.json") == person
    assert [path.name for path in tmp_path.iterdir()] == ["me.json"]


def test_every_answer_is_on_disk_before_the_next_question(tmp_path: Path) -> None:
    survey = open_survey(tmp_path / "me.json", MINI, seed=4)
    given: dict[int, float] = {}
    for step in range(5):
        given |= answer(survey, 1)
        lines = survey.progress_file.read_text(encoding="utf-8").splitlines()
        kept = [json.loads(line) for line in lines if "item" in line]
        assert {entry["item"]: entry["value"] for entry in kept} == given
        assert len(kept) == step + 1
    survey.close()


def test_it_goes_on_where_it_was_and_in_the_same_order(tmp_path: Path) -> None:
    with open_survey(tmp_path / "me.json", MINI, name="Ada", age=40) as first:
        given = answer(first, 7)
        following = number_of(first)
    with open_survey(tmp_path / "me.json", MINI, sex="female") as second:
        assert second.order == first.order
        assert (second.resumed, number_of(second)) == (7, following)
        assert (second.name, second.sex, second.age) == ("Ada", "female", 40)
        given |= answer(second, 13)
        assert second.finish().literal_answers == given


@given(cut=st.integers(1, 800))
@settings(max_examples=20, deadline=None)
def test_a_write_torn_anywhere_loses_the_answer_being_written_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "me.json"
    with open_survey(path, MINI, seed=9) as survey:
        given = answer(survey, 12)
    whole = survey.progress_file.read_bytes()
    torn = whole[: max(len(whole) - cut, 0)]
    survey.progress_file.write_bytes(torn)
    lines = [json.loads(line) for line in torn[: torn.rfind(b"\n") + 1].splitlines()]
    expected = {entry["item"]: entry["value"] for entry in lines if "item" in entry}
    with open_survey(path, MINI, seed=9) as again:
        assert again.answers == expected
        assert again.answers.items() <= given.items()
        given = expected | answer(again, 20 - len(expected))
        assert again.finish().literal_answers == given


def test_answers_can_be_taken_back_and_questions_skipped(tmp_path: Path) -> None:
    with open_survey(tmp_path / "me.json", MINI, seed=2) as survey:
        assert not survey.back()
        first = number_of(survey)
        survey.give(option(1))
        assert survey.back()
        assert number_of(survey) == first
        survey.give(option(5))
        second = number_of(survey)
        survey.skip()
        third = number_of(survey)
        survey.skip()
        survey.back()
        assert number_of(survey) == third
    with open_survey(tmp_path / "me.json", MINI) as survey:
        assert survey.answers == {first: 5, second: None}
        assert survey.skipped == (second,)
        answer(survey, 18)
        person = survey.finish()
    assert person.literal_answers[first] == 5
    assert second not in person.literal_answers
    assert len(person.literal_answers) == 19


def test_orders_differ_between_surveys_and_seeds_repeat_them(tmp_path: Path) -> None:
    orders = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", None), ("e", None)):
        with open_survey(tmp_path / name, MINI, seed=seed) as survey:
            assert sorted(survey.order) == list(MINI.numbers)
            orders.append(survey.order)
    assert orders[0] == orders[1]
    assert len(set(orders)) == 4


def test_a_scale_stands_as_it_is_and_situations_do_not_show_their_key(tmp_path: Path) -> None:
    with open_survey(tmp_path / "a", MINI, seed=1) as survey:
        assert survey.options(MINI.items[0]) == MINI.scale
    options = [{"text": f"Way {letter}", "value": value} for value, letter in enumerate("ABCD")]
    items = [
        {"number": n, "text": f"What now, {n}?", "trait": "E", "options": options}
        for n in range(1, 13)
    ]
    situations = Inventory.model_validate(
        MINI.model_dump() | {"name": "situations", "items": items, "scale": ()}
    )
    with open_survey(tmp_path / "b", situations, seed=1) as survey:
        shown = {tuple(o.value for o in survey.options(item)) for item in situations.items}
        assert len(shown) > 4
        assert all(sorted(values) == [0, 1, 2, 3] for values in shown)
        item = situations.items[0]
        assert survey.options(item) == survey.options(item)


def test_two_surveys_for_one_file_do_not_mix(tmp_path: Path) -> None:
    with (
        open_survey(tmp_path / "me.json", MINI),
        pytest.raises(UsageError, match="being filled in elsewhere"),
    ):
        open_survey(tmp_path / "me.json", MINI)
    with open_survey(tmp_path / "me.json", MINI) as survey:
        assert survey.resumed == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"sex": "x"}, "not 'x'"), ({"age": 0}, "0 is not the age"), ({"age": 121}, "121")],
)
def test_a_person_that_cannot_be_is_refused(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        open_survey(tmp_path / "me.json", MINI, **options)  # type: ignore[arg-type]  # parametrised
    assert not list(tmp_path.iterdir())


def test_a_survey_that_is_another_one_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "me.json"
    with open_survey(path, MINI, seed=5) as survey:
        answer(survey, 3)
    with pytest.raises(UsageError, match="begun with seed 5, not 6"):
        open_survey(path, MINI, seed=6)
    with pytest.raises(UsageError, match="asks mini-ipip-20, not ipip-neo-120"):
        open_survey(path, load_inventory("ipip-neo-120"))
    changed = MINI.with_texts({item.number: f"{item.text}!" for item in MINI.items})
    with pytest.raises(UsageError, match="mini-ipip-20 has changed"):
        open_survey(path, changed)
    with open_survey(path, MINI) as survey:
        assert survey.resumed == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "no survey in progress"),
        (b"hello\n", "line 1 is damaged"),
        (b"[]\n", "line 1 is damaged"),
        (b'{"seed": 1}\n', "no survey in progress"),
        (b"{}\n", "no survey in progress"),
    ],
)
def test_a_damaged_progress_file_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    progress = tmp_path / "me.json.progress"
    progress.write_bytes(content)
    with pytest.raises(ResponsesError, match=reason):
        open_survey(tmp_path / "me.json", MINI)
    assert progress.read_bytes() == content


@pytest.mark.parametrize("entry", ['{"item": 99, "value": 3}', '{"item": 1, "value": 9}'])
def test_answers_that_cannot_be_are_refused_by_line(tmp_path: Path, entry: str) -> None:
    with open_survey(tmp_path / "me.json", MINI) as survey:
        answer(survey, 1)
    with survey.progress_file.open("a", encoding="utf-8") as file:
        file.write(entry + "\n")
    with pytest.raises(ResponsesError, match="line 4 is no answer to mini-ipip-20"):
        open_survey(tmp_path / "me.json", MINI)


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "me.json").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        open_survey(tmp_path / "me.json", MINI)
    assert (tmp_path / "me.json").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResponsesError, match="cannot be written"):
        open_survey(tmp_path / "file" / "me.json", MINI)


def test_a_place_where_no_lock_can_be_made_is_not_taken_for_another_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def times_out(lock: FileLock) -> None:
        raise Timeout(lock.lock_file)

    # What /proc does: folders can be listed, files cannot be made, and the lock gives up.
    monkeypatch.setattr(FileLock, "acquire", times_out)
    with pytest.raises(ResponsesError, match=r"me\.json\.progress cannot be written \(no file can"):
        open_survey(tmp_path / "me.json", MINI)


def test_a_survey_of_nothing_but_skips_makes_no_person(tmp_path: Path) -> None:
    with open_survey(tmp_path / "me.json", MINI) as survey:
        for _ in range(20):
            survey.skip()
        with pytest.raises(ResponsesError, match=r"skipped.*delete .*me\.json\.progress"):
            survey.finish()
    assert survey.progress_file.exists()


def test_what_cannot_be_done_yet_or_any_more_is_said(tmp_path: Path) -> None:
    with open_survey(tmp_path / "me.json", MINI) as survey:
        with pytest.raises(UsageError, match="20 questions are not answered"):
            survey.finish()
        with pytest.raises(UsageError, match="'Perhaps' is no answer to item"):
            survey.give(Option(text="Perhaps", value=3))
        answer(survey, 20)
        with pytest.raises(UsageError, match="Every question is answered"):
            survey.give(option(1))
        survey.finish()
    with pytest.raises(UsageError, match="closed"):
        survey.back()


def test_an_inventory_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="import the text"):
        open_survey(tmp_path / "me.json", load_inventory("bfi-44", with_text=False))


def test_which_option_of_a_situation_was_chosen_is_kept(tmp_path: Path) -> None:
    whole = load_inventory("situations-320")
    bank = whole.model_copy(update={"items": whole.items[:3]})
    path = tmp_path / "me.json"
    chosen = {}
    for _ in range(3):  # Begun, left and gone on with: choices are on disk as answers are.
        with open_survey(path, bank, seed=5) as survey:
            number = number_of(survey)
            shown = survey.options(bank.item(number))
            survey.give(shown[2])
            chosen[number] = shown[2].text
            if survey.item is None:
                survey.finish()
    person = read_person(path, bank)
    assert {n: bank.item(n).options[c].text for n, c in person.choices.items()} == chosen
    assert all(text in person.system_prompt() for text in chosen.values())
    blind = replace(person, choices={})
    with pytest.raises(ResponsesError, match=r"Which option 'me' chose of item .* is not known"):
        blind.system_prompt()
    other = {n: 3 - c for n, c in person.choices.items()}
    with pytest.raises(ResponsesError, match="is not of the value that was answered"):
        replace(person, choices=other)
