"""Low-rank adapters at work: added to the outputs of linear modules while a model runs.

No module is replaced and no weight is read or changed, so one model serves people with different
adapters, with displacements and with neither in one batch, and goes on answering as it is.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from allport.alignment.adapters import AdapterPart
from allport.alignment.projections import linear_sizes
from allport.alignment.steering import module_device
from allport.errors import AlignmentError, ModelError
from allport.models.respondent import Message
from allport.models.steering import RowKey, Steering

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["AdaptedSteering", "check_adapter"]

_KEPT = 64
"""Adapters that are kept on the model's device, the latest used."""


class _Change(NamedTuple):
    down: Tensor
    """A, (in, rank), float32."""
    up: Tensor
    """B times strength, alpha / rank, (rank, out), float32."""


_Changes = Mapping[str, _Change]
"""The adapters of one row, added up, by path of the module."""


class _Key(NamedTuple):
    displaced: RowKey
    adapters: tuple[AdapterPart, ...]
    """As the alignment holds them: keys wait for every row that is to be asked, and what is on the
    device does not."""


class AdaptedSteering:
    """A steering whose rows have low-rank adapters beside what another steering does to them.

    Every token of a row with an adapter is changed, those of the prompt as well, which is how the
    adapter was trained.
    """

    def __init__(
        self,
        inner: Steering,
        model: PreTrainedModel,
        adapters_of: Callable[[str], Sequence[AdapterPart]],
    ) -> None:
        """Add adapters to a steering.

        Args:
            inner: Displaces rows and says prompts.
            model: Whose modules are adapted.
            adapters_of: Of a persona, checked to fit the model.
        """
        self._inner = inner
        self._model = model
        self._adapters_of = adapters_of
        self._kept: OrderedDict[tuple[AdapterPart, ...], _Changes] = OrderedDict()

    def describe(self) -> dict[str, Any]:
        """What tells this steering from others, JSON-ready."""
        return self._inner.describe()

    def key(self, persona: str) -> RowKey:
        """The displacement and the adapter of a persona; None for neither."""
        adapters = tuple(part for part in self._adapters_of(persona) if part.strength)
        key = _Key(self._inner.key(persona), adapters)
        return None if key == (None, ()) else key

    def messages(self, persona: str, messages: Sequence[Message]) -> Sequence[Message]:
        """The chat after what this persona is told."""
        return self._inner.messages(persona, messages)

    def changes_prompt(self, key: RowKey) -> bool:
        """Whether rows of this key differ before the answer position."""
        if not isinstance(key, _Key):
            return False
        return bool(key.adapters) or self._inner.changes_prompt(key.displaced)

    @contextlib.contextmanager
    def applied(self, keys: Sequence[RowKey], answer_at: Sequence[int] | None) -> Iterator[None]:
        """Adapt and displace the rows of the passes that are run meanwhile."""
        displaced = [key.displaced if isinstance(key, _Key) else None for key in keys]
        rows: dict[tuple[AdapterPart, ...], list[int]] = {}
        for number, key in enumerate(keys):
            if isinstance(key, _Key) and key.adapters:
                rows.setdefault(key.adapters, []).append(number)
        members = [(self._changes(parts), numbers) for parts, numbers in rows.items()]
        paths = {path for changes, _ in members for path in changes}
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._inner.applied(displaced, answer_at))
            adding = [_Adding(path, len(keys), members) for path in sorted(paths)]
            for each in adding:
                module = self._model.get_submodule(each.path)
                stack.callback(module.register_forward_hook(each.after).remove)
            yield
            # Single modules may rest, such as experts that no token was sent to.
            if adding and not any(each.ran for each in adding):
                raise ModelError(
                    f"{type(self._model).__name__} does not run the modules that were to be "
                    "adapted, so nothing was; it cannot be served with an adapter."
                )

    def _changes(self, parts: tuple[AdapterPart, ...]) -> _Changes:
        """Adapters added up, on the device."""
        if parts in self._kept:
            self._kept.move_to_end(parts)
            return self._kept[parts]
        changes: dict[str, list[_Change]] = {}
        for part in parts:
            for path, (down, up) in part.weights.items():
                device = module_device(self._model.get_submodule(path))
                changes.setdefault(path, []).append(
                    _Change(
                        torch.from_numpy(down.T.copy()).to(device),
                        torch.from_numpy(up.T * part.scaling).float().to(device),
                    )
                )
        # Adapters that lie side by side add up.
        summed = {
            path: _Change(torch.cat([c.down for c in some], 1), torch.cat([c.up for c in some]))
            for path, some in changes.items()
        }
        self._kept[parts] = summed
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return summed


class _Adding:
    """A hook that adds the change of each row to one module's output."""

    def __init__(self, path: str, rows: int, members: Sequence[tuple[_Changes, list[int]]]) -> None:
        self.path = path
        self.ran = False
        self._rows = rows
        self._members = [
            (changes[path], numbers) for changes, numbers in members if path in changes
        ]

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        self.ran = True
        states: Tensor = args[0]
        change, numbers = self._members[0]
        if len(numbers) == self._rows:
            return output + _changed(states, change).to(output.dtype)
        if len(states) != self._rows or states.dim() != 3:
            raise ModelError(
                f"{self.path} mixes the rows of a batch, so people with different adapters cannot "
                "be asked in one; ask them one after the other."
            )
        output = output.clone()
        for change, numbers in self._members:
            output[numbers] += _changed(states[numbers], change).to(output.dtype)
        return output


def _changed(states: Tensor, change: _Change) -> Tensor:
    return states.float() @ change.down @ change.up


def check_adapter(what: str, adapter: AdapterPart, model: PreTrainedModel) -> None:
    """Make sure that an adapter fits a model's modules.

    Args:
        what: Begins the sentence where it does not.
        adapter: Any.
        model: Not aligned.

    Raises:
        AlignmentError: A module is missing or has another shape.
    """
    for path, (down, up) in adapter.weights.items():
        try:
            module = model.get_submodule(path)
        except AttributeError:
            raise AlignmentError(
                f"{what} changes {path}, which {type(model).__name__} does not have; fit it on "
                "this model."
            ) from None
        found = linear_sizes(module)
        wanted = down.shape[1], up.shape[0]
        if found is not None and found != wanted:
            raise AlignmentError(
                f"{what} changes {path} from {wanted[0]} to {wanted[1]} numbers, and there it is "
                f"{found[0]} to {found[1]}; fit it on this model."
            )
