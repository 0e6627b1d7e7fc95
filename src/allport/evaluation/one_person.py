"""One person in close-up: how near answers in their place come, on items that were held out.

The benchmark (`person_benchmark`) speaks of people at large. Here is one: each way of aligning asks
the held-out items, and its mean distance from what the person answered stands beside rules that
need no model and beside steering in a wrong direction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.corpora.people import PeopleCorpus
from allport.corpora.people_simulation import simulate_people
from allport.errors import UsageError
from allport.evaluation.person_answers import answers_from_responses
from allport.evaluation.person_baselines import baselines
from allport.evaluation.person_scores import corrected_errors
from allport.evaluation.person_targets import BenchmarkPeople, benchmark_people
from allport.personas.person import Person
from allport.psychometrics.estimate import Estimate
from allport.psychometrics.intervals import mean_interval

if TYPE_CHECKING:
    from allport.models.respondent import Respondent

__all__ = ["OnePerson", "PersonDistance", "among_others", "person_distances"]

Floats = NDArray[np.float64]
Kind = Literal["model", "control", "rule"]

_OTHERS = 300
_RULES = ("constant C", "item median of the others", "own facet mean", "item mean + facet offset")


class PersonDistance(NamedTuple):
    """How far answers in a person's place are from what the person answered."""

    name: str
    kind: Kind
    distance: Estimate
    """Mean absolute distance of the expected answer over the held-out items, scale points, with an
    interval over items by facet. Without a usable answer it is that of the farthest option."""
    nearer: Estimate
    """How much nearer than the first respondent, item by item; undefined for it and for rules."""
    unusable: float
    """Share of the questions that got no usable answer, 0 to 1."""


class OnePerson(NamedTuple):
    """A person, and how near each way of answering in their place came."""

    name: str
    simulated: bool
    items: int
    """Held-out items compared: those that the person answered."""
    fitted_on: int
    """Items that alignments and rules know the person's answers to."""
    rows: tuple[PersonDistance, ...]


def among_others(person: Person, *, others: int = _OTHERS, seed: int = 0) -> BenchmarkPeople:
    """A person among simulated others, from whom rules about other people take their figures.

    The corpus is said to be simulated, as nearly everybody in it is; the column `simulated` of
    what is known about them tells of each.

    Raises:
        UsageError: The person did not answer the items of the IPIP-NEO-300.
    """
    import polars as pl

    crowd = simulate_people(others, person.inventory, seed=seed).corpus
    codes = np.array(
        [[int(person.literal_answers.get(n, 0)) for n in person.inventory.numbers]], dtype=np.int8
    )
    about = pl.concat(
        [
            pl.DataFrame(
                {
                    "id": [person.name],
                    "sex": [person.sex],
                    "age": [person.age],
                    "simulated": [person.simulated],
                }
            ),
            # An id that begins with the person's own and goes on is never the same.
            crowd.about.with_columns(
                pl.format("{}, {}", pl.lit(person.name), "id").alias("id"), simulated=pl.lit(True)
            ),
        ],
        how="diagonal_relaxed",
    )
    corpus = PeopleCorpus(
        f"{person.name} among simulated people",
        person.inventory,
        about,
        np.vstack([codes, crowd.literal_codes]),
        simulated=True,
    )
    people = benchmark_people(corpus)
    if people.ids[0] != person.name:
        raise UsageError(
            f"{person.name} answered too few of the items to fit on, or none of those held out; "
            "let `allport survey` ask the rest."
        )
    return people


def person_distances(
    people: BenchmarkPeople,
    respondents: Mapping[str, Respondent],
    controls: Mapping[str, Respondent] | None = None,
    *,
    templates: tuple[str, ...] = ("letters",),
    seed: int = 0,
    progress: Callable[[int, int], None] | Literal["bar"] | None = None,
) -> OnePerson:
    """Ask the held-out items in the place of the first of these people.

    Args:
        people: The person first, then others.
        respondents: By name; the first is what the others are compared with, unaligned as a rule.
        controls: Respondents that should come no nearer, such as one steered the other way.
        templates: Question templates; each is asked in both orders of the answers.
        seed: Of resampling.
        progress: See `measure`.
    """
    alone = people.take([0])
    facets = [item.facet or item.trait for item in people.test_items]
    design = Design(templates=templates, items=people.split.held_out)
    rows: list[PersonDistance] = []
    first: Floats | None = None
    asked: list[tuple[str, Kind, Respondent]] = [
        *((name, "model", each) for name, each in respondents.items()),
        *((name, "control", each) for name, each in (controls or {}).items()),
    ]
    for name, kind, respondent in asked:
        run = measure(respondent, people.inventory, design, progress=progress)
        given = answers_from_responses(name, run.responses, alone)
        distance = corrected_errors(given, alone, "expected")[0]
        nearer = Estimate(float("nan"), reason="it is what the others are compared with")
        if first is None:
            first = distance
        else:
            nearer = mean_interval(first - distance, clusters=facets, seed=seed)
        found = mean_interval(distance, clusters=facets, seed=seed, limits=(0, np.inf))
        unusable = 1 - float(given.usable.mean())
        rows.append(PersonDistance(name, kind, found, nearer, unusable))
    for rule in baselines(people, seed=seed):
        if rule.name in _RULES:
            # The expected answer of this rule is the mean of everybody, the person included.
            by_median = rule.name == "item median of the others"
            own = rule.answers.take([0])
            distance = corrected_errors(own, alone, "median" if by_median else "expected")[0]
            found = mean_interval(distance, clusters=facets, seed=seed, limits=(0, np.inf))
            none = Estimate(float("nan"), reason="a rule asks no model")
            unusable = 1 - float(own.usable.mean())
            rows.append(PersonDistance(rule.name, "rule", found, none, unusable))
    about = alone.corpus.about
    return OnePerson(
        name=people.ids[0],
        simulated=bool(about["simulated"][0]) if "simulated" in about else people.corpus.simulated,
        items=int((~np.isnan(alone.targets)).sum()),
        fitted_on=int((~np.isnan(alone.literal[:, alone.fit])).sum()),
        rows=tuple(rows),
    )
