from __future__ import annotations

import numpy as np
import pytest

from allport.errors import ResponsesError
from allport.psychometrics.covariance import has_missing, item_covariance


@pytest.fixture
def gappy():
    rng = np.random.default_rng(4)
    answers = rng.integers(1, 6, size=(60, 4)).astype(np.float64)
    answers[:, 1] += answers[:, 0]
    answers[rng.random(answers.shape) < 0.15] = np.nan
    return answers


def test_pairwise_takes_the_rows_that_have_both(gappy):
    result = item_covariance(gappy)
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(gappy[:, [i, j]]).any(axis=1)
            expected = np.cov(gappy[both, i], gappy[both, j])
            assert result.covariance[i, j] == pytest.approx(expected[0, 1])
            correlation = expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1])
            assert result.correlation[i, j] == pytest.approx(correlation)
            assert result.counts[i, j] == both.sum()
    np.testing.assert_allclose(result.means, np.nanmean(gappy, axis=0))
    assert result.rows == (~np.isnan(gappy)).any(axis=1).sum()


def test_listwise_takes_complete_rows(gappy):
    complete = gappy[~np.isnan(gappy).any(axis=1)]
    result = item_covariance(gappy, "listwise")
    np.testing.assert_allclose(result.covariance, np.cov(complete.T))
    np.testing.assert_allclose(result.correlation, np.corrcoef(complete.T))
    assert result.rows == len(complete)
    assert (result.counts == len(complete)).all()


def test_refuse_raises(gappy):
    with pytest.raises(ResponsesError, match="pairwise or listwise"):
        item_covariance(gappy, "refuse")
    assert item_covariance(np.nan_to_num(gappy), "refuse").rows == 60


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32, np.float64])
def test_many_blocks_are_one_whole(dtype):
    answers = np.random.default_rng(1).integers(-100, 100, size=(40_000, 60)).astype(dtype)
    result = item_covariance(answers)
    np.testing.assert_allclose(
        result.covariance, np.cov(answers.T.astype(float)), rtol=1e-12, atol=1e-9
    )
    assert result.rows == 40_000


def test_gaps_in_one_block_of_many():
    answers = np.random.default_rng(1).normal(size=(40_000, 60))
    answers[30_000, 7] = np.nan
    result = item_covariance(answers)
    assert result.rows == 40_000
    complete = np.delete(answers, 30_000, axis=0)
    np.testing.assert_allclose(result.covariance[7], np.cov(complete.T)[7], rtol=1e-11)
    np.testing.assert_allclose(result.covariance[8, 9], np.cov(answers[:, 8:10].T)[0, 1])


def test_scores_far_from_zero_keep_their_digits():
    answers = np.random.default_rng(1).normal(size=(500, 3))
    np.testing.assert_allclose(
        item_covariance(answers + 1e8).covariance, np.cov(answers.T), rtol=1e-7
    )


def test_an_item_that_does_not_vary_has_variance_zero_and_no_correlation():
    answers = np.random.default_rng(1).normal(size=(50, 3))
    answers[:, 1] = 0.1
    result = item_covariance(answers)
    assert result.covariance[1].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(result.correlation[1]).all()
    assert result.correlation[0, 0] == 1.0


def test_an_item_that_does_not_vary_over_the_rows_of_a_pair_has_no_correlation_there():
    rng = np.random.default_rng(0)
    answers = rng.normal(size=(60, 2))
    answers[:50, 0] = 0.1 + 0.2  # varies only where the other item is missing
    answers[50:, 1] = np.nan
    answers[[0, 55]] = answers[[55, 0]]  # the first answer, counted from, is another value
    found = item_covariance(answers)
    assert np.isnan(found.correlation[0, 1])
    assert found.covariance[0, 1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_have_no_covariance(rows):
    result = item_covariance(np.ones((rows, 2)))
    assert np.isnan(result.covariance).all()
    assert result.rows == rows


def test_a_column_nobody_answered():
    result = item_covariance([[1.0, np.nan], [2.0, np.nan], [4.0, np.nan]])
    assert np.isnan(result.covariance[1]).all()
    assert np.isnan(result.means[1])
    assert result.means[0] == pytest.approx(7 / 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_has_missing_finds_the_one_gap(dtype):
    answers = np.full((50_000, 60), 5, dtype=dtype)
    assert not has_missing(answers)
    answers[-1, -1] = np.nan
    assert has_missing(answers)
    assert not has_missing(np.ones((3, 3), dtype=np.int8))
