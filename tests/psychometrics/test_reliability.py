from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allport.errors import ResponsesError
from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.reliability import (
    alpha_standard_error,
    cronbach_alpha,
    feldt_interval,
    item_statistics,
    retest_reliability,
    scale_alphas,
    smallest_detectable_change,
    spearman_brown,
    standard_error_of_measurement,
)


@pytest.mark.parametrize(
    ("trait", "raw", "complete", "imputed", "standardised", "error", "low", "high"),
    [
        ("A", ".703018", ".715849", ".701237", ".712659", ".0089518", ".6853", ".7201"),
        ("C", ".726735", ".737295", ".724687", ".730160", ".0081167", ".7104", ".7424"),
        ("E", ".761733", ".765122", ".759695", ".761617", ".0070270", ".7475", ".7754"),
        ("N", ".813963", ".816947", ".811775", ".814535", ".0056071", ".8028", ".8246"),
        ("O", ".600173", ".607802", ".596772", ".607707", ".0118587", ".5763", ".6231"),
    ],
)
def test_alpha_of_bfi_as_in_psych(
    bfi, printed, trait, raw, complete, imputed, standardised, error, low, high
):
    alpha = cronbach_alpha(bfi.scale(trait))
    assert alpha.raw.value == printed(raw)
    assert alpha.standardised.value == printed(standardised)
    assert (alpha.items, alpha.rows) == (5, 2800)
    # psych takes all rows for n, also those that miss an answer.
    assert feldt_interval(alpha.raw.value, 2800, 5) == (printed(low), printed(high))
    covariance = item_covariance(bfi.scale(trait)).covariance
    assert alpha_standard_error(covariance, 2800) == printed(error)
    in_complete_rows = cronbach_alpha(bfi.scale(trait)[bfi.complete], missing="refuse")
    assert in_complete_rows.raw.value == printed(complete)
    assert in_complete_rows.rows == 2436
    medians = np.nanmedian(bfi.scale(trait), axis=0)
    filled = np.where(np.isnan(bfi.scale(trait)), medians, bfi.scale(trait))
    assert cronbach_alpha(filled).raw.value == printed(imputed)


def test_rounded_figures_that_users_know(bfi, printed):
    rounded = {"A": (".70", ".32"), "C": (".72", ".34"), "E": (".76", ".39"), "N": (".81", ".46"),
               "O": (".60", ".23")}  # fmt: skip
    for trait, (alpha, mean_correlation) in rounded.items():
        filled = np.where(
            np.isnan(bfi.scale(trait)), np.nanmedian(bfi.scale(trait), axis=0), bfi.scale(trait)
        )
        value = cronbach_alpha(filled).raw.value
        assert value == printed(alpha)
        # scoreItems prints the mean correlation that alpha implies, not the mean of correlations.
        assert value / (5 - 4 * value) == printed(mean_correlation)


def test_mean_correlation_is_the_mean_of_the_correlations(bfi):
    alpha = cronbach_alpha(bfi.scale("N"))
    correlation = item_covariance(bfi.scale("N")).correlation
    assert alpha.mean_correlation == pytest.approx((correlation.sum() - 5) / 20)


def test_ten_by_five_as_in_r(ten_by_five, printed):
    alpha = cronbach_alpha(ten_by_five)
    assert alpha.raw == (printed(".957556935818"), printed(".894222"), printed(".987956"), "")
    # With whole numbers alpha is a fraction: here exactly this one.
    assert alpha.raw.value == pytest.approx(925 / 966, rel=1e-14)
    assert alpha.standardised.value == printed(".9590028534")
    assert alpha.standard_error == printed(".02096063")
    deviation = ten_by_five.mean(axis=1).std(ddof=1)
    error = standard_error_of_measurement(deviation, alpha.raw.value)
    assert float(error) == printed(".2525426")


def test_ten_by_five_with_a_missing_answer_as_in_r(ten_by_five, printed):
    gappy = ten_by_five.copy()
    gappy[2, 1] = np.nan
    assert cronbach_alpha(gappy).raw.value == printed(".9575361472")
    assert cronbach_alpha(gappy, missing="listwise").raw.value == printed(".9618291761")
    filled = np.where(np.isnan(gappy), np.nanmedian(gappy, axis=0), gappy)
    assert cronbach_alpha(filled).raw.value == printed(".9474571078")
    with pytest.raises(ResponsesError, match="1 of 50 answers are missing"):
        cronbach_alpha(gappy, missing="refuse")


