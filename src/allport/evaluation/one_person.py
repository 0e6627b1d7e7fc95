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
from allport.administration.responses import answers
from allport.corpora.people import PeopleCorpus
from allport.corpora.people_simulation import simulate_people
from allport.errors import UsageError
from allport.evaluation.person_baselines import baselines
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
    interval over items by facet."""
    nearer: Estimate
    """How much nearer than the first respondent, item by item; undefined for it and for rules."""


class OnePerson(NamedTuple):
    """A person, and how near each way of answering in their place came."""

    name: str
    simulated: bool
    items: int
    """Held-out items compared."""
    fitted_on: int
    """Items that alignments and rules know the person's answers to."""
    rows: tuple[PersonDistance, ...]


def among_others(person: Person, *, others: int = _OTHERS, seed: int = 0) -> BenchmarkPeople:
    """A person among simulated others, from whom rules about other people take their figures.

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
            pl.DataFrame({"id": [person.name], "sex": [person.sex], "age": [person.age]}),
            crowd.about,
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
    truth = people.targets[0]
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
        values = answers(run.responses, people.inventory, "expected_literal").values
        said = np.nanmean(values[:, people.test], axis=0)
        distance = np.abs(said - truth)
        nearer = Estimate(float("nan"), reason="it is what the others are compared with")
        if first is None:
            first = distance
        else:
            nearer = mean_interval(first - distance, clusters=facets, seed=seed)
        rows.append(
            PersonDistance(name, kind, mean_interval(distance, clusters=facets, seed=seed), nearer)
        )
    for rule in baselines(people, seed=seed):
        if rule.name in _RULES:
            # The expected answer of this rule is the mean of everybody, the person included.
            by_median = rule.name == "item median of the others"
            said = (rule.answers.median if by_median else rule.answers.expected)[0]
            distance = np.abs(said - truth)
            found = mean_interval(distance, clusters=facets, seed=seed)
            none = Estimate(float("nan"), reason="a rule asks no model")
            rows.append(PersonDistance(rule.name, "rule", found, none))
    return OnePerson(
        people.ids[0], people.corpus.simulated, len(truth), len(people.split.fit), tuple(rows)
    )
