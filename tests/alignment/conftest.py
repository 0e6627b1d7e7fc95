"""Tiny models of many architectures, alignments for them, and a model with known trait heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.alignment.planted import Planted, plant
from tests.models.conftest import ask, plain_tokenizer, tiny_model, tokenizer

from allport.alignment import Alignment, AlignmentPart, model_sites
from allport.alignment.alignment import model_identity
from allport.inventories import load_inventory
from allport.models.transformers_model import TransformersModel
from allport.personas import Person

__all__ = ["ask", "plain_tokenizer", "tiny_model", "tokenizer"]

Aligned = Callable[..., Alignment]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations are kept in a folder of the test's own."""
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path / "home"))


@pytest.fixture
def aligned_to() -> Aligned:
    """Makes a random alignment of a model: one part a site, every layer."""

    def make(
        model: TransformersModel,
        seed: int = 0,
        tokens: Any = "all",
        site: Any = "heads",
        size: float = 1.0,
        name: str = "ann",
    ) -> Alignment:
        sites = model_sites(model.model)
        rng = np.random.default_rng(seed)
        width = sites.width if site == "heads" else sites.hidden_size
        vectors = {
            layer: (size * rng.normal(size=width)).astype(np.float32) for layer in sites.layers
        }
        part = AlignmentPart(site, vectors, 1.0, tokens)
        return Alignment(name, "pas", model_identity(model, sites), (part,))

    return make


@pytest.fixture(scope="session")
def planted() -> Planted:
    """A model with known trait heads, built by hand."""
    return plant()


@pytest.fixture(scope="session")
def person() -> Person:
    """Somebody who answered the short form."""
    inventory = load_inventory("ipip-neo-120")
    rng = np.random.default_rng(4)
    levels = dict(zip("NEOAC", (-1.0, 1.2, 0.4, 0.8, -0.5), strict=True))
    middles = [3 + item.key * levels[item.trait] for item in inventory.items]
    answers = np.clip(np.rint(rng.normal(middles, 0.7)), 1, 5)
    return Person("ann", inventory, dict(zip(inventory.numbers, answers.tolist(), strict=True)))
