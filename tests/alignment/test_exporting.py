"""Exports: what plain transformers, PEFT and the gguf library make of the files."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allport.alignment import (
    AdapterPart,
    Alignment,
    AlignmentPart,
    control_vector,
    export_alignment,
    model_sites,
    trainable_copy,
)
from allport.alignment.adapters import LowRank
from allport.errors import AlignmentError, UsageError
from allport.models.transformers_model import TransformersModel

# PEFT warns that an adapter with a bias cannot be merged into a module without one.
# It also asks transformers for something by a name that is about to go.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*lora_bias=True.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

IDS = torch.tensor([[7, 30, 41, 9, 200, 33, 12, 5]])


@pytest.fixture
def local(tiny_model: Any, tokenizer: Any) -> Any:
    def make(name: str) -> TransformersModel:
        return TransformersModel(tiny_model(name), tokenizer, name)

    return make


def unshared(model: TransformersModel) -> TransformersModel:
    """The same on weights of its own, for tests that change them."""
    return TransformersModel(copy.deepcopy(model.model), model.tokenizer, model.name)


def steered(model: TransformersModel, alignment: Alignment) -> torch.Tensor:
    """Logits under the alignment's hooks, every token displaced."""
    aligned = model.aligned(alignment.on_tokens("all"))
    assert aligned.steering is not None
    key = aligned.steering.key("")
    with torch.no_grad(), aligned.steering.applied([key], [0]):
        return model.model(input_ids=IDS).logits


def plain(model: Any, **more: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=IDS, **more).logits
    return logits


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("llama", "LlamaForCausalLM"),
        ("qwen2", "LlamaForCausalLM"),
        ("qwen3", "Qwen3ForCausalLM"),
        ("gemma2", "Gemma2ForCausalLM"),
        ("gemma3", "Gemma3ForCausalLM"),
        ("olmo2", "Olmo2ForCausalLM"),
        ("gpt_neox", "GPTNeoXForCausalLM"),
        ("gpt2", "GPT2LMHeadModel"),
    ],
)
def test_plain_transformers_computes_from_a_checkpoint_what_steering_does(
    local: Any, aligned_to: Any, tmp_path: Path, name: str, architecture: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = local(name)
    alignment = aligned_to(model, seed=3).scale(0.7)
    wanted = steered(model, alignment)
    done = export_alignment(model, alignment, tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="float32")
    assert type(loaded).__name__ == architecture
    assert done.holds == f"a checkpoint of {architecture}"
    assert not done.lost
    torch.testing.assert_close(plain(loaded), wanted, rtol=0, atol=1e-5)
    # The displacement is there to be seen, and the model that was exported is as it was.
    assert (plain(model.model) - wanted).abs().max() > 0.05
    assert done.rounding.value < 1e-5 < done.effect.value
    again = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again.chat_template == model.tokenizer.chat_template
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir() if path.suffix != ".json")[
        -1
    ] == (".safetensors")


def test_a_window_that_slides_keeps_a_model_from_being_called_llama(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    for name in ("mistral", "qwen2-sliding", "phi3"):
        model = local(name)
        with pytest.raises(AlignmentError, match=r"takes no bias where .* export an adapter"):
            export_alignment(model, aligned_to(model), tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "gemma2", "phi3", "mistral", "gpt2"])
def test_peft_computes_from_an_adapter_what_steering_does(
    local: Any, aligned_to: Any, tmp_path: Path, name: str
) -> None:
    peft = pytest.importorskip("peft")
    model = local(name)
    ann, bob = aligned_to(model, 1), aligned_to(model, 2, name="bob")
    for alignment in (ann, bob):
        done = export_alignment(model, alignment, tmp_path / alignment.name, "peft")
        assert done.rounding.value < 1e-5 < done.effect.value
    before = plain(model.model)
    own = trainable_copy(model)
    wrapped = peft.PeftModel.from_pretrained(own, tmp_path / "ann", adapter_name="ann")
    wrapped.load_adapter(tmp_path / "bob", adapter_name="bob")
    with torch.no_grad():
        mixed = wrapped(input_ids=IDS.repeat(3, 1), adapter_names=["bob", "__base__", "ann"]).logits
    assert torch.equal(plain(model.model), before)
    for row, wanted in enumerate([steered(model, bob), before, steered(model, ann)]):
        torch.testing.assert_close(mixed[row], wanted[0], rtol=0, atol=1e-5)


