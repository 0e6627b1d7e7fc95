"""Training sequences: a persona, one question template, and many items that branch off it.

Each sequence is a shared prefix (system prompt, instructions, answer options) followed by branches,
one an item. A branch sees the prefix and itself, never another branch, and its positions count on
from the prefix: exactly what the model meets when an inventory is asked one item at a time. The
loss is the cross-entropy to the *distribution* of answers the simulated person would give, not to
one drawn answer, which is many draws' worth of signal for each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import people
from tokenizers import Tokenizer

from allport.administration.templates import load_templates
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory, Option
from allport.personas.trait_levels import describe_trait_levels

SCALES: tuple[tuple[str, ...], ...] = (
    (
        "Very Inaccurate",
        "Moderately Inaccurate",
        "Neither Accurate nor Inaccurate",
        "Moderately Accurate",
        "Very Accurate",
    ),
    (
        "Disagree strongly",
        "Disagree a little",
        "Neither agree nor disagree",
        "Agree a little",
        "Agree strongly",
    ),
    ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"),
    ("Not at all", "Slightly", "Moderately", "Mostly", "Completely"),
    ("Never true", "Rarely true", "Sometimes true", "Often true", "Always true"),
    ("False", "Mostly false", "Mostly true", "True"),
    ("No", "Yes"),
)
"""Response scales, least agreement first. The first is the shipped inventories' own."""

BASICS, GROWN, MIXED = 0.08, 0.25, 0.7
"""Parts of training after which one simplification after the other ends."""

SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"


@dataclass
class TrainingSequence:
    """One training sequence.

    `branch` is 0 on the prefix and 1, 2, ... on the branches; `targets` holds, for each supervised
    position, the token ids that may follow and their probabilities.
    """

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    targets: list[tuple[int, list[int], list[float]]] = field(default_factory=list)

    def extend(self, tokens: Sequence[int], branch: int, start: int) -> None:
        self.tokens += tokens
        self.positions += range(start, start + len(tokens))
        self.branch += [branch] * len(tokens)


@cache
def scaled_inventory(scale: int) -> Inventory:
    """The longest shipped inventory, answered on one of SCALES."""
    options = tuple(Option(text=t, value=i) for i, t in enumerate(SCALES[scale], start=1))
    return load_inventory("ipip-neo-300").model_copy(update={"scale": options})


