"""Caches of keys and values that many rows share without copying them.

A prefix is run once, as one row; its cache is then the past of every row of a batch:

    prefix      one row        P tokens   k, v: (1, heads, P, dim), kept once
    own tokens  rows 1 .. n    S tokens   k, v: (n, heads, S, dim)

`expanded` gives the rows views of the prefix, and is right for any attention; but every layer
concatenates prefix and own keys for every row, so the prefix is copied n times after all. `shared`
keeps the two apart: `_attend` scores a row's queries against the one prefix and against its own
keys, and takes one softmax over both. The mathematics is the same; nothing is copied.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer

__all__ = [
    "SharedPrefixCache",
    "copied_bytes",
    "expanded",
    "selected",
    "shared",
    "sharing_attention",
]

_NAME = "allport_shared_prefix"
_SCORES_AT_ONCE = {"cpu": 1 << 20}
"""Attention scores held at a time: on a CPU, what its cache takes; elsewhere see below."""
_SCORES_ELSEWHERE = 1 << 28


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]  # its base registers itself untyped
    """Keys and values of rows, (rows, heads, tokens, dim), on top of `before` tokens elsewhere."""

    def __init__(self, keys: torch.Tensor | None, values: torch.Tensor | None, before: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in transformers
        self.before = before
        if keys is not None and values is not None:
            self.keys, self.values = keys, values
            self.dtype, self.device = keys.dtype, keys.device
            self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            # Nothing to concatenate with, so nothing to copy.
            self.keys, self.values = key_states, value_states
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized = True
            return key_states, value_states
        return super().update(key_states, value_states, *args, **kwargs)

    def get_seq_length(self) -> int:
        return self.before + super().get_seq_length()


class SharedPrefixCache(Cache):
    """Rows of own keys and values, and the one prefix that stands before all of them."""

    def __init__(self, prefix: Cache, layers: list[CacheLayerMixin]) -> None:
        super().__init__(layers=list(layers))
        self.prefix = prefix


def shared(prefix: Cache) -> SharedPrefixCache:
    """A cache for any number of rows on top of a prefix of one row; needs `sharing_attention`."""
    length = prefix.get_seq_length()
    return SharedPrefixCache(prefix, [_Layer(None, None, length) for _ in prefix.layers])


def expanded(prefix: Cache, rows: int) -> DynamicCache:
    """A cache of `rows` rows that all begin with a prefix of one row, as views of it."""
    fork = DynamicCache()
    for layer in prefix.layers:
        keys, values = _states(layer)
        fork.layers.append(
            _Layer(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), 0)
        )
    return fork


def copied_bytes(prefix: Cache) -> int:
    """What each row of an expanded prefix takes as soon as a layer grows it."""
    return sum(states.nbytes for layer in prefix.layers for states in _states(layer))


def selected(cache: Cache, rows: torch.Tensor, length: int) -> Cache:
    """A new cache of the same kind: rows by index (repeats allowed), their first `length` tokens.

    Args:
        cache: From `shared`, `expanded`, or a plain one.
        rows: Indices into its rows, shape (new rows,).
        length: Tokens kept, prefix and own together.
    """
    layers = []
    for layer in cache.layers:
        keys, values = _states(layer)
        before = layer.before if isinstance(layer, _Layer) else 0
        index = rows.to(keys.device)
        own = length - before
        layers.append(_Layer(keys[index, :, :own], values[index, :, :own], before))
    if isinstance(cache, SharedPrefixCache):
        return SharedPrefixCache(cache.prefix, list(layers))
    fork = DynamicCache()
    fork.layers.extend(layers)
    return fork


def _states(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    keys, values = layer.keys, layer.values
    if keys is None or values is None:
        raise NotImplementedError("a layer that keeps no keys of its own")
    return keys, values


class _Active(threading.local):
    """The cache whose forward pass this thread is in, and what its attention layers said."""

    cache: SharedPrefixCache | None = None
    windows: dict[int, int | None] | None = None


_active = _Active()


@contextlib.contextmanager
def sharing_attention(
    configs: list[Any], cache: SharedPrefixCache, windows: dict[int, int | None] | None = None
) -> Iterator[None]:
    """Let a model's attention layers look into a shared prefix, for one forward pass.

    Args:
        configs: Every configuration that the model's attention layers and masks are chosen by.
        cache: The past of the forward pass.
        windows: Filled, where given, with the sliding window that each layer names.
    """
    before = [config._attn_implementation for config in configs]
    _active.cache, _active.windows = cache, windows
    try:
        for config in configs:
            config._attn_implementation_internal = _NAME
        yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._attn_implementation_internal = implementation
        _active.cache = _active.windows = None


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of rows to a shared prefix and to themselves, causal.

    Args:
        module: The attention layer; its `layer_idx` says which prefix.
        query: (rows, heads, S, dim), the last S tokens of each row.
        key: (rows, key heads, own, dim), own >= S.
        value: (rows, key heads, own, value dim).
        attention_mask: None: rows are padded on the right only, which causality makes harmless.
        scaling: Factor on the scores; 1 / sqrt(dim) by default.
        dropout: Must be 0.
        softcap: Bound c of scores in c * tanh(score / c).
        sliding_window: Tokens that a query sees, itself included.
        others: What this attention knows nothing of, such as sinks, must be None.

    Returns:
        (rows, S, heads, value dim), and None for the weights.
    """
    cache = _active.cache
    strange = [
        name for name in ("s_aux", "position_bias", "head_mask") if others.get(name) is not None
    ]
    if cache is None or attention_mask is not None or dropout or strange:
        raise NotImplementedError("attention that cannot share a prefix")
    layer = int(module.layer_idx)  # type: ignore[arg-type]  # every attention layer counts itself
    if _active.windows is not None:
        _active.windows[layer] = sliding_window
    keys, values = _states(cache.prefix.layers[layer])
    rows, heads, tokens, dim = query.shape
    groups, own, prefix = heads // key.shape[1], key.shape[2], keys.shape[2]
    # Scores are kept in float32 as fused kernels do: in 16 bits they would cost per cents of odds.
    exact = torch.promote_types(query.dtype, torch.float32)
    query = query.to(exact) * (dim**-0.5 if scaling is None else scaling)
    query = query.view(rows, heads // groups, groups, tokens, dim)
    key, keys = key.to(exact), keys.to(exact)
    unseen = _unseen(tokens, own, prefix, sliding_window, query.device)
    at_once = _SCORES_AT_ONCE.get(query.device.type, _SCORES_ELSEWHERE)
    step = max(1, at_once // (heads * tokens * (prefix + own)))
    parts = []
    for start in range(0, rows, step):
        chunk = slice(start, start + step)
        own_states = (query[chunk], key[chunk], value[chunk])
        parts.append(_attend_rows(*own_states, keys[0], values[0], unseen, softcap))
    return (parts[0] if len(parts) == 1 else torch.cat(parts)), None


class _Unseen(NamedTuple):
    """Which keys each of the last queries may not see, shapes (S, P) and (S, own)."""

    prefix: torch.Tensor | None
    """None where every query sees the whole prefix."""
    own: torch.Tensor


def _unseen(
    tokens: int, own: int, prefix: int, window: int | None, device: torch.device
) -> _Unseen:
    end = prefix + own
    query = torch.arange(end - tokens, end, device=device)[:, None]
    key = torch.arange(end, device=device)
    unseen = key > query
    if window is None or window >= end:
        return _Unseen(None, unseen[:, prefix:])
    unseen |= key <= query - window
    return _Unseen(unseen[:, :prefix], unseen[:, prefix:])


def _attend_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    prefix_keys: torch.Tensor,
    prefix_values: torch.Tensor,
    unseen: _Unseen,
    softcap: float | None,
) -> torch.Tensor:
    """Attention of some rows; query (n, key heads, groups, S, dim), prefix (key heads, P, dim).

    Queries are scaled; queries and keys are in the type that scores are computed in.
    """
    n, kv_heads, groups, tokens, dim = query.shape
    prefix, own = prefix_keys.shape[1], key.shape[2]
    scores = query.new_empty(kv_heads, n * groups * tokens, prefix + own)
    by_row = scores.view(kv_heads, n, groups, tokens, prefix + own)
    # All rows' queries meet the prefix in one product per head; only the own keys differ by row.
    all_queries = query.transpose(0, 1).reshape(kv_heads, -1, dim)
    torch.bmm(all_queries, prefix_keys.transpose(1, 2), out=scores[:, :, :prefix])
    near = query.reshape(n, kv_heads, groups * tokens, dim) @ key.transpose(2, 3)
    by_row[..., prefix:] = near.view(n, kv_heads, groups, tokens, own).transpose(0, 1)
    if softcap is not None:
        scores.div_(softcap).tanh_().mul_(softcap)
    by_row[..., prefix:].masked_fill_(unseen.own, float("-inf"))
    if unseen.prefix is not None:
        by_row[..., :prefix].masked_fill_(unseen.prefix, float("-inf"))
    weights = torch.softmax(scores, dim=-1).to(value.dtype)
    from_prefix = torch.bmm(weights[:, :, :prefix], prefix_values)
    own_weights = weights.view(kv_heads, n, groups * tokens, -1)[..., prefix:].transpose(0, 1)
    from_own = own_weights.reshape(n, kv_heads, -1, own) @ value
    result = from_prefix.view(kv_heads, n, groups, tokens, -1).transpose(0, 1)
    result = result + from_own.view(n, kv_heads, groups, tokens, -1)
    # (n, key heads, groups, S, dim) -> (n, S, heads, dim)
    return result.permute(0, 3, 1, 2, 4).reshape(n, tokens, kv_heads * groups, -1)


AttentionInterface.register(_NAME, _attend)
