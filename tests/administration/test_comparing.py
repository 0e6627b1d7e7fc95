from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.planted_situations import situation_bank

from allport.administration import Design, Run, compare, measure, profile, read_run
from allport.administration.situation_profiles import item_sides
from allport.errors import UsageError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels
from allport.psychometrics import mean_interval


def shares(literal: float) -> list[float]:
    high = (literal - 1) / 4
    return [1 - high, 0.0, 0.0, 0.0, high]


def run_at(inventory: Inventory, level: float, name: str, design: Design | None = None) -> Run:
    """Keyed answers at a level, raised by a little with the number of the item."""

    def script(question: Question) -> list[float]:
        keyed = level + question.item / 100 * (level - 2)
        return shares(keyed if inventory.item(question.item).key == 1 else 6 - keyed)

    return measure(ScriptedRespondent(script, name), inventory, design, progress=None)


def test_differences_are_paired_by_item_and_condition(likert: Inventory) -> None:
    found = compare(run_at(likert, 2, "before"), run_at(likert, 3, "after"))
    assert (found.first, found.second, found.matched) == ("before", "after", 64)
    for row in (*found.traits, *found.facets):
        numbers = np.array(likert.numbers)[likert.columns(row.code)]
        planted = 1 + numbers / 100
        assert row.difference.value == pytest.approx(planted.mean())
        assert row.second - row.first == pytest.approx(planted.mean())
        assert row.standard_error == pytest.approx(planted.std(ddof=1) / math.sqrt(len(numbers)))
        oracle = stats.ttest_1samp(planted, 0).confidence_interval()
        assert row.difference[1:3] == pytest.approx((oracle.low, oracle.high))
        assert (row.items, row.cells) == (len(numbers), 4 * len(numbers))


def test_where_nothing_differs_one_interval_in_twenty_leaves_out_zero(likert: Inventory) -> None:
    design = Design(templates=("letters",), orders=("forward",))

    def noisy(seed: int) -> Run:
        keyed = np.random.default_rng(seed).normal(3, 0.4, 17).clip(1, 5)

        def script(question: Question) -> list[float]:
            own = float(keyed[question.item])
            return shares(own if likert.item(question.item).key == 1 else 6 - own)

        return measure(ScriptedRespondent(script), likert, design, progress=None)

    rows = [row for n in range(100) for row in compare(noisy(n), noisy(n + 100)).facets]
    assert {row.items for row in rows} == {4}
    wrong = np.mean([row.difference.low > 0 or row.difference.high < 0 for row in rows])
    # 99.9 % bounds of a binomial; resampled items leave out zero in 18 %.
    assert 0.02 <= wrong <= 0.09


def test_intervals_end_where_no_difference_is_larger(likert: Inventory) -> None:
    def at(low: float, name: str) -> Run:
        def script(question: Question) -> list[float]:
            keyed = low if question.item % 3 else 6 - low
            return shares(keyed if likert.item(question.item).key == 1 else 6 - keyed)

        return measure(ScriptedRespondent(script, name), likert, progress=None)

    up, down = compare(at(1.0, "low"), at(5.0, "high")), compare(at(5.0, "high"), at(1.0, "low"))
    assert {row.difference.high for row in up.facets} == {4.0}
    assert {row.difference.low for row in down.facets} == {-4.0}


def test_runs_that_differ_alike_on_every_item_have_no_interval(likert: Inventory) -> None:
    def at(keyed: float) -> Run:
        def script(question: Question) -> list[float]:
            return shares(keyed if likert.item(question.item).key == 1 else 6 - keyed)

        return measure(ScriptedRespondent(script), likert, progress=None)

    found = compare(at(2.0), at(3.0))
    for row in (*found.traits, *found.facets):
        assert row.difference.value == pytest.approx(1)
        assert np.isnan(row.difference[1:3]).all()
        assert row.difference.reason.startswith("no interval: every item gives the same value")
    reasons = found.to_frame()["reason"]
    assert reasons.null_count() == 0


