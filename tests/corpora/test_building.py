from __future__ import annotations

import json
import math
import random
import sqlite3
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from allport.corpora import (
    BuiltSituations,
    OfflineWriter,
    RespondentWriter,
    build_situations,
    read_statements,
    seed_items,
)
from allport.corpora.building_replies import parse_reply
from allport.corpora.building_writers import WriterCall
from allport.errors import InventoryError, RunError, UsageError
from allport.inventories import load_inventory, read_situations
from allport.models.respondent import Question, Response
from allport.models.scripted import ScriptedRespondent

SEEDS = seed_items("mini-ipip-20", ["E", "A"])
ITEMS = 2 * 2 * 5


class Counting(OfflineWriter):
    """Counts what it is asked, and stops by itself if told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: Counter[tuple[str, int]] = Counter()
        self.stop_after = stop_after

    def write(self, calls: Sequence[WriterCall]) -> Iterator[tuple[int, str]]:
        for place, call in enumerate(calls):
            if self.stop_after is not None and self.asked.total() >= self.stop_after:
                raise KeyboardInterrupt
            self.asked[call.messages[-1].content, call.seed] += 1
            [(_, text)] = super().write([call])
            yield place, text


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltSituations:
    return build_situations(tmp_path_factory.mktemp("x") / "Bank 1", SEEDS, statements=2)


def test_a_bank_is_complete_and_says_where_everything_came_from(built: BuiltSituations) -> None:
    bank = built.inventory
    assert bank.name == "bank-1"
    assert len(bank.items) == ITEMS
    assert set(Counter(item.cluster for item in bank.items).values()) == {5}
    assert Counter(item.trait for item in bank.items) == {"E": 10, "A": 10}
    for item in bank.items:
        assert [option.value for option in item.options] == [1, 1, 0, 0]
        assert item.forms["paraphrase"] != item.text
    with sqlite3.connect(Path(built.files["card"]).parent / "calls.sqlite") as database:
        known = {key for (key,) in database.execute("SELECT key FROM calls")}
    rows = [json.loads(line) for line in Path(built.files["rows"]).read_text().splitlines()]
    stages = {"statements", "events", "situation", "options", "paraphrase"}
    for row in rows:
        assert set(row["parents"]) == set(row["seeds"]) == stages
        assert set(row["parents"].values()) <= known
        assert row["seed_item"].startswith("mini-ipip-20 item ")
        assert set(row["verdicts"].values()) == {"passed"}
        assert (row["writer"], row["build_seed"]) == ("offline", 0)
    fallen = [json.loads(line) for line in Path(built.files["fallen"]).read_text().splitlines()]
    assert len(rows) + len(fallen) == 28


def test_every_stage_accounts_for_what_went_in(built: BuiltSituations) -> None:
    for before, stage in zip(built.stages, built.stages[1:], strict=False):
        assert stage.given in (before.kept, 7 * before.kept)
    for stage in built.stages:
        assert stage.given == stage.kept + stage.dropped.total()
    assert built.stages[-1].kept == len(built.inventory.items)
    assert json.loads(Path(built.files["yield"]).read_text())[-1]["kept"] == ITEMS


def test_all_layouts_hold_the_same_items(built: BuiltSituations) -> None:
    for what in ("inventory", "inventory in TOML"):
        assert load_inventory(built.files[what]) == built.inventory
    for what in ("layout of TRAIT", "rows", "rows in Parquet"):
        back = read_situations(built.files[what], name=built.inventory.name)
        assert back.items == built.inventory.items, what
    assert "parents" in pl.read_parquet_schema(built.files["rows in Parquet"])


def test_the_same_seed_gives_the_same_bank_and_another_another(
    built: BuiltSituations, tmp_path: Path
) -> None:
    same = build_situations(tmp_path / "bank-1", SEEDS, statements=2)
    assert same.inventory == built.inventory
    other = build_situations(tmp_path / "other" / "bank-1", SEEDS, statements=2, seed=1)
    assert other.inventory.items_hash != built.inventory.items_hash


@pytest.mark.parametrize("stop_after", [0, 3, 40, 80])
def test_an_interrupted_build_goes_on_and_asks_nothing_twice(
    built: BuiltSituations, tmp_path: Path, stop_after: int
) -> None:
    folder = tmp_path / "bank-1"
    writer = Counting(stop_after)
    with pytest.raises(KeyboardInterrupt):
        build_situations(folder, SEEDS, writer=writer, statements=2)
    assert not (folder / "inventory.json").exists()
    writer.stop_after = None
    again = build_situations(folder, SEEDS, writer=writer, statements=2)
    assert again.inventory == built.inventory
    assert set(writer.asked.values()) == {1}
    assert writer.asked.total() == built.replies_asked == stop_after + again.replies_asked
    assert build_situations(folder, SEEDS, writer=writer, statements=2).replies_asked == 0


def test_a_folder_holds_one_build(built: BuiltSituations, tmp_path: Path) -> None:
    folder = Path(built.files["card"]).parent
    with pytest.raises(RunError, match="a build with other seed and statements"):
        build_situations(folder, SEEDS, statements=3, seed=4)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(
        RunError, match=r"other seed items \(traits, inventory or statements\); name another"
    ):
        build_situations(folder, SEEDS[:-1], statements=2)
    with pytest.raises(RunError, match=r"other files \(thesis.txt\)"):
        build_situations(tmp_path, SEEDS)


def test_a_folder_without_replies_takes_another_command(
    built: BuiltSituations, tmp_path: Path
) -> None:
    folder = tmp_path / "bank-1"
    with pytest.raises(KeyboardInterrupt):
        build_situations(folder, SEEDS, writer=Counting(0), statements=3, per_statement=2)
    assert build_situations(folder, SEEDS, statements=2).inventory == built.inventory
    with pytest.raises(RunError, match="a build with other statements"):
        build_situations(folder, SEEDS, statements=3)
    # A record of something else is not written over.
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for text in ('{"name": "mine"}', "[1]"):
        (foreign / "build.json").write_text(text)
        with pytest.raises(RunError, match="a build with other"):
            build_situations(foreign, SEEDS)
        assert (foreign / "build.json").read_text() == text


def test_more_situations_than_the_offline_writer_has_events_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    with pytest.raises(UsageError, match=r"has 20 events, and 30 .* want 32; ask for 18 or fewer"):
        build_situations(folder, SEEDS, statements=1, per_statement=30)
    with pytest.raises(UsageError, match="ask for fewer spare"):
        build_situations(folder, SEEDS, statements=1, per_statement=1, spare=20)
    assert not folder.exists()
    most = build_situations(folder, SEEDS[:4], statements=1, per_statement=18)
    assert len(most.inventory.items) == 18


def sentence(key: object, count: int) -> str:
    """So many words, every other one English and the rest made up, different for every key."""
    chance = random.Random(str(key))
    made_up = ("".join(chance.choices("bdfgklmnprst", k=6)) for _ in range(count))
    return " ".join(
        chance.choice(["the", "and", "with"]) if n % 2 else word for n, word in enumerate(made_up)
    )


def content(stage: str, prompt: str) -> dict[str, Any]:
    def lines(count: int, words: int) -> list[str]:
        return [sentence((prompt, stage, n), words) for n in range(count)]

    if stage == "statements":
        return {"statements": lines(9, 8)}
    if stage == "events":
        return {"events": lines(9, 8)}
    if stage == "options":
        return {"high": lines(2, 16), "low": lines(4, 16)[2:], "remark": "done"}
    return {"situation": sentence((prompt, stage), 30), "question": "What should I do?"}


def test_replies_that_are_no_json_are_asked_for_anew_and_counted(tmp_path: Path) -> None:
    bad = {
        "situation": ["I will not.", '{"situation": "Only this."}', ""],
        "paraphrase": ["```json\n{broken\n```"],
    }
    tries: Counter[str] = Counter()

    def script(question: Question) -> Response:
        prompt = question.messages[-1].content
        stage = question.condition.form
        place = tries[prompt.split("\n\nYour last reply")[0]]
        tries[prompt.split("\n\nYour last reply")[0]] += 1
        planted = bad.get(stage, [])
        text = planted[place] if place < len(planted) else None
        if text is None:
            text = f"Here it is:\n```json\n{json.dumps(content(stage, prompt))}\n```"
        return Response(
            question.item, question.condition, None, None, math.nan, unparsable=True, text=text
        )

    writer = RespondentWriter(ScriptedRespondent(script, "scribe"))
    seeds = seed_items("mini-ipip-20", ["E"])
    made = build_situations(tmp_path / "a", seeds, writer=writer, statements=1, retries=3, spare=0)
    stages = {stage.stage: stage for stage in made.stages}
    assert dict(stages["situation"].invalid) == {
        "it holds no JSON object": 5,
        "the JSON has another form": 5,
        "nothing was written": 5,
    }
    assert (stages["situation"].replies, stages["situation"].kept) == (20, 5)
    assert dict(stages["paraphrase"].invalid) == {"it holds no JSON object": 5}
    assert len(made.inventory.items) == 5
    assert "no JSON object 5" in Path(made.files["card"]).read_text()
    # Where patience ends, what is missing is counted, and an empty bank is said to be one.
    tries.clear()
    with pytest.raises(RunError, match=r"No item passed all checks; .*yield\.json says"):
        build_situations(tmp_path / "b", seeds, writer=writer, statements=1, retries=1, spare=0)
    found = {row["stage"]: row for row in json.loads((tmp_path / "b/yield.json").read_text())}
    assert found["situation"]["dropped"] == {"no usable reply: the JSON has another form": 5}


@pytest.mark.parametrize(
    ("stage", "text", "why"),
    [
        ("events", '{"events": ["one", "one "]}', "too few different"),
        ("events", '{"events": "one"}', "another form"),
        ("options", '{"high": ["a"], "low": ["b", "c"]}', "another form"),
        ("options", "[1, 2]", "no JSON object"),
        ("situation", " \n", "nothing"),
        ("situation", '{"situation": "Here \\ud83d.", "question": "Why?"}', "another form"),
        ("situation", '{"situation": "Here.", "question": " "}', "another form"),
    ],
)
def test_replies_of_another_form_say_what_is_wrong(stage: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_reply(stage, text, 2)


def test_replies_are_read_with_words_around_them_and_longer_lists_cut() -> None:
    text = 'Sure {I think}: {"events": ["a  b", "c", "d"]} Good luck!'
    assert parse_reply("events", text, 2) == {"events": ["a b", "c"]}


def test_one_item_of_a_trait_is_not_enough_for_the_baseline(tmp_path: Path) -> None:
    made = build_situations(tmp_path / "one", SEEDS, statements=1, per_statement=1, spare=0)
    assert len(made.inventory.items) == 2
    for name in ("Extraversion", "Agreeableness"):
        estimate = made.found[f"options alone, words, {name}"]
        assert math.isnan(estimate.value)
        assert "one statement only" in estimate.reason
    assert "as no trait has two statements" in made.remarks[0]
    assert "not known: one statement only" in Path(made.files["card"]).read_text()


def offline_key() -> dict[str, float]:
    """Every option that the offline writer can write, with its value."""
    text = files("allport.corpora").joinpath("building_offline.toml").read_text("utf-8")
    sentences = tomllib.loads(text)
    return {
        act.format(topic=event["topic"]): value
        for ends in sentences["acts"].values()
        for end, value in (("high", 1.0), ("low", 0.0))
        for act in ends[end]
        for event in sentences["event"]
    }


def judge(name: str, key: dict[str, float], wrong: str = "\0", leans: str = "\0") -> Any:
    """Keys as it should, but for situations that hold some words; likes the high end."""

    def script(question: Question) -> int:
        text = question.messages[-1].content
        if question.condition.template == "leaning":
            return 0 if leans in text else 2
        lines = [line for line in text.split("\n") if line[:3] in ("A. ", "B. ", "C. ", "D. ")]
        high = {line[0] for line in lines if key[line[3:]] == 1}
        if wrong in text and question.condition.template == "key":
            high = set("ABCD") - high
        return next(
            n for n, pair in enumerate(question.options) if set(pair.split(" and ")) == high
        )

    return ScriptedRespondent(script, name)


def test_judges_drop_what_they_key_otherwise_but_for_one_of_them(
    built: BuiltSituations, tmp_path: Path
) -> None:
    key = offline_key()
    odd = built.items[0].situation
    right, other, third = judge("x", key), judge("y", key, wrong=odd), judge("z", key, wrong=odd)
    made = build_situations(tmp_path / "p", SEEDS, statements=2, judges=[right, other])
    assert odd in {item.situation for item in made.items}
    # Judges may be added: what was written stays.
    more = build_situations(tmp_path / "p", SEEDS, statements=2, judges=[right, other, third])
    assert odd not in {item.situation for item in more.items}
    assert len(more.items) == ITEMS  # a spare one takes its place
    [stage] = [stage for stage in more.stages if stage.stage == "judges"]
    assert dict(stage.dropped) == {"judges key its options otherwise": stage.given - stage.kept}
    assert {item.verdicts["judges"] for item in more.fallen if item.situation == odd} == {
        "judges key its options otherwise"
    }
    assert set(right.asked.values()) == set(other.asked.values()) == {1}
    # They found every key without the situation, and approved of the high end alone.
    assert more.found["keys found from options alone, x"].value == 1
    assert more.found["approved options of the high end, Agreeableness, x"].value == 1


def test_one_judge_alone_must_agree_and_questions_must_be_open(tmp_path: Path) -> None:
    key = offline_key()
    asks = "What should I answer the choir?"
    one = judge("x", key, leans=asks)
    made = build_situations(tmp_path / "p", SEEDS, statements=2, spare=4, judges=[one])
    assert asks not in {item.question for item in made.items}
    [stage] = [stage for stage in made.stages if stage.stage == "judges"]
    assert stage.dropped["judges find that the question wants one answer"] > 0


def test_a_judge_of_no_use_is_counted_and_keeps_nothing(tmp_path: Path) -> None:
    silent = ScriptedRespondent(lambda question: None, "silent")
    with pytest.raises(RunError, match="No item passed"):
        build_situations(tmp_path / "p", SEEDS, statements=1, judges=[silent])


def test_a_judge_without_a_liking_is_no_use_as_a_key(
    built: BuiltSituations, tmp_path: Path
) -> None:
    even = ScriptedRespondent(lambda q: [1 / len(q.options)] * len(q.options), "even")
    firm = [judge(name, offline_key()) for name in "xy"]
    made = build_situations(tmp_path / "p", SEEDS, statements=2, judges=[*firm, even])
    assert made.found["keys found from options alone, even"].value == 0
    assert made.found["approved options of the high end, Extraversion, even"].value == 0.5


def test_statements_come_from_files(tmp_path: Path) -> None:
    rows = [
        {"trait": "mach", "statement": "Keeps what they know to themselves."},
        {"trait": "Machiavellianism", "statement": "Flatters people who are of use."},
        {"trait": "E", "statement": "Talks to strangers on trains."},
    ]
    (tmp_path / "s.json").write_text(json.dumps(rows))
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_csv(tmp_path / "s.csv")
    for ending in ("json", "jsonl", "csv"):
        found = read_statements(tmp_path / f"s.{ending}")
        assert [(s.trait.code, s.text) for s in found] == [
            ("Mach", rows[0]["statement"]),
            ("Mach", rows[1]["statement"]),
            ("E", rows[2]["statement"]),
        ]
    dark = read_statements(tmp_path / "s.csv", ["Mach"])
    made = build_situations(tmp_path / "p", [*dark, dark[0]], statements=3)
    assert [stage.stage for stage in made.stages[:2]] == ["statements", "events"]
    assert dict(made.stages[0].dropped) == {"repeats another statement of its trait": 1}
    assert {item.cluster for item in made.inventory.items} == {s.text for s in dark}
    with pytest.raises(UsageError, match="no trait 'N'; it has Mach, E"):
        read_statements(tmp_path / "s.csv", ["N"])
    (tmp_path / "s.csv").write_text("trait,statement\nE,\n")
    with pytest.raises(InventoryError, match="row 1 needs a trait and a statement"):
        read_statements(tmp_path / "s.csv")


def test_seeds_are_sentences_that_keep_the_capitals_of_names() -> None:
    bank = load_inventory("mini-ipip-20")
    first = bank.items[0].model_copy(update={"text": "TV addict by nature."})
    second = bank.items[1].model_copy(update={"text": "Friend to all."})
    items = (first, second, *bank.items[2:])
    seeds = seed_items(bank.model_copy(update={"stem": "I am a", "items": items}))
    texts = {seed.text for seed in seeds}
    assert {"I am a TV addict by nature.", "I am a friend to all."} <= texts


def test_what_cannot_be_built_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="situations itself"):
        seed_items("situations-320")
    with pytest.raises(UsageError, match="has no trait 'Mach'"):
        seed_items("mini-ipip-20", ["Mach"])
    with pytest.raises(UsageError, match="retries is -1"):
        build_situations(tmp_path, SEEDS, retries=-1)
    with pytest.raises(UsageError, match="nothing to build from"):
        build_situations(tmp_path, [])