DOMAINS = [
    ("N", ".976", ".952", ".957", ".595"),
    ("E", ".966", ".938", ".935", ".629"),
    ("O", ".942", ".888", ".889", ".378"),
    ("A", ".948", ".907", ".898", ".646"),
    ("C", ".971", ".948", ".942", ".497"),
]


@pytest.mark.parametrize(("domain", "whole", "train", "test", "reversed_again"), DOMAINS)
def test_domain_alphas_of_papi(papi, printed, domain, whole, train, test, reversed_again):
    def alpha(answers, among=None):
        scales = papi.scales(1, among)
        return scale_alphas(answers, scales, missing="listwise")[domain].raw.value

    assert alpha(papi.keyed) == printed(whole)
    assert alpha(papi.keyed, papi.train) == printed(train)
    assert alpha(papi.keyed, ~papi.train) == printed(test)
    assert alpha(papi.literal) == printed(reversed_again)


FACETS = """
A1 .923 .900  A2 .851 .813  A3 .895 .840  A4 .850 .821  A5 .814 .754  A6 .846 .789
C1 .903 .886  C2 .872 .844  C3 .885 .814  C4 .902 .855  C5 .928 .845  C6 .886 .902
E1 .932 .878  E2 .930 .872  E3 .910 .885  E4 .762 .728  E5 .876 .802  E6 .896 .878
N1 .913 .874  N2 .946 .918  N3 .944 .905  N4 .906 .863  N5 .862 .789  N6 .915 .866
O1 .882 .807  O2 .858 .807  O3 .846 .790  O4 .873 .818  O5 .880 .800  O6 .845 .751
"""


def test_facet_alphas_of_papi(papi, printed):
    whole = scale_alphas(papi.keyed, papi.scales(2), missing="listwise")
    train = scale_alphas(papi.keyed, papi.scales(2, papi.train), missing="listwise")
    words = FACETS.split()
    for code, ten, four in zip(words[::3], words[1::3], words[2::3], strict=True):
        assert whole[code].raw.value == printed(ten), code
        assert train[code].raw.value == printed(four), code
    values = [alpha.raw.value for alpha in whole.values()]
    assert min(values) == printed(".762")
    assert float(np.median(values)) == printed(".885")
    assert max(values) == printed(".946")


@pytest.mark.parametrize("missing", ["pairwise", "listwise"])
@pytest.mark.parametrize("gaps", [False, True])
def test_many_scales_at_once_are_each_alone(papi, missing, gaps):
    answers = papi.keyed if gaps else np.nan_to_num(papi.keyed, nan=3.0).astype(np.int8)
    scales = papi.scales(2) | papi.scales(1)
    for name, alpha in scale_alphas(answers, scales, missing=missing).items():
        alone = cronbach_alpha(answers[:, scales[name]], missing=missing)
        assert alpha.rows == alone.rows
        assert alpha.raw[:3] == pytest.approx(alone.raw[:3], rel=1e-12)
        assert alpha.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
        assert alpha.standardised.value == pytest.approx(alone.standardised.value, rel=1e-12)


def test_a_row_without_any_answer_to_the_scale_is_no_row(ten_by_five):
    with_empty = np.vstack([ten_by_five, np.full(5, np.nan)])
    assert cronbach_alpha(with_empty) == cronbach_alpha(ten_by_five)
    alphas = scale_alphas(
        np.hstack([with_empty, np.arange(11.0)[:, None]]), {"five": range(5), "with": range(6)}
    )
    assert alphas["five"].rows == 10
    assert alphas["with"].rows == 11


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([[1.0, 2.0]], "at least 3 respondents or administrations; there is 1"),
        ([[1.0, 2.0], [2.0, 1.0]], "there are 2"),
        ([[1.0], [2.0], [3.0]], "one item"),
        ([[3.0, 4.0]] * 5, "does not vary over the 5 rows"),
        ([[1.0, 5.0], [2.0, 4.0], [4.0, 2.0]], "does not vary over the 3 rows"),
        (
            [[1.0, np.nan], [2.0, np.nan], [np.nan, 2.0], [np.nan, 1.0]],
            "never answered by the same",
        ),
    ],
)
def test_what_has_no_alpha_says_why(answers, reason):
    alpha = cronbach_alpha(answers)
    assert math.isnan(alpha.raw.value)
    assert reason in alpha.raw.reason
    assert alpha.standardised.reason == alpha.raw.reason
    assert math.isnan(alpha.standard_error)


