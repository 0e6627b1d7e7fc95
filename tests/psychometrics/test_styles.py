from __future__ import annotations

import numpy as np
import pytest

from allport.errors import ResponsesError
from allport.psychometrics.styles import (
    acquiescence,
    check_keying,
    extreme_responding,
    midpoint_responding,
)

NAN = np.nan


def test_papi_is_stored_keyed(papi, printed):
    check = check_keying(papi.keyed, papi.keys, papi.facets)
    assert check.verdict == "keyed"
    assert check.cross_key.value == printed(".419")
    assert check.same_key.value == printed(".484")
    assert (check.cross_pairs, check.same_pairs) == (696, 654)
    assert 0.3 < check.cross_key.low < 0.419 < check.cross_key.high < 0.5
    assert check.reason == (
        "items of one facet with opposite keys correlate +0.42 on average, as keyed answers do"
    )


def test_papi_turned_back_is_literal(papi, printed):
    check = check_keying(papi.literal, papi.keys, papi.facets)
    assert check.verdict == "literal"
    assert check.cross_key.value == printed("-.419")
    assert check.same_key.value == printed(".484")


def test_bfi_is_stored_literal(bfi):
    keys = [-1 if name in ("A1", "C4", "C5", "E1", "E2", "O2", "O5") else 1 for name in bfi.items]
    traits = [name[0] for name in bfi.items]
    assert check_keying(bfi.literal, keys, traits).verdict == "literal"
    assert check_keying(bfi.keyed, keys, traits).verdict == "keyed"


def simulated(rows, loading, seed=0, agreeing=0.0):
    """Literal answers to six facets of four items, two of each key, and their keys and facets."""
    rng = np.random.default_rng(seed)
    keys = np.tile([1, -1, 1, -1], 6)
    facets = np.repeat([f"F{index}" for index in range(6)], 4)
    trait = np.repeat(rng.normal(size=(rows, 6)), 4, axis=1)
    literal = loading * trait * keys + rng.normal(size=(rows, 24))
    return literal + agreeing * rng.normal(size=(rows, 1)), keys, list(facets)


def test_noise_is_undecided():
    check = check_keying(*simulated(200, loading=0.0))
    assert check.verdict == "undecided"
    assert check.cross_key.low < 0 < check.cross_key.high
    assert "too near zero for 200 rows" in check.reason


def test_keying_is_seldom_decided_from_noise():
    verdicts = [check_keying(*simulated(60, 0.0, seed=s, agreeing=0)).verdict for s in range(200)]
    assert verdicts.count("undecided") >= 194


def test_few_rows_decide_where_content_is_strong():
    literal, keys, facets = simulated(12, loading=2.0)
    assert check_keying(literal, keys, facets).verdict == "literal"
    assert check_keying(literal * keys, keys, facets).verdict == "keyed"


def test_agreeing_with_everything_does_not_hide_the_keying():
    literal, keys, facets = simulated(300, loading=1.0, agreeing=0.5)
    assert check_keying(literal, keys, facets).verdict == "literal"
    assert check_keying(literal * keys, keys, facets).verdict == "keyed"


@pytest.mark.parametrize(
    ("answers", "keys", "reason"),
    [
        (np.ones((9, 2)), [1, -1], "9 rows are too few"),
        (
            np.random.default_rng(0).normal(size=(30, 2)),
            [1, 1],
            "no facet has varying items of both",
        ),
        (np.ones((30, 2)), [1, -1], "no facet has varying items of both"),
    ],
)
def test_keying_that_cannot_be_told_says_why(answers, keys, reason):
    check = check_keying(answers, keys, ["N1", "N1"])
    assert check.verdict == "undecided"
    assert np.isnan(check.cross_key.value)
    assert check.cross_key.reason
    assert reason in check.reason


def test_keying_of_a_population_is_told_from_a_part_of_it():
    literal, keys, facets = simulated(60_000, loading=1.0)
    check = check_keying(literal.astype(np.float32), keys, facets)
    assert check.verdict == "literal"
    assert check.cross_key.value == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize(("rows", "step"), [(20_000, 1), (20_001, 2), (39_999, 2), (40_001, 3)])
def test_a_population_is_thinned_to_no_more_than_the_most_rows(rows, step):
    literal, keys, facets = simulated(rows, loading=0.1)
    assert check_keying(literal, keys, facets) == check_keying(literal[::step], keys, facets)


@pytest.mark.parametrize(
    ("keys", "facets", "message"),
    [
        ([1, 0], ["N1", "N1"], r"Keys must be \+1 or -1, one for each of 2 items"),
        ([1], ["N1", "N1"], "one for each of 2 items"),
        ([1, -1], ["N1"], "1 facet codes do not fit 2 items"),
    ],
)
def test_keys_and_facets_have_to_fit(keys, facets, message):
    with pytest.raises(ResponsesError, match=message):
        check_keying(np.ones((20, 2)), keys, facets)


def test_acquiescence_of_papi(papi, printed):
    values = acquiescence(papi.literal, papi.keys)
    plain = np.nanmean(papi.literal, axis=1)
    # The published figure is the plain mean of literal answers; keys are all but balanced there.
    assert float(plain.mean()) == printed("3.085")
    assert float(plain.std(ddof=1)) == printed(".116")
    assert values.mean() == pytest.approx(3.085, abs=0.01)
    assert np.corrcoef(values, plain)[0, 1] > 0.99


def test_acquiescence_cancels_content_and_leaves_agreement():
    keys = [1, 1, 1, -1]
    # Agreeing by content: high on + and low on - items; agreeing with everything: high on all.
    literal = [[5, 5, 5, 1], [1, 1, 1, 5], [4, 4, 4, 4], [5, NAN, 5, 3], [3, 3, 3, NAN]]
    np.testing.assert_allclose(acquiescence(literal, keys), [3, 3, 4, 4, NAN])


def test_extreme_and_midpoint_responding_count_options_of_the_scale():
    literal = [[1, 5, 3, 3], [2, 4, 2, NAN], [3, 5, NAN, NAN], [NAN] * 4]
    five, six = [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(extreme_responding(literal, five), [0.5, 0, 0.5, NAN])
    np.testing.assert_allclose(midpoint_responding(literal, five), [0.5, 0, 0.5, NAN])
    # What was observed is not the scale: on six points 5 is no end, and there is no middle.
    np.testing.assert_allclose(extreme_responding(literal, six), [0.25, 0, 0, NAN])
    np.testing.assert_allclose(midpoint_responding(literal, six), [NAN] * 4)
