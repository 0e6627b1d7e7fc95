"""Alignments as values and folders: written, read, added up, scaled, and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allport.alignment import (
    Alignment,
    AlignmentPart,
    compose,
    load_alignment,
    model_sites,
    random_direction,
    save_alignment,
    sign_flipped,
)
from allport.errors import AlignmentError
from allport.models.transformers_model import TransformersModel


@pytest.fixture
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


def added(alignment: Alignment, model: TransformersModel) -> dict[Any, Any]:
    row = alignment.row(model_sites(model.model))
    return {} if row is None else {p: v.numpy() for p, v in row.vectors.items()}


def test_a_folder_gives_back_what_was_written(
    model: TransformersModel, aligned_to: Any, tmp_path: Path
) -> None:
    whole = compose(
        aligned_to(model, 1).scale(0.5),
        aligned_to(model, 2, "answer", "residual"),
        Alignment("ann", "prompt", prompt="You are Änn.", fit={"prompt": "few-shot"}),
    )
    folder = save_alignment(whole, tmp_path / "a" / "ann")
    found = load_alignment(folder)
    assert found.inspect() == whole.inspect()
    assert found.content_hash == whole.content_hash
    assert added(found, model).keys() == added(whole, model).keys()
    for place, vector in added(whole, model).items():
        np.testing.assert_array_equal(added(found, model)[place], vector)
    assert sorted(path.name for path in folder.iterdir()) == [
        "alignment.json",
        "vectors.safetensors",
    ]
    record = json.loads((folder / "alignment.json").read_text("utf-8"))
    assert record["parts"][0] == {
        "site": "heads",
        "strength": 0.5,
        "tokens": "all",
        "layers": [0, 1],
    }
    assert record["model"]["weights_sha256"] == model.describe()["weights_sha256"]
    assert "counted from 0" in record["conventions"]["layers"]


def test_words_alone_need_no_vectors(tmp_path: Path) -> None:
    folder = save_alignment(Alignment("ann", "prompt", prompt="You are shy."), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["alignment.json"]
    assert load_alignment(folder).prompt == "You are shy."


def test_parts_of_no_layer_need_no_vectors(
    model: TransformersModel, aligned_to: Any, tmp_path: Path
) -> None:
    alignment = aligned_to(model)
    empty = AlignmentPart("residual", {})
    for name, parts in (("none", (empty,)), ("some", (empty, *alignment.parts))):
        written = replace(alignment, parts=parts)
        found = load_alignment(save_alignment(written, tmp_path / name))
        assert found.content_hash == written.content_hash
        assert added(found, model).keys() == added(written, model).keys()


def test_a_changed_folder_is_refused(
    model: TransformersModel, aligned_to: Any, tmp_path: Path
) -> None:
    folder = save_alignment(aligned_to(model), tmp_path)
    record = (folder / "alignment.json").read_text("utf-8")
    vectors = (folder / "vectors.safetensors").read_bytes()
    for name, content, why in (
        ("alignment.json", record.replace('"strength": 1.0', '"strength": 9.0'), "not what was"),
        ("alignment.json", record.replace("allport-alignment-1", "other"), "its format is"),
        ("alignment.json", record.replace('"layers"', '"rows"'), "'layers'"),
        ("alignment.json", "{", "Expecting"),
        ("alignment.json", "[]", "indices"),
        ("vectors.safetensors", vectors[:-4] + b"\0\0\0\0", "not what was"),
        ("vectors.safetensors", vectors[:-4] + np.float32(np.nan).tobytes(), "finite numbers"),
        ("vectors.safetensors", vectors[:50], "holds no alignment"),
    ):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(AlignmentError, match=why) as caught:
            load_alignment(folder)
        assert str(caught.value).startswith((f"{folder} holds no alignment", "The vector of"))
        assert "\n" not in str(caught.value)
        (folder / name).write_bytes(before)
    load_alignment(folder)
    with pytest.raises(
        AlignmentError, match=r"^There is no folder .*nowhere; `allport align` writ"
    ):
        load_alignment(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AlignmentError, match=r"empty has no alignment\.json; `allport align` writ"):
        load_alignment(tmp_path / "empty")
    (folder / "vectors.safetensors").unlink()
    with pytest.raises(AlignmentError, match="holds no alignment: ") as caught:
        load_alignment(folder)
    assert "Errno" not in str(caught.value)


def test_another_model_is_refused(
    model: TransformersModel, aligned_to: Any, tiny_model: Any, tokenizer: Any
) -> None:
    alignment = aligned_to(model)
    other = TransformersModel(tiny_model("qwen3"), tokenizer, "other")
    with pytest.raises(AlignmentError, match=r"made for tiny with weights .* fit it on this model"):
        other.aligned(alignment)


def test_another_shape_is_refused(model: TransformersModel, aligned_to: Any) -> None:
    alignment = aligned_to(model)
    short = AlignmentPart("heads", {0: np.ones(31, np.float32)})
    with pytest.raises(AlignmentError, match="adds 31 numbers in layer 0; tiny takes 32 in layers"):
        model.aligned(replace(alignment, parts=(short,)))
    deep = AlignmentPart("heads", {2: np.ones(32, np.float32)})
    with pytest.raises(AlignmentError, match="adds 32 numbers in layer 2"):
        model.aligned(replace(alignment, parts=(deep,)))


def test_composing_adds_up(model: TransformersModel, aligned_to: Any) -> None:
    one, other = aligned_to(model, 1), aligned_to(model, 2, name="bob")
    both = added(compose(one, other.scale(2)), model)
    for place, vector in added(one, model).items():
        np.testing.assert_allclose(both[place], vector + 2 * added(other, model)[place], rtol=1e-6)
    assert compose(one, other).name == "ann + bob"
    assert compose(one, one).method == "pas"
    assert added(compose(one, one.scale(-1)), model) == {}
    elsewhere = replace(other, model={**other.model, "weights_sha256": "0"})
    with pytest.raises(AlignmentError, match="made for different models"):
        compose(one, elsewhere)
    with pytest.raises(AlignmentError, match="nothing to compose"):
        compose()


def test_prompts_are_said_one_after_the_other() -> None:
    one, other = (Alignment("ann", "prompt", prompt=text) for text in ("You are shy.", "You run."))
    assert compose(one, Alignment("ann", "prompt"), other).prompt == "You are shy.\n\nYou run."


def test_scaling(model: TransformersModel, aligned_to: Any) -> None:
    alignment = aligned_to(model)
    for place, vector in added(alignment.scale(-0.5), model).items():
        np.testing.assert_allclose(vector, -0.5 * added(alignment, model)[place])
    assert alignment.scale(3).strength == 3
    assert alignment.scale(0).row(model_sites(model.model)) is None
    with pytest.raises(AlignmentError, match="strength of inf"):
        alignment.scale(float("inf"))


def test_hashes_tell_alignments_apart(model: TransformersModel, aligned_to: Any) -> None:
    one = aligned_to(model, 1)
    different = [one, one.scale(2), one.on_tokens("answer"), aligned_to(model, 2)]
    different += [replace(one, name="bob"), replace(one, prompt="You are shy.")]
    assert len({alignment.content_hash for alignment in different}) == len(different)
    assert one.content_hash == aligned_to(model, 1).content_hash == one.scale(1).content_hash


def test_controls_add_as_much(model: TransformersModel, aligned_to: Any) -> None:
    own = aligned_to(model)
    drawn, flipped = random_direction(own, seed=3), sign_flipped(own)
    assert flipped.parts[0].norms == own.parts[0].norms
    for layer, vector in own.parts[0].vectors.items():
        by_head = vector.reshape(4, 8)
        random = drawn.parts[0].vectors[layer].reshape(4, 8)
        np.testing.assert_allclose(
            np.linalg.norm(random, axis=1), np.linalg.norm(by_head, axis=1), rtol=1e-5
        )
        assert abs(np.sum(random * by_head)) < 0.9 * np.sum(by_head**2)
    assert random_direction(own, seed=3).content_hash == drawn.content_hash
    assert random_direction(own, seed=4).content_hash != drawn.content_hash
    empty = AlignmentPart("heads", {0: np.zeros(32, np.float32)})
    nothing = random_direction(replace(own, parts=(empty,)))
    assert not nothing.parts[0].vectors[0].any()


def test_unknown_sites_are_refused() -> None:
    with pytest.raises(AlignmentError, match="'soul' is none of heads, residual"):
        AlignmentPart("soul", {})  # type: ignore[arg-type]
    with pytest.raises(AlignmentError, match="'some' is none of all, answer"):
        AlignmentPart("heads", {}, tokens="some")  # type: ignore[arg-type]


def test_vectors_are_kept_where_their_module_is(model: TransformersModel, aligned_to: Any) -> None:
    meta = TransformersModel(model.model, model.tokenizer)
    sites = model_sites(meta.model)
    row = aligned_to(model).row(sites)
    assert row is not None
    assert {vector.device for vector in row.vectors.values()} == {torch.device("cpu")}
    assert {vector.dtype for vector in row.vectors.values()} == {torch.float32}
