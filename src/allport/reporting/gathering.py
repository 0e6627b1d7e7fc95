"""From runs and people's answers to what a report says of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from allport.administration.fitted_items import fitted_items_asked
from allport.administration.label_priors import unknown_label_priors
from allport.administration.profiles import Profile
from allport.administration.profiling import profile
from allport.inventories.norms import NormGroup
from allport.reporting.content import ReportContent, Subject
from allport.reporting.plain_text import printable
from allport.reporting.run_parts import condition_rows, item_rows, run_facts, unusable_answers

if TYPE_CHECKING:
    import polars as pl

    from allport.administration.run import Run

__all__ = ["model_subject", "run_content"]

_RESAMPLES = 1000


def run_content(
    run: Run, *, norm: NormGroup | str | None = "default", others: Sequence[Subject] = ()
) -> ReportContent:
    """What a report says of a run.

    Each persona of the run is a subject of its own; the first is the one that items and
    sensitivity are shown of.

    Args:
        run: The run, complete or not.
        norm: Norm group that scores are set against; see `allport.profile`.
        others: Who is to be shown beside it, such as a person.

    Raises:
        ResponsesError: The run has no responses.
        UsageError: The norm group is unknown.
    """
    import polars as pl

    inventory, responses = run.inventory, run.responses
    personas = responses["persona"].unique(maintain_order=True).to_list() or [None]
    profiles = [
        profile(
            *(responses, inventory),
            persona=name,
            norm=norm,
            # Intervals of flips are shown of the first subject alone, and bootstraps take time.
            resamples=_RESAMPLES if name == personas[0] else 0,
        )
        for name in personas
    ]
    # Told apart before anything is said of them by name: long names are alike once they are cut.
    subjects = _told_apart([*map(model_subject, profiles), *others])
    first = responses.filter(pl.col("persona") == personas[0])
    group = profiles[0].norm_group
    return ReportContent(
        title=f"{printable(run.record.respondent, 80)} on {inventory.title}",
        inventory=inventory.name,
        inventory_title=inventory.title,
        inventory_source=inventory.source,
        inventory_licence=inventory.licence,
        n_items=int(first["item"].n_unique()),
        inventory_items=len(inventory.items),
        scale=tuple((option.text, option.value) for option in inventory.scale),
        trait_names={row.code: row.name for row in profiles[0].traits},
        created=run.record.started,
        norm_source=group.source if group else "",
        subjects=subjects,
        conditions=tuple(
            row
            for subject, name in zip(subjects, personas, strict=False)  # without the others
            for row in condition_rows(_of(responses, name), inventory, subject.name)
        ),
        items=item_rows(first, inventory),
        unusable=unusable_answers(first),
        facts=run_facts(run),
        cautions=_cautions(profiles, subjects, run),
        responses=responses.height,
        missing=sum(found.usability.unusable for found in profiles),
    )


def model_subject(found: Profile) -> Subject:
    """A profile of a model as the subject of a report."""
    name = printable(found.respondent, 80)
    if found.persona:
        name = f"{name} as {printable(found.persona, 80)}"
    return Subject(
        name=name,
        kind="model",
        note="",
        norm_group=found.norm_group.label if found.norm_group else "",
        traits=found.traits,
        facets=found.facets,
        administrations=len(found.conditions),
        position=found.position,
    )


def _told_apart(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """The subjects with a number after a name that another has already."""
    seen: Counter[str] = Counter()
    apart = []
    for subject in subjects:
        seen[subject.name] += 1
        again = seen[subject.name]
        name = subject.name if again == 1 else f"{subject.name} ({again})"
        apart.append(dataclasses.replace(subject, name=name))
    return tuple(apart)


def _of(responses: pl.DataFrame, persona: str) -> pl.DataFrame:
    import polars as pl

    return responses.filter(pl.col("persona") == persona)


def _cautions(
    profiles: Sequence[Profile], subjects: Sequence[Subject], run: Run
) -> tuple[str, ...]:
    """Cautions of each profile, said of whom where there are several; each once."""
    found = [
        caution if len(profiles) == 1 else f"{subject.name}: {caution}"
        for each, subject in zip(profiles, subjects, strict=False)
        for caution in each.cautions
    ]
    if run.record.adaptive is not None:
        found.insert(
            0,
            "Items were chosen adaptively, those that tell most: scores here are of those items, "
            "and adaptive.json in the run folder has those of the whole bank.",
        )
    elif not run.complete:
        left = run.record.questions - run.responses.height
        found.insert(0, f"The run is not complete: {left:,} questions have no response yet.")
    if unknown := unknown_label_priors(run.responses, run.inventory, run.design):
        templates = ", ".join(dict.fromkeys(each.template for each in unknown))
        found.insert(
            0,
            "No item has an answer in every order, so what labels get by themselves is not known "
            f"and was not divided out (template {templates}).",
        )
    if fitted := fitted_items_asked(run):
        found.insert(
            0,
            f"{len(fitted)} of {run.responses['item'].n_unique()} items asked are items that the "
            "alignment was fitted on: their answers tell what was trained, not what follows from "
            "it; ask others.",
        )
    return tuple(dict.fromkeys(found))
