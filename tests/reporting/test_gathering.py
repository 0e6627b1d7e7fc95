from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import polars as pl
import pytest

from allport.administration import Design, Run, measure, profile
from allport.errors import ResponsesError, UsageError
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.personas import TraitLevels
from allport.psychometrics.estimate import Estimate
from allport.reporting import ReportContent, run_content
from allport.reporting.content import percentile_of, t_of, to_json, unusable_share
from allport.reporting.gathering import run_content as gather


@pytest.fixture(scope="module")
def content(neo_run: Run) -> ReportContent:
    return run_content(neo_run)


def test_subject_is_the_profile_of_the_run(neo_run: Run, content: ReportContent) -> None:
    found = profile(neo_run.responses, neo_run.inventory)
    (subject,) = content.subjects
    assert [row.score for row in subject.traits] == [row.score for row in found.traits]
    assert [row.code for row in subject.facets] == [row.code for row in found.facets]
    assert subject.norm_group == found.norm_group.label if found.norm_group else False
    assert content.cautions == found.cautions


def test_item_rows_are_means_over_conditions(neo_run: Run, content: ReportContent) -> None:
    for row in content.items[::17]:
        own = neo_run.responses.filter(pl.col("item") == row.number)
        assert row.mean == pytest.approx(own["expected_literal"].mean())
        shares = np.mean(own["probabilities"].to_list(), axis=0)
        assert row.distribution == pytest.approx(tuple(shares))
        assert row.mean == pytest.approx(float(shares @ np.arange(1, 6)))
        assert row.label_mass == pytest.approx(0.97)
        assert (row.asked, row.refused, row.unparsable) == (4, 0, 0)


def test_changed_counts_pairs_of_conditions(neo_run: Run, content: ReportContent) -> None:
    for row in content.items[::11]:
        choices = neo_run.responses.filter(pl.col("item") == row.number)["choice"].to_list()
        pairs = [(a, b) for i, a in enumerate(choices) for b in choices[i + 1 :]]
        assert row.changed == pytest.approx(np.mean([a != b for a, b in pairs]))


def test_condition_rows_are_the_scores_of_administrations(
    neo_run: Run, content: ReportContent
) -> None:
    assert len(content.conditions) == 4
    for row in content.conditions:
        own = neo_run.responses.filter(
            (pl.col("template") == row.template) & (pl.col("order") == row.order)
        )
        for trait, score in row.scores.items():
            mean = own.filter(pl.col("trait") == trait)["expected_keyed"].mean()
            assert score == pytest.approx(mean)
        assert row.answered == 1


def test_refused_items_have_counts_and_no_mean(refusing_run: Run) -> None:
    content = run_content(refusing_run)
    odd = [item for item in content.items if item.number % 2]
    assert len(odd) == 10
    for item in odd:
        assert (item.asked, item.refused) == (4, 4)
        assert math.isnan(item.mean)
        assert item.distribution == ()
    assert all(answer.refused for answer in content.unusable)
    assert all(row.answered == 0.5 for row in content.conditions)


def test_each_persona_is_a_subject() -> None:
    inventory = load_inventory("mini-ipip-20")
    personas = [TraitLevels({"E": 0.9}, "bold"), TraitLevels({"E": -0.9}, "shy")]
    from allport.models.scripted import ScriptedRespondent

    respondent = ScriptedRespondent(lambda q: 4 if q.condition.persona == "bold" else 0, "m")
    design = Design(personas=("bold", "shy"))
    run = measure(respondent, inventory, design, personas=personas, progress=None)
    content = gather(run)
    assert [subject.name for subject in content.subjects] == ["m as bold", "m as shy"]
    assert {row.subject for row in content.conditions} == {"m as bold", "m as shy"}
    assert all(item.mean == 5 for item in content.items)
    facts = {fact.name: fact.value for fact in content.facts}
    assert "2 personas (bold, shy)" in facts["Design"]
    assert "outgoing" in facts["Persona bold"]


def test_personas_whose_names_are_alike_once_cut_keep_conditions_of_their_own() -> None:
    inventory = load_inventory("mini-ipip-20")
    names = tuple("p" * 80 + end for end in ("loud", "calm"))
    personas = [TraitLevels({"E": 0.9}, names[0]), TraitLevels({"E": -0.9}, names[1])]
    from allport.models.scripted import ScriptedRespondent

    def agree(question: Question) -> int:
        loud = question.condition.persona == names[0]
        return 4 if loud == (inventory.item(question.item).key == 1) else 0

    respondent = ScriptedRespondent(agree, "m")
    design = Design(personas=names, templates=("letters",))
    content = gather(measure(respondent, inventory, design, personas=personas, progress=None))
    first, second = (subject.name for subject in content.subjects)
    assert second == f"{first} (2)"
    scores = {
        name: {row.scores["E"] for row in content.conditions if row.subject == name}
        for name in (first, second)
    }
    assert scores == {
        subject.name: {row.score.value for row in subject.traits if row.code == "E"}
        for subject in content.subjects
    }
    assert scores[first] != scores[second]


def test_unfinished_run_says_how_much_is_left(neo_run: Run) -> None:
    part = dataclasses.replace(neo_run, responses=neo_run.responses.head(300))
    assert "180 questions have no response yet" in run_content(part).cautions[0]


def test_empty_run_cannot_be_reported(neo_run: Run) -> None:
    nothing = dataclasses.replace(neo_run, responses=neo_run.responses.head(0))
    with pytest.raises(ResponsesError, match="no responses"):
        run_content(nothing)


def test_unknown_norm_group_is_refused(neo_run: Run) -> None:
    with pytest.raises(UsageError, match="martians"):
        run_content(neo_run, norm="martians")


def test_norm_group_changes_percentiles_and_not_scores(neo_run: Run) -> None:
    (women,) = run_content(neo_run, norm="women-21-40").subjects
    (men,) = run_content(neo_run, norm="men-over-60").subjects
    assert women.norm_group == "women aged 21 to 40"
    for one, other in zip(women.traits, men.traits, strict=True):
        assert one.score == other.score
        assert percentile_of(one).value != percentile_of(other).value


def test_without_norms_there_is_no_t(neo_run: Run) -> None:
    content = run_content(neo_run, norm=None)
    assert not content.has_norms
    assert t_of(content.subjects[0].traits[0]).reason


def test_facts_are_enough_to_make_the_run_again(neo_run: Run, content: ReportContent) -> None:
    facts = {fact.name: fact.value for fact in content.facts}
    assert facts["Respondent"] == "by-rule"
    assert facts["Design"] == "2 templates (letters, digits) × 2 orders (forward, reversed)"
    assert facts["Inventory hash"] == neo_run.inventory.content_hash
    assert facts["Responses"] == "480 of 480"
    assert facts["Seed"] == "0"


def test_unusable_share() -> None:
    from allport.administration.profiles import Usability

    class Row:
        usability = Usability(8, 1, 1, 2, math.nan, math.nan)

    assert unusable_share(Row()) == 0.5  # type: ignore[arg-type]  # only this field is read


def test_json_holds_no_nan_and_keeps_reasons(content: ReportContent) -> None:
    text = json.dumps(to_json(content), allow_nan=False)
    assert json.loads(text)["n_items"] == 120
    assert to_json(Estimate(math.nan, math.nan, math.nan, "why")) == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "why",
    }
    assert to_json({"a": (np.float64("nan"), np.array([1.5, np.inf]))}) == {
        "a": [None, [1.5, None]]
    }
