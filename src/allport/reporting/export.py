"""A report on disk: the page, and beside it the same figures for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from allport.errors import RunError
from allport.files import write_atomically
from allport.reporting.content import ReportContent, to_json

if TYPE_CHECKING:
    from allport.administration.run import Run
    from allport.inventories.norms import NormGroup
    from allport.personas.person import Person

__all__ = ["ReportFiles", "report", "write_report"]

_FORMAT = "allport-report-1"


class ReportFiles(NamedTuple):
    """Where the parts of a report are."""

    page: Path
    """The report for people: one HTML file."""
    data: Path
    """Everything in it as JSON."""
    tables: tuple[Path, ...]
    """Profile, items and conditions as CSV."""
    figures: tuple[Path, ...]
    """Each figure as SVG and PNG."""


def report(
    run: Run,
    folder: Path | str | None = None,
    *,
    norm: NormGroup | str | None = "default",
    people: Sequence[Person] = (),
) -> ReportFiles:
    """Write the report of a run.

    Args:
        run: The run.
        folder: Where to; the run folder by default.
        norm: Norm group that the model's scores are set against; see `allport.profile`.
        people: Who is to be shown beside it.

    Returns:
        The files written: `report.html`, `report.json`, tables as CSV and figures as SVG and PNG.

    Raises:
        RunError: There is no folder to write to, or it cannot be written.
        ResponsesError: The run has no responses, or a person answered another inventory.
        UsageError: The norm group is unknown.
    """
    from allport.errors import ResponsesError
    from allport.reporting.gathering import run_content
    from allport.reporting.people import person_subject

    target = run.folder if folder is None else Path(folder)
    if target is None:
        raise RunError("This run has no folder; say where the report is to be written.")
    for person in people:
        if person.inventory.content_hash != run.inventory.content_hash:
            raise ResponsesError(
                f"{person.name} answered {person.inventory.name} and the run asked "
                f"{run.inventory.name}; they cannot stand in one profile."
            )
    others = [person_subject(person) for person in people]
    return write_report(run_content(run, norm=norm, others=others), target)


def write_report(content: ReportContent, folder: Path | str) -> ReportFiles:
    """Write a report and its figures; files of an earlier report there are written over.

    Raises:
        RunError: The folder cannot be written.
    """
    from allport.reporting.page import render_page
    from allport.reporting.rendering import chart_png, figure_svgs

    folder = Path(folder)
    svgs = figure_svgs(content)
    texts: dict[str, str | bytes] = {
        "report.html": render_page(content, svgs),
        "report.json": json.dumps(
            {"format": _FORMAT, **to_json(content)}, ensure_ascii=False, allow_nan=False, indent=1
        ),
        "tables/profile.csv": _csv(_profile_rows(content)),
    }
    if content.items:
        texts["tables/items.csv"] = _csv(_item_rows(content))
    if content.conditions:
        texts["tables/conditions.csv"] = _csv(_condition_rows(content))
    for name, svg in svgs.items():
        texts[f"figures/{name}.svg"] = svg
        texts[f"figures/{name}.png"] = chart_png(svg)
    paths = {}
    try:
        for name, text in texts.items():
            paths[name] = write_atomically(folder / name, text)
    except OSError as error:
        raise RunError(
            f"The report cannot be written to {folder} ({error.strerror or error}); name another "
            "folder with --out."
        ) from None
    return ReportFiles(
        page=paths["report.html"],
        data=paths["report.json"],
        tables=tuple(path for name, path in paths.items() if name.startswith("tables/")),
        figures=tuple(path for name, path in paths.items() if name.startswith("figures/")),
    )


def _profile_rows(content: ReportContent) -> Iterable[dict[str, Any]]:
    for subject in content.subjects:
        for row in (*subject.traits, *subject.facets):
            norm = row.norm
            yield {
                "subject": subject.name,
                "who": subject.kind,
                "code": row.code,
                "name": row.name,
                "kind": row.kind,
                "items": row.items,
                "score": row.score.value,
                "score_low": row.score.low,
                "score_high": row.score.high,
                "raw": row.raw.value,
                "t": norm.t if norm else math.nan,
                "t_low": norm.t_low if norm else math.nan,
                "t_high": norm.t_high if norm else math.nan,
                "percentile": norm.percentile if norm else math.nan,
                "percentile_low": norm.percentile_low if norm else math.nan,
                "percentile_high": norm.percentile_high if norm else math.nan,
                "norm_group": subject.norm_group,
                "alpha": row.alpha.value,
                "alpha_low": row.alpha.low,
                "alpha_high": row.alpha.high,
                "alpha_reason": row.alpha.reason,
                "order_flips": row.order_flips.raw.value,
                "order_flips_of_chance": row.order_flips.corrected.value,
                "template_flips": row.template_flips.raw.value,
                "template_flips_of_chance": row.template_flips.corrected.value,
                "questions": row.usability.questions,
                "refused": row.usability.refused,
                "unparsable": row.usability.unparsable,
                "missing": row.usability.missing,
                "label_mass": row.usability.label_mass,
            }


def _item_rows(content: ReportContent) -> Iterable[dict[str, Any]]:
    most = max(len(item.options) for item in content.items)
    for item in content.items:
        shares = (*item.distribution, *[math.nan] * (most - len(item.distribution)))
        yield {
            "number": item.number,
            "text": item.text,
            "trait": item.trait,
            "facet": item.facet,
            "key": item.key,
            "mean": item.mean,
            **{f"share_{place + 1}": share for place, share in enumerate(shares)},
            "changed": item.changed,
            "label_mass": item.label_mass,
            "asked": item.asked,
            "refused": item.refused,
            "unparsable": item.unparsable,
        }


def _condition_rows(content: ReportContent) -> Iterable[dict[str, Any]]:
    for row in content.conditions:
        yield {
            "subject": row.subject,
            "template": row.template,
            "order": row.order,
            "form": row.form,
            "repeat": row.repeat,
            **row.scores,
            "answered": row.answered,
            "label_mass": row.label_mass,
        }


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV. Missing figures are empty cells, and no text can act as a formula."""
    buffer = io.StringIO()
    writer: Any = None
    for row in rows:
        if writer is None:
            writer = csv.writer(buffer, lineterminator="\n")
            writer.writerow([_cell(name) for name in row])
        writer.writerow([_cell(value) for value in row.values()])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    # Spreadsheets run text that begins like a formula; names and items come from models and files.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return str(value)
