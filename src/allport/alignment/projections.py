"""Where a model is steered: the inputs of its attention output projections, and its blocks.

    residual stream ──┬─> norm ─> attention: heads side by side ──(+)──> output projection ──┐
                      │                            steered here  ┘                           │
                      └──────────────────────────────────────────────────────────────(add)───┴─>

Before the projection the heads still lie side by side, heads * head_dim numbers, whatever the model
does with keys and values (grouped queries have fewer of those, never fewer heads here). The number
of heads is the configuration's; their size is the projection's input width over that number, never
the hidden size over it, which is another one in Qwen3 and Gemma.

Models that normalise the attention's output after the projection (Gemma 2 and 3, OLMo 2) are
steered at the same place. There the norm acts on the sum, so that large strengths saturate: the
output turns toward the displacement and does not grow with it. Strengths are chosen on the model
itself, so this is measured and not assumed away; `ModelSites.normalised_after` records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from allport.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["ModelSites", "Projection", "linear_sizes", "model_sites"]

_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "wo")
"""What architectures call the projection inside their attention module."""

_NORMS_AFTER = ("post_feedforward_layernorm",)
"""Blocks with this norm have one after their attention's projection, too."""


class Projection(NamedTuple):
    """The attention output projection of one layer."""

    layer: int
    """Which layer of the model, from 0."""
    name: str
    """Path of the module in the model, such as "model.layers.3.self_attn.o_proj"."""
    module: nn.Module
    width: int
    """Of its input, heads * head_dim."""


@dataclass(frozen=True)
class ModelSites:
    """The places of a model at which activations are read and displaced."""

    architecture: str
    projections: tuple[Projection, ...]
    """By layer, ascending; layers without attention have none."""
    blocks: Mapping[int, nn.Module]
    """Decoder block of each of these layers; its output is the residual stream."""
    heads: int
    """Query heads of a layer."""
    hidden_size: int
    """Width of the residual stream."""
    normalised_after: bool
    """Whether a norm acts between projection and residual stream."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that can be steered."""
        return tuple(projection.layer for projection in self.projections)

    @property
    def width(self) -> int:
        """Of every projection's input, heads * head_dim."""
        return self.projections[0].width

    @property
    def head_dim(self) -> int:
        """Numbers of one head."""
        return self.width // self.heads

    def describe(self) -> dict[str, Any]:
        """What an alignment must fit, JSON-ready."""
        return {
            "architecture": self.architecture,
            "layers": list(self.layers),
            "heads": self.heads,
            "head_dim": self.head_dim,
            "hidden_size": self.hidden_size,
            "normalised_after_projection": self.normalised_after,
        }


def model_sites(model: PreTrainedModel) -> ModelSites:
    """Find every attention output projection of a causal language model, and its blocks.

    Args:
        model: Loaded, quantised or not; nothing is changed.

    Raises:
        ModelError: There is no attention, its projection cannot be found, or the heads do not fit.
    """
    kind = type(_unwrapped(model)).__name__
    config = model.config.get_text_config(decoder=True)
    found: list[Projection] = []
    blocks: dict[int, nn.Module] = {}
    for path, module in model.named_modules():
        if "Attention" not in type(module).__name__:
            continue
        named = [n for n in _PROJECTIONS if isinstance(getattr(module, n, None), nn.Module)]
        if not named:
            continue
        layer, block = _block(path)
        if layer is None:
            continue
        projection: nn.Module = getattr(module, named[0])
        sizes = linear_sizes(projection)
        if layer in blocks or sizes is None:
            raise ModelError(
                f"{kind} has an attention in layer {layer} that Allport does not know how to "
                "steer; prompts work on every model (--method prompt)."
            )
        found.append(Projection(layer, f"{path}.{named[0]}", projection, sizes[0]))
        blocks[layer] = model.get_submodule(block)
    heads = getattr(config, "num_attention_heads", None)
    if not found or not isinstance(heads, int):
        raise ModelError(
            f"{kind} has no attention output projection that can be found, so it cannot be steered;"
            " prompts work on every model (--method prompt)."
        )
    found.sort()
    widths = sorted({projection.width for projection in found})
    if len(widths) > 1 or widths[0] % heads:
        raise ModelError(
            f"The attention outputs of {kind}, {' and '.join(map(str, widths))} wide, do not "
            f"divide into {heads} equal heads in every layer, so its heads cannot be steered."
        )
    return ModelSites(
        architecture=kind,
        projections=tuple(found),
        blocks=blocks,
        heads=heads,
        hidden_size=int(config.hidden_size),
        normalised_after=any(hasattr(b, name) for b in blocks.values() for name in _NORMS_AFTER),
    )


def _unwrapped(model: PreTrainedModel) -> nn.Module:
    """The model itself, without the adapters around it."""
    get_base = getattr(model, "get_base_model", None)
    return model if get_base is None else get_base()


def _block(path: str) -> tuple[int | None, str]:
    """Layer number and path of the decoder block that a module is part of."""
    parts = path.split(".")
    place = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    if place is None:
        return None, ""
    return int(parts[place]), ".".join(parts[: place + 1])


def linear_sizes(module: nn.Module) -> tuple[int, int] | None:
    """Numbers that a linear module of any kind takes and gives; None where it does not say."""
    for into, out in (("in_features", "out_features"), ("nx", "nf")):
        sizes = getattr(module, into, None), getattr(module, out, None)
        if isinstance(sizes[0], int) and isinstance(sizes[1], int):
            return sizes[0], sizes[1]
    return None
