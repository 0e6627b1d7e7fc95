"""`allport measure`: one inventory given to one model."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from allport.cli.adaptive_options import (
    AdaptiveOptions,
    adaptive_json,
    as_calibrated,
    print_adaptive,
)
from allport.cli.alignment_options import AlignmentOptions
from allport.cli.design_options import DesignOptions, PlannedDesign
from allport.cli.model_options import ModelOptions
from allport.cli.output import Flag, Json, console, notice, print_json
from allport.errors import AllportError, ModelError, RunError, UsageError

if TYPE_CHECKING:
    from allport.administration import Run
    from allport.inventories import Inventory
    from allport.reporting import ReportContent

__all__ = ["RUNS", "measure", "new_run_folder", "print_run", "resuming", "run_json"]

RUNS = Path("runs")
"""Where run folders are made unless another place is named."""

_RESULT = Group("Result", sort_key=1)


def measure(
    model: str,
    /,
    *,
    inventory: Annotated[str, Parameter(group="Arguments")],
    out: Annotated[Path | None, Parameter(group=_RESULT)] = None,
    resume: Annotated[Flag, Parameter(group=_RESULT)] = False,
    dry_run: Annotated[Flag, Parameter(group=_RESULT)] = False,
    norms: Annotated[str, Parameter(group=_RESULT)] = "default",
    facets: Annotated[Flag, Parameter(group=_RESULT)] = False,
    report: Annotated[Flag, Parameter(group=_RESULT)] = False,
    json: Annotated[Json, Parameter(group=_RESULT)] = False,
    design: DesignOptions = DesignOptions(),
    adaptive: AdaptiveOptions = AdaptiveOptions(),
    alignment: AlignmentOptions = AlignmentOptions(),
    options: ModelOptions = ModelOptions(),
) -> None:
    """Measure a model: local, from the Hugging Face hub, or behind an endpoint.

    Every answer is kept in a run folder as it comes, so a run that was interrupted goes on with
    --resume. OPENAI_BASE_URL and OPENAI_API_KEY say where endpoints are.

    Args:
        model: embedded, a local folder, a Hugging Face id, or openai:NAME.
        inventory: What to ask: a name that allport inventories list shows, or a file.
        out: Run folder; by default runs/MODEL-INVENTORY-TIME.
        resume: Go on with the newest unfinished run of this model and inventory.
        dry_run: Show what would be asked, and ask nothing.
        norms: Norm group, such as women-21-40, men-over-60 or both-21-40; or none.
        facets: Show facets under their traits.
        report: Write report.html into the run folder, too.
        json: Print JSON for machines.
        design: Under which conditions.
        adaptive: Whether items are chosen by what they tell.
        alignment: In whose place the model answers.
        options: How the model is loaded or asked.
    """
    from allport.administration import measure as administer
    from allport.administration import measure_adaptively
    from allport.inventories import load_inventory
    from allport.reporting import run_content, write_report

    asked = load_inventory(inventory)
    _check_norms(asked, norms)
    calibration = adaptive.read(
        asked, dry_run=dry_run, norms=norms != "default", facets=facets, report=report
    )
    if calibration is not None:
        design = as_calibrated(design, calibration)
    planned = design.build(asked)
    if dry_run:
        _show_plan(model, asked, planned, options, json)
        return
    # What cannot be asked is found before a model is loaded.
    _plan(asked, planned)
    respondent = alignment.aligned(options.load(model))
    folder = _folder(model, asked, out, resume, adaptive=calibration is not None)
    notice(f"Run folder: {folder}")
    progress: Literal["bar"] | None = None if json else "bar"
    settings: dict[str, Any] = {"personas": planned.personas, "progress": progress}
    try:
        if calibration is None:
            run = administer(respondent, asked, planned.design, folder, **settings)
        else:
            found = measure_adaptively(
                *(respondent, asked, calibration, planned.design, folder),
                standard_error=adaptive.standard_error,
                score_error=adaptive.points,
                most_items=adaptive.most_items,
                **settings,
            )
    except AllportError as error:
        if out is None and (folder / "run.json").exists():
            error.add_note("Give the same command --resume, or it starts a new run.")
        raise
    usage = _usage(respondent) if model.startswith("openai:") else None
    if calibration is not None:
        if json:
            print_json({**adaptive_json(found, calibration), **({"usage": usage} if usage else {})})
        else:
            print_adaptive(found, calibration)
            _print_usage(usage)
        return
    content = run_content(run, norm=None if norms == "none" else norms)
    if report:
        write_report(content, folder)
    if json:
        print_json({**run_json(run, content), **({"usage": usage} if usage else {})})
        return
    print_run(run, content, facets=facets, reported=report)
    _print_usage(usage)


def new_run_folder(model: str, inventory: str, parent: Path = RUNS) -> Path:
    """A folder for a new run that does not exist yet, named by what is asked of whom and when."""
    time = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    first = parent / f"{_stem(model, inventory)}-{time}"
    folder, again = first, 1
    while folder.exists():
        again += 1
        folder = first.with_name(f"{first.name}-{again}")
    return folder


@contextlib.contextmanager
def resuming(folder: Path) -> Iterator[None]:
    """Where a command stops that the same --out goes on with, say so.

    What runs inside the folder say of themselves gives way to it: whoever gave the command never
    named their folders.

    Args:
        folder: What the command is given, or makes by itself, as --out.

    Raises:
        RunError: It was interrupted.
    """
    kept = f"What was done is kept in {folder}; the same command with --out {folder} goes on there."
    try:
        yield
    except (KeyboardInterrupt, RunError) as error:
        causes = (error, error.__context__)
        if not any(isinstance(each, KeyboardInterrupt) for each in causes) or not folder.exists():
            raise
        raise RunError(f"Interrupted. {kept}") from None
    except ModelError as error:
        if folder.exists():
            error.__notes__ = [kept]
        raise


def run_json(run: Run, content: ReportContent) -> dict[str, Any]:
    """A run in figures, for machines."""
    from allport.reporting.content import to_json

    return {
        "folder": None if run.folder is None else str(run.folder),
        "asked": run.asked,
        "summary": run.summary._asdict(),
        "subjects": to_json(content.subjects),
        "cautions": list(content.cautions),
    }


def print_run(run: Run, content: ReportContent, *, facets: bool, reported: bool) -> None:
    """Print the profile of a run, and where its files are."""
    from allport.reporting import print_profile

    out = console()
    print_profile(out, content, facets=facets)
    if run.folder is None:
        return
    if run.asked == 0:
        out.print("Every answer was there already; nothing was asked.")
    out.print(f"Run folder: {run.folder}")
    if reported:
        out.print(f"Report: {run.folder / 'report.html'}")
    else:
        out.print(f"Report: `allport report {run.folder}`")


def _usage(respondent: Any) -> dict[str, Any]:
    """What asking an endpoint took, in this session."""
    from dataclasses import asdict

    return asdict(respondent.usage)


def _print_usage(usage: dict[str, Any] | None) -> None:
    if usage:
        cost = "" if usage["cost"] is None else f", cost {usage['cost']:.4g}"
        console().print(
            f"{usage['requests']:,} requests ({usage['retries']:,} repeated), "
            f"{usage['prompt_tokens']:,} tokens read, {usage['completion_tokens']:,} "
            f"written{cost}."
        )


def _check_norms(inventory: Inventory, norms: str) -> None:
    from allport.inventories import norm_groups

    groups = norm_groups(inventory)
    if norms in ("default", "none") or norms in groups:
        return
    if not groups:
        raise UsageError(f"There are no human norms for {inventory.name}; leave --norms out.")
    raise UsageError(
        f"{inventory.name} has no norm group {norms!r}; known are {', '.join(groups)}, and none."
    )


def _plan(inventory: Inventory, planned: PlannedDesign) -> list[Any]:
    from allport.administration import plan

    return list(plan(inventory, planned.design, planned.personas))


def _folder(
    model: str, inventory: Inventory, out: Path | None, resume: bool, *, adaptive: bool
) -> Path:
    if out is not None:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is a file; name a folder with --out.")
        return out
    if not resume:
        return new_run_folder(model, inventory.name)
    from allport.administration import find_runs

    stem = _stem(model, inventory.name)
    for run in find_runs(RUNS):
        name = "" if run.folder is None else run.folder.name
        if (run.record.adaptive is not None) != adaptive:
            continue
        if re.fullmatch(rf"{re.escape(stem)}-\d{{8}}-\d{{6}}(-\d+)?", name) and not run.complete:
            return RUNS / name
    raise UsageError(
        f"There is no unfinished run of {model} on {inventory.name} in {RUNS}; leave --resume out, "
        "or name the run folder with --out."
    )


def _stem(model: str, inventory: str) -> str:
    """What the run folders of a model and an inventory begin with; safe on every file system."""
    tail = model.rstrip("/\\").replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    name = re.sub(r"[^A-Za-z0-9._]+", "-", tail).strip("-.").lower()
    return f"{name[:60] or 'model'}-{inventory}"


def _show_plan(
    model: str,
    inventory: Inventory,
    planned: PlannedDesign,
    options: ModelOptions,
    json: bool,
) -> None:
    """Print what would be asked: the requests of an endpoint, or the questions of a local model."""
    questions = _plan(inventory, planned)
    conditions = len(planned.design.conditions(inventory))
    if model.startswith("openai:"):
        endpoint: Any = options.load(model)
        shown = endpoint.dry_run(questions)
        print(shown.as_json())
        return
    first = questions[0]
    content = {
        "model": model,
        "inventory": inventory.name,
        "conditions": conditions,
        "questions": len(questions),
        "first_question": [message._asdict() for message in first.messages],
        "labels": list(first.labels),
    }
    if json:
        print_json(content)
        return
    out = console()
    out.print(
        f"{model} would be asked {len(questions):,} questions: the items of {inventory.title} "
        f"under {conditions} conditions. The first:"
    )
    for message in first.messages:
        out.print(f"\n[{message.role}]\n{message.content}")
