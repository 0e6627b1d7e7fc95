"""Answers with published figures, for the tests of this room."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

REVERSED = ("A1", "C4", "C5", "E1", "E2", "O2", "O5")


class Bfi(NamedTuple):
    """psych's `bfi`: 2,800 people, 25 six-point items, A1-A5 C1-C5 E1-E5 N1-N5 O1-O5."""

    literal: NDArray[np.float64]
    keyed: NDArray[np.float64]  # reversed as 7 - x; NaN where missing
    items: tuple[str, ...]
    gender: NDArray[np.float64]  # 1 men, 2 women

    @property
    def complete(self) -> NDArray[np.bool_]:
        """The 2,436 rows without a missing answer."""
        return np.isfinite(self.keyed).all(axis=1)

    def scale(self, trait: str) -> NDArray[np.float64]:
        return self.keyed[:, [name[0] == trait for name in self.items]]


@pytest.fixture(scope="session")
def bfi(shared: Path) -> Bfi:
    with (shared / "data" / "psych" / "bfi.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    table = np.array(
        [[np.nan if cell == "NA" else float(cell) for cell in row] for row in rows[1:]]
    )
    items = tuple(rows[0][:25])
    literal = table[:, :25]
    turned = [name in REVERSED for name in items]
    keyed = np.where(turned, 7 - literal, literal)
    return Bfi(literal, keyed, items, table[:, rows[0].index("gender")])


@pytest.fixture(scope="session")
def thurstone() -> NDArray[np.float64]:
    """Correlations of nine ability tests, three for each of three factors."""
    below = (
        ".828 .776 .779 .439 .493 .460 .432 .464 .425 .674 .447 .489 .443 .590 .541 .447 .432 .401"
        " .381 .402 .288 .541 .537 .534 .350 .367 .320 .555 .380 .358 .359 .424 .446 .325 .598 .452"
    )
    matrix = np.eye(9)
    matrix[np.tril_indices(9, -1)] = [float(r) for r in below.split()]
    return matrix + np.tril(matrix, -1).T


class Papi(NamedTuple):
    """PAPI's 300 people on the 300 items of IPIP-NEO, in the order of item numbers."""

    keyed: NDArray[np.float64]  # as stored; NaN where missing
    keys: NDArray[np.int64]
    facets: tuple[str, ...]
    train: NDArray[np.bool_]  # the 120 items of the short form

    @property
    def literal(self) -> NDArray[np.float64]:
        return np.where(self.keys == 1, self.keyed, 6 - self.keyed)

    def scales(self, letters: int, among: NDArray[np.bool_] | None = None) -> dict[str, list[int]]:
        """Columns of domains (1 letter of the facet code) or facets (2), among some items."""
        wanted = np.ones(300, dtype=np.bool_) if among is None else among
        scales: dict[str, list[int]] = {}
        for column in np.flatnonzero(wanted):
            scales.setdefault(self.facets[column][:letters], []).append(int(column))
        return scales


@pytest.fixture(scope="session")
def papi(shared: Path) -> Papi:
    with (shared / "data" / "papi" / "item_key.csv").open(newline="") as file:
        items = sorted(csv.DictReader(file), key=lambda item: int(item["number"]))
    with (shared / "data" / "papi" / "people.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    stored = np.array([[float(row[f"i{number}"]) for number in range(1, 301)] for row in people])
    return Papi(
        np.where(stored == 0, np.nan, stored),
        np.array([1 if item["sign"] == "+" else -1 for item in items]),
        tuple(item["facet_code"] for item in items),
        np.array([item["papi_split"] == "train" for item in items]),
    )


@pytest.fixture(scope="session")
def ten_by_five() -> NDArray[np.float64]:
    """Keyed answers of ten people to five items; literally, item 4 is reversed."""
    literal = "45425 33243 54514 22352 44435 12151 34334 55415 23243 43524"
    table = np.array([[float(digit) for digit in row] for row in literal.split()])
    table[:, 3] = 6 - table[:, 3]
    return table


class Printed:
    """A printed figure: equal to whatever rounds to it, in the last digit printed."""

    def __init__(self, text: str) -> None:
        self.value = float(text)
        self.step = 10.0 ** -len(text.partition(".")[2])

    def __eq__(self, other: object) -> bool:
        # Half a step, and a hair for ties that binary fractions cannot hold.
        return isinstance(other, float) and abs(other - self.value) <= self.step / 2 + 1e-12

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"{self.value} to within {self.step / 2}"


@pytest.fixture(scope="session")
def printed() -> type[Printed]:
    """Makes printed figures: `assert alpha == printed(".703018")`."""
    return Printed
