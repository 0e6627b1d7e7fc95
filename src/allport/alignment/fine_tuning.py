"""Fine-tuning to one person: supervised (SFT) or by preference (DPO), into a low-rank adapter.

    literal answers ──> questions as they are measured ──> TRL trainer on a copy ──> adapter
                                                           of the modules, on the
                                                           same weights

SFT raises the probability of the label of what the person said. DPO (Rafailov et al., "Direct
Preference Optimization", arXiv 2305.18290) raises it over that of each other option, held to a
reference, which is the model with its adapter off. Both need `pip install allport[train]`; serving
the result does not.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from allport.administration.progress import ProgressCallback, reporting
from allport.alignment.adapters import AdapterPart, adapter_from_state
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.fine_tuning_data import (
    AnswerExample,
    answer_examples,
    preference_rows,
    supervised_rows,
)
from allport.errors import ModelError, UsageError

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["FineTuning", "adapter_alignment", "fit_dpo", "fit_sft", "trainable_copy"]

Progress = ProgressCallback | Literal["bar"] | None


@dataclass(frozen=True)
class FineTuning:
    """How an adapter is trained."""

    epochs: float
    """Passes over the questions; every epoch of DPO refuses each other option once."""
    learning_rate: float
    """Of AdamW at the start; it falls linearly to zero."""
    batch_size: int = 8
    """Questions in a step, and in DPO pairs."""
    rank: int = 8
    """Of the change of each linear module."""
    alpha: int = 16
    """What is added is alpha / rank times the product of the adapter's two matrices."""
    beta: float | None = None
    """How strongly DPO is held to the reference; None where there is none."""
    bf16: bool | None = None
    """Compute in bfloat16 where weights are float32; by default as the weights are."""
    seed: int = 0
    """Of the adapter's beginning and of the order of questions."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            UsageError: A number is out of range.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("bf16", "seed") and value is not None and not 0 < value < np.inf:
                raise UsageError(f"Fine-tuning needs a {field.name} above 0, not {value:g}.")


def fit_sft(
    model: TransformersModel,
    persona: Persona,
    *,
    items: Sequence[int] = (),
    templates: Sequence[str] = ("letters",),
    orders: Sequence[str] = ("forward", "reversed"),
    epochs: float = 4.0,
    learning_rate: float = 1e-3,
    batch_size: int = 8,
    rank: int = 8,
    strength: float = 1.0,
    bf16: bool | None = None,
    seed: int = 0,
    progress: Progress = None,
) -> Alignment:
    """Train a model to give a person's answers.

    Args:
        model: A local model; it is not changed.
        persona: A person, or trait levels; see `fitting_answers`.
        items: Items to fit on; see `fitting_answers` for the default.
        templates: Question templates.
        orders: Option orders.
        epochs: Passes over the questions.
        learning_rate: At the start; 1e-4 to 3e-4 is usual from a billion weights on.
        batch_size: Questions in a step.
        rank: Of the adapter.
        strength: How many times the adapter is added; it is trained at 1.
        bf16: Compute in bfloat16; by default as the weights are.
        seed: Of everything random.
        progress: "bar", or takes steps done and steps in all; None for nothing.

    Raises:
        ResponsesError: Too few answers, or all the same.
        UsageError: An option does not fit, TRL or PEFT is not installed, or the model is aligned.
        ModelError: A question does not fit into the model's context, or training fails.
        AlignmentError: Training left the finite numbers.
    """
    options = FineTuning(
        epochs, learning_rate, batch_size, rank, alpha=2 * rank, bf16=bf16, seed=seed
    )
    found = _fit(model, persona, "sft", items, templates, orders, options, progress)
    return found.scale(strength)


def fit_dpo(
    model: TransformersModel,
    persona: Persona,
    *,
    items: Sequence[int] = (),
    templates: Sequence[str] = ("letters",),
    orders: Sequence[str] = ("forward", "reversed"),
    epochs: float = 2.0,
    learning_rate: float = 1e-3,
    batch_size: int = 8,
    rank: int = 8,
    beta: float = 0.1,
    strength: float = 1.0,
    bf16: bool | None = None,
    seed: int = 0,
    progress: Progress = None,
) -> Alignment:
    """Train a model to prefer a person's answers over all others.

    Args:
        model: A local model; it is not changed. With its adapter off it is the reference.
        persona: A person, or trait levels; see `fitting_answers`.
        items: Items to fit on; see `fitting_answers` for the default.
        templates: Question templates.
        orders: Option orders.
        epochs: Passes over the pairs, of which a question with five options has four.
        learning_rate: At the start; 1e-5 to 1e-4 is usual from a billion weights on.
        batch_size: Pairs in a step.
        rank: Of the adapter.
        beta: How strongly the reference holds.
        strength: How many times the adapter is added; it is trained at 1.
        bf16: Compute in bfloat16; by default as the weights are.
        seed: Of everything random.
        progress: "bar", or takes steps done and steps in all; None for nothing.

    Raises:
        ResponsesError: Too few answers, or all the same.
        UsageError: An option does not fit, TRL or PEFT is not installed, or the model is aligned.
        ModelError: A question does not fit into the model's context, or training fails.
        AlignmentError: Training left the finite numbers.
    """
    options = FineTuning(
        epochs, learning_rate, batch_size, rank, alpha=2 * rank, beta=beta, bf16=bf16, seed=seed
    )
    found = _fit(model, persona, "dpo", items, templates, orders, options, progress)
    return found.scale(strength)


def adapter_alignment(
    model: TransformersModel,
    adapter: AdapterPart,
    name: str,
    method: str,
    fit: Mapping[str, Any],
) -> Alignment:
    """An alignment made of an adapter, trained here or in a recipe of one's own.

    Args:
        model: What it was trained on.
        adapter: From `adapter_from_state`.
        name: Of the person.
        method: How it was trained.
        fit: How it was fitted, JSON-ready.
    """
    from allport.alignment.alignment import Alignment, model_identity

    try:
        identity = model_identity(model)
    except ModelError:  # heads that cannot be steered are no matter here
        weights = model.describe()["weights_sha256"]
        identity = {"name": model.name, "weights_sha256": weights}
    return Alignment(name, method, identity, fit=fit, adapters=(adapter,))


def trainable_copy(model: TransformersModel) -> Any:
    """A transformers model of modules of its own on the same weights, to put adapters into.

    Trainers wrap modules, replace methods and freeze parameters; none of that reaches the model
    that it was copied from. The weights themselves are not copied: train adapters only, and merge
    nothing into them.
    """
    import torch

    shared: dict[int, Any] = {}
    for parameter in model.model.parameters():
        # Quantised weights are parameters of a kind of their own, which knows how to read them.
        plain = type(parameter) is torch.nn.Parameter
        own = torch.nn.Parameter(parameter.data, requires_grad=False) if plain else parameter
        shared[id(parameter)] = own
    with model.passes.lock:  # between passes no hook is on the model
        return copy.deepcopy(model.model, shared)


def _fit(
    model: TransformersModel,
    persona: Persona,
    method: Literal["sft", "dpo"],
    items: Sequence[int],
    templates: Sequence[str],
    orders: Sequence[str],
    options: FineTuning,
    progress: Progress,
) -> Alignment:
    start = time.perf_counter()
    _require_train()
    if model.steering is not None:
        raise UsageError(f"{model.name} is aligned already; fine-tune the plain model.")
    answers = fitting_answers(persona, items, model=model, templates=templates, orders=orders)
    examples = answer_examples(model, answers, templates, orders)
    adapter, losses, tokens = _train(model, method, examples, options, progress)
    return adapter_alignment(
        model,
        adapter,
        answers.name,
        method,
        {
            **answers.record,
            "questions": len(examples),
            "templates": list(templates),
            "orders": list(orders),
            **{name: value for name, value in asdict(options).items() if value is not None},
            "steps": len(losses),
            "loss_first": losses[0],
            "loss_last": float(np.mean(losses[-max(1, len(losses) // 10) :])),
            "tokens": tokens,
            "seconds": time.perf_counter() - start,
            "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        },
    )


def _train(
    model: TransformersModel,
    method: Literal["sft", "dpo"],
    examples: Sequence[AnswerExample],
    options: FineTuning,
    progress: Progress,
) -> tuple[AdapterPart, list[float], int]:
    """The adapter, the loss of every step, and tokens trained on."""
    from datasets import Dataset  # type: ignore[import-untyped]  # publishes no types
    from peft import LoraConfig, get_peft_model_state_dict
    from transformers import PrinterCallback, TrainerCallback

    rows = supervised_rows(examples) if method == "sft" else preference_rows(examples)
    per_epoch = sum(len(ids) for row in rows for name, ids in row.items() if name != "labels")
    losses: list[float] = []

    class Watching(TrainerCallback):
        """Keeps losses and tells how far training has come."""

        report: Callable[[int], None] = staticmethod(lambda step: None)

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            logged = more.get("logs") or {}
            if "loss" in logged:
                losses.append(float(logged["loss"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.report(state.global_step)

    watching = Watching()
    steps = math.ceil(math.ceil(len(rows) / options.batch_size) * options.epochs)
    with (
        tempfile.TemporaryDirectory(prefix="allport-") as folder,
        _quietly(),
        _own_randomness(model),
        _as_model_error(model),
        reporting(progress, f"{model.name}, {method}", 0, steps) as watching.report,
    ):
        trainer = _trainer(method)(
            model=trainable_copy(model),
            args=_arguments(method, model, options, folder),
            train_dataset=Dataset.from_list(rows),
            processing_class=_padded(model.tokenizer),
            callbacks=[watching],
            peft_config=LoraConfig(
                task_type="CAUSAL_LM",
                r=options.rank,
                lora_alpha=options.alpha,
                lora_dropout=0.0,
                target_modules="all-linear",
            ),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
        state = {name: tensor.detach().float().cpu().numpy() for name, tensor in found.items()}
    return adapter_from_state(state, options.alpha), losses, round(per_epoch * options.epochs)


def _trainer(method: Literal["sft", "dpo"]) -> Any:
    """The trainer, which takes rows in tokens."""
    if method == "sft":
        from trl.trainer.sft_trainer import SFTTrainer

        return SFTTrainer
    from trl.trainer.dpo_trainer import DPOTrainer

    class TokenPairs(DPOTrainer):
        """Takes pairs that are tokens already; from texts it would cut tokens of its own."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    return TokenPairs


