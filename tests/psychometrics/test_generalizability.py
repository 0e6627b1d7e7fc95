from __future__ import annotations

import math

import numpy as np
import pytest

from allport.errors import ResponsesError, UsageError
from allport.psychometrics import needed_levels, standard_error_of_mean, variance_components


def test_two_way_table_agrees_with_the_mean_squares_by_hand() -> None:
    y = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 3.0, 7.0], [4.0, 5.0, 9.0]])
    found = variance_components(y, ("person", "item"))
    rows, columns = y.mean(1), y.mean(0)
    ms_p = 3 * ((rows - y.mean()) ** 2).sum() / 3
    ms_i = 4 * ((columns - y.mean()) ** 2).sum() / 2
    ms_pi = ((y - rows[:, None] - columns + y.mean()) ** 2).sum() / 6
    assert found.variances["person",] == pytest.approx((ms_p - ms_pi) / 3)
    assert found.variances["item",] == pytest.approx((ms_i - ms_pi) / 4)
    assert found.variances["person", "item"] == pytest.approx(ms_pi)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_a_nested_facet_agrees_with_the_one_way_mean_squares() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(8, 5)) + rng.normal(size=(8, 1))
    found = variance_components(y, ("statement", "item"), {"item": "statement"})
    between = 5 * y.mean(1).var(ddof=1)
    within = y.var(axis=1, ddof=1).mean()
    assert list(found.variances) == [("statement",), ("statement", "item")]
    assert found.variances["statement", "item"] == pytest.approx(within)
    assert found.variances["statement",] == pytest.approx((between - within) / 5)


def test_planted_variances_are_found_without_bias() -> None:
    rng = np.random.default_rng(2)
    planted = {
        ("statement",): 0.5,
        ("order",): 0.3,
        ("statement", "item"): 1.0,
        ("statement", "order"): 0.2,
        ("statement", "item", "order"): 0.4,
    }
    estimates = []
    for _ in range(300):
        y = np.zeros((8, 5, 4))
        y += rng.normal(0, math.sqrt(0.5), (8, 1, 1)) + rng.normal(0, math.sqrt(0.3), (1, 1, 4))
        y += rng.normal(0, 1, (8, 5, 1)) + rng.normal(0, math.sqrt(0.2), (8, 1, 4))
        y += rng.normal(0, math.sqrt(0.4), (8, 5, 4))
        found = variance_components(y, ("statement", "item", "order"), {"item": "statement"})
        estimates.append([found.variances[effect] for effect in planted])
    assert set(found.variances) == set(planted)
    mean, se = np.mean(estimates, axis=0), np.std(estimates, axis=0) / math.sqrt(300)
    assert np.all(np.abs(mean - np.array(list(planted.values()))) < 4 * se)


def test_the_standard_error_is_that_of_the_mean_of_a_new_table() -> None:
    rng = np.random.default_rng(3)

    def table(statements: int, items: int) -> np.ndarray:
        y = rng.normal(0, 2, (statements, 1)) + rng.normal(0, 3, (statements, items))
        return np.asarray(50 + y)

    found = variance_components(table(4000, 5), ("s", "i"), {"i": "s"})
    means = [table(6, 2).mean() for _ in range(4000)]
    assert standard_error_of_mean(found, {"s": 6, "i": 2}) == pytest.approx(np.std(means), rel=0.06)
    assert standard_error_of_mean(found, {"s": 6, "i": 2}) == pytest.approx(
        math.sqrt(found.variances["s",] / 6 + found.variances["s", "i"] / 12)
    )


def test_more_asking_is_found_that_is_just_enough() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(0, 5, (40, 1)) + rng.normal(0, 2, (1, 4)) + rng.normal(0, 3, (40, 4))
    found = variance_components(y, ("item", "order"))
    need = needed_levels(found, 1.5, {"item": range(5, 400, 5), "order": (1, 2, 4, 24)})
    assert need is not None
    assert standard_error_of_mean(found, need) <= 1.5
    fewer = {**need, "item": need["item"] - 5}
    assert standard_error_of_mean(found, fewer) > 1.5
    assert needed_levels(found, 0.01, {"item": (5, 10), "order": (1, 2)}) is None


def test_a_fixed_facet_is_no_error_by_itself_but_what_goes_with_it_is() -> None:
    # Drawn anew are the items and what each makes of the orders; the orders stay what they are.
    rng = np.random.default_rng(5)
    orders = rng.normal(0, 20, (1, 1, 4))

    def table(items: int) -> np.ndarray:
        y = rng.normal(0, 2, (items, 1, 1)) + orders + rng.normal(0, 10, (items, 1, 4))
        return np.asarray(y + rng.normal(0, 3, (items, 3, 4)))

    truth = np.std([table(40).mean() for _ in range(3000)])
    found = [variance_components(table(40), ("item", "template", "order")) for _ in range(100)]
    errors = [standard_error_of_mean(each, fixed=("order",)) for each in found]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(truth, rel=0.1)
    assert min(errors) > 0
    with pytest.raises(UsageError, match="All 4 levels of 'order' are asked"):
        standard_error_of_mean(found[0], {"order": 2}, fixed=("order",))


def test_what_cannot_be_analysed_is_refused() -> None:
    y = np.ones((3, 4))
    with pytest.raises(UsageError, match="2 axes need as many"):
        variance_components(y, ("item",))
    with pytest.raises(UsageError, match="cannot lie within"):
        variance_components(y, ("item", "order"), {"item": "statement"})
    with pytest.raises(ResponsesError, match="Facet order has 1 level"):
        variance_components(y[:, :1], ("item", "order"))
    y[0, 0] = np.nan
    with pytest.raises(ResponsesError, match="1 of 12 scores are missing"):
        variance_components(y, ("item", "order"))
    flat = variance_components(np.ones((3, 4)), ("item", "order"))
    assert all(math.isnan(share) for share in flat.shares.values())
    with pytest.raises(UsageError, match="cannot be averaged over"):
        standard_error_of_mean(flat, {"template": 2})
