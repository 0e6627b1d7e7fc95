"""Means over items and their errors, against figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.planted_situations import situation_bank

from allport.administration.item_means import item_clusters, mean_of_items, share_of_items
from allport.inventories.inventory import Inventory
from allport.psychometrics.share_intervals import wilson_interval
from allport.psychometrics.unit_means import error_of_mean


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


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([2.0, np.nan], None, "no interval from a single item"),
        ([2.0, 3.0, np.nan], [0, 0, 1], "no interval from the items of a single statement"),
        ([2.0, 2.0, 2.0 + 1e-15], None, "no interval: every item gives the same value"),
        ([2.0, 2.0, 2.0], [0, 0, 1], "no interval: every item gives the same value"),
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


def test_shares_all_alike_at_an_end_are_as_uncertain_as_their_statements() -> None:
    clusters = np.repeat(np.arange(5), 4)
    values = np.ones(20)
    values[[0, 7]] = np.nan
    assert share_of_items(values, clusters) == wilson_interval(5, 5)
    assert share_of_items(1 - values, confidence=0.9) == wilson_interval(0, 18, 0.9)
    values[4] = 0.5
    assert share_of_items(values, clusters) == mean_of_items(values, clusters, limits=(0, 1))[0]
    assert np.isnan(share_of_items(np.full(6, 0.5)).low)
    assert np.isnan(share_of_items(np.full(6, np.nan)).value)
