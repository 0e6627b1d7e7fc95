"""Small inventories that the tests of asking share."""

from __future__ import annotations

import pytest

from allport.inventories.inventory import Facet, Inventory, Item, Option, Trait

SCALE = tuple(
    Option(text=text, value=value)
    for value, text in enumerate(
        (
            "Very Inaccurate",
            "Moderately Inaccurate",
            "Neither Accurate nor Inaccurate",
            "Moderately Accurate",
            "Very Accurate",
        ),
        start=1,
    )
)


@pytest.fixture(scope="session")
def likert() -> Inventory:
    """Two traits of two facets, eight items each, keys balanced within every facet."""
    facets = [("E1", "E"), ("E2", "E"), ("N1", "N"), ("N2", "N")]
    items = [
        Item(
            number=number,
            text=f"Statement number {number}.",
            trait=facets[number % 4][1],
            facet=facets[number % 4][0],
            key=1 if number % 8 < 4 else -1,
        )
        for number in range(1, 17)
    ]
    return Inventory(
        name="likert",
        title="Likert",
        version="1",
        scale=SCALE,
        traits=(Trait(code="N", name="Neuroticism"), Trait(code="E", name="Extraversion")),
        facets=tuple(Facet(code=code, name=code, trait=trait) for code, trait in facets),
        items=tuple(items),
        licence="test",
        source="test",
    )


@pytest.fixture(scope="session")
def situational() -> Inventory:
    """Six situations with four options each, of which two speak for the trait."""
    values = (1.0, 1.0, 0.0, 0.0)
    return Inventory(
        name="situational",
        title="Situational",
        version="1",
        traits=(Trait(code="A", name="Agreeableness"),),
        items=tuple(
            Item(
                number=number,
                text=f"Situation {number}.",
                trait="A",
                options=tuple(
                    Option(text=f"Option {index} of {number}", value=value)
                    for index, value in enumerate(values)
                ),
            )
            for number in range(1, 7)
        ),
        licence="test",
        source="test",
    )
