"""What the embedded model writes: replies to scenes, and small tasks.

Whether a reply tells high from low says nothing about whether it speaks of the scene; that is
asked beside it. A reply names its scene where it has a word of the scene's event, thing, person or
act that stands in no sentence to be filled; by chance it does so for another scene as well.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.evaluation import Exercise, ability_scores
from allport.models import TransformersModel
from allport.models.respondent import Message
from allport.personas import BIG_FIVE, TraitLevels
from allport.psychometrics import bootstrap
from benchmarks.results import Row, share_row

if TYPE_CHECKING:
    from conversations import Scene

DOMAINS = tuple(BIG_FIVE)
BEYOND = 40
"""Exercises of each kind beyond those of the kind."""
WORDS = (
    "milk", "bridge", "water", "house", "school", "money", "street", "kitchen", "mother",
    "doctor", "animal", "bottle", "flower", "mountain", "island", "family", "friend",
    "morning", "coffee", "hammer", "pencil", "ladder", "blanket", "pillow", "ticket",
    "forest", "ocean", "planet", "rabbit", "monkey", "chicken", "potato", "carrot", "sugar",
    "cheese", "jacket", "button", "mirror", "candle", "carpet",
)  # fmt: skip
"""Everyday words that no exercise of copying or spelling has."""


class Reply(NamedTuple):
    """What was written about a scene by a persona at one end of a trait."""

    scene: Scene
    trait: str
    high: bool
    text: str


def reply_rows(model: TransformersModel) -> list[Row]:
    """What replies tell of the trait that was asked for, and of the scene."""
    import conversations

    groups = {
        name: written(model, [s for s in conversations.scenes() if s.held_out is held_out])
        for name, held_out in (("held-out", True), ("trained", False))
    }
    return told_rows(groups["held-out"]) + [
        row for name, replies in groups.items() for row in scene_rows(name, replies)
    ]


def written(model: TransformersModel, scenes: Sequence[Scene]) -> list[Reply]:
    """Replies to each wording of each scene, by a persona at each end of each trait."""
    asked = [
        (scene, trait, level, user)
        for trait, scene, level in itertools.product(DOMAINS, scenes, (1.0, -1.0))
        for user in scene.user
    ]
    chats = [
        (Message("system", TraitLevels({trait: level}).system_prompt()), Message("user", user))
        for _, trait, level, user in asked
    ]
    said = model.generate(chats, max_new_tokens=60, seeds=range(len(chats)))
    return [
        Reply(scene, trait, level > 0, reply.text)
        for (scene, trait, level, _), reply in zip(asked, said, strict=True)
    ]


def told_rows(replies: Sequence[Reply]) -> list[Row]:
    """A judge that learned from other scenes tells high from low replies.

    Beside it the same judge on replies of personas at the ends of another trait, where it should
    tell as much as a coin, or as much as the traits go together.
    """
    judges = _judges()
    found, controls = [], []
    for place, code in enumerate(DOMAINS):
        texts = [reply.text for reply in replies if reply.trait == code]
        high = np.array([reply.high for reply in replies if reply.trait == code])
        other = DOMAINS[(place + 1) % len(DOMAINS)]
        found.append(
            share_row(f"strength.replies.{code}",
                       "replies to held-out scenes told high from low, by a judge that learned "
                       f"from other scenes with sentences of the same stock, {BIG_FIVE[code]}",
                       judges[code](texts) == high, 0.75)
        )  # fmt: skip
        controls.append(
            share_row(f"strength.replies_control.{code}",
                       f"the same with a judge of {BIG_FIVE[other]} on the replies asked for "
                       f"{BIG_FIVE[code]}, a control",
                       judges[other](texts) == high, 0.65, "lower")
        )  # fmt: skip
    return found + controls


def _judges() -> Mapping[str, Callable[[Sequence[str]], NDArray[np.bool_]]]:
    """By trait, what tells whether sentences are of its high end, learned from trained scenes."""
    import conversations
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(5)
    learn = [s for s in conversations.scenes() if not s.held_out]
    judges = {}
    for code in DOMAINS:
        texts, labels = [], []
        for scene, end in itertools.product(learn, ("high", "low")):
            texts += [scene.sentence(rng, code, end) for _ in range(12)]
            labels += 12 * [end == "high"]
        judge = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)
        )
        judges[code] = judge.fit(texts, labels).predict
    return judges


def scene_rows(group: str, replies: Sequence[Reply]) -> list[Row]:
    """Shares of replies that name their scene, that name another one, and that repeat a sentence.

    Scenes are resampled, with all their replies. Naming the scene is held to what telling high from
    low is held to, and no reply of the recipe has a sentence twice.

    Args:
        group: What the scenes are, "held-out" or "trained".
        replies: To at least two scenes.
    """
    by_scene: dict[str, list[Reply]] = {}
    for reply in replies:
        by_scene.setdefault(reply.scene.name, []).append(reply)
    own = {name: scene_words(of[0].scene) for name, of in by_scene.items()}

    def naming(scene: str, words_of: str) -> float:
        return float(np.mean([bool(words(r.text) & own[words_of]) for r in by_scene[scene]]))

    named = [naming(scene, scene) for scene in own]
    others = [np.mean([naming(scene, o) for o in own if o != scene]) for scene in own]
    repeated = [np.mean([says_twice(r.text) for r in of]) for of in by_scene.values()]
    id, of = group.replace("-", "_"), f"replies to {len(own)} {group} scenes"
    rows: list[tuple[str, str, Any, float, Literal["higher", "lower"]]] = [
        ("names", f"{of} that name something of their scene", named, 0.75, "higher"),
        ("names_control", f"{of} that name something of another such scene, a control, no target",
         others, 0.0, "higher"),
        ("repeats", f"{of} in which a sentence stands twice", repeated, 0.0, "lower"),
    ]  # fmt: skip
    return [
        Row(f"strength.replies_{id}.{name}", metric,
            *bootstrap(np.mean, shares, resamples=1000, method="percentile")[:3], "",
            target, better)
        for name, metric, shares, target, better in rows
    ]  # fmt: skip


def scene_words(scene: Scene) -> set[str]:
    """The words of a scene's event, thing, person and act that no sentence to be filled has."""
    import conversations

    sentences = [
        sentence
        for ends in conversations.reply_sentences().values()
        for end in ends.values()
        for sentence in end
    ]
    return words(f"{scene.event} {scene.thing} {scene.who} {scene.act}") - words(
        " ".join(sentences)
    )


