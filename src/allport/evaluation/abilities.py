"""Small tasks with one right answer each, to see what an alignment costs a model.

The training of the embedded model draws its exercises from here too; of every kind those that a
fixed hash picks, about a fifth, are held out of it, and only those are asked. They show that rules
hold inside small closed sets, and nothing beyond: words to copy are of thirty, words to spell are
made up and have two to five letters, numbers to sort have one digit, numbers to add and take away
go to twenty, things and places to recall are of twenty and twelve. Held-out facts are known ones,
all but one, in wordings that were not trained on; of a held-out yes or no the other question of the
pair mostly was trained on.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from allport.errors import ModelError
from allport.models.respondent import Condition, Message, Question, Respondent
from allport.psychometrics.estimate import Estimate
from allport.psychometrics.share_intervals import wilson_interval

__all__ = ["Exercise", "ability_scores", "exercise_kinds", "exercises", "is_held_out"]

_DRAWN = 12_000
"""Exercises of each kind of which there is no end."""
_THINGS = [
    "key",
    "cup",
    "book",
    "ball",
    "hat",
    "lamp",
    "shoe",
    "coin",
    "ring",
    "pen",
    "bag",
    "bowl",
    "spoon",
    "coat",
    "map",
    "rope",
    "drum",
    "kite",
    "brush",
    "clock",
]
_PLACES = [
    "in the box",
    "on the shelf",
    "under the bed",
    "by the door",
    "in the car",
    "on the table",
    "behind the tree",
    "in the garden",
    "next to the chair",
    "in the kitchen",
    "on the wall",
    "at the school",
]
_WORDS = [
    "tree",
    "stone",
    "river",
    "apple",
    "chair",
    "cloud",
    "green",
    "seven",
    "horse",
    "paper",
    "window",
    "yellow",
    "music",
    "bread",
    "table",
    "night",
    "summer",
    "orange",
    "silver",
    "garden",
    "letter",
    "pocket",
    "winter",
    "butter",
    "circle",
    "dinner",
    "finger",
    "little",
    "market",
    "number",
]
_CONSONANTS, _VOWELS = "bdfgklmnprstv", "aeiou"


@dataclass(frozen=True)
class Exercise:
    """A question with one right answer, in the words of this project."""

    kind: str
    question: str
    answer: str

    @property
    def held_out(self) -> bool:
        """Whether the embedded model was kept from it in training."""
        return is_held_out(self.question)

    def answered_by(self, text: str) -> bool:
        """Whether a text is the answer but for capitals, outer spaces and a full stop."""
        return _plain(text) == _plain(self.answer)


def is_held_out(text: str) -> bool:
    """Whether a text is of those, about a fifth, that the embedded model's training leaves out."""
    return hashlib.sha256(text.encode()).digest()[0] % 5 == 0


def exercise_kinds() -> tuple[str, ...]:
    """Names of the kinds of exercise."""
    return tuple(_KINDS)


@cache
def exercises(kind: str) -> tuple[Exercise, ...]:
    """Every exercise of a kind, held out or not, always the same ones in the same order."""
    seen: dict[str, Exercise] = {}
    for question, answer in _KINDS[kind](random.Random(kind)):
        seen.setdefault(question, Exercise(kind, question, answer))
    return tuple(seen.values())


def ability_scores(
    respondent: Respondent,
    system: str = "",
    *,
    person: str = "",
    n_per_kind: int = 40,
    seed: int = 0,
) -> Mapping[str, Estimate]:
    """Share of held-out exercises answered rightly, by kind and over "all".

    Intervals are Wilson's, 95 %. For what is right see `Exercise.answered_by`.

    Args:
        respondent: Who answers, aligned or not.
        system: System text that stands before, if any.
        person: In whose place it is asked, where respondents differ by person.
        n_per_kind: Exercises of each kind, drawn from those held out.
        seed: Of the draw.

    Raises:
        ModelError: The respondent writes no text.
    """
    done = exercises_done(respondent, system, person=person, n_per_kind=n_per_kind, seed=seed)
    scores = {kind: _share([right for e, right in done if e.kind == kind]) for kind in _KINDS}
    return MappingProxyType({**scores, "all": _share([right for _, right in done])})


