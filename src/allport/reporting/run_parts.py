"""The parts of a report that are read from a run itself: its items, conditions and facts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allport.administration.label_priors import prior_items
from allport.administration.responses import answers
from allport.psychometrics.agreement import flips
from allport.reporting.content import ConditionRow, Fact, ItemRow, UnusableAnswer
from allport.reporting.plain_text import printable
from allport.reporting.wording import counted, listed

if TYPE_CHECKING:
    import polars as pl

    from allport.administration.run import Run
    from allport.inventories.inventory import Inventory

__all__ = ["condition_rows", "item_rows", "run_facts", "unusable_answers"]

_LONGEST_ITEM: Final = 400
_LONGEST_ANSWER: Final = 300
_MOST_EXAMPLES: Final = 12
_TOLD_ELSEWHERE: Final = ("name", "model", "versions")
"""Parts of a description that the name and the software of a run say again."""

_AGAINST: Final = ", set against their likelihood after a neutral prompt"


def item_rows(responses: pl.DataFrame, inventory: Inventory) -> tuple[ItemRow, ...]:
    """What was answered to each item over all conditions, in the order of the inventory."""
    choices = answers(responses, inventory, "choice").values
    literal = answers(responses, inventory, "expected_literal").values
    masses = answers(responses, inventory, "label_mass").values
    sizes = np.array([len(inventory.options(item)) for item in inventory.items])
    changed = flips(choices, sizes, resamples=0).by_item
    counts = {
        number: (asked, refused, unparsable)
        for number, asked, refused, unparsable in _counts(responses)
    }
    shares = _distributions(responses)
    rows = []
    for index, item in enumerate(inventory.items):
        if item.number not in counts:
            continue
        asked, refused, unparsable = counts[item.number]
        rows.append(
            ItemRow(
                number=item.number,
                text=printable(item.text or "", _LONGEST_ITEM),
                trait=item.trait,
                facet=item.facet or "",
                key=item.key,
                options=tuple(printable(o.text, 80) for o in inventory.options(item)),
                mean=_mean(literal[:, index]),
                distribution=shares.get(item.number, ()),
                changed=float(changed[index]),
                label_mass=_mean(masses[:, index]),
                refused=refused,
                unparsable=unparsable,
                asked=asked,
            )
        )
    return tuple(rows)


def condition_rows(
    responses: pl.DataFrame, inventory: Inventory, subject: str
) -> tuple[ConditionRow, ...]:
    """Trait scores of each administration in a frame."""
    table = answers(responses, inventory, "expected_keyed")
    masses = answers(responses, inventory, "label_mass").values
    asked = ~np.isnan(answers(responses, inventory, "item").values)
    rows = []
    for index, condition in enumerate(table.administrations):
        given = table.values[index]
        rows.append(
            ConditionRow(
                subject=subject,
                template=condition.template,
                order=condition.order,
                form=condition.form,
                repeat=condition.repeat,
                scores={
                    trait.code: _mean(given[inventory.columns(trait.code)])
                    for trait in inventory.traits
                },
                answered=float((~np.isnan(given)).sum() / max(1, asked[index].sum())),
                label_mass=_mean(masses[index]),
            )
        )
    return tuple(rows)


def unusable_answers(responses: pl.DataFrame) -> tuple[UnusableAnswer, ...]:
    """The first responses that were refused or could not be read, with what was said."""
    import polars as pl

    missing = responses.filter(pl.col("refused") | pl.col("unparsable")).head(_MOST_EXAMPLES)
    columns = ("item", "template", "order", "refused", "text")
    return tuple(
        UnusableAnswer(item, template, order, refused, printable(text or "", _LONGEST_ANSWER))
        for item, template, order, refused, text in missing.select(columns).iter_rows()
    )


def run_facts(run: Run) -> tuple[Fact, ...]:
    """How a run was made, from its record: enough to make it again."""
    record, design, summary = run.record, run.design, run.summary
    facts = [Fact("Respondent", record.respondent)]
    facts += [
        Fact(_label(name), text)
        for name, value in record.description.items()
        if name not in _TOLD_ELSEWHERE and (text := _plain(value))
    ]
    orders = list(dict.fromkeys(c.order for c in design.conditions(run.inventory)))
    factors = {
        "template": design.templates,
        "order": orders,
        "form": design.forms if design.forms != ("original",) else (),
        "persona": tuple(name or "none" for name in design.personas)
        if design.personas != ("",)
        else (),
    }
    crossed = [
        f"{counted(len(levels), factor)} ({', '.join(levels)})"
        for factor, levels in factors.items()
        if levels
    ]
    if design.repeats > 1:
        crossed.append(counted(design.repeats, "repeat"))
    facts += [
        Fact("Design", " × ".join(crossed)),
        Fact("Reading", f"{design.reading} of answers{_AGAINST if design.pmi else ''}"),
        Fact("Seed", str(design.seed)),
        Fact("Responses", f"{summary.answered:,} of {summary.questions:,}"),
    ]
    if design.label_prior:
        known = counted(len(prior_items(run.inventory, design)), "item")
        facts.append(
            Fact(
                "Label prior",
                f"found from {known} asked in every order, and divided out; all others were asked "
                f"in the order {orders[0]} alone",
            )
        )
    if design.fraction < 1:
        facts.append(Fact("Fraction", f"{design.fraction:g} of all conditions"))
    tokens = [
        f"{count:,} {what}"
        for count, what in (
            (summary.prompt_tokens, "read"),
            (summary.completion_tokens, "written"),
        )
        if count
    ]
    if tokens:
        facts.append(Fact("Tokens", listed(tokens)))
    facts.append(Fact("Inventory hash", run.inventory.content_hash))
    for name, text in record.personas.items():
        if text:
            facts.append(Fact(f"Persona {name}", printable(text, 1000)))
    facts += [Fact("Started", record.started), Fact("Finished", record.finished or "not yet")]
    if record.sessions:
        last = record.sessions[-1]
        versions = ", ".join(f"{name} {version}" for name, version in last.packages.items())
        facts += [
            Fact("Sessions", str(len(record.sessions))),
            Fact("Software", f"{versions}; {last.platform}"),
        ]
    return tuple(Fact(printable(f.name, 80), printable(f.value, 2000)) for f in facts)


def _counts(responses: pl.DataFrame) -> list[tuple[int, int, int, int]]:
    import polars as pl

    counted_rows = responses.group_by("item").agg(
        pl.len(), pl.col("refused").sum().alias("no"), pl.col("unparsable").sum().alias("what")
    )
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in counted_rows.iter_rows()]


def _distributions(responses: pl.DataFrame) -> dict[int, tuple[float, ...]]:
    """Mean probability of each option, by item number, over the usable responses."""
    import polars as pl

    usable = responses.filter(pl.col("probabilities").is_not_null())
    return {
        int(number): tuple(float(share) for share in np.mean(rows, axis=0))
        for number, rows in usable.group_by("item").agg("probabilities").iter_rows()
    }


def _mean(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _plain(value: Any) -> str:
    """A value of a description in words; empty where it says nothing."""
    if value is None or value == {} or value == [] or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(
            f"{key}: {text}" for key, entry in value.items() if (text := _plain(entry))
        )
    if isinstance(value, list):
        return ", ".join(filter(None, map(_plain, value)))
    return str(value)
