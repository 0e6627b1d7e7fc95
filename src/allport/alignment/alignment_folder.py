"""An alignment on disk.

FOLDER/
├── alignment.json          method, model, sites, layers, tokens, strengths, prompt, fit, hashes
└── vectors.safetensors     what strength one adds: a tensor "PART.LAYER" for each part and layer;
                            absent where the alignment is words only
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from allport.alignment.alignment import Alignment, AlignmentPart
from allport.errors import AlignmentError
from allport.files import write_atomically

__all__ = ["load_alignment", "save_alignment"]

_FORMAT = "allport-alignment-1"
_RECORD = "alignment.json"
_VECTORS = "vectors.safetensors"
_CONVENTIONS = {
    "layers": "counted from 0; layer n is decoder block n",
    "heads": "added to the input of the attention output projection, heads side by side",
    "residual": "added to the output of the decoder block, before any final norm",
    "answer": "from the last token of the prompt on, where the answer is read or begins",
    "all": "every token of the prompt and of the answer",
    "strength": "vectors are those of strength one; what is added is strength times vector",
}


def save_alignment(alignment: Alignment, folder: Path | str) -> Path:
    """Write an alignment to a folder; the record comes last, so that one with a record is whole.

    Raises:
        AlignmentError: The folder cannot be written.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    record = {
        "format": _FORMAT,
        "content_hash": alignment.content_hash,
        **alignment.description(),
        "conventions": _CONVENTIONS,
        "fit": dict(alignment.fit),
    }
    try:
        vectors = {
            f"{number}.{layer}": np.ascontiguousarray(vector, "<f4")
            for number, part in enumerate(alignment.parts)
            for layer, vector in part.vectors.items()
        }
        if vectors:
            write_atomically(folder / _VECTORS, save(vectors))
        write_atomically(folder / _RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return folder


def load_alignment(folder: Path | str) -> Alignment:
    """Read an alignment.

    Args:
        folder: What `save_alignment` wrote.

    Raises:
        AlignmentError: It holds no alignment, or one that was changed since it was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(f"its format is {record['format']!r}, not {_FORMAT!r}")
        tensors = load_file(folder / _VECTORS) if record["parts"] else {}
        alignment = Alignment(
            name=record["name"],
            method=record["method"],
            model=record["model"],
            parts=tuple(
                AlignmentPart(
                    site=part["site"],
                    vectors={layer: tensors[f"{number}.{layer}"] for layer in part["layers"]},
                    strength=part["strength"],
                    tokens=part["tokens"],
                )
                for number, part in enumerate(record["parts"])
            ),
            prompt=record["prompt"],
            fit=record["fit"],
        )
        if alignment.content_hash != record["content_hash"]:
            raise ValueError("it is not what was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise AlignmentError(f"{folder} holds no alignment: {error}.") from None
    return alignment
