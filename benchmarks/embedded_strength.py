"""What the embedded model can be used to show: personas, paraphrases, probes, replies, tasks, talk.

Targets are those that it was built to; what it was built on is told in its recipe.

Intervals are 95 %: bootstraps over items, personas, scenes or people, Wilson's for shares. The row
on real people needs the PAPI people, whose file is named by the environment variable
ALLPORT_PAPI_PEOPLE, and is left out without it.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from allport.administration import Design, load_templates, measure
from allport.administration.planning import plan
from allport.corpora import read_papi
from allport.corpora.published import DOMAIN_CORRELATIONS
from allport.evaluation import (
    BenchmarkPeople,
    ability_scores,
    benchmark_people,
    few_shot,
    is_held_out,
    person_report,
    run_person_benchmark,
)
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.models import TransformersModel, load_model
from allport.models.respondent import Message
from allport.personas import BIG_FIVE, TraitLevels
from allport.psychometrics import bootstrap, cohen_kappa, scale_alphas
from benchmarks.embedded import INVENTORIES, random_profiles
from benchmarks.results import Row

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes" / "embedded"))

Floats = NDArray[np.float64]
DOMAINS = tuple(BIG_FIVE)
SHORT = "ipip-neo-120"
PERSONAS, PROBED, TALKED = 200, 300, 40
TURNS = 10


def rows(name: str = "embedded") -> list[Row]:
    """Every figure, on a model by name."""
    model = load_model(name)
    assert isinstance(model, TransformersModel)
    parts: list[Callable[[TransformersModel], list[Row]]] = [
        _mass_and_flips,
        _personas,
        _off_target,
        _paraphrases,
        _probe,
        _replies,
        _abilities,
        _conversations,
        _real_people,
    ]
    return [row for part in parts for row in part(model)]


def _mass_and_flips(model: TransformersModel) -> list[Row]:
    mass, by_order, by_template = [], [], []
    for name in INVENTORIES:
        design = Design(templates=tuple(load_templates()), orders=("forward", "reversed"))
        frame = measure(model, load_inventory(name), design, progress=None).responses
        cells = frame.group_by("template", "order").agg(pl.col("label_mass").mean())
        mass += cells["label_mass"].to_list()
        table = frame.pivot(on=["template", "order"], index="item", values="choice")
        choices = table.drop("item").to_numpy().reshape(len(table), -1, 2)  # templates x orders
        by_order.append((choices[..., 0] != choices[..., 1]).mean(1))
        pairs = itertools.combinations(range(choices.shape[1]), 2)
        by_template.append(
            np.mean([(choices[:, a] != choices[:, b]).mean(1) for a, b in pairs], axis=0)
        )
    return [
        Row(
            "strength.label_mass",
            "label mass, lowest of all inventories x templates x orders",
            *(min(mass), min(mass), float(np.mean(mass))),
            *("", 0.98, "higher"),
        ),
        _mean_row("order_flips", "choices that flip when the order is reversed, all inventories",
                  np.concatenate(by_order), 0.10, "lower"),
        _mean_row("template_flips", "choices that flip under another template, all inventories",
                  np.concatenate(by_template), 0.15, "lower"),
    ]  # fmt: skip


def _personas(model: TransformersModel) -> list[Row]:
    inventory = load_inventory(SHORT)
    profiles = random_profiles(PERSONAS, seed=7)
    keyed = _keyed(model, inventory, profiles)
    alphas = scale_alphas(keyed, {code: inventory.columns(code) for code in DOMAINS})
    found = [
        Row(f"strength.alpha.{code}", f"alpha of {BIG_FIVE[code]} over {PERSONAS} personas",
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
    keyed = _keyed(model, inventory, personas)

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


def _paraphrases(model: TransformersModel) -> list[Row]:
    """Agreement of items with wordings of them that were never trained on.

    Those of items of which no other wording was trained on, and of items of which others were.
    """
    import questionnaires

    held_out = {t: f[0] for t, f in questionnaires.every_paraphrase().items() if is_held_out(t)}
    new = questionnaires.unseen_wordings()
    return [
        *_agreement(model, "paraphrase_kappa", "held-out paraphrases", held_out),
        *_agreement(model, "wording_kappa", "unseen wordings beside trained ones", new),
    ]


def _agreement(model: TransformersModel, id: str, what: str, wordings: dict[str, str]) -> list[Row]:
    """Kappa of the answers to items and to other wordings of them, by item text."""
    inventory = load_inventory("ipip-neo-300")
    worded = tuple(
        i.model_copy(update={"forms": {"paraphrase": wordings[i.text or ""]}})
        for i in inventory.items
        if i.text in wordings
    )
    forms = inventory.model_copy(update={"items": worded, "norms": None})
    profiles = random_profiles(30, seed=9)
    design = Design(
        templates=("letters",),
        orders=("forward",),
        forms=("original", "paraphrase"),
        personas=tuple(p.name for p in profiles),
    )
    frame = measure(model, forms, design, personas=profiles, progress=None).responses
    table = frame.pivot(on="form", index=["item", "persona"], values="choice")
    items = table["item"].to_numpy()
    pair = table.select("original", "paraphrase").to_numpy()

    def kappa(chosen: Floats, weights: str) -> float:
        # Items are resampled: all personas of an item stay together.
        taken = np.concatenate([pair[items == n] for n in chosen])
        return cohen_kappa(taken[:, 0], taken[:, 1], weights=weights).value  # type: ignore[arg-type]

    found = []
    for weights in ("quadratic", "none"):
        said = bootstrap(
            lambda chosen, w=weights: kappa(chosen, w),
            np.unique(items),
            resamples=200,
            method="percentile",
        )
        text = "weighted by squared distance" if weights == "quadratic" else "unweighted"
        found.append(
            Row(f"strength.{id}.{weights}",
                f"agreement on {what} with the original, {len(worded)} items x "
                f"{len(profiles)} personas, kappa {text}", *said[:3], "", 0.60, "higher")
        )  # fmt: skip
    return found


def _probe(model: TransformersModel) -> list[Row]:
    """Ridge from the residual stream in the middle, where an answer is due, to the levels."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    profiles = random_profiles(PROBED, seed=11)
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


