"""An alignment built into the weights of a standard checkpoint.

What displaces heads becomes the bias of their output projection, low-rank adapters are added to the
weights. The checkpoint is of a class that transformers, vLLM and llama.cpp know: the model's own
with `attention_bias` on, or, for Qwen2 and Mistral, whose own classes take no such bias, Llama's,
which computes the same where no window slides.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from allport.alignment.module_biases import module_biases
from allport.errors import AlignmentError
from allport.models.loading import quietly

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel

__all__ = ["write_checkpoint", "write_value_bias_checkpoint"]

_SAME_AS_LLAMA = ("qwen2", "mistral")
"""Model types that compute what Llama computes, given its biases."""


def write_checkpoint(model: TransformersModel, alignment: Alignment, folder: Path) -> str:
    """Write a checkpoint that answers as the model does with this alignment on all tokens.

    Args:
        model: Not aligned, its weights in a floating-point type.
        alignment: Any; its system text is not part of a checkpoint.
        folder: Weights, configuration, tokenizer and chat template go here.

    Returns:
        Architecture of the checkpoint.

    Raises:
        AlignmentError: The alignment is for another model, or the architecture takes no such bias.
    """
    biases = module_biases(model, alignment)
    state = _adapted_weights(model, alignment)
    attention = {p for p in biases if ".mlp." not in p}
    switches = {
        **({"attention_bias": True} if attention else {}),
        **({"mlp_bias": True} if attention != set(biases) else {}),
    }
    empty = _empty_with_biases(model.model, biases, switches)
    missing = set(empty.state_dict()) - set(state)
    unknown = set(state) - set(empty.state_dict())
    if unknown or any(not name.endswith(".bias") for name in missing):
        raise _no_bias(model)
    for name in missing:
        # A module that has to have a bias for another's sake gets one of zeros.
        state[name] = torch.zeros(empty.state_dict()[name].shape, dtype=model.model.dtype)
    for path, bias in biases.items():
        state[f"{path}.bias"] = _plus(state[f"{path}.bias"], bias)
    return _save(model, empty, state, folder)


def write_value_bias_checkpoint(
    model: TransformersModel, alignment: Alignment, folder: Path
) -> str:
    """Write a checkpoint whose value projections carry the displacement of heads in their bias.

    Attention weights sum to one, so that a constant added to a head's values is added to its
    output. Qwen2 has this bias by itself, so that whatever runs Qwen2 runs the result. With grouped
    queries the heads of a group share their values, and must share their displacement.

    Returns:
        Architecture of the checkpoint.

    Raises:
        AlignmentError: The alignment is for another model, displaces something other than heads,
            or not all heads of a group alike; or the architecture has no such bias.
    """
    from allport.alignment.projections import model_sites

    sites = model_sites(model.model)
    alignment.check(model, sites)
    state = _adapted_weights(model, alignment)
    config = model.model.config.get_text_config(decoder=True)
    key_value_heads = getattr(config, "num_key_value_heads", None) or sites.heads
    for part in alignment.parts:
        if part.site != "heads":
            raise AlignmentError(
                "A bias of value projections stands for displaced heads only; this alignment adds "
                "to the residual stream, so export it as a control vector (gguf)."
            )
        for layer, vector in part.vectors.items():
            added = torch.from_numpy(vector).double() * part.strength
            groups = added.reshape(key_value_heads, -1, sites.head_dim)
            if not torch.allclose(groups, groups[:, :1].expand_as(groups), atol=1e-7):
                raise AlignmentError(
                    f"In layer {layer} the {groups.shape[1]} heads that share their values are "
                    "displaced differently, which no bias of values can do; export a checkpoint or "
                    "an adapter (peft)."
                )
            path = sites.projections[sites.layers.index(layer)].name.rpartition(".")[0]
            name = f"{path}.v_proj.bias"
            if name not in state:
                raise AlignmentError(
                    f"{type(model.model).__name__} has no bias in its value projections; export a "
                    "checkpoint or an adapter (peft)."
                )
            state[name] = _plus(state[name], groups[:, 0].flatten())
    with torch.device("meta"):
        empty = type(model.model)(copy.deepcopy(model.model.config))
    return _save(model, empty, state, folder)


def _adapted_weights(model: TransformersModel, alignment: Alignment) -> dict[str, Tensor]:
    """The model's weights by name, low-rank adapters added."""
    state: dict[str, Tensor] = dict(model.model.state_dict())
    if any(not weight.is_floating_point() for weight in state.values()):
        raise AlignmentError(
            f"{model.name} is loaded with quantised weights, which cannot be written as a "
            "checkpoint; load it in bfloat16, or export an adapter (peft)."
        )
    for adapter in alignment.adapters:
        for path, (down, up) in adapter.weights.items():
            name = f"{path}.weight"
            change = torch.from_numpy(up) @ torch.from_numpy(down) * adapter.scaling
            if type(model.model.get_submodule(path)).__name__ == "Conv1D":
                change = change.T
            state[name] = _plus(state[name], change)
    return state


def _plus(weight: Tensor, change: Tensor) -> Tensor:
    """Their sum, rounded once; of the weight's type, and where the weight lies."""
    return (weight.float() + change.to(weight.device, torch.float32)).to(weight.dtype)


def _empty_with_biases(
    model: PreTrainedModel, biases: Mapping[str, Tensor], switches: Mapping[str, bool]
) -> PreTrainedModel:
    """A model without weights, of a class that has these biases and computes what this one does."""
    from transformers import LlamaConfig, LlamaForCausalLM

    candidates: list[tuple[Any, PretrainedConfig]] = [(type(model), model.config)]
    if model.config.model_type in _SAME_AS_LLAMA and not _slides(model.config):
        fields = {
            name: value
            for name, value in model.config.to_dict().items()
            if name not in ("model_type", "architectures", "layer_types", "sliding_window")
        }
        candidates.append((LlamaForCausalLM, LlamaConfig(**fields)))
    for kind, given in candidates:
        config = copy.deepcopy(given)
        for name, value in switches.items():
            setattr(config, name, value)
        with torch.device("meta"):
            empty: PreTrainedModel = kind(config)
        if all(f"{path}.bias" in empty.state_dict() for path in biases):
            return empty
    raise AlignmentError(
        f"{type(model).__name__} takes no bias where this alignment needs one, nor does a class "
        "that computes the same; export an adapter (peft)."
    )


def _slides(config: PretrainedConfig) -> bool:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return "sliding_attention" in kinds
    return getattr(config, "sliding_window", None) is not None


def _no_bias(model: TransformersModel) -> AlignmentError:
    return AlignmentError(
        f"{type(model.model).__name__} cannot be written with these biases; export an adapter "
        "(peft)."
    )


def _save(
    model: TransformersModel, empty: PreTrainedModel, state: Mapping[str, Tensor], folder: Path
) -> str:
    tied = {
        name: weight
        for name, weight in state.items()
        if name != "lm_head.weight" or not empty.config.tie_word_embeddings
    }
    try:
        # Given the weights as they are, nothing is initialised and nothing copied.
        empty.load_state_dict(state, strict=True, assign=True)
        empty.generation_config = model.model.generation_config
        with quietly():
            empty.save_pretrained(folder, state_dict=tied)
        model.tokenizer.save_pretrained(folder)
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return type(empty).__name__
