"""What attention heads compute when a model agrees with an item, and when it disagrees.

Activations are read at the input of every attention output projection, at the last token of the
answer, which is found as what follows the prompt and never by counting from an end. They are the
same for every person, so they are read once for a model and an inventory, and kept on disk under
the hash of all that they depend on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from allport.alignment.contrasts import Contrast, ContrastKind, contrast_prompts, contrasts_of
from allport.alignment.projections import ModelSites, model_sites
from allport.alignment.ridge_directions import heads_of
from allport.errors import ModelError
from allport.files import sha256_of, write_atomically
from allport.inventories.inventory import Inventory, Item
from allport.models.label_tokens import LabelTokens
from allport.models.prefix_engine import PrefixEngine, Prompt
from allport.models.prefix_plan import common_length
from allport.models.respondent import Message
from allport.models.steering import RowKey

if TYPE_CHECKING:
    from allport.alignment.contrasts import ContrastPrompt
    from allport.models.transformers_model import TransformersModel

__all__ = ["ContrastActivations", "activations_folder", "capture_contrasts", "read_at_answer"]

_FORMAT = 2
_PROBES = 10
"""Items asked after a persona, where the contrast is one."""


@dataclass(frozen=True, eq=False)
class ContrastActivations:
    """Activations of both sides of every item."""

    sides: NDArray[np.float32]
    """At the input of output projections, (items, contrasts, 2, layers, heads * head_dim); agreeing
    first."""
    residual: NDArray[np.float32]
    """At the output of blocks, (items, contrasts, 2, layers, hidden size)."""
    contrasts: tuple[str, ...]
    layers: tuple[int, ...]
    heads: int
    identity: Mapping[str, Any]
    """What they were read from: hashes of weights, tokenizer and inventory, item numbers."""

    @property
    def contrast_differences(self) -> NDArray[np.float32]:
        """Agreeing minus disagreeing, mean over contrasts, centred over items, (items, layers, w).

        What is the same for every item is how the answer is said (letter, word, place in the list);
        it goes with the centring.
        """
        return _differences(self.sides)

    @property
    def residual_differences(self) -> NDArray[np.float32]:
        """The same in the residual stream, (items, layers, hidden size)."""
        return _differences(self.residual)

    @property
    def head_differences(self) -> NDArray[np.floating]:
        """`contrast_differences` by head, (items, layers * heads, head_dim)."""
        return heads_of(self.contrast_differences, self.heads)


def _differences(sides: NDArray[np.float32]) -> NDArray[np.float32]:
    found = (sides[:, :, 0] - sides[:, :, 1]).mean(axis=1)
    centred: NDArray[np.float32] = found - found.mean(axis=0)
    return centred


def capture_contrasts(
    model: TransformersModel,
    inventory: Inventory,
    numbers: Sequence[int] = (),
    *,
    kinds: Sequence[ContrastKind] = ("options", "yes-no"),
    templates: Sequence[str] = ("letters",),
    cache: bool = True,
) -> ContrastActivations:
    """Read the activations of both sides of every item, or find them on disk.

    Args:
        model: Not aligned; local.
        inventory: With its texts.
        numbers: Items; all by default.
        kinds: Kinds of contrast; see `contrasts`.
        templates: Question templates of those that have options.
        cache: Whether to look on disk and to keep the result there; see `activations_folder`.

    Raises:
        ModelError: The model has no attention outputs to read, or computes no numbers.
        InventoryError: The texts are not imported, or there is no such item.
        UsageError: There is no such contrast or template.
    """
    sites = model_sites(model.model)
    inventory.require_text()
    asked = [inventory.item(number).number for number in numbers or inventory.numbers]
    contrasts = contrasts_of(kinds, templates)
    identity = _identity(model, inventory, asked, contrasts)
    path = activations_folder() / f"{sha256_of(json.dumps(identity, sort_keys=True))}.safetensors"
    arrays = _from_disk(path) if cache else None
    if arrays is None:
        arrays = _captured(model, sites, inventory, asked, contrasts)
        if cache:
            _to_disk(path, arrays)
    return ContrastActivations(
        sides=arrays["heads"],
        residual=arrays["residual"],
        contrasts=tuple(contrast.name for contrast in contrasts),
        layers=sites.layers,
        heads=sites.heads,
        identity=identity,
    )


def activations_folder() -> Path:
    """Where activations are kept: `$ALLPORT_HOME/activations`, or the system's cache folder."""
    home = os.environ.get("ALLPORT_HOME")
    if home:
        return Path(home) / "activations"
    from platformdirs import user_cache_path

    return user_cache_path("allport") / "activations"


