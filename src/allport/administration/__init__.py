"""The asking: conditions, questions, responses, and the runs that keep them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.administration.design import Design
    from allport.administration.measuring import measure
    from allport.administration.orders import permutation, williams_square
    from allport.administration.planning import plan
    from allport.administration.responses import (
        SCHEMA,
        Answers,
        administrations,
        answers,
        read_responses,
        responses_frame,
        validate_responses,
        write_responses,
    )
    from allport.administration.run import Run, RunSummary, find_runs, read_run
    from allport.administration.templates import Template, load_templates, read_templates

_ROOM = "allport.administration"
# Polars, rich and SQLite are imported with the first name that needs them, not with the package.
_HOME = {
    "Answers": "responses",
    "Design": "design",
    "Run": "run",
    "RunSummary": "run",
    "SCHEMA": "responses",
    "Template": "templates",
    "administrations": "responses",
    "answers": "responses",
    "find_runs": "run",
    "load_templates": "templates",
    "measure": "measuring",
    "permutation": "orders",
    "plan": "planning",
    "read_responses": "responses",
    "read_run": "run",
    "read_templates": "templates",
    "responses_frame": "responses",
    "validate_responses": "responses",
    "williams_square": "orders",
    "write_responses": "responses",
}

__all__ = [
    "SCHEMA",
    "Answers",
    "Design",
    "Run",
    "RunSummary",
    "Template",
    "administrations",
    "answers",
    "find_runs",
    "load_templates",
    "measure",
    "permutation",
    "plan",
    "read_responses",
    "read_run",
    "read_templates",
    "responses_frame",
    "validate_responses",
    "williams_square",
    "write_responses",
]


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module {_ROOM!r} has no attribute {name!r}")
    return getattr(import_module(f"{_ROOM}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
