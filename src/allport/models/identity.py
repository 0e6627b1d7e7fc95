"""Hashes that tell which weights, tokenizer and template answered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allport.files import sha256_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["files_hash", "parameters_hash", "tokenizer_hash", "versions"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def files_hash(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of weight files.

    A file that the hub's cache keeps under its own SHA-256 is not read again.
    """
    lines = []
    for file in sorted(files):
        stored = file.resolve().name
        known = file.is_symlink() and _SHA256.fullmatch(stored)
        lines.append(f"{stored if known else sha256_of(file)}  {file.name}\n")
    return sha256_of("".join(lines))


def parameters_hash(model: PreTrainedModel) -> str:
    """SHA-256 over the names, dtypes, shapes and values of a model's parameters."""
    import torch

    digest = hashlib.sha256()
    for name, parameter in sorted(model.state_dict().items()):
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        values = parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase, template: str | None) -> dict[str, Any]:
    """SHA-256 of a tokenizer's rules and of its chat template (None without one)."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # How a call cuts and pads is kept there as well, and changes from call to call.
        state = json.loads(backend.to_str())
        rules = json.dumps({**state, "padding": None, "truncation": None})
    else:
        rules = repr((type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())))
    return {
        "tokenizer_sha256": sha256_of(rules),
        "chat_template_sha256": None if template is None else sha256_of(template),
    }


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a model answers."""
    return {name: version(name) for name in ("torch", "transformers", "tokenizers")}
