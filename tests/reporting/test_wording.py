from __future__ import annotations

import dataclasses
from typing import Any

from allport.administration import Design, Run, measure
from allport.inventories import load_inventory
from allport.models.scripted import ScriptedRespondent
from allport.personas import Person, TraitLevels
from allport.reporting import person_subject, render_page, run_content
from allport.reporting.wording import (
    adjectives,
    counted,
    lead,
    listed,
    long_date,
    sensitivity_sentence,
)


def flat_run(inventory_name: str, **design: Any) -> Run:
    """A respondent that says the middle to everything."""
    inventory = load_inventory(inventory_name)
    respondent = ScriptedRespondent(lambda question: 2, "flat")
    return measure(respondent, inventory, Design(**design), progress=None)


def test_lists_and_counts() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert counted(1, "item") == "1 item"
    assert counted(1200, "item") == "1,200 items"


def test_dates_are_words() -> None:
    assert long_date("2026-11-20T23:59:59+00:00") == "20 November 2026"


def test_a_part_of_the_items_is_said_to_be_one() -> None:
    run = flat_run("ipip-neo-120", items=tuple(range(1, 31)))
    content = run_content(run)
    assert lead(content)[0].startswith("Asked 30 of the 120 items of IPIP-NEO-120 under 4")
    assert not content.has_norms


def test_scores_that_do_not_differ_are_not_ranked() -> None:
    (sentence,) = lead(run_content(flat_run("mini-ipip-20")))
    assert "about the same on every trait" in sentence
    assert "leaned" not in sentence


def test_adjectives_are_those_of_the_side(neo_run: Run) -> None:
    (subject,) = run_content(neo_run).subjects
    words = {row.code: adjectives(row) for row in subject.traits}
    levels = {row.code: row.norm.level for row in subject.traits if row.norm}
    assert levels["N"] == "low"
    assert words["N"] == "calm, relaxed, even-tempered"
    assert all(words[code] == "" for code, found in levels.items() if found == "average")
    assert all(adjectives(row) == "" for row in subject.facets)


def test_sensitivity_in_words(neo_run: Run, one_condition_run: Run) -> None:
    content = run_content(neo_run)
    rows = content.subjects[0].traits
    share = sum(row.order_flips.raw.value for row in rows) / 5
    assert f"{100 * share:.0f}% of the chosen answers changed" in sensitivity_sentence(content)
    assert "asked in one way only" in sensitivity_sentence(run_content(one_condition_run))


def test_who_shares_a_name_is_told_apart(neo_run: Run) -> None:
    answers = dict.fromkeys(neo_run.inventory.numbers, 4.0)
    twin = person_subject(Person("by-rule", neo_run.inventory, answers))
    content = run_content(neo_run, others=[twin, twin])
    assert [s.name for s in content.subjects] == ["by-rule", "by-rule (2)", "by-rule (3)"]


def test_a_person_with_more_scales_than_were_asked_fits_the_page() -> None:
    run = flat_run("ipip-neo-120", items=tuple(range(1, 31)))
    answers = dict.fromkeys(run.inventory.numbers, 4.0)
    person = person_subject(Person("p", run.inventory, answers, sex="male", age=50))
    content = run_content(run, others=[person])
    # The other way round: the person's rows lead and the model was not asked some of them.
    turned = dataclasses.replace(content, subjects=content.subjects[::-1])
    few = dataclasses.replace(turned.subjects[1], facets=turned.subjects[1].facets[:2])
    page = render_page(dataclasses.replace(turned, subjects=(turned.subjects[0], few)))
    assert page.count("not asked") == 28
    assert render_page(content)


def test_many_personas_are_all_in_the_tables_and_some_in_the_figure() -> None:
    inventory = load_inventory("mini-ipip-20")
    personas = [TraitLevels({"E": level / 10}, f"persona {level}") for level in range(8)]
    respondent = ScriptedRespondent(lambda question: 3, "m")
    design = Design(personas=tuple(p.name for p in personas), templates=("letters",))
    run = measure(respondent, inventory, design, personas=personas, progress=None)
    content = run_content(run)
    page = render_page(content)
    assert len(content.subjects) == 8
    assert "The first 6 of 8 are drawn" in page
    assert "m as persona 7" in page
    assert "4 more are in the tables." in lead(content)[-1]
