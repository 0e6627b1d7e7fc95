from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from allport.administration.design import Design
from allport.errors import RunError, UsageError
from allport.inventories.inventory import Inventory


def test_two_templates_by_two_orders_by_default(likert: Inventory) -> None:
    conditions = Design().conditions(likert)
    assert {(c.template, c.order) for c in conditions} == {
        ("letters", "forward"),
        ("letters", "reversed"),
        ("digits", "forward"),
        ("digits", "reversed"),
    }
    assert {(c.form, c.persona, c.repeat) for c in conditions} == {("original", "", 0)}


def test_a_full_design_crosses_every_factor(likert: Inventory) -> None:
    design = Design(templates=("letters", "digits", "words"), personas=("", "ann"), repeats=2)
    conditions = design.conditions(likert)
    assert len(conditions) == len(set(conditions)) == 3 * 2 * 2 * 2


def test_a_fraction_uses_levels_and_pairs_evenly(likert: Inventory) -> None:
    design = Design(templates=("letters", "digits"), repeats=2, fraction=0.5, seed=3)
    conditions = design.conditions(likert)
    assert len(conditions) == 4
    for pair in ("template order", "template repeat", "order repeat"):
        one, other = pair.split()
        used = Counter((getattr(c, one), getattr(c, other)) for c in conditions)
        assert set(used.values()) == {1}
        assert len(used) == 4


def test_a_fraction_that_would_drop_a_level_is_refused(likert: Inventory) -> None:
    design = Design(personas=("a", "b", "c", "d", "e"), fraction=0.1)
    with pytest.raises(UsageError, match=r"2 of 20 conditions, too few for 5 personas.*0\.25"):
        design.conditions(likert)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"templates": ()}, "templates is empty"),
        ({"templates": "letters"}, "templates is a single text"),
        ({"templates": ("letters", "letters")}, "'letters' twice"),
        ({"repeats": 0}, "repeats is 0"),
        ({"seed": -1}, "seed is -1; it must be 0 or above"),
        ({"reading": "telepathy"}, "'telepathy' is none of distribution, generation"),
        ({"fraction": 0.0}, "fraction is 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"fraction": float("nan")}, "fraction is nan"),
    ],
)
def test_a_design_that_does_not_hold_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Design(**fields)


def test_a_design_survives_json() -> None:
    design = Design(personas=("", "ann"), orders=("0132", "3021"), fraction=0.5, items=(3, 1))
    assert Design.from_json(design.to_json()) == design
    with pytest.raises(RunError, match="design cannot be read"):
        Design.from_json({"colour": "blue"})
