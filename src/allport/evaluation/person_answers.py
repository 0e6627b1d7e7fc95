"""What a respondent answered in the place of each person, ready to be scored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.evaluation.person_targets import BenchmarkPeople

if TYPE_CHECKING:
    import polars as pl

__all__ = ["READINGS", "PersonAnswers", "ScoreReading", "answers_from_responses"]

Floats = NDArray[np.float64]

ScoreReading = Literal["median", "arg-max", "expected"]
READINGS: tuple[ScoreReading, ...] = ("median", "arg-max", "expected")
"""How one answer is made of a distribution: its median, its most probable option, or its mean."""


@dataclass(frozen=True, eq=False)
class PersonAnswers:
    """Answers to the test items of a benchmark in the place of each of its people.

    All are literal. Where several administrations were given, distributions are their mean.
    """

    name: str
    median: Floats
    """Middle of the distribution over options, shape (people, test items), NaN where there is none;
    half-way between two options where exactly half lies on either side."""
    arg_max: Floats
    """Most probable option, likewise; ties go to the lowest."""
    expected: Floats
    """Mean of the distribution, likewise."""
    usable: Floats
    """Share of the administrations in which a usable answer came, 0 to 1, likewise."""
    letters: Floats
    """What `published` compares with the stored answers, shape (administrations, people, items);
    NaN where nothing could be parsed."""
    probabilities: Floats | None = None
    """Shape (people, test items, options), NaN where there is none; None where answers are points
    without a distribution."""
    label_mass: Floats | None = None
    """Mean share of the respondent's probability that fell on labels, shape (people, items)."""

    def reading(self, reading: ScoreReading) -> Floats:
        """Answers under a reading, shape (people, test items)."""
        return {"median": self.median, "arg-max": self.arg_max, "expected": self.expected}[reading]

    @classmethod
    def of_probabilities(
        cls,
        name: str,
        probabilities: ArrayLike,
        values: ArrayLike,
        *,
        usable: ArrayLike | None = None,
        letters: ArrayLike | None = None,
        label_mass: ArrayLike | None = None,
    ) -> PersonAnswers:
        """Answers given as distributions.

        Args:
            name: Shown in tables.
            probabilities: Shape (people, test items, options), options in content order; NaN where
                there is none.
            values: Literal values of the options, ascending.
            usable: As the attribute; by default all where there is a distribution.
            letters: As the attribute; by default the most probable options, as one administration.
            label_mass: As the attribute.

        Raises:
            ResponsesError: A distribution does not sum to 1, or shapes do not fit.
        """
        shares = np.asarray(probabilities, dtype=np.float64)
        scale = np.asarray(values, dtype=np.float64)
        if shares.ndim != 3 or shares.shape[2] != scale.size:
            raise ResponsesError(
                f"{name}: probabilities of shape {shares.shape} do not fit {scale.size} options."
            )
        known = np.asarray(~np.isnan(shares).any(axis=2))
        totals = shares.sum(axis=2)
        if (np.abs(totals[known] - 1) > 1e-2).any() or (shares[known] < 0).any():
            raise ResponsesError(f"{name}: a distribution over options does not sum to 1.")
        shares = shares / totals[:, :, None]
        best = np.where(known[:, :, None], shares, 0.0).argmax(axis=2)
        arg_max = np.where(known, scale[best], np.nan)
        return cls(
            name=name,
            median=_median(shares, scale),
            arg_max=arg_max,
            expected=shares @ scale,
            usable=np.asarray(known if usable is None else usable, dtype=np.float64),
            letters=arg_max[None] if letters is None else np.asarray(letters, np.float64),
            probabilities=shares,
            label_mass=None if label_mass is None else np.asarray(label_mass, np.float64),
        )

    @classmethod
    def of_points(
        cls,
        name: str,
        literal: ArrayLike,
        *,
        expected: ArrayLike | None = None,
        letters: ArrayLike | None = None,
    ) -> PersonAnswers:
        """Answers given as numbers without a distribution.

        Args:
            name: Shown in tables.
            literal: The median and the most probable option, shape (people, test items), NaN where
                there is none.
            expected: The mean, likewise, where that is something else.
            letters: What `published` scores, likewise, where that is something else.
        """
        points = np.asarray(literal, dtype=np.float64)
        mean = points if expected is None else np.asarray(expected, dtype=np.float64)
        said = points if letters is None else np.asarray(letters, dtype=np.float64)
        usable = (~np.isnan(points)).astype(np.float64)
        return cls(name, points, points, mean, usable, said[None])

    def take(self, people: ArrayLike) -> PersonAnswers:
        """The answers in the place of some of the people, by position."""
        rows = np.asarray(people, dtype=np.intp)
        return dataclasses.replace(
            self,
            median=self.median[rows],
            arg_max=self.arg_max[rows],
            expected=self.expected[rows],
            usable=self.usable[rows],
            letters=self.letters[:, rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            label_mass=None if self.label_mass is None else self.label_mass[rows],
        )


def answers_from_responses(
    name: str, responses: pl.DataFrame, people: BenchmarkPeople
) -> PersonAnswers:
    """Lay out the responses of a run as answers in the place of each person.

    The persona of a response says in whose place it was given; responses without a persona stand
    for everybody, as those of an unaligned model do.

    Args:
        name: Shown in tables.
        responses: A frame with the columns of `allport.administration.SCHEMA`.
        people: The benchmark.

    Raises:
        ResponsesError: Responses are missing, or in the place of somebody else.
    """
    from allport.administration import administrations, answers, option_probabilities

    conditions = administrations(responses)
    personas = list(dict.fromkeys(condition.persona for condition in conditions))
    shared = personas == [""]
    rows = {person: row for row, person in enumerate([""] if shared else people.ids)}
    missing = rows.keys() - set(personas)
    if missing or len(personas) > len(rows):
        who = f"person {min(missing)}" if missing else "somebody who takes no part"
        raise ResponsesError(
            f"The responses of {name} do not fit the {len(people.ids)} people of {people.name}: "
            f"{'none is' if missing else 'some are'} in the place of {who}."
        )
    # One way of asking: everything of a condition but the persona.
    ways = {
        way: place
        for place, way in enumerate(
            dict.fromkeys((c.template, c.order, c.form, c.repeat) for c in conditions)
        )
    }
    shape = (len(ways), len(rows), people.test.size)
    choices, masses = np.full(shape, np.nan), np.full(shape, np.nan)
    shares = np.full((*shape, people.values.size), np.nan)
    chosen = answers(responses, people.inventory, "literal").values
    mass = answers(responses, people.inventory, "label_mass").values
    probabilities = option_probabilities(responses, people.inventory)
    for index, c in enumerate(conditions):
        cell = ways[c.template, c.order, c.form, c.repeat], rows[c.persona]
        choices[cell] = chosen[index, people.test]
        masses[cell] = mass[index, people.test]
        shares[cell] = probabilities[index][people.test]
    # A choice without probabilities is a certain one.
    bare = np.isnan(shares).any(axis=3) & ~np.isnan(choices)
    shares[bare] = choices[bare][:, None] == people.values
    usable = ~np.isnan(shares).any(axis=3)
    counts = usable.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(usable[..., None], shares, 0.0).sum(axis=0) / counts[..., None]
    with_mass = (~np.isnan(masses)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean_mass = np.nansum(masses, axis=0) / with_mass
    everybody = np.zeros(len(people.ids), np.intp) if shared else np.arange(len(people.ids))
    return PersonAnswers.of_probabilities(
        name,
        mean,
        people.values,
        usable=counts / len(ways),
        letters=choices,
        label_mass=mean_mass,
    ).take(everybody)


def _median(shares: Floats, values: Floats) -> Floats:
    """Median of distributions over ascending values, shape (people, items); NaN stays NaN."""
    below = np.cumsum(shares, axis=2)
    # Rounding in sums of probabilities must not decide between two options.
    low = values[(below > 0.5 - 1e-9).argmax(axis=2)]
    high = values[(below > 0.5 + 1e-9).argmax(axis=2)]
    return np.where(np.isnan(shares).any(axis=2), np.nan, (low + high) / 2)
