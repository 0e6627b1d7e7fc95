"""One pass of a causal language model over rows of tokens, with or without a shared past."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from allport.models.shared_prefix import (
    Chain,
    SharedPrefixCache,
    expanded,
    segment,
    shared,
    sharing_attention,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["ForwardPass", "Sharing"]

Sharing = Literal["shared", "expanded", "whole"]
"""How rows have their common prefixes: one state for all, copies of it, or not at all."""

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
    tokens of a prompt or of a prefix of several, padded on the right.
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
        text_config = model.config.get_text_config(decoder=True)
        self._layers: int = text_config.num_hidden_layers
        self._places: int | None = getattr(text_config, "max_position_embeddings", None)
        self._sharing: Sharing | None = None
        self._windows: dict[int, int | None] | None = None

    def run(
        self,
        ids: torch.Tensor,
        past: Cache | None,
        wanted: torch.Tensor,
        during: contextlib.AbstractContextManager[None] | None = None,
    ) -> torch.Tensor:
        """Run tokens and return logits where they are wanted.

        The model's own forward pass is called, so that capped or scaled logits are what they are.

        Args:
            ids: Token ids, shape (rows, tokens).
            past: What stands before them, see `past`; filled by this pass.
            wanted: Where logits are, shape (rows, tokens), true or false.
            during: Entered for this pass, such as one that steers its rows.

        Returns:
            Logits in float32, row by row, shape (wanted, vocabulary).
        """
        ids, wanted = ids.to(self.device), wanted.to(self.device)
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": past is not None}
        if past is not None:
            arguments["past_key_values"] = past
        if isinstance(past, SharedPrefixCache):
            places = past.position_ids(ids.shape[1], self._places)
            arguments["position_ids"] = places.to(self.device)
        if self._keeps == "rows":
            arguments["logits_to_keep"] = wanted
        elif self._keeps == "union":
            columns = wanted.any(dim=0).nonzero()[:, 0]
            arguments["logits_to_keep"], wanted = columns, wanted[:, columns]
        steered = contextlib.nullcontext() if during is None else during
        with self.lock, torch.inference_mode(), self._attention(past), steered:
            logits: torch.Tensor = self.model(**arguments).logits
        if self._keeps != "rows":
            logits = logits[wanted.to(logits.device)]
        return logits.float()

    def _attention(self, past: Cache | None) -> contextlib.AbstractContextManager[None]:
        if isinstance(past, SharedPrefixCache):
            return sharing_attention(self._configs, past, self._windows)
        return contextlib.nullcontext()

    @property
    def mixes_chains(self) -> bool:
        """Whether rows of one pass may stand on different chains."""
        return self._sharing == "shared"

    @property
    def bytes_per_token(self) -> int:
        """About what the keys and values of a token take."""
        config = self.model.config.get_text_config(decoder=True)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * self._layers * heads * dim * self.model.dtype.itemsize)

    def past(self, chains: Sequence[Chain]) -> Cache:
        """What stands before the rows of a pass, as `run` takes it.

        Args:
            chains: Of each row; all the same one where the model's `sharing` is "expanded".
        """
        if self._sharing == "expanded":
            return expanded(chains[0], len(chains))
        return shared(chains, self._layers)

    def sharing(self, tokens: NDArray[np.int32]) -> Sharing:
        """How rows can have common prefixes on this model; tried out once, on a few tokens.

        Args:
            tokens: Any that the model knows, at least one.
        """
        if self._sharing is None:
            self._sharing = self._try_sharing(np.resize(tokens, 12).astype(np.int64))
        return self._sharing

    def share(self, way: Sharing | None) -> None:
        """Have common prefixes run in one way from now on; None finds the best way out again.

        Args:
            way: "whole" runs every row by itself, which is what sharing is compared with.
        """
        self._sharing = way

    def _try_sharing(self, tokens: NDArray[np.int64]) -> Sharing:
        kinds = {type(layer) for layer in self._cache_by_config().layers}
        if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
            return "whole"  # a state that is not keys and values, such as a recurrent one
        # Two rows, the second on the first part of what the first one stands on.
        one, two, end = torch.from_numpy(tokens)[None].split((4, 3, 5), dim=1)  # type: ignore[no-untyped-call]  # torch
        other = end.flip(1)
        expected = []
        for parts in ((one, two, end), (one, other)):
            whole = torch.cat(parts, dim=1)
            at_end = torch.arange(whole.shape[1])[None] >= whole.shape[1] - end.shape[1]
            expected.append(self.run(whole, None, at_end).log_softmax(-1))
        # Rounding differs between the ways; a wrong position or mask is far beyond it.
        exact = self.model.dtype in (torch.float32, torch.float64)
        tolerance = 1e-3 if exact else 0.3
        ways: tuple[Sharing, ...] = ("shared", "expanded")
        for way in ways:
            with contextlib.suppress(*_FAILURES):
                found = self._tried(way, (one, two), (end, other)).log_softmax(-1)
                if torch.allclose(found, torch.cat(expected), rtol=0, atol=tolerance):
                    return way
        return "whole"

    def _tried(
        self, way: Sharing, starts: tuple[torch.Tensor, ...], ends: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        windows: dict[int, int | None] = {}
        self._sharing, self._windows = way, windows
        try:
            chain: Chain = ()
            for ids in starts:
                past = self.past([chain])
                self.run(ids, past, torch.zeros_like(ids, dtype=torch.bool))
                before = chain[-1].stop if chain else 0
                stop = before + ids.shape[1]
                chain = (*chain, segment(past, 0, ids.shape[1], before, stop))
            everywhere = torch.ones_like(ends[0], dtype=torch.bool)
            if way == "shared":
                past = self.past([chain, chain[:1]])
                logits = self.run(torch.cat(ends), past, everywhere.expand(2, -1))
            else:
                parts = zip(ends, (chain, chain[:1]), strict=True)
                logits = torch.cat([self.run(ids, self.past([c]), everywhere) for ids, c in parts])
        finally:
            self._sharing = self._windows = None
        # On so few tokens no window is felt: what the attention is told must be trusted instead.
        slides = self._cache_by_config().is_sliding if way == "shared" else []
        if any(slide != (windows.get(i) is not None) for i, slide in enumerate(slides)):
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
