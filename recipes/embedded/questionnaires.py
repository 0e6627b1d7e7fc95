"""Questionnaires in training: items as branches of one question, and lists of answers."""

from __future__ import annotations

import tomllib
from functools import cache

import numpy as np
import people
from packing import ASSISTANT, END, SYSTEM, USER, Ids, TrainingSequence, last_tokens
from people import TEXTS, Array
from speakers import Speaker

from allport.administration.statements import statement
from allport.administration.templates import load_templates
from allport.evaluation.abilities import is_held_out
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory, Option

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
TEMPLATES = tuple(load_templates().values())
TEMPLATE_SHARES = (0.18, 0.18, 0.12, 0.18, 0.18, 0.16)


@cache
def scaled_inventory(scale: int) -> Inventory:
    """The longest shipped inventory, answered on one of SCALES."""
    options = tuple(Option(text=t, value=i) for i, t in enumerate(SCALES[scale], start=1))
    return load_inventory("ipip-neo-300").model_copy(update={"scale": options})


@cache
def every_paraphrase() -> dict[str, tuple[str, ...]]:
    """Other wordings by item text."""
    written = tomllib.loads((TEXTS / "paraphrases.toml").read_text("utf-8"))["paraphrases"]
    return {text: tuple(forms) for text, forms in written.items()}


@cache
def paraphrases() -> dict[str, tuple[str, ...]]:
    """Other wordings by item text; a fixed fifth of the items has none in training."""
    return {t: () if is_held_out(t) else forms for t, forms in every_paraphrase().items()}


@cache
def unseen_wordings() -> dict[str, str]:
    """One more wording by text of items whose other wordings are trained on, for evaluation."""
    written: dict[str, str] = tomllib.loads((TEXTS / "unseen_wordings.toml").read_text("utf-8"))[
        "wordings"
    ]
    return written


