"""People beside models: a person's scores in the shape of a model's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from allport.administration.profiles import ProfileRow, Usability
from allport.inventories.norms import Level, NormScore, norm_groups
from allport.psychometrics.agreement import Flips
from allport.psychometrics.estimate import Estimate, undefined
from allport.reporting.content import Subject
from allport.reporting.plain_text import printable

if TYPE_CHECKING:
    from allport.administration.scoring_people import PeopleScores
    from allport.inventories.inventory import Inventory
    from allport.models.human_answers import HumanAnswers
    from allport.personas.person import Person

__all__ = ["answers_of", "people_subjects", "person_subject"]


def answers_of(person: Person) -> HumanAnswers:
    """A person file as answers that can be scored."""
    import polars as pl

    from allport.models.human_answers import HumanAnswers

    literal = np.array(
        [[person.literal_answers.get(number, math.nan) for number in person.inventory.numbers]]
    )
    chosen = np.array(
        [[person.choices.get(number, math.nan) for number in person.inventory.numbers]]
    )
    about = {"id": [person.name], "sex": [person.sex], "age": [person.age]}
    people = pl.DataFrame(about, schema={"id": pl.String, "sex": pl.String, "age": pl.Int64})
    return HumanAnswers(person.name, person.inventory, people, literal, chosen=chosen)


def person_subject(person: Person, norm: str | None = None) -> Subject:
    """A person file scored, as the subject of a report.

    Args:
        person: Whose answers.
        norm: Norm group to use instead of the person's own.

    Raises:
        UsageError: The norm group is unknown.
    """
    from allport.administration.scoring_people import score

    answers = answers_of(person)
    scores = score(answers, norm=norm)
    note = "simulated" if person.simulated else ""
    return people_subjects(scores, person.inventory, note=note)[0]


def people_subjects(
    scores: PeopleScores, inventory: Inventory, *, note: str = "", most: int | None = None
) -> tuple[Subject, ...]:
    """Each person of a table of scores as the subject of a report.

    Args:
        scores: What `allport.score` gave.
        inventory: What was answered.
        note: What a reader must know of all of them, such as "simulated".
        most: How many people to take.
    """
    by_person: dict[str, list[dict[str, Any]]] = {}
    for row in scores.scores.iter_rows(named=True):
        if row["id"] not in by_person and len(by_person) == most:
            break
        by_person.setdefault(row["id"], []).append(row)
    groups = norm_groups(inventory)
    of_facet = {facet.code: facet.trait for facet in inventory.facets}
    error_from = dict(scores.reliability.select("code", "error_from").iter_rows())
    values = [option.value for item in inventory.items for option in inventory.options(item)]
    limits = (min(values), max(values))
    subjects = []
    for person, rows in by_person.items():
        made = [
            _row(row, of_facet, error_from[row["code"]], limits, many=len(by_person) > 1)
            for row in rows
        ]
        named = next((row["norm_group"] for row in rows if row["norm_group"]), None)
        subjects.append(
            Subject(
                name=printable(person, 80),
                kind="person",
                note=note,
                norm_group=groups[named].label if named else "",
                traits=tuple(row for row in made if row.kind == "trait"),
                facets=tuple(row for row in made if row.kind == "facet"),
            )
        )
    return tuple(subjects)


def _row(
    row: dict[str, Any],
    of_facet: dict[str, str],
    error_from: str,
    limits: tuple[float, float],
    *,
    many: bool,
) -> ProfileRow:
    from allport.administration.scoring_people import error_widths

    items, answered = int(row["items"]), int(row["answered"])
    score, raw, error = (_number(row[name]) for name in ("score", "raw", "standard_error"))
    why = ""
    if math.isnan(score):
        why = "too few of its items were answered"
    elif math.isnan(error):
        why = "its answers are all alike or too few to tell its error"
    half = float(error_widths(error_from, answered)) * error
    low, high = (
        min(max(bound, limits[0]), limits[1])
        for bound in (score - half / items, score + half / items)
    )
    once = undefined("a person answered once, in one way")
    flips = Flips(once, math.nan, once, math.nan, once, np.full(items, math.nan), 0, 0)
    kind: Literal["trait", "facet"] = "trait" if row["kind"] == "trait" else "facet"
    return ProfileRow(
        code=row["code"],
        name=row["name"],
        trait=of_facet.get(row["code"], row["code"]),
        kind=kind,
        items=items,
        score=Estimate(score, low, high, why),
        standard_error=error / items,
        raw=Estimate(raw, raw - half, raw + half, why),
        norm=_norm(row),
        alpha=undefined(
            "alpha is a figure of the whole sample" if many else "one person has no reliability"
        ),
        order_flips=flips,
        template_flips=flips,
        usability=Usability(items, 0, 0, items - answered, math.nan, math.nan),
    )


def _norm(row: dict[str, Any]) -> NormScore | None:
    if row["t"] is None:
        return None
    return NormScore(
        raw=_number(row["raw"]),
        t=row["t"],
        t_low=_number(row["t_low"]),
        t_high=_number(row["t_high"]),
        percentile=row["percentile"],
        percentile_low=_number(row["percentile_low"]),
        percentile_high=_number(row["percentile_high"]),
        level=cast(Level, row["level"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