def words(text: str) -> set[str]:
    """The words of a text in small letters."""
    return set(re.findall(r"[a-z]+", text.lower()))


def says_twice(text: str) -> bool:
    """Whether a sentence stands in a text more than once."""
    sentences = [s.strip().lower() for s in re.split(r"[.?!]", text) if s.strip()]
    return len(set(sentences)) < len(sentences)


def task_rows(model: TransformersModel) -> list[Row]:
    """Exercises held out of training, and others like them that are outside their small sets."""
    rows = [
        Row(f"strength.ability.{kind}", f"held-out exercises done rightly, {kind}",
            *score[:3], "", 0.80, "higher")
        for kind, score in ability_scores(model, n_per_kind=60).items()
    ]  # fmt: skip
    for what, asked in beyond_exercises().items():
        rows.append(
            share_row(
                f"strength.beyond.{asked[0].kind}",
                f"beyond its exercises done rightly, {what}",
                done(model, asked),
                0.80,
            )
        )
    return rows


def beyond_exercises() -> dict[str, list[Exercise]]:
    """Exercises that are asked as those of a kind are, of words and numbers that none of them has.

    By what they ask, always the same ones.
    """
    rng = random.Random(17)
    pairs = [" ".join(pair) for pair in rng.sample([*itertools.permutations(WORDS, 2)], BEYOND)]
    spelled = rng.sample(WORDS, BEYOND)
    numbers = [rng.sample(range(10, 100), rng.randint(3, 4)) for _ in range(BEYOND)]
    return {
        "copying two other everyday words": [
            Exercise("copying", f"Copy these words: {pair}", pair) for pair in pairs
        ],
        "spelling real words": [
            Exercise("spelling", f"Spell the word {word}.", "-".join(word)) for word in spelled
        ],
        "sorting two-digit numbers": [
            Exercise(
                "sorting",
                f"Put these numbers in order: {' '.join(map(str, some))}",
                " ".join(map(str, sorted(some))),
            )
            for some in numbers
        ],
    }


def done(model: TransformersModel, asked: Sequence[Exercise]) -> NDArray[np.bool_]:
    """Whether each exercise is answered rightly, as `ability_scores` takes it."""
    said = model.generate([(Message("user", exercise.question),) for exercise in asked])
    return np.array([e.answered_by(s.text) for e, s in zip(asked, said, strict=True)])
