"""Many people's answers to one inventory, compactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError, UsageError
from allport.inventories.inventory import Inventory
from allport.models.human_answers import HumanAnswers
from allport.personas.person import Person

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FEWEST_ANSWERS", "MISSING", "PeopleCorpus", "UsablePeople", "reverse_codes"]

MISSING = 0
"""The code of a missing answer."""
FEWEST_ANSWERS = 30
"""A person with fewer answers than this says too little to become a persona."""


class UsablePeople(NamedTuple):
    """Who can be used, and who cannot, by reason."""

    rows: NDArray[np.intp]
    """Rows of those who can, ascending."""
    excluded: dict[str, tuple[str, ...]]
    """Ids of those who cannot, by reason; every reason is there, also with nobody."""

    def __str__(self) -> str:
        """One sentence that counts everybody."""
        out = [f"{len(ids):,} with {reason}" for reason, ids in self.excluded.items() if ids]
        left_out = f"; left out are {' and '.join(out)}" if out else ""
        return f"{len(self.rows):,} people are used{left_out}."


@dataclass(frozen=True, eq=False)
class PeopleCorpus:
    """What many people answered to a Likert inventory, one byte an answer.

    Answers are held as literal codes, so that a prompt, a label or a target made from them says
    what the person said; `keyed` gives trait scores. Both are floats with NaN for missing answers,
    and both are made for the rows asked for, so that a population need not be in memory as floats.
    """

    name: str
    inventory: Inventory
    about: pl.DataFrame
    """One row a person: `id` (text), and what is known: `sex` ("female", "male" or null), `age`
    (years or null), `country`."""
    literal_codes: NDArray[np.int8]
    """Literal answers, shape (people, items), items in the inventory's order; 0 where missing."""
    simulated: bool = False
    """Whether a program made these people up."""
    note: str = ""
    """What could not be checked about their source, in a sentence; empty where nothing is open."""

    def __post_init__(self) -> None:
        """Check that answers, people and items fit together, and seal the answers."""
        import polars as pl

        values = _whole_scale(self.inventory)
        shape = (len(self.about), len(self.inventory.items))
        codes = self.literal_codes
        if codes.dtype != np.int8 or codes.shape != shape:
            raise ResponsesError(
                f"{self.name}: answers of shape {codes.shape} and type {codes.dtype} do not fit "
                f"{shape[0]} people and the {shape[1]} items of {self.inventory.name} in int8."
            )
        if "id" not in self.about.columns or self.about["id"].dtype != pl.String:
            raise ResponsesError(f"{self.name}: people need a text column 'id'.")
        ids = self.about["id"]
        if ids.null_count():
            row = int(ids.is_null().arg_true()[0])
            raise ResponsesError(f"{self.name}: person {row + 1} has no id.")
        if ids.n_unique() < len(ids):
            twice = ids.filter(ids.is_duplicated())[0]
            count = int((ids == twice).sum())
            raise ResponsesError(
                f"{self.name}: the id {twice!r} is given {count} times; each person needs one of "
                "their own."
            )
        low, high = values
        # Two sweeps without a mask of the whole table, which a population would feel.
        if codes.size and (codes.min() < MISSING or codes.max() > high or low > 1):
            wrong = np.argwhere((codes != MISSING) & ((codes < low) | (codes > high)))
        else:
            wrong = np.empty((0, 2), dtype=np.intp)
        if len(wrong):
            row, column = (int(index) for index in wrong[0])
            raise ResponsesError(
                f"{self.name}, person {ids[row]}: {codes[row, column]} to item "
                f"{self.inventory.numbers[column]} is not on its scale ({low} to "
                f"{high}, 0 where missing)."
            )
        codes.flags.writeable = False

    def __len__(self) -> int:
        """The number of people."""
        return len(self.about)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Who they are, in the order of the rows."""
        return tuple(self.about["id"].to_list())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {person: row for row, person in enumerate(self.ids)}

    def row(self, person: str) -> int:
        """The row of a person by id.

        Raises:
            UsageError: There is nobody of that id.
        """
        found = self._rows.get(str(person))
        if found is None:
            some = ", ".join(self.ids[:3])
            raise UsageError(
                f"{self.name} has no person {person!r}; its {len(self):,} people are called "
                f"{some}, and so on."
            )
        return found

    def literal(
        self, rows: ArrayLike | slice | None = None, dtype: Any = np.float64
    ) -> NDArray[Any]:
        """Literal answers as floats, shape (people, items); NaN where missing.

        Args:
            rows: Which people, by row; all by default. A population of 300,000 fills 740 MB.
            dtype: A float type.
        """
        codes = self._of(rows)
        values = codes.astype(dtype)
        values[codes == MISSING] = np.nan
        return values

    def keyed(self, rows: ArrayLike | slice | None = None, dtype: Any = np.float64) -> NDArray[Any]:
        """Answers with items of key -1 reversed, shape (people, items); NaN where missing.

        Args:
            rows: Which people, by row; all by default.
            dtype: A float type.
        """
        values = self.literal(rows, dtype)
        # In place: `Inventory.keyed` would go through float64 and double the memory.
        reversed_items = self.inventory.keys == -1
        sums = self.inventory.reversal_sums[reversed_items].astype(dtype)
        values[:, reversed_items] = sums - values[:, reversed_items]
        return values

    def keyed_codes(self, rows: ArrayLike | slice | None = None) -> NDArray[np.int8]:
        """Keyed answers, one byte each, shape (people, items); 0 where missing."""
        return reverse_codes(self._of(rows), self.inventory)

    def _of(self, rows: ArrayLike | slice | None) -> NDArray[np.int8]:
        if rows is None:
            return self.literal_codes
        return self.literal_codes[rows if isinstance(rows, slice) else np.asarray(rows)]

    def take(self, rows: ArrayLike, name: str | None = None) -> PeopleCorpus:
        """These people and no others, in this order.

        Args:
            rows: Rows, none of them twice.
            name: What to call them; the corpus' own name by default.
        """
        index = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            name=name or self.name,
            about=self.about[index.tolist()],
            literal_codes=np.ascontiguousarray(self.literal_codes[index]),
        )

    def chunks(self, size: int = 8192) -> Iterator[slice]:
        """Rows in slices of at most `size` people, for work that must fit into memory."""
        if size < 1:
            raise UsageError(f"A chunk needs one person or more, not {size}.")
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def person(self, person: str, numbers: Sequence[int] | None = None) -> Person:
        """One person as a persona.

        Args:
            person: Id of the person.
            numbers: Numbers of the items whose answers the persona may know, such as the fitting
                part of a split; all by default. Missing answers are left out.

        Raises:
            UsageError: There is nobody of that id.
            ResponsesError: The person answered none of these items.
            InventoryError: There is no such item.
        """
        row = self.row(person)
        wanted = self.inventory.numbers if numbers is None else tuple(numbers)
        place = {number: column for column, number in enumerate(self.inventory.numbers)}
        for number in wanted:
            self.inventory.item(number)
        answers = {number: int(self.literal_codes[row, place[number]]) for number in wanted}
        known: Mapping[str, Any] = self.about.row(row, named=True)
        return Person(
            name=self.ids[row],
            inventory=self.inventory,
            literal_answers={n: float(code) for n, code in answers.items() if code != MISSING},
            simulated=self.simulated,
            sex=known.get("sex"),
            age=known.get("age"),
        )

    def answers(self, rows: ArrayLike | None = None) -> HumanAnswers:
        """These people as a respondent, whom `measure` and `score` can ask."""
        index = np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.intp)
        about = self.about[index.tolist()]
        return HumanAnswers(self.name, self.inventory, about, self.literal(index), self.note)

    def usable(
        self, fewest: int = FEWEST_ANSWERS, columns: NDArray[np.intp] | None = None
    ) -> UsablePeople:
        """Who answered enough, and not always the same, to become a persona.

        Args:
            fewest: Answers that a person needs.
            columns: Positions of the items that count, such as `ItemSplit.fit_columns`; all by
                default.

        Returns:
            The rows of those who can be used; the others by id, each under one reason.
        """
        codes = self.literal_codes if columns is None else self.literal_codes[:, columns]
        count = (codes != MISSING).sum(axis=1)
        high = codes.max(axis=1, initial=MISSING)
        low = np.where(codes == MISSING, np.int8(127), codes).min(axis=1, initial=127)
        none, few = count == 0, (count > 0) & (count < fewest)
        constant = (count >= max(fewest, 1)) & (high == low)
        reasons = {
            "no answer": none,
            f"fewer than {fewest} answers": few,
            "the same answer to every item": constant,
        }
        ids = self.about["id"]
        excluded = {
            reason: tuple(ids.filter(_series(mask)).to_list()) for reason, mask in reasons.items()
        }
        return UsablePeople(np.flatnonzero(~(none | few | constant)), excluded)

    def draw(
        self, people: int, *, seed: int = 0, exclude: Sequence[str] = (), name: str | None = None
    ) -> PeopleCorpus:
        """People drawn at random, each as likely as any other: a test set without selection.

        PAPI's own test set is the people nearest to 300 cluster centres. They are more typical and
        more consistent than people are; a random draw is not.

        Args:
            people: How many.
            seed: Same seed, same people.
            exclude: Ids of people who must not be drawn, such as those trained on. They need not
                be in the corpus.
            name: What to call them.

        Returns:
            The people drawn, in the order of the corpus.

        Raises:
            UsageError: There are not so many who can be used (see `usable`).
        """
        rows = self.usable().rows
        if exclude:
            barred = {self._rows[each] for each in map(str, exclude) if each in self._rows}
            rows = np.array([row for row in rows.tolist() if row not in barred], dtype=np.intp)
        if not 1 <= people <= len(rows):
            raise UsageError(
                f"{people:,} people cannot be drawn from the {len(rows):,} of {self.name} that can "
                "be used."
            )
        drawn = np.random.default_rng(seed).choice(rows, size=people, replace=False)
        return self.take(np.sort(drawn), name or f"{self.name}, {people} at random")


def reverse_codes(codes: NDArray[np.int8], inventory: Inventory) -> NDArray[np.int8]:
    """Literal codes as keyed ones, or the other way round, shape (people, items); 0 stays 0."""
    turned = codes.copy()
    reversed_items = inventory.keys == -1
    sums = inventory.reversal_sums[reversed_items].astype(np.int8)
    part = codes[:, reversed_items]
    turned[:, reversed_items] = np.where(part == MISSING, np.int8(MISSING), sums - part)
    return turned


def _whole_scale(inventory: Inventory) -> tuple[int, int]:
    """Lowest and highest literal answer of an inventory whose answers fit a byte."""
    values = [option.value for option in inventory.scale]
    own = any(item.options for item in inventory.items)
    steps = [values[0] + step for step in range(len(values))] if values else []
    if own or not values or values[0] < 1 or values[-1] > 127 or values != steps or values[0] % 1:
        raise ResponsesError(
            f"{inventory.name} has no scale of whole numbers from 1 up for all its items; read its "
            "answers with read_human_answers."
        )
    return int(values[0]), int(values[-1])


def _series(mask: NDArray[np.bool_]) -> pl.Series:
    import polars as pl

    return pl.Series(mask)
