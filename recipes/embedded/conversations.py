"""Talk in training: scenes whose replies follow the speaker, small talk, exercises, choices."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import people
from packing import ASSISTANT, END, USER, Ids, TrainingSequence, last_tokens
from people import TEXTS, Array
from speakers import Speaker, facet_sentence
from tokenizers import Encoding

from allport.administration.templates import load_templates
from allport.evaluation.abilities import Exercise, exercise_kinds, exercises, is_held_out
from allport.inventories import load_inventory
from allport.inventories.inventory import Item

SITUATION_TEMPLATES = tuple(load_templates("situation").values())
SELF_QUESTIONS = (
    "Describe yourself in a few sentences.",
    "What are you like?",
    "Tell me about yourself.",
    "How would you describe yourself?",
    "What kind of person are you?",
)


EXERCISE_SHARES = {
    "sums": 0.22,
    "recall": 0.28,
    "spelling": 0.14,
    "yes-no": 0.14,
    "facts": 0.12,
    "copying": 0.05,
    "sorting": 0.05,
}
"""Of the exercises, how many are of each kind: most of what is learned last."""


_TOLD, _ASKED = re.compile(r"The (\w+) is ([^.]+)\."), re.compile(r"Where is the (\w+)\?")


@dataclass(frozen=True)
class Scene:
    """An everyday event, and the words of it that sentences of a reply are filled with."""

    name: str
    user: tuple[str, ...]
    event: str
    thing: str
    who: str
    act: str

    @property
    def held_out(self) -> bool:
        """Whether training leaves it out."""
        return is_held_out(self.name)

    def sentence(self, rng: np.random.Generator, trait: str, end: str) -> str:
        """A sentence on this scene that shows one end of a trait."""
        template = str(rng.choice(reply_sentences()[trait][end]))
        return template.format(event=self.event, thing=self.thing, who=self.who, act=self.act)

    def reply(self, rng: np.random.Generator, speaker: Speaker) -> str:
        """What a speaker says: two or three sentences, on the traits that stand out in them."""
        levels = np.array([speaker.level(code) for code in people.DOMAINS])
        weights = np.abs(levels) + 0.1
        chosen = rng.choice(
            5, size=int(rng.integers(2, 4)), replace=False, p=weights / weights.sum()
        )
        said = []
        for index in chosen:
            end = "high" if rng.random() < 1 / (1 + np.exp(-4 * levels[index])) else "low"
            said.append(self.sentence(rng, people.DOMAINS[index], end))
        return " ".join(said)


@cache
def scenes() -> tuple[Scene, ...]:
    """Every scene, held out or not."""
    return tuple(
        Scene(**{**scene, "user": tuple(scene["user"])}) for scene in _read("scenes")["scene"]
    )


@cache
def reply_sentences() -> dict[str, dict[str, list[str]]]:
    """Sentences to be filled, by trait code and end, such as N, high."""
    return _read("replies")


@cache
def small_talk() -> list[dict[str, list[str]]]:
    """Exchanges that show no personality: wordings of the user's turn and of the reply."""
    exchanges: list[dict[str, list[str]]] = _read("small_talk")["exchange"]
    return exchanges


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((TEXTS / f"{name}.toml").read_text("utf-8"))


@cache
def _exercises() -> dict[str, tuple[Exercise, ...]]:
    return {k: tuple(e for e in exercises(k) if not e.held_out) for k in exercise_kinds()}


@cache
def situations() -> tuple[Item, ...]:
    """The situational items that are trained on: those of four statements in five."""
    bank = load_inventory("situations-320")
    return tuple(item for item in bank.items if not is_held_out(item.cluster or ""))


