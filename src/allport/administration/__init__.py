"""The asking: conditions, questions, responses, and the runs that keep them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.administration.comparing import Comparison, Difference, compare
    from allport.administration.design import Design
    from allport.administration.measuring import measure
    from allport.administration.orders import permutation, williams_square
    from allport.administration.planning import plan
    from allport.administration.profiles import Profile, ProfileRow, Styles, Usability
    from allport.administration.profiling import profile
    from allport.administration.progress import ProgressCallback
    from allport.administration.responses import (
        SCHEMA,
        Answers,
        administrations,
        answers,
        option_probabilities,
        read_responses,
        responses_frame,
        validate_responses,
        write_responses,
    )
    from allport.administration.run import Run, RunSummary, find_runs, read_run
    from allport.administration.run_record import RunRecord
    from allport.administration.scoring_people import PeopleScores, score
    from allport.administration.templates import (
        LabelStyle,
        RenderedItem,
        Template,
        load_templates,
        read_templates,
        standard_templates,
        templates_for,
    )

# Polars, rich and SQLite are imported with the first name that needs them, not with the room.
_HOMES: dict[str, tuple[str, ...]] = {
    "comparing": (
        "Comparison",
        "Difference",
        "compare",
    ),
    "design": ("Design",),
    "measuring": ("measure",),
    "orders": (
        "permutation",
        "williams_square",
    ),
    "planning": ("plan",),
    "profiles": (
        "Profile",
        "ProfileRow",
        "Styles",
        "Usability",
    ),
    "profiling": ("profile",),
    "progress": ("ProgressCallback",),
    "responses": (
        "SCHEMA",
        "Answers",
        "administrations",
        "answers",
        "option_probabilities",
        "read_responses",
        "responses_frame",
        "validate_responses",
        "write_responses",
    ),
    "run": (
        "Run",
        "RunSummary",
        "find_runs",
        "read_run",
    ),
    "run_record": ("RunRecord",),
    "scoring_people": (
        "PeopleScores",
        "score",
    ),
    "templates": (
        "LabelStyle",
        "RenderedItem",
        "Template",
        "load_templates",
        "read_templates",
        "standard_templates",
        "templates_for",
    ),
}

__all__ = [
    "SCHEMA",
    "Answers",
    "Comparison",
    "Design",
    "Difference",
    "LabelStyle",
    "PeopleScores",
    "Profile",
    "ProfileRow",
    "ProgressCallback",
    "RenderedItem",
    "Run",
    "RunRecord",
    "RunSummary",
    "Styles",
    "Template",
    "Usability",
    "administrations",
    "answers",
    "compare",
    "find_runs",
    "load_templates",
    "measure",
    "option_probabilities",
    "permutation",
    "plan",
    "profile",
    "read_responses",
    "read_run",
    "read_templates",
    "responses_frame",
    "score",
    "standard_templates",
    "templates_for",
    "validate_responses",
    "williams_square",
    "write_responses",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
