"""What a build leaves: the bank in four layouts, what fell and why, and a data card."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allport.corpora.building_checks import Candidate
from allport.corpora.building_replies import StageYield, prompt_version
from allport.files import write_atomically
from allport.inventories.inventory import Inventory, Item, Option
from allport.inventories.situations import write_situations
from allport.inventories.writing import write_inventory

if TYPE_CHECKING:
    from allport.corpora.building import BuiltSituations

__all__ = ["as_inventory", "item_rows", "write_built"]


def as_inventory(items: Sequence[Candidate], name: str, writer: str) -> Inventory:
    """Items as an inventory, numbered from 1, options in content order high, high, low, low.

    Raises:
        ValueError: There is no item, or the name is none an inventory can have.
    """
    return Inventory(
        name=name,
        title=f"Situations written by {writer}",
        version="1",
        traits=tuple(dict.fromkeys(item.trait for item in items)),
        items=tuple(
            Item(
                number=number,
                text=f"{item.situation} {item.question}",
                trait=item.trait.code,
                cluster=item.statement,
                question=item.question,
                options=tuple(
                    Option(text=text, value=value)
                    for side, value in ((item.high, 1.0), (item.low, 0.0))
                    for text in side
                ),
                forms={"paraphrase": f"{item.again} {item.question_again}"},
            )
            for number, item in enumerate(items, start=1)
        ),
        licence="As the terms of its writer allow",
        source=f"Built by Allport, written by {writer}",
        notes="Options stand in content order: two of the high end (value 1), two of the low (0).",
    )


def item_rows(items: Sequence[Candidate], writer: str, seed: int) -> list[dict[str, Any]]:
    """Rows in TRAIT's raw layout, each with everything that it came from."""
    return [
        {
            "idx": number,
            "personality": item.trait.name,
            "statement": item.statement,
            "situation": item.situation,
            "query": item.question,
            **{f"response_high{n}": text for n, text in enumerate(item.high, start=1)},
            **{f"response_low{n}": text for n, text in enumerate(item.low, start=1)},
            "paraphrased_situation": item.again,
            "paraphrased_query": item.question_again,
            "trait": item.trait.code,
            "seed_item": item.seed_item,
            "event": item.event,
            "writer": writer,
            "prompt_version": prompt_version(),
            "build_seed": seed,
            "parents": dict(item.calls),
            "seeds": dict(item.seeds),
            "verdicts": {name: why or "passed" for name, why in item.verdicts.items()},
        }
        for number, item in enumerate(items, start=1)
    ]


def write_built(built: BuiltSituations, folder: Path) -> dict[str, str]:
    """Write every layout, each file whole or not at all.

    Returns:
        Paths by what they hold.
    """
    bank = built.inventory
    rows = item_rows(built.items, built.writer, built.seed)
    fallen = item_rows(built.fallen, built.writer, built.seed)
    files = {
        "inventory": write_inventory(bank, folder / "inventory.json"),
        "inventory in TOML": write_inventory(bank, folder / "inventory.toml"),
        "layout of TRAIT": write_situations(bank, folder / "trait.json"),
        "rows": write_atomically(folder / "items.jsonl", _lines(rows)),
        "rows in Parquet": write_atomically(folder / "items.parquet", _parquet(rows)),
        "fallen": write_atomically(folder / "fallen.jsonl", _lines(fallen)),
        "yield": write_yield(built.stages, folder),
        "card": write_atomically(folder / "card.md", card(built)),
    }
    return {what: str(path) for what, path in files.items()}


def write_yield(stages: Sequence[StageYield], folder: Path) -> Path:
    """Write what went into and out of every stage."""
    content = [stage.as_json() for stage in stages]
    return write_atomically(folder / "yield.json", json.dumps(content, indent=1) + "\n")


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import polars as pl

    # What rows have different keys in becomes text, as a table has one form.
    plain = [
        {
            key: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    buffer = io.BytesIO()
    pl.DataFrame(plain).write_parquet(buffer)
    return buffer.getvalue()


def card(built: BuiltSituations) -> str:
    """A data card in Markdown: what it is, how it came about, what was found, its limits."""
    bank = built.inventory
    counts = ", ".join(
        f"{trait.name} {sum(item.trait == trait.code for item in bank.items)}"
        for trait in bank.traits
    )
    lines = [
        f"# {bank.name}",
        "",
        f"{len(bank.items)} situations with two options of the high and two of the low end of a "
        f"trait, written from {len({item.cluster for item in bank.items})} statements: {counts}.",
        "",
        "| | |",
        "|---|---|",
        f"| written by | {_cell(built.writer)} |",
        f"| judged by | {_cell(', '.join(built.judges) or 'nobody')} |",
        f"| prompts | {prompt_version()} |",
        f"| seed | {built.seed} |",
        f"| content hash | {bank.content_hash} |",
        f"| language | {bank.language} |",
        f"| licence | {_cell(bank.licence)} |",
        "",
        "## What came out of each stage",
        "",
        "| stage | in | out | replies | replies of no use | why the rest fell |",
        "|---|---|---|---|---|---|",
    ]
    for stage in built.stages:
        invalid = ", ".join(f"{why} {count}" for why, count in stage.invalid.most_common())
        dropped = ", ".join(f"{why} {count}" for why, count in stage.dropped.most_common())
        lines.append(
            f"| {stage.stage} | {stage.given} | {stage.kept} | {stage.replies or ''} | "
            f"{_cell(invalid)} | {_cell(dropped)} |"
        )
    lines += [
        "",
        "## What was found of the whole",
        "",
        "| | value | 95 % interval |",
        "|---|---|---|",
    ]
    for name, estimate in built.found.items():
        if estimate.value != estimate.value:
            lines.append(f"| {_cell(name)} | not known: {_cell(estimate.reason)} | |")
            continue
        interval = f"{estimate.low:.2f} to {estimate.high:.2f}"
        known = estimate.low == estimate.low
        said = interval if known else f"not known: {_cell(estimate.reason)}"
        lines.append(f"| {_cell(name)} | {estimate.value:.2f} | {said} |")
    lines += ["", *(f"- {remark}" for remark in built.remarks)]
    lines += [
        "",
        "## What it is not",
        "",
        "No person has answered or reviewed these items. Rules and judges see faults of form and "
        "of keying; whether answers to the items measure the trait is shown by item analysis on "
        "many respondents (allport evaluate items), not by this card.",
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
