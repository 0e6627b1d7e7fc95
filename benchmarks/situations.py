"""Situational items: are they scored as they should be, and how fast are they asked?

Scoring: the released rule of TRAIT on hand-made probabilities, and how far one nat on one label
moves the score of a respondent that knows what it wants, each label in turn. Item response theory:
parameters planted in yes/no answers of 500 respondents to 40 items, 8 statements of five, found
again. Speed: embedded model, situations-320, template advice-after; the loop asks one prompt at a
time, whole, and is timed on a sample of the same questions, in turn with the engine. All 24 orders
of some of the items are asked at once, and order by order by the same engine without sharing, each
order in full batches. Every ratio is taken within one round; low and high are over rounds, labels
or seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration import Design, measure, permutation, plan, situation_scores
from allport.inventories import Inventory, load_inventory
from allport.models import Question, Response, TransformersModel, load_model, prepare_process
from allport.models.scripted import ScriptedRespondent
from allport.personas import Person
from allport.psychometrics import fit_two_parameter, situational_scores
from benchmarks.measuring_speed import person_of_120_answers, unique_tokens
from benchmarks.reference_loops import ask_by_logits
from benchmarks.results import Row, summarised

Floats = NDArray[np.float64]

BANK = "situations-320"
TEMPLATE = "advice-after"
ROUNDS = 7
SAMPLE = 24
ALL_ORDERS_OF = 80
SEEDS = 10
RESPONDENTS = 500
PERSONA_TOKENS = 200
BIAS = 1.0

PUBLISHED = ("0213", "2031")
"""The two layouts of the released code: high, low, high, low and the other way round."""


class Case(NamedTuple):
    """Probabilities of one item and what the released rule makes of them, worked out by hand."""

    labels: tuple[tuple[float, ...], tuple[float, ...]]
    """Of the labels A to D in each of the two layouts; 0 where a service reported none."""
    high: bool


CASES: Mapping[str, Case] = {
    "a clear high option": Case(((0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1)), True),
    "a clear low option": Case(((0.1, 0.1, 0.1, 0.7), (0.1, 0.1, 0.7, 0.1)), False),
    # The high side has .60, but the one option chosen most is low.
    ".30/.30/.40, low ahead": Case(((0.3, 0.4, 0.3, 0.0), (0.4, 0.3, 0.0, 0.3)), False),
    ".30/.30/.40, high ahead": Case(((0.4, 0.3, 0.0, 0.3), (0.3, 0.4, 0.3, 0.0)), True),
    # Among equals the first in the list high, high, low, low is taken.
    "a tie of both sides": Case(((0.5, 0.5, 0.0, 0.0), (0.5, 0.5, 0.0, 0.0)), True),
    "a tie of all four": Case(((0.25, 0.25, 0.25, 0.25), (0.25, 0.25, 0.25, 0.25)), True),
    "a tie with the second high": Case(((0.2, 0.4, 0.4, 0.0), (0.4, 0.2, 0.0, 0.4)), True),
    "a tie of both low": Case(((0.1, 0.4, 0.1, 0.4), (0.4, 0.1, 0.4, 0.1)), False),
    # Always A: a tie over both layouts.
    "nothing but a label": Case(((1.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)), True),
    # .5/.25 and .2/.6 within the layouts; without the other labels' share it would be .4 to .6.
    "a missing low label": Case(((0.2, 0.0, 0.1, 0.1), (0.6, 0.2, 0.1, 0.1)), True),
    "a missing high label": Case(((0.0, 0.3, 0.2, 0.0), (0.5, 0.5, 0.0, 0.0)), False),
    # .8 and .3 to .2 and .7: a layout with little on its labels counts as much as the other.
    "little on the labels": Case(((0.08, 0.02, 0.0, 0.0), (0.7, 0.3, 0.0, 0.0)), True),
}


def rows(
    model: TransformersModel | None = None,
    inventory: Inventory | None = None,
    *,
    rounds: int = ROUNDS,
    sample: int = SAMPLE,
    all_orders_of: int = ALL_ORDERS_OF,
    seeds: int = SEEDS,
) -> list[Row]:
    """Scoring, recovery of planted parameters, and ratios of speed."""
    prepare_process()
    if model is None:
        loaded = load_model("embedded")
        assert isinstance(loaded, TransformersModel)
        model = loaded
    bank = load_inventory(BANK) if inventory is None else inventory
    return [
        official_rule(),
        *label_bias(bank),
        *recovery(seeds),
        *against_loop(model, bank, rounds, sample),
        *all_orders(model, bank, rounds, all_orders_of),
    ]


def official_rule() -> Row:
    """Share of hand-made cases on which `argmax` says what the released rule says."""
    content = np.zeros((len(CASES), len(PUBLISHED), 4))
    for row, case in enumerate(CASES.values()):
        for column, (order, labels) in enumerate(zip(PUBLISHED, case.labels, strict=True)):
            content[row, column, list(permutation(order, 4))] = labels
    found = situational_scores(content, np.tile([1, 1, 0, 0], (len(CASES), 1))).argmax
    equal = float(np.mean(found == [case.high for case in CASES.values()]))
    what = f"released scoring rule, share of {len(CASES)} hand-made cases that agree"
    return Row("situations.official_rule", what, equal, equal, equal, "", 1.0, "higher")


def label_bias(bank: Inventory) -> list[Row]:
    """Points of 100 by which a bias to one label moves a score, by layout, over the labels."""
    layouts = {"fixed": ("0123",), "williams": ("williams",)}
    moved: dict[str, list[float]] = {}
    for name, orders in layouts.items():
        design = Design(templates=(TEMPLATE,), orders=orders)
        plain = _score(_leaning_to("", bank), bank, design)
        moved[name] = [
            abs(_score(_leaning_to(label, bank), bank, design) - plain) for label in "ABCD"
        ]
    said = f"points of 100 that a bias of {BIAS:g} nat to one label moves the score by"
    return [
        summarised(
            "situations.bias.fixed",
            f"{said}, high options always first, by label",
            moved["fixed"],
            "",
            10.0,
            "higher",
        ),
        summarised(
            "situations.bias.williams",
            f"{said}, Williams orders, by label",
            moved["williams"],
            "",
            0.1,
            "lower",
        ),
    ]


def _leaning_to(label: str, bank: Inventory) -> ScriptedRespondent:
    """Somebody who weighs options by what they say, and one label heavier."""
    wanted = {n: np.random.default_rng(n).normal(0, 1, 4) for n in bank.numbers}

    def script(question: Question) -> list[float]:
        weights = wanted[question.item] + BIAS * np.array([x == label for x in question.labels])
        shares = np.exp(weights)
        return list(shares / shares.sum())

    return ScriptedRespondent(script, f"leaning to {label}" if label else "unbiased")


def _score(respondent: ScriptedRespondent, bank: Inventory, design: Design) -> float:
    run = measure(respondent, bank, design, progress=None)
    return 100 * float(np.mean(situation_scores(run.responses, bank)[""].mass))


def recovery(seeds: int, respondents: int = RESPONDENTS) -> list[Row]:
    """Correlation of fitted with planted parameters, over seeds."""
    difficulty, discrimination = [], []
    for seed in range(seeds):
        responses, statements, a, b = planted_answers(respondents, seed)
        fitted = fit_two_parameter(responses, statements)
        difficulty.append(_r(fitted.difficulties, b))
        discrimination.append(_r(fitted.discriminations, a))
    of_whom = f"{respondents} respondents x 40 items, {seeds} seeds, r"
    return [
        summarised(
            f"situations.irt.{name}",
            f"fitted against planted {name}, {of_whom}",
            found,
            "",
            target,
            "higher",
        )
        for name, found, target in (
            ("difficulty", difficulty, 0.95),
            ("discrimination", discrimination, 0.85),
        )
    ]


def planted_answers(respondents: int, seed: int) -> tuple[Floats, list[int], Floats, Floats]:
    """Yes/no answers with the statements, discriminations and difficulties behind them."""
    rng = np.random.default_rng([2026, seed])
    statements = np.repeat(np.arange(8), 5)
    difficulties = rng.normal(0, 0.8, 8)[statements] + rng.normal(0, 0.6, 40)
    discriminations = np.exp(0.2 + rng.normal(0, 0.25, 8)[statements] + rng.normal(0, 0.25, 40))
    levels = rng.normal(size=(respondents, 1))
    p = 1 / (1 + np.exp(-discriminations * (levels - difficulties)))
    said = (rng.random(p.shape) < p).astype(np.float64)
    return said, statements.tolist(), discriminations, difficulties


def _r(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def against_loop(model: TransformersModel, bank: Inventory, rounds: int, sample: int) -> list[Row]:
    """Items x orders per second over the loop, without and with a persona."""
    person = person_of_tokens(model, PERSONA_TOKENS)
    tokens = len(model.tokenizer(person.system_prompt()).input_ids)
    found: list[Row] = []
    for case, persona, said, target in (
        ("plain", None, "no persona", 10.0),
        ("persona", person, f"persona of {tokens} tokens", 15.0),
    ):
        names = ("",) if persona is None else (persona.name,)
        design = Design(templates=(TEMPLATE,), orders=("williams",), personas=names)
        questions = plan(bank, design, [] if persona is None else [persona])
        some = questions[:: max(1, len(questions) // sample)][:sample]
        _answers(model, questions[:40])  # what is set up once is not timed
        ratios, rates = [], []
        for _ in range(rounds):
            ours = _seconds(partial(_answers, model, questions))
            loop = _seconds(partial(ask_by_logits, model, some))
            rates.append(len(questions) / ours)
            ratios.append(rates[-1] * loop / len(some))
        unique, total = unique_tokens(model, questions), _tokens(_answers(model, questions))
        what = (
            f"items x orders per second{{}}, {len(bank.items)} x 4, {said}, "
            f"{unique:,} unique of {total:,} tokens"
        )
        found += [
            summarised(
                f"situations.speed.{case}",
                what.format(" over the logits loop"),
                ratios,
                "×",
                target,
                "higher",
            ),
            summarised(f"situations.rate.{case}", what.format(""), rates, "/s", 0.0, "higher"),
        ]
    return found


def person_of_tokens(model: TransformersModel, tokens: int) -> Person:
    """Somebody with as many answers as make a system prompt of this many tokens or just above."""
    somebody = person_of_120_answers()
    answers = list(somebody.literal_answers.items())
    for count in range(1, len(answers) + 1):
        person = Person("somebody", somebody.inventory, dict(answers[:count]), simulated=True)
        if len(model.tokenizer(person.system_prompt()).input_ids) >= tokens:
            return person
    return somebody


def all_orders(model: TransformersModel, bank: Inventory, rounds: int, items: int) -> list[Row]:
    """24 orders on shared prefixes against 24 batched passes of whole prompts."""
    some = bank.numbers[:: max(1, len(bank.numbers) // items)][:items]
    questions = plan(bank, Design(templates=(TEMPLATE,), orders=("all",), items=some))
    by_order: dict[str, list[Question]] = {}
    for question in questions:
        by_order.setdefault(question.condition.order, []).append(question)
    whole = TransformersModel(model.model, model.tokenizer, model.name)
    whole.passes.share("whole")

    def separately() -> list[Response]:
        return [r for asked in by_order.values() for r in _answers(whole, asked)]

    together, apart = _answers(model, questions), separately()  # not timed
    ratios = []
    for _ in range(rounds):
        shared = _seconds(partial(_answers, model, questions))
        ratios.append(_seconds(separately) / shared)
    unique, total = unique_tokens(model, questions), _tokens(together)
    difference = _largest_difference(together, apart)
    what = f"{len(by_order)} orders of {len(some)} items on shared prefixes"
    return [
        summarised(
            "situations.all_orders.speed",
            f"{what}, {unique:,} unique of {total:,} tokens, over {len(by_order)} batched passes",
            ratios,
            "×",
            1.7,
            "higher",
        ),
        Row(
            "situations.all_orders.difference",
            f"{what}, largest difference of a probability from separate passes",
            *(difference, difference, difference),
            "",
            1e-4,
            "lower",
        ),
    ]


def _largest_difference(one: Sequence[Response], other: Sequence[Response]) -> float:
    found, expected = (
        {(r.item, r.condition): np.array(r.probabilities, np.float64) for r in responses}
        for responses in (one, other)
    )
    return max(float(np.abs(found[key] - expected[key]).max()) for key in expected)


def _answers(model: TransformersModel, questions: Sequence[Question]) -> list[Response]:
    return list(model.answer(questions))


def _tokens(responses: Sequence[Response]) -> int:
    return sum(r.prompt_tokens for r in responses)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
