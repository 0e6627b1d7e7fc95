"""The open bank of situations keeps what it promises."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from allport.inventories import Inventory, Item, load_inventory

TRAIT_NAMES = set(
    [
        "open",
        "openness",
        "curious",
        "imaginative",
        "creative",
        "artistic",
        "conscientious",
        "organised",
        "organized",
        "careful",
        "careless",
        "lazy",
        "disciplined",
        "diligent",
        "extraverted",
        "introverted",
        "outgoing",
        "sociable",
        "shy",
        "talkative",
        "agreeable",
        "kind",
        "selfish",
        "rude",
        "trusting",
        "neurotic",
        "anxious",
        "nervous",
        "worried",
        "calm",
        "moody",
    ]
)


@pytest.fixture(scope="module")
def bank() -> Inventory:
    return load_inventory("situations-320")


def side(item: Item, value: int) -> list[str]:
    return [option.text for option in item.options if option.value == value]


def test_every_statement_has_five_situations_of_one_trait(bank: Inventory) -> None:
    statements = Counter((item.trait, item.cluster) for item in bank.items)
    assert set(statements.values()) == {5}
    assert Counter(trait for trait, _ in statements) == dict.fromkeys(
        [trait.code for trait in bank.traits], 8
    )
    assert len(statements) == len({cluster for _, cluster in statements})
    assert bank.licence == "CC BY 4.0"


def test_options_are_acts_of_like_length_that_name_no_trait(bank: Inventory) -> None:
    seen = set()
    totals = {0: 0, 1: 0}
    for item in bank.items:
        lengths = {}
        for value in (0, 1):
            options = side(item, value)
            assert len(options) == 2
            lengths[value] = [len(text.split()) for text in options]
            assert all(12 <= n <= 30 for n in lengths[value]), item.number
            totals[value] += sum(lengths[value])
            for text in options:
                assert not {w for w in re.findall(r"[a-z-]+", text.lower())} & TRAIT_NAMES, text
                seen.add(text)
        assert abs(sum(lengths[0]) - sum(lengths[1])) <= 8, item.number
        assert [option.value for option in item.options] == [1, 1, 0, 0]
    assert len(seen) == 4 * len(bank.items)
    assert abs(totals[0] - totals[1]) < 0.05 * totals[0]


def test_every_situation_asks_and_has_another_wording(bank: Inventory) -> None:
    assert len({item.text for item in bank.items}) == len(bank.items)
    for item in bank.items:
        assert item.text is not None
        assert item.question is not None
        assert item.question.endswith("?")
        other = item.forms["paraphrase"]
        assert other.endswith("?")
        words, others = set(item.text.lower().split()), set(other.lower().split())
        assert len(words & others) / len(words | others) < 0.75, item.number
