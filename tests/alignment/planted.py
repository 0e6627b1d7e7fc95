"""A small Llama whose weights are written by hand, so that it is known which heads carry traits.

    item word   has the direction of its trait, times its key, in the first five numbers
    planted heads   after "yes" they look at the item word, after "no" elsewhere, and pass its trait
                    on through an orthogonal map of their own; their projection writes traits into
                    five numbers of the residual stream
    reading head    in the last layer: looks at the item word as much as the traits written at the
                    answer position agree with the word's, and writes down how much it saw
    output          the more it saw, the more probable are the options of agreement

So what a planted head says of yes and no is the item's trait, displacing it by a person's traits
makes the model agree with that person's items, and no other head knows anything of traits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allport.inventories.inventory import Inventory, Item, Option, Trait
from allport.models.transformers_model import TransformersModel
from allport.personas import Person

TRAITS, ITEMS = 5, 60
HIDDEN, HEADS, SIZE = 64, 4, 16
PLANTED = ((0, 1), (0, 3), (1, 0))
"""(layer, head)."""
READER = (2, 2)
OPTIONS = ("never", "rarely", "sometimes", "often", "always")
SEEN_UNSTEERED = 0.5
"""About what the reading head sees of an item word without steering."""
_SLOW = (3, 4, 5, 6, 7)
"""Numbers of a head that positions hardly turn, with the base of positions chosen below."""
_FLAG, _AGREE, _ONE, _WRITTEN, _SEEN, _REST = 5, 6, 7, slice(10, 15), 15, slice(20, HIDDEN)


@dataclass(frozen=True)
class Planted:
    """The model, what it is asked, and what is known of it."""

    model: TransformersModel
    inventory: Inventory
    traits: NDArray[np.float64]
    """Trait of each item times its key, (items, traits)."""
    maps: dict[tuple[int, int], NDArray[np.float64]]
    """From traits to the numbers of each planted head, (head_dim, traits)."""

    def person(self, levels: NDArray[np.float64], name: str = "ann") -> Person:
        """Somebody who answers by trait levels alone, each about -1 to 1."""
        values = np.clip(np.rint(3 + 2 * self.traits @ levels), 1, 5)
        answers = dict(zip(self.inventory.numbers, values.tolist(), strict=True))
        return Person(name, self.inventory, answers)


def plant(seed: int = 0) -> Planted:
    """Build the model."""
    rng = np.random.default_rng(seed)
    inventory, traits = _inventory(rng)
    tokenizer = _tokenizer(inventory)
    model, maps = _model(tokenizer, inventory, traits, rng)
    return Planted(TransformersModel(model, tokenizer, "planted"), inventory, traits, maps)


def _inventory(rng: np.random.Generator) -> tuple[Inventory, NDArray[np.float64]]:
    of_item = np.arange(ITEMS) % TRAITS
    keys = rng.permutation(np.repeat([1, -1], ITEMS // 2))
    inventory = Inventory(
        name="planted",
        title="Planted",
        version="1",
        scale=tuple(Option(text=text, value=i) for i, text in enumerate(OPTIONS, start=1)),
        traits=tuple(Trait(code=code, name=code) for code in "NEOAC"),
        items=tuple(
            Item(number=i + 1, text=f"word{i:02d}", trait="NEOAC"[of_item[i]], key=int(keys[i]))
            for i in range(ITEMS)
        ),
        licence="none",
        source="this test",
    )
    return inventory, keys[:, None] * np.eye(TRAITS)[of_item]


def _tokenizer(inventory: Inventory) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [str(item.text) for item in inventory.items]
    words += [*OPTIONS, *"abcde", "yes", "no", ":", "<end>", "<unk>", "<turn>"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", unk_token="<unk>")
    made.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    made.chat_template = (
        "{% for m in messages %}{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<turn>{% endif %}"
    )
    return made


def _model(
    tokenizer: Any, inventory: Inventory, traits: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Any, dict[tuple[int, int], NDArray[np.float64]]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=HIDDEN,
            intermediate_size=8,
            num_hidden_layers=3,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            head_dim=SIZE,
            max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": 1e8},
            tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    ).eval()
    words = tokenizer.get_vocab()
    embeddings = np.zeros((len(tokenizer), HIDDEN))
    embeddings[:, _ONE] = 1
    embeddings[:, _REST] = rng.normal(0, 0.5, (len(tokenizer), HIDDEN - _REST.start))
    for item, trait in zip(inventory.items, traits, strict=True):
        embeddings[words[str(item.text)], :TRAITS] = 3 * trait
        embeddings[words[str(item.text)], _FLAG] = 3
    embeddings[words["yes"], _AGREE], embeddings[words["no"], _AGREE] = 3, -3
    maps = {at: np.linalg.qr(rng.normal(size=(SIZE, TRAITS)))[0] for at in PLANTED}
    out = np.zeros((len(tokenizer), HIDDEN))
    for value, option in enumerate(OPTIONS):
        out[words[option], _SEEN] = value - 2
        out[words[option], _ONE] = -SEEN_UNSTEERED * (value - 2)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.from_numpy(embeddings))
        model.lm_head.weight.copy_(torch.from_numpy(out))
        for number, layer in enumerate(model.model.layers):
            layer.mlp.down_proj.weight.zero_()
            attention = layer.self_attn
            weights = {name: rng.normal(0, 0.3, (HIDDEN, HIDDEN)) for name in ("q", "k", "v", "o")}
            for name in ("q", "k", "v"):
                weights[name][:, : _REST.start] = 0  # no head knows of traits or answers
            weights["o"][: _REST.start] = 0
            weights["o"] *= 0.2
            for head in range(HEADS):
                rows = slice(head * SIZE, (head + 1) * SIZE)
                if (number, head) in maps:
                    _write_planted(weights, rows, maps[number, head])
                elif (number, head) == READER:
                    _write_reader(weights, rows)
            for name, values in weights.items():
                projection = getattr(attention, f"{name}_proj")
                projection.weight.copy_(torch.from_numpy(values))
    return model, maps


def _write_planted(
    weights: dict[str, NDArray[np.float64]], rows: slice, to_head: NDArray[np.float64]
) -> None:
    for name in ("q", "k", "v"):
        weights[name][rows] = 0
    weights["q"][rows.start + _SLOW[-1], _AGREE] = 6
    weights["k"][rows.start + _SLOW[-1], _FLAG] = 6
    weights["v"][rows, :TRAITS] = to_head
    weights["o"][:, rows] = 0
    weights["o"][_WRITTEN, rows] = to_head.T


def _write_reader(weights: dict[str, NDArray[np.float64]], rows: slice) -> None:
    for name in ("q", "k", "v"):
        weights[name][rows] = 0
    weights["o"][:, rows] = 0
    for trait, place in enumerate(_SLOW):
        weights["q"][rows.start + place, _WRITTEN.start + trait] = 1
        weights["k"][rows.start + place, trait] = 1
    weights["v"][rows.start, _FLAG] = 1
    weights["o"][_SEEN, rows.start] = 1
