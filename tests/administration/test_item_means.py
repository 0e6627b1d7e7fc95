"""Means over items and their errors, against figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.planted_situations import situation_bank

from allport.administration.item_means import error_of_mean, item_clusters, mean_of_items
from allport.inventories.inventory import Inventory


def test_items_of_one_statement_share_a_cluster(likert: Inventory) -> None:
    assert item_clusters(likert) is None
    bank = situation_bank({"A": 2, "E": 1}, situations=3)
    found = item_clusters(bank)
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    alone = bank.items[4].model_copy(update={"cluster": None})
    part = bank.model_copy(update={"items": (*bank.items[:4], alone, *bank.items[5:])})
    found = item_clusters(part)
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1, 2, 1, 3, 3, 3]


def test_each_item_is_a_unit_without_clusters() -> None:
    values = np.array([1.0, 2.5, 4.0, np.nan, 3.0])
    known = values[[0, 1, 2, 4]]
    found, error = mean_of_items(values, confidence=0.9)
    assert error == known.std(ddof=1) / 2
    assert found.value == known.mean()
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.95, 3) * error)
    # A cluster of its own for each item changes nothing.
    again, same = mean_of_items(values, np.arange(5), confidence=0.9)
    assert (again, same) == (pytest.approx(found), pytest.approx(error))
    cut, _ = mean_of_items(values, limits=(2.5, 3.0))
    assert (cut.low, cut.high) == (2.5, 3.0)


def test_clusters_of_one_size_count_by_their_means() -> None:
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(size=6), 5) + 0.1 * rng.normal(size=30)
    clusters = np.repeat(np.arange(6), 5)
    means = values.reshape(6, 5).mean(axis=1)
    found, error = mean_of_items(values, clusters)
    assert error == pytest.approx(means.std(ddof=1) / math.sqrt(6))
    assert found.value == pytest.approx(means.mean())
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 5) * error)
    shuffled = rng.permutation(30)
    assert error_of_mean(values[shuffled], clusters[shuffled]) == pytest.approx(error)


def test_the_error_is_the_spread_of_means_over_draws_of_uneven_clusters() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(40), np.tile([1, 2, 5, 8], 10))
    means, errors = [], []
    for _ in range(500):
        values = rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=clusters.size)
        means.append(values.mean())
        errors.append(error_of_mean(values, clusters))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.08)
    assert error_of_mean(values) < 0.7 * np.mean(errors)


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([2.0, np.nan], None, "no interval from a single item"),
        ([2.0, 3.0, np.nan], [0, 0, 1], "no interval from the items of a single statement"),
        ([2.0, 2.0, 2.0 + 1e-15], None, "no interval: every item has the same score"),
        ([2.0, 2.0, 2.0], [0, 0, 1], "no interval: every item has the same score"),
    ],
)
def test_where_nothing_tells_the_error_there_is_none(
    values: list[float], clusters: list[int] | None, reason: str
) -> None:
    index = None if clusters is None else np.array(clusters)
    found, error = mean_of_items(np.array(values), index)
    assert found.value == pytest.approx(np.nanmean(values))
    assert found.reason.startswith(reason)
    assert np.isnan([found.low, found.high, error]).all()


def test_no_answer_has_no_mean() -> None:
    found, error = mean_of_items(np.full(3, np.nan))
    assert found.reason == "no item was answered"
    assert np.isnan([found.value, error]).all()
