"""One pass of a causal language model over rows of tokens, with or without a shared past."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from allport.models.shared_prefix import SharedPrefixCache, expanded, shared, sharing_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["ForwardPass", "Sharing"]

Sharing = Literal["shared", "expanded", "whole"]
"""How rows have their common prefix: one cache for all, copies of it, or not at all."""

_FAILURES = (
    NotImplementedError,
    AttributeError,
    TypeError,
    ValueError,
    RuntimeError,
    LookupError,
)
"""What an architecture that cannot share its past may raise, each in its own way."""


class ForwardPass:
    """Runs a model; everything that is asked of it by its probabilities goes through `run`.

    Hooks on the model's modules see tensors of shape (rows, tokens, width): each row the remaining
    tokens of a prompt, or one prefix of several, padded on the right.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Wrap a causal language model in evaluation mode."""
        self.model = model
        self.lock = threading.RLock()
        """Held during every pass: attention is switched on the model itself meanwhile."""
        embeddings = next(model.get_input_embeddings().parameters())
        self.device = embeddings.device
        self.vocabulary = embeddings.shape[0]
        """Token ids that the model knows."""
        self._configs = _attention_configs(model)
        self._keeps = _logits_kept(model)
        self._sharing: Sharing | None = None
        self._windows: dict[int, int | None] | None = None

    def run(
        self,
        ids: torch.Tensor,
        past: Cache | None,
        positions: torch.Tensor,
        during: contextlib.AbstractContextManager[None] | None = None,
    ) -> torch.Tensor:
        """Run tokens and return logits where they are wanted.

        The model's own forward pass is called, so that capped or scaled logits are what they are.

        Args:
            ids: Token ids, shape (rows, tokens).
            past: What stands before them; grown by this pass.
            positions: Where logits are wanted, shape (rows, k).
            during: Entered for this pass, such as one that steers its rows.

        Returns:
            Logits in float32, shape (rows, k, vocabulary).
        """
        ids, positions = ids.to(self.device), positions.to(self.device)
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": past is not None}
        if past is not None:
            arguments["past_key_values"] = past
        index = positions
        if self._keeps == "rows":
            arguments["logits_to_keep"] = positions
        elif self._keeps == "union":
            kept, inverse = torch.unique(positions, return_inverse=True)
            arguments["logits_to_keep"] = kept
            index = inverse.view(positions.shape)
        steered = contextlib.nullcontext() if during is None else during
        with self.lock, torch.inference_mode(), self._attention(past), steered:
            logits: torch.Tensor = self.model(**arguments).logits
        if self._keeps != "rows":
            logits = torch.take_along_dim(logits, index.to(logits.device)[:, :, None], dim=1)
        return logits.float()

    def _attention(self, past: Cache | None) -> contextlib.AbstractContextManager[None]:
        if isinstance(past, SharedPrefixCache):
            return sharing_attention(self._configs, past, self._windows)
        return contextlib.nullcontext()

    def sharing(self, tokens: NDArray[np.int32]) -> Sharing:
        """How rows can have a common prefix on this model; tried out once, on a few tokens.

        Args:
            tokens: Any that the model knows, at least one.
        """
        if self._sharing is None:
            self._sharing = self._try_sharing(np.resize(tokens, 12).astype(np.int64))
        return self._sharing

    def _try_sharing(self, tokens: NDArray[np.int64]) -> Sharing:
        kinds = {type(layer) for layer in self._cache_by_config().layers}
        if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
            return "whole"  # a state that is not keys and values, such as a recurrent one
        start, end = torch.from_numpy(tokens).split(6)  # type: ignore[no-untyped-call]  # torch
        rows = torch.stack([end, end.flip(0)])
        positions = torch.arange(6).expand(2, -1)
        whole = torch.cat([start.expand(2, -1), rows], dim=1)
        expected = self.run(whole, None, positions + 6).log_softmax(-1)
        # Rounding differs between the ways; a wrong position or mask is far beyond it.
        exact = self.model.dtype in (torch.float32, torch.float64)
        tolerance = 1e-3 if exact else 0.3
        ways: tuple[Sharing, ...] = ("shared", "expanded")
        for way in ways:
            with contextlib.suppress(*_FAILURES):
                prefix = DynamicCache()
                self.run(start[None], prefix, torch.tensor([[5]]))
                found = self._tried(way, prefix, rows, positions).log_softmax(-1)
                if torch.allclose(found, expected, rtol=0, atol=tolerance):
                    return way
        return "whole"

    def _tried(
        self, way: Sharing, prefix: Cache, rows: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        if way == "expanded":
            return self.run(rows, expanded(prefix, len(rows)), positions)
        windows: dict[int, int | None] = {}
        self._windows = windows
        try:
            logits = self.run(rows, shared(prefix), positions)
        finally:
            self._windows = None
        # On so few tokens no window is felt: what the attention is told must be trusted instead.
        for index, slides in enumerate(self._cache_by_config().is_sliding):
            if slides != (windows.get(index) is not None):
                raise NotImplementedError("a window that the attention is not told of")
        return logits

    def _cache_by_config(self) -> DynamicCache:
        return DynamicCache(config=self.model.config.get_text_config(decoder=True))


def _attention_configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    """Every configuration that a part of the model chooses its attention by."""
    configs = (getattr(module, "config", None) for module in model.modules())
    return list({id(c): c for c in configs if isinstance(c, PreTrainedConfig)}.values())


def _logits_kept(model: PreTrainedModel) -> Literal["rows", "union", "all"]:
    """Whether the head can be applied at some positions only: of each row, of all rows, or not."""
    get_base = getattr(model, "get_base_model", None)
    inner = model if get_base is None else get_base()
    if "logits_to_keep" not in inspect.signature(inner.forward).parameters:
        return "all"
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return "all"  # positions would be sent to the first device, hidden states are on the last
    module = sys.modules[type(inner).__module__]
    return "rows" if hasattr(module, "slice_logits_to_keep") else "union"
