"""What displacements come to behind the linear modules they act on: constants on their outputs.

    o_proj(x + d) = o_proj(x) + W d          so a displacement of heads is a bias of W d

The projection is linear, so the two are the same sum. What is added at the output of a block is a
bias of the last linear module of its MLP, where no norm stands between it and the residual stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from allport.alignment.projections import ModelSites, model_sites
from allport.alignment.steering import module_device
from allport.errors import AlignmentError

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel

__all__ = ["module_biases", "projected"]

_DOWN = ("mlp.down_proj", "mlp.c_proj", "mlp.dense_4h_to_h", "mlp.fc2")
"""What architectures call the last linear module of a block's MLP."""


def module_biases(model: TransformersModel, alignment: Alignment) -> dict[str, Tensor]:
    """The bias of each linear module that stands for what an alignment displaces, by module path.

    Every token is displaced by a bias, those of the prompt as well.

    Returns:
        (out,), float32, on the CPU; strengths included. Modules that nothing is added to are left
        out.

    Raises:
        AlignmentError: The alignment is for another model, or something is added at the output of
            blocks where a bias cannot stand for it.
    """
    found: dict[str, Tensor] = {}
    sites = model_sites(model.model) if alignment.parts else None
    alignment.check(model, sites)
    for part in alignment.parts:
        assert sites is not None
        if not part.strength:
            continue
        for layer, vector in part.vectors.items():
            added = torch.from_numpy(vector) * part.strength
            if part.site == "heads":
                projection = sites.projections[sites.layers.index(layer)]
                path, bias = projection.name, projected(projection.module, added)
            else:
                path, bias = _down_projection(model, sites, layer), added
            found[path] = found[path] + bias if path in found else bias
    return {path: bias for path, bias in found.items() if bool(bias.any())}


@torch.no_grad()
def projected(module: nn.Module, vector: Tensor) -> Tensor:
    """W d of a linear module for a vector d, (in,): (out,), float32, on the CPU.

    Quantised weights are not a matrix that could be read, so their module is asked itself, with
    and without d.
    """
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.is_floating_point() and weight.dim() == 2:
        matrix = weight.float()
        # Conv1D of GPT-2 keeps its weight as (in, out).
        turned = type(module).__name__ == "Conv1D"
        return (vector.to(matrix) @ (matrix if turned else matrix.T)).cpu()
    device = module_device(module)
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    both = torch.stack([vector, torch.zeros_like(vector)]).to(device=device, dtype=dtype)
    out = module(both[None])[0].float().cpu()
    difference: Tensor = out[0] - out[1]
    return difference


def _down_projection(model: TransformersModel, sites: ModelSites, layer: int) -> str:
    block = sites.blocks[layer]
    path = next(name for name, module in model.model.named_modules() if module is block)
    for name in _DOWN:
        if sites.normalised_after:
            break
        try:
            block.get_submodule(name)
        except AttributeError:
            continue
        return f"{path}.{name}"
    raise AlignmentError(
        f"What is added at the output of the blocks of {sites.architecture} is no bias of any of "
        "its modules; export it as a control vector (gguf)."
    )
