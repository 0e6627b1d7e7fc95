from __future__ import annotations

import numpy as np
import pytest

from allport.errors import UsageError
from allport.psychometrics import (
    ItemParameters,
    adaptive_test,
    expected_share,
    item_information,
    next_item,
)

STATEMENTS = [f"s{i // 5}" for i in range(40)]


@pytest.fixture(scope="module")
def bank() -> ItemParameters:
    rng = np.random.default_rng(0)
    return ItemParameters(
        rng.uniform(0.8, 2.2, 40), rng.normal(0, 1, 40), 0.1, (0.3, 0.7), (0.3, 0.7), True
    )


def test_statements_are_asked_in_turn_and_no_item_twice(bank: ItemParameters) -> None:
    test = adaptive_test(bank, lambda item: 0.5, STATEMENTS, standard_error=0.0)
    assert sorted(test.items) == list(range(40))
    for start in range(0, 40, 8):
        assert len({STATEMENTS[i] for i in test.items[start : start + 8]}) == 8
    assert test.bank_score == pytest.approx(50)


def test_the_best_item_is_asked_where_nothing_is_drawn(bank: ItemParameters) -> None:
    rng = np.random.default_rng(1)
    each = list(range(40))
    best = next_item(bank, 0.7, [], each, rng, among=1)
    assert best == int(np.argmax(item_information(bank, 0.7)))
    drawn = {next_item(bank, 0.7, [], each, rng, among=5) for _ in range(200)}
    assert drawn == set(np.argsort(-item_information(bank, 0.7))[:5].tolist())


def test_few_items_come_near_the_whole_bank(bank: ItemParameters) -> None:
    rng = np.random.default_rng(2)
    errors, expected, shares = [], [], []
    for seed in range(80):
        level = rng.normal()
        p = expected_share(bank, level)
        answers = rng.beta(9 * p, 9 * (1 - p))
        test = adaptive_test(
            bank,
            lambda i, answers=answers: float(answers[i]),
            STATEMENTS,
            score_error=2.0,
            most_items=16,
            seed=seed,
        )
        assert len(test.items) == 16 or (test.score_error <= 2 and test.standard_errors[-1] <= 0.3)
        errors.append(test.bank_score - 100 * answers.mean())
        expected.append(test.score_error)
        shares.append(len(test.items) / 40)
    assert np.mean(np.abs(errors)) < 3
    assert np.mean(shares) <= 0.4
    z = np.array(errors) / np.array(expected)
    assert 0.75 < z.std() < 1.25  # the stated error is the one made


def test_an_answer_that_is_missing_tells_nothing(bank: ItemParameters) -> None:
    test = adaptive_test(bank, lambda item: float("nan"), STATEMENTS, most_items=3)
    assert test.levels == pytest.approx((0, 0, 0), abs=1e-9)
    assert test.bank_score == pytest.approx(100 * expected_share(bank, 0.0).mean())


def test_what_cannot_be_asked_is_refused(bank: ItemParameters) -> None:
    with pytest.raises(UsageError, match="All 40 items were asked"):
        next_item(bank, 0, range(40), STATEMENTS, np.random.default_rng(0))
    with pytest.raises(UsageError, match="1 statements were given for 40 items"):
        adaptive_test(bank, lambda item: 0.5, ["a"])
