"""Judges of open answers: how well an answer fits a person, whose fits best, and what it tells.

A judge is any respondent. It reads the person's own literal answers (never those an alignment was
fitted on), the question and what was written. It is never told who wrote it, answers come in an
order shuffled by a seed, and every scale and every list is shown in two orders.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import UsageError
from allport.evaluation.open_ended import JsonLines, OpenAnswer, OpenQuestion
from allport.evaluation.person_targets import BenchmarkPeople
from allport.files import sha256_of
from allport.models.respondent import Condition, Message, Question, Respondent

__all__ = [
    "FIT_RUBRIC",
    "LEVEL_RUBRIC",
    "Preference",
    "Rating",
    "known_statements",
    "prefer",
    "rate_fit",
    "rate_level",
]

Floats = NDArray[np.float64]

FIT_RUBRIC: Final = (
    "the opposite of this person, or no answer to the question",
    "mostly unlike this person",
    "neither like nor unlike this person; anybody could have said it",
    "somewhat like this person",
    "clearly like this person",
    "exactly like this person, in direction and in degree",
)
"""Levels 1 to 6 of how well an answer fits a person."""

LEVEL_RUBRIC: Final = (
    "clearly: {low}",
    "more this than the opposite: {low}",
    "in between, or the answer does not tell",
    "more this than the opposite: {high}",
    "clearly: {high}",
)
"""Levels 1 to 5 of the facet that an answer tells of, in the interview."""

_FIT_TASK: Final = (
    "Somebody described themselves by these statements:\n{person}\n\n"
    "Then somebody was asked: {question}\nThe reply was:\n{answer}\n\n"
    "Judge only how well the reply fits the person described. A reply that is well written but "
    "fits badly gets a low number, and so does one that does not answer the question.\n{options}\n"
    "Reply with one number."
)
_LEVEL_TASK: Final = (
    "Somebody was asked: {question}\nThe reply was:\n{answer}\n\n"
    "Judge only what the reply tells of the one who gave it.\n{options}\nReply with one number."
)
_PREFER_TASK: Final = (
    "Somebody described themselves by these statements:\n{person}\n\n"
    "They were asked: {question}\nWhich of these replies is most likely theirs?\n{options}\n"
    "Reply with one letter."
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LONGEST_ANSWER: Final = 2000
_KEPT_AT_ONCE: Final = 64
"""Judgements after which what came is kept."""


class Rating(NamedTuple):
    """What one judge made of one answer."""

    judge: str
    answer: OpenAnswer
    value: float
    """Expected level on the rubric, from 1; NaN where the judge gave nothing usable."""


class Preference(NamedTuple):
    """How one judge shared its choice among the answers of all systems to one question."""

    judge: str
    person: str
    facet: str
    number: int
    shares: dict[str, float]
    """By system, summing to 1; NaN where the judge gave nothing usable."""


def rate_fit(
    judge: Respondent,
    answers: Sequence[OpenAnswer],
    questions: Sequence[OpenQuestion],
    people: BenchmarkPeople,
    *,
    seed: int = 0,
    kept: JsonLines | None = None,
) -> list[Rating]:
    """How well each answer fits the person in whose place it was given, on `FIT_RUBRIC`.

    Answers on a facet of which the person answered no test item are left out: nothing is known to
    judge them by.

    Args:
        judge: Any respondent.
        answers: Of all systems.
        questions: What they answer.
        people: Whom they should fit.
        seed: Of the order in which the judge gets them.
        kept: Where ratings are kept; what is there already is not asked again.

    Raises:
        ModelError: The judge cannot be asked.
        UsageError: An answer is to another question, or in the place of somebody else.
    """
    asked = _by_key(questions)
    described = {
        pair: "\n".join(known_statements(people, *pair))
        for pair in dict.fromkeys((answer.person, answer.facet) for answer in answers)
    }
    judged = [answer for answer in answers if described[answer.person, answer.facet]]

    def texts(answer: OpenAnswer) -> tuple[str, tuple[str, ...]]:
        text = _FIT_TASK.format(
            person=described[answer.person, answer.facet],
            question=_of(asked, answer).text,
            answer=_quoted(answer.text),
            options="{options}",
        )
        return text, FIT_RUBRIC

    return _rated(judge, "fit", judged, texts, seed, kept)


def rate_level(
    judge: Respondent,
    answers: Sequence[OpenAnswer],
    questions: Sequence[OpenQuestion],
    *,
    seed: int = 0,
    kept: JsonLines | None = None,
) -> list[Rating]:
    """What facet level each answer tells of, on `LEVEL_RUBRIC`: an interview.

    The judge knows nothing of the person, so that trait scores made of these ratings can be
    compared with the person's own.

    Args:
        judge: As for `rate_fit`.
        answers: As for `rate_fit`.
        questions: As for `rate_fit`.
        seed: As for `rate_fit`.
        kept: As for `rate_fit`.
    """
    asked = _by_key(questions)

    def texts(answer: OpenAnswer) -> tuple[str, tuple[str, ...]]:
        question = _of(asked, answer)
        text = _LEVEL_TASK.format(
            question=question.text, answer=_quoted(answer.text), options="{options}"
        )
        levels = tuple(each.format(low=question.low, high=question.high) for each in LEVEL_RUBRIC)
        return text, levels

    return _rated(judge, "level", answers, texts, seed, kept)


def prefer(
    judge: Respondent,
    answers: Sequence[OpenAnswer],
    questions: Sequence[OpenQuestion],
    people: BenchmarkPeople,
    *,
    seed: int = 0,
    kept: JsonLines | None = None,
) -> list[Preference]:
    """Which system's answer a judge takes for the person's own, all shown side by side.

    The answers stand in a shuffled order, and once more in the reverse of it, so that a liking for
    a place in the list cancels. Questions that not every system answered are left out, and so are
    those on a facet of which the person answered no test item.

    Args:
        judge: As for `rate_fit`.
        answers: Of two systems or more.
        questions: As for `rate_fit`.
        people: As for `rate_fit`.
        seed: Of the shuffling.
        kept: As for `rate_fit`.

    Raises:
        UsageError: There are fewer than two systems, or more than letters.
    """
    systems = sorted({answer.system for answer in answers})
    if not 2 <= len(systems) <= len(_LETTERS):
        raise UsageError(
            f"Answers of {len(systems)} systems cannot be shown side by side; give 2 to "
            f"{len(_LETTERS)}."
        )
    asked = _by_key(questions)
    together: dict[tuple[str, str, int], dict[str, OpenAnswer]] = {}
    for answer in answers:
        together.setdefault((answer.person, answer.facet, answer.number), {})[answer.system] = (
            answer
        )
    described = {key[:2]: "\n".join(known_statements(people, *key[:2])) for key in together}
    whole = {
        key: each
        for key, each in together.items()
        if len(each) == len(systems) and described[key[:2]]
    }
    identity = _identity(judge)
    before: dict[tuple[str, str, int], dict[str, float]] = {}
    for line in () if kept is None else kept.read():
        if line.get("judge_hash") == identity and line.get("systems") == systems:
            person, facet, number = line["question"]
            before[person, facet, number] = {
                system: np.nan if share is None else share
                for system, share in zip(systems, line["shares"], strict=True)
            }
    missing = [key for key in whole if key not in before]
    for start in range(0, len(missing), _KEPT_AT_ONCE):
        some = missing[start : start + _KEPT_AT_ONCE]
        put: list[Question] = []
        for number, key in enumerate(some, start=1):
            replies = [_quoted(whole[key][system].text) for system in systems]
            text = _PREFER_TASK.format(
                person=described[key[:2]],
                question=_of(asked, whole[key][systems[0]]).text,
                options="{options}",
            )
            put += _side_by_side(number, text, replies, random.Random(f"{seed} {key}"))
        shares = _mean_shares(judge, put, len(some), len(systems))
        for key, row in zip(some, shares.tolist(), strict=True):
            before[key] = dict(zip(systems, row, strict=True))
        if kept is not None:
            kept.add(
                [
                    {
                        "judge": judge.name,
                        "judge_hash": identity,
                        "question": list(key),
                        "systems": systems,
                        "shares": [None if np.isnan(share) else share for share in row],
                    }
                    for key, row in zip(some, shares.tolist(), strict=True)
                ]
            )
    return [Preference(judge.name, *key, before[key]) for key in whole]


def _side_by_side(
    number: int, text: str, replies: Sequence[str], generator: random.Random
) -> Iterator[Question]:
    """A choice among replies, in a shuffled order and in the reverse of it."""
    shown = generator.sample(range(len(replies)), len(replies))
    for order, places in (("forward", shown), ("reversed", shown[::-1])):
        lines = (f"{_LETTERS[at]}. {replies[index]}" for at, index in enumerate(places))
        yield Question(
            item=number,
            condition=Condition("prefer", order),
            messages=(Message("user", _filled(text, "\n".join(lines))),),
            cue="",
            labels=tuple(_LETTERS[places.index(index)] for index in range(len(replies))),
            options=tuple(replies),
        )


def _rated(
    judge: Respondent,
    task: str,
    answers: Sequence[OpenAnswer],
    texts: Callable[[OpenAnswer], tuple[str, tuple[str, ...]]],
    seed: int,
    kept: JsonLines | None,
) -> list[Rating]:
    """Ratings in the order of the answers."""
    identity = _identity(judge)
    before: dict[tuple[str, ...], float] = {}
    if kept is not None:
        for line in kept.read():
            if line.get("judge_hash") == identity and line.get("task") == task:
                value = line["value"]
                before[tuple(line["answer"])] = np.nan if value is None else float(value)
    missing = [answer for answer in answers if answer.key not in before]
    random.Random(seed).shuffle(missing)
    for start in range(0, len(missing), _KEPT_AT_ONCE):
        some = missing[start : start + _KEPT_AT_ONCE]
        put = [
            question
            for number, answer in enumerate(some, start=1)
            for question in _scale_questions(number, task, *texts(answer))
        ]
        levels = len(put[0].options)
        values = _mean_shares(judge, put, len(some), levels) @ np.arange(1, levels + 1)
        for answer, value in zip(some, values.tolist(), strict=True):
            before[answer.key] = value
        if kept is not None:
            kept.add(
                [
                    {
                        "judge": judge.name,
                        "judge_hash": identity,
                        "task": task,
                        "answer": list(answer.key),
                        "value": None if np.isnan(value) else value,
                    }
                    for answer, value in zip(some, values.tolist(), strict=True)
                ]
            )
    return [Rating(judge.name, answer, before[answer.key]) for answer in answers]


def _scale_questions(
    number: int, task: str, text: str, levels: tuple[str, ...]
) -> Iterator[Question]:
    """A thing to be rated, with the scale shown both ways."""
    digits = tuple(str(level) for level in range(1, len(levels) + 1))
    lines = [f"{digit}: {level}" for digit, level in zip(digits, levels, strict=True)]
    for order, shown in (("forward", lines), ("reversed", lines[::-1])):
        yield Question(
            item=number,
            condition=Condition(task, order),
            messages=(Message("user", _filled(text, "\n".join(shown))),),
            cue="",
            labels=digits,
            options=levels,
        )


def _mean_shares(
    judge: Respondent, questions: Sequence[Question], count: int, options: int
) -> Floats:
    """Mean distribution over the orders of each thing judged, shape (count, options)."""
    sums, times = np.zeros((count, options)), np.zeros(count)
    for response in judge.answer(questions):
        if response.probabilities is not None:
            sums[response.item - 1] += response.probabilities
            times[response.item - 1] += 1
    return np.asarray(sums / np.where(times > 0, times, np.nan)[:, None])


def _identity(judge: Respondent) -> str:
    return sha256_of(json.dumps(judge.describe(), sort_keys=True, default=str))


def known_statements(people: BenchmarkPeople, person: str, facet: str) -> list[str]:
    """What a person said to the test items of a facet, as statements with answers.

    Raises:
        UsageError: There is no such person.
    """
    if person not in people.ids:
        raise UsageError(f"{people.name} has no person {person!r} to judge answers by.")
    row = people.ids.index(person)
    texts = {option.value: option.text for option in people.inventory.scale}
    items = [(people.test_items[c], people.targets[row, c]) for c in people.facets.get(facet, ())]
    return [
        f"{(item.text or '').rstrip('.')}: {texts[value]}"
        for item, value in items
        if not np.isnan(value)
    ]


def _by_key(questions: Sequence[OpenQuestion]) -> dict[tuple[str, int], OpenQuestion]:
    return {(question.facet, question.number): question for question in questions}


def _of(asked: dict[tuple[str, int], OpenQuestion], answer: OpenAnswer) -> OpenQuestion:
    try:
        return asked[answer.facet, answer.number]
    except KeyError:
        raise UsageError(
            f"An answer of {answer.system} is to question {answer.number} on {answer.facet}, which "
            "is not among the questions."
        ) from None


def _quoted(text: str) -> str:
    """An answer as a judge sees it: in one paragraph, none endless, none empty."""
    plain = " ".join(text.split())[:_LONGEST_ANSWER]
    return f'"{plain}"' if plain else "(nothing)"


def _filled(text: str, options: str) -> str:
    """Put the options in; what a model wrote is never filled in itself."""
    before, _, after = text.rpartition("{options}")
    return before + options + after
