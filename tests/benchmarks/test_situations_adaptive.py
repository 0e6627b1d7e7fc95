from __future__ import annotations

import numpy as np

from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from benchmarks.situations_adaptive import answering_as, other_personas, rows


def _some(inventory: Inventory) -> Inventory:
    """Two of the traits."""
    items = [item for item in inventory.items if item.trait in "OE"]
    traits = [trait for trait in inventory.traits if trait.code in "OE"]
    return inventory.model_copy(update={"items": items, "traits": traits})


def test_the_rows_come_from_other_personas_than_the_calibration() -> None:
    bank = _some(load_inventory("situations-320"))

    def answer(question: Question) -> list[float]:
        item = bank.item(question.item)
        persona = question.condition.persona + item.trait
        level = sum(map(ord, persona)) % 17 / 4 - 2
        asked.add(question.condition.persona)
        rng = np.random.default_rng(item.number)
        p = 1 / (1 + np.exp(-rng.uniform(0.8, 2) * (level - rng.normal(0, 0.7))))
        noise = np.random.default_rng([item.number, *persona.encode()])
        p = float(noise.beta(4 * p, 4 * (1 - p)))
        return [0.7 * p, 0.3 * p, 0.5 * (1 - p), 0.5 * (1 - p)]

    asked: set[str] = set()
    found = {
        row.id.partition(".")[2]: row
        for row in rows(ScriptedRespondent(answer), bank, calibrated=15, tested=6)
    }
    controls = {"random_items", "nothing_asked", "correlation"}
    assert set(found) == {"score_difference", "items_used", "coverage", *controls}
    assert len({name for name in asked if name.startswith("calibration-")}) == 15
    assert len({name for name in asked if name.startswith("tested-")}) == 6
    for row in found.values():
        assert row.low <= row.value <= row.high
    assert found["score_difference"].value < 3
    # These personas differ widely: asking nothing cannot do, and a random choice does worse.
    assert found["nothing_asked"].value > 5 * found["score_difference"].value
    assert found["random_items"].value > found["score_difference"].value
    assert found["correlation"].value > 0.95
    assert 1 / 40 < found["items_used"].value <= 0.4
    taken = other_personas(bank, 30, [], seed=2)
    again = other_personas(bank, 30, taken, seed=2)
    assert not {tuple(p.levels.values()) for p in taken} & {tuple(p.levels.values()) for p in again}


def test_what_was_answered_is_answered_again() -> None:
    from allport.administration import Design, measure

    bank = _some(load_inventory("situations-320"))
    design = Design(templates=("advice-after",), items=bank.numbers[:3])
    first = ScriptedRespondent(lambda q: None if q.item == 1 else [0.1, 0.2, 0.3, 0.4], "someone")
    run = measure(first, bank, design, progress=None)
    again = measure(answering_as(run), bank, design, progress=None)
    assert again.record.respondent == "someone"
    columns = ["item", "choice", "probabilities", "refused"]
    assert again.responses.select(columns).equals(run.responses.select(columns))
