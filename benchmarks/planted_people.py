"""Simulated people and a simulated model in which some attention heads carry personality.

Planted truth: in those heads the contrast difference of an item lies along the direction of its
trait, with the sign of its key; in all others it is noise. The model's answers follow displacements
of those heads only. People are drawn from five correlated traits and answer on five points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allport.inventories import load_inventory

CORRELATIONS = np.array(
    [
        [1.0, -0.4, -0.1, -0.25, -0.45],
        [-0.4, 1.0, 0.3, 0.15, 0.25],
        [-0.1, 0.3, 1.0, 0.15, 0.0],
        [-0.25, 0.15, 0.15, 1.0, 0.35],
        [-0.45, 0.25, 0.0, 0.35, 1.0],
    ]
)
"""Of the simulated traits N E O A C; the size that Big Five inventories report."""

SHAPE = (6, 4, 48)
"""Layers, heads a layer and head size of the embedded model."""


@dataclass(frozen=True)
class PlantedModel:
    """Contrast differences and answers with known trait heads."""

    differences: NDArray[np.float32]
    """(items, heads, head_dim)."""
    planted: tuple[int, ...]
    """Heads that carry personality."""
    directions: NDArray[np.float64]
    """Unit direction of each trait in each planted head, (planted, traits, head_dim)."""
    slopes: NDArray[np.float32]
    """How displacements tilt the answer to each item, (items, heads, head_dim)."""
    probabilities: NDArray[np.float64]
    """Answers without displacement, (items, options)."""


def trait_numbers() -> NDArray[np.intp]:
    """Trait of each item of IPIP-NEO-120 as a row of N E O A C, (items,)."""
    return np.array(["NEOAC".index(item.trait) for item in load_inventory("ipip-neo-120").items])


def planted_model(
    planted: tuple[int, ...] = (7, 10, 13, 18),
    shape: tuple[int, int, int] = SHAPE,
    noise: float = 1.0,
    seed: int = 0,
) -> PlantedModel:
    """A model of that shape whose `planted` heads carry the traits of IPIP-NEO-120.

    Args:
        planted: Head numbers, layer * heads + head.
        shape: Layers, heads a layer, head size.
        noise: Length of the noise in a difference, where the planted part has length 1.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
    inventory = load_inventory("ipip-neo-120")
    layers, heads, size = shape
    total, items = layers * heads, len(inventory.items)
    signs = inventory.keys[:, None] * np.eye(5)[trait_numbers()]
    differences = rng.normal(0, noise / np.sqrt(size), (items, total, size))
    differences += rng.normal(0, 1, (total, size))  # the letter axis, alike for every item
    directions = np.stack([np.linalg.qr(rng.normal(size=(size, 5)))[0].T for _ in planted])
    slopes = np.zeros((items, total, size))
    for head, direction in zip(planted, directions, strict=True):
        differences[:, head] += signs @ direction
        slopes[:, head] = 0.4 * signs @ direction
    probabilities = np.tile([0.08, 0.22, 0.3, 0.28, 0.12], (items, 1))
    return PlantedModel(
        differences.astype(np.float32),
        planted,
        directions,
        slopes.astype(np.float32),
        probabilities,
    )


def planted_people(
    count: int, missing: float = 0.0005, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Literal answers (people, items) to IPIP-NEO-120, and the traits behind them (people, 5).

    Args:
        count: How many people.
        missing: Share of answers left out; .0005 leaves one person in seventeen incomplete.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
    inventory = load_inventory("ipip-neo-120")
    columns, keys = trait_numbers(), inventory.keys.astype(np.float32)
    root = np.linalg.cholesky(CORRELATIONS)
    literal = np.empty((count, len(keys)), dtype=np.float32)
    traits = np.empty((count, 5))
    for start in range(0, count, 16384):
        part = slice(start, min(start + 16384, count))
        people = part.stop - part.start
        traits[part] = rng.standard_normal((people, 5)) @ root.T
        content = traits[part][:, columns].astype(np.float32) * keys * 0.7
        agreeing = rng.standard_normal((people, 1), dtype=np.float32) * 0.2
        noise = rng.standard_normal((people, len(keys)), dtype=np.float32) * 0.8
        answers = np.clip(np.rint(3.1 + content + agreeing + noise), 1, 5)
        answers[rng.random(answers.shape, dtype=np.float32) < missing] = np.nan
        literal[part] = answers
    return literal, traits
