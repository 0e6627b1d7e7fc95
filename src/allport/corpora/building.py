"""Building a bank of situational items: seeds to statements to situations to a checked bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from allport.corpora.building_checks import Candidate, mark_repeats
from allport.corpora.building_findings import find_of_whole, remarks_on
from allport.corpora.building_judges import Judged, agreed, judge_items
from allport.corpora.building_output import as_inventory, write_built, write_yield
from allport.corpora.building_replies import StageYield, prompt_version
from allport.corpora.building_stages import (
    Asking,
    SeedItem,
    Statement,
    given_statements,
    write_candidates,
    write_statements,
)
from allport.corpora.building_store import CallStore
from allport.corpora.building_writers import OfflineWriter, Writer, seed_events
from allport.errors import RunError, UsageError
from allport.inventories.inventory import Inventory
from allport.inventories.reading import slug
from allport.models.respondent import Respondent
from allport.psychometrics.estimate import Estimate

__all__ = ["BuiltSituations", "build_situations"]


@dataclass(frozen=True)
class BuiltSituations:
    """A bank, and how it came about."""

    inventory: Inventory
    items: tuple[Candidate, ...]
    """In the order of the inventory."""
    fallen: tuple[Candidate, ...]
    """Whole items that failed a check, which their verdicts name."""
    stages: tuple[StageYield, ...]
    found: Mapping[str, Estimate]
    """What was found of the bank as a whole."""
    remarks: tuple[str, ...]
    """What somebody who uses the bank has to know, a sentence each."""
    writer: str
    judges: tuple[str, ...]
    seed: int
    files: Mapping[str, str]
    replies_asked: int
    """Replies that came in this session; those of earlier ones were not asked again."""


def build_situations(
    folder: Path | str,
    seeds: Sequence[SeedItem] | Sequence[Statement],
    *,
    writer: Writer | None = None,
    judges: Sequence[Respondent] = (),
    statements: int = 8,
    per_statement: int = 5,
    spare: int = 2,
    retries: int = 2,
    seed: int = 0,
    progress: Literal["bar"] | None = None,
) -> BuiltSituations:
    """Build situational items, check them, and write the bank into a folder.

    Every reply is kept as it comes: the same call after an interruption goes on where it was, and
    nobody is asked twice.

    Args:
        folder: Where everything goes; see `write_built`.
        seeds: Items that statements are written from, or statements that are taken as they are.
        writer: Who writes; sentences of our own put together where nobody is named.
        judges: Who keys the items blindly. An item stays where all of them agree with its key, or
            all but one of two or more.
        statements: Statements of each trait that are written, or taken of those given.
        per_statement: Items of each statement in the bank; a statement with fewer is left out.
        spare: Items that are written beyond those, as some will fall.
        retries: How often a reply that cannot be used is asked for anew.
        seed: Of everything that is drawn.
        progress: "bar" shows how far each stage is, on a terminal.

    Returns:
        The bank, its yield and what was found.

    Raises:
        UsageError: A number is out of range or beyond what the writer has, or there are no seeds.
        RunError: The folder holds something else, or no item passed.
        ModelError: A writer or a judge cannot be asked.
    """
    for name, number, least in (
        ("statements", statements, 1),
        ("per_statement", per_statement, 1),
        ("spare", spare, 0),
        ("retries", retries, 0),
    ):
        if number < least:
            raise UsageError(f"{name} is {number} and must be {least} or more.")
    if not seeds:
        raise UsageError("There is nothing to build from: no seed item and no statement.")
    folder = Path(folder)
    writer = writer or OfflineWriter()
    if isinstance(writer, OfflineWriter):
        _check_events(per_statement, spare)
    record = {
        "writer": {"name": writer.name, "identity": writer.identity},
        "prompts": prompt_version(),
        "seed": seed,
        "retries": retries,
        "statements": statements,
        "per_statement": per_statement,
        "spare": spare,
        "seeds": [[each.trait.code, each.source, each.text] for each in seeds],
    }
    with CallStore(folder, record) as store:
        asking = Asking(writer, store, seed, retries, progress)
        written, first = _statements(asking, seeds, statements)
        candidates, fallen, stages = write_candidates(asking, written, per_statement + spare)
        stages = [first, *stages]
        items = _kept(
            "near-duplicates", candidates, mark_repeats(candidates), fallen, stages, "repeats"
        )
        judged = [
            judge_items(judge, items, store, seed=seed, progress=progress) for judge in judges
        ]
        rows = np.arange(len(items))
        if judged:
            why = _verdicts(judged, len(items))
            rows = np.flatnonzero([not reason for reason in why])
            items = _kept("judges", items, why, fallen, stages, "judges")
        chosen = _complete(items, per_statement, fallen, stages)
        rows = rows[chosen]
        items = [items[n] for n in chosen]
        if not items:
            path = write_yield(stages, folder)
            raise RunError(
                f"No item passed all checks; {path} says what fell at which stage and why."
            )
        found = find_of_whole(items, judged, rows, seed)
        built = BuiltSituations(
            inventory=as_inventory(items, slug(folder.resolve().name), writer.name),
            items=tuple(items),
            fallen=tuple(fallen),
            stages=tuple(stages),
            found=found,
            remarks=tuple(remarks_on(writer, judged, found)),
            writer=writer.name,
            judges=tuple(judge.judge for judge in judged),
            seed=seed,
            files={},
            replies_asked=store.asked,
        )
        return replace(built, files=write_built(built, folder))


def _check_events(per_statement: int, spare: int) -> None:
    """Refuse more situations of a statement than the offline writer has events."""
    events = len(seed_events())
    if per_statement + spare > events:
        advice = f"ask for {events - spare} or fewer" if spare < events else "ask for fewer spare"
        raise UsageError(
            f"The offline writer has {events} events, and {per_statement} situations of each "
            f"statement with {spare} to spare want {per_statement + spare}; {advice}, or name a "
            "writer with --writer."
        )


def _statements(
    asking: Asking, seeds: Sequence[SeedItem] | Sequence[Statement], per_trait: int
) -> tuple[list[Statement], StageYield]:
    given = [each for each in seeds if isinstance(each, Statement)]
    if not given:
        return write_statements(
            asking, [each for each in seeds if isinstance(each, SeedItem)], per_trait
        )
    first: list[Statement] = []
    for trait in dict.fromkeys(each.trait for each in given):
        first += [each for each in given if each.trait == trait][:per_trait]
    return given_statements(first)


def _kept(
    stage: str,
    items: Sequence[Candidate],
    why: Sequence[str],
    fallen: list[Candidate],
    stages: list[StageYield],
    check: str,
) -> list[Candidate]:
    """The items without a reason against them; the others are added to the fallen."""
    marked = [
        replace(item, verdicts={**item.verdicts, check: reason})
        for item, reason in zip(items, why, strict=True)
    ]
    kept = [item for item in marked if not item.reason]
    tally = StageYield(stage, given=len(items), kept=len(kept))
    tally.dropped.update(reason for reason in why if reason)
    stages.append(tally)
    fallen += [item for item in marked if item.reason]
    return kept


def _verdicts(judged: Sequence[Judged], items: int) -> list[str]:
    keyed, left_open = agreed([j.keyed for j in judged]), agreed([j.open for j in judged])
    return [
        "judges key its options otherwise"
        if not keyed[n]
        else ""
        if left_open[n]
        else "judges find that the question wants one answer"
        for n in range(items)
    ]


def _complete(
    items: Sequence[Candidate],
    per_statement: int,
    fallen: list[Candidate],
    stages: list[StageYield],
) -> list[int]:
    """Positions of the first so many items of every statement that has as many."""
    tally = StageYield(f"{per_statement} per statement", given=len(items))
    of_statement: dict[tuple[str, str], list[int]] = {}
    for n, item in enumerate(items):
        of_statement.setdefault((item.trait.code, item.statement), []).append(n)
    chosen: list[int] = []
    for places in of_statement.values():
        enough = len(places) >= per_statement
        kept = places[:per_statement] if enough else []
        reason = "spare" if enough else f"its statement has fewer than {per_statement} items"
        for n in places[len(kept) :]:
            tally.dropped[reason] += 1
            fallen.append(replace(items[n], verdicts={**items[n].verdicts, "count": reason}))
        chosen += kept
    tally.kept = len(chosen)
    stages.append(tally)
    return chosen
