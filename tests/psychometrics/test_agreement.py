from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from allport.errors import ResponsesError, UsageError
from allport.psychometrics.agreement import cohen_kappa, flips, krippendorff_alpha
from allport.psychometrics.intervals import bootstrap

FIRST = [1, 2, 3, 3, 2, 1, 4, 4, 2, 3, 1, 1, 2, 4, 3, 3, 2, 2, 1, 4]
SECOND = [1, 2, 3, 2, 2, 1, 4, 3, 2, 3, 2, 1, 2, 4, 4, 3, 2, 1, 1, 4]


def test_kappa_as_in_psych(printed):
    plain = cohen_kappa(FIRST, SECOND)
    assert plain == (printed(".66329966330"), printed(".408778175979"), printed(".91782115062"), "")
    assert cohen_kappa(FIRST, SECOND, weights="quadratic").value == printed(".88986784141")


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_and_its_interval_as_in_statsmodels(weights):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, size=80)
    second = np.clip(first + rng.integers(-1, 2, size=80), 0, 4)
    table = np.zeros((5, 5))
    np.add.at(table, (first, second), 1)
    oracle = cohens_kappa(table, wt=weights)
    ours = cohen_kappa(first, second, weights=weights)
    assert ours.value == pytest.approx(oracle.kappa)
    assert ours[1:3] == pytest.approx((oracle.kappa_low, oracle.kappa_upp))


def test_kappa_leaves_out_units_that_miss_a_rating():
    gappy = [*FIRST, 3, np.nan], [*SECOND, np.nan, 2]
    assert cohen_kappa(*gappy) == cohen_kappa(FIRST, SECOND)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@pytest.mark.parametrize(
    ("first", "second", "kappa"), [(FIRST, FIRST, 1), ([1, 2, 2, 1], [2, 1, 1, 2], -1)]
)
def test_kappa_without_a_standard_error_has_no_interval(weights, first, second, kappa):
    found = cohen_kappa(first, second, weights=weights)
    assert found.value == pytest.approx(kappa)
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == "no interval: the standard error of kappa is 0"


def test_categories_that_nobody_chose_change_weights_but_not_plain_kappa():
    first, second = [1, 1, 5, 5, 2], [1, 2, 5, 5, 2]
    scale = [1, 2, 3, 4, 5]
    assert cohen_kappa(first, second, categories=scale) == cohen_kappa(first, second)
    seen = cohen_kappa(first, second, weights="linear")
    given_scale = cohen_kappa(first, second, weights="linear", categories=scale)
    assert given_scale.value > seen.value


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [([3, 3], [3, 3], "the same one value"), ([np.nan], [1], "no unit has both")],
)
def test_kappa_that_has_no_value_says_why(first, second, reason):
    result = cohen_kappa(first, second)
    assert math.isnan(result.value)
    assert reason in result.reason


def test_unknown_weights_and_levels_are_refused():
    with pytest.raises(UsageError, match="Weights 'quadratc' are unknown; choose linear"):
        cohen_kappa(FIRST, SECOND, weights="quadratc")
    with pytest.raises(UsageError, match="Level 'ratio' is unknown; choose nominal"):
        krippendorff_alpha([FIRST, SECOND], "ratio")


def test_kappa_refuses_what_cannot_be_compared():
    with pytest.raises(ResponsesError, match="2 ratings cannot be compared with 1"):
        cohen_kappa([1, 2], [1])
    with pytest.raises(ResponsesError, match="not among the categories"):
        cohen_kappa([1, 2], [1, 7], categories=[1, 2])


# Four observers, twelve units (Krippendorff, 2011); his alphas are .743, .815 and .849.
NAN = np.nan
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", ".743"), ("ordinal", ".815"), ("interval", ".849")]
)
def test_alpha_of_krippendorff_s_example(printed, level, alpha):
    result = krippendorff_alpha(KRIPPENDORFF, level)
    assert result.value == printed(alpha)
    assert -1 <= result.low < result.value < result.high <= 1


def test_alpha_of_two_observers_of_binary_data(printed):
    # The same source: ten units, two observers.
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha([first, second], level, resamples=0).value == printed(".095")


