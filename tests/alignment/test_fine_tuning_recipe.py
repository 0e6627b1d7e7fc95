"""The GRPO recipe rewards literal answers by their distance, and writes an alignment."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allport.alignment import answer_examples, load_alignment
from allport.alignment.answers_to_fit import fitting_answers
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, write_person

RECIPE = Path(__file__).parents[2] / "recipes" / "person" / "grpo.py"
VALUES = [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.fixture(scope="module")
def recipe() -> Any:
    spec = spec_from_file_location("grpo_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


def test_the_reward_is_minus_the_literal_distance(
    recipe: Any, model: TransformersModel, person: Person
) -> None:
    examples = answer_examples(model, fitting_answers(person), ("letters", "words"))
    rows = recipe.rows(examples, VALUES)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    own = [person.literal_answers[example.question.item] for example in examples]
    assert columns["said"] == own

    def rewards(texts: list[str]) -> list[float]:
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        return list(recipe.answer_distance(completions, **columns, trainer_state=None))

    assert rewards([e.question.labels[e.said] for e in examples]) == [0.0] * len(examples)
    for option, value in enumerate(VALUES):
        found = rewards([example.question.labels[option] for example in examples])
        np.testing.assert_allclose(found, [-abs(value - said) for said in own])
    assert rewards(["Well..."] * len(examples)) == [-5.0] * len(examples)


def test_the_recipe_runs(
    recipe: Any,
    model: TransformersModel,
    person: Person,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recipe, "load_model", lambda name: model)
    monkeypatch.chdir(tmp_path)
    file = write_person(person, tmp_path / "ann.json")
    sizes = ("--steps", "2", "--questions", "2", "--generations", "2")
    recipe.main([str(tmp_path / "out"), "--to", str(file), *sizes])
    alignment = load_alignment(tmp_path / "out")
    assert (alignment.name, alignment.method) == ("ann", "grpo")
    assert alignment.fit["steps"] == 2
    assert model.aligned(alignment).steering is not None
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0]["step"] == 1
    assert -5 <= said[0]["reward"] <= 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ann.json", "out"]
