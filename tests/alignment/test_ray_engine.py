"""The Ray engine: the same numbers from a cluster, and one sentence where Ray is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from allport.alignment import TiltedResponse, fit_population, stratified_folds
from allport.errors import UsageError
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people


def test_without_ray_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    literal, _ = planted_people(4)
    with pytest.raises(UsageError, match=r"pip install 'allport\[scale\]'"):
        fit_population(planted_model().differences, literal, strengths=(1.0,), engine="ray")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one processor each, on this machine."""
    pytest.importorskip("ray", reason="ray is not installed (extra: scale)")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    try:
        ray.init(address=nodes.address, log_to_driver=False)
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


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
