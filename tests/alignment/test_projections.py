"""Projections, heads and blocks are found on every architecture, or refused in a sentence."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from allport.alignment import model_sites
from allport.errors import ModelError

STEERABLE = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "phi3",
    "olmo2",
    "gpt_neox",
    "gpt2",
    "bloom",
)


@pytest.mark.parametrize("architecture", STEERABLE)
def test_every_projection_is_found(architecture: str, tiny_model: Any) -> None:
    model = tiny_model(architecture)
    sites = model_sites(model)
    assert sites.layers == (0, 1)
    assert sites.heads == 4
    seen: dict[int, int] = {}
    blocks: dict[int, int] = {}

    def enters(module: Any, args: Any, layer: int) -> None:
        seen[layer] = args[0].shape[-1]

    def leaves(module: Any, args: Any, output: Any, layer: int) -> None:
        blocks[layer] = (output[0] if isinstance(output, tuple) else output).shape[-1]

    with ExitStack() as stack, torch.no_grad():
        for layer, _, module, _ in sites.projections:
            handle = module.register_forward_pre_hook(partial(enters, layer=layer))
            stack.callback(handle.remove)
            after = sites.blocks[layer].register_forward_hook(partial(leaves, layer=layer))
            stack.callback(after.remove)
        model(input_ids=torch.tensor([[5, 6, 7]]))
    assert seen == dict.fromkeys(sites.layers, sites.width)
    assert blocks == dict.fromkeys(sites.layers, sites.hidden_size)


def test_heads_are_as_wide_as_the_projection_says(tiny_model: Any) -> None:
    model = tiny_model("qwen3")
    sites = model_sites(model)
    assert model.config.hidden_size // model.config.num_attention_heads == 8
    assert sites.head_dim == 12


@pytest.mark.parametrize(
    ("architecture", "after"),
    [("gemma2", True), ("gemma3", True), ("olmo2", True), ("llama", False)],
)
def test_norms_behind_the_projection_are_told(
    architecture: str, after: bool, tiny_model: Any
) -> None:
    assert model_sites(tiny_model(architecture)).normalised_after is after


def test_hybrid_models_are_steered_where_they_attend(tiny_model: Any) -> None:
    assert model_sites(tiny_model("jamba")).layers == (1,)


def test_a_model_without_attention_is_refused(tiny_model: Any) -> None:
    with pytest.raises(ModelError, match="MambaForCausalLM has no attention output projection"):
        model_sites(tiny_model("mamba"))


def test_a_head_count_that_does_not_fit_is_refused(tiny_model: Any) -> None:
    model = copy.deepcopy(tiny_model("llama"))
    model.config.num_attention_heads = 5
    with pytest.raises(ModelError, match="32 wide, do not divide into 5 equal heads"):
        model_sites(model)


def test_a_projection_of_a_kind_unknown_is_refused(tiny_model: Any) -> None:
    model = copy.deepcopy(tiny_model("llama"))
    model.model.layers[1].self_attn.o_proj = nn.Identity()
    with pytest.raises(ModelError, match="attention in layer 1 that Allport does not know"):
        model_sites(model)
