"""What a report says, before it is said in a table, a figure, a page or a file."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from allport.psychometrics.estimate import Estimate, undefined

if TYPE_CHECKING:
    from allport.administration.profiles import ProfileRow
    from allport.evaluation.one_person import OnePerson
    from allport.psychometrics.sensitivity import PositionEffect

__all__ = [
    "ConditionRow",
    "Fact",
    "ItemRow",
    "ReportContent",
    "Subject",
    "UnusableAnswer",
    "percentile_of",
    "t_of",
    "to_json",
    "unusable_share",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """One respondent under one persona, or one person."""

    name: str
    kind: Literal["model", "person"]
    note: str
    """What a reader must know of it, such as "simulated"; may be empty."""
    norm_group: str
    """Whom the norms describe, such as "men aged 21 to 40"; empty where no norms are used."""
    traits: tuple[ProfileRow, ...]
    facets: tuple[ProfileRow, ...] = ()
    administrations: int = 1
    """How many times the inventory was answered."""
    position: PositionEffect | None = None
    """What being shown early or late does to an option; None for people."""

    def row(self, code: str) -> ProfileRow | None:
        """The trait or facet of that code; None where the subject was not asked it."""
        return next((row for row in (*self.traits, *self.facets) if row.code == code), None)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item over all conditions of the first subject."""

    number: int
    text: str
    trait: str
    facet: str
    key: int
    options: tuple[str, ...]
    mean: float
    """Mean literal answer, in units of the response scale."""
    distribution: tuple[float, ...]
    """Mean probability of each option in content order; empty where nothing usable was said."""
    changed: float
    """Share of pairs of conditions in which the chosen option differs, 0 to 1."""
    label_mass: float
    refused: int
    unparsable: int
    asked: int


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """The trait scores of one administration."""

    subject: str
    template: str
    order: str
    form: str
    repeat: int
    scores: dict[str, float]
    """Mean keyed answer by trait code."""
    answered: float
    """Share of items with a usable answer, 0 to 1."""
    label_mass: float


@dataclass(frozen=True, slots=True)
class UnusableAnswer:
    """One response that was refused or could not be read."""

    item: int
    template: str
    order: str
    refused: bool
    text: str
    """What was said, where something was; a long text is cut."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of "how it was run"."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything that one report shows."""

    title: str
    inventory: str
    inventory_title: str
    inventory_source: str
    inventory_licence: str
    n_items: int
    """Items that were asked."""
    inventory_items: int
    """Items that the inventory has."""
    scale: tuple[tuple[str, float], ...]
    """Text and literal value of each answer; empty for situational inventories."""
    trait_names: dict[str, str]
    created: str
    """When the run was made, ISO 8601; empty where that is not known."""
    norm_source: str
    """Where the norms were published; empty where none are used."""
    subjects: tuple[Subject, ...]
    """The first is the one that the report is about."""
    conditions: tuple[ConditionRow, ...] = ()
    items: tuple[ItemRow, ...] = ()
    unusable: tuple[UnusableAnswer, ...] = ()
    """Examples of responses that count as missing."""
    facts: tuple[Fact, ...] = ()
    cautions: tuple[str, ...] = ()
    person: OnePerson | None = None
    """How near the model was brought to a person, where that was tried."""
    responses: int = 0
    missing: int = 0
    """How many responses were refused or could not be read."""

    @property
    def has_norms(self) -> bool:
        """Whether any score can be put beside human norms."""
        return any(math.isfinite(t_of(row).value) for s in self.subjects for row in s.traits)


def t_of(row: ProfileRow) -> Estimate:
    """T score with its interval; NaN without norms."""
    if row.norm is None:
        return undefined("there are no norms")
    return Estimate(row.norm.t, row.norm.t_low, row.norm.t_high)


def percentile_of(row: ProfileRow) -> Estimate:
    """Percentile among the norm group, 0 to 100, with its interval; NaN without norms."""
    if row.norm is None:
        return undefined("there are no norms")
    return Estimate(row.norm.percentile, row.norm.percentile_low, row.norm.percentile_high)


def unusable_share(row: ProfileRow) -> float:
    """Share of a scale's questions without a choice, 0 to 1; NaN where nothing was asked."""
    used = row.usability
    return used.unusable / used.questions if used.questions else math.nan


def to_json(value: Any) -> Any:
    """A report, or a part of one, as JSON-ready objects; NaN becomes None."""
    if isinstance(value, Estimate):
        return {k: to_json(v) for k, v in value._asdict().items() if k != "reason" or v}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return to_json(value._asdict())
    if hasattr(value, "tolist"):  # numpy arrays and numbers
        return to_json(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {
            " x ".join(map(str, key)) if isinstance(key, tuple) else str(key): to_json(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
