"""Adapters are on the device while rows with them are run, and what waits holds none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from allport.alignment import Alignment, PeopleAlignments, adapted_steering
from allport.alignment.adapted_steering import AdaptedSteering
from allport.alignment.adapters import AdapterPart, LowRank
from allport.alignment.alignment import model_identity
from allport.models.respondent import Condition, Question
from allport.models.transformers_model import TransformersModel

MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj")


@pytest.fixture(scope="module")
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


@pytest.fixture(scope="module")
def people(model: TransformersModel) -> dict[str, Alignment]:
    """Three people, each with an adapter, and "ann too", who is aligned to as ann is."""
    found = {}
    for seed, name in enumerate(("ann", "bob", "cid")):
        rng = np.random.default_rng(seed)
        weights = {}
        for path in MODULES:
            out, size = model.model.get_submodule(path).weight.shape
            down, up = rng.normal(size=(2, size)), rng.normal(size=(out, 2))
            weights[path] = LowRank(down.astype(np.float32), up.astype(np.float32))
        part = AdapterPart(weights, alpha=1.0)
        found[name] = Alignment(name, "sft", model_identity(model), adapters=(part,))
    return {**found, "ann too": found["ann"]}


def asked(model: TransformersModel, questions: list[Question]) -> dict[tuple[int, Condition], Any]:
    return {(r.item, r.condition): r.probabilities for r in model.answer(questions)}


@pytest.mark.parametrize("kept", [1, 64])
def test_no_more_adapters_are_kept_than_may_be(
    kept: int,
    model: TransformersModel,
    people: dict[str, Alignment],
    ask: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapted_steering, "_KEPT", kept)
    plain = ask(items=3, personas=("",))
    questions = [
        replace(q, condition=replace(q.condition, persona=name))
        for q in plain
        for name in (*people, "")
    ]
    together = model.aligned(PeopleAlignments(people))
    steering = together.steering
    assert isinstance(steering, AdaptedSteering)
    waiting = together.answer(questions)
    assert not steering._kept
    found = {(r.item, r.condition): r.probabilities for r in waiting}
    assert len(steering._kept) == min(kept, 3)
    for name in (*people, ""):
        own = [q for q in questions if q.condition.persona == name]
        alone = asked(model.aligned(people[name]) if name else model, own)
        for key, probabilities in alone.items():
            np.testing.assert_allclose(found[key], probabilities, atol=1e-5)
        if name:
            unlike = np.array(list(asked(model, own).values())) - list(alone.values())
            assert np.abs(unlike).max() > 1e-3


def test_rows_of_one_alignment_have_one_key(
    model: TransformersModel, people: dict[str, Alignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapted_steering, "_KEPT", 1)
    steering = model.aligned(PeopleAlignments(people)).steering
    assert steering is not None
    keys = {name: steering.key(name) for name in people}
    assert keys["ann"] == keys["ann too"] == steering.key("ann")
    assert len(set(keys.values())) == 3
    assert steering.key("") is None