def test_items_that_do_not_vary_leave_only_the_raw_alpha(ten_by_five):
    answers = ten_by_five.copy()
    answers[:, 2] = 4
    alpha = cronbach_alpha(answers)
    without = item_covariance(answers).covariance
    assert alpha.raw.value == pytest.approx(5 / 4 * (1 - np.trace(without) / without.sum()))
    assert alpha.standardised.reason == "1 item(s) do not vary (column 3)"
    assert math.isnan(alpha.mean_correlation)


def test_wrong_keys_make_alpha_negative():
    trait = np.random.default_rng(0).normal(size=(200, 1))
    answers = trait * [1, -1, 1, -1] + np.random.default_rng(1).normal(size=(200, 4))
    alpha = cronbach_alpha(answers).raw
    assert alpha.value < -0.5
    assert alpha.low < alpha.value < alpha.high


def test_feldt_interval_covers_a_planted_alpha():
    # Parallel items of reliability 1/2 make alpha = 5/6 in the population.
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        answers = rng.normal(size=(25, 1)) + rng.normal(size=(25, 5))
        alpha = cronbach_alpha(answers).raw
        inside += alpha.low <= 5 / 6 <= alpha.high
    assert 0.92 <= inside / 400 <= 0.98


def test_standard_error_of_alpha_is_its_spread_over_samples():
    rng = np.random.default_rng(3)
    alphas = [
        cronbach_alpha(rng.normal(size=(200, 1)) + rng.normal(size=(200, 5))) for _ in range(400)
    ]
    spread = np.std([alpha.raw.value for alpha in alphas])
    assert np.mean([alpha.standard_error for alpha in alphas]) == pytest.approx(spread, rel=0.1)


def test_rows_with_one_answer_make_alpha_no_more_certain():
    rng = np.random.default_rng(3)
    answers = rng.normal(size=(1000, 1)) + rng.normal(size=(1000, 5))
    answers[20:] = np.where(np.arange(980)[:, None] % 5 == np.arange(5), answers[20:], np.nan)
    alpha = cronbach_alpha(answers)
    assert alpha.rows == 1000
    assert alpha.raw[1:3] == pytest.approx(feldt_interval(alpha.raw.value, 20, 5))
    covariance = item_covariance(answers).covariance
    assert alpha.standard_error == pytest.approx(alpha_standard_error(covariance, 20))


def test_pairs_of_items_with_different_rows_count_by_their_harmonic_mean():
    answers = np.random.default_rng(0).normal(size=(60, 3))
    answers[:30, 0] = np.nan
    answers[40:, 1] = np.nan
    alpha = cronbach_alpha(answers)
    rows = 3 / (1 / 10 + 1 / 30 + 1 / 40)
    assert alpha.raw[1:3] == pytest.approx(feldt_interval(alpha.raw.value, rows, 3))


def test_feldt_interval_covers_a_planted_alpha_where_half_the_answers_are_missing():
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        answers = rng.normal(size=(200, 1)) + rng.normal(size=(200, 5))
        answers[rng.random(answers.shape) < 0.5] = np.nan
        alpha = cronbach_alpha(answers).raw
        inside += alpha.low <= 5 / 6 <= alpha.high
    assert 0.92 <= inside / 400 <= 0.98


def test_a_higher_confidence_makes_a_wider_interval():
    low, high = feldt_interval(0.8, 100, 5, confidence=0.95)
    wider_low, wider_high = feldt_interval(0.8, 100, 5, confidence=0.99)
    assert wider_low < low < 0.8 < high < wider_high


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    items=st.integers(2, 8),
    shift=st.floats(-1e3, 1e3),
    factor=st.floats(0.1, 50),
)
def test_alpha_does_not_depend_on_order_origin_or_unit(seed, items, shift, factor):
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(30, 1)) + rng.normal(size=(30, items))
    alpha = cronbach_alpha(answers).raw
    shuffled = answers[:, rng.permutation(items)][rng.permutation(30)]
    moved = cronbach_alpha(shift + factor * shuffled).raw
    assert moved.value == pytest.approx(alpha.value, abs=1e-8)
    assert moved.low == pytest.approx(alpha.low, abs=1e-8)


