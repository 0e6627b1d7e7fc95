"""The embedded model under four inventories: what each is worth as a measure of it.

The seven columns of TRAIT's comparison of instruments (arXiv 2406.14703), 0 to 100, by
`evaluate_items`: every template, option order and wording, a persona at both ends of every trait,
and up to 200 generated answers. Intervals are 95 % intervals over statements, of refusals generated
over answers. An inventory without paraphrases has no figure in that column. Below the columns,
sensitivities over what chance gives on the same answers, of options and of sides of the scale or
the trait.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from allport.evaluation import COLUMNS, ItemEvaluation, evaluate_items
from allport.inventories import Inventory, load_inventory
from allport.models import load_model, prepare_process
from allport.models.respondent import Respondent
from allport.psychometrics import Estimate, undefined
from benchmarks.results import Layout, Row

LAYOUT: Layout = "side by side"
INVENTORIES = ("ipip-neo-120", "mini-ipip-20", "big-five-markers-50", "situations-320")
_MORE_IS_BETTER = ("diversity", "score difference")


def rows(
    model: Respondent | None = None,
    inventories: Sequence[Inventory] | None = None,
    *,
    folder: Path | None = None,
) -> list[Row]:
    """One row for each column and inventory; nothing is asked of the figures, so targets are free.

    Args:
        model: Who is asked.
        inventories: What is compared.
        folder: Where runs are kept and resumed; in memory only by default.
    """
    prepare_process()
    model = load_model("embedded") if model is None else model
    banks = [load_inventory(name) for name in INVENTORIES] if inventories is None else inventories
    found = {
        bank.name: evaluate_items(
            model, bank, folder=None if folder is None else folder / bank.name
        )
        for bank in banks
    }
    return [
        Row(
            f"situations.comparison.{column.replace(', ', '_').replace(' ', '_')}.{name}",
            f"{column}, {name}",
            *estimate[:3],
            "",
            0.0 if column in _MORE_IS_BETTER else 100.0,
            "higher" if column in _MORE_IS_BETTER else "lower",
        )
        for name, each in found.items()
        for column, estimate in _figures(each).items()
    ]


def _figures(found: ItemEvaluation) -> dict[str, Estimate]:
    """The seven columns, and each sensitivity over chance, of options and of sides."""
    figures = {column: found.columns[column] for column in COLUMNS}
    for said, factor in (("prompt", "template"), ("order", "order"), ("paraphrase", "form")):
        known = found.sensitivity.get(factor)
        none = undefined(f"{found.inventory} was asked with one {factor} only")
        figures[f"{said} sensitivity over chance"] = known.corrected if known else none
        figures[f"{said} sensitivity of sides over chance"] = (
            known.side_corrected if known else none
        )
    return figures
