"""An alignment as an adapter of the PEFT library, on any architecture and on quantised weights.

What displaces heads becomes the bias of a low-rank change that is otherwise zero (`lora_bias`), so
that one batch may mix people by PEFT's `adapter_names`. Fine-tuned adapters keep their matrices.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allport.alignment.adapters import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MODULE_PREFIX
from allport.alignment.module_biases import module_biases
from allport.alignment.projections import linear_sizes
from allport.errors import AlignmentError
from allport.files import write_atomically

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel

__all__ = ["write_peft_adapter"]


def write_peft_adapter(model: TransformersModel, alignment: Alignment, folder: Path) -> int:
    """Write an adapter that PEFT loads onto this model.

    Args:
        model: Not aligned.
        alignment: Any; its system text is not part of an adapter.
        folder: adapter_model.safetensors and adapter_config.json go here.

    Returns:
        How many linear modules it changes.

    Raises:
        AlignmentError: The alignment is for another model, or changes nothing that a linear module
            can carry.
    """
    from safetensors.numpy import save

    biases = {path: bias.numpy() for path, bias in module_biases(model, alignment).items()}
    changes: dict[str, list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = {}
    for adapter in alignment.adapters:
        for path, (down, up) in adapter.weights.items():
            changes.setdefault(path, []).append((down, up * np.float32(adapter.scaling)))
    paths = sorted({*biases, *changes})
    if not paths:
        raise AlignmentError(
            f"The alignment to {alignment.name} adds nothing to the model, so there is no adapter "
            "to write."
        )
    # PEFT wants one rank; a module of lower rank is filled up with zeros.
    rank = max([1, *(sum(len(down) for down, _ in some) for some in changes.values())])
    tensors: dict[str, NDArray[np.float32]] = {}
    turned = False
    for path in paths:
        module = model.model.get_submodule(path)
        turned = turned or type(module).__name__ == "Conv1D"
        sizes = linear_sizes(module)
        if sizes is None:
            raise AlignmentError(f"{path} is no linear module, so PEFT cannot change it.")
        into, out = sizes
        down, up = np.zeros((rank, into), np.float32), np.zeros((out, rank), np.float32)
        at = 0
        for one_down, one_up in changes.get(path, []):
            down[at : at + len(one_down)], up[:, at : at + len(one_down)] = one_down, one_up
            at += len(one_down)
        tensors[f"{MODULE_PREFIX}{path}.lora_A.weight"] = down
        tensors[f"{MODULE_PREFIX}{path}.lora_B.weight"] = up
        if biases:
            tensors[f"{MODULE_PREFIX}{path}.lora_B.bias"] = biases.get(
                path, np.zeros(out, np.float32)
            )
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,  # what stands before B A x is alpha / rank, and is part of B already
        "lora_dropout": 0.0,
        "bias": "none",
        "lora_bias": bool(biases),
        "fan_in_fan_out": turned,
        "target_modules": paths,
    }
    try:
        write_atomically(folder / ADAPTER_WEIGHTS, save(tensors, metadata={"format": "pt"}))
        write_atomically(folder / ADAPTER_CONFIG, json.dumps(config, indent=1) + "\n")
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return len(paths)
