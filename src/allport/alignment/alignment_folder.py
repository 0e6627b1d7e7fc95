"""An alignment on disk.

FOLDER/
├── alignment.json             method, model, sites, layers, tokens, strengths, prompt, fit, hashes
├── vectors.safetensors        what strength one adds: a tensor "PART.LAYER" for each part and
│                              layer; only where there are any
├── adapter_model.safetensors  a low-rank adapter as PEFT writes it; only after fine-tuning
└── adapter_config.json        its shape and strength, for PEFT

Several adapters that were added up lie in folders of their own, adapter-0, adapter-1 and so on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from allport.alignment.adapters import read_adapter, write_adapter
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
    "adapters": "added at every token; adapter_config.json states alpha times strength",
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
        folders = _adapter_folders(folder, len(alignment.adapters))
        for adapter, place in zip(alignment.adapters, folders, strict=True):
            write_adapter(adapter, place, str(alignment.model.get("name", "")))
        write_atomically(folder / _RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return folder


def load_alignment(folder: Path | str) -> Alignment:
    """Read an alignment.

    Args:
        folder: What `save_alignment` wrote.

    Raises:
        AlignmentError: There is no such folder, or it holds no alignment, or one that was changed
            since it was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not folder.exists():
        raise AlignmentError(f"There is no folder {folder}; `allport align` writes one.")
    if not (folder / _RECORD).is_file():
        raise AlignmentError(f"{folder} has no {_RECORD}; `allport align` writes one.")
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(f"its format is {record['format']!r}, not {_FORMAT!r}")
        steers = any(part["layers"] for part in record["parts"])
        tensors = load_file(folder / _VECTORS) if steers else {}
        adapters = record.get("adapters", [])
        places = _adapter_folders(folder, len(adapters))
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
            adapters=tuple(
                read_adapter(place, described)
                for place, described in zip(places, adapters, strict=True)
            ),
        )
        if alignment.content_hash != record["content_hash"]:
            raise ValueError("it is not what was written")
    except OSError as error:
        # Those of safetensors have no `strerror`, and say where they happened themselves.
        reason = f"{error.filename} cannot be read ({error.strerror})" if error.strerror else error
        raise AlignmentError(f"{folder} holds no alignment: {reason}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise AlignmentError(f"{folder} holds no alignment: {error}.") from None
    return alignment


def _adapter_folders(folder: Path, adapters: int) -> list[Path]:
    """Where each adapter lies: a single one in the folder itself, where PEFT looks for it."""
    return [folder] if adapters == 1 else [folder / f"adapter-{i}" for i in range(adapters)]