def exercises_done(
    respondent: Respondent,
    system: str = "",
    *,
    person: str = "",
    n_per_kind: int = 40,
    seed: int = 0,
) -> list[tuple[Exercise, bool]]:
    """Held-out exercises, and whether each was answered rightly; arguments as `ability_scores`.

    The same seed draws the same exercises in the same order. One that got no text is not done,
    where others got some.

    Raises:
        ModelError: The respondent writes no text.
    """
    rng = random.Random(seed)
    asked: list[Exercise] = []
    for kind in _KINDS:
        pool = [e for e in exercises(kind) if e.held_out]
        asked += rng.sample(pool, min(n_per_kind, len(pool)))
    lead = (Message("system", system),) if system else ()
    condition = Condition(template="exercise", order="forward", persona=person)
    questions = [
        Question(
            item=number,
            condition=condition,
            messages=(*lead, Message("user", exercise.question)),
            cue="",
            # Nothing is chosen; the labels are there because every question has some.
            labels=("A", "B"),
            options=("A", "B"),
            reading="generation",
            seed=seed + number,
        )
        for number, exercise in enumerate(asked, start=1)
    ]
    said = {response.item: response.text for response in respondent.answer(questions)}
    if all(text is None for text in said.values()):
        raise ModelError(
            f"{respondent.name} writes no text, so it cannot do exercises; ask a model that "
            "generates."
        )
    return [
        (exercise, exercise.answered_by(said[number] or ""))
        for number, exercise in enumerate(asked, start=1)
    ]


def _share(right: Sequence[bool]) -> Estimate:
    return wilson_interval(sum(right), len(right))


def _plain(text: str) -> str:
    return text.strip().removesuffix(".").strip().lower()


Drawn = Sequence[tuple[str, str]]


def _sums(rng: random.Random) -> Drawn:
    made = []
    for a, b in itertools.product(range(21), repeat=2):
        made.append((f"What is {a} plus {b}?", str(a + b)))
        if a >= b:
            made.append((f"What is {a} minus {b}?", str(a - b)))
    return made


def _copying(rng: random.Random) -> Drawn:
    lists = [" ".join(rng.sample(_WORDS, rng.randint(2, 4))) for _ in range(_DRAWN)]
    return [(f"Copy these words: {words}", words) for words in lists]


def _spelling(rng: random.Random) -> Drawn:
    # Words that are none are cut into the same small tokens in training and when held out.
    made = []
    for _ in range(_DRAWN):
        syllables = rng.randint(1, 2)
        word = "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(syllables))
        word += rng.choice(["", rng.choice(_CONSONANTS)])
        made.append((f"Spell the word {word}.", "-".join(word)))
    return made


def _sorting(rng: random.Random) -> Drawn:
    made = []
    for _ in range(_DRAWN):
        numbers = rng.sample(range(10), rng.randint(3, 4))
        said = " ".join(map(str, numbers))
        made.append(
            (f"Put these numbers in order: {said}", " ".join(str(n) for n in sorted(numbers)))
        )
    return made


def _recall(rng: random.Random) -> Drawn:
    made = []
    for _ in range(_DRAWN):
        n = rng.randint(2, 3)
        things, places = rng.sample(_THINGS, n), rng.sample(_PLACES, n)
        told = " ".join(f"The {t} is {p}." for t, p in zip(things, places, strict=True))
        which = rng.randrange(n)
        made.append((f"{told} Where is the {things[which]}?", places[which]))
    return made


def _facts(rng: random.Random) -> Drawn:
    return [(q, fact["reply"]) for fact in _data("facts")["fact"] for q in fact["user"]]


def _yes_no(rng: random.Random) -> Drawn:
    pairs = _data("yes_no")["pair"]
    return [(pair[answer], answer) for pair in pairs for answer in ("yes", "no")]


def _data(name: str) -> dict[str, list[dict[str, str]]]:
    text = files("allport.evaluation").joinpath(f"data/{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


_KINDS: Mapping[str, Callable[[random.Random], Drawn]] = {
    "sums": _sums,
    "copying": _copying,
    "spelling": _spelling,
    "sorting": _sorting,
    "recall": _recall,
    "facts": _facts,
    "yes-no": _yes_no,
}
