from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.administration.orders import option_orders, permutation, williams_square
from allport.errors import UsageError
from allport.inventories.inventory import Inventory


def test_forward_and_reversed_fit_any_number_of_options() -> None:
    assert permutation("forward", 3) == (0, 1, 2)
    assert permutation("reversed", 3) == (2, 1, 0)


def test_digits_give_the_content_index_at_each_shown_position() -> None:
    assert permutation("2310", 4) == (2, 3, 1, 0)


@pytest.mark.parametrize("order", ["0012", "012", "01234", "4321", "sideways", "", "٠١٢٣"])
def test_what_is_no_order_of_four_options_is_refused(order: str) -> None:
    with pytest.raises(UsageError):
        permutation(order, 4)


def test_four_options_take_the_square_of_the_plan() -> None:
    assert williams_square(4) == ("0132", "1203", "2310", "3021")


@given(st.integers(2, 10))
def test_each_option_stands_equally_often_at_each_place_and_after_each_other(options: int) -> None:
    rows = [permutation(order, options) for order in williams_square(options)]
    places = [(row[place], place) for row in rows for place in range(options)]
    followers = [pair for row in rows for pair in itertools.pairwise(row)]
    expected = len(rows) // options
    assert {places.count(p) for p in itertools.product(range(options), repeat=2)} == {expected}
    assert {followers.count(p) for p in itertools.permutations(range(options), 2)} == {expected}


def test_standard_orders_follow_the_kind_of_item(likert: Inventory, situational: Inventory) -> None:
    assert option_orders(["standard"], likert) == ("forward", "reversed")
    assert option_orders(["standard"], situational) == williams_square(4)


def test_all_orders_are_every_permutation(situational: Inventory) -> None:
    assert len(set(option_orders(["all"], situational))) == 24


def test_situations_with_unequal_options_are_asked_forward_and_reversed(
    situational: Inventory,
) -> None:
    first, *others = situational.items
    shorter = first.model_copy(update={"options": first.options[1:]})
    mixed = situational.model_copy(update={"items": (shorter, *others)})
    assert option_orders(["standard"], mixed) == ("forward", "reversed")
    with pytest.raises(UsageError, match="equally many options; those of situational have 3 to 4"):
        option_orders(["williams"], mixed)


def test_the_published_pair_puts_high_options_first_and_then_second(
    likert: Inventory, situational: Inventory
) -> None:
    orders = option_orders(("published",), situational)
    values = [option.value for option in situational.items[0].options]
    shown = [[values[i] for i in permutation(order, 4)] for order in orders]
    assert shown == [[1, 0, 1, 0], [0, 1, 0, 1]]
    with pytest.raises(UsageError, match="need items with 4 options; those of"):
        option_orders(("published",), likert)


def test_one_order_under_two_names_is_refused(situational: Inventory) -> None:
    with pytest.raises(UsageError, match="'forward' and '0123' are the same"):
        option_orders(["forward", "0123"], situational)