def brute_alpha(table, distance):
    """Disagreement over pairs of ratings within units, against all pairs of ratings."""
    units = [column[~np.isnan(column)] for column in np.asarray(table, dtype=float).T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)
    within = sum(
        sum(distance(a, b) for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1)
        for unit in units
    )
    between = sum(distance(a, b) for a, b in itertools.permutations(everything, 2))
    return 1 - within * (len(everything) - 1) / between


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_alpha_is_what_counting_every_pair_gives(data):
    coders, units = data.draw(st.integers(2, 4)), data.draw(st.integers(2, 6))
    cell = st.sampled_from([1.0, 2.0, 3.0, 5.0, math.nan])
    table = np.array(
        data.draw(
            st.lists(
                st.lists(cell, min_size=units, max_size=units), min_size=coders, max_size=coders
            )
        )
    )
    rated = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    values = rated[~np.isnan(rated)]
    for level in ("nominal", "interval", "ordinal"):
        result = krippendorff_alpha(table, level, resamples=0)
        if len(np.unique(values)) < 2:
            assert math.isnan(result.value)
            assert result.reason
            continue

        def ordinal(a, b):
            low, high = min(a, b), max(a, b)
            between = ((values >= low) & (values <= high)).sum()
            return (between - ((values == a).sum() + (values == b).sum()) / 2) ** 2 * (a != b)

        distance = {
            "nominal": lambda a, b: float(a != b),
            "interval": lambda a, b: (a - b) ** 2,
            "ordinal": ordinal,
        }[level]
        assert result.value == pytest.approx(brute_alpha(table, distance), abs=1e-9)
        assert result.value <= 1 + 1e-12


def test_alpha_of_answers_without_agreement_is_about_zero():
    ratings = np.random.default_rng(0).integers(1, 6, size=(4, 400))
    for level in ("nominal", "ordinal", "interval"):
        result = krippendorff_alpha(ratings, level, resamples=500)
        assert result.low < 0 < result.high
        assert abs(result.value) < 0.05


def test_alpha_of_full_agreement_is_one():
    ratings = np.tile([1.0, 2.0, 3.0, 2.0], (3, 1))
    for level in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(ratings, level, resamples=0).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [([[1, 1], [1, 1]], "every rating is the same"), ([[1, NAN], [NAN, 2]], "no unit has two")],
)
def test_alpha_that_has_no_value_says_why(ratings, reason):
    assert reason in krippendorff_alpha(ratings).reason


def test_units_of_one_cluster_are_drawn_together_for_alpha():
    rng = np.random.default_rng(5)
    ratings = rng.normal(size=12) + 0.5 * rng.normal(size=(2, 12))
    once = krippendorff_alpha(ratings, "interval")
    clusters = np.repeat(np.arange(12), 10)
    many = np.repeat(ratings, 10, axis=1)
    # A unit that one coder left out has no part, and its cluster stays that of the others.
    many[0, [0, 15]] = np.nan
    often = krippendorff_alpha(many, "interval", clusters=clusters)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.15)
    apart = krippendorff_alpha(many, "interval")
    assert apart.high - apart.low < 0.5 * (often.high - often.low)


def test_flips_of_one_pair_are_one_minus_kappa():
    first, second = np.array(FIRST) - 1, np.array(SECOND) - 1
    result = flips([first, second], options=4)
    differing = np.mean(first != second)
    assert result.raw.value == pytest.approx(differing)
    assert result.corrected.value == pytest.approx(1 - cohen_kappa(first, second).value)
    assert result.chance == pytest.approx(result.raw.value / result.corrected.value)
    assert result.uniform_chance == pytest.approx(0.75)
    assert result.corrected_uniform.value == pytest.approx(differing / 0.75)
    assert result.by_item.tolist() == (first != second).astype(float).tolist()
    assert (result.pairs, result.comparisons) == (1, 20)
    assert result.raw.low < result.raw.value < result.raw.high
    assert result.corrected.low < result.corrected.value < result.corrected.high


def test_flips_over_many_conditions_with_gaps():
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 3, size=(5, 30)).astype(float)
    choices[rng.random(choices.shape) < 0.2] = np.nan
    result = flips(choices, options=3, resamples=0)
    flipped = compared = expected = 0.0
    for a, b in itertools.combinations(choices, 2):
        both = ~np.isnan(a) & ~np.isnan(b)
        differing = (a[both] != b[both]).sum()
        flipped += differing
        compared += both.sum()
        expected += differing / (1 - cohen_kappa(a, b).value)
    assert result.raw.value == pytest.approx(flipped / compared)
    assert result.chance == pytest.approx(expected / compared)
    assert result.corrected.value == pytest.approx(flipped / expected)
    assert result.comparisons == compared
    assert result.pairs == 10