def _identity(
    model: TransformersModel,
    inventory: Inventory,
    numbers: Sequence[int],
    contrasts: Sequence[Contrast],
) -> dict[str, Any]:
    described = model.describe()
    items = [inventory.item(number) for number in numbers]
    words = [
        [
            [list(p) for p in side]
            for side in contrast_prompts(c, inventory, items[0], _probes(items), items)
        ]
        for c in contrasts
    ]
    return {
        "format": _FORMAT,
        "weights": described["weights_sha256"],
        "tokenizer": described["tokenizer_sha256"],
        "chat_template": described["chat_template_sha256"],
        "dtype": described["dtype"],
        "inventory": inventory.content_hash,
        "items": list(numbers),
        "contrasts": [contrast.name for contrast in contrasts],
        "wording": sha256_of(json.dumps(words)),
    }


def _probes(items: Sequence[Item]) -> list[Item]:
    """Items of all traits and both keys in even shares, as far as there are any."""
    items = sorted(items, key=lambda i: (i.trait, i.key, i.number))
    places = np.linspace(0, len(items) - 1, min(_PROBES, len(items))).round().astype(int)
    return [items[place] for place in places]


def _captured(
    model: TransformersModel,
    sites: ModelSites,
    inventory: Inventory,
    numbers: Sequence[int],
    contrasts: Sequence[Contrast],
) -> dict[str, NDArray[np.float32]]:
    items = [inventory.item(number) for number in numbers]
    probes = _probes(items)
    prompts: list[ContrastPrompt] = []
    owners: list[tuple[int, int, int]] = []
    for place, item in enumerate(items):
        for column, contrast in enumerate(contrasts):
            both = contrast_prompts(contrast, inventory, item, probes, items)
            for side, some in enumerate(both):
                prompts += some
                owners += [(place, column, side)] * len(some)
    # Items of one trait or facet and key are described alike, and have the same prompts.
    distinct = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    places = np.array([distinct[prompt] for prompt in prompts])
    read = read_at_answer(model, sites, list(distinct))
    shape = (len(numbers), len(contrasts), 2)
    counts = np.zeros(shape)
    index = tuple(np.array(owners).T)
    np.add.at(counts, index, 1)
    found = {}
    for site, values in read.items():
        sums = np.zeros((*shape, *values.shape[1:]))
        np.add.at(sums, index, values[places])
        found[site] = (sums / counts[..., None, None]).astype(np.float32)
        if not np.isfinite(found[site]).all():
            raise ModelError(
                f"{model.name} computes activations that are no numbers in "
                f"{str(model.model.dtype).removeprefix('torch.')}; load it with --dtype float32."
            )
    return found


def read_at_answer(
    model: TransformersModel, sites: ModelSites, prompts: Sequence[ContrastPrompt]
) -> dict[str, NDArray[np.float32]]:
    """Activations at the last token of each answer, or of the prompt where no answer is given.

    Behind a system text they are the mean over the tokens between it and the user's text.

    Args:
        model: Not aligned.
        sites: Of the model.
        prompts: Chats and answers.

    Returns:
        "heads" (prompts, layers, heads * head_dim) and "residual" (prompts, layers, hidden size).

    Raises:
        ModelError: Nothing stands between a system text and the user's text.
    """
    tokens: list[NDArray[np.int32]] = []
    owners: list[int] = []
    for place, prompt in enumerate(prompts):
        ways = [model.prompt_tokens(prompt.messages, prompt.answer)]
        if prompt.behind_system:
            ways = _behind_system(model, prompt.messages[0])
        tokens += ways
        owners += [place] * len(ways)
    collector = _Collector(sites, len(tokens))
    # Any one label: what is wanted is the pass itself, up to the answer position.
    label = LabelTokens((((0,),),))
    engine = PrefixEngine(model.passes, steering=collector)
    rows = [Prompt(ids, label, _Row(i)) for i, ids in enumerate(tokens)]
    for _ in engine.read(rows):
        pass
    counts = np.bincount(owners, minlength=len(prompts)).astype(np.float32)
    found = {}
    for site, values in (("heads", collector.heads), ("residual", collector.residual)):
        sums = np.zeros((len(prompts), *values.shape[1:]), np.float32)
        np.add.at(sums, owners, values)
        found[site] = sums / counts[:, None, None]
    return found


