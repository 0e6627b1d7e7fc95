"""Items per second of the asking engine against loops of the released kind, embedded model.

IPIP-NEO-120, templates letters and digits, both option orders: 480 questions, (a) without a
persona and (b) with a persona of 120 answers. The loops are timed on a sample of the same
questions, in turn with the engine, and each ratio is taken within one round. The floor is the raw
forward rate: the same number of unique tokens run through the model as one plain batch after
another, no cache, logits at the last position only. Rows are whole prompts, as many at a time as
make up whichever of 512, 1024 and 2048 tokens is run fastest here; neither rendering, tokenising
nor reading of answers is in it, nor the tokens that labels of several tokens need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from allport.administration import Design, plan
from allport.inventories import load_inventory
from allport.models import Question, TransformersModel, load_model, prepare_process
from allport.personas import Person, Persona
from benchmarks.reference_loops import ask_by_generation, ask_by_logits, prompt_text
from benchmarks.results import Row, summarised

ROUNDS = 9
SAMPLE = 24
RAW_TOKENS = (512, 1024, 2048)
TEMPLATES, ORDERS = ("letters", "digits"), ("forward", "reversed")


def questions_of(persona: Persona | None) -> list[Question]:
    """The 480 questions of one case."""
    inventory = load_inventory("ipip-neo-120")
    design = Design(templates=TEMPLATES, orders=ORDERS, personas=(persona.name if persona else "",))
    return plan(inventory, design, [persona] if persona else [])


def person_of_120_answers() -> Person:
    """A simulated person with an answer to every item."""
    inventory = load_inventory("ipip-neo-120")
    drawn = np.random.default_rng(0).integers(1, 6, len(inventory.items))
    answers = {
        item.number: float(value) for item, value in zip(inventory.items, drawn, strict=True)
    }
    return Person("somebody", inventory, answers, simulated=True)


def rows() -> list[Row]:
    """Ratios of items per second, by case and loop, and the share of the raw forward rate."""
    prepare_process()
    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    found: list[Row] = []
    person = person_of_120_answers()
    for case, persona, targets in (("a", None, (10.0, 4.0)), ("b", person, (30.0, 10.0))):
        what = "120-answer persona" if persona else "no persona"
        questions = questions_of(persona)
        unique = unique_tokens(model, questions)
        ratios = _ratios(model, questions, unique)
        for loop, target in zip(("generating", "logits"), targets, strict=True):
            found.append(
                summarised(
                    f"measuring.{case}.{loop}",
                    f"items per second over the {loop} loop, {what}",
                    ratios[loop],
                    "×",
                    target,
                    "higher",
                )
            )
        found.append(
            summarised(
                f"measuring.{case}.raw_share",
                f"share of the raw forward rate on {unique:,} unique tokens, {what}",
                ratios["raw"],
                "",
                0.7,
                "higher",
            )
        )
        found.append(
            summarised(
                f"measuring.{case}.rate",
                f"items per second, {what}",
                ratios["rate"],
                "/s",
                0.0,
                "higher",
            )
        )
    return found


def _ratios(
    model: TransformersModel, questions: Sequence[Question], unique: int
) -> dict[str, list[float]]:
    """What each round measured: ratios of rates, and our own rate in items per second."""
    sample = questions[:: len(questions) // SAMPLE]
    list(model.answer(questions[:40]))  # what is set up once is not timed
    at_once = max(
        RAW_TOKENS,
        key=lambda size: max(
            _rate(lambda: raw_forward(model, questions, unique, size), unique) for _ in range(3)
        ),
    )
    ratios: dict[str, list[float]] = {"generating": [], "logits": [], "raw": [], "rate": []}
    for _ in range(ROUNDS):
        ours = _rate(lambda: list(model.answer(questions)), len(questions))
        generating = _rate(lambda: ask_by_generation(model, sample), len(sample))
        logits = _rate(lambda: ask_by_logits(model, sample), len(sample))
        raw = _rate(lambda: raw_forward(model, questions, unique, at_once), unique)
        ratios["rate"].append(ours)
        ratios["generating"].append(ours / generating)
        ratios["logits"].append(ours / logits)
        ratios["raw"].append(ours / len(questions) * unique / raw)
    return ratios


def unique_tokens(model: TransformersModel, questions: Sequence[Question]) -> int:
    """Tokens of all prompts, each shared beginning counted once: the nodes of their trie."""
    prompts = sorted(
        model.tokenizer(
            [prompt_text(model, q) for q in questions], add_special_tokens=False
        ).input_ids
    )
    total = 0
    last: list[int] = []
    for prompt in prompts:
        shared = next(
            (i for i, (a, b) in enumerate(zip(last, prompt, strict=False)) if a != b),
            min(len(last), len(prompt)),
        )
        total += len(prompt) - shared
        last = prompt
    return total


def raw_forward(
    model: TransformersModel, questions: Sequence[Question], tokens: int, at_once: int = 1024
) -> None:
    """Run about this many tokens as plain batches: rows of one whole prompt, no cache."""
    ids = model.tokenizer(
        [prompt_text(model, questions[0])], add_special_tokens=False, return_tensors="pt"
    ).input_ids
    rows = max(1, tokens // ids.shape[1])
    most = max(1, at_once // ids.shape[1])
    with torch.inference_mode():
        while rows > 0:
            batch = min(rows, most)
            model.model(ids.expand(batch, -1), use_cache=False, logits_to_keep=1)
            rows -= batch


def _rate(work: Callable[[], object], amount: int) -> float:
    start = time.perf_counter()
    work()
    return amount / (time.perf_counter() - start)
