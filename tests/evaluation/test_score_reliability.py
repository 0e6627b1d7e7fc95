from __future__ import annotations

import numpy as np
from tests.planted_situations import situation_bank

from allport.administration import Design, measure
from allport.evaluation.score_reliability import ScoreReliability, reliability_by_trait
from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question
from allport.models.scripted import Script, ScriptedRespondent
from allport.psychometrics import standard_error_of_mean

BANK = situation_bank({"A": 4, "Mach": 4}, situations=3)
TEMPLATES = ("advice-after", "advice-before")


def steady(question: Question) -> list[float]:
    """By content, each item a little differently."""
    high = 0.6 + np.random.default_rng(question.item).normal(0, 0.05)
    return [high * 0.7, high * 0.3, (1 - high) * 0.6, (1 - high) * 0.4]


def reliability(script: Script, inventory: Inventory) -> dict[str, ScoreReliability]:
    templates = ("letters", "digits") if inventory.scale else TEMPLATES
    run = measure(ScriptedRespondent(script), inventory, Design(templates=templates), progress=None)
    return reliability_by_trait(run.responses, inventory)


def test_statements_of_unlike_numbers_are_made_alike() -> None:
    uneven = BANK.model_copy(update={"items": BANK.items[1:]})
    found = reliability(steady, uneven)
    trait = found["A"]
    assert trait.components is not None
    assert dict(trait.components.levels) == {"statement": 3, "item": 3, "template": 2, "order": 4}
    assert trait.left_out == 2
    # The score is still of all eleven items.
    asked = {"statement": 4, "item": 11 / 4}
    assert trait.error.value == standard_error_of_mean(trait.components, asked)
    assert found["Mach"].left_out == 0


def test_one_item_a_trait_is_said_by_name() -> None:
    first = {item.trait: item for item in reversed(BANK.items)}
    single = BANK.model_copy(update={"items": tuple(first.values())})
    for trait in reliability(steady, single).values():
        assert trait.components is None
        assert "Facet item has 1 level" in trait.error.reason


def test_orders_of_options_are_a_sample_of_many() -> None:
    by_order = {order: n for n, order in enumerate(("0132", "1203", "2310", "3021"))}

    def leaning(question: Question) -> list[float]:
        high = 0.2 + 0.2 * by_order[question.condition.order]
        return [high / 2, high / 2, (1 - high) / 2, (1 - high) / 2]

    trait = reliability(leaning, BANK)["A"]
    # Four orders that differ by steps of 20 points: the SD of their mean is 25.8 / 2.
    assert abs(trait.error.value - np.std([20, 40, 60, 80], ddof=1) / 2) < 0.01
    assert trait.needed is None


def test_both_orders_of_a_scale_are_all_there_are() -> None:
    likert = load_inventory("mini-ipip-20")

    def leaning(question: Question) -> int:
        high = 4 if likert.item(question.item).key == 1 else 0
        return high if question.condition.order == "forward" else 2

    found = reliability(leaning, likert)
    assert max(trait.error.value for trait in found.values()) < 1e-6
    needed = found["E"].needed
    assert needed is not None
    assert set(needed) == {"item", "template"}


def scattered(bank: Inventory, seed: int) -> Script:
    """Statements scatter by 8 points and their items by 6, the same however they are asked."""
    rng = np.random.default_rng(seed)
    clusters = dict.fromkeys(item.cluster for item in bank.items)
    of_statement = {cluster: rng.normal(0, 0.08) for cluster in clusters}
    share = {i.number: 0.5 + of_statement[i.cluster] + rng.normal(0, 0.06) for i in bank.items}

    def answer(question: Question) -> list[float]:
        high = share[question.item]
        return [high / 2, high / 2, (1 - high) / 2, (1 - high) / 2]

    return answer


def test_the_interval_of_a_standard_error_holds_the_true_one() -> None:
    whole = load_inventory("situations-320")
    bank = whole.model_copy(update={"items": [item for item in whole.items if item.trait == "E"]})
    truth = 100 * np.hypot(0.08 / np.sqrt(8), 0.06 / np.sqrt(40))
    errors = [reliability(scattered(bank, seed), bank)["E"].error for seed in range(80)]
    held = np.mean([error.low <= truth <= error.high for error in errors])
    assert 0.88 <= held <= 0.99
    # Not by saying nothing: eight statements leave a factor of two or so to either side.
    assert np.median([error.high / error.low for error in errors]) < 6
