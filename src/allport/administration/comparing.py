"""Two runs side by side: paired differences with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allport.administration.item_means import item_clusters, mean_of_items, score_limits
from allport.administration.run import Run
from allport.administration.situation_profiles import has_sides, item_sides
from allport.errors import UsageError
from allport.inventories.inventory import Inventory
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import mean_interval

__all__ = ["Comparison", "Difference", "compare"]

_CELL: Final = ("item", "template", "order", "form", "repeat")


class Difference(NamedTuple):
    """How two runs differ on one trait or facet."""

    code: str
    name: str
    trait: str
    """Code of the trait that a facet belongs to; a trait's own code."""
    kind: Literal["trait", "facet"]
    first: float
    """Score of the first run on the matched questions, in the units of `ProfileRow.score`."""
    second: float
    difference: Estimate
    """Second less first, with Student's interval over items, or clusters of items."""
    standard_error: float
    """Of the difference, over items or their clusters; NaN where it cannot be told."""
    items: int
    """Items that both runs answered under a shared condition."""
    cells: int
    """Pairs of responses to the same item under the same condition."""


@dataclass(frozen=True)
class Comparison:
    """Paired differences of two runs on every trait and facet."""

    first: str
    second: str
    inventory: str
    traits: tuple[Difference, ...]
    facets: tuple[Difference, ...]
    matched: int
    """Pairs of usable responses that the differences rest on."""
    unmatched_first: int
    """Responses of the first run without a usable partner."""
    unmatched_second: int
    agreement: Estimate
    """Share of pairs in which both chose the same option, with an interval over items, or clusters
    of items; see `allport.psychometrics.mean_interval`."""

    def to_frame(self) -> pl.DataFrame:
        """The differences as a frame, one row a trait or facet; null where there is no figure."""
        rows = [
            {
                **{name: value for name, value in row._asdict().items() if name != "difference"},
                "difference": row.difference.value,
                "low": row.difference.low,
                "high": row.difference.high,
                "reason": row.difference.reason,
            }
            for row in (*self.traits, *self.facets)
        ]
        return pl.DataFrame(rows).fill_nan(None)


def compare(
    first: Run,
    second: Run,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Differences of two runs on the questions that both answered.

    Responses are paired where item, template, option order, form and repeat are the same, and
    persona too, unless each run has a single one. Each run scores an item over its pairs as
    `profile` does over all its conditions, and the difference on a trait is the mean over items of
    the differences of these scores. Its interval is Student's, as that of a profile's score, over
    items, or the clusters that they belong to, so that pairs of one item count together; it is cut
    where no difference can be larger. Answers are mean values under their distributions.

    Args:
        first: A run.
        second: A run of the same inventory: another model, or the same one before and after.
        confidence: Of the intervals.
        resamples: Of the interval of agreement; 0 leaves it out.
        seed: Of the resamples; the same seed gives the same interval.

    Raises:
        UsageError: The runs are of different inventories, or share no question.
    """
    if first.inventory.content_hash != second.inventory.content_hash:
        raise UsageError(
            f"The runs asked {_title(first.inventory)} and {_title(second.inventory)}, which are "
            "not the same questions; compare runs of one inventory."
        )
    one, other = first.responses, second.responses
    cell = list(_CELL)
    if max(one["persona"].n_unique(), other["persona"].n_unique()) > 1:
        cell.append("persona")
    pairs = one.join(other, on=cell, suffix="_second").filter(
        pl.col("expected_keyed").is_not_null() & pl.col("expected_keyed_second").is_not_null()
    )
    if pairs.is_empty():
        raise UsageError(
            f"The runs of {first.record.respondent} and {second.record.respondent} share no usable "
            "answer to one question under one condition; measure both with the same design."
        )
    inventory = first.inventory
    by_item = pairs.group_by("item", maintain_order=True).agg(
        pl.col("trait").first(),
        pl.col("facet").first(),
        first=pl.col("expected_keyed").mean(),
        second=pl.col("expected_keyed_second").mean(),
        same=(pl.col("choice") == pl.col("choice_second")).mean(),
        cells=pl.len(),
    )
    place = {number: index for index, number in enumerate(inventory.numbers)}
    if has_sides(inventory):
        columns = [place[number] for number in by_item["item"]]
        by_item = by_item.with_columns(
            pl.Series(
                name, item_sides(run.join(pairs, on=cell, how="semi"), inventory).mass[columns]
            )
            for name, run in (("first", one), ("second", other))
        )
    clusters = item_clusters(inventory)

    def columns_of(rows: pl.DataFrame) -> NDArray[np.intp]:
        return np.array([place[number] for number in rows["item"]], dtype=np.intp)

    def clusters_of(rows: pl.DataFrame) -> NDArray[np.intp] | None:
        return None if clusters is None else clusters[columns_of(rows)]

    def difference(
        code: str, name: str, trait: str, kind: Literal["trait", "facet"]
    ) -> Difference | None:
        if not len(inventory.columns(code)):
            return None
        rows = by_item.filter(pl.col(kind) == code)
        changes = (rows["second"] - rows["first"]).to_numpy()
        estimate = undefined("the runs share no answered item of it")
        error = math.nan
        if rows.height:
            lowest, highest = score_limits(inventory, columns_of(rows))
            farthest = highest - lowest
            limits = (-farthest, farthest)
            estimate, error = mean_of_items(
                changes, clusters_of(rows), confidence=confidence, limits=limits
            )
        return Difference(
            code=code,
            name=name,
            trait=trait,
            kind=kind,
            first=_mean(rows["first"]),
            second=_mean(rows["second"]),
            difference=estimate,
            standard_error=error,
            items=rows.height,
            cells=int(rows["cells"].sum()),
        )

    traits = [difference(t.code, t.name, t.code, "trait") for t in inventory.traits]
    facets = [difference(f.code, f.name, f.trait, "facet") for f in inventory.facets]
    chosen = by_item.drop_nulls("same")
    return Comparison(
        first=first.record.respondent,
        second=second.record.respondent,
        inventory=inventory.name,
        traits=tuple(row for row in traits if row is not None),
        facets=tuple(row for row in facets if row is not None),
        matched=pairs.height,
        unmatched_first=one.height - pairs.height,
        unmatched_second=other.height - pairs.height,
        agreement=mean_interval(
            chosen["same"].to_numpy(),
            clusters=clusters_of(chosen),
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            limits=(0, 1),
        ),
    )


def _mean(values: pl.Series) -> float:
    return float(np.mean(values.to_numpy())) if len(values) else math.nan


def _title(inventory: Inventory) -> str:
    return f"{inventory.name} {inventory.version} ({inventory.content_hash[:8]})"
