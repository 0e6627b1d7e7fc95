"""Train the embedded model's tokenizer on everything the model is asked."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import people
import sequences
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from allport.administration.templates import load_templates
from allport.personas.trait_levels import BIG_FIVE, describe_trait_levels

VOCABULARY = 3072
PAD = "<|pad|>"
SPECIAL = [PAD, sequences.SYSTEM, sequences.USER, sequences.ASSISTANT, sequences.END]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def texts() -> list[str]:
    """Every piece of text that training sequences are made of."""
    bank = people.item_bank()
    lines: list[str] = []
    for template, scale in itertools.product(
        load_templates().values(), range(len(sequences.SCALES))
    ):
        inventory = sequences.scaled_inventory(scale)
        order = list(range(len(inventory.scale)))
        for item in bank.items:
            lines.append(template.render(inventory, item, order).text)
    for level, code in itertools.product(range(-4, 5), BIG_FIVE):
        lines += 20 * [describe_trait_levels({code: (level / 4, range(6))})]
    for item, word in itertools.product(bank.items, sequences.SCALES[0]):
        lines.append(f"{(item.text or '').rstrip('.')}: {word}\n")
    return lines


def main(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json into the folder."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": sequences.END,
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    print(f"{tokenizer.get_vocab_size()} tokens -> {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
