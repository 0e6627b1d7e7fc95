from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.errors import ResponsesError
from allport.psychometrics.intraclass import intraclass_correlations
from allport.psychometrics.reliability import cronbach_alpha

# Six targets, four judges (Shrout and Fleiss, 1979, table 2).
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]

# Value, interval, F and p as psych's ICC(lmer = FALSE) prints them.
SHROUT_FLEISS_IN_PSYCH = {
    "icc1": (".1657417684", "-.13293232487", ".7225600623", "1.794678492", ".1647688083446"),
    "icc2": (".2897637795", ".01878651337", ".7610843696", "11.027247956", ".0001345665165"),
    "icc3": (".7148407148", ".34246476503", ".9458582600", "11.027247956", ".0001345665165"),
    "icc1k": (".4427971337", "-.88444215524", ".9124154203", "1.794678492", ".1647688083446"),
    "icc2k": (".6200505476", ".07113681530", ".9272320402", "11.027247956", ".0001345665165"),
    "icc3k": (".9093155424", ".67567471382", ".9858916782", "11.027247956", ".0001345665165"),
}


@pytest.mark.parametrize("form", SHROUT_FLEISS_IN_PSYCH)
def test_shrout_and_fleiss_as_in_psych(printed, form):
    value, low, high, f, p = SHROUT_FLEISS_IN_PSYCH[form]
    result = getattr(intraclass_correlations(SHROUT_FLEISS), form)
    assert result.estimate == (printed(value), printed(low), printed(high), "")
    assert result.f == printed(f)
    assert result.p == printed(p)
    assert result.df1 == 5
    assert result.df2 == (18 if "1" in form else 15)


def test_ten_by_five_as_in_psych(ten_by_five, printed):
    result = intraclass_correlations(ten_by_five)
    assert result.icc3.estimate.value == printed(".8185840708")
    assert result.icc2.estimate == (
        printed(".8088694566"), printed(".6165333487"), printed(".9387445556"), ""
    )  # fmt: skip
    assert result.icc1.estimate.value == printed(".8084147258")
    assert (result.targets, result.raters) == (10, 5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), targets=st.integers(3, 20), raters=st.integers(2, 6))
def test_consistency_of_means_is_alpha_with_its_interval(seed, targets, raters):
    rng = np.random.default_rng(seed)
    ratings = rng.normal(size=(targets, 1)) + rng.normal(size=(targets, raters))
    icc = intraclass_correlations(ratings)
    assert icc.icc3k.estimate[:3] == pytest.approx(cronbach_alpha(ratings).raw[:3], abs=1e-10)
    # A shift of a rater is disagreement, but no inconsistency.
    shifted = intraclass_correlations(ratings + np.arange(raters) * 3)
    assert shifted.icc3.estimate.value == pytest.approx(icc.icc3.estimate.value, abs=1e-10)
    assert abs(shifted.icc2.estimate.value) < abs(icc.icc3.estimate.value) + 1e-10


def test_targets_with_a_missing_rating_are_left_out_or_refused():
    ratings = np.array([*SHROUT_FLEISS, [5, np.nan, 5, 5]], dtype=float)
    assert intraclass_correlations(ratings) == intraclass_correlations(SHROUT_FLEISS)
    with pytest.raises(ResponsesError, match="1 of 28 answers are missing"):
        intraclass_correlations(ratings, missing="refuse")


def test_perfect_agreement():
    result = intraclass_correlations([[1, 1, 1], [2, 2, 2], [4, 4, 4]])
    for form in result[:6]:
        assert form.estimate == (1.0, 1.0, 1.0, "")
        assert form.f == math.inf
        assert form.p == 0.0


def test_perfect_consistency_is_not_perfect_agreement():
    result = intraclass_correlations([[1, 2], [2, 3], [4, 5]])
    assert result.icc3.estimate.value == 1.0
    assert result.icc2.estimate.value == pytest.approx(14 / 17)
    # As errors vanish, the intervals of agreement go on to those without any.
    nearly = intraclass_correlations([[1, 2], [2, 3], [4, 5.00001]])
    assert result.icc2.estimate[:3] == pytest.approx(nearly.icc2.estimate[:3], abs=1e-6)
    assert result.icc2k.estimate[:3] == pytest.approx(nearly.icc2k.estimate[:3], abs=1e-6)
    assert 0 < result.icc2.estimate.low < 0.1


@pytest.mark.parametrize("row", [[1, 2], [0.1, 0.7], [0.1, 0.2, 0.7], [1e6 + 0.1, 1e6 + 0.7]])
def test_targets_that_do_not_differ_are_not_reliable(row):
    result = intraclass_correlations([row] * 5)
    assert result.icc1.estimate.value == pytest.approx(-1 / (len(row) - 1))
    assert (result.icc1.f, result.icc1.p) == (0.0, 1.0)
    for form in (result.icc2, result.icc2k):
        assert form.estimate.value == 0.0
        assert math.isnan(form.estimate.low)
        assert "no interval: the targets do not differ" in form.estimate.reason
    for form in (result.icc1k, result.icc3, result.icc3k):
        assert math.isnan(form.estimate.value)
        assert form.estimate.reason == "the targets do not differ in their means"
    for form in (result.icc2, result.icc3, result.icc2k, result.icc3k):
        assert math.isnan(form.f)
        assert math.isnan(form.p)


def test_raters_who_contradict_each_other_have_a_negative_icc():
    result = intraclass_correlations([[1, 5], [2, 4], [3, 2], [5, 1]])
    assert result.icc1.estimate.value < -0.5


def test_targets_equal_in_their_means_have_no_reliability_of_means():
    result = intraclass_correlations([[1, 3], [3, 1], [2, 2]])
    assert result.icc3.estimate.value == pytest.approx(-1.0)
    assert math.isnan(result.icc3k.estimate.value)
    assert result.icc3k.estimate.reason == "the targets do not differ in their means"
    assert math.isnan(result.icc2.estimate.low)
    assert result.icc2.estimate.reason == "no interval: the targets do not differ in their means"


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        ([[1, 2], [2, 1]], "at least 3 complete targets; there are 2"),
        ([[1], [2], [3]], "at least 2 ratings"),
        ([[3, 3], [3, 3], [3, 3]], "do not vary"),
    ],
)
def test_what_has_no_icc_says_why(ratings, reason):
    result = intraclass_correlations(ratings)
    assert all(math.isnan(form.estimate.value) for form in result[:6])
    assert reason in result.icc2.estimate.reason
