"""From seed items to candidate situations: statements, events, situations, options, paraphrases."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from allport.corpora.building_checks import Candidate, check_paraphrase, check_rules
from allport.corpora.building_replies import Job, Made, StageYield, ask_writer
from allport.corpora.building_store import CallStore
from allport.corpora.building_words import near_duplicates
from allport.corpora.building_writers import Writer, seed_events
from allport.inventories.inventory import Trait
from allport.personas.trait_levels import trait_adjectives

__all__ = [
    "Asking",
    "SeedItem",
    "Statement",
    "given_statements",
    "write_candidates",
    "write_statements",
]

_EVENTS_SHOWN = 20
"""Everyday events that a writer chooses from."""


@dataclass(frozen=True)
class SeedItem:
    """An item of a questionnaire that statements are made from."""

    trait: Trait
    source: str
    """Such as "mini-ipip-20 item 4"."""
    text: str
    key: int
    """+1 where agreeing speaks for the high end of the trait, -1 for the low end."""


@dataclass(frozen=True)
class Statement:
    """What people high in a trait are like, and where that was taken from."""

    trait: Trait
    text: str
    source: str
    calls: Mapping[str, str]
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class Asking:
    """Who writes, and how."""

    writer: Writer
    store: CallStore
    seed: int = 0
    retries: int = 2
    """How often an unusable reply is asked for anew."""
    progress: Literal["bar"] | None = None

    def ask(self, jobs: Sequence[Job], tally: StageYield) -> list[Made | None]:
        """Have the jobs written; what the store has is not asked again."""
        return ask_writer(
            self.writer,
            self.store,
            jobs,
            tally,
            seed=self.seed,
            retries=self.retries,
            progress=self.progress,
        )


def write_statements(
    asking: Asking, seeds: Sequence[SeedItem], per_trait: int
) -> tuple[list[Statement], StageYield]:
    """So many statements of each trait, spread over its seed items.

    Args:
        asking: Who writes, and how.
        seeds: Items of all traits.
        per_trait: Statements wanted of each trait.

    Returns:
        The statements, and what became of those that were asked for.
    """
    tally = StageYield("statements")
    chosen: list[tuple[SeedItem, int]] = []
    for trait in dict.fromkeys(item.trait for item in seeds):
        own = [item for item in seeds if item.trait == trait]
        random.Random(f"{asking.seed} {trait.code}").shuffle(own)
        each, more = divmod(per_trait, len(own))
        chosen += [(item, count) for n, item in enumerate(own) if (count := each + (n < more)) > 0]
    jobs = [
        Job(
            "statements",
            _of(item.trait)
            | {
                "seed_item": item.text,
                "end": "high" if item.key > 0 else "low",
                "key": item.key,
                "count": count,
            },
        )
        for item, count in chosen
    ]
    tally.given = sum(count for _, count in chosen)
    written = [
        Statement(
            item.trait, text, item.source, {"statements": made.call}, {"statements": made.seed}
        )
        for (item, _), made in zip(chosen, asking.ask(jobs, tally), strict=True)
        if made is not None
        for text in made.content["statements"]
    ]
    return _different(written, tally), tally


def given_statements(statements: Sequence[Statement]) -> tuple[list[Statement], StageYield]:
    """Statements that a person gives, without those that repeat another."""
    tally = StageYield("statements", given=len(statements))
    return _different(statements, tally), tally


def _different(statements: Sequence[Statement], tally: StageYield) -> list[Statement]:
    kept: list[Statement] = []
    for trait in dict.fromkeys(statement.trait for statement in statements):
        own = [statement for statement in statements if statement.trait == trait]
        repeats = near_duplicates([statement.text for statement in own])
        if repeats:
            tally.dropped["repeats another statement of its trait"] += len(repeats)
        kept += [statement for n, statement in enumerate(own) if n not in repeats]
    tally.kept = len(kept)
    return kept


def write_candidates(
    asking: Asking, statements: Sequence[Statement], per_statement: int
) -> tuple[list[Candidate], list[Candidate], list[StageYield]]:
    """Situations with options and a paraphrase, so many of each statement, checked by rule.

    Args:
        asking: Who writes, and how.
        statements: What they are written from.
        per_statement: How many of each; more than are wanted in the end, as some will fall.

    Returns:
        Candidates that passed, those that failed a check, and what became of the others.
    """
    items, events = _events(asking, statements, per_statement)
    items, situations = _added(asking, "situation", items)
    items, options = _added(asking, "options", items)
    rules = StageYield("rules", given=len(items))
    checked = [replace(item, verdicts=check_rules(item)) for item in items]
    failed = _fallen(checked, rules)
    items, paraphrases = _added(asking, "paraphrase", [i for i in checked if not i.reason])
    again = StageYield("paraphrase check", given=len(items))
    checked = [
        replace(item, verdicts={**item.verdicts, "paraphrase": check_paraphrase(item)})
        for item in items
    ]
    failed += _fallen(checked, again)
    passed = [item for item in checked if not item.reason]
    return passed, failed, [events, situations, options, rules, paraphrases, again]


def _fallen(items: Sequence[Candidate], tally: StageYield) -> list[Candidate]:
    failed = [item for item in items if item.reason]
    tally.dropped.update(item.reason for item in failed)
    tally.kept = len(items) - len(failed)
    return failed


def _events(
    asking: Asking, statements: Sequence[Statement], count: int
) -> tuple[list[Candidate], StageYield]:
    tally = StageYield("events", given=count * len(statements))
    jobs = []
    for statement in statements:
        chance = random.Random(f"{asking.seed} {statement.trait.code} {statement.text}")
        known = seed_events()
        listed = chance.sample(known, min(max(_EVENTS_SHOWN, count), len(known)))
        jobs.append(
            Job(
                "events",
                _of(statement.trait)
                | {
                    "statement": statement.text,
                    "listed": "\n".join(f"- {event}" for event in listed),
                    "candidates": listed,
                    "count": count,
                },
            )
        )
    items = [
        Candidate(
            statement.trait,
            statement.source,
            statement.text,
            event,
            calls={**statement.calls, "events": made.call},
            seeds={**statement.seeds, "events": made.seed},
        )
        for statement, made in zip(statements, asking.ask(jobs, tally), strict=True)
        if made is not None
        for event in made.content["events"]
    ]
    tally.kept = len(items)
    return items, tally


def _added(
    asking: Asking, stage: str, items: Sequence[Candidate]
) -> tuple[list[Candidate], StageYield]:
    """The items with what a stage writes, without those for which nothing usable came."""
    tally = StageYield(stage, given=len(items))
    jobs = [Job(stage, dict(_fields(item))) for item in items]
    found = [
        replace(
            item,
            **_parts(stage, made.content),
            calls={**item.calls, stage: made.call},
            seeds={**item.seeds, stage: made.seed},
        )
        for item, made in zip(items, asking.ask(jobs, tally), strict=True)
        if made is not None
    ]
    tally.kept = len(found)
    return found, tally


def _parts(stage: str, content: Mapping[str, Any]) -> dict[str, Any]:
    match stage:
        case "options":
            return {end: tuple(content[end]) for end in ("high", "low")}
        case "paraphrase":
            return {"again": content["situation"], "question_again": content["question"]}
    return dict(content)


def _fields(item: Candidate) -> Iterator[tuple[str, Any]]:
    yield from _of(item.trait).items()
    for name in ("statement", "event", "situation", "question"):
        yield name, getattr(item, name)


def _of(trait: Trait) -> dict[str, Any]:
    ends = trait_adjectives().get(trait.code, {})
    return {
        "trait": trait.code,
        "trait_name": trait.name,
        "high": ", ".join(ends.get("high", (f"high in {trait.name}",))),
        "low": ", ".join(ends.get("low", (f"low in {trait.name}",))),
    }