def test_fine_tuned_and_displaced_add_up_in_both_formats(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    model = local("llama")
    rng = np.random.default_rng(5)

    def change(rank: int) -> LowRank:
        down = rng.normal(size=(rank, 32)).astype(np.float32) * 0.2
        return LowRank(down, rng.normal(size=(32, rank)).astype(np.float32) * 0.2)

    tuned = AdapterPart({"model.layers.1.self_attn.q_proj": change(3)}, alpha=6, strength=0.5)
    other = AdapterPart({"model.layers.1.self_attn.q_proj": change(2)}, alpha=2)
    alignment = replace(aligned_to(model, 6), adapters=(tuned, other))
    wanted = steered(model, alignment)
    export_alignment(model, alignment, tmp_path / "whole")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype="float32")
    torch.testing.assert_close(plain(loaded), wanted, rtol=0, atol=1e-5)
    export_alignment(model, alignment, tmp_path / "adapter", "peft")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["lora_bias"]) == (5, 5, True)
    wrapped = peft.PeftModel.from_pretrained(trainable_copy(model), tmp_path / "adapter")
    torch.testing.assert_close(plain(wrapped), wanted, rtol=0, atol=1e-5)


def test_the_residual_stream_is_moved_by_a_bias_of_the_mlp(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    model = local("llama")
    alignment = aligned_to(model, 8, site="residual")
    export_alignment(model, alignment, tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="float32")
    torch.testing.assert_close(plain(loaded), steered(model, alignment), rtol=0, atol=1e-5)
    normed = local("gemma2")
    with pytest.raises(AlignmentError, match="export it as a control vector"):
        export_alignment(normed, aligned_to(normed, site="residual"), tmp_path / "no")


def test_value_biases_are_exact_where_heads_of_a_group_move_alike(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    model = local("qwen2")
    apart = aligned_to(model, 4)
    with pytest.raises(AlignmentError, match="the 2 heads that share their values are displaced"):
        export_alignment(model, apart, tmp_path / "apart", "value-bias")
    (part,) = apart.parts
    alike = {
        layer: vector.reshape(2, 2, 8)[:, :1].repeat(2, axis=1).reshape(-1)
        for layer, vector in part.vectors.items()
    }
    alignment = replace(apart, parts=(replace(part, vectors=alike),))
    done = export_alignment(model, alignment, tmp_path / "out", "value-bias")
    assert done.holds == "a checkpoint of Qwen2ForCausalLM"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="float32")
    torch.testing.assert_close(plain(loaded), steered(model, alignment), rtol=0, atol=1e-5)
    llama = local("llama")
    with pytest.raises(AlignmentError, match="no bias in its value projections"):
        export_alignment(llama, aligned_to(llama, size=0.0), tmp_path / "no", "value-bias")


def test_a_control_vector_holds_by_the_rules_of_its_readers(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    gguf = pytest.importorskip("gguf")
    model = local("llama")
    alignment = aligned_to(model, 9).scale(1.5)
    done = export_alignment(model, alignment, tmp_path / "ann.gguf", "gguf")
    reader = gguf.GGUFReader(tmp_path / "ann.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "llama"
    assert fields["controlvector.layer_count"] == 1
    assert fields["controlvector.allport.content_hash"] == alignment.content_hash
    (tensor,) = reader.tensors  # any other tensor would have the file refused
    assert tensor.name == "direction.1"  # 0 would, too
    assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
    assert tensor.data.shape == (32,)
    # W d of both blocks: that of block 0 cannot be where it belongs.
    (part,) = alignment.parts
    both = sum(
        site.module.weight.detach().numpy() @ (1.5 * part.vectors[site.layer])
        for site in model_sites(model.model).projections
    )
    np.testing.assert_allclose(tensor.data, both, atol=1e-5)
    assert any("Block 0" in sentence for sentence in done.lost)
    assert any("MLP" in sentence for sentence in done.lost)
    assert 0 < done.difference.value < 1
    assert list(tmp_path.iterdir()) == [tmp_path / "ann.gguf"]


def test_a_control_vector_of_the_residual_stream_loses_nothing(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    pytest.importorskip("gguf")
    model = local("llama")
    alignment = aligned_to(model, 9, site="residual")
    (part,) = alignment.parts
    later = replace(alignment, parts=(replace(part, vectors={1: part.vectors[1]}),))
    done = export_alignment(model, later, tmp_path, "gguf")
    assert done.path == str(tmp_path / "control_vector.gguf")
    assert not done.lost
    assert done.difference.value == 0
    np.testing.assert_array_equal(control_vector(model, later).parts[0].vectors[1], part.vectors[1])


def test_what_is_lost_is_said_and_measured(local: Any, aligned_to: Any, tmp_path: Path) -> None:
    model = local("llama")
    alignment = replace(aligned_to(model, 2, tokens="answer", size=2.0), prompt="You are Änn.")
    done = export_alignment(model, alignment, tmp_path)
    assert len(done.lost) == 2
    assert "from the answer on" in done.lost[0]
    assert done.rounding.value < 1e-5
    assert done.difference.value > 1e-3
    assert done.difference.low <= done.difference.value <= done.difference.high
    assert (tmp_path / "system_prompt.txt").read_text("utf-8") == "You are Änn.\n"


def test_answers_are_compared_question_by_question(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    model = local("llama")
    # What is written shares prefixes, and so answers in another order.
    model.passes.share("whole")
    done = export_alignment(model, aligned_to(model, 2), tmp_path)
    assert done.rounding.value < 1e-5 < done.effect.value


def test_answers_that_cannot_be_read_are_said_to_be_so(
    local: Any, aligned_to: Any, tmp_path: Path
) -> None:
    pytest.importorskip("gguf")
    model = unshared(local("llama"))
    alignment = aligned_to(model, site="residual")
    # Only one token can be written, and it is no label.
    others = torch.arange(1, model.passes.vocabulary)
    model.model.lm_head.register_forward_hook(
        lambda module, given, logits: logits.index_fill(-1, others, -torch.inf)
    )
    done = export_alignment(model, alignment, tmp_path, "gguf")
    for found in (done.effect, done.rounding, done.difference):
        assert np.isnan(found.value)
        assert "could not be read" in found.reason
    assert done.to_json()["effect"][0] is None


@pytest.mark.parametrize(
    ("name", "format", "projection"),
    [("gpt2", "checkpoint", "attn.c_proj"), ("qwen2", "value-bias", "self_attn.v_proj")],
)
def test_biases_are_added_where_the_weights_lie(
    local: Any,
    aligned_to: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    format: str,
    projection: str,
) -> None:
    from allport.alignment import checkpoint_export

    model = unshared(local(name))
    alignment = aligned_to(model)
    if format == "value-bias":
        (part,) = alignment.parts
        alike = {layer: np.ones_like(vector) for layer, vector in part.vectors.items()}
        alignment = replace(alignment, parts=(replace(part, vectors=alike),))
    # A second device that every machine has; it holds no numbers, so that none are written.
    elsewhere = {
        path: module for path, module in model.model.named_modules() if path.endswith(projection)
    }
    for module in elsewhere.values():
        module.bias = torch.nn.Parameter(module.bias.to("meta"))
    written = {}
    monkeypatch.setattr(
        checkpoint_export, "_save", lambda *given: written.update(given[2]) or "nothing"
    )
    write = {
        "checkpoint": checkpoint_export.write_checkpoint,
        "value-bias": checkpoint_export.write_value_bias_checkpoint,
    }[format]
    write(model, alignment, tmp_path)
    assert len(elsewhere) == 2
    for path, module in elsewhere.items():
        bias = written[f"{path}.bias"]
        assert bias is not module.bias
        assert (bias.device.type, bias.dtype) == ("meta", torch.float32)


def test_what_cannot_be_exported_is_refused(local: Any, aligned_to: Any, tmp_path: Path) -> None:
    model = local("llama")
    with pytest.raises(UsageError, match="'zip' is none of checkpoint"):
        export_alignment(model, aligned_to(model), tmp_path, "zip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is words only"):
        export_alignment(model, Alignment("ann", "prompt", prompt="Hi."), tmp_path)
    with pytest.raises(AlignmentError, match="was made for llama with weights"):
        export_alignment(local("qwen2"), aligned_to(model), tmp_path)
    still = aligned_to(model).scale(0)
    for format in ("peft", "gguf"):
        with pytest.raises(AlignmentError, match="adds nothing"):
            export_alignment(model, still, tmp_path, format)  # type: ignore[arg-type]
    tuned = AdapterPart(
        {"lm_head": LowRank(np.ones((1, 32), np.float32), np.ones((1, 1), np.float32))}, 1
    )
    normed = local("gemma2")
    with pytest.raises(AlignmentError, match="normalises what its attention puts out"):
        export_alignment(normed, aligned_to(normed), tmp_path, "gguf")
    wide = AdapterPart(
        {
            "model.layers.0.self_attn.q_proj": LowRank(
                np.ones((1, 32), np.float32), np.ones((32, 1), np.float32)
            )
        },
        tuned.alpha,
    )
    with pytest.raises(AlignmentError, match="fine-tuned adapter, which no control vector"):
        export_alignment(model, replace(aligned_to(model), adapters=(wide,)), tmp_path, "gguf")
    (tmp_path / "file").write_text("x")
    with pytest.raises(AlignmentError, match="cannot be written"):
        export_alignment(model, aligned_to(model), tmp_path / "file", "peft")


def test_one_vector_at_strength_one_is_the_projection_of_it(local: Any) -> None:
    """The error that is known from published code: the head vector itself taken as the bias."""
    from allport.alignment.alignment import model_identity
    from allport.alignment.module_biases import module_biases

    model = local("qwen3")  # heads * head_dim is 48, the residual stream 32 wide
    vector = np.linspace(-1, 1, 48, dtype=np.float32)
    alignment = Alignment(
        "ann", "pas", model_identity(model), (AlignmentPart("heads", {1: vector}, 2.0, "all"),)
    )
    (path, bias), *others = module_biases(model, alignment).items()
    assert not others
    assert path == "model.layers.1.self_attn.o_proj"
    weight = model.model.get_submodule(path).weight.detach().numpy()
    np.testing.assert_allclose(bias.numpy(), weight @ (2 * vector), atol=1e-5)