def _arguments(
    method: Literal["sft", "dpo"], model: TransformersModel, options: FineTuning, folder: str
) -> Any:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.sft_config import SFTConfig

    on_cpu = model.passes.device.type == "cpu"
    in_bf16 = "bfloat16" in str(model.model.dtype) and not on_cpu
    kind: Any = SFTConfig if method == "sft" else DPOConfig
    of_method = {} if options.beta is None else {"beta": options.beta}
    arguments = kind(
        **of_method,
        output_dir=folder,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=1,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="linear",
        seed=options.seed,
        use_cpu=on_cpu,
        bf16=in_bf16 if options.bf16 is None else options.bf16,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        max_length=None,  # questions fit, as they were checked; none may lose its answer
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # one process, one device: where the model is
    return arguments


def _padded(tokenizer: Any) -> Any:
    """A copy of a tokenizer that has some padding token; padding is masked, so any will do."""
    own = copy.deepcopy(tokenizer)
    if own.pad_token is None:
        own.pad_token = own.eos_token or own.convert_ids_to_tokens(0)
    return own


def _require_train() -> None:
    missing = [name for name in ("trl", "peft", "datasets") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Fine-tuning needs {' and '.join(missing)}; install allport[train], or align with "
            "--method pas."
        )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what trainers say on the way; problems are raised."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped in transformers
    with warnings.catch_warnings():
        # TRL sets this argument by itself, by the name that transformers is giving up.
        warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
        # PEFT finds out by itself which weights of GPT-2 are transposed.
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)
        try:
            yield
        finally:
            logging.set_verbosity(level)


@contextlib.contextmanager
def _own_randomness(model: TransformersModel) -> Iterator[None]:
    """Trainers seed every generator of the process; afterwards these go on as before."""
    import torch

    device = model.passes.device
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextlib.contextmanager
def _as_model_error(model: TransformersModel) -> Iterator[None]:
    """What trainers refuse, and what does not fit into memory, in a sentence."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().split("\n")[0].rstrip(".")
        raise ModelError(f"{model.name} cannot be fine-tuned: {said}.") from error
