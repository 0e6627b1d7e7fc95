from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from tests.planted_situations import situation_bank

from allport.administration.templates import standard_templates
from allport.errors import ResponsesError, UsageError
from allport.evaluation import COLUMNS, ItemEvaluation, evaluate_items, item_diversity
from allport.inventories import Trait, load_inventory
from allport.models import HumanAnswers
from allport.models.respondent import Question, Response
from allport.models.scripted import ScriptedRespondent
from allport.psychometrics.intervals import mean_interval

BANK = situation_bank({"A": 4, "Mach": 4}, situations=3)
STATEMENTS = list(dict.fromkeys(item.cluster for item in BANK.items))


def steady(question: Question) -> list[float]:
    """By content: agreeable as asked, and the other trait the other way round."""
    item = BANK.item(question.item)
    persona = question.condition.persona
    level = {"A+1": 0.9, "A-1": 0.1, "Mach+1": 0.3, "Mach-1": 0.7}.get(persona, 0.6)
    high = level if item.trait == "A" else 1 - level
    rng = np.random.default_rng(item.number)
    high = float(np.clip(high + rng.normal(0, 0.05), 0.01, 0.99))
    return [high * 0.7, high * 0.3, (1 - high) * 0.6, (1 - high) * 0.4]


@pytest.fixture(scope="module")
def found() -> ItemEvaluation:
    return evaluate_items(ScriptedRespondent(steady), BANK)


def test_a_steady_respondent_has_no_sensitivity_and_moves_as_asked(found: ItemEvaluation) -> None:
    assert tuple(found.columns) == COLUMNS
    for name in ("prompt", "order", "paraphrase"):
        assert found.columns[f"{name} sensitivity"].value == 0
    assert found.columns["refusal, labels"].value == 0
    assert found.columns["refusal, generated"].value == 0
    assert found.moved["A"]["A"].value == pytest.approx(80, abs=4)
    assert found.moved["A"]["Mach"].value == pytest.approx(-80, abs=4)
    assert found.moved["Mach"]["Mach"].value == pytest.approx(40, abs=4)
    assert found.moved["A"]["A"].low < found.moved["A"]["A"].value < found.moved["A"]["A"].high
    # Four statements that all move tell of others by Wilson's lower limit, n / (n + z^2).
    for end in ("high", "low"):
        share = found.reached["A"][end]
        assert share[:3] == pytest.approx((100, 100 * 4 / (4 + 1.96**2), 100), abs=0.01)
    assert found.correlations["A"]["Mach"].value < -0.95
    assert found.correlations["A"]["Mach"].high < found.correlations["A"]["A"].value
    assert found.columns["score difference"].value == pytest.approx(60, abs=4)
    assert (found.items, found.statements) == (24, 8)
    assert found.unanswered == 0
    assert found.position.coefficient.value == pytest.approx(0)


def test_all_variance_of_a_steady_respondent_is_of_items(found: ItemEvaluation) -> None:
    trait = found.reliability["A"]
    assert trait.components is not None
    shares = trait.components.shares
    assert shares["statement", "item"] + shares["statement",] == pytest.approx(1)
    assert trait.error.value > 0
    assert trait.needed is not None
    assert (trait.needed["template"], trait.needed["order"]) == (1, 1)
    assert trait.left_out == 0


def test_what_personas_move_is_over_templates_and_free_of_what_labels_add() -> None:
    def answer(question: Question) -> list[float]:
        given = np.array(steady(question))
        if question.condition.persona and question.condition.template == "advice-before":
            given = np.array([0.35, 0.15, 0.3, 0.2])
        given[int(question.condition.order[0])] *= 20
        return (given / given.sum()).tolist()  # type: ignore[no-any-return]  # an array's own

    respondent = ScriptedRespondent(answer)
    found = evaluate_items(respondent, BANK, generate=False)
    assert {q.condition.template for q in respondent.asked if q.condition.persona} == {
        *standard_templates(BANK)
    }
    # Two of three templates say 9 to 1 and one says nothing, and log odds are averaged.
    odds = 9 ** (2 / 3)
    assert found.moved["A"]["A"].value == pytest.approx(100 * (odds - 1) / (odds + 1), abs=4)


