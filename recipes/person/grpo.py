"""Reinforce the answers that lie near a person's own: GRPO through TRL, into an adapter.

python recipes/person/grpo.py work/ann --to ann.json
python recipes/person/grpo.py work/somebody --simulate 7 --steps 200
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allport.alignment import (
    Alignment,
    AnswerExample,
    adapter_alignment,
    adapter_from_state,
    answer_examples,
    save_alignment,
    trainable_copy,
)
from allport.alignment.answers_to_fit import fitting_answers
from allport.corpora import simulate_people
from allport.models import TransformersModel, load_model, parse_choice
from allport.personas import Person, read_person


def answer_distance(
    completions: list[Any],
    labels: list[list[str]],
    options: list[list[str]],
    values: list[list[float]],
    said: list[float],
    **_: Any,
) -> list[float]:
    """Minus the distance between what was answered and what the person said.

    Text that is no answer costs one more than the farthest answer could, so that it never pays to
    give none. The mean of this reward is highest where the model answers the median of what the
    person would say, which is what the person benchmark scores.
    """
    rewards = []
    for completion, names, texts, scale, own in zip(
        completions, labels, options, values, said, strict=True
    ):
        parsed = parse_choice(completion[0]["content"], names, texts)
        if parsed.choice is None:
            rewards.append(min(scale) - max(scale) - 1)
        else:
            rewards.append(-abs(scale[parsed.choice] - own))
    return rewards


def rows(examples: Sequence[AnswerExample], values: list[float]) -> list[dict[str, Any]]:
    """What TRL is given: chats, and the columns that the reward reads."""
    return [
        {
            "prompt": [{"role": m.role, "content": m.content} for m in example.question.messages],
            "labels": list(example.question.labels),
            "options": list(example.question.options),
            "values": values,
            "said": values[example.said],
        }
        for example in examples
    ]


def train(
    model: TransformersModel,
    person: Person,
    *,
    steps: int = 150,
    questions: int = 8,
    generations: int = 8,
    learning_rate: float = 1e-3,
    rank: int = 8,
    seed: int = 0,
) -> Alignment:
    """Train an adapter by GRPO.

    Args:
        model: A local model; it is not changed.
        person: Whose answers are near or far.
        steps: Of the optimizer.
        questions: Asked in a step.
        generations: Answers drawn to each, which are compared with each other.
        learning_rate: At the start; 1e-6 to 1e-5 is usual from a billion weights on.
        rank: Of the adapter.
        seed: Of everything random.
    """
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model_state_dict
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    answers = fitting_answers(person)
    examples = answer_examples(model, answers)
    values = [option.value for option in answers.inventory.scale]
    longest = max(len(tokens) for example in examples for tokens in example.answers)
    start = time.perf_counter()
    rewards: list[float] = []

    class Telling(TrainerCallback):
        """Prints a JSON line now and then, with the time left."""

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if "reward" not in more["logs"]:
                return
            rewards.append(float(more["logs"]["reward"]))
            if state.global_step % 10 in (0, 1):
                passed = time.perf_counter() - start
                left = passed / state.global_step * (state.max_steps - state.global_step)
                line = {"step": state.global_step, "reward": rewards[-1], "seconds_left": left}
                print(json.dumps({k: round(v, 3) for k, v in line.items()}), flush=True)

    on_cpu = model.passes.device.type == "cpu"
    with tempfile.TemporaryDirectory() as scratch:
        trainer = GRPOTrainer(
            model=trainable_copy(model),
            reward_funcs=answer_distance,
            train_dataset=Dataset.from_list(rows(examples, values)),
            processing_class=model.tokenizer,
            callbacks=[Telling()],
            peft_config=LoraConfig(
                task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, target_modules="all-linear"
            ),
            args=GRPOConfig(
                output_dir=scratch,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_steps=1,
                max_steps=steps,
                per_device_train_batch_size=questions * generations,
                num_generations=generations,
                # The label and the end of the turn; nothing longer is an answer.
                max_completion_length=longest + 2,
                temperature=1.0,
                chat_template_kwargs={"enable_thinking": False},  # as measuring asks
                beta=0.0,
                # Groups that agree teach nothing and are not blown up to one standard deviation.
                scale_rewards="none",
                learning_rate=learning_rate,
                seed=seed,
                use_cpu=on_cpu,
                bf16=not on_cpu and "bfloat16" in str(model.model.dtype),
                gradient_checkpointing=False,
                dataloader_pin_memory=False,
            ),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
    state = {name: tensor.detach().float().cpu().numpy() for name, tensor in found.items()}
    return adapter_alignment(
        model,
        adapter_from_state(state, 2 * rank),
        person.name,
        "grpo",
        {
            "inventory": answers.inventory.name,
            "inventory_hash": answers.inventory.content_hash,
            "items": list(answers.numbers),
            "steps": steps,
            "questions": questions,
            "generations": generations,
            "learning_rate": learning_rate,
            "seed": seed,
            "reward_first": rewards[0],
            "reward_last": sum(rewards[-10:]) / len(rewards[-10:]),
            "seconds": time.perf_counter() - start,
        },
    )


def main(words: Sequence[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the alignment")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--to", type=Path, help="a person file; `allport survey` writes one")
    who.add_argument("--simulate", type=int, metavar="SEED", help="somebody made up")
    parser.add_argument("--model", default="embedded", help="embedded, a folder, or a hub id")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--questions", type=int, default=8, help="in a step")
    parser.add_argument("--generations", type=int, default=8, help="answers to each question")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    # TRL sets an argument by a name that transformers is giving up.
    warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
    model = load_model(given.model)
    if not isinstance(model, TransformersModel):
        parser.error(f"{given.model} is not on this machine, so it cannot be trained")
    if given.to is not None:
        person = read_person(given.to)
    else:
        corpus = simulate_people(1, seed=given.simulate).corpus
        person = corpus.person(corpus.ids[0])
    alignment = train(
        model,
        person,
        steps=given.steps,
        questions=given.questions,
        generations=given.generations,
        learning_rate=given.learning_rate,
        seed=given.seed,
    )
    save_alignment(alignment, given.out)
    print(json.dumps({"folder": str(given.out), "reward": alignment.fit["reward_last"]}))


if __name__ == "__main__":
    main()
