"""What the embedded model reads in other wordings of items, beside a bag of words.

A wording is read rightly where the personas that move its answer most are those of its own trait,
in its own direction: each trait asked at its highest and its lowest, ten personas, chance a tenth.
Beside it, a logistic regression on words and pairs of words that learned trait and end from the
same texts as the model, all of them or a random half: how far the words alone go, and what more of
them would bring. A pre-trained sentence encoder, in the folder named by the environment variable
ALLPORT_SENTENCE_ENCODER, gives each wording the trait and end whose learned texts it finds most
alike; without that folder its rows are left out. Intervals are Wilson's, 95 %, over wordings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allport.evaluation import is_held_out
from allport.inventories import load_inventory
from allport.inventories.inventory import Item
from allport.models import TransformersModel, load_model
from allport.personas import BIG_FIVE, TraitLevels
from benchmarks.embedded import keyed_answers
from benchmarks.results import Row, share_row

DOMAINS = tuple(BIG_FIVE)
CHANCE = 1 / (2 * len(DOMAINS))
SEEN = 200
"""How many originals and how many trained wordings are asked."""
SEED = 3
CLOSENESS = 0.05
"""What one unit of e in the weight of a learned text takes in cosine similarity."""


def rows(model: TransformersModel | None = None, seen: int = SEEN) -> list[Row]:
    """Shares of wordings read rightly, by whether they were trained on, by model and by words."""
    if model is None:
        loaded = load_model("embedded")
        assert isinstance(loaded, TransformersModel)
        model = loaded
    texts, unseen = trained_wordings(), new_wordings()
    rng = np.random.default_rng(SEED)
    asked = {
        **{kind: _some(rng, found, seen) for kind, found in texts.items()},
        **unseen,
    }
    learned = [pair for found in texts.values() for pair in found.items()]
    half = [learned[n] for n in rng.permutation(len(learned))[: len(learned) // 2]]
    found = [
        _row(f"model.{kind}", f"{kind} read rightly by the model", read_by_model(model, wordings))
        for kind, wordings in asked.items()
    ]
    for name, known in (("half", half), ("all", learned)):
        read = read_by_words(dict(known), unseen)
        found += [
            _row(
                f"words.{name}.{kind}",
                f"{kind} read rightly by a bag of words that learned {len(known):,} texts",
                right,
            )
            for kind, right in read.items()
        ]
    return found + _encoder_rows(dict(learned), unseen)


def _encoder_rows(
    learned: Mapping[str, Item], asked: Mapping[str, Mapping[str, Item]]
) -> list[Row]:
    folder = os.environ.get("ALLPORT_SENTENCE_ENCODER")
    if not folder:
        print("left out: a sentence encoder (ALLPORT_SENTENCE_ENCODER names no folder)")
        return []
    return [
        _row(
            f"encoder.{kind}",
            f"{kind} read rightly by a pre-trained sentence encoder "
            f"that knows the places of {len(learned):,} texts",
            right,
        )
        for kind, right in read_by_encoder(Path(folder), learned, asked).items()
    ]


def trained_wordings() -> dict[str, dict[str, Item]]:
    """What the model learned from: by kind, items by wording."""
    import people
    import questionnaires

    bank = people.item_bank()
    shipped = {i.text or "": i for i in bank.items[: bank.shipped]}
    written = {i.text or "": i for i in bank.items[bank.shipped :]}
    other = {
        form: shipped[text]
        for text, forms in questionnaires.paraphrases().items()
        if text in shipped
        for form in forms
    }
    return {"items": shipped, "trained wordings": other, "trained statements": written}


def new_wordings() -> dict[str, dict[str, Item]]:
    """What it did not learn from: by kind, items by wording."""
    import people
    import questionnaires

    bank = people.item_bank()
    shipped = {i.text: i for i in bank.items[: bank.shipped]}
    unseen = {form: shipped[text] for text, form in questionnaires.unseen_wordings().items()}
    held_out = {
        form: shipped[text]
        for text, forms in questionnaires.every_paraphrase().items()
        if is_held_out(text) and text in shipped
        for form in forms
    }
    return {"unseen wordings beside trained ones": unseen, "held-out paraphrases": held_out}


def read_by_model(model: TransformersModel, wordings: Mapping[str, Item]) -> NDArray[np.bool_]:
    """Whether each wording is moved most by personas of its own trait, in its own direction."""
    items = tuple(
        Item(number=n, text=text, trait=item.trait, key=item.key)
        for n, (text, item) in enumerate(wordings.items(), start=1)
    )
    inventory = load_inventory("ipip-neo-300").model_copy(update={"items": items, "norms": None})
    personas = [TraitLevels({c: level}, name=f"{c}{level:+}") for c in DOMAINS for level in (1, -1)]
    answers = keyed_answers(model, inventory, personas).T
    moved = answers[:, 0::2] - answers[:, 1::2]  # wordings x traits, high less low
    own = np.array([DOMAINS.index(item.trait) for item in items])
    most = np.abs(moved).argmax(axis=1)
    return (most == own) & (moved[np.arange(len(own)), own] > 0)


def read_by_words(
    learned: Mapping[str, Item], asked: Mapping[str, Mapping[str, Item]]
) -> dict[str, NDArray[np.bool_]]:
    """Whether a logistic regression on words and pairs of words tells trait and end, by kind."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    reader = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=5.0, max_iter=1000),
    )
    reader.fit(list(learned), [_place(item) for item in learned.values()])
    return {
        kind: reader.predict(list(wordings)) == np.array([_place(i) for i in wordings.values()])
        for kind, wordings in asked.items()
    }


def read_by_encoder(
    folder: Path, learned: Mapping[str, Item], asked: Mapping[str, Mapping[str, Item]]
) -> dict[str, NDArray[np.bool_]]:
    """Whether the learned texts most like a wording are of its trait and end, by kind.

    Each learned text weighs e to the power of its cosine similarity over `CLOSENESS`. Texts stand
    for the mean of the states of their tokens after the last layer.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = AutoModel.from_pretrained(folder, use_safetensors=True, dtype="float32").eval()

    @torch.inference_mode()
    def encoded(texts: list[str]) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(texts), 128):
            batch = tokenizer(texts[start : start + 128], padding=True, return_tensors="pt")
            here = batch["attention_mask"][..., None]
            mean = (encoder(**batch).last_hidden_state * here).sum(1) / here.sum(1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(found)

    known = encoded(list(learned))
    places = np.array([_place(item) for item in learned.values()])
    each = sorted(set(places))
    of_place = np.array([places == place for place in each], dtype=np.float32).T
    found = {}
    for kind, wordings in asked.items():
        weights = np.exp((encoded(list(wordings)) @ known.T - 1) / CLOSENESS)
        told = np.array(each)[(weights @ of_place).argmax(axis=1)]
        found[kind] = told == np.array([_place(item) for item in wordings.values()])
    return found


def _place(item: Item) -> str:
    return f"{item.trait}{item.key:+}"


def _some(rng: np.random.Generator, wordings: Mapping[str, Item], count: int) -> dict[str, Item]:
    texts = list(wordings)
    return {texts[n]: wordings[texts[n]] for n in sorted(rng.permutation(len(texts))[:count])}


def _row(id: str, metric: str, right: NDArray[np.bool_]) -> Row:
    said = f"{metric}, {right.size} of them"
    return share_row(f"wordings.{id.replace(' ', '_')}", said, right, CHANCE)