def test_choosing_by_place_is_seen_as_order_sensitivity() -> None:
    def first(question: Question) -> int:
        return question.labels.index(min(question.labels))

    found = evaluate_items(ScriptedRespondent(first), BANK, generate=False)
    order = found.sensitivity["order"]
    # In a Williams square each option stands first once, so any two orders choose differently.
    assert order.option.value == 100
    assert order.corrected.value > 0.9
    # Two of the six pairs of orders put options of one side first.
    assert order.side.value == pytest.approx(100 * 4 / 6)
    assert order.side_corrected.value == pytest.approx(order.side.value / order.side_chance)
    # From the first place to the last an option loses what it can: whatever is first is chosen.
    assert found.position.displacement.value == pytest.approx(-1)
    assert found.columns["score difference"].value == 0
    assert math.isnan(found.columns["refusal, generated"].value)
    assert found.columns["refusal, generated"].reason


def test_answers_that_cannot_be_read_are_counted() -> None:
    def mute(question: Question) -> list[float] | None:
        return None if question.reading == "generation" else [0.25] * 4

    found = evaluate_items(ScriptedRespondent(mute), BANK)
    # Nothing varies over the eight statements: Wilson's lower limit is n / (n + z^2).
    for share in (found.columns["refusal, generated"], found.refused):
        assert share[:3] == pytest.approx((100, 100 * 8 / (8 + 1.96**2), 100), abs=0.01)


def test_unusable_generated_answers_are_uncertain_by_statements() -> None:
    def hushed(question: Question) -> list[float] | None:
        spoken = BANK.item(question.item).cluster not in STATEMENTS[:2]
        return [0.25] * 4 if spoken or question.reading != "generation" else None

    found = evaluate_items(ScriptedRespondent(hushed), BANK).columns["refusal, generated"]
    assert found.value == 25
    # The three situations of a statement go together: 24 separate items would make it 34 wide.
    alone = mean_interval([100.0] * 2 + [0.0] * 6)
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert found.high - found.low > 45


def test_who_tells_no_label_mass_tells_none_by_not_answering() -> None:
    def untold(question: Question) -> Response | None:
        if question.item == BANK.numbers[0]:
            return None
        return Response(question.item, question.condition, None, 1, math.nan)

    found = evaluate_items(ScriptedRespondent(untold), BANK, generate=False)
    assert found.unanswered == 24 + 48
    for share in (found.columns["refusal, labels"], *found.low_mass.values()):
        assert math.isnan(share.value)
        assert share.reason == "the respondent does not tell the probabilities of labels"


def test_the_score_difference_is_uncertain_by_its_statements_and_not_by_its_traits() -> None:
    def scattered(question: Question) -> list[float]:
        item = BANK.item(question.item)
        rng = np.random.default_rng(item.number)
        half = (0.4 if item.trait == "A" else 0.2) + rng.normal(0, 0.03)
        asked = {f"{item.trait}+1": half, f"{item.trait}-1": -half}
        high = 0.5 + asked.get(question.condition.persona, 0.0)
        return [high * 0.7, high * 0.3, (1 - high) * 0.6, (1 - high) * 0.4]

    found = evaluate_items(ScriptedRespondent(scattered), BANK, generate=False)
    # The traits move by 80 and by 40; the items of each by nearly the same.
    whole = found.columns["score difference"]
    assert 55 < whole.low < whole.value < whole.high < 65
    each = [found.moved[code][code] for code in ("A", "Mach")]
    # Of a trait's four statements the interval is Student's, which tells its standard error.
    errors = [(estimate.high - estimate.low) / 2 / stats.t.ppf(0.975, 3) for estimate in each]
    freedom = sum(e**2 for e in errors) ** 2 / sum(e**4 / 3 for e in errors)
    width = stats.t.ppf(0.975, freedom) * math.hypot(*errors) / 2
    assert (whole.low, whole.high) == pytest.approx((whole.value - width, whole.value + width))


