"""What steering is compared with: as much of something that means nothing, or the opposite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from allport.alignment.alignment import Alignment
from allport.errors import AlignmentError
from allport.files import sha256_of

__all__ = ["random_direction", "sign_flipped"]


def random_direction(alignment: Alignment, seed: int = 0) -> Alignment:
    """An alignment that adds as much at the same heads, in random directions.

    In each head the numbers become normal deviates of the same length; in the residual stream the
    whole vector does.

    Args:
        alignment: To somebody.
        seed: Together with the name it chooses the directions.

    Raises:
        AlignmentError: It was fine-tuned, which has no direction.
    """
    if alignment.adapters:
        raise AlignmentError(
            f"The alignment to {alignment.name} is an adapter, of which there is no random "
            "direction; compare it with the plain model."
        )
    heads = int(alignment.model.get("heads", 1))
    digest = sha256_of(f"{seed} {alignment.name}")
    rng = np.random.default_rng(int(digest[:16], 16))
    parts = []
    for part in alignment.parts:
        blocks = heads if part.site == "heads" else 1
        vectors = {layer: _random(v, blocks, rng) for layer, v in part.vectors.items()}
        parts.append(replace(part, vectors=vectors))
    return replace(alignment, method=f"{alignment.method}, random", parts=tuple(parts))


def sign_flipped(alignment: Alignment) -> Alignment:
    """An alignment that takes away what this one adds."""
    return replace(alignment.scale(-1.0), method=f"{alignment.method}, flipped")


def _random(
    vector: NDArray[np.float32], blocks: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    by_block = vector.astype(np.float64).reshape(blocks, -1)
    lengths = np.linalg.norm(by_block, axis=1, keepdims=True)
    drawn = rng.normal(size=by_block.shape)
    drawn *= lengths / np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.reshape(vector.shape).astype(np.float32)
