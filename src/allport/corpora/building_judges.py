"""What judges say of situational items: whose advice is whose, and what people would approve of.

A judge is any respondent. It chooses one of the six ways to take two of the four options, so that
one choice keys all of them; chance is 1/6. Options are shuffled by a seed, the six ways are shown
in two orders, and the judge is never told the key.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration.progress import reporting
from allport.corpora.building_checks import Candidate
from allport.corpora.building_store import CallStore, call_key
from allport.corpora.building_writers import identity_of
from allport.models.respondent import Condition, Message, Question, Respondent
from allport.personas.trait_levels import trait_adjectives

__all__ = ["Judged", "agreed", "judge_items"]

Floats = NDArray[np.float64]
Task = Literal["key", "key alone", "approval", "leaning"]

_LETTERS = "ABCD"
_PAIRS = tuple(combinations(range(4), 2))
_TRAIT = "{trait}: people high in it are {high}; people low in it are {low}.\n"
_TASKS: dict[Task, str] = {
    "key": _TRAIT + 'Somebody asks: "{situation} {question}"\nFour people answer:\n{options}\n\n'
    "Two of the answers are what people high in {trait} would say, two are what people low in it "
    "would say. Which two are those of the people high in {trait}?",
    "key alone": _TRAIT + "Four people gave advice, to what question is not known:\n{options}\n\n"
    "Two of the answers are what people high in {trait} would say, two are what people low in it "
    "would say. Which two are those of the people high in {trait}?",
    "approval": 'Somebody asks: "{situation} {question}"\nFour people answer:\n{options}\n\n'
    "Which two of the answers would most people approve of most?",
    "leaning": _TRAIT + 'Somebody asks: "{situation} {question}"\n\n'
    "Do these words by themselves show which advice they want to hear?",
}
_LEANS = (
    "They want advice of people high in {trait}.",
    "They want advice of people low in {trait}.",
    "They leave open which advice they want.",
)


@dataclass(frozen=True)
class Judged:
    """What one judge made of every item, each of shape (items,)."""

    judge: str
    keyed: NDArray[np.bool_]
    """Whether it keyed all four options as they were written."""
    keyed_alone: Floats
    """Whether it did so without situation and question; NaN where it gave nothing usable."""
    approval: Floats
    """Share of approved options that are of the high end, .5 where neither side is liked more; NaN
    where it gave nothing usable."""
    open: NDArray[np.bool_]
    """Whether it finds that situation and question leave the advice open."""
    unusable: int
    """Questions to which it gave nothing usable."""


class _Asked(NamedTuple):
    question: Question
    key: str
    high: tuple[int, ...]
    """Where the options of the high end stand among the letters."""


def judge_items(
    judge: Respondent,
    items: Sequence[Candidate],
    store: CallStore,
    *,
    seed: int = 0,
    progress: Literal["bar"] | None = None,
) -> Judged:
    """Ask a judge about every item; what the store has is not asked again.

    Raises:
        ModelError: The judge cannot be asked.
    """
    identity = identity_of(judge)
    asked: dict[tuple[int, str, str], _Asked] = {}
    for place, item in enumerate(items):
        for task in _TASKS:
            for question, high in _questions(place, item, task, seed):
                told = [list(m) for m in question.messages]
                key = call_key([task, told, list(question.labels)], identity, seed)
                asked[place, task, question.condition.order] = _Asked(question, key, high)
    shares: dict[tuple[int, str, str], list[float] | None] = {}
    for which, each in asked.items():
        kept = store.reply(each.key)
        if kept is not None:
            shares[which] = json.loads(kept)
    missing = [each.question for which, each in asked.items() if which not in shares]
    title = f"judged by {judge.name}"
    with reporting(progress, title, len(shares), len(asked)) as told_so_far:
        for response in judge.answer(missing):
            which = (response.item, response.condition.template, response.condition.order)
            each = asked[which]
            shares[which] = None if response.probabilities is None else [*response.probabilities]
            store.add(
                each.key,
                json.dumps(shares[which]),
                stage=f"judge: {response.condition.template}",
                asked_of=judge.name,
                seed=seed,
                prompt=each.question.messages[-1].content,
            )
            told_so_far(len(shares))
    return _summed(judge.name, len(items), asked, shares)


def agreed(votes: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Where all judges agree with the key, or all but one of two or more; shape (items,)."""
    return np.asarray(np.sum(votes, axis=0) >= max(1, len(votes) - 1))


def _questions(
    place: int, item: Candidate, task: Task, seed: int
) -> list[tuple[Question, tuple[int, ...]]]:
    shown = random.Random(f"{seed} {item.whole} {task}").sample(range(4), 4)
    options = [(*item.high, *item.low)[index] for index in shown]
    high = tuple(at for at, index in enumerate(shown) if index < 2)
    ends = trait_adjectives().get(item.trait.code, {})
    fields = {
        "trait": item.trait.name,
        "high": ", ".join(ends.get("high", (f"high in {item.trait.name}",))),
        "low": ", ".join(ends.get("low", (f"low in {item.trait.name}",))),
    }
    if task == "leaning":
        answers = tuple(lean.format(**fields) for lean in _LEANS)
    else:
        answers = tuple(f"{_LETTERS[a]} and {_LETTERS[b]}" for a, b in _PAIRS)
    labels = tuple(str(n) for n in range(1, len(answers) + 1))
    text = _TASKS[task].format(
        **fields,
        situation=item.situation,
        question=item.question,
        options="\n".join(f"{_LETTERS[n]}. {each}" for n, each in enumerate(options)),
    )
    lines = [f"{label}: {answer}" for label, answer in zip(labels, answers, strict=True)]
    return [
        (
            Question(
                item=place,
                condition=Condition(task, order),
                messages=(Message("user", "\n".join([text, *listed, "Reply with one number."])),),
                cue="",
                labels=labels,
                options=answers,
                seed=seed,
            ),
            high,
        )
        for order, listed in (("forward", lines), ("reversed", lines[::-1]))
    ]


def _summed(
    name: str,
    items: int,
    asked: Mapping[tuple[int, str, str], _Asked],
    shares: Mapping[tuple[int, str, str], list[float] | None],
) -> Judged:
    keyed, is_open = np.zeros(items, bool), np.zeros(items, bool)
    alone, approval = np.full(items, np.nan), np.full(items, np.nan)
    unusable = sum(shares.get(which) is None for which in asked)
    for (place, task, order), each in asked.items():
        if order != "forward":
            continue
        both = [shares.get((place, task, side)) for side in ("forward", "reversed")]
        usable = [row for row in both if row is not None]
        if not usable:
            continue
        mean = np.mean(usable, axis=0)
        if task == "leaning":
            is_open[place] = mean.argmax() == 2
            continue
        if task == "approval":
            inside = [len(set(pair) & set(each.high)) / 2 for pair in _PAIRS]
            approval[place] = float(mean @ np.array(inside))
            continue
        right = _chosen(mean) == each.high
        if task == "key":
            keyed[place] = right
        else:
            alone[place] = float(right)
    return Judged(name, keyed, alone, approval, is_open, unusable)


def _chosen(shares: Floats) -> tuple[int, ...]:
    """The two options that were chosen; none where two ways were chosen alike."""
    best = np.flatnonzero(shares >= shares.max() - 1e-12)
    return _PAIRS[int(best[0])] if len(best) == 1 else ()
