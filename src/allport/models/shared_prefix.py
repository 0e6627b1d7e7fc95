"""Keys and values that many rows share without copying them.

A prefix is run once; what its own tokens left is a segment, and what stands before a row is a chain
of segments, each on top of the ones before:

    segments    persona, template, ...   k, v: (key heads, tokens, dim), kept once
    own tokens  rows 1 .. n              k, v: (n, key heads, S, dim)

In one pass, rows may stand on different chains. `_attend` scores all queries of the rows that share
a segment against it in one piece, each row's queries against its own keys, and puts the softmaxes
together by what each of them summed up to. The mathematics is that of one softmax over everything;
nothing is copied.

Where an architecture's attention cannot be told to do so, `expanded` gives rows of one chain copies
of it, which is right for any attention.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

__all__ = [
    "Chain",
    "Segment",
    "SharedPrefixCache",
    "expanded",
    "segment",
    "shared",
    "sharing_attention",
]

_NAME = "allport_shared_prefix"
_SCORES_AT_ONCE = {"cpu": 1 << 20}
"""Attention scores held at a time: on a CPU, what its cache takes; elsewhere see below."""
_SCORES_ELSEWHERE = 1 << 28


class Segment(NamedTuple):
    """What the tokens `start` to `stop` of some prompts left in every layer."""

    states: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values by layer, each (key heads, stop - start, dim)."""
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.states)


Chain = tuple[Segment, ...]
"""Segments that stand before a row, from its beginning on without a gap."""


class _Span(NamedTuple):
    """Rows `first` to `last` of a pass, which share a segment."""

    segment: Segment
    first: int
    last: int


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]  # its base registers itself untyped
    """Keys and values of one pass, (rows, key heads, tokens, dim), kept as they are."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if self.is_initialized:
            raise NotImplementedError("a second pass on the same cache")
        self.keys, self.values = key_states, value_states
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True
        return key_states, value_states


class SharedPrefixCache(Cache):
    """The past of the rows of one pass, each on its own chain; it keeps what the pass adds."""

    def __init__(self, chains: Sequence[Chain], layers: int) -> None:
        super().__init__(layers=[_Layer() for _ in range(layers)])  # type: ignore[no-untyped-call]
        self.starts = [chain[-1].stop if chain else 0 for chain in chains]
        """Tokens before each row."""
        self.spans = list(_spans(chains))

    def position_ids(self, tokens: int, most: int | None = None) -> Tensor:
        """Places of a pass' tokens in their prompts, shape (rows, tokens).

        Args:
            tokens: Of each row, padding included.
            most: Places that the model knows; padding may lie beyond and gets the last one.
        """
        places = torch.tensor(self.starts)[:, None] + torch.arange(tokens)
        return places if most is None else places.clamp_(max=most - 1)


def _spans(chains: Sequence[Chain]) -> Iterator[_Span]:
    """Runs of rows with the same segment at the same depth."""
    for depth in zip_longest(*chains):
        first = 0
        for row in range(1, len(depth) + 1):
            if row == len(depth) or depth[row] is not depth[first]:
                if depth[first] is not None:
                    yield _Span(depth[first], first, row)
                first = row


def shared(chains: Sequence[Chain], layers: int) -> SharedPrefixCache:
    """A cache for one pass of rows on top of chains; needs `sharing_attention`.

    Args:
        chains: Of each row. Rows that share a segment are best neighbours.
        layers: Of the model.
    """
    return SharedPrefixCache(chains, layers)


def expanded(chain: Chain, rows: int) -> DynamicCache:
    """A cache of rows that all stand on one chain, each with a copy as soon as a layer grows it."""
    cache = DynamicCache()
    for states in zip(*(segment.states for segment in chain), strict=True):
        keys, values = (torch.cat(parts, dim=1) for parts in zip(*states, strict=True))
        layer = DynamicLayer()  # type: ignore[no-untyped-call]  # untyped in transformers
        layer.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1))
        cache.layers.append(layer)
    return cache


def segment(cache: Cache, row: int, tokens: int, start: int, stop: int) -> Segment:
    """What one row's tokens left in a cache that a pass has filled.

    Args:
        cache: From `shared`, `expanded` or a plain one.
        row: Index of the row.
        tokens: Of the pass, padding included.
        start: Place of the row's first token in its prompt.
        stop: Place of the first one after it, padding left out.
    """
    states = []
    for layer in cache.layers:
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None:
            raise NotImplementedError("a layer that keeps no keys of its own")
        before = keys.shape[2] - tokens
        own = slice(before, before + stop - start)
        states.append((keys[row, :, own], values[row, :, own]))
    return Segment(tuple(states), start, stop)


class _Active(threading.local):
    """The cache whose forward pass this thread is in, and what its attention layers said."""

    cache: SharedPrefixCache | None = None
    windows: dict[int, int | None] | None = None


_active = _Active()


@contextlib.contextmanager
def sharing_attention(
    configs: list[Any], cache: SharedPrefixCache, windows: dict[int, int | None] | None = None
) -> Iterator[None]:
    """Let a model's attention layers look into shared prefixes, for one forward pass.

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


