"""What both recipes of this folder need: options, whom to ask, and shares with intervals."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from allport.administration import Design, Run, measure, standard_templates
from allport.cli.model_options import ModelOptions
from allport.cli.output import console, print_json
from allport.errors import AllportError, UsageError
from allport.files import write_atomically
from allport.inventories import Inventory, load_inventory
from allport.models import Respondent
from allport.personas import Persona
from allport.psychometrics import Estimate, mean_interval, share_interval
from allport.reporting.content import to_json
from allport.reporting.palette import number
from allport.reporting.plain_text import printable

Floats = NDArray[np.float64]
Loader = Callable[[str], Respondent]
"""From the name of a model to the model."""


@dataclass(frozen=True)
class Asking:
    """What is asked of whom, how, and where it is kept."""

    models: tuple[str, ...]
    inventory: Inventory
    design: Design
    folder: Path
    progress: Literal["bar"] | None = None

    def run(self, place: int, model: Respondent, personas: Sequence[Persona] = ()) -> Run:
        """Put the bank to the model in this place of the list; answers that are kept stand."""
        stem = re.sub(r"[^A-Za-z0-9.]+", "-", self.models[place]).strip("-.")[-60:]
        folder = self.folder / f"{place + 1:02d}-{stem or 'model'}"
        return measure(
            model, self.inventory, self.design, folder, personas=personas, progress=self.progress
        )


def parser(question: str | None) -> argparse.ArgumentParser:
    """The options that both recipes have."""
    made = argparse.ArgumentParser(description=(question or "").partition("\n")[0])
    made.add_argument("models", nargs="+", help="embedded, a folder, a hub id, or openai:NAME")
    made.add_argument("--out", type=Path, required=True, help="folder; the same one goes on")
    made.add_argument("--inventory", default="situations-320", help="a bank's name or file")
    made.add_argument("--templates", help="names, separated by commas; the first by default")
    made.add_argument("--orders", default="standard", help="standard is the Williams square")
    made.add_argument("--dtype", default="auto", help="of local models")
    made.add_argument("--device-map", help="where local models go, such as cuda")
    made.add_argument("--batch-size", type=int, help="of local models")
    made.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return made


def asking(given: argparse.Namespace) -> Asking:
    """What the options say is to be asked.

    Raises:
        UsageError: The bank is not situational.
    """
    bank = load_inventory(given.inventory).require_text()
    if not all(item.options for item in bank.items):
        raise UsageError(f"{bank.name} has a response scale; give a bank of situations.")
    templates = given.templates.split(",") if given.templates else standard_templates(bank)[:1]
    return Asking(
        tuple(given.models),
        bank,
        Design(templates=tuple(templates), orders=tuple(given.orders.split(","))),
        given.out,
        None if given.json else "bar",
    )


def loader(given: argparse.Namespace) -> Loader:
    """Loads a model as the options say."""
    options = ModelOptions(
        batch_size=given.batch_size, dtype=given.dtype, device_map=given.device_map
    )
    return options.load


def statements(inventory: Inventory) -> list[str]:
    """What each item was written from; items of one statement are resampled together."""
    return [item.cluster or f"item {item.number}" for item in inventory.items]


def share(values: Floats, clusters: Sequence[str]) -> Estimate:
    """Per cent of items, 0 to 1 each, with an interval over statements (see `share_interval`)."""
    value, low, high, reason = share_interval(values, clusters)
    return Estimate(100 * value, 100 * low, 100 * high, reason)


def mean_points(values: Floats, clusters: Sequence[str]) -> Estimate:
    """Mean of items, 0 to 1 or differences of these, in points of 100 with an interval."""
    return mean_interval(100 * values, clusters=list(clusters), resamples=1000)


def shown(estimate: Estimate, *, signed: bool = False) -> str:
    """An estimate and its interval for people."""
    value, low, high = (number(v, 0, signed=signed) for v in estimate[:3])
    return value if low == "–" else f"{value} ({low} to {high})"


def say(text: str, style: str = "") -> None:
    """Print a line for people."""
    console().print(printable(text, 400), style=style or None)


def write(result: Any, path: Path, *, print_it: bool) -> Path:
    """Write a result as JSON, and print it where that was asked for."""
    content = to_json(result)
    if print_it:
        print_json(content)
    return write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def guarded(main: Callable[[Sequence[str] | None], None]) -> int:
    """Run a recipe; what a person can mend is one sentence and no traceback."""
    try:
        main(None)
    except AllportError as error:
        print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
        return error.exit_code
    return 0
