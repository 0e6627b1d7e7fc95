"""The asking: conditions, questions, responses, and the runs that keep them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.administration.adaptive import (
        ADAPTIVE_RESULT,
        AdaptiveMeasurement,
        AdaptiveScore,
        measure_adaptively,
        most_questions,
    )
    from allport.administration.bank_calibration import (
        BankCalibration,
        CalibratedTrait,
        item_shares,
        read_calibration,
    )
    from allport.administration.comparing import Comparison, Difference, compare
    from allport.administration.design import Design
    from allport.administration.fitted_items import fitted_among, fitted_items_asked
    from allport.administration.measuring import measure
    from allport.administration.orders import permutation, williams_square
    from allport.administration.planning import plan
    from allport.administration.profiles import Profile, ProfileRow, Sides, Styles, Usability
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
    from allport.administration.situation_scoring import situation_scores
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
    "adaptive": (
        "ADAPTIVE_RESULT",
        "AdaptiveMeasurement",
        "AdaptiveScore",
        "measure_adaptively",
        "most_questions",
    ),
    "bank_calibration": (
        "BankCalibration",
        "CalibratedTrait",
        "item_shares",
        "read_calibration",
    ),
    "comparing": (
        "Comparison",
        "Difference",
        "compare",
    ),
    "design": ("Design",),
    "fitted_items": (
        "fitted_among",
        "fitted_items_asked",
    ),
    "measuring": ("measure",),
    "orders": (
        "permutation",
        "williams_square",
    ),
    "planning": ("plan",),
    "profiles": (
        "Profile",
        "ProfileRow",
        "Sides",
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
    "situation_scoring": ("situation_scores",),
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
    "ADAPTIVE_RESULT",
    "SCHEMA",
    "AdaptiveMeasurement",
    "AdaptiveScore",
    "Answers",
    "BankCalibration",
    "CalibratedTrait",
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
    "Sides",
    "Styles",
    "Template",
    "Usability",
    "administrations",
    "answers",
    "compare",
    "find_runs",
    "fitted_among",
    "fitted_items_asked",
    "item_shares",
    "load_templates",
    "measure",
    "measure_adaptively",
    "most_questions",
    "option_probabilities",
    "permutation",
    "plan",
    "profile",
    "read_calibration",
    "read_responses",
    "read_run",
    "read_templates",
    "responses_frame",
    "score",
    "situation_scores",
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
