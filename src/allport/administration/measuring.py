"""Asking: every question of a design is put to a respondent, once, and every answer kept."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import polars as pl

from allport.administration.design import Design
from allport.administration.planning import QuestionKey, persona_prompts, plan, question_key
from allport.administration.progress import ProgressCallback, reporting
from allport.administration.responses import write_responses
from allport.administration.run import Run, frame_of
from allport.administration.run_record import RunRecord, now
from allport.administration.run_store import FRAME, RunStore
from allport.administration.templates import Template, standard_templates, templates_for
from allport.errors import ModelError, RunError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question, Respondent, Response
from allport.personas.persona import Persona

__all__ = ["Rounds", "ask_in_rounds", "measure", "plan_run"]

Rounds = Callable[[Mapping[QuestionKey, Response]], Iterable[Sequence[Question]]]
"""Given the answers, which grow as they come, the questions to put, one list after the other."""

# Probabilities in bfloat16 sum to 1 within its rounding.
_SUM_TOLERANCE = 1e-2


def measure(
    respondent: Respondent,
    inventory: Inventory,
    design: Design | None = None,
    run_folder: Path | str | None = None,
    *,
    personas: Iterable[Persona] = (),
    templates: Mapping[str, Template] | None = None,
    progress: ProgressCallback | Literal["bar"] | None = "bar",
) -> Run:
    """Administer an inventory to a respondent under the conditions of a design.

    With a run folder, every answer is on disk as it comes. A run that was interrupted or killed
    goes on where it was when the same call is made again: only questions without an answer are put.
    A complete run is read back and nothing is asked.

    Args:
        respondent: Who answers.
        inventory: What is asked.
        design: Under which conditions; two templates by two option orders by default.
        run_folder: Where the run is kept; in memory only by default.
        personas: The personas that the design names.
        templates: Question templates by name; the shipped ones by default.
        progress: "bar" for a bar on a terminal, a callback, or None.

    Returns:
        The complete run.

    Raises:
        UsageError: The design does not fit the inventory.
        InventoryError: The inventory has no texts to ask.
        ModelError: The respondent cannot be asked, or answers what was not asked.
        RunError: The run folder holds another run, is in use or cannot be written; or the run was
            interrupted from the keyboard, with what is left to do.
    """
    record, questions = plan_run(respondent, inventory, design, personas, templates)
    return ask_in_rounds(
        respondent,
        record,
        lambda _: (questions,),
        run_folder,
        most=len(questions),
        progress=progress,
    )


def plan_run(
    respondent: Respondent,
    inventory: Inventory,
    design: Design | None,
    personas: Iterable[Persona],
    templates: Mapping[str, Template] | None,
) -> tuple[RunRecord, list[Question]]:
    """The record of a run that is about to start, and its questions; arguments as of `measure`."""
    design = Design(templates=standard_templates(inventory)) if design is None else design
    templates = templates_for(inventory) if templates is None else templates
    personas = tuple(personas)
    questions = plan(inventory, design, personas, templates)
    record = RunRecord.of(
        respondent.name,
        respondent.describe(),
        inventory,
        design,
        persona_prompts(design, personas),
        templates,
        questions,
    )
    return record, questions


def ask_in_rounds(
    respondent: Respondent,
    record: RunRecord,
    rounds: Rounds,
    run_folder: Path | str | None = None,
    *,
    most: int,
    progress: ProgressCallback | Literal["bar"] | None = "bar",
) -> Run:
    """Put one list of questions after the other, each but for those that are answered already.

    Args:
        respondent: Who answers.
        record: What the run is; a run folder that holds another is refused.
        rounds: The questions of a round may hang on the answers to those before.
        run_folder: Where the run is kept; in memory only by default.
        most: How many questions the rounds put at most.
        progress: See `measure`.

    Raises:
        ModelError: The respondent cannot be asked, or answers what was not asked.
        RunError: See `measure`.
    """
    with contextlib.ExitStack() as resources:
        store = None
        answered: dict[QuestionKey, Response] = {}
        if run_folder is not None:
            store = resources.enter_context(RunStore(run_folder, record))
            answered = store.responses()
        before = len(answered)
        started = now()
        try:
            with contextlib.ExitStack() as bar:
                report: Callable[[int], None] | None = None
                for questions in rounds(answered):
                    pending = {
                        question_key(q): q for q in questions if question_key(q) not in answered
                    }
                    if not pending:
                        continue
                    if report is None:
                        report = bar.enter_context(
                            reporting(progress, respondent.name, len(answered), most)
                        )
                    _ask(respondent, pending, answered, most, store, report)
        except KeyboardInterrupt:
            raise RunError(_interrupted(len(answered), most, store)) from None
        except ModelError as error:
            if store is not None and answered:
                error.add_note(_kept(len(answered), most, store))
            raise
        finally:
            if store is not None and isinstance(respondent, _Observes):
                store.note_observed(respondent.observed())
        asked = len(answered) - before
        responses = frame_of(record, answered)
        if store is None:
            finished = dataclasses.replace(record, started=started, finished=now())
            return Run(finished, responses, None, asked)
        _complete(store, responses)
        return Run(store.record, responses, store.folder, asked)


@runtime_checkable
class _Observes(Protocol):
    def observed(self) -> dict[str, Any]: ...


def _ask(
    respondent: Respondent,
    pending: dict[QuestionKey, Question],
    answered: dict[QuestionKey, Response],
    total: int,
    store: RunStore | None,
    report: Callable[[int], None],
) -> None:
    """Put the pending questions; move each from `pending` to `answered` as its answer comes."""
    name = respondent.name
    with contextlib.ExitStack() as resources:
        responses = respondent.answer(list(pending.values()))
        if isinstance(responses, Generator):
            # Whatever it holds (threads, connections, caches) is let go at once on an error.
            resources.callback(responses.close)
        for response in responses:
            question = pending.pop(question_key(response), None)
            if question is None:
                raise ModelError(
                    f"{name} answered item {response.item} under a condition in which it was not "
                    "asked, or answered it twice."
                )
            checked = _checked(response, question, name)
            if store is not None:
                store.add(checked)
            answered[question_key(checked)] = checked
            report(len(answered))
    if pending:
        item = next(iter(pending.values())).item
        raise ModelError(
            f"{name} left {len(pending)} of {total} questions without a response, the first "
            f"of them on item {item}."
        )


def _checked(response: Response, question: Question, name: str) -> Response:
    """A response that keeps its promises, with a text that every file format can hold."""
    count = len(question.options)
    where = f"{name} answered item {response.item} with"
    if response.choice is not None and not 0 <= response.choice < count:
        raise ModelError(f"{where} option {response.choice}, and it has options 0 to {count - 1}.")
    p = response.probabilities
    if p is not None:
        shares = all(0 <= share <= 1 + _SUM_TOLERANCE for share in p)  # False for NaN
        if len(p) != count or not shares or abs(math.fsum(p) - 1) > _SUM_TOLERANCE:
            raise ModelError(f"{where} {list(p)}, which is no distribution over {count} options.")
    mass = response.label_mass
    if not (math.isnan(mass) or -_SUM_TOLERANCE <= mass <= 1 + _SUM_TOLERANCE):
        raise ModelError(f"{where} label mass {mass}, outside 0 to 1.")
    text = response.text
    if text is not None and not text.isascii():
        # A service can send half a surrogate pair, which no UTF-8 file can hold.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return response if text == response.text else dataclasses.replace(response, text=text)


def _complete(store: RunStore, responses: pl.DataFrame) -> None:
    try:
        if store.record.finished is None or not (store.folder / FRAME).exists():
            write_responses(responses, store.folder / FRAME)
    except OSError as error:
        raise RunError(
            f"Every answer is in {store.folder}, but {FRAME} cannot be written "
            f"({error.strerror or error}); free or unlock it and measure into it again."
        ) from None
    store.finish()


def _kept(answered: int, total: int, store: RunStore) -> str:
    return (
        f"{answered} of {total} answers are kept in {store.folder}; measure into it again to go on "
        "from there."
    )


def _interrupted(answered: int, total: int, store: RunStore | None) -> str:
    if store is None:
        return (
            f"Interrupted after {answered} of {total} answers, which are lost; name a run folder "
            "to keep them."
        )
    return f"Interrupted: {_kept(answered, total, store)}"
