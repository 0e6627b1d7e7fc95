from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from allport.administration import Run, score
from allport.errors import UsageError
from allport.inventories import Inventory, load_inventory, norm_scores
from allport.personas import Person
from allport.reporting import (
    answers_of,
    people_subjects,
    person_subject,
    print_profile,
    run_content,
)
from allport.reporting.content import t_of, unusable_share


@pytest.fixture(scope="module")
def neo() -> Inventory:
    return load_inventory("ipip-neo-120")


def printed(
    run: Run, *, width: int = 120, facets: bool = False, norm: str | None = "default"
) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, markup=False, highlight=False)
    print_profile(console, run_content(run, norm=norm), facets=facets)
    return stream.getvalue()


def test_person_is_scored_by_the_own_norms(neo: Inventory) -> None:
    answers = dict.fromkeys(neo.numbers, 3.0)
    subject = person_subject(Person("p", neo, answers, sex="male", age=30))
    expected = norm_scores(neo, {"N": 72.0, "C": 72.0}, "male", 30).scores
    by_code = {row.code: row for row in subject.traits}
    assert by_code["N"].raw.value == 72
    assert by_code["N"].norm is not None
    assert by_code["N"].norm.t == pytest.approx(expected["N"].t)
    assert subject.norm_group == "men aged 21 to 40"
    assert [row.code for row in subject.traits] == list("NEOAC")
    assert len(subject.facets) == 30
    assert {row.trait for row in subject.facets} == set("NEOAC")


def test_person_without_sex_and_age_has_no_norms_unless_a_group_is_named(neo: Inventory) -> None:
    person = Person("p", neo, dict.fromkeys(neo.numbers, 3.0))
    assert math.isnan(t_of(person_subject(person).traits[0]).value)
    named = person_subject(person, norm="both-21-40")
    assert math.isfinite(t_of(named.traits[0]).value)
    with pytest.raises(UsageError, match="nobody"):
        person_subject(person, norm="nobody")


def test_unanswered_items_are_counted_and_not_filled_in(neo: Inventory) -> None:
    answers = {n: 4.0 for n in neo.numbers if neo.item(n).facet != "N1"}
    subject = person_subject(Person("p", neo, answers, sex="female", age=50))
    anxiety = next(row for row in subject.facets if row.code == "N1")
    assert math.isnan(anxiety.score.value)
    assert unusable_share(anxiety) == 1
    neuroticism = next(row for row in subject.traits if row.code == "N")
    assert neuroticism.usability.missing == 4
    assert unusable_share(neuroticism) == pytest.approx(4 / 24)


def test_intervals_stay_on_the_scale_and_alike_answers_have_none(neo: Inventory) -> None:
    answers = {n: 5.0 if neo.item(n).key > 0 else 1.0 for n in neo.numbers}
    first_of_a1 = next(item for item in neo.items if item.facet == "A1")
    answers[first_of_a1.number] = 3.0
    subject = person_subject(Person("p", neo, answers, sex="female", age=50))
    for row in (*subject.traits, *subject.facets):
        mixed = row.code in ("A", "A1")
        assert math.isfinite(row.score.low) == mixed
        assert row.norm is not None
        assert math.isfinite(row.norm.t_low) == mixed
        assert bool(row.score.reason) != mixed
        if mixed:
            assert row.score.low < row.score.value <= row.score.high <= 5


def test_intervals_of_a_person_are_students_on_the_screen_as_in_files(neo: Inventory) -> None:
    answers = {number: float(2 + number % 3) for number in neo.numbers}
    person = Person("p", neo, answers, sex="female", age=50)
    files = {row["code"]: row for row in score(answers_of(person)).scores.to_dicts()}
    subject = person_subject(person)
    for row in (*subject.traits, *subject.facets):
        keyed = answers_of(person).keyed[0, neo.columns(row.code)]
        file = files[row.code]
        assert row.norm is not None
        if np.ptp(keyed) == 0:
            assert file["t_low"] is file["standard_error"] is None
            assert math.isnan(row.score.low)
            continue
        ends = stats.ttest_1samp(keyed, 0).confidence_interval()
        assert row.score.low == pytest.approx(max(1, ends.low))
        assert row.score.high == pytest.approx(min(5, ends.high))
        assert (row.norm.t_low, row.norm.t_high) == (file["t_low"], file["t_high"])
        assert row.raw.high == pytest.approx(ends.high * keyed.size)


def test_answers_of_a_person_keep_the_options_chosen() -> None:
    whole = load_inventory("situations-320")
    bank = whole.model_copy(update={"items": whole.items[:4]})
    values = {item.number: item.options[1].value for item in bank.items}
    chosen = dict.fromkeys(values, 1)
    known = answers_of(Person("p", bank, values, choices=chosen))
    assert known.choices.tolist() == [[1.0] * 4]
    assert np.isnan(answers_of(Person("p", bank, values)).choices).all()


def test_answers_of_a_person_stay_literal(neo: Inventory) -> None:
    answers = {number: float(1 + number % 5) for number in neo.numbers}
    literal = answers_of(Person("p", neo, answers)).literal
    assert literal[0].tolist() == list(answers.values())


def test_most_people_limits_how_many_are_shown(neo: Inventory) -> None:
    answers = answers_of(Person("p", neo, dict.fromkeys(neo.numbers, 2.0)))
    scores = score(answers)
    assert len(people_subjects(scores, neo, most=1)) == 1


def test_profile_table_shows_each_trait_with_its_interval(neo_run: Run) -> None:
    text = printed(neo_run)
    for head in ("Trait", "Score", "95% interval", "Percentile", "Alpha", "Order flips", "Refused"):
        assert head in text
    (subject,) = run_content(neo_run).subjects
    for row in subject.traits:
        line = next(line for line in text.splitlines() if row.name in line)
        assert f"{row.score.value:.2f}" in line
        assert f"{row.score.low:.2f} to {row.score.high:.2f}" in line
        assert f"{100 * row.order_flips.raw.value:.0f}%" in line
    assert subject.norm_group in text


def test_facets_stand_under_their_traits_when_asked_for(neo_run: Run) -> None:
    assert "Anxiety" not in printed(neo_run)
    lines = [line.strip().split("  ")[0] for line in printed(neo_run, facets=True).splitlines()]
    assert lines.index("Neuroticism") < lines.index("Anxiety") < lines.index("Extraversion")


def test_cautions_follow_the_table(refusing_run: Run) -> None:
    text = printed(refusing_run, width=300)
    for caution in run_content(refusing_run).cautions:
        assert f"! {caution}" in text


def test_names_from_outside_cannot_act_on_the_terminal(refusing_run: Run) -> None:
    text = printed(refusing_run)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "<b onload=alert(1)>model</b>" in text


def test_without_norms_there_is_no_percentile(mini_run: Run, neo_run: Run) -> None:
    assert "Percentile" not in printed(mini_run)
    assert "Percentile" not in printed(neo_run, norm=None)
