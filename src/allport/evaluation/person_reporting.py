"""The person benchmark as files: every figure as JSON, and the tables people read as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from allport.errors import RunError
from allport.evaluation.open_ended_scores import OpenEndedScores
from allport.evaluation.person_answers import READINGS
from allport.evaluation.person_benchmark import Cell, PersonBenchmark
from allport.evaluation.person_cells import UNALIGNED
from allport.evaluation.person_scores import ALL, EVERYONE, PersonScores
from allport.files import write_atomically
from allport.psychometrics.estimate import Estimate

__all__ = [
    "Comparison",
    "PersonReport",
    "PersonReportFiles",
    "compared_with",
    "person_report",
    "write_person_report",
]

_RULES: Final = ("constant C", "own facet mean", "item mean + facet offset")
"""What every cell is compared with, where it is there, beside the model as it is."""
_SCORES: Final = "scores.json"
_PAGE: Final = "report.md"
_FORMAT: Final = "allport-person-scores-1"


class Comparison(NamedTuple):
    """A cell less a reference, over the same people."""

    cell: str
    reference: str
    error: Estimate
    """Difference of corrected composites (median reading); below 0 the cell is nearer."""


@dataclass(frozen=True, eq=False)
class PersonReport:
    """A benchmark with its scores."""

    benchmark: PersonBenchmark
    scores: Mapping[str, PersonScores]
    """By name: cells first, then baselines."""
    comparisons: tuple[Comparison, ...]
    side_effects: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    """Estimates by what was measured, by cell."""
    open_ended: OpenEndedScores | None = None
    """What judges made of open answers; None where none were written."""

    @property
    def cells(self) -> list[PersonScores]:
        """Scores of what was asked."""
        return [self.scores[cell.name] for cell in self.benchmark.cells]

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked about the people, a sentence each."""
        note = self.benchmark.people.corpus.note
        return (note,) if note else ()


class PersonReportFiles(NamedTuple):
    """What was written."""

    scores: Path
    """Every figure, JSON."""
    page: Path
    """Tables, Markdown."""


