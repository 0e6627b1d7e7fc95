"""What people look at: tables on a terminal, figures, and the report as one file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.reporting.bank import BankFiles, traces_figure, write_bank_report
    from allport.reporting.content import ReportContent, Subject
    from allport.reporting.export import ReportFiles, report, write_report
    from allport.reporting.gathering import run_content
    from allport.reporting.page import render_page
    from allport.reporting.people import answers_of, people_subjects, person_subject
    from allport.reporting.rendering import figure_svgs
    from allport.reporting.terminal import print_profile

__all__ = [
    "BankFiles",
    "ReportContent",
    "ReportFiles",
    "Subject",
    "answers_of",
    "figure_svgs",
    "people_subjects",
    "person_subject",
    "print_profile",
    "render_page",
    "report",
    "run_content",
    "traces_figure",
    "write_bank_report",
    "write_report",
]

_HOMES = {
    "bank": ("BankFiles", "traces_figure", "write_bank_report"),
    "content": ("ReportContent", "Subject"),
    "export": ("ReportFiles", "report", "write_report"),
    "gathering": ("run_content",),
    "page": ("render_page",),
    "people": ("answers_of", "people_subjects", "person_subject"),
    "rendering": ("figure_svgs",),
    "terminal": ("print_profile",),
}


def __getattr__(name: str) -> Any:
    # Polars, Altair and Jinja are imported with the first name that needs them.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