def test_flips_of_one_pair_with_gaps_are_one_minus_kappa():
    # Where the second condition has an answer, the first prefers other options than elsewhere.
    first = [0, 0, 0, 1, 0, 1, 2, 2, 2, 1, 2, 2]
    second = [0, 0, 1, 1, 1, 0, *[NAN] * 6]
    gappy = flips([first, second], options=3)
    assert gappy.corrected.value == pytest.approx(1 - cohen_kappa(first, second).value)
    shared = flips([first[:6], second[:6]], options=3)
    assert gappy.chance == pytest.approx(shared.chance)


def test_interval_of_flips_with_gaps_is_that_of_choices_drawn_anew():
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 3, size=(4, 15)).astype(float)
    choices[rng.random(choices.shape) < 0.3] = np.nan
    pairs = [(0, 1), (1, 2), (0, 3)]

    def corrected(items):
        return flips(items.T, 3, pairs, resamples=0).corrected.value

    drawn = bootstrap(corrected, choices.T, resamples=60, seed=2)
    weighted = flips(choices, 3, pairs, resamples=60, seed=2).corrected
    assert weighted[:3] == pytest.approx(drawn[:3])


def test_only_the_pairs_asked_for_are_compared():
    choices = [[0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]]
    assert flips(choices, 2, pairs=[(0, 1)]).raw.value == 0.0
    assert flips(choices, 2, pairs=[(0, 2), (1, 2)]).raw.value == 1.0
    assert flips(choices, 2, pairs=[(0, 2)]).corrected.value == pytest.approx(1 / (1 - 6 / 16))


def test_answers_without_content_flip_as_often_as_chance():
    choices = np.random.default_rng(3).choice(5, p=[0.5, 0.3, 0.1, 0.05, 0.05], size=(4, 300))
    result = flips(choices, options=5)
    assert result.corrected.low < 1 < result.corrected.high
    assert result.corrected.value == pytest.approx(1, abs=0.05)
    # Chance by even options would call the same respondent better than chance.
    assert result.corrected_uniform.value < 0.9


def test_answers_all_alike_have_no_flips_by_chance():
    result = flips(np.full((3, 10), 2), options=5)
    assert result.raw.value == 0.0
    assert math.isnan(result.corrected.value)
    assert "same option" in result.corrected.reason
    assert result.corrected_uniform.value == 0.0
    assert "no interval" in result.raw.reason


def test_items_with_fewer_options_have_less_uniform_chance():
    result = flips([[0, 1], [1, 1]], options=[2, 4], resamples=0)
    assert result.uniform_chance == pytest.approx((0.5 + 0.75) / 2)


def test_paraphrases_of_one_statement_are_drawn_together():
    rng = np.random.default_rng(0)
    unstable = np.repeat(rng.random(25) < 0.5, 8)
    choices = np.stack([np.zeros(200), unstable.astype(float)])
    apart = flips(choices, 2).raw
    together = flips(choices, 2, clusters=np.repeat(range(25), 8)).raw
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_conditions_without_a_common_item_have_no_flips():
    result = flips([[0, NAN], [NAN, 1]], options=2)
    assert "no item was answered under two conditions" in result.raw.reason
    assert result.comparisons == 0
    assert np.isnan(result.by_item).all()
    assert flips([[0, 1]], options=2).pairs == 0


@pytest.mark.parametrize("wrong", [-1, 5, 0.5])
def test_choices_are_indices_of_options(wrong):
    with pytest.raises(ResponsesError, match="indices of options"):
        flips([[0, wrong], [0, 1]], options=5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), conditions=st.integers(2, 4), items=st.integers(1, 12))
def test_kappa_and_flips_keep_their_bounds(seed, conditions, items):
    choices = np.random.default_rng(seed).integers(0, 3, size=(conditions, items))
    result = flips(choices, options=3, resamples=50)
    assert 0 <= result.raw.value <= 1
    assert 0 <= result.chance <= 1
    for estimate in (result.raw, result.corrected, result.corrected_uniform):
        assert math.isnan(estimate.low) or 0 <= estimate.low <= estimate.high
    kappa = cohen_kappa(choices[0], choices[1])
    assert math.isnan(kappa.value) or -1 <= kappa.value <= 1
    if math.isnan(kappa.low):
        assert kappa.reason
    else:
        assert -1 <= kappa.low < kappa.high <= 1
        assert kappa.low <= kappa.value <= kappa.high
    reversed_order = flips(choices[::-1, ::-1], options=3, resamples=0)
    assert reversed_order.raw.value == pytest.approx(result.raw.value)
