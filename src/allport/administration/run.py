"""Recorded administrations: what was asked, what came back, and where it lies."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from allport.administration.design import Design
from allport.administration.label_priors import without_label_priors
from allport.administration.planning import QuestionKey
from allport.administration.responses import read_responses, responses_frame
from allport.administration.run_record import RunRecord
from allport.administration.run_store import FRAME, RECORD, read_stored
from allport.errors import AllportError, RunError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Response

__all__ = ["Run", "RunSummary", "find_runs", "frame_of", "read_run"]


class RunSummary(NamedTuple):
    """A run in figures."""

    respondent: str
    inventory: str
    conditions: int
    """Conditions of the design, asked already or not."""
    questions: int
    answered: int
    refused: int
    unparsable: int
    label_mass: float | None
    """Mean over responses; None where it is not known of any."""
    prompt_tokens: int
    completion_tokens: int
    started: str
    finished: str | None
    """None while questions are left."""


@dataclass(frozen=True)
class Run:
    """One inventory given to one respondent under the conditions of a design."""

    record: RunRecord
    responses: pl.DataFrame
    """One row a response; see `allport.administration.SCHEMA`."""
    folder: Path | None = None
    """Where the run is kept; None where it is in memory only."""
    asked: int = 0
    """How many questions this process put; the others were answered before."""

    @property
    def inventory(self) -> Inventory:
        """What was asked."""
        return self.record.inventory

    @property
    def design(self) -> Design:
        """Under which conditions."""
        return self.record.design

    @property
    def complete(self) -> bool:
        """Whether every question has its response: of the design, or of those chosen adaptively."""
        if self.record.adaptive is not None:
            return self.record.finished is not None
        return self.responses.height == self.record.questions

    @property
    def summary(self) -> RunSummary:
        """The run in figures."""
        frame = self.responses
        mass = frame["label_mass"].mean()
        return RunSummary(
            respondent=self.record.respondent,
            inventory=self.inventory.name,
            conditions=len(self.design.conditions(self.inventory)),
            questions=self.record.questions,
            answered=frame.height,
            refused=int(frame["refused"].sum()),
            unparsable=int(frame["unparsable"].sum()),
            label_mass=mass if isinstance(mass, float) else None,
            prompt_tokens=int(frame["prompt_tokens"].sum()),
            completion_tokens=int(frame["completion_tokens"].sum()),
            started=self.record.started,
            finished=self.record.finished,
        )


def frame_of(record: RunRecord, answered: Mapping[QuestionKey, Response]) -> pl.DataFrame:
    """The responses of a run as a frame, in the order of the design and of the items.

    The order does not depend on the order in which answers came, so a run that was interrupted
    gives the same frame as one that was not. Label priors are divided out where the design says so.
    """
    conditions = record.design.conditions(record.inventory)
    place = {condition: index for index, condition in enumerate(conditions)}
    item_place = {number: index for index, number in enumerate(record.inventory.numbers)}
    ordered = sorted(answered.values(), key=lambda r: (place[r.condition], item_place[r.item]))
    cleared = without_label_priors(ordered, record.inventory, record.design)
    return responses_frame(record.inventory, record.respondent, cleared)


def read_run(folder: Path | str) -> Run:
    """Read a run folder, complete or not, without changing it.

    Raises:
        RunError: It is no run folder, or its files cannot be read.
        ResponsesError: Its frame contradicts its inventory.
    """
    folder = Path(folder)
    record = RunRecord.read(folder / RECORD)
    if record.finished is not None and (folder / FRAME).exists():
        return Run(record, read_responses(folder / FRAME, record.inventory), folder)
    try:
        frame = frame_of(record, read_stored(folder, record))
    except KeyError as error:
        raise RunError(
            f"{folder} holds a response that its record does not ask: {error}."
        ) from None
    return Run(record, frame, folder)


def find_runs(parent: Path | str) -> list[Run]:
    """Every run in the folders directly inside `parent`, newest first; others are passed over."""
    runs = []
    for path in Path(parent).glob(f"*/{RECORD}"):
        with contextlib.suppress(AllportError):
            runs.append(read_run(path.parent))
    return sorted(runs, key=lambda run: (run.record.started, str(run.folder)), reverse=True)
