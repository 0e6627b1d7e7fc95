from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from allport.evaluation import exercises
from allport.models import TransformersModel
from benchmarks import embedded_talk
from benchmarks.embedded_talk import (
    BEYOND,
    DOMAINS,
    Reply,
    beyond_exercises,
    done,
    says_twice,
    scene_rows,
    scene_words,
    words,
)

import conversations  # isort: skip  # found once the benchmark is imported


@dataclass(frozen=True)
class Said:
    text: str


class Writes:
    """A model that writes to a user's turn what a function says."""

    def __init__(self, script: Any) -> None:
        self.script = script

    def generate(self, chats: Any, **settings: Any) -> list[Said]:
        return [Said(self.script(chat[-1].content)) for chat in chats]


def model(script: Any) -> TransformersModel:
    return cast(TransformersModel, Writes(script))


def recipe_replies(sentences: int = 2) -> list[Reply]:
    rng = np.random.default_rng(1)
    return [
        Reply(
            scene, code, True, " ".join(scene.sentence(rng, code, "high") for _ in range(sentences))
        )
        for scene in conversations.scenes()
        for code in DOMAINS
    ]


def shares(replies: list[Reply]) -> dict[str, float]:
    rows = scene_rows("held-out", replies)
    return {row.id.removeprefix("strength.replies_held_out."): row.value for row in rows}


def test_the_recipes_own_replies_name_their_scene_and_hardly_another() -> None:
    found = shares(recipe_replies())
    assert found["names"] > 0.9
    assert found["names_control"] < 0.1


def test_replies_to_other_scenes_name_theirs_by_chance_only() -> None:
    replies = recipe_replies()
    # Each scene gets what was said to the one before it.
    moved = [r._replace(text=replies[n - len(DOMAINS)].text) for n, r in enumerate(replies)]
    found = shares(moved)
    assert found["names"] < 0.15
    assert abs(found["names"] - found["names_control"]) < 0.1


def test_words_of_a_scene_are_in_no_sentence_to_be_filled() -> None:
    scene = next(s for s in conversations.scenes() if s.name == "savings")
    assert scene_words(scene) >= {"savings", "bank", "year"}
    assert not scene_words(scene) & {"the", "new", "at"}
    changed = replace(scene, thing="the gold coins")
    assert scene_words(changed) >= {"gold", "coins"}


def test_a_sentence_that_stands_twice() -> None:
    assert says_twice("I wait. I stay calm about the move. I wait.")
    assert says_twice("What now? what now?")
    assert not says_twice("I wait. I wait and see.")
    assert not says_twice("")
    replies = recipe_replies(1)
    assert shares(replies)["repeats"] == 0
    assert shares([r._replace(text=f"{r.text} {r.text}") for r in replies])["repeats"] == 1


def test_intervals_hold_the_share_and_are_over_scenes() -> None:
    replies = recipe_replies()
    row = scene_rows("trained", [r._replace(text="") if r.trait == "N" else r for r in replies])[0]
    assert row.low < row.value < row.high
    silent = scene_rows("trained", [r._replace(text="") for r in replies])[0]
    assert silent.value == 0
    assert math.isnan(silent.low)


def test_what_is_beyond_is_in_no_exercise_of_the_kind() -> None:
    asked = beyond_exercises()
    assert beyond_exercises() == asked
    assert [of[0].kind for of in asked.values()] == ["copying", "spelling", "sorting"]
    for of in asked.values():
        kind = of[0].kind
        questions = {e.question for e in of}
        assert len(questions) == BEYOND
        assert not questions & {e.question for e in exercises(kind)}
        begin = {e.question.split()[0] for e in exercises(kind)}
        assert {q.split()[0] for q in questions} == begin
    copied = {word for e in exercises("copying") for word in e.answer.split()}
    assert len(copied) == 30
    assert not copied & set(embedded_talk.WORDS)
    spelled = {e.answer.replace("-", "") for e in exercises("spelling")}
    assert max(map(len, spelled)) == 5
    assert not spelled & set(embedded_talk.WORDS)
    sorted_ = {n for e in exercises("sorting") for n in e.answer.split()}
    assert not sorted_ & {n for e in asked["sorting two-digit numbers"] for n in e.answer.split()}


def test_answers_count_as_in_other_exercises() -> None:
    asked = [e for of in beyond_exercises().values() for e in of]
    answers = {e.question: e.answer for e in asked}
    assert done(model(lambda question: f" {answers[question].upper()}."), asked).all()
    assert not done(model(lambda question: question), asked).any()
    for exercise in asked:
        assert words(exercise.answer) or exercise.answer.split() == sorted(exercise.answer.split())
