from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.errors import ResponsesError
from allport.psychometrics.scoring import raw_sums, scale_membership, scale_scores

BFI = {trait: range(5 * place, 5 * place + 5) for place, trait in enumerate("ACENO")}


@pytest.mark.parametrize(
    ("trait", "mean", "deviation"),
    [
        ("A", "4.6521", ".8984"),
        ("C", "4.2657", ".9513"),
        ("E", "4.1451", "1.0609"),
        ("N", "3.1623", "1.1963"),
        ("O", "4.5866", ".8084"),
    ],
)
def test_means_and_deviations_of_bfi_as_in_r(bfi, printed, trait, mean, deviation):
    scores = scale_scores(bfi.keyed, BFI, minimum_answered=0.2).by_name()[trait]
    assert float(scores.mean()) == printed(mean)
    assert float(scores.std(ddof=1)) == printed(deviation)


def test_correlations_of_bfi_scales_after_median_imputation_as_in_r(bfi, printed):
    scores = scale_scores(bfi.keyed, BFI, missing="median").scores
    correlation = np.corrcoef(scores.T)
    figures = {
        "AC": ".257980", "AE": ".461789", "AN": "-.184642", "AO": ".147188", "CE": ".262051",
        "CN": "-.233645", "CO": ".194143", "EN": "-.222819", "EO": ".215387", "NO": "-.085733",
    }  # fmt: skip
    for pair, figure in figures.items():
        first, second = ("ACENO".index(trait) for trait in pair)
        assert float(correlation[first, second]) == printed(figure), pair


@pytest.mark.parametrize(
    ("domain", "mean", "deviation", "lowest", "highest", "halves"),
    [
        ("N", "2.887", ".564", "1.15", "4.43", ".952"),
        ("E", "3.330", ".466", "1.77", "4.37", ".931"),
        ("O", "3.622", ".358", "2.42", "4.68", ".909"),
        ("A", "3.426", ".384", "2.27", "4.33", ".907"),
        ("C", "3.468", ".448", "2.07", "4.80", ".943"),
    ],
)
def test_domain_scores_of_papi(papi, printed, domain, mean, deviation, lowest, highest, halves):
    scores = scale_scores(papi.keyed, papi.scales(1)).by_name()[domain]
    train = scale_scores(papi.keyed, papi.scales(1, papi.train)).by_name()[domain]
    test = scale_scores(papi.keyed, papi.scales(1, ~papi.train)).by_name()[domain]
    assert float(scores.mean()) == printed(mean)
    assert float(scores.std(ddof=1)) == printed(deviation)
    assert float(scores.min()) == printed(lowest)
    assert float(scores.max()) == printed(highest)
    assert float(np.corrcoef(train, test)[0, 1]) == printed(halves)


def test_domain_correlations_of_papi(papi, printed):
    scores = scale_scores(papi.keyed, papi.scales(1)).by_name()
    correlation = np.corrcoef([scores[domain] for domain in "NEOAC"])
    figures = {
        "NE": "-.508", "NO": "-.096", "NA": "-.254", "NC": "-.584", "EO": ".365",
        "EA": ".154", "EC": ".254", "OA": ".215", "OC": "-.059", "AC": ".438",
    }  # fmt: skip
    for pair, figure in figures.items():
        first, second = ("NEOAC".index(domain) for domain in pair)
        assert float(correlation[first, second]) == printed(figure), pair
    eigenvalues = np.linalg.eigvalsh(correlation)[::-1]
    for value, figure in zip(eigenvalues, ("2.19", "1.17", ".90", ".42", ".32"), strict=True):
        assert float(value) == printed(figure)


FACETS = """
A1 3.34 .60  A2 3.59 .50  A3 3.76 .49  A4 3.31 .56  A5 3.11 .50  A6 3.45 .49
C1 3.70 .49  C2 3.27 .56  C3 3.82 .49  C4 3.66 .52  C5 3.18 .60  C6 3.18 .56
E1 3.44 .67  E2 3.11 .70  E3 3.35 .57  E4 3.07 .38  E5 3.31 .60  E6 3.70 .53
N1 3.02 .66  N2 2.90 .72  N3 2.70 .78  N4 2.90 .64  N5 3.14 .55  N6 2.67 .61
O1 3.86 .50  O2 3.97 .50  O3 3.65 .49  O4 3.44 .48  O5 3.79 .49  O6 3.02 .56
"""


def test_facet_scores_of_papi(papi, printed):
    scores = scale_scores(papi.keyed, papi.scales(2)).by_name()
    words = FACETS.split()
    for code, mean, deviation in zip(words[::3], words[1::3], words[2::3], strict=True):
        assert float(scores[code].mean()) == printed(mean), code
        assert float(scores[code].std(ddof=1)) == printed(deviation), code


GAPS = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [5.0, np.nan, 3.0, 3.0, 1.0], [np.nan] * 4 + [2.0]])
SCALES = {"front": [0, 1], "all": [4, 0, 1, 2, 3]}


def test_available_takes_what_was_answered_where_it_is_enough():
    result = scale_scores(GAPS, SCALES, minimum_answered=0.8)
    assert result.scales == ("front", "all")
    assert result.answered.tolist() == [[2, 5], [1, 4], [0, 1]]
    np.testing.assert_allclose(result.scores, [[1.5, 3.0], [np.nan, 3.0], [np.nan, np.nan]])
    # Of the second row: answers 5 3 3 1, deviations 2 0 0 -2, so 8 / (4 * 3).
    assert result.standard_errors[1, 1] == pytest.approx(np.sqrt(8 / 12))
    assert np.isnan(result.standard_errors[1, 0])