def test_item_statistics_are_what_leaving_an_item_out_gives(bfi):
    answers = bfi.scale("E")[bfi.complete]
    result = item_statistics(answers)
    for item in range(5):
        others = np.delete(answers, item, axis=1)
        rest = np.corrcoef(answers[:, item], others.sum(axis=1))[0, 1]
        assert result.item_rest[item] == pytest.approx(rest)
        assert result.alpha_if_dropped[item] == pytest.approx(cronbach_alpha(others).raw.value)
    np.testing.assert_allclose(result.means, answers.mean(axis=0))
    np.testing.assert_allclose(result.standard_deviations, answers.std(axis=0, ddof=1))
    assert result.answered.tolist() == [2436] * 5
    assert result.reason == ""


def test_item_statistics_with_missing_answers(bfi):
    answers = bfi.scale("N")
    result = item_statistics(answers)
    assert result.answered.tolist() == (~np.isnan(answers)).sum(axis=0).tolist()
    # Pairwise covariances without an item are those of the scale without it.
    assert result.alpha_if_dropped[3] == pytest.approx(
        cronbach_alpha(np.delete(answers, 3, axis=1)).raw.value
    )


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (np.ones((1, 4)), "there is 1"),
        (np.ones((9, 4)), "does not vary"),
        (np.arange(10.0).reshape(5, 2), "two items"),
    ],
)
def test_item_statistics_say_what_they_lack(answers, reason):
    result = item_statistics(answers)
    assert reason in result.reason
    assert np.isnan(result.alpha_if_dropped).all()


def test_item_that_does_not_vary_keeps_its_alpha_if_dropped(ten_by_five):
    answers = ten_by_five.copy()
    answers[:, 0] = 2
    result = item_statistics(answers)
    assert math.isnan(result.item_rest[0])
    expected = cronbach_alpha(answers[:, 1:]).raw.value
    assert result.alpha_if_dropped[0] == pytest.approx(expected)
    assert not np.isnan(result.item_rest[1:]).any()


def test_standard_error_of_measurement_and_the_change_it_hides():
    assert float(standard_error_of_measurement(10, 0.91)) == pytest.approx(3)
    assert float(smallest_detectable_change(3)) == pytest.approx(1.959964 * math.sqrt(2) * 3)
    errors = standard_error_of_measurement([1.0, 1.0, 1.0], [-1.0, math.nan, 1.5])
    assert errors[0] == pytest.approx(math.sqrt(2))
    assert np.isnan(errors[1:]).all()


def test_spearman_brown_there_and_back():
    longer = spearman_brown(0.6, 3)
    assert float(longer) == pytest.approx(1.8 / 2.2)
    assert float(spearman_brown(longer, 1 / 3)) == pytest.approx(0.6)


def test_retest_on_two_occasions():
    rng = np.random.default_rng(2)
    trait = rng.normal(size=40)
    scores = np.column_stack([trait, trait + rng.normal(size=40) * 0.5 + 2])
    result = retest_reliability(scores)
    oracle = stats.pearsonr(*scores.T)
    assert result.correlation.value == pytest.approx(oracle.statistic)
    interval = oracle.confidence_interval(0.95)
    assert result.correlation[1:3] == pytest.approx((interval.low, interval.high))
    # A shift of everybody leaves the correlation alone and lowers the agreement.
    assert result.agreement.value < result.correlation.value - 0.3


def test_retest_without_a_change_but_of_everybody_alike_has_no_interval():
    scores = np.array([0.1, 0.7, 0.3, 0.9, 0.4])
    result = retest_reliability(np.column_stack([scores, 3 * scores + 0.2])).correlation
    assert result.value == pytest.approx(1)
    assert np.isnan([result.low, result.high]).all()
    assert "a correlation of 1 or -1 tells nothing of its error" in result.reason


def test_retest_on_many_occasions_takes_the_mean_over_pairs():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(30, 1)) + rng.normal(size=(30, 4))
    scores = np.vstack([scores, [np.nan, 1, 1, 1]])
    correlation = np.corrcoef(scores[:30].T)
    result = retest_reliability(scores).correlation
    assert result.value == pytest.approx((correlation.sum() - 4) / 12)
    assert math.isnan(result.low)
    assert "no interval: correlations over more than two occasions" in result.reason


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([[1.0, 2.0], [2.0, 3.0]], "there are 2"),
        ([[1.0], [2.0], [4.0]], "at least 2 occasions"),
        ([[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]], "do not vary"),
    ],
)
def test_what_has_no_retest_says_why(scores, reason):
    assert reason in retest_reliability(scores).correlation.reason
