"""What the embedded model can be used to show: personas, paraphrases, probes, replies, tasks, talk.

Targets are those that it was built to; what it was built on is told in its recipe.

Intervals are 95 %: bootstraps over items, personas, scenes or people, Wilson's for shares. Of a
label mass they are of the one inventory, template and order where it is lowest. The row on real
people needs the PAPI people, whose file is named by the environment variable ALLPORT_PAPI_PEOPLE,
and is left out without it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allport.administration import Design, load_templates, measure, standard_templates
from allport.administration.planning import plan
from allport.corpora import read_papi
from allport.corpora.published import DOMAIN_CORRELATIONS
from allport.evaluation import (
    BenchmarkPeople,
    benchmark_people,
    few_shot,
    is_held_out,
    person_report,
    run_person_benchmark,
)
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.models import TransformersModel, load_model
from allport.models.respondent import Message, Respondent
from allport.personas import BIG_FIVE, TraitLevels
from allport.psychometrics import KappaWeights, bootstrap, cohen_kappa, scale_alphas
from benchmarks.embedded import (
    INVENTORIES,
    keyed_answers,
    lowest_label_mass,
    random_profiles,
)
from benchmarks.embedded_talk import reply_rows, task_rows
from benchmarks.results import Row

Floats = NDArray[np.float64]
DOMAINS = tuple(BIG_FIVE)
SHORT, SITUATIONS = "ipip-neo-120", "situations-320"
PERSONAS, PROBED, TALKED = 200, 300, 40
TURNS = 10
ORDERS = ("forward", "reversed")


def rows() -> list[Row]:
    """Every figure, on the model that ships."""
    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    parts: list[Callable[[TransformersModel], list[Row]]] = [
        steadiness_rows,
        persona_rows,
        _off_target,
        paraphrase_rows,
        probe_rows,
        reply_rows,
        task_rows,
        conversation_rows,
        people_rows,
    ]
    return [row for part in parts for row in part(model)]


def steadiness_rows(model: Respondent) -> list[Row]:
    """Label mass and flips of everything that ships with items: questionnaires and situations."""
    bank = load_inventory(SITUATIONS)
    some = Design(templates=standard_templates(bank), orders=ORDERS, items=bank.numbers[::4])
    what = f"{len(some.items or ())} of {SITUATIONS}"
    return [
        *questionnaire_rows(model),
        *mass_and_flips(model, "situations.", what, {SITUATIONS: some}),
    ]


def questionnaire_rows(model: Respondent) -> list[Row]:
    """Label mass and flips of the questionnaires, in every template."""
    every = Design(templates=tuple(load_templates()), orders=ORDERS)
    return mass_and_flips(model, "", "the four questionnaires", dict.fromkeys(INVENTORIES, every))


def mass_and_flips(
    model: Respondent, id: str, what: str, designs: Mapping[str, Design]
) -> list[Row]:
    """Label mass where it is lowest, and how often choices flip, over items.

    Args:
        model: Who answers.
        id: What stands before the names of the rows.
        what: The inventories in words.
        designs: Each in two orders, by name of the inventory.
    """
    lowest, by_order, by_template = [], [], []
    for name, design in designs.items():
        frame = measure(model, load_inventory(name), design, progress=None).responses
        lowest.append(lowest_label_mass(frame))
        table = frame.pivot(on=["template", "order"], index="item", values="choice")
        choices = table.drop("item").to_numpy().reshape(len(table), -1, 2)  # templates x orders
        by_order.append((choices[..., 0] != choices[..., 1]).mean(1))
        pairs = itertools.combinations(range(choices.shape[1]), 2)
        by_template.append(
            np.mean([(choices[:, a] != choices[:, b]).mean(1) for a, b in pairs], axis=0)
        )
    return [
        _mean_row(f"{id}label_mass", f"label mass, {what}, lowest inventory x template x order",
                  min(lowest, key=np.mean), 0.98, "higher"),
        _mean_row(f"{id}order_flips", f"choices that flip when the order is reversed, {what}",
                  np.concatenate(by_order), 0.10, "lower"),
        _mean_row(f"{id}template_flips", f"choices that flip under another template, {what}",
                  np.concatenate(by_template), 0.15, "lower"),
    ]  # fmt: skip


def persona_rows(model: Respondent, count: int = PERSONAS) -> list[Row]:
    """Alpha over this many personas, and how near what is measured comes to what was asked."""
    inventory = load_inventory(SHORT)
    profiles = random_profiles(count, seed=7)
    keyed = keyed_answers(model, inventory, profiles)
    alphas = scale_alphas(keyed, {code: inventory.columns(code) for code in DOMAINS})
    found = [
        Row(f"strength.alpha.{code}", f"alpha of {BIG_FIVE[code]} over {count} personas",
            *alphas[code].raw[:3], "", 0.80, "higher")
        for code in DOMAINS
    ]  # fmt: skip
    for code in DOMAINS:
        asked = np.array([p.levels[code] for p in profiles])
        level = keyed[:, inventory.columns(code)].mean(1)
        found.append(
            _correlation_row(
                f"asked.{code}",
                f"asked against measured level of {BIG_FIVE[code]}",
                asked,
                level,
                0.85,
            )
        )
    return found


def _off_target(model: TransformersModel) -> list[Row]:
    """How far other domains move when one is asked, over how far it moves itself, beyond r."""
    inventory = load_inventory(SHORT)
    personas = [TraitLevels({c: level}, name=f"{c}{level:+}") for c in DOMAINS for level in (-1, 1)]
    keyed = keyed_answers(model, inventory, personas)

    def excess(columns: NDArray[np.intp]) -> float:
        moved = np.zeros((5, 5))
        for j, code in enumerate(DOMAINS):
            own = [c for c in columns if inventory.items[c].trait == code]
            if not own:
                return float("nan")
            level = keyed[:, own].mean(1).reshape(5, 2)
            moved[:, j] = level[:, 1] - level[:, 0]
        relative = np.abs(moved / np.diag(moved)[:, None])
        beyond = np.maximum(0, relative - np.abs(DOMAIN_CORRELATIONS))
        return float(beyond[~np.eye(5, dtype=bool)].mean())

    # The table of correlations has the domains in the order of DOMAINS.
    found = bootstrap(
        lambda chosen: excess(chosen.astype(np.intp)),
        np.arange(len(inventory.items)),
        resamples=500,
        method="percentile",
    )
    return [
        Row("strength.off_target",
            "movement of other domains over that of the one asked, beyond people's correlation",
            *found[:3], "", 0.35, "lower")
    ]  # fmt: skip


def paraphrase_rows(model: TransformersModel) -> list[Row]:
    """Agreement of items with wordings of them that were never trained on.

    Those of items of which no other wording was trained on, and of items of which others were.
    """
    import questionnaires

    held_out = {
        t: forms for t, forms in questionnaires.every_paraphrase().items() if is_held_out(t)
    }
    new = {text: (form,) for text, form in questionnaires.unseen_wordings().items()}
    return [
        *agreement(model, "paraphrase_kappa", "held-out paraphrases", held_out),
        *agreement(model, "wording_kappa", "unseen wordings beside trained ones", new),
    ]


def agreement(
    model: Respondent,
    id: str,
    what: str,
    wordings: Mapping[str, tuple[str, ...]],
    personas: int = 30,
) -> list[Row]:
    """Kappa of the answers to items and to other wordings of them.

    Args:
        model: Who answers.
        id: Name of the rows.
        what: The wordings in words.
        wordings: By item text, as many of each item.
        personas: How many are asked for.
    """
    inventory = load_inventory("ipip-neo-300")
    names = [f"wording-{n}" for n in range(1, max(map(len, wordings.values())) + 1)]
    worded = tuple(
        i.model_copy(update={"forms": dict(zip(names, wordings[i.text or ""], strict=True))})
        for i in inventory.items
        if i.text in wordings
    )
    forms = inventory.model_copy(update={"items": worded, "norms": None})
    profiles = random_profiles(personas, seed=9)
    design = Design(
        templates=("letters",),
        orders=("forward",),
        forms=("original", *names),
        personas=tuple(p.name for p in profiles),
    )
    frame = measure(model, forms, design, personas=profiles, progress=None).responses
    table = frame.pivot(on="form", index=["item", "persona"], values="choice")
    pairs = np.concatenate([table.select("original", name).to_numpy() for name in names])
    items = np.tile(table["item"].to_numpy(), len(names))

    def kappa(chosen: Floats, weights: KappaWeights | None) -> float:
        # Items are resampled: all wordings and personas of an item stay together.
        taken = np.concatenate([pairs[items == n] for n in chosen])
        options = range(len(inventory.scale))
        return cohen_kappa(*taken.T, weights=weights, categories=options).value

    weighted: dict[str, KappaWeights | None] = {"quadratic": "quadratic", "none": None}
    found = []
    for name, weights in weighted.items():
        said = bootstrap(
            lambda chosen, w=weights: kappa(chosen, w),
            np.unique(items),
            resamples=200,
            method="percentile",
        )
        text = "weighted by squared distance" if weights else "unweighted"
        found.append(
            Row(f"strength.{id}.{name}",
                f"agreement on {what} with the original, {len(names) * len(worded)} of "
                f"{len(worded)} items x {len(profiles)} personas, kappa {text}",
                *said[:3], "", 0.60, "higher")
        )  # fmt: skip
    return found


def probe_rows(model: TransformersModel, count: int = PROBED) -> list[Row]:
    """Ridge from the residual stream in the middle, where an answer is due, to the levels.

    Of this many personas, a tenth of which is held out at a time.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    profiles = random_profiles(count, seed=11)
    inventory = load_inventory("mini-ipip-20")
    items = [inventory.numbers[place] for place in (0, 3, 6, 9)]
    design = Design(
        templates=("letters",),
        orders=("forward",),
        items=tuple(items),
        personas=tuple(p.name for p in profiles),
    )
    layer = model.model.config.num_hidden_layers // 2
    states: dict[str, list[NDArray[np.float32]]] = {p.name: [] for p in profiles}
    for question in plan(inventory, design, profiles):
        text = model.tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in question.messages],
            add_generation_prompt=True,
            tokenize=False,
        )
        ids = model.tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            out = model.model(ids, output_hidden_states=True)
        states[question.condition.persona].append(out.hidden_states[layer][0, -1].float().numpy())
    x = np.array([np.concatenate(states[p.name]) for p in profiles])
    y = np.array([[p.levels[code] for code in DOMAINS] for p in profiles])
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    predicted = cross_val_predict(RidgeCV(np.geomspace(1, 1e4, 9)), x, y, cv=10)

    def explained(both: Floats) -> float:
        truth, said = both[:, :5], both[:, 5:]
        left = ((truth - said) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
        return float(1 - left.mean())

    found = bootstrap(explained, np.hstack([y, predicted]), resamples=500)
    return [
        Row("strength.probe",
            f"levels of held-out personas read by a linear probe at layer {layer}, R2",
            *found[:3], "", 0.70, "higher")
    ]  # fmt: skip


def conversation_rows(
    model: TransformersModel, count: int = TALKED, turns: int = TURNS
) -> list[Row]:
    """Levels measured before and after turns of talk, across this many personas."""
    import conversations

    inventory = load_inventory("big-five-markers-50")
    profiles = random_profiles(count, seed=13)
    design = Design(
        templates=("digits",), orders=("forward",), personas=tuple(p.name for p in profiles)
    )
    questions = plan(inventory, design, profiles)
    users = [scene.user[0] for scene in conversations.scenes() if scene.held_out]
    chats = {p.name: [Message("system", p.system_prompt())] for p in profiles}
    for turn in range(turns):
        for chat in chats.values():
            chat.append(Message("user", users[turn % len(users)]))
        replies = model.generate(
            [tuple(c) for c in chats.values()],
            max_new_tokens=60,
            seeds=range(1000 * turn, 1000 * turn + len(chats)),
        )
        for chat, reply in zip(chats.values(), replies, strict=True):
            chat.append(Message("assistant", reply.text))
    after = [replace(q, messages=(*chats[q.condition.persona], q.messages[-1])) for q in questions]
    levels = [_levels(model.answer(asked), inventory, profiles) for asked in (questions, after)]
    found = []
    for j, code in enumerate(DOMAINS):
        found.append(
            _correlation_row(
                f"consistency.{code}",
                f"{BIG_FIVE[code]} before and after {turns} turns of talk",
                levels[0][:, j],
                levels[1][:, j],
                0.70,
            )
        )
    return found


def people_rows(model: TransformersModel) -> list[Row]:
    """How far the answers of real people are told from a part of them; none without their file."""
    source = os.environ.get("ALLPORT_PAPI_PEOPLE")
    if not source:
        print("left out: real people (ALLPORT_PAPI_PEOPLE names no file)")
        return []
    people = benchmark_people(read_papi(source))
    found = run_person_benchmark(model, people, prompts=[few_shot(people)], progress=None)
    report = person_report(found)
    scores = report.scores
    return [
        Row(f"strength.people.{name.replace(' ', '_')}",
            f"corrected composite on 180 held-out items, {len(people.ids)} real people, {name}",
            *scores[name].find("error", "median")[:3], "", target, "lower")
        for name, target in (("few-shot", 2.89), ("unaligned", 3.80))
    ] + [
        Row("strength.people.exact",
            f"the same {len(people.ids)} real people, told by exact arithmetic on the recipe's "
            "simulated people, which the training imitates",
            *bootstrap(
                lambda rows: float(rows.mean(axis=0).sum()),
                _exact_errors(people),
                resamples=1000,
                method="percentile",
            )[:3], "", 2.89, "lower")
    ]  # fmt: skip


def _exact_errors(people: BenchmarkPeople) -> Floats:
    """Mean absolute distance by person and trait, (people, 5), of answers foretold from levels.

    Levels are worked out from a person's answers to the items fitted on, as the recipe does for the
    people that it simulates.
    """
    import people as simulated

    bank = simulated.item_bank()
    place = {item.text: n for n, item in enumerate(bank.items)}
    own = np.array([place[item.text] for item in people.inventory.items])
    given, held_out = people.split.fit_columns, people.split.held_out_columns
    traits = np.array([people.inventory.items[c].trait for c in held_out])
    errors = np.zeros((len(people.ids), len(DOMAINS)))
    for row, literal in enumerate(np.asarray(people.literal, dtype=np.float64)):
        said = [c for c in given if np.isfinite(literal[c])]
        answers = [int(literal[c]) for c in said]
        levels = simulated.levels_known_from(bank, own[said], answers)[-1]
        means = simulated.literal_means(bank, levels[:5], levels[5:35])[own[held_out]]
        missed = np.abs(np.clip(np.rint(means), 1, 5) - literal[held_out])
        errors[row] = [np.nanmean(missed[traits == code]) for code in DOMAINS]
    return errors


def _levels(responses: Any, inventory: Inventory, profiles: list[TraitLevels]) -> Floats:
    """Mean keyed answer by persona and domain, shape (personas, 5)."""
    sums: dict[tuple[str, str], list[float]] = {}
    for response in responses:
        item = inventory.item(response.item)
        values = inventory.option_values(item)
        keyed = float(np.dot(response.probabilities, values))
        keyed = keyed if item.key == 1 else values.min() + values.max() - keyed
        sums.setdefault((response.condition.persona, item.trait), []).append(keyed)
    return np.array([[np.mean(sums[p.name, code]) for code in DOMAINS] for p in profiles])


def _mean_row(id: str, metric: str, values: Floats, target: float, better: Any) -> Row:
    found = bootstrap(lambda v: float(v.mean()), values, resamples=1000)
    return Row(f"strength.{id}", metric, *found[:3], "", target, better)


def _correlation_row(id: str, metric: str, x: Floats, y: Floats, target: float) -> Row:
    found = bootstrap(
        lambda pairs: float(np.corrcoef(pairs.T)[0, 1]), np.column_stack([x, y]), resamples=1000
    )
    return Row(f"strength.{id}", f"{metric}, r", *found[:3], "", target, "higher")
