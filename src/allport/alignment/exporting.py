"""Taking an alignment elsewhere: standard files, and what is lost on the way, measured.

| format | loads in | same as here |
|---|---|---|
| checkpoint | transformers, vLLM, llama.cpp after conversion | on all tokens |
| value-bias | whatever runs Qwen2 | on all tokens; heads that share values alike |
| peft | PEFT, any architecture, quantised weights, many people in one batch | on all tokens |
| gguf | llama.cpp --control-vector | not quite: added behind the MLP, not before it |

Files displace every token. An alignment that was fitted to displace from the answer on is another
one then, so that what is exported is measured against what was fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from allport.errors import AlignmentError, UsageError
from allport.files import write_atomically
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import mean_interval

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from allport.alignment.alignment import Alignment
    from allport.models.respondent import Question
    from allport.models.transformers_model import TransformersModel

__all__ = ["Export", "ExportFormat", "export_alignment"]

ExportFormat = Literal["checkpoint", "value-bias", "peft", "gguf"]
"""What an alignment can be written as."""

_PROBES = 40


@dataclass(frozen=True)
class Export:
    """What was written, and how it answers."""

    format: ExportFormat
    path: str
    """Folder, or file of a control vector."""
    holds: str
    """What it is: an architecture, modules, layers."""
    lost: tuple[str, ...]
    """What the file cannot hold, a sentence each; empty where nothing is lost."""
    effect: Estimate
    """Total variation, 0 to 1, between the model's answers with and without the alignment, mean
    over the questions asked."""
    rounding: Estimate
    """The same between what was written and the alignment on all tokens."""
    difference: Estimate
    """The same between what was written and the alignment as it was fitted."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what has no value is null."""
        found = asdict(self)
        for name in ("effect", "rounding", "difference"):
            found[name] = [None if part != part else part for part in found[name]]
        return found


def export_alignment(
    model: TransformersModel,
    alignment: Alignment,
    path: Path | str,
    format: ExportFormat = "checkpoint",
) -> Export:
    """Write an alignment in a standard format, and ask what was written some questions.

    A system text goes into a file system_prompt.txt beside the export, as no format holds it.

    Args:
        model: Not aligned.
        alignment: Made for this model.
        path: Folder to write; a file that ends in .gguf for a control vector.
        format: See the table of this module.

    Raises:
        AlignmentError: The alignment does not fit the model, or the format cannot hold it.
        UsageError: The format is unknown, or the alignment is words only.
    """
    from allport.alignment import checkpoint_export, control_vector_export, peft_export

    if format not in get_args(ExportFormat):
        raise UsageError(f"{format!r} is none of {', '.join(get_args(ExportFormat))}.")
    if not alignment.changes_model:
        raise UsageError(
            f"The alignment to {alignment.name} is words only; give its system text to any model."
        )
    path = Path(path)
    everywhere = replace(alignment.on_tokens("all"), prompt="")
    held = everywhere
    lost = list(_lost(alignment))
    written: TransformersModel | None = model
    if format == "gguf":
        path = path if path.suffix == ".gguf" else path / "control_vector.gguf"
        held = control_vector_export.write_control_vector(model, everywhere, path)
        layers = ", ".join(str(layer) for layer in held.parts[0].vectors)
        holds = f"vectors at the outputs of blocks {layers}"
        if any(part.site == "heads" for part in alignment.parts):
            lost.append("A block's own MLP does not see what is added behind it.")
        if any(0 in part.vectors for part in alignment.parts):
            lost.append("Block 0 cannot be steered by llama.cpp; its part is added after block 1.")
    elif format == "peft":
        modules = peft_export.write_peft_adapter(model, everywhere, path)
        holds = f"an adapter of {modules} modules"
        written, held = _with_adapter(path, model), _nothing(held)
    else:
        write = (
            checkpoint_export.write_checkpoint
            if format == "checkpoint"
            else checkpoint_export.write_value_bias_checkpoint
        )
        holds = f"a checkpoint of {write(model, everywhere, path)}"
        written, held = _loaded(path, model), _nothing(held)
    if alignment.prompt:
        folder = path.parent if format == "gguf" else path
        write_atomically(folder / "system_prompt.txt", alignment.prompt + "\n")
    questions = _questions()
    plain = _answers(model, questions)
    fitted = _answers(model.aligned(replace(alignment, prompt="")), questions)
    on_all = _answers(model.aligned(everywhere), questions)
    if written is None:
        rounding = difference = undefined("peft is not installed, so the adapter was not tried")
    else:
        found = _answers(written.aligned(held), questions)
        rounding, difference = _variation(found, on_all), _variation(found, fitted)
    return Export(
        format=format,
        path=str(path),
        holds=holds,
        lost=tuple(lost),
        effect=_variation(plain, fitted),
        rounding=rounding,
        difference=difference,
    )


def _lost(alignment: Alignment) -> Sequence[str]:
    found = []
    if any(part.tokens == "answer" for part in alignment.parts):
        found.append(
            "It was fitted to displace from the answer on; files displace every token, those of "
            "the prompt as well (fit with --tokens all to lose nothing)."
        )
    if alignment.prompt:
        found.append("Its system text is in system_prompt.txt; send it with every chat.")
    return found


def _nothing(alignment: Alignment) -> Alignment:
    return replace(alignment, parts=(), adapters=())


def _with_adapter(folder: Path, model: TransformersModel) -> TransformersModel | None:
    """The model with the adapter as PEFT loads it, on the same weights; None without PEFT."""
    if find_spec("peft") is None:
        return None
    from peft import PeftModel

    from allport.alignment.fine_tuning import trainable_copy
    from allport.models.transformers_model import TransformersModel

    with warnings.catch_warnings():
        # That an adapter with a bias cannot be merged, which nobody here is about to do; and names
        # of transformers that PEFT uses and that are about to go.
        warnings.simplefilter("ignore")
        adapted = PeftModel.from_pretrained(trainable_copy(model), str(folder))
    base = cast("PreTrainedModel", adapted.get_base_model())
    return TransformersModel(base, model.tokenizer, model.name)


def _loaded(folder: Path, model: TransformersModel) -> TransformersModel:
    from allport.models.loading import load_model
    from allport.models.transformers_model import TransformersModel

    dtype = str(model.model.dtype).removeprefix("torch.")
    found = load_model(str(folder), dtype=dtype)
    if not isinstance(found, TransformersModel):
        raise AlignmentError(f"{folder} cannot be loaded again.")
    return found


def _questions() -> list[Question]:
    """Items of a public-domain inventory, from all its traits, in one template and two orders."""
    from allport.administration import Design, plan
    from allport.inventories import load_inventory

    inventory = load_inventory("big-five-markers-50")
    numbers = tuple(int(n) for n in inventory.numbers[:_PROBES])
    return plan(inventory, Design(templates=("letters",), items=numbers))


def _answers(model: TransformersModel, questions: Sequence[Question]) -> NDArray[np.float64]:
    """Probabilities of the options, (questions, options); NaN where an answer has none."""
    # Answers come in any order, which models that share prefixes in other ways do not agree on.
    rows = {(question.item, question.condition): i for i, question in enumerate(questions)}
    found = np.full((len(questions), len(questions[0].options)), np.nan)
    for response in model.answer(questions):
        if response.probabilities is not None:
            found[rows[response.item, response.condition]] = response.probabilities
    return found


def _variation(one: NDArray[np.float64], other: NDArray[np.float64]) -> Estimate:
    distances = np.abs(one - other).sum(axis=1) / 2
    if not np.isfinite(distances).all():
        return undefined("some answers could not be read")
    return mean_interval(distances, limits=(0, 1))
