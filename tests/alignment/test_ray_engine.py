"""The Ray engine: the same numbers from a cluster, and one sentence where Ray is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file
from tests.alignment.planted import Planted

from allport.alignment import TiltedResponse, align_people, fit_population, stratified_folds
from allport.corpora import PeopleCorpus
from allport.errors import UsageError
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people


def test_without_ray_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    literal, _ = planted_people(4)
    with pytest.raises(UsageError, match=r"pip install 'allport\[scale\]'"):
        fit_population(planted_model().differences, literal, strengths=(1.0,), engine="ray")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own, at start and shutdown
def test_two_nodes_find_what_one_process_finds(cluster: Any) -> None:
    model, (literal, _) = planted_model(), planted_people(400, missing=0.002)
    literal[7] = 3
    inventory = load_inventory("ipip-neo-120")
    options: dict[str, Any] = {
        "folds": stratified_folds([i.facet or "" for i in inventory.items], inventory.keys),
        "response": TiltedResponse(
            torch.tensor(model.probabilities, dtype=torch.float32),
            torch.arange(1.0, 6.0),
            torch.tensor(model.slopes),
        ),
        "memory": 4 * 256 * 120 * 24 + 2_000_000,
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = fit_population(model.differences, literal, **options)
    finally:
        torch.set_num_threads(threads)
    spread = fit_population(model.differences, literal, engine="ray", **options)
    for alone, together in zip(here.people, spread.people, strict=True):
        np.testing.assert_array_equal(alone, together)
    assert here.excluded() == spread.excluded() == {"the same answer to every item": 1}


def everybody(planted: Planted, count: int) -> PeopleCorpus:
    """People who answer by trait levels; one of them gave up."""
    levels = np.random.default_rng(5).uniform(-0.9, 0.9, (count, 5))
    answered = [list(planted.person(level).literal_answers.values()) for level in levels]
    codes = np.array(answered, np.int8)
    codes[3, 10:] = 0
    about = pl.DataFrame({"id": [f"p{row}" for row in range(count)]})
    return PeopleCorpus("people", planted.inventory, about, codes)


def quickly(planted: Planted) -> dict[str, Any]:
    """Settings with which a fit takes a second."""
    return {
        "items": range(1, 46),
        "contrasts": ("yes-no",),
        "templates": ("words",),
        "heads": 3,
        "strengths": (-0.5, 0.0, 0.25, 0.5),
        "probes": 12,
        "cache": False,
    }


def test_ray_is_missed_whoever_is_asked(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'allport\[scale\]'"):
        align_people(planted.model, everybody(planted, 5), tmp_path, engine="ray")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own, at start and shutdown
def test_a_store_is_the_same_from_a_cluster(cluster: Any, planted: Planted, tmp_path: Path) -> None:
    # Some of whom each one's answers are asked for, and more, of whom they are foretold.
    for count, foretold in ((6, False), (51, True)):
        people, stores = everybody(planted, count), {}
        for engine in ("local", "ray"):
            settings = quickly(planted)
            stores[engine] = align_people(
                planted.model, people, tmp_path / f"{engine}-{count}", engine=engine, **settings
            )
        here, spread = stores["local"], stores["ray"]
        assert (here.about["answers_foretold"] is not None) == foretold
        assert here.about["answers_foretold"] == spread.about["answers_foretold"]
        assert here.excluded == spread.excluded == {"too few usable answers": 1}
        assert len(set(here.strengths(range(count)).tolist())) > 1
        for name in ("people.safetensors", "basis.safetensors"):
            both = [load_file(store.folder / name) for store in (here, spread)]
            assert both[0].keys() == both[1].keys()
            for key, alone in both[0].items():
                np.testing.assert_allclose(alone, both[1][key], rtol=1e-5, atol=1e-6)
