"""The open-ended part of the benchmark: every cell writes and every judge judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from allport.errors import UsageError
from allport.evaluation.judging import Preference, Rating, prefer, rate_fit, rate_level
from allport.evaluation.open_ended import (
    JsonLines,
    OpenAnswer,
    OpenQuestion,
    Writer,
    open_questions,
    write_answers,
    writer_of,
)
from allport.evaluation.open_ended_scores import OpenEndedScores, score_open_ended
from allport.evaluation.person_cells import CellPlan
from allport.evaluation.person_targets import BenchmarkPeople
from allport.models.respondent import Respondent

__all__ = ["check_judges", "evaluate_open_ended"]

_ANSWERS: Final = "open_answers.jsonl"
_RATINGS: Final = "open_ratings.jsonl"


def evaluate_open_ended(
    model: Respondent,
    cells: Sequence[CellPlan],
    people: BenchmarkPeople,
    judges: Sequence[Respondent],
    *,
    questions: Sequence[OpenQuestion] | None = None,
    folder: Path | str | None = None,
    max_new_tokens: int = 80,
    resamples: int = 2000,
    seed: int = 0,
) -> OpenEndedScores:
    """Let every cell answer open questions in the place of every person, and judges judge them.

    Args:
        model: Who writes.
        cells: Ways of asking; see `plan_cells`.
        people: In whose place; a few are enough for a first look, since every answer is written.
        judges: Two or more, so that their agreement is known; one does, and the agreement is then
            undefined.
        questions: What is asked; the first question on each facet by default.
        folder: Where answers and ratings are kept, so that nothing is asked twice; none by default.
        max_new_tokens: Limit of each answer.
        resamples: Of people, for the intervals.
        seed: Of sampled texts and of shuffling.

    Raises:
        UsageError: There is no judge, or two judges have the same name.
        ModelError: Somebody cannot write or judge.
        RunError: The folder cannot be used.
    """
    check_judges(judges)
    if questions is None:
        questions = [each for each in open_questions() if each.number == 1]
    answers: list[OpenAnswer] = []
    for cell in cells:

        def writer_for(person: str, cell: CellPlan = cell) -> Writer:
            return writer_of(cell.respondent_for(model, person), person, max_new_tokens)

        answers += write_answers(
            cell.name,
            writer_for,
            people.ids,
            questions,
            prompt_for=cell.system_prompt,
            seed=seed,
            kept=_lines(folder, _ANSWERS),
        )
    fit: list[Rating] = []
    level: list[Rating] = []
    preferences: list[Preference] = []
    for judge in judges:
        kept = _lines(folder, _RATINGS)
        fit += rate_fit(judge, answers, questions, people, seed=seed, kept=kept)
        level += rate_level(judge, answers, questions, seed=seed, kept=kept)
        if len(cells) > 1:
            preferences += prefer(judge, answers, questions, people, seed=seed, kept=kept)
    return score_open_ended(people, fit, level, preferences, resamples=resamples, seed=seed)


def check_judges(judges: Sequence[Respondent]) -> None:
    """Make sure that judges can be told apart.

    Raises:
        UsageError: There is no judge, or two judges have the same name.
    """
    names = [judge.name for judge in judges]
    if not names:
        raise UsageError("Open answers need a judge; give one or more, better two.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"Two judges are called {twice!r}; judges need different names, as their agreement is "
            "reported: name each model once."
        )


def _lines(folder: Path | str | None, name: str) -> JsonLines | None:
    return None if folder is None else JsonLines(Path(folder) / name)
