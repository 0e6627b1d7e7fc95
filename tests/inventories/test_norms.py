"""Norm scores against worked examples of Johnson's program, and what is not shown."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.errors import InventoryError, UsageError
from allport.inventories import (
    Inventory,
    default_group,
    load_inventory,
    norm_group,
    norm_groups,
    norm_scores,
)
from allport.inventories.norms import PercentileMethod, Sex, level, percentiles, t_scores

SUMS_120 = {"N": 71, "E": 72, "O": 72, "A": 61, "C": 72}
SUMS_300 = {"N": 195, "E": 200, "O": 210, "A": 170, "C": 167}
THREES_120 = dict.fromkeys("NEOAC", 24 * 3)
THREES_300 = dict.fromkeys("NEOAC", 60 * 3)

# (inventory, raw sums, sex, age, T, Johnson's percentile), all digits as printed by five-factor-e.
GOLDEN: list[tuple[str, dict[str, int], Sex, int, list[float] | None, list[float] | None]] = [
    (
        "ipip-neo-120", SUMS_120, "male", 40,
        [52.4454, 45.4635, 38.5296, 32.2748, 40.5396],
        [58.663293, 34.107791, 13.262384, 1.988922, 18.622835],
    ),
    (
        "ipip-neo-120", SUMS_120, "female", 30,
        [49.2946, 44.0027, 36.6255, 22.8622, 38.7743],
        [47.490347, 29.240138, 8.876064, 1, 13.87737],
    ),
    (
        "ipip-neo-300", SUMS_300, "male", 40,
        [58.5788, 52.2571, 46.8421, 37.9853, 34.3182],
        [78.82241, 58.001486, 38.846626, 11.934722, 4.626673],
    ),
    (
        "ipip-neo-300", SUMS_300, "female", 22,
        [56.1141, 51.1987, 43.9179, 31.3043, 31.9799],
        None,
    ),
    (
        "ipip-neo-120", THREES_120, "male", 30, None,
        [60.785, 34.108, 13.262, 18.998, 18.623],
    ),
    (
        "ipip-neo-300", THREES_300, "male", 30, None,
        [66.455, 35.895, 6.765, 21.854, 13.286],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sums", "sex", "age", "t", "percentile"), GOLDEN)
def test_golden_examples(
    name: str,
    sums: dict[str, float],
    sex: Sex,
    age: int,
    t: list[float] | None,
    percentile: list[float] | None,
) -> None:
    scores = norm_scores(load_inventory(name), sums, sex, age, "johnson").scores
    if t is not None:
        assert [round(scores[code].t, 4) for code in "NEOAC"] == t
    if percentile is not None:
        digits = 6 if t is not None else 3
        assert [round(scores[code].percentile, digits) for code in "NEOAC"] == percentile


@pytest.mark.parametrize(("name", "each"), [("ipip-neo-120", 24), ("ipip-neo-300", 60)])
def test_all_answers_three_give_the_sums_of_the_golden_example(name: str, each: int) -> None:
    inventory = load_inventory(name)
    keyed = inventory.keyed(np.full(len(inventory.items), 3.0))
    assert {code: keyed[inventory.columns(code)].sum() for code in "NEOAC"} == dict.fromkeys(
        "NEOAC", 3.0 * each
    )


def test_figures_are_those_of_the_published_table(shared: Path) -> None:
    who = {"F": "women", "M": "men"}
    ages = {"-20": "under-21", "21-40": "21-40", "41-60": "41-60", "61-": "over-60", "21-": "21-up"}
    groups = {items: norm_groups(load_inventory(f"ipip-neo-{items}")) for items in ("120", "300")}
    with (shared / "data/ipip_norms/norms.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 35
    for row in rows:
        group = groups[row["items"]][f"{who[row['sex']]}-{ages[row['age_band']]}"]
        assert group.mean[row["scale"]] == float(row["raw_mean"])
        assert group.sd[row["scale"]] == float(row["raw_sd"])
        assert "Johnson" in group.source


@pytest.mark.parametrize(
    ("items", "age", "band"),
    [
        (120, 20, "under-21"),
        (120, 21, "21-40"),
        (120, 40, "21-40"),
        (120, 41, "41-60"),
        (120, 60, "41-60"),
        (120, 61, "over-60"),
        (300, 20, "under-21"),
        (300, 21, "21-up"),
        (300, 80, "21-up"),
    ],
)
def test_age_bands(items: int, age: int, band: str) -> None:
    inventory = load_inventory(f"ipip-neo-{items}")
    women, men = norm_group(inventory, "female", age), norm_group(inventory, "male", age)
    assert women is not None
    assert men is not None
    assert (women.name, men.name) == (f"women-{band}", f"men-{band}")


def test_facets_have_norms_too() -> None:
    inventory = load_inventory("ipip-neo-120")
    scores = norm_scores(inventory, {facet.code: 12 for facet in inventory.facets}, "male", 15)
    assert len(scores.scores) == 30
    # Anxiety of men under 21: mean 11.72, SD 3.76.
    assert scores.scores["N1"].t == pytest.approx(50 + 10 * (12 - 11.72) / 3.76)


@pytest.mark.parametrize(
    ("sex", "age", "reason"),
    [
        (None, None, "there is no sex or age"),
        ("male", None, "there is no age"),
        (None, 30, "there is no sex"),
    ],
)
def test_without_sex_and_age_no_norm_is_guessed(
    sex: Sex | None, age: int | None, reason: str
) -> None:
    result = norm_scores(load_inventory("ipip-neo-120"), SUMS_120, sex, age)
    assert result.group is None
    assert result.scores == {}
    assert result.reason.endswith(reason)


def test_where_no_norm_exists_none_is_shown() -> None:
    inventory = load_inventory("mini-ipip-20")
    result = norm_scores(inventory, {"N": 12}, "male", 30)
    assert (result.scores, result.reason) == ({}, "there are no human norms for mini-ipip-20")
    assert norm_group(inventory, "male", 30) is None
    assert default_group(inventory) is None
    assert norm_groups(inventory) == {}


def test_a_group_of_both_sexes_is_their_mixture() -> None:
    groups = norm_groups(load_inventory("ipip-neo-120"))
    rng = np.random.default_rng(0)
    for code in ("N", "A", "E5"):
        women, men, both = (groups[f"{who}-21-40"] for who in ("women", "men", "both"))
        draws = np.concatenate(
            [rng.normal(each.mean[code], each.sd[code], 400_000) for each in (women, men)]
        )
        assert both.mean[code] == pytest.approx(draws.mean(), abs=0.05)
        assert both.sd[code] == pytest.approx(draws.std(), rel=0.005)
        # Wider than the average of the two, by the distance between their means.
        assert both.sd[code] > (women.sd[code] + men.sd[code]) / 2


@pytest.mark.parametrize(
    ("name", "group"), [("ipip-neo-120", "both-21-40"), ("ipip-neo-300", "both-21-up")]
)
def test_the_yardstick_of_models_is_named(name: str, group: str) -> None:
    inventory = load_inventory(name)
    yardstick = default_group(inventory)
    assert yardstick is not None
    assert yardstick.name == group
    assert yardstick.label.startswith("women and men in equal parts aged 21")
    mean = norm_scores(inventory, yardstick.mean, group=group)
    assert mean.group == yardstick
    assert all(score.t == 50 and score.percentile == 50 for score in mean.scores.values())


@given(st.floats(0, 100), st.floats(0, 100))
def test_normal_percentiles_are_the_normal_distribution(a: float, b: float) -> None:
    p = percentiles([a, b])
    assert p[0] == pytest.approx(50 * math.erfc((50 - a) / 10 / math.sqrt(2)), abs=1e-9)
    assert (p[0] <= p[1]) == (a <= b) or p[0] == p[1]


def test_the_cubic_is_near_the_normal_but_bends() -> None:
    t = np.linspace(32, 70, 2000)
    off = np.abs(percentiles(t, "johnson") - percentiles(t, "normal"))
    assert off.max() == pytest.approx(1.93, abs=0.01)
    assert percentiles(70.9, "johnson") == pytest.approx(99.67, abs=0.01)
    assert percentiles(73.0, "johnson") == pytest.approx(98.93, abs=0.01)
    assert percentiles([31.99, 73.01, np.nan], "johnson").tolist()[:2] == [1, 99]


def test_levels_follow_t_and_not_the_percentile() -> None:
    # T 52.4 is the 59th percentile and average; programs that read levels off it say high.
    scores = norm_scores(load_inventory("ipip-neo-120"), SUMS_120, "male", 40).scores
    assert [scores[code].level for code in "NEOAC"] == ["average", "average", "low", "low", "low"]
    assert [level(t) for t in (44.99, 45, 55, 55.01, 55.87)] == [
        "low", "average", "average", "high", "high"
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["normal", "johnson"])
def test_intervals_carry_the_standard_error_over(method: PercentileMethod) -> None:
    inventory = load_inventory("ipip-neo-120")
    sem = {"N": 4.0, "A": 2.0}
    scores = norm_scores(inventory, SUMS_120, "male", 40, method, sem=sem, z=2.0).scores
    group = norm_group(inventory, "male", 40)
    assert group is not None
    for code, error in sem.items():
        score = scores[code]
        assert score.t_high - score.t == pytest.approx(20 * error / group.sd[code])
        assert score.t - score.t_low == pytest.approx(20 * error / group.sd[code])
        ends = percentiles([score.t_low, score.t_high], method)
        assert [score.percentile_low, score.percentile_high] == pytest.approx(ends.tolist())
    assert math.isnan(scores["E"].t_low)
    assert math.isnan(scores["E"].percentile_high)


def test_given_limits_need_not_be_symmetric() -> None:
    inventory = load_inventory("ipip-neo-120")
    score = norm_scores(inventory, {"N": 71}, "male", 40, intervals={"N": (70, 80)}).scores["N"]
    limits = norm_scores(inventory, {"N": 80}, "male", 40).scores["N"]
    assert score.t_high == limits.t
    assert score.percentile_low < score.percentile < score.percentile_high == limits.percentile


def test_limits_hold_where_the_cubic_bends_down() -> None:
    inventory = load_inventory("ipip-neo-120")
    group = norm_group(inventory, "male", 40)
    assert group is not None
    at = {t: group.mean["N"] + (t - 50) / 10 * group.sd["N"] for t in (69, 71, 72.9)}
    score = norm_scores(
        inventory, {"N": at[71]}, "male", 40, "johnson", intervals={"N": (at[69], at[72.9])}
    ).scores["N"]
    inside = percentiles(np.linspace(69, 72.9, 1000), "johnson")
    assert score.percentile_low == pytest.approx(inside.min(), abs=1e-6)
    assert score.percentile_high == pytest.approx(inside.max(), abs=1e-4)
    assert score.percentile_low <= score.percentile <= score.percentile_high


def test_missing_sums_stay_missing() -> None:
    score = norm_scores(load_inventory("ipip-neo-120"), {"N": math.nan}, "male", 40).scores["N"]
    assert math.isnan(score.t)
    assert math.isnan(score.percentile)
    assert score.level is None


def test_t_scores_of_many_people_at_once() -> None:
    t = t_scores(np.array([[10.0, 20.0], [30.0, np.nan]]), np.array([20.0, 20.0]), 10.0)
    np.testing.assert_array_equal(t, [[40.0, 50.0], [60.0, np.nan]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"raw_sums": {"N": 3.2}}, InventoryError, "lies between 24 and 120; norms need sums"),
        ({"raw_sums": {"N": 121}}, InventoryError, "the raw score of N is 121"),
        ({"raw_sums": {"X": 50}}, InventoryError, "has no trait or facet 'X'"),
        ({"sex": "other"}, UsageError, "the sexes female and male, not 'other'"),
        ({"age": 0}, UsageError, "0 is not the age of a person"),
        ({"age": 200}, UsageError, "200 is not the age of a person"),
        ({"group": "women"}, UsageError, "no norm group 'women'; known: men-under-21,"),
        ({"percentile": "median"}, UsageError, "'normal' or 'johnson', not 'median'"),
    ],
)
def test_what_cannot_be_is_refused(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"raw_sums": SUMS_120, "sex": "male", "age": 40} | change
    with pytest.raises(error) as caught:
        norm_scores(load_inventory("ipip-neo-120"), **arguments)
    assert message in str(caught.value)


def test_norms_are_refused_for_items_they_are_not_of() -> None:
    content = load_inventory("mini-ipip-20").model_dump() | {"norms": "johnson"}
    with pytest.raises(InventoryError, match="are for the IPIP-NEO of 120 or 300 items"):
        norm_groups(Inventory.model_validate(content))
