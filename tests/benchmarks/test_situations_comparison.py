from __future__ import annotations

import math
from pathlib import Path

import pytest

from allport.evaluation import COLUMNS
from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from benchmarks import situations_comparison
from benchmarks.results import table
from benchmarks.situations_comparison import INVENTORIES, rows


def some(name: str, step: int) -> Inventory:
    whole = load_inventory(name)
    items = whole.items[::step]
    traits = [t for t in whole.traits if any(item.trait == t.code for item in items)]
    facets = [f for f in whole.facets if any(item.facet == f.code for item in items)]
    return whole.model_copy(update={"items": items, "traits": traits, "facets": facets})


def by_place(question: Question) -> int:
    """Whatever is shown first."""
    return question.labels.index(min(question.labels))


def test_every_column_of_every_inventory_is_a_row(tmp_path: Path) -> None:
    banks = [some("mini-ipip-20", 4), some("situations-320", 16)]
    asked = ScriptedRespondent(by_place)
    found = rows(asked, banks, folder=tmp_path)
    metrics = [row.metric for row in found]
    for bank in banks:
        own = [metric for metric in metrics if metric.endswith(f", {bank.name}")]
        assert own[: len(COLUMNS)] == [f"{column}, {bank.name}" for column in COLUMNS]
    assert len({row.id for row in found}) == len(found)
    by_metric = {row.metric: row for row in found}
    assert by_metric["order sensitivity, situations-320"].value == 100
    assert by_metric["order sensitivity over chance, situations-320"].value > 0.9
    assert 0.5 < by_metric["order sensitivity of sides over chance, situations-320"].value < 1.5
    assert by_metric["refusal, generated, situations-320"].value == 0
    assert by_metric["score difference, mini-ipip-20"].value == pytest.approx(0)
    assert math.isnan(by_metric["paraphrase sensitivity, mini-ipip-20"].value)
    shown = table(found, situations_comparison.LAYOUT).split("\n")
    assert shown[0] == "| | mini-ipip-20 | situations-320 |"
    assert len(shown) == 2 + len(COLUMNS) + 6
    times = sum(asked.asked.values())
    assert [row.metric for row in rows(asked, banks, folder=tmp_path)] == list(by_metric)
    assert sum(asked.asked.values()) == times  # what is kept is not asked again


def test_the_inventories_compared_ship() -> None:
    assert len(INVENTORIES) >= 4
    assert all(load_inventory(name).require_text().items for name in INVENTORIES)
