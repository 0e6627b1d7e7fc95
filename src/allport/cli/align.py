"""`allport align`: make a model answer in the place of a person, or of many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from allport.cli.lists import listed
from allport.cli.model_options import ModelOptions
from allport.cli.output import Flag, Json, console, notice, print_json
from allport.cli.spill_over import print_spill_over
from allport.errors import AlignmentError, ModelError, UsageError

if TYPE_CHECKING:
    from allport.alignment import Alignment, PopulationStore
    from allport.corpora import PeopleCorpus
    from allport.evaluation import SpillOver
    from allport.models import Respondent, TransformersModel
    from allport.personas import Persona

__all__ = ["align", "local_model", "read_persona"]

_RECORDS = ("alignment.json", "population.json")
"""One of them is in every folder that an alignment was written to."""
_SPILL_OVER = "spill_over.json"
_TO_MEASURE_WITH = ("big-five-markers-50", "ipip-neo-120")
"""Inventories that a fresh alignment may be measured with; the first goes before the second."""

_WHO = Group("Whom to align to", sort_key=1)
_HOW = Group("How", sort_key=2)
_MANY = Group("Many people", sort_key=3)


@Parameter(name="*", group=_HOW)
@dataclass(frozen=True)
class FitOptions:
    """How an alignment is fitted. What is not given is left to the method."""

    method: Literal["pas", "pas-traits", "pas-published", "prompt", "iti", "caa", "sft", "dpo"] = (
        "pas"
    )
    """Displaced attention heads (pas), the same along traits or facets only (pas-traits), words
    (prompt), fine-tuning into an adapter (sft, dpo), or a comparison: iti, caa, pas-published."""
    contrasts: str | None = None
    """What directions are made of: facets (the default where a chat template leaves a place to read
    them), levels, options, yes-no, persona; separated by commas."""
    directions: Literal[5, 30] | None = None
    """With --method pas-traits: 5, of traits, or 30, of facets."""
    heads: int | None = None
    """How many attention heads are steered."""
    strength: float | None = None
    """Take this strength instead of choosing one; an adapter is trained at 1."""
    tokens: Literal["answer", "all"] | None = None
    """Steer from the answer on, or every token of the prompt as well."""
    prompt: Literal["few-shot", "description", "adjectives"] | None = None
    """What --method prompt says: the answers, a description, or the traits in adjectives."""
    writer: str | None = None
    """A model that writes the description, such as openai:NAME; by rule where not given."""
    templates: str | None = None
    """Question templates that are fitted on, separated by commas."""
    epochs: float | None = None
    """Passes over the answers, with --method sft or dpo."""
    learning_rate: float | None = None
    """With --method sft or dpo; take less than the default from a billion weights on."""
    seed: int = 0
    """Of folds over which a strength is chosen, of fine-tuning, and of a writer that samples."""

    def arguments(self) -> dict[str, Any]:
        """Arguments of the method's function.

        Raises:
            UsageError: An option does not go with the method.
        """
        steering = {
            "contrasts": None if self.contrasts is None else listed(self.contrasts),
            "directions": self.directions,
            "heads": self.heads,
            "tokens": self.tokens,
            "templates": None if self.templates is None else listed(self.templates),
            "strength": self.strength,
        }
        words = {"prompt": self.prompt, "writer": self.writer}
        training = {"epochs": self.epochs, "learning_rate": self.learning_rate}
        given: dict[str, Any] = {
            name: value
            for name, value in {**steering, **words, **training}.items()
            if value is not None
        }
        takes = {
            "pas": {"contrasts", "heads", "tokens", "templates", "strength"},
            "iti": {"contrasts", "heads", "tokens", "templates", "strength"},
            "caa": {"contrasts", "tokens", "templates", "strength"},
            "pas-traits": {
                "contrasts",
                "directions",
                "heads",
                "tokens",
                "templates",
                "strength",
            },
            "pas-published": {"heads", "strength"},
            "prompt": {"prompt", "writer"},
            "sft": {"templates", "strength", "epochs", "learning_rate"},
            "dpo": {"templates", "strength", "epochs", "learning_rate"},
        }[self.method]
        for name in given:
            if name not in takes:
                shown = name.replace("_", "-")
                raise UsageError(f"--{shown} does not go with --method {self.method}.")
        if self.method in ("sft", "dpo"):
            given |= {"seed": self.seed, "progress": "bar"}
        if self.method in ("pas", "pas-traits"):
            given["seed"] = self.seed
            if "strength" in given:
                given["strengths"] = (given.pop("strength"),)
        if self.method == "prompt":
            given["kind"] = given.pop("prompt", "few-shot")
            if "writer" in given:
                if given["kind"] != "description":
                    raise UsageError("--writer writes a --prompt description, and nothing else.")
                given["writer"] = ModelOptions().load(given["writer"])
                given["seed"] = self.seed
        return given


def align(
    model: str,
    /,
    *,
    out: Path | None = None,
    to: Annotated[str | None, Parameter(group=_WHO)] = None,
    people: Annotated[Path | None, Parameter(group=_WHO)] = None,
    inventory: Annotated[str | None, Parameter(group=_MANY)] = None,
    stored: Annotated[Literal["keyed", "literal"] | None, Parameter(group=_MANY)] = None,
    engine: Annotated[Literal["local", "ray"], Parameter(group=_MANY)] = "local",
    spill_over: Annotated[bool, Parameter(negative="--no-spill-over", show_default=False)] = True,
    replace: Flag = False,
    json: Json = False,
    fit: FitOptions = FitOptions(),
    options: ModelOptions = ModelOptions(),
) -> None:
    """Make a model answer in the place of a person, or of many people.

    No weight is changed: an alignment is a folder that the model is measured with (allport measure
    MODEL --alignment DIR). Fine-tuning (--method sft or dpo) trains an adapter beside the weights
    and needs allport[train]. Of the IPIP-NEO with 300 items only the 120 of its short form are
    fitted on, so that the others are left to measure with. On domains that trait levels do not
    name, the model's own answers are fitted on.

    Args:
        model: embedded, a local folder, or a Hugging Face id.
        out: Folder of the alignment; by default alignments/MODEL-PERSON-METHOD.
        to: A person file (allport survey writes one), or trait levels: "extraversion=high,N=-0.5".
        people: A file of many people; one folder serves all of them, by id.
        inventory: What they answered, the IPIP-NEO-300 by default; a file of PAPI tells it by
            itself.
        stored: literal for answers as given, keyed where reversed items are reversed already; a
            file is taken for one of PAPI where it is not given.
        spill_over: After aligning to trait levels, measure all five traits before and after on 180
            items that were not fitted on; --no-spill-over leaves it out.
        engine: Where many people are fitted: in this process, or over a Ray cluster.
        replace: Write over the alignment that the folder holds.
        json: Print JSON for machines.
        fit: How it is fitted.
        options: How the model is loaded.
    """
    if (to is None) == (people is None):
        raise UsageError("Say whom to align to: one person (--to) or a file of people (--people).")
    arguments = fit.arguments()
    if people is not None:
        if fit.method != "pas":
            raise UsageError(f"Many people are aligned to by --method pas, not {fit.method}.")
        folder = _folder(out, model, people.stem, "people", replace)
        corpus = _corpus(people, inventory, stored)
        loaded = local_model(options.load(model))
        _align_people(loaded, model, corpus, folder, arguments, engine, json)
        return
    for name, value in (("inventory", inventory), ("stored", stored)):
        if value is not None:
            raise UsageError(f"--{name} is for --people; a person file says it itself.")
    persona = read_persona(str(to))
    folder = _folder(out, model, persona.name, fit.method, replace)
    loaded = local_model(options.load(model))
    _align_person(loaded, model, persona, folder, fit.method, arguments, spill_over, json)


def read_persona(text: str) -> Persona:
    """A persona from a person file or from trait levels.

    Raises:
        UsageError: It is neither.
        ResponsesError: The person file does not hold.
    """
    from allport.personas import TraitLevels, read_person

    if Path(text).is_file() or text.endswith(".json"):
        return read_person(text)
    return TraitLevels.parse(text)


def _align_person(
    model: TransformersModel,
    shown: str,
    persona: Persona,
    folder: Path,
    method: Any,
    arguments: dict[str, Any],
    spill_over: bool,
    json: bool,
) -> None:
    from allport.alignment import fit, save_alignment
    from allport.personas import TraitLevels

    alignment = fit(model, persona, method, **arguments)
    _forget_spill_over(folder)  # of what the folder held before
    save_alignment(alignment, folder)
    found = None
    if spill_over and isinstance(persona, TraitLevels):
        found = _spill_over(model, alignment, persona.levels, folder, json)
    if json:
        beside = {} if found is None else {"spill_over": found[1]}
        print_json({"folder": str(folder), **alignment.inspect(), **beside})
        return
    out = console()
    out.print(f"{shown} in the place of {alignment.name}, by {alignment.method}.", style="bold")
    for line in _said(alignment):
        out.print(line)
    if found is not None:
        print_spill_over(out, found[0])
    out.print(f"Alignment: {folder}")
    out.print(_how_to_measure(f"{shown} --alignment {folder}", alignment.fitted_on))


def _spill_over(
    model: TransformersModel,
    alignment: Alignment,
    levels: Mapping[str, float],
    folder: Path,
    json: bool,
) -> tuple[SpillOver, dict[str, Any]]:
    """What the traits became, for people and for machines; kept in the folder of the alignment."""
    from allport.evaluation import measure_spill_over
    from allport.files import write_atomically
    from allport.reporting.content import to_json

    found = measure_spill_over(model, alignment, levels, progress=None if json else "bar")
    content = {"alignment": alignment.content_hash, **to_json(found)}
    try:
        write_atomically(folder / _SPILL_OVER, dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return found, content


def _forget_spill_over(folder: Path) -> None:
    try:
        (folder / _SPILL_OVER).unlink(missing_ok=True)
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None


def _how_to_measure(what: str, fitted_on: Sequence[Mapping[str, Any]]) -> str:
    """The command that measures on items of which most were not fitted on."""
    from allport.administration import fitted_among
    from allport.inventories import load_inventory

    asked = min(
        map(load_inventory, _TO_MEASURE_WITH),
        key=lambda inventory: len(fitted_among(fitted_on, inventory)) / len(inventory.items),
    )
    left = len(asked.items) - len(fitted_among(fitted_on, asked))
    return (
        f"Measure: `allport measure {what} --inventory {asked.name}` ({left} of its "
        f"{len(asked.items)} items were not fitted on)"
    )


def _said(alignment: Alignment) -> list[str]:
    """What was found, a sentence a line."""
    found = []
    fit = alignment.fit
    for part in alignment.parts:
        where = "all tokens" if part.tokens == "all" else "the answer"
        at = f"layers {', '.join(str(layer) for layer in sorted(part.vectors))}"
        found.append(f"Strength {part.strength:g} on {where}, in {at}.")
    for adapter in alignment.adapters:
        found.append(
            f"Strength {adapter.strength:g} of an adapter of rank {adapter.rank}, "
            f"{adapter.parameters:,} numbers beside {len(adapter.weights)} modules."
        )
    if "loss_first" in fit:
        found.append(
            f"{fit['answers']} answers in {fit['questions']} questions, {fit['steps']} steps, loss "
            f"from {fit['loss_first']:.2f} to {fit['loss_last']:.2f}, in {fit['seconds']:.0f} s."
        )
    if "skill" in fit:
        found.append(
            f"Heads foretell {fit['skill']:.0%} of the variance of left-out answers "
            f"({fit['answers']} answers)."
        )
    if "coefficients" in fit:
        by_size = sorted(fit["coefficients"].items(), key=lambda each: -abs(each[1]))
        found.append(
            "Farthest from the model by itself, in SDs between people: "
            f"{', '.join(f'{code} {value:+.1f}' for code, value in by_size[:5])}."
        )
    if alignment.strength == 0:
        found.append(
            "! No strength brought the model's answers nearer to this person's by more than one "
            "standard error, so nothing is added; a prompt may do more (--method prompt)."
            if len(fit.get("strengths_tried", ())) > 1
            else "! At strength 0 nothing is added: the model answers as it does by itself."
        )
    if alignment.prompt:
        found.append(f"{len(alignment.prompt.split())} words of system text.")
    return found


def _align_people(
    model: TransformersModel,
    shown: str,
    corpus: PeopleCorpus,
    folder: Path,
    arguments: dict[str, Any],
    engine: Literal["local", "ray"],
    json: bool,
) -> None:
    from allport.alignment import align_people

    notice(f"Fitting {len(corpus):,} people. Nothing is kept of a fit that is interrupted.")
    store = align_people(
        *(model, corpus, folder),
        engine=engine,
        progress=None if json else "bar",
        **arguments,
    )
    content = _summary(store)
    if json:
        notes = [corpus.note] if corpus.note else []
        print_json({"folder": str(folder), **content, "notes": notes})
        return
    out = console()
    left_out = sum(store.excluded.values())
    out.print(
        f"{shown} in the place of {len(store) - left_out:,} people, in "
        f"{store.about['fit_seconds']:.1f} s.",
        style="bold",
    )
    for reason, count in store.excluded.items():
        out.print(f"Excluded: {count:,} with {reason}.")
    foretold = store.about["answers_foretold"]
    if foretold is not None:
        out.print(f"{foretold:.0%} of the movement of the model's answers is foretold.")
    if corpus.note:
        out.print(f"! {corpus.note}", style="yellow")
    out.print(f"Alignments: {folder}")
    out.print(_how_to_measure(f"{shown} --alignment {folder} --as ID", [store.about]))


def _summary(store: PopulationStore) -> dict[str, Any]:
    return {"people": len(store), "excluded": store.excluded, "about": store.about}


def _corpus(
    path: Path, inventory: str | None, stored: Literal["keyed", "literal"] | None
) -> PeopleCorpus:
    from allport.corpora import read_papi, read_people
    from allport.inventories import load_inventory

    if stored is not None:
        return read_people(path, load_inventory(inventory or "ipip-neo-300"), stored=stored)
    if inventory is not None:
        raise UsageError(
            "--inventory needs --stored: literal for answers as given, keyed where reversed items "
            "are reversed already; a file of PAPI needs neither."
        )
    return read_papi(path)


def local_model(respondent: Respondent) -> TransformersModel:
    """The respondent, which is to be a model on this machine.

    Raises:
        ModelError: It is not.
    """
    from allport.models import TransformersModel

    if not isinstance(respondent, TransformersModel):
        raise ModelError(
            f"{respondent.name} is not on this machine, so it cannot be steered; name a local "
            "model, or measure it with --person or --persona."
        )
    return respondent


def _folder(out: Path | None, model: str, person: str, method: str, replace: bool) -> Path:
    """Where the alignment goes.

    Raises:
        UsageError: It is a file, or an alignment is there that may not be replaced.
    """
    if out is None:
        tail = model.rstrip("/\\").replace("\\", "/").rsplit("/", maxsplit=1)[-1]
        stem = re.sub(r"[^A-Za-z0-9._=+-]+", "-", f"{tail}-{person}-{method}").strip("-.").lower()
        out = Path("alignments") / stem[:100]
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder with --out.")
    if not replace and any((out / name).exists() for name in _RECORDS):
        raise UsageError(
            f"{out} holds an alignment already; name another folder with --out, or give --replace."
        )
    return out
