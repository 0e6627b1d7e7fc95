"""Low-rank adapters (LoRA) as values and as PEFT files.

    W x  becomes  W x + strength * alpha / rank * B (A x)       A is (rank, in), B is (out, rank)

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, "LoRA: Low-Rank Adaptation of Large Language
Models", arXiv 2106.09685. Files are those of the PEFT library, so that it and every server that
takes its adapters can read them; PEFT itself is not needed to serve one here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import AlignmentError
from allport.files import sha256_of, write_atomically

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "MODULE_PREFIX",
    "AdapterPart",
    "LowRank",
    "adapter_from_state",
    "read_adapter",
    "write_adapter",
]

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
MODULE_PREFIX = "base_model.model."
"""What PEFT puts before the path of a module in the names of its tensors."""
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


class LowRank(NamedTuple):
    """The change of one linear module."""

    down: NDArray[np.float32]
    """A, (rank, in)."""
    up: NDArray[np.float32]
    """B, (out, rank)."""


@dataclass(frozen=True, eq=False)
class AdapterPart:
    """A low-rank change of some linear modules of a model."""

    weights: Mapping[str, LowRank]
    """By path of the module in the model, such as "model.layers.0.self_attn.q_proj"."""
    alpha: float
    """What is added at strength one is alpha / rank times B A x."""
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be added."""
        if not self.weights:
            raise AlignmentError("An adapter needs weights; this one has none.")
        if not np.isfinite([self.strength, self.alpha]).all():
            raise AlignmentError(f"A strength of {self.strength} cannot be applied.")
        ranks = set()
        for path, (down, up) in self.weights.items():
            if down.ndim != 2 or up.ndim != 2 or len(down) != up.shape[1]:
                raise AlignmentError(
                    f"The adapter of {path} has shapes {down.shape} and {up.shape}, which are no "
                    "low-rank change; fit it again."
                )
            if not (np.isfinite(down).all() and np.isfinite(up).all()):
                raise AlignmentError(
                    f"The adapter of {path} holds something other than finite numbers; fit it "
                    "again, with a smaller learning rate."
                )
            ranks.add(len(down))
        if len(ranks) > 1:
            raise AlignmentError("An adapter needs one rank; fit it again.")

    @property
    def rank(self) -> int:
        """Of every change."""
        return len(next(iter(self.weights.values())).down)

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return sum(down.size + up.size for down, up in self.weights.values())

    @property
    def scaling(self) -> float:
        """What stands before B A x, strength included."""
        return self.strength * self.alpha / self.rank

    @property
    def norms(self) -> dict[str, float]:
        """Frobenius norm of the change of each module, strength included."""
        found = {}
        for path, (down, up) in self.weights.items():
            # |B A| from the small Gram matrices; the product itself is as large as the weights.
            inner = (up.T.astype(float) @ up) * (down.astype(float) @ down.T)
            found[path] = abs(self.scaling) * float(np.sqrt(max(inner.sum(), 0.0)))
        return found

    def description(self) -> dict[str, Any]:
        """What it is but for the weights, JSON-ready."""
        return {
            "rank": self.rank,
            "alpha": self.alpha,
            "strength": self.strength,
            "modules": list(self.weights),
        }

    def hashes(self) -> list[str]:
        """SHA-256 of every matrix, in order."""
        return [
            sha256_of(np.ascontiguousarray(matrix, "<f4").tobytes())
            for change in self.weights.values()
            for matrix in change
        ]


def write_adapter(adapter: AdapterPart, folder: Path, base: str) -> None:
    """Write an adapter as PEFT does.

    The strength is part of the alpha that the files state: whoever reads them gets the adapter as
    strong as it is.

    Args:
        adapter: What to write.
        folder: Where adapter_model.safetensors and adapter_config.json go.
        base: Name of the model it is for.

    Raises:
        OSError: The folder cannot be written.
    """
    from safetensors.numpy import save

    tensors = {}
    for path, (down, up) in adapter.weights.items():
        tensors[f"{MODULE_PREFIX}{path}{_DOWN}"] = np.ascontiguousarray(down, "<f4")
        tensors[f"{MODULE_PREFIX}{path}{_UP}"] = np.ascontiguousarray(up, "<f4")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha * adapter.strength,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({path.rpartition(".")[2] for path in adapter.weights}),
    }
    write_atomically(folder / ADAPTER_WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_atomically(folder / ADAPTER_CONFIG, json.dumps(config, indent=1) + "\n")


def read_adapter(folder: Path, record: Mapping[str, Any]) -> AdapterPart:
    """Read what `write_adapter` wrote.

    Args:
        folder: Where the files are.
        record: `AdapterPart.description` of what was written.

    Raises:
        AlignmentError: The weights are not safetensors, or no adapter.
        ValueError, KeyError, TypeError, OSError: The files are not those of that description.
    """
    from safetensors.numpy import load_file

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ValueError(
            f"{ADAPTER_WEIGHTS} is missing, and weights in other files are not loaded, as "
            "they can run code"
        )
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    if config["peft_type"] != "LORA":
        raise ValueError(f"its adapter is of the kind {config['peft_type']!r}, not 'LORA'")
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    adapter = AdapterPart(
        weights=_by_module({name: tensors[name] for name in sorted(tensors)}, record["modules"]),
        alpha=record["alpha"],
        strength=record["strength"],
    )
    if not np.isclose(config["lora_alpha"], adapter.alpha * adapter.strength):
        raise ValueError("its strength is not the one that was written")
    return adapter


def adapter_from_state(state: Mapping[str, NDArray[np.float32]], alpha: float) -> AdapterPart:
    """The adapter that a state dict of PEFT holds.

    Args:
        state: Arrays by PEFT's names.
        alpha: Its `lora_alpha`.

    Raises:
        AlignmentError: It holds something other than low-rank changes.
    """
    modules = [
        name.removeprefix(MODULE_PREFIX).removesuffix(_DOWN) for name in state if _DOWN in name
    ]
    try:
        return AdapterPart(_by_module(state, modules), alpha)
    except (KeyError, ValueError) as error:
        raise AlignmentError(f"The adapter is no plain LoRA: {error}.") from None


def _by_module(
    tensors: Mapping[str, NDArray[np.float32]], modules: list[str]
) -> dict[str, LowRank]:
    found = {
        path: LowRank(
            tensors[f"{MODULE_PREFIX}{path}{_DOWN}"], tensors[f"{MODULE_PREFIX}{path}{_UP}"]
        )
        for path in modules
    }
    if len(tensors) != 2 * len(found):
        raise ValueError(f"{len(tensors)} matrices are there where {2 * len(found)} were due")
    return found
