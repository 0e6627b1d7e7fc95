"""Adding displacements to activations while a model runs, each row of a batch its own.

    hook before the projection          input (rows, tokens, heads * head_dim)
        input + everywhere[row]         for alignments that steer all tokens
              + from_answer[row]        from the answer position on, for those that steer answers

No weight is read or changed, so the numbers are added whatever the weights are stored in: float32,
bfloat16 or eight bits. Hooks are on the model during a pass only, and only where some row of it is
displaced.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from allport.alignment.projections import ModelSites
from allport.errors import ModelError
from allport.models.respondent import Message
from allport.models.steering import RowKey

__all__ = ["HookSite", "RowDisplacement", "SteeredTokens", "Steerer", "module_device"]

HookSite = Literal["heads", "residual"]
"""Where is added: to the input of attention output projections, or to the output of blocks."""

SteeredTokens = Literal["all", "answer"]
"""Which tokens are displaced: all, or those from the answer position on (the prompt's last)."""

_KEPT_ROWS = 4096
"""Displacements of people that are kept in memory, the latest used."""


class _Place(NamedTuple):
    site: HookSite
    layer: int
    tokens: SteeredTokens


@dataclass(frozen=True, eq=False)
class RowDisplacement:
    """What is added to one row, strengths included; it is the key of its rows."""

    vectors: Mapping[_Place, Tensor]
    """(width,), float32, each on the device of its module; none of them zero."""

    @classmethod
    def of(
        cls,
        sites: ModelSites,
        parts: Sequence[tuple[HookSite, SteeredTokens, Mapping[int, Tensor]]],
    ) -> RowDisplacement | None:
        """Add up parts, each at a site and on some tokens, (width,) by layer; None where all is 0.

        Args:
            sites: Of the model.
            parts: Checked to fit it.
        """
        summed: dict[_Place, Tensor] = {}
        for site, tokens, vectors in parts:
            for layer, vector in vectors.items():
                place = _Place(site, layer, tokens)
                device = module_device(_module(sites, site, layer))
                here = vector.to(device=device, dtype=torch.float32)
                summed[place] = summed[place] + here if place in summed else here
        kept = {place: vector for place, vector in summed.items() if bool(vector.any())}
        return cls(kept) if kept else None

    @property
    def changes_prompt(self) -> bool:
        """Whether tokens before the answer position are displaced as well."""
        return any(place.tokens == "all" for place in self.vectors)


class Steerer:
    """Displaces rows of a model's passes by the person they are asked in the place of.

    What `TransformersModel` calls a steering; see `allport.models.steering.Steering`.
    """

    def __init__(
        self,
        sites: ModelSites | None,
        row_of: Callable[[str], RowDisplacement | None],
        prompt_of: Callable[[str], str],
        identity: Mapping[str, Any],
        *,
        kept: int = _KEPT_ROWS,
    ) -> None:
        """Steer a model.

        Args:
            sites: Of the model; None where nobody is displaced.
            row_of: Displacement of a persona, by name; None for none. Asked once while it is kept.
            prompt_of: System text of a persona, empty for none.
            identity: What tells these displacements from others, JSON-ready.
            kept: Personas whose displacements are kept in memory.
        """
        self._sites = sites
        self._row_of = row_of
        self._prompt_of = prompt_of
        self._identity = dict(identity)
        self._kept = kept
        self._rows: OrderedDict[str, RowDisplacement | None] = OrderedDict()

    def describe(self) -> dict[str, Any]:
        """What tells this steering from others, JSON-ready."""
        return dict(self._identity)

    def key(self, persona: str) -> RowKey:
        """The displacement of a persona; None for none."""
        if persona in self._rows:
            self._rows.move_to_end(persona)
            return self._rows[persona]
        self._rows[persona] = self._row_of(persona)
        if len(self._rows) > self._kept:
            self._rows.popitem(last=False)
        return self._rows[persona]

    def messages(self, persona: str, messages: Sequence[Message]) -> Sequence[Message]:
        """The chat after what this persona is told; it comes before any system text of the chat."""
        prompt = self._prompt_of(persona)
        if not prompt:
            return messages
        said = [m.content for m in messages if m.role == "system"]
        rest = [m for m in messages if m.role != "system"]
        return [Message("system", "\n\n".join([prompt, *said])), *rest]

    def changes_prompt(self, key: RowKey) -> bool:
        """Whether rows of this key differ before the answer position."""
        return isinstance(key, RowDisplacement) and key.changes_prompt

    @contextlib.contextmanager
    def applied(self, keys: Sequence[RowKey], answer_at: Sequence[int] | None) -> Iterator[None]:
        """Displace the rows of the passes that are run meanwhile; see `Steering.applied`."""
        rows = [key for key in keys if isinstance(key, RowDisplacement)]
        if not rows or self._sites is None:
            yield
            return
        at = sorted({(place.site, place.layer) for row in rows for place in row.vectors})
        added = []
        with contextlib.ExitStack() as stack:
            for site, layer in at:
                stacked = {
                    tokens: _stacked(keys, _Place(site, layer, tokens))
                    for tokens in ("all", "answer")
                }
                adding = _Adding(len(keys), stacked["all"], stacked["answer"], answer_at)
                module = _module(self._sites, site, layer)
                if site == "heads":
                    handle = module.register_forward_pre_hook(adding.before)
                else:
                    handle = module.register_forward_hook(adding.after)
                stack.callback(handle.remove)
                added.append(adding)
            yield
        if not all(adding.ran for adding in added):
            raise ModelError(
                f"{self._sites.architecture} does not run the modules that were to be steered, so "
                "nothing was; it cannot be steered."
            )


def _stacked(keys: Sequence[RowKey], place: _Place) -> Tensor | None:
    """Displacements of rows at a place, (rows, 1, width); None where no row has any."""
    found = [key.vectors.get(place) if isinstance(key, RowDisplacement) else None for key in keys]
    some = next((vector for vector in found if vector is not None), None)
    if some is None:
        return None
    zero = torch.zeros_like(some)
    return torch.stack([zero if vector is None else vector for vector in found])[:, None]


class _Adding:
    """A hook that adds to one module's input or output."""

    def __init__(
        self,
        rows: int,
        everywhere: Tensor | None,
        from_answer: Tensor | None,
        answer_at: Sequence[int] | None,
    ) -> None:
        self._rows = rows
        self._everywhere = everywhere
        self._from_answer = from_answer
        self._answer_at = answer_at
        self.ran = False

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._added(args[0]), *args[1:])

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (self._added(output[0]), *output[1:])
        return self._added(output)

    def _added(self, states: Tensor) -> Tensor:
        self.ran = True
        if states.dim() != 3 or len(states) != self._rows:
            raise ModelError(
                f"A module to be steered got {tuple(states.shape)} where ({self._rows}, tokens, "
                "width) was due; this architecture cannot be steered row by row."
            )
        if self._everywhere is not None:
            states = states + self._everywhere.to(states)
        if self._from_answer is not None:
            tokens = states.shape[1]
            shift = self._from_answer.to(states)
            if self._answer_at is None or (tokens == 1 and not any(self._answer_at)):
                states = torch.cat([states[:, :-1], states[:, -1:] + shift], dim=1)
            else:
                first = torch.tensor(self._answer_at, device=states.device)
                after = torch.arange(tokens, device=states.device) >= first[:, None]
                states = torch.where(after[:, :, None], states + shift, states)
        return states


def _module(sites: ModelSites, site: HookSite, layer: int) -> nn.Module:
    if site == "residual":
        return sites.blocks[layer]
    return sites.projections[sites.layers.index(layer)].module


def module_device(module: nn.Module) -> torch.device:
    """Where a module works; quantised modules keep their weights there, too."""
    found: Tensor | None = next(module.parameters(), None)
    if found is None:
        found = next(module.buffers(), None)
    return torch.device("cpu") if found is None else found.device