class Conversations:
    """Writes talk into training sequences."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids

    @cached_property
    def _scenes(self) -> list[Scene]:
        return [scene for scene in scenes() if not scene.held_out]

    def talk(
        self, rng: np.random.Generator, sequence: TrainingSequence, speaker: Speaker, turns: int
    ) -> None:
        """Some turns about scenes, oneself, this and that, each reply a target."""
        for _ in range(turns):
            kind = rng.random()
            if kind < 0.68:
                scene = self._scenes[int(rng.integers(len(self._scenes)))]
                user, reply = str(rng.choice(scene.user)), scene.reply(rng, speaker)
            elif kind < 0.78:
                user, reply = str(rng.choice(SELF_QUESTIONS)), _self_description(rng, speaker)
            elif kind < 0.9:
                exchange = small_talk()[int(rng.integers(len(small_talk())))]
                user, reply = str(rng.choice(exchange["user"])), str(rng.choice(exchange["reply"]))
            else:
                exercise = _exercise(rng)
                user, reply = exercise.question, exercise.answer
            sequence.extend(self.ids.tokenizer.encode(USER + user + END + ASSISTANT).ids)
            sequence.say(self.ids.tokenizer.encode(reply + END).ids)

    def practise(self, rng: np.random.Generator, sequence: TrainingSequence, count: int) -> None:
        """Exercises as branches, which do not see each other."""
        drawn = [_exercise(rng) for _ in range(count)]
        encode = self.ids.tokenizer.encode
        chats = [USER + e.question + END + ASSISTANT for e in drawn]
        encoded = [encode(chat) for chat in chats]
        sequence.branch_off(
            [e.ids for e in encoded],
            [([encode(e.answer + END).ids], np.ones(1), 0) for e in drawn],
            [
                _recalled(exercise, at, chat) if exercise.kind == "recall" else []
                for exercise, at, chat in zip(drawn, encoded, chats, strict=True)
            ],
        )

    def advise(
        self, rng: np.random.Generator, sequence: TrainingSequence, speaker: Speaker, count: int
    ) -> None:
        """Situations with four options as branches of one template."""
        template = SITUATION_TEMPLATES[int(rng.integers(len(SITUATION_TEMPLATES)))]
        bank = load_inventory("situations-320")
        # Mostly on traits that the persona speaks of, of which most is to be learned.
        pool = [
            i
            for i, item in enumerate(situations())
            if item.trait in speaker.named or rng.random() < 0.3
        ]
        questions, answers, known = [], [], []
        for index in rng.permutation(pool)[:count]:
            item = situations()[index]
            form = "paraphrase" if rng.random() < 0.3 else "original"
            shown = [int(i) for i in rng.permutation(4)]
            rendered = template.render(bank, item, shown, form)
            p = _choice(item, speaker)
            chat = USER + rendered.text + END + ASSISTANT
            encoded = self.ids.tokenizer.encode(chat)
            questions.append(encoded.ids)
            takers = [
                people.levels_of_takers(item.trait, 1 if option.value else -1)
                for option in item.options
            ]
            ends = last_tokens(encoded, chat, rendered.options)
            places = np.eye(len(shown))[np.argsort(shown)]
            taken = np.log(p * len(p)).clip(-3, 3)[:, None]
            known.append(
                [
                    (kind, at, figures)
                    for kind, of_options in (
                        ("option", takers),
                        ("taken", taken),
                        ("place", places),
                    )
                    for at, figures in zip(ends, of_options, strict=True)
                ]
            )
            options = [self.ids(label + END) for label in rendered.labels]
            answers.append((options, p, int(rng.choice(4, p=p))))
        sequence.branch_off(questions, answers, known)


def _exercise(rng: np.random.Generator) -> Exercise:
    kinds = _exercises()
    kind = kinds[str(rng.choice(list(EXERCISE_SHARES), p=list(EXERCISE_SHARES.values())))]
    return kind[int(rng.integers(len(kind)))]


@cache
def _things_and_places() -> tuple[list[str], list[str]]:
    """Every thing and every place that exercises of recall are about."""
    told = [pair for e in exercises("recall") for pair in _TOLD.findall(e.question)]
    return sorted({thing for thing, _ in told}), sorted({place for _, place in told})


def _recalled(exercise: Exercise, encoded: Encoding, chat: str) -> list[tuple[str, int, Array]]:
    """What is to be read from an exercise of recall: see `TrainingSequence.known`.

    Left to itself the model answers with any of the places, and never finds out which.
    """
    things, places = _things_and_places()
    told = _TOLD.findall(exercise.question)
    (asked,) = _ASKED.findall(exercise.question)
    *ends, at_asked = last_tokens(
        encoded, chat, [*(f"The {t} is {p}" for t, p in told), f"Where is the {asked}"]
    )
    at_thing = [("thing", at, _one_of(things, t)) for at, (t, _) in zip(ends, told, strict=True)]
    return [*at_thing, ("whereabouts", at_asked, _one_of(places, dict(told)[asked]))]


def _one_of(all_: list[str], one: str) -> Array:
    """One figure of many, of unit mean square, like levels."""
    return np.sqrt(len(all_)) * np.eye(len(all_))[all_.index(one)]


def _self_description(rng: np.random.Generator, speaker: Speaker) -> str:
    facets = speaker.facets
    if facets is None:
        facets = np.repeat(speaker.domains, 6)
    weights = np.abs(facets) + 0.05
    chosen = rng.choice(30, size=int(rng.integers(2, 5)), replace=False, p=weights / weights.sum())
    return " ".join(f"I {facet_sentence(rng, facets, int(f))}." for f in chosen)


def _choice(item: Item, speaker: Speaker) -> Array:
    """Probabilities of an item's options: a logistic curve over the level of its trait."""
    # Each situation has a slope and a bias of its own, and its own favourites on either side.
    rng = np.random.default_rng([11, item.number])
    slope, bias = rng.uniform(1.2, 2.4), rng.normal(0, 0.5)
    high = 1 / (1 + np.exp(-(slope * speaker.level(item.trait) + bias)))
    p = np.zeros(len(item.options))
    for value, total in ((0, 1 - high), (1, high)):
        at = [i for i, option in enumerate(item.options) if option.value == value]
        p[at] = total * rng.dirichlet(np.full(len(at), 12.0))
    return p