def person_report(
    benchmark: PersonBenchmark,
    *,
    side_effects: Mapping[str, Mapping[str, Estimate]] | None = None,
    open_ended: OpenEndedScores | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> PersonReport:
    """Score a benchmark and compare its cells with what stands beside them.

    Every cell is compared with the unaligned model, with three rules that need none, and with the
    controls of its own method.

    Args:
        benchmark: What was asked.
        side_effects: What else changed, by cell and by what was measured.
        open_ended: What judges made of open answers.
        resamples: Of people.
        seed: Of the resamples.
    """
    scores = benchmark.scores(resamples=resamples, seed=seed)
    comparisons = [
        Comparison(cell.name, name, compared_with(scores[cell.name], scores[name]))
        for cell in benchmark.cells
        for name in (UNALIGNED, *_controls(benchmark, cell), *_RULES)
        if name in scores and name != cell.name
    ]
    return PersonReport(benchmark, scores, tuple(comparisons), side_effects or {}, open_ended)


def _controls(benchmark: PersonBenchmark, cell: Cell) -> list[str]:
    """Names of the cells that are controls of this cell's method."""
    if cell.plan.method is None:
        return []
    own = cell.plan.method.name
    methods = [(other.name, other.plan.method) for other in benchmark.cells]
    return [name for name, method in methods if method is not None and method.control_of == own]


def compared_with(scores: PersonScores, reference: PersonScores) -> Estimate:
    """Difference of two corrected composites under the median reading."""
    return scores.difference(reference, "error", "median")


def write_person_report(report: PersonReport, folder: Path | str) -> PersonReportFiles:
    """Write scores.json and report.md into a folder.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = Path(folder)
    text = json.dumps(report_json(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return PersonReportFiles(
            write_atomically(folder / _SCORES, text),
            write_atomically(folder / _PAGE, report_markdown(report)),
        )
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror or error}); name another folder."
        ) from None


def report_json(report: PersonReport) -> dict[str, Any]:
    """Everything that a report holds, JSON-ready; what has no value is null and has a reason."""
    benchmark = report.benchmark
    cells = {cell.name: cell for cell in benchmark.cells}
    uses = {baseline.name: baseline.uses for baseline in benchmark.baselines}
    systems = []
    for name, scores in report.scores.items():
        content: dict[str, Any] = {"name": name, "kind": "cell" if name in cells else "baseline"}
        if name in cells:
            cell = cells[name]
            content |= {
                "method": None if cell.plan.method is None else cell.plan.method.name,
                "control_of": None if cell.plan.method is None else cell.plan.method.control_of,
                "prompt": None if cell.plan.prompts is None else cell.plan.prompts.name,
                "responses": cell.responses,
                "prompt_tokens": cell.prompt_tokens,
                "seconds": cell.seconds,
                "fit_seconds": cell.fit_seconds,
                "side_effects": _plain(report.side_effects.get(name, {})),
            }
        else:
            content["uses"] = uses[name]
        content["profiles_undefined"] = scores.profiles_undefined
        content["figures"] = [_plain(figure._asdict()) for figure in scores.figures]
        content["calibration"] = (
            None
            if scores.calibration is None
            else [_plain(each._asdict()) for each in scores.calibration.bins]
        )
        systems.append(content)
    return {
        "format": _FORMAT,
        "model": benchmark.model,
        "people": benchmark.people.describe(),
        "notes": list(report.notes),
        "settings": dict(benchmark.settings),
        "systems": systems,
        "comparisons": [_plain(each._asdict()) for each in report.comparisons],
        "open_ended": None if report.open_ended is None else _plain(vars(report.open_ended)),
    }


def report_markdown(report: PersonReport) -> str:
    """The tables of a report, with what is needed to read them."""
    benchmark = report.benchmark
    people = benchmark.people
    excluded = sum(map(len, people.excluded.values()))
    count, items = len(people.ids), len(people.split.held_out)
    parts = [
        f"# {_cell(benchmark.model)} in the place of {count} people",
        f"{count:,} people of {_cell(people.name)}"
        + (" (simulated)" if people.corpus.simulated else "")
        + f", {items} test items of {people.inventory.title}; {len(people.split.fit)} other items "
        f"could be fitted on. {excluded} people were left out"
        + "".join(f"; {len(who)}: {why}" for why, who in people.excluded.items() if who)
        + ". Brackets hold 95 % intervals from a bootstrap over people.",
        *(f"**Not checked:** {_cell(note)}" for note in report.notes),
        *_tables(report),
    ]
    notes = _reasons(report)
    if notes:
        parts += ["## Why there is a dash", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _tables(report: PersonReport) -> Iterator[str]:
    every = list(report.scores.values())
    traits = list(report.benchmark.people.traits)
    yield "## Distance from the person"
    yield (
        "Sum over the five traits of the mean absolute distance, 0 is the person. Corrected: "
        "literal answers, missing ones left out, unusable ones cost as much as the worst answer. "
        "Published: as the released code computes it; for comparison with its tables only."
    )
    yield _table(
        ("", *(f"corrected, {reading}" for reading in READINGS), "published", "unusable"),
        (
            (
                scores.name,
                *(_text(scores.find("error", reading)) for reading in READINGS),
                _text(scores.find("published")),
                _share(scores.find("unusable")),
            )
            for scores in every
        ),
    )
    yield "## Is it nearer than what needs no model?"
    yield "Differences of corrected composites (median), over the same people; below 0 is nearer."
    yield _comparisons(report)
    yield "## Agreement, forecasts and profiles"
    heads = ("kappa", "log score", "calibration error", "profile r", "distinctive r", "trait r")
    yield (
        "Kappa has quadratic weights. The log score is in nats, 0 the best. Profile r is within "
        "people over items; distinctive r the same without what everybody shares; trait r between "
        "people, mean over traits."
    )
    yield _table(
        ("", *heads),
        (
            (
                scores.name,
                *(_text(scores.find(h, "median" if h == "kappa" else "")) for h in heads),
            )
            for scores in every
        ),
    )
    for title, metric, reading in (
        ("Distance by trait", "error", "median"),
        ("Between-person r by trait", "trait r", ""),
    ):
        yield f"## {title}"
        yield _table(
            ("", *traits),
            ((s.name, *(_text(s.find(metric, reading, code)) for code in traits)) for s in every),
        )
    yield from _group_table(report)
    yield from _facet_tables(report)
    yield from _calibration_tables(report)
    yield from _open_ended_tables(report)
    yield from _cost_table(report)


def _comparisons(report: PersonReport) -> str:
    references = list(dict.fromkeys(each.reference for each in report.comparisons))
    found = {(each.cell, each.reference): each.error for each in report.comparisons}
    return _table(
        ("", *(f"less {name}" for name in references)),
        (
            (s.name, *(_text(found[s.name, r]) if (s.name, r) in found else "" for r in references))
            for s in report.cells
        ),
    )


def _group_table(report: PersonReport) -> Iterator[str]:
    people = report.benchmark.people
    if not people.groups:
        return
    shown = [*report.cells, *(report.scores[n] for n in ("constant C",) if n in report.scores)]
    yield "## Distance by group of people"
    rows = []
    for grouping, labels in people.groups.items():
        for label in sorted(set(labels) - {""}):
            group = f"{grouping}: {label}"
            errors = (_text(s.find("error", "median", group=group)) for s in shown)
            rows.append((group, str(labels.count(label)), *errors))
    yield _table(("", "people", *(scores.name for scores in shown)), rows)


def _facet_tables(report: PersonReport) -> Iterator[str]:
    facets = {
        facet.code: facet.name
        for facet in report.benchmark.people.inventory.facets
        if facet.code in report.benchmark.people.facets
    }
    for title, metric, reading in (
        ("Distance by facet", "error", "median"),
        ("Between-person r by facet", "trait r", ""),
    ):
        yield f"## {title}"
        yield _table(
            ("", *(scores.name for scores in report.cells)),
            (
                (f"{code} {name}", *(_text(s.find(metric, reading, code)) for s in report.cells))
                for code, name in facets.items()
            ),
        )


def _calibration_tables(report: PersonReport) -> Iterator[str]:
    curves = [(s.name, s.calibration.bins) for s in report.cells if s.calibration is not None]
    if not curves:
        return
    yield "## Calibration"
    yield "How often an option came true that was given this probability, and how many were."
    yield _table(
        ("probability", *(name for name, _ in curves)),
        (
            (
                f"{row[0].low:.1f} to {row[0].high:.1f}",
                *(f"{_text(each.share)} of {each.forecasts:,}" for each in row),
            )
            for row in zip(*(bins for _, bins in curves), strict=True)
        ),
    )


def _open_ended_tables(report: PersonReport) -> Iterator[str]:
    found = report.open_ended
    if found is None:
        return
    traits = list(report.benchmark.people.traits)
    yield "## Open answers, judged"
    yield (
        "Fit is on the rubric from 1, the opposite of the person, to 6, exactly like the person. "
        "Preferred is how often the answer was taken for the person's own among those of all "
        "cells. The interview is the correlation over people of trait scores that judges made of "
        "the answers with the person's own."
    )
    yield _table(
        ("", "fit", "preferred", "interview r", *(f"interview r, {code}" for code in traits)),
        (
            (
                system,
                _text(fit),
                _text(found.preferred[system]) if system in found.preferred else "–",
                _text(found.interview[system].mean),
                *(_text(found.interview[system].by_trait[code]) for code in traits),
            )
            for system, fit in found.fit.items()
        ),
    )
    for what, agreement in (
        ("fit", found.fit_agreement),
        ("level", found.level_agreement),
    ):
        why = f" ({agreement.reason})" if agreement.reason else ""
        yield f"Krippendorff's alpha between judges, {what}: {_text(agreement)}{why}."
    unusable = ", ".join(f"{_cell(judge)} {lost}" for judge, lost in found.unusable.items())
    yield f"Judgements that could not be used: {unusable}."
    if found.unjudged:
        yield (
            f"Of {found.unjudged} of {found.pairs} pairs of a person and a facet nothing is known "
            "to judge by, as the person answered no test item of the facet: they count in the "
            "interview alone."
        )


def _cost_table(report: PersonReport) -> Iterator[str]:
    yield "## Cost and side effects"
    effects = list(dict.fromkeys(k for each in report.side_effects.values() for k in each))
    people = len(report.benchmark.people.ids)
    rows = []
    for cell in report.benchmark.cells:
        per_answer = cell.prompt_tokens / cell.responses if cell.responses else math.nan
        measured = report.side_effects.get(cell.name, {})
        rows.append(
            (
                cell.name,
                "–" if cell.fit_seconds is None else f"{1000 * cell.fit_seconds / people:.3g} ms",
                f"{cell.responses:,}",
                f"{cell.seconds:.1f} s",
                f"{per_answer:,.0f}",
                *(_text(measured[e]) if e in measured else "–" for e in effects),
            )
        )
    heads = ("fit, a person", "answers", "asking", "prompt tokens an answer")
    yield _table(("", *heads, *effects), rows)


def _reasons(report: PersonReport) -> list[str]:
    """Why figures shown have no value, each reason once with whom it is true of."""
    found: dict[tuple[str, str], list[str]] = {}
    for scores in report.scores.values():
        for figure in scores.figures:
            whole = (figure.scale, figure.group) == (ALL, EVERYONE)
            if math.isnan(figure.estimate.value) and whole:
                found.setdefault((figure.metric, figure.estimate.reason), []).append(scores.name)
    return [
        f"{metric}: {reason} ({', '.join(dict.fromkeys(names))})"
        for (metric, reason), names in found.items()
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Text that cannot end its cell: names come from models and files."""
    return " ".join(text.replace("|", "\\|").split())


def _text(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "–"
    shown = _number(estimate.value)
    if math.isnan(estimate.low):
        return shown
    return f"{shown} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 1000 else f"{value:.2e}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def _share(estimate: Estimate) -> str:
    return "–" if math.isnan(estimate.value) else f"{100 * estimate.value:.1f} %"


def _plain(value: Any) -> Any:
    """JSON-ready: NaN becomes null, estimates become objects."""
    if isinstance(value, Estimate):
        return {k: _plain(v) for k, v in value._asdict().items() if k != "reason" or v}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