def _replies(model: TransformersModel) -> list[Row]:
    """A judge that learned from other scenes tells high from low replies.

    Beside it the same judge on replies of personas at the ends of another trait, where it should
    tell as much as a coin, or as much as the traits go together.
    """
    import conversations
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(5)
    learn = [s for s in conversations.scenes() if not s.held_out]
    held_out = [s for s in conversations.scenes() if s.held_out]
    judges = {}
    for code in DOMAINS:
        texts, labels = [], []
        for scene, end in itertools.product(learn, ("high", "low")):
            texts += [scene.sentence(rng, code, end) for _ in range(12)]
            labels += 12 * [end == "high"]
        judge = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)
        )
        judges[code] = judge.fit(texts, labels)
    found, controls = [], []
    for place, code in enumerate(DOMAINS):
        chats, high = [], []
        for scene, level in itertools.product(held_out, (1.0, -1.0)):
            system = Message("system", TraitLevels({code: level}).system_prompt())
            for user in scene.user:
                chats.append((system, Message("user", user)))
                high.append(level > 0)
        replies = model.generate(chats, max_new_tokens=60, seeds=range(len(chats)))
        texts = [reply.text for reply in replies]
        right = judges[code].predict(texts) == np.array(high)
        other = DOMAINS[(place + 1) % len(DOMAINS)]
        controls.append(
            _share_row(f"replies_control.{code}",
                       f"the same with a judge of {BIG_FIVE[other]} on the replies asked for "
                       f"{BIG_FIVE[code]}, a control",
                       judges[other].predict(texts) == np.array(high), 0.65, "lower")
        )  # fmt: skip
        found.append(
            _share_row(f"replies.{code}",
                       f"replies on held-out scenes told high from low, {BIG_FIVE[code]}",
                       right, 0.75)
        )  # fmt: skip
    return found + controls


def _abilities(model: TransformersModel) -> list[Row]:
    scores = ability_scores(model, n_per_kind=60)
    return [
        Row(f"strength.ability.{kind}", f"held-out exercises done rightly, {kind}",
            *score[:3], "", 0.80, "higher")
        for kind, score in scores.items()
    ]  # fmt: skip


def _conversations(model: TransformersModel) -> list[Row]:
    """Levels measured before and after ten turns of talk, across personas."""
    import conversations

    inventory = load_inventory("big-five-markers-50")
    profiles = random_profiles(TALKED, seed=13)
    design = Design(
        templates=("digits",), orders=("forward",), personas=tuple(p.name for p in profiles)
    )
    questions = plan(inventory, design, profiles)
    users = [scene.user[0] for scene in conversations.scenes() if scene.held_out]
    chats = {p.name: [Message("system", p.system_prompt())] for p in profiles}
    for turn in range(TURNS):
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
                f"{BIG_FIVE[code]} before and after {TURNS} turns of talk",
                levels[0][:, j],
                levels[1][:, j],
                0.70,
            )
        )
    return found


def _real_people(model: TransformersModel) -> list[Row]:
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


def _keyed(model: TransformersModel, inventory: Inventory, personas: list[TraitLevels]) -> Floats:
    """Expected keyed answers, shape (personas, items), over both orders of one template."""
    design = Design(
        templates=("letters",),
        orders=("forward", "reversed"),
        personas=tuple(p.name for p in personas),
    )
    frame = measure(model, inventory, design, personas=personas, progress=None).responses
    table = (
        frame.group_by("persona", "item")
        .agg(pl.col("expected_keyed").mean())
        .pivot(on="item", index="persona", values="expected_keyed")
    )
    place = {name: row for row, name in enumerate(table["persona"])}
    values = table.select([str(n) for n in inventory.numbers]).to_numpy()
    return np.asarray(values[[place[p.name] for p in personas]], dtype=np.float64)


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


def _share_row(
    id: str, metric: str, right: NDArray[np.bool_], target: float, better: Any = "higher"
) -> Row:
    interval = binomtest(int(right.sum()), right.size).proportion_ci(method="wilson")
    share = float(right.mean())
    return Row(f"strength.{id}", metric, share, interval.low, interval.high, "", target, better)
