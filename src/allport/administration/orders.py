"""Orders in which the options of an item are shown."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from allport.errors import UsageError
from allport.inventories.inventory import Inventory

__all__ = ["ORDER_SETS", "is_balanced", "option_orders", "permutation", "williams_square"]

ORDER_SETS = ("standard", "williams", "published", "all")
"""Names that stand for several orders at once; see `option_orders`."""

# TRAIT's two orders: high, low, high, low and low, high, low, high.
_PUBLISHED = ("0213", "2031")
# 5 options have 120 orders; 6 would be 720 times the work, which nobody means by "all".
_MOST_OPTIONS_FOR_ALL = 5


def permutation(order: str, options: int) -> tuple[int, ...]:
    """Content index of the option at each shown position.

    Args:
        order: "forward", "reversed", or one digit for each shown position: "0132" shows the
            first option, the second, the fourth, then the third.
        options: How many options the item has.

    Raises:
        UsageError: The name is no order of that many options.
    """
    if order == "forward":
        return tuple(range(options))
    if order == "reversed":
        return tuple(reversed(range(options)))
    if not (order.isascii() and order.isdigit()):
        raise UsageError(
            f"{order!r} is no option order; use forward, reversed, {', '.join(ORDER_SETS)}, or "
            'digits such as "0132".'
        )
    shown = tuple(int(digit) for digit in order)
    if sorted(shown) != list(range(options)):
        raise UsageError(
            f"Option order {order!r} does not fit items with {options} options; it must hold each "
            f"of the digits 0 to {options - 1} once."
        )
    return shown


def williams_square(options: int) -> tuple[str, ...]:
    """Orders in which every option stands equally often at each place and next after each other.

    Even numbers of options take as many orders as options, odd numbers twice as many. The 4-option
    square is 0132, 1203, 2310, 3021. Williams (1949), Australian Journal of Scientific Research A
    2, 149-168.

    Raises:
        UsageError: More than ten options, which digits cannot name.
    """
    _nameable(options)
    first = [0]
    low, high = 1, options - 1
    while low <= high:
        first += [low] if low == high else [low, high]
        low, high = low + 1, high - 1
    rows = [[(place + shift) % options for place in first] for shift in range(options)]
    if options % 2:
        rows += [row[::-1] for row in rows]
    return tuple("".join(map(str, row)) for row in rows)


def option_orders(names: Sequence[str], inventory: Inventory) -> tuple[str, ...]:
    """The orders that a design's names stand for on an inventory.

    "standard" is forward and reversed on a response scale, and the Williams square on situational
    items (forward and reversed where these differ in their number of options). "williams" is the
    Williams square, "all" every permutation; both need items with equally many options. "published"
    is the pair of orders of TRAIT (arXiv 2406.14703) for two high options and two low ones.

    Raises:
        UsageError: A name is no order, does not fit the items, or gives an order twice.
    """
    counts = sorted({len(inventory.options(item)) for item in inventory.items})
    likert = all(not item.options for item in inventory.items)
    orders: list[str] = []
    for name in names:
        if name in ORDER_SETS[1:] and len(counts) > 1:
            raise UsageError(
                f"Option orders {name!r} need items with equally many options; those of "
                f"{inventory.name} have {counts[0]} to {counts[-1]}."
            )
        if name == "standard":
            square = not likert and len(counts) == 1
            orders += williams_square(counts[0]) if square else ("forward", "reversed")
        elif name == "williams":
            orders += williams_square(counts[0])
        elif name == "published":
            if counts != [4]:
                raise UsageError(
                    f"Option orders 'published' need items with 4 options; those of "
                    f"{inventory.name} have {counts[-1]}."
                )
            orders += _PUBLISHED
        elif name == "all":
            orders += _all_orders(counts[0])
        else:
            orders.append(name)
    given: dict[tuple[int, ...], str] = {}
    for order in orders:
        shown = [permutation(order, count) for count in counts]
        if shown[-1] in given:
            raise UsageError(
                f"Option orders {given[shown[-1]]!r} and {order!r} are the same; give each once."
            )
        given[shown[-1]] = order
    return tuple(orders)


def is_balanced(orders: Sequence[str], options: int) -> bool:
    """Whether every option stands equally often at each place."""
    shown = [permutation(order, options) for order in orders]
    return all(
        len({places.count(option) for option in range(options)}) == 1
        for places in zip(*shown, strict=True)
    )


def _all_orders(options: int) -> list[str]:
    if options > _MOST_OPTIONS_FOR_ALL:
        raise UsageError(
            f"All orders of {options} options are too many; use williams, or name the orders."
        )
    return ["".join(map(str, order)) for order in itertools.permutations(range(options))]


def _nameable(options: int) -> None:
    if options > 10:
        raise UsageError(
            f"Orders of {options} options cannot be written in digits; use forward and reversed."
        )
