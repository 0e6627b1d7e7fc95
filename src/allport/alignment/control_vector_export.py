"""An alignment as a GGUF control vector, which llama.cpp adds to the residual stream.

Facts of the format: tensors "direction.N", float32, as long as the residual stream is wide, are
added at the output of block N, counted from 0. Block 0 cannot be steered, and a file that names it
is refused as a whole. Metadata are a convention; what is written here beyond it begins with
"controlvector.allport".
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from allport.alignment.alignment import Alignment, AlignmentPart
from allport.alignment.module_biases import projected
from allport.alignment.projections import model_sites
from allport.errors import AlignmentError

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel

__all__ = ["control_vector", "write_control_vector"]


def control_vector(model: TransformersModel, alignment: Alignment) -> Alignment:
    """What of an alignment a control vector can hold: additions at block outputs, on all tokens.

    A displacement d of heads becomes W d at the output of its block. There the block's own MLP does
    not see it any more, so this is another, if similar, change. What belongs to block 0 is added
    after block 1. Words are not part of it.

    Raises:
        AlignmentError: The alignment is for another model, or nothing of it can be held.
    """
    sites = model_sites(model.model)
    alignment.check(model, sites)
    if alignment.adapters:
        raise AlignmentError(
            f"The alignment to {alignment.name} has a fine-tuned adapter, which no control vector "
            "can hold; export an adapter (peft) or a checkpoint."
        )
    summed: dict[int, NDArray[np.float32]] = {}
    for part in alignment.parts:
        if part.site == "heads" and sites.normalised_after:
            raise AlignmentError(
                f"{sites.architecture} normalises what its attention puts out, so a displacement of"
                " heads is no fixed vector there; export a checkpoint or an adapter (peft)."
            )
        for layer, vector in part.vectors.items():
            added = torch.from_numpy(vector) * part.strength
            if part.site == "heads":
                added = projected(sites.projections[sites.layers.index(layer)].module, added)
            at = max(layer, 1)
            if at not in sites.blocks:
                raise AlignmentError(f"{model.name} has only one block; it has no control vector.")
            summed[at] = summed.get(at, np.float32(0)) + added.numpy()
    vectors = {layer: vector for layer, vector in sorted(summed.items()) if vector.any()}
    if not vectors:
        raise AlignmentError(
            f"The alignment to {alignment.name} adds nothing to activations, so there is no "
            "control vector to write."
        )
    part = AlignmentPart("residual", vectors, 1.0, "all")
    return replace(alignment, parts=(part,), prompt="")


def write_control_vector(model: TransformersModel, alignment: Alignment, path: Path) -> Alignment:
    """Write a GGUF control vector; needs `pip install allport[export]`.

    Args:
        model: Not aligned.
        alignment: Without adapters.
        path: Of the file; strength 1 in llama.cpp is the alignment's own strength.

    Returns:
        What the file holds, as an alignment that can be measured.

    Raises:
        AlignmentError: See `control_vector`; or the file cannot be written.
    """
    if find_spec("gguf") is None:
        raise AlignmentError("A control vector needs gguf: pip install 'allport[export]'.")
    from gguf import GGUFWriter

    held = control_vector(model, alignment)
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = GGUFWriter(new, "controlvector")
        writer.add_string("controlvector.model_hint", str(model.model.config.model_type))
        writer.add_uint32("controlvector.layer_count", len(held.parts[0].vectors))
        writer.add_string("controlvector.allport.name", alignment.name)
        writer.add_string("controlvector.allport.method", alignment.method)
        writer.add_string("controlvector.allport.content_hash", alignment.content_hash)
        weights = str(alignment.model.get("weights_sha256", ""))
        writer.add_string("controlvector.allport.weights_sha256", weights)
        for layer, vector in held.parts[0].vectors.items():
            writer.add_tensor(f"direction.{layer}", np.ascontiguousarray(vector, "<f4"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        new.replace(path)
    except OSError as error:
        raise AlignmentError(f"{path} cannot be written ({error.strerror}).") from None
    finally:
        new.unlink(missing_ok=True)
    return held
