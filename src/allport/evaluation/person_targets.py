"""The people of the person benchmark: what each answered, on items to fit on and to test on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from allport.corpora.people import FEWEST_ANSWERS, PeopleCorpus
from allport.corpora.splits import ItemSplit, short_form_split
from allport.errors import ResponsesError, UsageError
from allport.files import sha256_of
from allport.inventories.inventory import Inventory, Item
from allport.inventories.spreading import spread_items
from allport.personas.person import Person

__all__ = ["BenchmarkPeople", "benchmark_people", "known_mean"]

Floats = NDArray[np.float64]

_SMALLEST_COUNTRY: Final = 5
_AGES: Final = ((20, "under 21"), (40, "21 to 40"), (60, "41 to 60"), (200, "over 60"))


@dataclass(frozen=True, eq=False)
class BenchmarkPeople:
    """People whom models are aligned to on some items and compared with on the others.

    Arrays over test items have them in the inventory's order.
    """

    corpus: PeopleCorpus
    """Who takes part, and what they answered."""
    split: ItemSplit
    """Which items an alignment may be fitted on, and which it is tested on."""
    excluded: Mapping[str, tuple[str, ...]]
    """Ids of those who take no part, by reason."""

    @property
    def name(self) -> str:
        """What the people are called together."""
        return self.corpus.name

    @property
    def ids(self) -> tuple[str, ...]:
        """Who takes part."""
        return self.corpus.ids

    @property
    def inventory(self) -> Inventory:
        """Everything that was answered, items to fit on and to test on together."""
        return self.split.inventory

    @property
    def fit(self) -> NDArray[np.intp]:
        """Positions of the items to fit on, on the item axis."""
        return self.split.fit_columns

    @property
    def test(self) -> NDArray[np.intp]:
        """Positions of the items to test on, on the item axis."""
        return self.split.held_out_columns

    @cached_property
    def literal(self) -> Floats:
        """What was answered, shape (people, items of the inventory); NaN where nothing was."""
        return self.corpus.literal()

    @cached_property
    def keyed(self) -> Floats:
        """Answers with items of key -1 reversed, shape (people, items); NaN where missing."""
        return self.corpus.keyed()

    @cached_property
    def targets(self) -> Floats:
        """Literal answers to the test items, shape (people, test items); NaN where missing."""
        return self.literal[:, self.test]

    @cached_property
    def stored_targets(self) -> Floats:
        """Keyed answers to the test items as PAPI stores them: 0 stands where nothing was said."""
        return np.nan_to_num(self.keyed[:, self.test], nan=0.0)

    @cached_property
    def test_items(self) -> tuple[Item, ...]:
        """The items to test on."""
        return tuple(self.inventory.items[position] for position in self.test)

    @cached_property
    def keys(self) -> NDArray[np.int8]:
        """Keys of the test items, shape (test items,)."""
        return self.inventory.keys[self.test]

    def reversed_by_key(self, values: Floats) -> Floats:
        """Literal values of test items as keyed ones or the other way, shape (..., test items)."""
        sums = self.inventory.reversal_sums[self.test]
        return np.where(self.keys == 1, values, sums - values)

    @cached_property
    def traits(self) -> dict[str, NDArray[np.intp]]:
        """Positions on the test axis of each trait's items, by its code."""
        return self._scales([trait.code for trait in self.inventory.traits])

    @cached_property
    def facets(self) -> dict[str, NDArray[np.intp]]:
        """Positions on the test axis of each facet's items, by its code."""
        return self._scales([facet.code for facet in self.inventory.facets])

    def _scales(self, codes: Sequence[str]) -> dict[str, NDArray[np.intp]]:
        place = {position: index for index, position in enumerate(self.test.tolist())}
        found = {
            code: [place[p] for p in self.inventory.columns(code).tolist() if p in place]
            for code in codes
        }
        return {code: np.array(where) for code, where in found.items() if where}

    @cached_property
    def values(self) -> Floats:
        """Literal values of the response scale, ascending, shape (options,)."""
        return np.array([option.value for option in self.inventory.scale])

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Sex, age band and country of each person, by the name of the grouping; "" if unknown.

        Countries of fewer than five people are "other countries".
        """
        about = self.corpus.about
        groups = {
            name: tuple(
                _age_band(value) if name == "age" else "" if value is None else str(value)
                for value in about[name].to_list()
            )
            for name in ("sex", "age", "country")
            if name in about.columns
        }
        if "country" in groups:
            counts = Counter(groups["country"])
            groups["country"] = tuple(
                label if not label or counts[label] >= _SMALLEST_COUNTRY else "other countries"
                for label in groups["country"]
            )
        return {name: labels for name, labels in groups.items() if any(labels)}

    def person(self, name: str, shots: int | None = None) -> Person:
        """A person as a persona: the answers to the items to fit on, and no others.

        Args:
            name: Id of the person.
            shots: Take only so many items, spread as `spread_items` does.
        """
        numbers = self._spread[:shots]
        return self.corpus.person(name, [n for n in self.split.fit if n in set(numbers)])

    @cached_property
    def _spread(self) -> list[int]:
        """Numbers of the items to fit on, as `spread_items` has them."""
        return [item.number for item in spread_items(map(self.inventory.item, self.split.fit))]

    def take(self, people: Sequence[int]) -> Self:
        """The same benchmark with some of its people, by position."""
        return replace(self, corpus=self.corpus.take(people))

    def with_test_items(self, count: int, *, seed: int = 0) -> Self:
        """The same benchmark with `count` of its test items, spread over traits and their facets.

        How they are spread, and their keys mixed, `spread_items` says.

        Args:
            count: How many; all of them change nothing.
            seed: Decides which ones.

        Raises:
            UsageError: There are not so many, or fewer are asked for than there are traits.
        """
        held_out, fewest = self.split.held_out, len(self.traits)
        if not fewest <= count <= len(held_out):
            raise UsageError(
                f"{count} test items cannot be asked; give {fewest}, one a trait, or more: there "
                f"are {len(held_out)}."
            )
        shuffled = np.random.default_rng(seed).permutation(held_out).tolist()
        spread = spread_items(map(self.inventory.item, shuffled))
        chosen = tuple(item.number for item in islice(spread, count))
        return replace(self, split=replace(self.split, held_out=chosen))

    def describe(self) -> dict[str, Any]:
        """What identifies these people and this split, JSON-ready."""
        return {
            "name": self.name,
            "people": len(self.ids),
            "simulated": self.corpus.simulated,
            "excluded": {reason: len(ids) for reason, ids in self.excluded.items() if ids},
            "inventory": self.inventory.name,
            "inventory_hash": self.inventory.content_hash,
            "fit_items": list(self.split.fit),
            "test_items": list(self.split.held_out),
            "answers_hash": sha256_of(
                "\0".join(self.ids).encode() + self.corpus.literal_codes.tobytes()
            ),
        }


def benchmark_people(
    corpus: PeopleCorpus, split: ItemSplit | None = None, *, fewest_answers: int = FEWEST_ANSWERS
) -> BenchmarkPeople:
    """Make a benchmark of people's answers.

    Left out, by reason, are people who answered none or fewer than `fewest_answers` of the items to
    fit on, who answered all of those alike, or who answered no item to test on.

    Args:
        corpus: People who answered the items to fit on and those to test on.
        split: Which is which; the 120 items of the short form and the other 180 by default.
        fewest_answers: To items to fit on that a person must have given.

    Raises:
        InventoryError: There is no split by default of what was answered.
        UsageError: The split is of another inventory.
        ResponsesError: Nobody can take part.
    """
    split = short_form_split(corpus.inventory) if split is None else split
    if split.inventory.content_hash != corpus.inventory.content_hash:
        raise UsageError(
            f"{corpus.name} holds answers to {corpus.inventory.name}, but the items to fit on are "
            f"of {split.inventory.name}."
        )
    usable = corpus.usable(fewest_answers, split.fit_columns)
    tested = (corpus.literal_codes[usable.rows][:, split.held_out_columns] != 0).any(axis=1)
    untested = tuple(corpus.ids[row] for row in usable.rows[~tested])
    excluded = {**usable.excluded, "no answer to an item to test on": untested}
    rows = usable.rows[tested]
    if not rows.size:
        why = ", ".join(f"{len(ids)} with {reason}" for reason, ids in excluded.items() if ids)
        raise ResponsesError(f"{corpus.name}: nobody can take part ({why or 'it is empty'}).")
    return BenchmarkPeople(corpus.take(rows), split, excluded)


def known_mean(table: Floats, axis: int = -1) -> Floats:
    """Mean along an axis of what is not NaN; NaN where nothing is."""
    known = (~np.isnan(table)).sum(axis=axis)
    return np.asarray(np.nansum(table, axis=axis) / np.where(known > 0, known, np.nan))


def _age_band(age: float | None) -> str:
    if age is None or not age > 0:
        return ""
    return next((name for most, name in _AGES if age <= most), "")
