"""Asking most items in one order only, with what labels get by themselves divided out.

A few items, drawn by a seed, are asked in every order of the design. There content stands equally
often at each place, so what is left is what a model gives to labels and places whatever stands
behind them: the label prior (PriDe; Zheng et al., 2024, arXiv 2309.03882). All other items are
asked in the first order, and the prior is divided out of every answer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration.orders import permutation
from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Response
from allport.psychometrics.situational import (
    LabelPrior,
    estimate_label_prior,
    remove_label_prior,
)

if TYPE_CHECKING:
    import polars as pl

    from allport.administration.design import Design

__all__ = [
    "Prompting",
    "label_priors",
    "prior_items",
    "unknown_label_priors",
    "without_label_priors",
]

Floats = NDArray[np.float64]


class Prompting(NamedTuple):
    """What questions have in common that share a label prior."""

    template: str
    persona: str


def prior_items(inventory: Inventory, design: Design) -> frozenset[int]:
    """Numbers of the items that are asked in every order: a seeded share of those asked.

    The share is `design.label_prior`, rounded up. Without one every item is asked in every order.
    """
    asked = np.array(design.items or inventory.numbers)
    if not design.label_prior:
        return frozenset(asked.tolist())
    # Less a little: .07 of 100 items is 7.000000000000001 in floating point.
    count = max(1, math.ceil(design.label_prior * len(asked) - 1e-9))
    drawn = np.random.default_rng(design.seed).choice(asked, count, replace=False)
    return frozenset(drawn.tolist())


def label_priors(
    responses: Iterable[Response], inventory: Inventory, design: Design
) -> dict[Prompting, LabelPrior]:
    """The label prior of each template and persona, from the items asked in every order.

    Args:
        responses: As the respondent gave them.
        inventory: What was asked.
        design: Under which conditions.

    Returns:
        Priors; those of which no item was answered in every order are left out.
    """
    orders = list(dict.fromkeys(c.order for c in design.conditions(inventory)))
    place = {order: index for index, order in enumerate(orders)}
    chosen = prior_items(inventory, design)
    tables: dict[Prompting, dict[tuple[int, str, int], Floats]] = {}
    for response in responses:
        c = response.condition
        if response.item not in chosen or response.probabilities is None:
            continue
        shown = _shown(response, response.probabilities)
        rows = tables.setdefault(Prompting(c.template, c.persona), {})
        # An item in another wording, or asked again, is as good as another item.
        table = rows.setdefault(
            (response.item, c.form, c.repeat), np.full((len(orders), len(shown)), np.nan)
        )
        table[place[c.order]] = shown
    priors = {}
    for prompting, rows in tables.items():
        try:
            priors[prompting] = estimate_label_prior(np.stack(list(rows.values())))
        except ResponsesError:
            continue
    return priors


def without_label_priors(
    responses: Iterable[Response], inventory: Inventory, design: Design
) -> list[Response]:
    """Responses with the label prior divided out of their probabilities and choices.

    Where a prior is not known, as no item was answered in every order, answers stay as they are.
    So do all answers of a design without a share of items for the label prior.
    """
    given = list(responses)
    if not design.label_prior:
        return given
    priors = label_priors(given, inventory, design)
    cleared = []
    for response in given:
        c = response.condition
        prior = priors.get(Prompting(c.template, c.persona))
        if prior is None or response.probabilities is None:
            cleared.append(response)
            continue
        shares = remove_label_prior(_shown(response, response.probabilities), prior)
        probabilities = np.empty_like(shares)
        probabilities[list(permutation(c.order, len(shares)))] = shares
        cleared.append(
            dataclasses.replace(
                response,
                probabilities=tuple(probabilities.tolist()),
                choice=int(probabilities.argmax()),
            )
        )
    return cleared


def unknown_label_priors(
    responses: pl.DataFrame, inventory: Inventory, design: Design
) -> tuple[Prompting, ...]:
    """Under which templates and personas answers hold a label prior that is not known.

    Args:
        responses: The frame of a run.
        inventory: What was asked.
        design: Under which conditions.
    """
    import polars as pl

    if not design.label_prior:
        return ()
    conditions = design.conditions(inventory)
    orders = len({condition.order for condition in conditions})
    chosen = list(prior_items(inventory, design))
    known = (
        responses.filter(pl.col("item").is_in(chosen) & pl.col("probabilities").is_not_null())
        .group_by("template", "persona", "item", "form", "repeat")
        .len()
        .filter(pl.col("len") == orders)
    )
    found = set(known.select("template", "persona").iter_rows())
    every = dict.fromkeys(Prompting(c.template, c.persona) for c in conditions)
    return tuple(prompting for prompting in every if prompting not in found)


def _shown(response: Response, probabilities: tuple[float, ...]) -> Floats:
    """Probabilities by shown position."""
    order = permutation(response.condition.order, len(probabilities))
    return np.array(probabilities)[list(order)]