def test_the_share_that_reaches_the_side_asked_for_is_uncertain_by_statements() -> None:
    resists = {STATEMENTS[0]}

    def stubborn(question: Question) -> list[float]:
        if BANK.item(question.item).cluster in resists:
            return [0.3, 0.3, 0.2, 0.2]
        return steady(question)

    found = evaluate_items(ScriptedRespondent(stubborn), BANK, generate=False).reached["A"]
    assert found["high"].value == 100
    # One statement of four, with its three situations.
    alone = mean_interval([0.0, *[100.0] * 3], limits=(0, 100))
    assert found["low"][:3] == pytest.approx(alone[:3])
    assert found["low"].low < 30


def test_missing_answers_are_counted_and_left_out() -> None:
    silent, hushed = BANK.numbers[0], BANK.numbers[1]

    def some(question: Question) -> list[float] | None:
        if question.item == silent or (question.item == hushed and question.condition.persona):
            return None
        return steady(question)

    found = evaluate_items(ScriptedRespondent(some), BANK, generate=False)
    # One item in 3 templates x 4 orders x 2 wordings, and two as four personas in 3 x 4.
    assert found.unanswered == 24 + 2 * 48
    assert found.asked == 24 * (24 + 48)
    assert found.columns["refusal, labels"].value == pytest.approx(100 / 24)
    assert found.low_mass["1/4"].value == pytest.approx(100 / 24)
    assert [found.reached["A"][end].value for end in ("high", "low")] == [100, 100]
    assert found.moved["A"]["A"].value == pytest.approx(80, abs=4)
    assert found.correlations["A"]["Mach"].value < -0.95
    trait = found.reliability["A"]
    assert trait.components is not None
    assert dict(trait.components.levels) == {"statement": 3, "item": 3, "template": 3, "order": 4}
    assert trait.left_out == 3
    assert found.reliability["Mach"].left_out == 0


def test_who_answers_nothing_gets_reasons_and_no_figures() -> None:
    found = evaluate_items(ScriptedRespondent(lambda q: None), BANK, generate=False)
    assert found.unanswered == found.asked
    assert found.columns["refusal, labels"].value == 100
    assert math.isnan(found.columns["score difference"].value)
    assert math.isnan(found.reached["A"]["high"].value)
    assert found.reached["A"]["high"].reason == "no item was answered"
    assert "0 personas" in found.correlations["A"]["Mach"].reason
    assert "12 of 12 items have a missing answer" in found.reliability["A"].error.reason


def test_likert_inventories_take_the_same_columns() -> None:
    inventory = load_inventory("mini-ipip-20")
    found = evaluate_items(ScriptedRespondent(lambda q: 3), inventory)
    assert found.columns["order sensitivity"].value == 0
    assert math.isnan(found.columns["paraphrase sensitivity"].value)
    assert "one form only" in found.columns["paraphrase sensitivity"].reason
    assert set(found.moved) == set("NEOAC")


def test_items_that_say_the_same_are_not_diverse() -> None:
    inventory = load_inventory("mini-ipip-20")
    first = {item.trait: item.text for item in reversed(inventory.items)}
    same = inventory.model_copy(
        update={
            "items": tuple(
                item.model_copy(update={"text": first[item.trait]}) for item in inventory.items
            )
        }
    )
    assert item_diversity(same).value == pytest.approx(0, abs=1e-9)
    assert 50 < item_diversity(inventory).value <= 100


def test_people_cannot_be_asked_again() -> None:
    likert = load_inventory("mini-ipip-20")
    people = HumanAnswers("ours", likert, pl.DataFrame({"id": ["a"]}), np.full((1, 20), 3.0))
    with pytest.raises(UsageError, match="ours holds answers of people, who cannot be asked again"):
        evaluate_items(people, likert)


def test_traits_without_a_persona_are_refused() -> None:
    other = BANK.model_copy(
        update={
            "traits": (Trait(code="X", name="X"),),
            "items": tuple(i.model_copy(update={"trait": "X"}) for i in BANK.items),
        }
    )
    with pytest.raises(ResponsesError, match="measures none of the Big Five or the dark triad"):
        evaluate_items(ScriptedRespondent(steady), other)