class Questionnaires:
    """Writes items into training sequences."""

    def __init__(self, ids: Ids, bank: people.ItemBank) -> None:
        self.ids = ids
        self.bank = bank
        self._questions: dict[
            tuple[int, int, bool, str], tuple[list[int], tuple[str, ...], int]
        ] = {}
        self._agreed: dict[int, Array] = {}

    def ask(
        self,
        rng: np.random.Generator,
        sequence: TrainingSequence,
        speaker: Speaker,
        means: Array,
        asked: people.NDArray[np.intp],
        *,
        told_share: float,
        own_scale_share: float,
        paraphrased_share: float,
        many: bool = False,
    ) -> None:
        """Add branches that ask some of these items under one template, scale and order.

        Many of them are worth asking where the persona before them is long.

        A statement that names the answer to choose teaches where each answer stands in the list,
        whatever the order; without that nothing else can be said.
        """
        template = int(rng.choice(len(TEMPLATES), p=TEMPLATE_SHARES))
        after = TEMPLATES[template].name == "options-after"
        scale = int(rng.integers(1, len(SCALES))) if rng.random() < own_scale_share else 0
        reverse = bool(rng.random() < 0.5)
        count = int(rng.integers(3, 6)) if after else int(rng.integers(16, 25))
        if many and not after:
            count *= 2
        questions, answers, known = [], [], []
        for index in (int(i) for i in rng.permutation(asked)[:count]):
            if rng.random() < told_share:
                option = int(rng.integers(len(SCALES[scale])))
                text = f"Choose this answer: {SCALES[scale][option]}."
                p = np.eye(len(SCALES[scale]))[option]
                agreeing = None
            else:
                text = self.text(rng, index, paraphrased_share)
                p = people.answer_distribution(means[index], len(SCALES[scale]), speaker.spread)
                agreeing = self._agreeing(index)
            tokens, labels, at = self._question(template, scale, reverse, text)
            questions.append(tokens)
            known.append(
                []
                if agreeing is None
                else [
                    ("statement", at, agreeing),
                    ("agreed", at, np.clip(means[[index]] - 3, -3, 3)),
                ]
            )
            answers.append(
                ([self.ids(label + END) for label in labels], p, int(rng.choice(len(labels), p=p)))
            )
        sequence.branch_off(questions, answers, known)

    def text(self, rng: np.random.Generator, index: int, paraphrased_share: float) -> str:
        """An item's text, or now and then another wording of it."""
        text = self.bank.items[index].text or ""
        if rng.random() >= paraphrased_share:
            return text
        forms = paraphrases().get(text)
        return str(rng.choice(forms)) if forms else text

    def list_answers(
        self,
        rng: np.random.Generator,
        sequence: TrainingSequence,
        means: Array,
        listed: people.NDArray[np.intp],
        *,
        paraphrased_share: float,
        at_odds: bool = False,
    ) -> None:
        """Write a persona of item: answer lines, each answer a target.

        Of a line is known what it says by itself, and what all up to it say.
        """
        given: list[int] = []
        words = SCALES[0]
        sequence.extend(self.ids(f"{SYSTEM}You are a person who described yourself like this.\n"))
        for index in listed:
            text = self.text(rng, int(index), paraphrased_share)
            sequence.extend(self.ids(text.rstrip(".") + ":"))
            sequence.knows("statement", self._agreeing(int(index)))
            p = people.answer_distribution(means[index], len(words), people.LIST_SPREAD)
            drawn = int(rng.choice(len(words), p=p))
            answers = [self.ids(f" {word}\n") for word in words]
            sequence.supervise(answers, p, drawn)
            sequence.extend(answers[drawn])
            given.append(drawn + 1)
            sequence.knows("line", self._levels([int(index)], given[-1:], at_odds)[0])
        # The list ends with the turn, not with one more line.
        sequence.tokens[-1:] = self.ids(END)
        sequence.targets[-1] = (sequence.targets[-1][0], self.ids(END), [1.0])
        sequence.known["list"] = [
            (at, levels)
            for (at, _), levels in zip(
                sequence.known["line"], self._levels(listed, given, at_odds), strict=True
            )
        ]
        sequence.known["line"].pop()
        sequence.speaker = sequence.known["list"][-1][1]

    def describe_answers(
        self,
        rng: np.random.Generator,
        sequence: TrainingSequence,
        means: Array,
        listed: people.NDArray[np.intp],
        *,
        at_odds: bool = False,
    ) -> None:
        """Write a persona of statements under what was said of them, as the rule-written prompt.

        Neutral answers are left out, of the text and so of what can be known from it; of somebody
        who has no others nothing is known, and they are like people on average.
        """
        said: dict[int, list[str]] = {}
        shown: list[int] = []
        given: list[int] = []
        for index in listed:
            p = people.answer_distribution(means[index], 5, people.LIST_SPREAD)
            option = int(rng.choice(5, p=p))
            text = self.text(rng, int(index), 0.0)
            if option == 2:
                continue
            shown.append(int(index))
            given.append(option + 1)
            said.setdefault(option, []).append(statement(text, "I", "second"))
        paragraphs = [
            f"{SCALES[0][option]} of you: {' '.join(said[option])}"
            for option in (4, 3, 1, 0)
            if option in said
        ]
        lines = ["This is what you are like.", *paragraphs, "Answer as this person."]
        sequence.extend(self.ids(SYSTEM + "\n".join(lines) + END))
        unknown = np.zeros(people.N_LEVELS)
        sequence.speaker = self._levels(shown, given, at_odds)[-1] if shown else unknown
        sequence.knows("list", sequence.speaker)

    def _agreeing(self, index: int) -> Array:
        if index not in self._agreed:
            self._agreed[index] = self._levels([index], [5], False)[0]
        return self._agreed[index]

    def _levels(
        self, items: people.NDArray[np.intp] | list[int], answers: list[int], at_odds: bool
    ) -> Array:
        return people.levels_known_from(self.bank, items, answers, at_odds=at_odds)

    def _question(
        self, template: int, scale: int, reverse: bool, text: str
    ) -> tuple[list[int], tuple[str, ...], int]:
        key = (template, scale, reverse, text)
        if key not in self._questions:
            inventory = scaled_inventory(scale)
            item = inventory.items[0].model_copy(update={"text": text})
            order = list(range(len(inventory.scale)))
            rendered = TEMPLATES[template].render(
                inventory, item, order[::-1] if reverse else order
            )
            chat = USER + rendered.text + END + ASSISTANT
            encoded = self.ids.tokenizer.encode(chat)
            said = statement(text, inventory.stem, TEMPLATES[template].person)
            (at,) = last_tokens(encoded, chat, [said])
            self._questions[key] = (encoded.ids, rendered.labels, at)
        return self._questions[key]