def descriptions_can_be_read(model: TransformersModel) -> bool:
    """Whether a model's chats have a place behind the system text to read levels or facets at."""
    try:
        _behind_system(model, Message("system", "Be 1"))
    except ModelError:
        return False
    return True


def _behind_system(model: TransformersModel, system: Message) -> list[NDArray[np.int32]]:
    """The prompt up to each of the tokens between a system text and the user's text."""

    def tokens(system: Message, user: str) -> NDArray[np.int32]:
        return model.prompt_tokens((system, Message("user", user)))

    # What the template puts there is what stays when the texts on both sides differ.
    one, other = (tokens(Message("system", text), "A") for text in ("Be 1", "Be X"))
    same = common_length(one[::-1], other[::-1])
    between = common_length(one, tokens(Message("system", "Be 1"), "Z")) - (len(one) - same)
    stop = common_length(tokens(system, "A"), tokens(system, "Z"))
    if between < 1:
        raise ModelError(
            f"The chat template of {model.name} puts nothing between a system text and the user's, "
            'so levels and facets cannot be read there; use the contrast "persona".'
        )
    return [tokens(system, "A")[: stop - place] for place in range(between)]


@dataclass(frozen=True)
class _Row:
    number: int


class _Collector:
    """Reads activations at the answer position; a steering that changes nothing."""

    def __init__(self, sites: ModelSites, rows: int) -> None:
        self._sites = sites
        layers = len(sites.layers)
        self.heads = np.full((rows, layers, sites.width), np.nan, np.float32)
        self.residual = np.full((rows, layers, sites.hidden_size), np.nan, np.float32)

    def describe(self) -> dict[str, Any]:
        return {}

    def key(self, persona: str) -> RowKey:
        return None

    def messages(self, persona: str, messages: Sequence[Message]) -> Sequence[Message]:
        return messages

    def changes_prompt(self, key: RowKey) -> bool:
        return False

    @contextlib.contextmanager
    def applied(self, keys: Sequence[RowKey], answer_at: Sequence[int] | None) -> Iterator[None]:
        if answer_at is None:
            raise AssertionError("activations are read in passes, not while writing")
        rows = [key.number for key in keys if isinstance(key, _Row)]
        at = torch.tensor(answer_at)

        def keep(into: NDArray[np.float32], layer: int, states: Tensor) -> None:
            last = states[torch.arange(len(states)), at.to(states.device)]
            into[rows, layer] = last.float().cpu().numpy()

        with contextlib.ExitStack() as stack:
            for place, projection in enumerate(self._sites.projections):

                def before(module: nn.Module, args: Any, place: int = place) -> None:
                    keep(self.heads, place, args[0])

                def after(module: nn.Module, args: Any, output: Any, place: int = place) -> None:
                    # From the block itself: the model's list of hidden states ends after the norm.
                    first = output[0] if isinstance(output, tuple) else output
                    keep(self.residual, place, first)

                block = self._sites.blocks[projection.layer]
                stack.callback(projection.module.register_forward_pre_hook(before).remove)
                stack.callback(block.register_forward_hook(after).remove)
            yield


def _from_disk(path: Path) -> dict[str, NDArray[np.float32]] | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        return None
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError):
        return None  # torn or unreadable: read anew and written over


def _to_disk(path: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    from safetensors.numpy import save

    # A full disk or a read-only home must not stop an alignment that is already computed.
    packed = save({name: np.ascontiguousarray(values) for name, values in arrays.items()})
    with contextlib.suppress(OSError):
        write_atomically(path, packed)