def test_listwise_scores_only_what_is_complete():
    result = scale_scores(GAPS, SCALES, missing="listwise")
    np.testing.assert_allclose(result.scores, [[1.5, 3.0], [np.nan] * 2, [np.nan] * 2])


def test_median_fills_in_the_median_of_the_item():
    result = scale_scores(GAPS, SCALES, missing="median")
    np.testing.assert_allclose(result.scores[1], [3.5, 14 / 5])
    # Medians 3 2 3 3.5 and the answer 2.
    assert result.scores[2, 1] == pytest.approx(13.5 / 5)
    assert result.answered[2].tolist() == [0, 1]


def test_an_item_nobody_answered_has_no_median():
    answers = np.array([[1.0, np.nan], [2.0, np.nan]])
    scores = scale_scores(answers, {"both": [0, 1], "one": [0]}, missing="median").scores
    np.testing.assert_allclose(scores, [[np.nan, 1], [np.nan, 2]])


def test_refuse_says_where_the_first_gap_is():
    with pytest.raises(ResponsesError, match=r"5 of 15 answers .* row 2, item column 2.*median"):
        scale_scores(GAPS, SCALES, missing="refuse")
    complete = scale_scores(GAPS[:1], SCALES, missing="refuse")
    assert complete.scores.tolist() == [[1.5, 3.0]]


def test_one_item_has_no_standard_error():
    result = scale_scores([[4, 2]], {"first": [0]})
    assert result.scores.tolist() == [[4.0]]
    assert np.isnan(result.standard_errors).all()


def test_raw_sums_are_sums_and_prorated_where_answers_are_missing():
    result = raw_sums(GAPS, {"all": range(5)})
    np.testing.assert_allclose(result.scores[:, 0], [15, 15, np.nan])
    assert result.standard_errors[0, 0] == pytest.approx(5 * np.sqrt(10 / 20))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"none": []}, "Scale none has no items"),
        ({"far": [0, 5]}, "outside 0 to 4"),
        ({"twice": [1, 1]}, "names an item column twice"),
    ],
)
def test_a_scale_that_does_not_fit_is_refused(scales, message):
    with pytest.raises(ResponsesError, match=message):
        scale_membership(scales, 5)


def test_answers_need_two_axes():
    with pytest.raises(ResponsesError, match=r"shape \(3,\) do not form a table"):
        scale_scores([1, 2, 3], {"all": [0]})


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.float64])
def test_types_of_answers_make_no_difference(dtype):
    # More rows than fit one block, so that blocks are put together in the right order.
    answers = np.random.default_rng(0).integers(1, 8, size=(9000, 301)).astype(dtype)
    scales = {"odd": np.arange(1, 301, 2), "some": [3, 200, 17]}
    result = scale_scores(answers, scales)
    for index, columns in enumerate(scales.values()):
        part = answers[:, columns].astype(np.float64)
        np.testing.assert_allclose(result.scores[:, index], part.mean(axis=1), rtol=1e-13)
        expected = part.std(axis=1, ddof=1) / np.sqrt(part.shape[1])
        expected[expected == 0] = np.nan
        np.testing.assert_allclose(result.standard_errors[:, index], expected, atol=1e-9)


def test_extreme_int8_values_stay_exact():
    answers = np.full((3000, 4), 127, dtype=np.int8)
    answers[1::2] = -128
    result = scale_scores(answers, {"all": range(4)})
    assert result.scores[:2].tolist() == [[127.0], [-128.0]]
    assert np.isnan(result.standard_errors).all()


@pytest.mark.parametrize("answer", [0.0, 3.0, 0.1, 1 / 3])
def test_answers_that_are_all_alike_tell_nothing_of_their_error(answer):
    # Long scales, where sums of fractions leave something by rounding.
    answers = np.full((2, 300), answer)
    answers[1, 0] += 1
    errors = scale_scores(answers, {"short": range(4), "long": range(300)}).standard_errors
    assert np.isnan(errors[0]).all()
    assert errors[1] == pytest.approx([0.25, 1 / 300])
    answers[:, 5] = np.nan
    gappy = scale_scores(answers, {"long": range(300)}).standard_errors[:, 0]
    assert np.isnan(gappy[0])
    assert gappy[1] == pytest.approx(1 / 299)
    assert np.isnan(raw_sums(answers, {"long": range(300)}).standard_errors[0, 0])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_scores_follow_shifts_and_do_not_depend_on_item_order(data):
    rows, items = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 8))
    answers = np.array(
        data.draw(
            st.lists(
                st.lists(
                    st.sampled_from([1.0, 2, 3, 4, 5, np.nan]), min_size=items, max_size=items
                ),
                min_size=rows,
                max_size=rows,
            )
        )
    )
    order = data.draw(st.permutations(range(items)))
    scales = {"all": range(items)}
    scores = scale_scores(answers, scales)
    shuffled = scale_scores(answers[:, order] + 10, scales)
    np.testing.assert_allclose(shuffled.scores, scores.scores + 10)
    np.testing.assert_allclose(shuffled.standard_errors, scores.standard_errors, atol=1e-6)
