from __future__ import annotations

import dataclasses

import pytest

from allport.administration import Design, Run, fitted_among, fitted_items_asked, measure
from allport.corpora import short_form_numbers
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.models.scripted import ScriptedRespondent


def test_items_of_the_same_inventory_are_told_by_number(likert: Inventory) -> None:
    fitted = [{"inventory": "likert", "items": [7, 2]}]
    assert fitted_among(fitted, likert) == (2, 7)
    assert fitted_among([], likert) == ()


def test_items_of_another_inventory_are_told_by_what_they_say() -> None:
    short, long = load_inventory("ipip-neo-120"), load_inventory("ipip-neo-300")
    numbers = short_form_numbers(long, short)
    fitted = [{"inventory": long.name, "items": list(numbers.values())}]
    assert fitted_among(fitted, short) == short.numbers
    some = [{"inventory": short.name, "items": [1, 5]}]
    assert set(fitted_among(some, long)) == {numbers[1], numbers[5]}


def test_the_markers_share_items_with_the_short_form() -> None:
    # As docs/person.md says.
    short = load_inventory("ipip-neo-120")
    fitted = [{"inventory": short.name, "items": list(short.numbers)}]
    assert len(fitted_among(fitted, load_inventory("big-five-markers-50"))) == 14
    assert len(fitted_among(fitted, load_inventory("mini-ipip-20"))) == 6


def test_several_are_put_together_and_unknown_inventories_pass(likert: Inventory) -> None:
    fitted = [
        {"inventory": "likert", "items": [1]},
        {"inventory": "likert", "items": [3]},
        {"inventory": "nobody knows", "items": [4]},
    ]
    assert fitted_among(fitted, likert) == (1, 3)


@pytest.mark.parametrize("items", [(), (1, 2, 3, 9)])
def test_only_items_that_were_asked_count(likert: Inventory, items: tuple[int, ...]) -> None:
    design = Design(templates=("letters",), items=items)
    run = measure(ScriptedRespondent(lambda _: 2), likert, design, progress=None)
    assert fitted_items_asked(run) == ()  # a run that says nothing of an alignment
    aligned = with_fitted(run, [2, 9, 16])
    assert fitted_items_asked(aligned) == ((2, 9) if items else (2, 9, 16))


def with_fitted(run: Run, items: list[int]) -> Run:
    """The run, as of a model that was aligned on some items."""
    fitted_on = [{"inventory": run.inventory.name, "items": items}]
    description = {**run.record.description, "steering": {"fitted_on": fitted_on}}
    record = dataclasses.replace(run.record, description=description)
    return dataclasses.replace(run, record=record)
