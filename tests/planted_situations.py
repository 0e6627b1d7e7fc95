"""A bank of situations that says nothing, for tests in which a script answers."""

from __future__ import annotations

from allport.inventories import Inventory, Item, Option, Trait

NAMES = {"A": "Agreeableness", "E": "Extraversion", "Mach": "Machiavellianism"}


def situation_bank(statements: dict[str, int], situations: int = 1) -> Inventory:
    """A bank of some statements a trait, each with some situations and a paraphrase of each.

    The first two of an item's four options speak for its trait.
    """
    places = [
        (trait, f"{trait} {statement}")
        for trait, count in statements.items()
        for statement in range(count)
        for _ in range(situations)
    ]
    return Inventory(
        name="cases",
        title="Cases",
        version="1",
        traits=tuple(Trait(code=trait, name=NAMES.get(trait, trait)) for trait in statements),
        items=tuple(
            Item(
                number=number,
                text=f"Case {number} of {trait} happens. What now?",
                question="What now?",
                trait=trait,
                cluster=cluster,
                options=tuple(
                    Option(text=f"Do {place} in {number}", value=value)
                    for place, value in enumerate((1, 1, 0, 0))
                ),
                forms={"paraphrase": f"Number {number} for {trait}. And now?"},
            )
            for number, (trait, cluster) in enumerate(places, start=1)
        ),
        licence="none",
        source="none",
    )