def test_a_run_does_not_differ_from_itself(likert: Inventory) -> None:
    run = run_at(likert, 3.3, "same")
    found = compare(run, run)
    assert [row.difference.value for row in found.traits] == [0, 0]
    assert all(math.isnan(row.standard_error) for row in found.traits)
    assert found.agreement.value == 1
    assert found.unmatched_first == found.unmatched_second == 0


def test_runs_score_as_their_profiles_do_and_statements_are_drawn_whole() -> None:
    bank = situation_bank({"A": 8}, situations=5)
    content = np.random.default_rng(5).normal(0, 1.3, (8, 4))

    def run(shift: float) -> Run:
        def script(question: Question) -> list[float]:
            statement = (question.item - 1) // 5
            labels = np.array(["ABCD".index(label) for label in question.labels])
            odds = np.exp(content[statement] * (1 + shift) - 0.8 * labels)
            return [float(share) for share in odds / odds.sum()]

        design = Design(templates=("advice-after",))
        return measure(ScriptedRespondent(script, f"at {shift}"), bank, design, progress=None)

    before, after = run(0.0), run(0.5)
    (row,) = compare(before, after).traits
    scores = []
    for found, asked in ((row.first, before), (row.second, after)):
        (own,) = profile(asked.responses, bank, resamples=0).traits
        assert found == pytest.approx(own.score.value)
        plain = asked.responses["expected_keyed"].mean()
        assert isinstance(plain, float)
        assert abs(plain - own.score.value) > 1e-3
        scores.append(item_sides(asked.responses, bank).mass)
    changes = scores[1] - scores[0]
    by_statement = changes.reshape(8, 5).mean(axis=1)
    oracle = stats.ttest_1samp(by_statement, 0).confidence_interval()
    assert row.difference[:3] == pytest.approx((by_statement.mean(), oracle.low, oracle.high))
    assert row.standard_error == pytest.approx(by_statement.std(ddof=1) / math.sqrt(8))
    same = before.responses["choice"] == after.responses["choice"]
    by_item = same.to_numpy().reshape(4, 40).mean(axis=0)
    agreed = mean_interval(by_item, clusters=np.repeat(np.arange(8), 5), limits=(0, 1))
    assert compare(before, after).agreement == pytest.approx(agreed)


def test_only_shared_conditions_count_and_the_rest_is_told(likert: Inventory) -> None:
    wide = run_at(likert, 2, "wide", Design(templates=("letters", "digits", "words")))
    narrow = run_at(likert, 3, "narrow", Design(templates=("words", "first-person")))
    found = compare(wide, narrow)
    assert (found.matched, found.unmatched_first, found.unmatched_second) == (32, 64, 32)
    with pytest.raises(UsageError, match="share no usable answer"):
        compare(run_at(likert, 2, "a", Design(templates=("words",))), run_at(likert, 2, "b"))


def test_runs_of_one_persona_each_are_compared_across_personas(likert: Inventory) -> None:
    def as_persona(name: str) -> Run:
        persona = TraitLevels.parse(f"extraversion={name}")
        level = 4 if name == "high" else 2
        return measure(
            ScriptedRespondent(lambda question: shares(level)),
            likert,
            Design(personas=(persona.name,)),
            personas=[persona],
            progress=None,
        )

    assert compare(as_persona("low"), as_persona("high")).matched == 64


def test_other_inventories_are_refused(likert: Inventory, situational: Inventory) -> None:
    other = measure(ScriptedRespondent(lambda question: 0), situational, progress=None)
    with pytest.raises(
        UsageError, match=r"likert 1 .* and situational 1 .* not the same questions"
    ):
        compare(run_at(likert, 2, "a"), other)


def test_runs_from_disk_compare_alike(likert: Inventory, tmp_path: Path) -> None:
    script = ScriptedRespondent(lambda question: question.item % 5)
    kept = measure(script, likert, None, tmp_path / "run", progress=None)
    base = run_at(likert, 2, "base")
    assert (
        compare(base, kept).to_frame().equals(compare(base, read_run(tmp_path / "run")).to_frame())
    )
