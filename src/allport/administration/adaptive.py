"""Adaptive measuring: of each trait the items that tell most, until its level is known.

The tests of all traits and personas run side by side. A round puts the next item of every test that
is not over to the respondent in one batch, under every condition of the design. Which item is next
follows from the calibration, the answers and the seed alone, so a run that was killed comes to the
same items again and puts only the questions that have no answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

from allport.administration.bank_calibration import BankCalibration, asking_of, item_shares
from allport.administration.design import Design
from allport.administration.measuring import ask_in_rounds, plan_run
from allport.administration.planning import QuestionKey, question_key
from allport.administration.progress import ProgressCallback
from allport.administration.responses import responses_frame
from allport.administration.run import Run
from allport.administration.templates import Template, standard_templates
from allport.errors import RunError, UsageError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question, Respondent, Response
from allport.personas.persona import Persona
from allport.psychometrics.adaptive_testing import AdaptiveTest, adaptive_steps
from allport.psychometrics.estimate import Estimate

__all__ = [
    "ADAPTIVE_RESULT",
    "AdaptiveMeasurement",
    "AdaptiveScore",
    "measure_adaptively",
    "most_questions",
]

ADAPTIVE_RESULT = "adaptive.json"
"""File of a run folder that holds what was found."""
_NORMAL = NormalDist().inv_cdf(0.975)
_TestKey = tuple[str, str]


@dataclass(frozen=True)
class AdaptiveScore:
    """One trait of one persona."""

    persona: str
    """Name of the persona; empty where none was asked for."""
    trait: str
    """Code of the trait."""
    level: float
    """In standard deviations of the personas that items were calibrated on."""
    standard_error: float
    """Of the level."""
    score: Estimate
    """What the whole bank would give, 0 to 100, with a 95 % interval: 0 where the low end is always
    chosen, 100 where the high end is."""
    items: tuple[int, ...]
    """Numbers of the items asked, in order."""
    shares: tuple[float, ...]
    """Share of the high side chosen on each, 0 to 1; NaN where nothing usable was said."""
    bank: int
    """How many items of the trait there are."""
    reached: bool
    """Whether the errors asked for were reached; else items or the budget ran out."""


@dataclass(frozen=True)
class AdaptiveMeasurement:
    """What an adaptive run found."""

    run: Run
    """The questions that were put, and their responses."""
    scores: tuple[AdaptiveScore, ...]
    """One a persona and trait, personas in the order of the design."""
    left_out: Mapping[str, str]
    """Traits that were not asked, as their items could not be calibrated, with the reason."""

    @property
    def share_used(self) -> float:
        """Items asked over items there are, 0 to 1."""
        return sum(len(s.items) for s in self.scores) / sum(s.bank for s in self.scores)

    def to_json(self) -> dict[str, Any]:
        """The scores as a JSON object."""
        return {
            "inventory": self.run.inventory.name,
            "respondent": self.run.record.respondent,
            "adaptive": dict(self.run.record.adaptive or {}),
            "items_used": self.share_used,
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
            "scores": [
                {
                    **dataclasses.asdict(score),
                    "score": {
                        "value": score.score.value,
                        "low": score.score.low,
                        "high": score.score.high,
                    },
                    "shares": [None if math.isnan(share) else share for share in score.shares],
                }
                for score in self.scores
            ],
        }


def measure_adaptively(
    respondent: Respondent,
    inventory: Inventory,
    calibration: BankCalibration,
    design: Design | None = None,
    run_folder: Path | str | None = None,
    *,
    standard_error: float = 0.3,
    score_error: float | None = None,
    most_items: int | None = 16,
    among: int = 5,
    personas: Iterable[Persona] = (),
    templates: Mapping[str, Template] | None = None,
    progress: ProgressCallback | Literal["bar"] | None = "bar",
) -> AdaptiveMeasurement:
    """Ask of each trait the items that tell most about the respondent, until it is known.

    At most one item of a statement, or of a facet where items have no statement, is asked until
    every one of the trait was asked from, and so on round; among these the next is drawn from the
    best few. Traits that the calibration left out are not asked.

    Args:
        respondent: Who answers.
        inventory: The bank.
        calibration: Of its items.
        design: Under which conditions each item is asked, as in the calibration; as which personas;
            and the seed of the draws. Standard templates and orders by default.
        run_folder: Where the run is kept and resumed; in memory only by default.
        standard_error: Of a trait's level at which to stop, in standard deviations.
        score_error: Standard error of the bank's score, in points of 100, that is to be reached
            before stopping too.
        most_items: After how many items of a trait to stop in any case; None for all.
        among: From how many of the best items the next is drawn; 1 always takes the best.
        personas: The personas that the design names.
        templates: Question templates by name; the shipped ones by default.
        progress: See `measure`.

    Raises:
        UsageError: The calibration is of another inventory or way of asking or has no trait, the
            design chooses items or conditions, or an error or a number is not above zero.
        ModelError, RunError: See `measure`.
    """
    design = Design(templates=standard_templates(inventory)) if design is None else design
    _check(inventory, calibration, design, standard_error, score_error, most_items, among)
    record, questions = plan_run(respondent, inventory, design, personas, templates)
    _check_asking(calibration, asking_of(design, inventory, templates))
    rule: dict[str, Any] = {
        "calibration": calibration.content_hash,
        "standard_error": standard_error,
        "score_error": score_error,
        "most_items": most_items,
        "among": among,
    }
    limits: dict[str, Any] = {key: rule[key] for key in rule if key != "calibration"}
    tests = _Tests(inventory, calibration, design, questions, limits, respondent.name)
    run = ask_in_rounds(
        respondent,
        dataclasses.replace(record, adaptive=rule),
        tests.rounds,
        run_folder,
        most=most_questions(inventory, calibration, design, most_items),
        progress=progress,
    )
    scores = tests.scores(standard_error, score_error)
    found = AdaptiveMeasurement(run, scores, calibration.left_out)
    if run.folder is not None:
        text = json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n"
        try:
            write_atomically(run.folder / ADAPTIVE_RESULT, text)
        except OSError as error:
            raise RunError(
                f"Every answer is in {run.folder}, but {ADAPTIVE_RESULT} cannot be written "
                f"({error.strerror or error}); free or unlock it and measure into it again."
            ) from None
    return found


def most_questions(
    inventory: Inventory, calibration: BankCalibration, design: Design, most_items: int | None
) -> int:
    """How many questions an adaptive run puts at most."""
    sizes = [len(trait.items) for trait in calibration.traits.values()]
    items = sum(size if most_items is None else min(size, most_items) for size in sizes)
    return items * len(design.conditions(inventory))


class _Tests:
    """The adaptive tests of one run, one a persona and trait."""

    def __init__(
        self,
        inventory: Inventory,
        calibration: BankCalibration,
        design: Design,
        questions: Sequence[Question],
        limits: Mapping[str, Any],
        respondent: str,
    ) -> None:
        self._inventory = inventory
        self._traits = calibration.traits
        self._design = design
        self._limits = limits
        self._respondent = respondent
        self._questions: dict[tuple[str, int], list[Question]] = {}
        for question in questions:
            place = (question.condition.persona, question.item)
            self._questions.setdefault(place, []).append(question)
        self._found: dict[_TestKey, AdaptiveTest] = {}

    def rounds(self, answered: Mapping[QuestionKey, Response]) -> Iterator[list[Question]]:
        """The questions of each round, given the answers to those of the rounds before."""
        running: dict[_TestKey, Generator[int, float, AdaptiveTest]] = {
            (persona, code): self._steps(persona, code)
            for persona in self._design.personas
            for code in self._traits
        }
        following = {key: next(steps) for key, steps in running.items()}
        while following:
            asked = {(p, code): self._number(code, item) for (p, code), item in following.items()}
            batch = [
                question
                for (persona, code), number in asked.items()
                for question in self._questions[persona, number]
            ]
            yield batch
            answers = [answered[question_key(question)] for question in batch]
            frame = responses_frame(self._inventory, self._respondent, answers)
            shares = item_shares(frame, self._inventory)
            following = {}
            for (persona, code), number in asked.items():
                try:
                    step = running[persona, code].send(shares[persona, number])
                except StopIteration as end:
                    self._found[persona, code] = end.value
                else:
                    following[persona, code] = step

    def scores(self, standard_error: float, score_error: float | None) -> tuple[AdaptiveScore, ...]:
        """What the tests found, once their rounds are over."""
        scores = []
        for persona in self._design.personas:
            for code, trait in self._traits.items():
                test = self._found[persona, code]
                wide = _NORMAL * test.score_error
                interval = Estimate(
                    test.bank_score,
                    max(0.0, test.bank_score - wide),
                    min(100.0, test.bank_score + wide),
                )
                error = test.standard_errors[-1]
                scores.append(
                    AdaptiveScore(
                        persona,
                        code,
                        test.levels[-1],
                        error,
                        interval,
                        tuple(trait.items[item] for item in test.items),
                        test.responses,
                        len(trait.items),
                        error <= standard_error
                        and (score_error is None or test.score_error <= score_error),
                    )
                )
        return tuple(scores)

    def _steps(self, persona: str, code: str) -> Generator[int, float, AdaptiveTest]:
        trait = self._traits[code]
        items = [self._inventory.item(number) for number in trait.items]
        # Where items have no statement, facets take turns: answers of one facet go together beyond
        # the level, so items of some facets alone would say too little of the whole bank.
        groups = [item.cluster or item.facet or f"item {item.number}" for item in items]
        # A seed of its own for each test, or all personas would draw alike.
        drawn = hashlib.blake2b(
            repr((self._design.seed, persona, code)).encode(), digest_size=4
        ).digest()
        return adaptive_steps(
            trait.parameters, groups, **self._limits, seed=int.from_bytes(drawn, "big")
        )

    def _number(self, code: str, item: int) -> int:
        return self._traits[code].items[item]


def _check(
    inventory: Inventory,
    calibration: BankCalibration,
    design: Design,
    standard_error: float,
    score_error: float | None,
    most_items: int | None,
    among: int,
) -> None:
    calibration.require(inventory)
    if not calibration.traits:
        raise UsageError(
            f"No trait of {inventory.name} could be calibrated, so nothing tells which items to "
            "choose; measure without a calibration."
        )
    for name, value in (("level", standard_error), ("score", score_error)):
        if value is not None and not value > 0:
            raise UsageError(f"A standard error of the {name} of {value:g} is never reached.")
    if most_items is not None and most_items < 1:
        raise UsageError(f"At most {most_items} items of a trait ask nothing; give 1 or more.")
    if among < 1:
        raise UsageError(f"The next item cannot be drawn from {among}; give 1 or more.")
    if design.items or design.fraction < 1 or design.label_prior:
        raise UsageError(
            "An adaptive test chooses items itself and asks each under every condition; leave the "
            "limit of items, the fraction of conditions and the label prior out."
        )


def _check_asking(calibration: BankCalibration, asking: Mapping[str, Any]) -> None:
    for name, value in asking.items():
        known = calibration.asking.get(name)
        if value == known:
            continue
        if name == "wording":
            raise UsageError(
                f"The templates {_said(asking['templates'])} say something else than when items "
                "were calibrated with them; ask with the same ones, or calibrate anew."
            )
        raise UsageError(
            f"Items were calibrated with {name} {_said(known)} and are to be asked with "
            f"{_said(value)}; ask as they were calibrated, or calibrate anew."
        )


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
