"""People whom the tests of evaluation share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allport.corpora import PeopleCorpus, read_papi
from allport.evaluation import BenchmarkPeople, benchmark_people
from allport.inventories import load_inventory


@pytest.fixture(scope="session")
def papi(shared: Path) -> BenchmarkPeople:
    """PAPI's 300 test people."""
    return benchmark_people(read_papi(shared / "data" / "papi" / "people.csv"))


def _made_up(people: int, seed: int = 0, **about: list[object]) -> PeopleCorpus:
    """People of five random traits each, whose answers follow their traits with noise."""
    inventory = load_inventory("ipip-neo-300")
    rng = np.random.default_rng(seed)
    levels = {trait.code: rng.normal(size=people) for trait in inventory.traits}
    keyed = np.stack([levels[item.trait] for item in inventory.items], axis=1)
    keyed = np.clip(np.rint(3 + 0.8 * keyed + 0.7 * rng.normal(size=keyed.shape)), 1, 5)
    frame = pl.DataFrame({"id": [f"p{row}" for row in range(people)], **about})
    return PeopleCorpus("made up", inventory, frame, inventory.literal(keyed).astype(np.int8))


@pytest.fixture(scope="session")
def few_people() -> BenchmarkPeople:
    """Twelve made-up people who answered everything."""
    return benchmark_people(_made_up(12, sex=["female", "male"] * 6, age=[19, 30, 50, 70] * 3))
