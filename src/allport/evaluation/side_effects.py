"""What an alignment does to plain language: how well neutral sentences are still gone on with."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ModelError, UsageError
from allport.evaluation.abilities import exercises_done
from allport.evaluation.person_cells import CellPlan
from allport.models.respondent import Condition, Message, Question, Respondent
from allport.psychometrics.estimate import Estimate
from allport.psychometrics.intervals import bootstrap
from allport.psychometrics.share_intervals import share_interval

__all__ = [
    "NeutralText",
    "fluency",
    "measure_side_effects",
    "neutral_texts",
    "word_log_probabilities",
]

Floats = NDArray[np.float64]

_TASK: Final = "Go on with the text where it stops."
_SEED: Final = 0


class NeutralText(NamedTuple):
    """A sentence in two parts."""

    beginning: str
    continuation: str

    @property
    def words(self) -> int:
        """Words of the continuation."""
        return len(self.continuation.split())


@cache
def neutral_texts() -> tuple[NeutralText, ...]:
    """The sentences that ship, of this project's own writing."""
    text = files("allport.evaluation").joinpath("data/neutral_texts.toml").read_text("utf-8")
    return tuple(NeutralText(*parts) for parts in tomllib.loads(text)["texts"])


def word_log_probabilities(
    respondent: Respondent,
    system: str = "",
    texts: Sequence[NeutralText] | None = None,
    person: str = "",
) -> Floats:
    """Log-probability a word of each sentence's continuation, shape (texts,).

    The beginning is written as the beginning of the model's own turn, and the continuation is read
    as a label whose full log-probability is known: the share it has of all labels times the label
    mass. So it works on everything that reads distributions, steered or not.

    Args:
        respondent: A local model, aligned or not.
        system: System text that stands before.
        texts: What is gone on with, each by two different words or more; the shipped sentences by
            default.
        person: In whose place it is asked, where respondents differ by person.

    Raises:
        ModelError: The respondent gives no full probabilities.
        UsageError: A continuation has no two different words.
    """
    texts = neutral_texts() if texts is None else texts
    lead = (Message("system", system),) if system else ()
    condition = Condition(template="neutral text", order="forward", persona=person)
    questions = []
    for number, text in enumerate(texts, start=1):
        options = (text.continuation, _shuffled(text.continuation))
        questions.append(
            Question(
                item=number,
                condition=condition,
                messages=(*lead, Message("user", _TASK)),
                cue=text.beginning,
                labels=options,
                options=options,
            )
        )
    found = np.full(len(texts), np.nan)
    for response in respondent.answer(questions):
        if response.probabilities is None or not response.label_mass > 0:
            raise ModelError(
                f"{respondent.name} gives no probability of a whole sentence, so its fluency "
                "cannot be measured; local models do."
            )
        share, mass = response.probabilities[0], response.label_mass
        whole = math.log(max(share, 1e-300)) + math.log(mass)
        found[response.item - 1] = whole / texts[response.item - 1].words
    return found


def measure_side_effects(
    model: Respondent, cells: Sequence[CellPlan], people: Sequence[str], *, tasks: int = 4
) -> dict[str, dict[str, Estimate]]:
    """Fluency on neutral text and small tasks done rightly in every cell, over some people.

    Args:
        model: A local model.
        cells: Ways of asking; see `plan_cells`.
        people: Ids of the people in whose place it is measured.
        tasks: Exercises of each kind that are put in the place of each person; 0 for none.

    Raises:
        ModelError: The model gives no full probabilities, or writes no text.
    """
    plain = word_log_probabilities(model)
    found: dict[str, dict[str, Estimate]] = {}
    for cell in cells:
        rows = [
            word_log_probabilities(
                cell.respondent_for(model, person), cell.system_prompt(person), person=person
            )
            for person in (people if cell.differs_by_person else ())
        ]
        found[cell.name] = dict(fluency(np.stack(rows) if rows else plain[None], plain))
        if tasks:
            asked = people if cell.differs_by_person else people[:1]
            found[cell.name]["tasks done rightly"] = _tasks_done(model, cell, asked, tasks)
    return found


def _tasks_done(model: Respondent, cell: CellPlan, people: Sequence[str], tasks: int) -> Estimate:
    """Share of exercises done rightly, the same ones in the place of everybody.

    The interval is over exercises, in whose place however many were asked: cells that differ by
    person and those that do not are then equally uncertain.
    """
    done = [
        exercises_done(
            cell.respondent_for(model, person),
            cell.system_prompt(person),
            person=person,
            n_per_kind=tasks,
        )
        for person in people
    ]
    right = np.array([[done_rightly for _, done_rightly in each] for each in done])
    return share_interval(right.mean(axis=0))


def fluency(aligned: Floats, plain: Floats, *, resamples: int = 2000) -> Mapping[str, Estimate]:
    """Perplexity a word under an alignment, and how many times the plain model's it is.

    Args:
        aligned: Log-probabilities a word, shape (people, texts).
        plain: Of the model without any alignment, shape (texts,).
        resamples: Of texts, for the intervals.

    Returns:
        "perplexity" and "perplexity ratio"; at a ratio of 1 nothing was lost.
    """
    by_text = aligned.mean(axis=0)

    def perplexity(logs: Floats) -> float:
        return math.exp(-float(logs.mean()))

    return {
        "perplexity": bootstrap(perplexity, by_text, resamples=resamples),
        "perplexity ratio": bootstrap(perplexity, by_text - plain, resamples=resamples),
    }


def _shuffled(text: str) -> str:
    """The same words in another order."""
    words = text.split()
    if len(set(words)) < 2:
        raise UsageError(
            f"The continuation {text!r} has no two different words whose order could be changed; "
            "give a longer one."
        )
    mixed = list(words)
    generator = random.Random(_SEED)
    while mixed == words:
        generator.shuffle(mixed)
    return " ".join(mixed)
