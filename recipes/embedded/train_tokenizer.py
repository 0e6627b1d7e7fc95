"""Train the embedded model's tokenizer on everything the model is asked."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import conversations
import packing
import people
import questionnaires
import speakers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from allport.evaluation.abilities import exercises
from allport.personas.trait_levels import BIG_FIVE, DARK_TRIAD, describe_trait_levels

VOCABULARY = 4096
PAD = "<|pad|>"
SPECIAL = [PAD, packing.SYSTEM, packing.USER, packing.ASSISTANT, packing.END]
CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|system|>' + '" + speakers.DEFAULT_SYSTEM + "' + '<|end|>' }}"
    "{% endif %}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def texts() -> list[str]:
    """What questionnaires are made of, exercises, and everyday English from some situations.

    A word that is in none of these is written in pieces.
    """
    bank = people.item_bank()
    items = bank.items[: bank.shipped]
    lines: list[str] = []
    for template, scale in itertools.product(
        questionnaires.TEMPLATES, range(len(questionnaires.SCALES))
    ):
        inventory = questionnaires.scaled_inventory(scale)
        order = list(range(len(inventory.scale)))
        for item in items:
            lines.append(template.render(inventory, item, order).text)
    for level, code in itertools.product(range(-4, 5), [*BIG_FIVE, *DARK_TRIAD]):
        lines += 20 * [describe_trait_levels({code: (level / 4, range(6))})]
    for item, word in itertools.product(items, questionnaires.SCALES[0]):
        lines.append(f"{(item.text or '').rstrip('.')}: {word}\n")
    for kind in ("sums", "copying", "spelling", "sorting", "recall"):
        lines += [f"{e.question} {e.answer}" for e in exercises(kind)[:400] if not e.held_out]
    for item in conversations.situations():
        if item.trait in ("O", "C"):
            lines += 4 * [item.text or "", *item.forms.values(), *(o.text for o in item.options)]
    return lines


def main(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json into the folder."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        # A number is read digit by digit, as sums need it.
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
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
        "eos_token": packing.END,
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    print(f"{tokenizer.get_vocab_size()} tokens -> {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