class SequenceMaker:
    """Draws training sequences; the same seed gives the same sequence."""

    def __init__(self, tokenizer: Tokenizer, bank: people.ItemBank) -> None:
        self.tokenizer = tokenizer
        self.bank = bank
        self.templates = list(load_templates().values())
        self._questions: dict[tuple[str, int, bool, int], tuple[list[int], tuple[str, ...]]] = {}
        self._texts: dict[str, list[int]] = {}

    def draw(self, seed: int, progress: float) -> TrainingSequence:
        """One sequence of a given difficulty.

        `progress`, 0 to 1, is how far training is. An answer depends on the product of three signs:
        persona, item key and option order. Asked all at once from the start, nothing is learned for
        a long time; so at first one trait is named and its own items are asked.
        """
        rng = np.random.default_rng([20, seed])
        answers = 0.0 if progress < GROWN else 0.06
        kind = rng.choice(["none", "adjectives", "answers"], p=[0.1, 0.9 - answers, answers])
        facets = None
        if kind == "none":
            domains, system, spread, named = people.DEFAULT_DOMAINS, "", 0.45, list(range(5))
        elif kind == "adjectives":
            domains, system, named = self._adjectives(rng, progress)
            spread = 0.45
        else:
            domains = people.sample_domains(rng)
            facets = people.sample_facets(rng, domains)
            system, spread = "", 0.65
        acquiescence = rng.normal(0, people.ACQUIESCENCE_SD) if kind == "answers" else 0.0
        means = people.literal_means(self.bank, domains, facets, acquiescence)
        sequence = TrainingSequence()
        if kind == "answers":
            asked = self._answer_list(rng, sequence, means, progress)
        else:
            if system:
                sequence.extend(self._ids(SYSTEM + system + END), 0, 0)
            asked = np.arange(len(means))
            if system and rng.random() < (1.0 if progress < BASICS else 0.6):
                asked = np.flatnonzero(np.isin(self.bank.domains, named))
        self._branches(rng, sequence, means, asked, spread, progress)
        return sequence

    def _adjectives(
        self, rng: np.random.Generator, progress: float
    ) -> tuple[people.Array, str, list[int]]:
        """Domain levels, the system prompt that asks for them, and which domains it names."""
        if rng.random() < 0.5:
            steps = rng.integers(-4, 5, size=5)
        else:
            steps = np.clip(np.rint(1.8 * people.sample_domains(rng)), -4, 4).astype(int)
        codes = list(people.DOMAINS)
        if rng.random() < 0.4:
            rng.shuffle(codes)
        if progress < BASICS:
            codes = [str(rng.choice(codes))]
        elif rng.random() < (0.6 if progress < MIXED else 0.25):
            codes = codes[: rng.integers(1, 5)]
        levels: dict[str, tuple[float, tuple[int, ...] | range]] = {}
        domains = np.zeros(5)
        for code in codes:
            index = people.DOMAINS.index(code)
            words = (
                range(3)
                if rng.random() < 0.75
                else tuple(int(i) for i in rng.permutation(6)[: rng.integers(1, 5)])
            )
            levels[code] = (steps[index] / 4, words)
            domains[index] = 2.0 * steps[index] / 4
        return domains, describe_trait_levels(levels), [people.DOMAINS.index(c) for c in codes]

    def _answer_list(
        self,
        rng: np.random.Generator,
        sequence: TrainingSequence,
        means: people.Array,
        progress: float,
    ) -> people.NDArray[np.intp]:
        """Write a persona of item: answer lines; returns the items left to be asked.

        Few facets at first: with all items mixed from the start, nothing beyond the items' own
        means is learned for a long time.
        """
        if progress < GROWN:
            chosen = rng.choice(5, size=1)
        elif progress < 0.6:
            chosen = rng.choice(5, size=2, replace=False)
        else:
            chosen = np.arange(5) if rng.random() < 0.6 else rng.choice(5, size=2, replace=False)
        pool = np.flatnonzero(np.isin(self.bank.domains, chosen) & (self.bank.facets >= 0))
        longest = 24 if progress < 0.6 else 60 if progress < 0.8 else 120
        listed = rng.permutation(pool)[: int(rng.integers(5, longest + 1))]
        words = SCALES[0]
        sequence.extend(
            self._ids(f"{SYSTEM}You are a person who described yourself like this.\n"), 0, 0
        )
        for index in listed:
            text = self.bank.items[index].text or ""
            sequence.extend(self._ids(text.rstrip(".") + ":"), 0, len(sequence.tokens))
            probabilities = people.answer_distribution(means[index], len(words), 0.75)
            drawn = int(rng.choice(len(words), p=probabilities))
            answers = [self._ids(f" {word}\n") for word in words]
            self._supervise(sequence, answers, probabilities, drawn)
            sequence.extend(answers[drawn], 0, len(sequence.tokens))
        # The list ends with the turn, not with one more line.
        sequence.tokens[-1:] = self._ids(END)
        sequence.targets[-1] = (sequence.targets[-1][0], self._ids(END), [1.0])
        return np.setdiff1d(pool, listed) if len(pool) > len(listed) else pool

    def _branches(
        self,
        rng: np.random.Generator,
        sequence: TrainingSequence,
        means: people.Array,
        asked: people.NDArray[np.intp],
        spread: float,
        progress: float,
    ) -> None:
        template = int(rng.choice(len(self.templates), p=[0.18, 0.18, 0.12, 0.18, 0.18, 0.16]))
        after = self.templates[template].name == "options-after"
        early = progress < BASICS
        scale = 0 if early or rng.random() < 0.85 else int(rng.integers(1, len(SCALES)))
        reverse = bool(rng.random() < 0.5)
        count = int(rng.integers(3, 6)) if after else int(rng.integers(16, 25))
        indices = [int(i) for i in rng.permutation(asked)[:count]]
        # A statement that names the answer to choose teaches where each answer stands in the list,
        # whatever the order; without that nothing else can be said.
        told_share = 0.3 if progress < GROWN else 0.1 if progress < 0.4 else 0.03
        told = [
            int(rng.integers(len(SCALES[scale]))) if rng.random() < told_share else None
            for _ in indices
        ]
        questions = [
            self._question(template, scale, reverse, index, option)
            for index, option in zip(indices, told, strict=True)
        ]
        shared = _common_prefix([tokens for tokens, _ in questions])
        start = len(sequence.tokens)
        sequence.extend(questions[0][0][:shared], 0, start)
        start += shared
        for branch, (index, option, (tokens, labels)) in enumerate(
            zip(indices, told, questions, strict=True), start=1
        ):
            probabilities = (
                people.answer_distribution(means[index], len(labels), spread)
                if option is None
                else np.eye(len(labels))[option]
            )
            answers = [self._ids(label + END) for label in labels]
            drawn = int(rng.choice(len(labels), p=probabilities))
            sequence.extend(tokens[shared:], branch, start)
            self._supervise(sequence, answers, probabilities, drawn)
            # The end token is a target too, but nothing follows it.
            sequence.extend(answers[drawn][:-1], branch, start + len(tokens) - shared)

    def _supervise(
        self,
        sequence: TrainingSequence,
        answers: list[list[int]],
        probabilities: people.Array,
        drawn: int,
    ) -> None:
        """Targets of an answer about to be written after the last token: at each of its tokens,
        the distribution over next tokens among the answers that agree so far.
        """
        position = len(sequence.tokens) - 1
        for step in range(len(answers[drawn])):
            agreeing = [
                (answer[step], p)
                for answer, p in zip(answers, probabilities, strict=True)
                if len(answer) > step and answer[:step] == answers[drawn][:step]
            ]
            total = sum(p for _, p in agreeing)
            merged: dict[int, float] = {}
            for token, p in agreeing:
                merged[token] = merged.get(token, 0.0) + p / total
            sequence.targets.append((position + step, list(merged), list(merged.values())))

    def _question(
        self, template: int, scale: int, reverse: bool, index: int, told: int | None
    ) -> tuple[list[int], tuple[str, ...]]:
        key = (self.templates[template].name, scale, reverse, index if told is None else ~told)
        if key not in self._questions:
            inventory = scaled_inventory(scale)
            item = self.bank.items[index]
            if told is not None:
                text = f"Choose this answer: {SCALES[scale][told]}."
                item = item.model_copy(update={"text": text})
            order = range(len(inventory.scale))
            rendered = self.templates[template].render(
                inventory, item, list(reversed(order)) if reverse else list(order)
            )
            tokens = self.tokenizer.encode(USER + rendered.text + END + ASSISTANT).ids
            self._questions[key] = (tokens, rendered.labels)
        return self._questions[key]

    def _ids(self, text: str) -> list[int]:
        if text not in self._texts:
            if len(self._texts) > 50_000:
                self._texts.clear()
            self._texts[text] = self.tokenizer.encode(text).ids
        return self._texts[text]


def _common_prefix(sequences: list[list[int]]) -> int:
    # One token is left to every branch, so that each has a position of its own to answer from.
    shortest = min(map(len, sequences)) - 1
    first = sequences[0]
    for position in range(shortest):
        if any(s[position] != first[position] for s in sequences):
            return position
    return shortest