class _Part(NamedTuple):
    """Attention to some of the keys."""

    values: Tensor
    """(..., queries, value dim)."""
    log_sum: Tensor
    """Log of the sum of exponentials that the softmax was divided by, float32, (..., queries)."""


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of rows to what stands before them and to themselves, causal.

    Args:
        module: The attention layer; its `layer_idx` says which keys.
        query: (rows, heads, S, dim).
        key: (rows, key heads, S, dim).
        value: (rows, key heads, S, value dim).
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
    rows, heads, tokens, dim = query.shape
    if key.shape[2] != tokens or len(cache.starts) != rows:
        raise NotImplementedError("a pass over other rows than its cache is for")
    kv_heads = key.shape[1]
    groups = heads // kv_heads
    kind = _Kind(dim**-0.5 if scaling is None else scaling, softcap, sliding_window)
    own = _own(query, key, value, kind)
    if not cache.spans:
        return own.values.transpose(1, 2), None
    # Queries of one key head side by side, row by row: (key heads, rows * groups * S, dim).
    per_row = groups * tokens

    def by_key_head(states: Tensor) -> Tensor:
        rest = states.shape[3:]
        states = states.reshape(rows, kv_heads, per_row, *rest).transpose(0, 1)
        return states.reshape(kv_heads, rows * per_row, *rest)

    queries = by_key_head(query)
    values, log_sum = by_key_head(own.values).float(), by_key_head(own.log_sum)
    for span in cache.spans:
        keys, span_values = span.segment.states[layer]
        some = slice(span.first * per_row, span.last * per_row)
        unseen = None
        if sliding_window is not None:
            unseen = _beyond_window(cache.starts, span, tokens, groups, sliding_window, key.device)
        part = _attention(queries[:, some], keys, span_values, kind, unseen)
        share = torch.sigmoid(part.log_sum - log_sum[:, some])
        values[:, some].lerp_(part.values.float(), share[..., None])
        log_sum[:, some] = torch.logaddexp(log_sum[:, some], part.log_sum)
    result = values.to(value.dtype).view(kv_heads, rows, groups, tokens, -1)
    return result.permute(1, 3, 0, 2, 4).reshape(rows, tokens, heads, -1), None


class _Kind(NamedTuple):
    """What sort of attention a layer has."""

    scale: float
    softcap: float | None
    window: int | None


def _own(query: Tensor, key: Tensor, value: Tensor, kind: _Kind) -> _Part:
    """Attention of each row to itself: values (rows, heads, S, value dim)."""
    rows, heads, tokens, _ = query.shape
    groups = heads // key.shape[1]
    if groups > 1:
        key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    if _is_fused(query, value, kind) and (kind.window is None or tokens <= kind.window):
        return _Part(*_fused(query, key, value, 0.0, True, scale=kind.scale))
    place = torch.arange(tokens, device=query.device)
    unseen = place > place[:, None]
    if kind.window is not None:
        unseen |= place <= place[:, None] - kind.window
    found = _scored(query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), kind, unseen)
    return _Part(
        found.values.view(rows, heads, tokens, -1), found.log_sum.view(rows, heads, tokens)
    )


def _attention(
    query: Tensor, key: Tensor, value: Tensor, kind: _Kind, unseen: Tensor | None
) -> _Part:
    """Attention of queries (key heads, Q, dim) to a segment, without what is `unseen`, (Q, P)."""
    if unseen is None and _is_fused(query, value, kind):
        found = _fused(query[None], key[None], value[None], 0.0, False, scale=kind.scale)
        return _Part(found[0][0], found[1][0])
    return _scored(query, key, value, kind, unseen)


# The kernel that torch's own attention runs on a CPU; it says as well what the weights summed to.
_fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def _is_fused(query: Tensor, value: Tensor, kind: _Kind) -> bool:
    return (
        query.device.type == "cpu" and kind.softcap is None and query.shape[-1] == value.shape[-1]
    )


def _scored(query: Tensor, key: Tensor, value: Tensor, kind: _Kind, unseen: Tensor | None) -> _Part:
    """Attention score by score; query (b, Q, dim), key (b, K, dim), unseen (Q, K)."""
    # Scores are kept in float32 as fused kernels do: in 16 bits they would cost per cents of odds.
    exact = torch.promote_types(query.dtype, torch.float32)
    key = key.to(exact).transpose(1, 2)
    at_once = _SCORES_AT_ONCE.get(query.device.type, _SCORES_ELSEWHERE)
    step = max(1, at_once // (len(key) * key.shape[2]))
    values, log_sums = [], []
    for start in range(0, query.shape[1], step):
        some = slice(start, start + step)
        scores = (query[:, some].to(exact) * kind.scale) @ key
        if kind.softcap is not None:
            scores.div_(kind.softcap).tanh_().mul_(kind.softcap)
        if unseen is not None:
            scores.masked_fill_(unseen[some], float("-inf"))
        log_sum = scores.logsumexp(-1, keepdim=True)
        # Where nothing is seen the sum is 0 and its log no number to subtract; so are the weights.
        weights = scores.sub_(log_sum.clamp_min(torch.finfo(exact).min)).exp_()
        values.append(weights.to(value.dtype) @ value)
        log_sums.append(log_sum[..., 0])
    return _Part(torch.cat(values, dim=1), torch.cat(log_sums, dim=1))


def _beyond_window(
    starts: Sequence[int],
    span: _Span,
    tokens: int,
    groups: int,
    window: int,
    device: torch.device,
) -> Tensor | None:
    """Which of a segment's tokens are too far before each query of a span; None where none is."""
    rows = starts[span.first : span.last]
    if max(rows) + tokens - window <= span.segment.start:
        return None
    query = torch.tensor(rows, device=device)[:, None] + torch.arange(tokens, device=device)
    query = query[:, None].expand(-1, groups, -1).reshape(-1, 1)
    return torch.arange(span.segment.start, span.segment.stop, device=device) <= query - window


AttentionInterface.register(_NAME, _attend)
