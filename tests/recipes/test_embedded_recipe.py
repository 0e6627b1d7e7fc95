"""The recipe of the embedded model shows in training what is asked in measuring."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from allport.administration import Design, plan
from allport.inventories import load_inventory
from allport.models.loading import EMBEDDED
from allport.personas import Person, TraitLevels

RECIPE = Path(__file__).parents[2] / "recipes" / "embedded"
SEEDS = range(90)
TEMPLATES = ("letters", "digits", "words", "first-person", "second-person", "options-after")
STAGES = (1e6, 6e6, 3e7)
"""Tokens of a whole training."""


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """The modules of the recipe, which import each other as scripts in one folder do."""
    names = (
        "people",
        "packing",
        "speakers",
        "questionnaires",
        "conversations",
        "sequences",
        "train_tokenizer",
        "train",
    )
    before = {name: sys.modules.pop(name, None) for name in names}
    sys.path.insert(0, str(RECIPE))
    try:
        yield SimpleNamespace(**{name: __import__(name) for name in names})
    finally:
        sys.path.remove(str(RECIPE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture(scope="module")
def folder(recipe: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer's folder, made by the recipe as every training run makes it."""
    made = tmp_path_factory.mktemp("tokenizer")
    recipe.train_tokenizer.main(made)
    return made


@pytest.fixture(scope="module")
def maker(recipe: SimpleNamespace, folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return recipe.sequences.SequenceMaker(tokenizer, recipe.people.item_bank())


@pytest.fixture(scope="module")
def drawn(maker: Any) -> list[Any]:
    return [maker.draw(seed, stage) for stage in STAGES for seed in SEEDS]


def test_a_shorter_training_passes_through_every_stage_and_a_longer_one_is_no_slower(
    recipe: SimpleNamespace,
) -> None:
    stage, whole = recipe.sequences.stage, recipe.sequences.WHOLE
    assert whole > recipe.sequences.ROUNDING
    for budget in (1e4, 3e7, whole, 2 * whole):
        assert stage(0, budget) == 0
        assert stage(budget, budget) == pytest.approx(max(budget, whole))
    assert stage(5e6, whole) == stage(5e6, 2 * whole) == 5e6
    assert stage(5e6, whole / 2) == 1e7


@pytest.mark.parametrize("options", [2, 4, 5])
@pytest.mark.parametrize("spread", [0.45, 0.65, 0.75])
def test_answer_distributions_sum_to_one_and_have_the_mean_asked_for(
    recipe: SimpleNamespace, options: int, spread: float
) -> None:
    means = np.linspace(1, 5, 41)
    found = recipe.people.answer_distribution(means, options, spread)
    assert found.shape == (41, options)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    # Centres of the steps that the options cut the scale into.
    centres = 0.5 + 5 / options * (np.arange(options) + 0.5)
    middle = recipe.people.answer_distribution(3.0, options, spread) @ centres
    assert middle == pytest.approx(3.0, abs=1e-12)
    assert (np.diff(found @ centres) > 0).all()
    # Reversing an answer reverses its distribution.
    np.testing.assert_allclose(
        recipe.people.answer_distribution(6 - means, options, spread), found[:, ::-1], atol=1e-12
    )
    if options == 5:
        inside = (means >= 2.5) & (means <= 3.5)
        np.testing.assert_allclose((found @ centres)[inside], means[inside], atol=0.02)


def test_literal_answers_follow_the_key(recipe: SimpleNamespace) -> None:
    people, bank = recipe.people, recipe.people.item_bank()
    high = people.literal_means(bank, np.full(5, 1.0), None)
    low = people.literal_means(bank, np.full(5, -1.0), None)
    assert set(bank.keys) == {1.0, -1.0}
    assert (np.sign(high - low) == bank.keys).all()
    np.testing.assert_allclose(np.where(bank.keys > 0, high - low, low - high), 2 * bank.loadings)
    agreeing = people.literal_means(bank, np.full(5, 1.0), None, acquiescence=0.3)
    np.testing.assert_allclose(agreeing - high, 0.3)


def test_facets_move_their_own_items_only(recipe: SimpleNamespace) -> None:
    people, bank = recipe.people, recipe.people.item_bank()
    facets = np.zeros(30)
    facets[people.FACETS.index("C3")] = 1.0
    moved = people.literal_means(bank, np.zeros(5), facets) != people.literal_means(
        bank, np.zeros(5), np.zeros(30)
    )
    assert {bank.items[i].facet for i in np.flatnonzero(moved)} == {"C3"}
    assert moved[: bank.shipped].sum() == 10


def test_the_bank_holds_every_shipped_item_once(recipe: SimpleNamespace) -> None:
    bank = recipe.people.item_bank()
    texts = [item.text for item in bank.items]
    assert len(texts) == len(set(texts)) > 300
    otherwise = set()
    for name in ("ipip-neo-300", "ipip-neo-120", "big-five-markers-50", "mini-ipip-20"):
        for item in load_inventory(name).items:
            known = bank.items[texts.index(item.text)]
            assert known.key == item.key, item.text
            if known.trait != item.trait:
                otherwise.add(item.text)
    # Two texts speak for another trait in the shorter inventories than in the IPIP-NEO.
    assert otherwise == {"Feel others' emotions.", "Am not really interested in others."}
    published = recipe.people.published_facet_means()
    assert ((published > 1.5) & (published < 4.5)).all()
    # Nothing is made up of how the items of a facet differ.
    of_facets = bank.facets >= 0
    np.testing.assert_array_equal(bank.means[of_facets], published[bank.facets[of_facets]])


def test_simulated_people_have_the_correlations_stated(recipe: SimpleNamespace) -> None:
    people = recipe.people
    rng = np.random.default_rng(3)
    domains = np.array([people.sample_domains(rng) for _ in range(4000)])
    np.testing.assert_allclose(np.corrcoef(domains.T), people.DOMAIN_CORRELATIONS, atol=0.06)
    facets = np.array([people.sample_facets(rng, row) for row in domains])
    np.testing.assert_allclose(facets.std(axis=0), 1, atol=0.06)
    shared = [np.corrcoef(facets[:, f], domains[:, f // 6])[0, 1] ** 2 for f in range(30)]
    np.testing.assert_allclose(shared, people.FACET_DOMAIN_SHARE, atol=0.06)


def test_the_same_seed_draws_the_same_sequence(maker: Any) -> None:
    assert maker.draw(5, 2e7) == maker.draw(5, 2e7)
    assert maker.draw(5, 2e7) != maker.draw(6, 2e7)


def test_branches_go_on_from_the_prefix(drawn: list[Any]) -> None:
    for sequence in drawn:
        branch = np.array(sequence.branch)
        positions = np.array(sequence.positions)
        prefix = int((branch == 0).sum())
        assert (np.diff(branch) >= 0).all()
        assert (positions[:prefix] == np.arange(prefix)).all()
        # A talk may have no branches; whatever else is asked branches off.
        assert branch.max() >= 2 or branch.max() == 0
        for number in range(1, branch.max() + 1):
            own = positions[branch == number]
            assert (own == prefix + np.arange(own.size)).all()


def test_targets_are_distributions_over_tokens(drawn: list[Any]) -> None:
    for sequence in drawn:
        assert sequence.targets
        for position, tokens, probabilities in sequence.targets:
            assert 0 <= position < len(sequence.tokens)
            assert len(tokens) == len(set(tokens)) == len(probabilities) <= 8
            assert sum(probabilities) == pytest.approx(1)
            assert min(probabilities) >= 0
        # What a branch writes next is among what was to be expected.
        for position, tokens, _ in sequence.targets:
            branch, after = sequence.branch[position], position + 1
            if branch and after < len(sequence.tokens) and sequence.branch[after] == branch:
                assert sequence.tokens[after] in tokens


def test_training_grows_harder(maker: Any, drawn: list[Any]) -> None:
    def longest(stage: float) -> int:
        return max(len(maker.draw(seed, stage).tokens) for seed in SEEDS)

    assert longest(1e6) < longest(3e7)
    early = {len(targets[1]) for s in drawn[: len(SEEDS)] for targets in s.targets}
    assert max(early) <= 5  # one response scale at first, of five answers


def prompt_of(sequence: Any, branch: int, end_of_turn: int) -> tuple[list[int], list[int]]:
    """What one branch shows: the tokens up to where the answer begins, and the answer."""
    own = [t for t, b in zip(sequence.tokens, sequence.branch, strict=True) if b == branch]
    prefix = [t for t, b in zip(sequence.tokens, sequence.branch, strict=True) if b == 0]
    start = len(own) - own[::-1].index(end_of_turn)
    return prefix + own[:start], own[start:]


class Said:
    """A persona of a given system prompt."""

    name = "said"

    def __init__(self, text: str) -> None:
        self._text = text

    def system_prompt(self) -> str:
        return self._text


@pytest.fixture(scope="module")
def asked_texts(recipe: SimpleNamespace) -> dict[str, Any]:
    """Every question that can be asked of any shipped item on any scale, by the user's turn."""
    design = Design(
        templates=TEMPLATES,
        orders=("forward", "reversed"),
    )
    found = {}
    for name, texts in itertools.product(recipe.people.SHIPPED, recipe.questionnaires.SCALES):
        scale = [{"text": text, "value": value} for value, text in enumerate(texts, start=1)]
        inventory = load_inventory(name).model_copy(update={"scale": scale})
        # Some statements of the training name the answer to choose.
        told = [
            inventory.items[place].model_copy(update={"text": f"Choose this answer: {text}."})
            for place, text in enumerate(texts)
        ]
        for asked in (inventory, inventory.model_copy(update={"items": told})):
            for question in plan(asked, design):
                found[question.messages[-1].content] = question
    return found


def test_a_branch_shows_what_measuring_asks_token_for_token(
    recipe: SimpleNamespace, folder: Path, drawn: list[Any], asked_texts: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    from allport.models.chat_rendering import ChatRenderer
    from allport.models.label_tokens import LabelTokenizer
    from allport.models.prompt_tokens import PromptTokenizer
    from allport.models.respondent import Message

    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = ChatRenderer(tokenizer)
    cut = PromptTokenizer(tokenizer, begins=chat.template is None)
    reader = LabelTokenizer(tokenizer)
    assert chat.takes_system
    assistant = tokenizer.convert_tokens_to_ids(recipe.packing.ASSISTANT)
    end = tokenizer.convert_tokens_to_ids(recipe.packing.END)
    kinds, with_system = set(), set()
    for sequence in drawn:
        for branch in range(1, max(sequence.branch) + 1):
            shown, answer = prompt_of(sequence, branch, assistant)
            *turns, rest = tokenizer.decode(shown).split("<|")[1:]
            assert rest == "assistant|>"
            messages = [
                Message(*part.split("|>", 1))  # type: ignore[arg-type]  # a role that was written
                for part in turns
                if part != "end|>"
            ]
            (pieces,) = cut.pieces([chat.render(tuple(messages))])
            assert pieces.tokens().tolist() == shown
            question = asked_texts.get(messages[-1].content)
            if question is None:
                continue  # another wording, an exercise or a situation
            labels = reader.after(
                chat.render(tuple(messages)), pieces.last_text, shown[-1], question.labels
            )
            # The answer goes on with one of the labels, cut as the engine reads it.
            assert any((*answer,) in (way, (*way, end)) for ways in labels.variants for way in ways)
            kinds.add((question.condition.template, question.condition.order))
            own = messages[0].content != recipe.speakers.DEFAULT_SYSTEM
            with_system.add(own)
            if not own:  # a chat without a system text is asked the same
                assert chat.render(tuple(messages[1:])) == chat.render(tuple(messages))
    assert kinds == set(itertools.product(TEMPLATES, ("forward", "reversed")))
    assert with_system == {True, False}


def test_every_label_of_a_question_is_a_target(
    recipe: SimpleNamespace, folder: Path, drawn: list[Any]
) -> None:
    """The first target of a branch holds the first token of every label, and nothing else."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assistant = tokenizer.convert_tokens_to_ids(recipe.packing.ASSISTANT)
    questionnaires = 0
    for sequence in drawn:
        firsts = {
            sequence.branch[position]: tokens
            for position, tokens, _ in sequence.targets
            if sequence.tokens[position] == assistant and sequence.branch[position]
        }
        assert set(firsts) == set(range(1, max(sequence.branch) + 1))
        if any(len(tokens) > 1 for tokens in firsts.values()):
            assert len({tuple(sorted(tokens)) for tokens in firsts.values()}) == 1
            questionnaires += 1
    assert questionnaires > 100


def test_what_is_held_out_is_never_shown(recipe: SimpleNamespace, folder: Path, maker: Any) -> None:
    from allport.evaluation.abilities import exercises

    held_out = [s for s in recipe.conversations.scenes() if s.held_out]
    trained_on = [s for s in recipe.conversations.scenes() if not s.held_out]
    assert 5 <= len(held_out) < len(trained_on)
    kept = {text for text, forms in recipe.questionnaires.paraphrases().items() if not forms}
    assert 0.1 < len(kept) / len(recipe.questionnaires.paraphrases()) < 0.3
    trained = {form for forms in recipe.questionnaires.paraphrases().values() for form in forms}
    trained |= {item.text for item in maker.bank.items}
    unseen = recipe.questionnaires.unseen_wordings()
    assert len(unseen) > 100
    assert not trained.intersection(unseen.values())
    assert all(recipe.questionnaires.paraphrases()[text] for text in unseen)
    held_out_forms = {f for t in kept for f in recipe.questionnaires.every_paraphrase()[t]}
    assert not trained & held_out_forms
    texts = [maker.ids.tokenizer.decode(maker.draw(n, 3e7).tokens) for n in range(300)]
    shown = " ".join(texts)
    assert any(user in shown for scene in trained_on for user in scene.user)
    assert not any(user in shown for scene in held_out for user in scene.user)
    for kind in ("sums", "facts", "yes-no"):
        assert any(e.question in shown for e in exercises(kind) if not e.held_out)
        # "What is 1 plus 1" also begins "What is 1 plus 12"; the question mark tells them apart.
        assert not any(e.question in shown for e in exercises(kind) if e.held_out)


def test_replies_show_the_speaker(recipe: SimpleNamespace) -> None:
    rng = np.random.default_rng(4)
    speakers, scene = recipe.speakers, recipe.conversations.scenes()[0]
    sentences = recipe.conversations.reply_sentences()
    domains = np.array([0.0, 2.0, 0.0, 0.0, 0.0])
    loud = speakers.Speaker(domains, np.zeros(3), None, "", 0.45, ("E",))
    said = " ".join(scene.reply(rng, loud) for _ in range(60))
    filled = {
        end: [
            t.format(event=scene.event, thing=scene.thing, who=scene.who, act=scene.act)
            for t in sentences["E"][end]
        ]
        for end in ("high", "low")
    }
    assert sum(said.count(t) for t in filled["high"]) > 30
    assert sum(said.count(t) for t in filled["low"]) < 3


def test_personas_are_said_as_the_package_says_them(
    recipe: SimpleNamespace, folder: Path, drawn: list[Any]
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    start = tokenizer.convert_tokens_to_ids(recipe.packing.SYSTEM)
    end = tokenizer.convert_tokens_to_ids(recipe.packing.END)
    inventory = load_inventory("ipip-neo-300")
    numbers = {(item.text or "").rstrip("."): item.number for item in inventory.items}
    values = {option.text: option.value for option in inventory.scale}
    lists = adjectives = 0
    other = {form for forms in recipe.questionnaires.paraphrases().values() for form in forms}
    other |= {item.text for item in recipe.people.written_statements()}
    paragraphs = 0
    for sequence in drawn:
        if sequence.tokens[0] != start:
            continue
        tokens = sequence.tokens[1 : sequence.tokens.index(end)]
        text = tokenizer.decode(tokens)
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == tokens
        if text.startswith("You are a person who described yourself"):
            said = [line.rsplit(": ", 1) for line in text.split("\n")[1:]]
            if any(item + "." in other for item, _ in said):
                continue
            answers = {numbers[item]: values[answer] for item, answer in said}
            assert Person("p", inventory, answers).system_prompt() == text
            lists += 1
        elif text.startswith("This is what you are like."):
            paragraphs += 1
        elif text != recipe.speakers.DEFAULT_SYSTEM:
            opening = TraitLevels({"E": 1.0}).system_prompt()
            assert text.startswith(opening[: opening.index("extremely")])
            assert text.endswith(". Answer as this person.")
            adjectives += 1
    assert lists > 1
    assert paragraphs > 1
    assert adjectives > 20


def small_model(maker: Any, layers: int) -> Any:
    """A model of random weights for the recipe's tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=maker.ids.tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    return LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()


def test_a_packed_sequence_gives_the_logits_of_its_branches_asked_alone(
    recipe: SimpleNamespace, folder: Path, maker: Any
) -> None:
    import torch

    model = small_model(maker, layers=2)
    batch = [maker.draw(seed, 3e7) for seed in (1, 2, 3)]
    for sequence in batch:
        sequence.summary = 0
    collated = recipe.train.collate(batch)
    assert collated["ids"].shape[1] == 8
    assert collated["probabilities"].sum(dim=1).numpy() == pytest.approx(1)
    with torch.inference_mode():
        packed = model(
            input_ids=collated["tokens"],
            attention_mask=collated["mask"].float(),
            position_ids=collated["positions"],
        ).logits
        for row, sequence in enumerate(batch):
            for branch in (1, max(sequence.branch)):
                kept = [i for i, b in enumerate(sequence.branch) if b in (0, branch)]
                alone = model(input_ids=torch.tensor([[sequence.tokens[i] for i in kept]])).logits
                torch.testing.assert_close(packed[row, kept], alone[0], rtol=1e-4, atol=1e-4)


def test_of_a_summarised_persona_only_the_last_token_is_seen(
    recipe: SimpleNamespace, maker: Any
) -> None:
    batch = [s for seed in range(20) if (s := maker.draw(seed, 2.5e7)).summary]
    assert 3 < len(batch) < 18
    assert not any(maker.draw(seed, 1e7).summary for seed in range(20))
    end = maker.ids.tokenizer.token_to_id("<|end|>")
    seen = recipe.train.collate(batch)["mask"][:, 0] == 0
    for row, sequence in enumerate(batch):
        at = sequence.summary
        assert sequence.tokens[at] == end
        assert not seen[row, at + 1 :, :at].any()
        assert seen[row, at + 1 : len(sequence.tokens), at].all()
        assert seen[row, at, : at + 1].all()


def test_levels_are_read_where_they_are_known(recipe: SimpleNamespace, maker: Any) -> None:
    tokenizer = maker.ids.tokenizer
    line, end = (maker.ids(text)[-1] for text in ("x\n", "<|end|>"))
    lists = [s for seed in range(60) if len((s := maker.draw(seed, 3.5e7)).known["line"]) > 1]
    assert lists
    for sequence in lists:
        known = sequence.known
        statements = [at for at, _ in known["statement"] if at < known["list"][-1][0]]
        assert all(tokenizer.decode([sequence.tokens[at]]).endswith(":") for at in statements)
        assert {sequence.tokens[at] for at, _ in known["line"]} == {line}
        at, levels = known["list"][-1]
        assert sequence.tokens[at] == end
        assert levels.shape == (recipe.people.N_LEVELS,)
        assert [at for at, _ in known["list"][:-1]] == [at for at, _ in known["line"]]
        # The first line is all that is known so far.
        np.testing.assert_allclose(known["list"][0][1], known["line"][0][1])
        # What an answer speaks for lies on the line of what agreeing with the statement does.
        text = tokenizer.decode(sequence.tokens[:at], skip_special_tokens=False)
        assert text.count("ccurate\n") == len(known["line"])  # the last line ends the turn
        for (said, agreeing), (answered, spoken_for) in zip(
            known["statement"], known["line"], strict=False
        ):
            assert said < answered
            alike = agreeing @ spoken_for / np.linalg.norm(agreeing) / np.linalg.norm(spoken_for)
            # At odds, an answer says less of other traits than it does of most people.
            assert abs(alike) > 0.7
    others = [maker.draw(seed, 3e6) for seed in range(20)]
    assert any(s.known["person"] for s in others)
    assert all(len(s.known["person"]) <= 1 for s in others)


def test_where_an_answer_is_due_the_levels_of_whoever_answers_are_read(maker: Any) -> None:
    due = maker.ids("<|assistant|>")[-1]
    kinds = set()
    for seed in range(80):
        sequence = maker.draw(seed, 6e7)
        read = sequence.known["speaker"]
        if sequence.speaker is None:
            assert not read
            continue
        kinds.add(len(sequence.known["line"]) > 1)
        assert read
        assert {sequence.tokens[at] for at, _ in read} == {due}
        assert all(levels is sequence.speaker for _, levels in read)
        assert [at for at, _ in read] == [n for n, t in enumerate(sequence.tokens) if t == due]
        if sequence.known["line"]:
            np.testing.assert_array_equal(sequence.speaker, sequence.known["list"][-1][1])
    assert kinds == {True, False}


def test_of_a_question_is_read_what_its_statement_and_its_options_speak_for(
    recipe: SimpleNamespace, maker: Any
) -> None:
    bank, decode = recipe.people.item_bank(), maker.ids.tokenizer.decode
    places = {item.text: n for n, item in enumerate(bank.items)}
    asked = options = 0
    toward: list[float] = []
    odds: list[float] = []
    for seed in range(120):
        sequence = maker.draw(seed, 6e7)
        if sequence.known["line"]:
            continue
        for at, levels in sequence.known["statement"]:
            before = decode(sequence.tokens[max(0, at - 25) : at + 1])
            ends = [text for text in places if before.endswith(text.rstrip("."))]
            if ends:
                asked += 1
                item = places[max(ends, key=len)]
                expected = recipe.people.levels_known_from(bank, [item], [5])[0]
                np.testing.assert_allclose(levels, expected)
        for at, levels in sequence.known["option"]:
            before = decode(sequence.tokens[max(0, at - 60) : at + 1])
            taken = [
                (item, option)
                for item in recipe.conversations.situations()
                for option in item.options
                if before.endswith(option.text.rstrip("."))
            ]
            assert taken
            item, option = taken[0]
            place = (*"NEOAC", *30 * [""], "Mach", "Narc", "Psych").index(item.trait)
            assert np.argmax(np.abs(levels)) == place
            assert np.sign(levels[place]) == (1 if option.value else -1)
            options += 1
            toward.append(sequence.speaker[place] * levels[place])
        odds += [float(figures[0]) for _, figures in sequence.known["taken"]]
        ends = [at for at, _ in sequence.known["option"]]
        assert [at for at, _ in sequence.known["taken"]] == ends
        assert [at for at, _ in sequence.known["place"]] == ends
        at_place = np.array([one for _, one in sequence.known["place"]]).reshape(-1, 4, 4)
        shown = np.argsort(np.argsort(np.array(ends).reshape(-1, 4), axis=1), axis=1)
        np.testing.assert_array_equal(at_place.argmax(axis=2), shown)
        agreed = [at for at, _ in sequence.known["agreed"]]
        assert agreed == [at for at, _ in sequence.known["statement"]]
    # Options that speak for what somebody is like are those that they take.
    assert np.corrcoef(toward, odds)[0, 1] > 0.5
    assert asked > 100
    assert options > 40


def test_exercises_of_every_kind_are_trained_on(recipe: SimpleNamespace) -> None:
    from allport.evaluation.abilities import exercise_kinds

    shares = recipe.conversations.EXERCISE_SHARES
    assert set(shares) == set(exercise_kinds())
    assert sum(shares.values()) == pytest.approx(1)


def test_of_exercises_of_recall_is_known_what_is_where(recipe: SimpleNamespace, maker: Any) -> None:
    decode, conversations = maker.ids.tokenizer.decode, recipe.conversations
    things, places = conversations._things_and_places()
    assert (len(things), len(places)) == (recipe.packing.THINGS, recipe.packing.PLACES)
    sequence = recipe.packing.TrainingSequence()
    sequence.extend(maker.ids("Answer as yourself."))
    maker.conversations.practise(np.random.default_rng(1), sequence, 40)
    told = [
        (decode(sequence.tokens[at - 12 : at + 1]), things[int(figures.argmax())])
        for at, figures in sequence.known["thing"]
    ]
    assert len(told) > 10
    for before, thing in told:
        last = before[before.rindex("The ") :]
        assert last.startswith(f"The {thing} is ")
        assert last.removeprefix(f"The {thing} is ") in places
    assert len(sequence.known["whereabouts"]) > 4
    for at, figures in sequence.known["whereabouts"]:
        branch = sequence.branch[at]
        before = [
            t
            for t, b in zip(sequence.tokens[: at + 1], sequence.branch, strict=False)
            if b == branch
        ]
        question = decode(before)
        thing = question.split()[-1]
        assert question.endswith(f"Where is the {thing}")
        assert f"{thing} is {places[int(figures.argmax())]}." in question


@pytest.mark.parametrize("at_odds", [False, True])
def test_what_answers_say_of_a_person_is_what_such_people_are_like(
    recipe: SimpleNamespace, at_odds: bool
) -> None:
    people, rng = recipe.people, np.random.default_rng(3)
    bank = people.item_bank()
    known, true = [], []
    for _ in range(300):
        speaker = recipe.speakers.person(rng, at_odds=at_odds)
        means = people.literal_means(bank, speaker.domains, speaker.facets)
        items = rng.permutation(300)[:60]
        chances = people.answer_distribution(means[items], 5, people.LIST_SPREAD)
        answers = [int(rng.choice(5, p=p)) + 1 for p in chances]
        known.append(people.levels_known_from(bank, items, answers, at_odds=at_odds)[-1])
        true.append(speaker.levels)
    found, levels = np.array(known), np.array(true)
    correlations = [np.corrcoef(found[:, j], levels[:, j])[0, 1] for j in range(35)]
    assert min(correlations) > 0.65
    assert np.mean(correlations[:5]) > 0.85
    # An expectation: regressing what is true on it gives a slope of one, and somewhat more as no
    # answer goes beyond the ends of the scale.
    slope = (found * levels).sum() / (found**2).sum()
    assert 1.0 < slope < 1.25


def test_one_answer_speaks_for_its_own_facet_most(recipe: SimpleNamespace) -> None:
    bank = recipe.people.item_bank()
    for item in (0, 7, 100):
        high, low = (recipe.people.levels_known_from(bank, [item], [a])[0] for a in (5, 1))
        facet = 5 + bank.facets[item]
        assert np.argmax(np.abs(high)) == facet
        assert np.sign(high[facet]) == bank.keys[item] == -np.sign(low[facet])
        assert np.abs(high[5:]).max() > np.abs(high[:5]).max() > 0


def described(maker: Any, answers: list[int]) -> Any:
    """A sequence that describes answers, 1 to 5, to the first items of the bank."""
    questionnaires = maker.questionnaires
    listed = np.arange(len(answers))

    class Chosen:
        """Draws what it is told."""

        def __init__(self) -> None:
            self.left = [answer - 1 for answer in answers]

        def choice(self, *_: Any, **__: Any) -> int:
            return self.left.pop(0)

        def random(self) -> float:
            return 0.5

    sequence = type(maker.draw(1, 1e6))()
    questionnaires.describe_answers(Chosen(), sequence, np.full(len(maker.bank.items), 3.0), listed)
    return sequence


def test_of_a_description_is_known_what_it_shows(recipe: SimpleNamespace, maker: Any) -> None:
    sequence = described(maker, [5, 3, 1, 3])
    text = maker.ids.tokenizer.decode(sequence.tokens)
    assert len(text.split("\n")) == 4
    expected = recipe.people.levels_known_from(maker.bank, [0, 2], [5, 1])[-1]
    np.testing.assert_array_equal(sequence.speaker, expected)
    np.testing.assert_array_equal(sequence.known["list"][0][1], expected)


def test_of_a_description_that_shows_nothing_nothing_is_known(
    recipe: SimpleNamespace, maker: Any
) -> None:
    sequence = described(maker, [3, 3, 3])
    text = maker.ids.tokenizer.decode(sequence.tokens)
    assert text == "This is what you are like.\nAnswer as this person."
    np.testing.assert_array_equal(sequence.speaker, np.zeros(recipe.people.N_LEVELS))


def test_readings_are_of_the_layer_and_the_place_they_are_for(
    recipe: SimpleNamespace, maker: Any
) -> None:
    import torch

    trained = recipe.train.Trained(small_model(maker, layers=7))
    sequence = next(
        s for seed in range(60) if 3 < len((s := maker.draw(seed, 3.5e7)).known["line"]) < 30
    )
    sequence.summary = 0
    batch = recipe.train.collate([sequence])
    with torch.inference_mode():
        missed = float(trained.losses(batch)[2])
        hidden = trained.model(
            input_ids=batch["tokens"],
            attention_mask=batch["mask"].float(),
            position_ids=batch["positions"],
            output_hidden_states=True,
        ).hidden_states
        expected = 0.0
        for kind, layer in recipe.train.READ_AFTER.items():
            squares = []
            for at, levels in sequence.known[kind]:
                state = hidden[layer][0, at]
                state = state / (state.square().mean() + 1e-7).sqrt()
                read = trained.readings[kind](state).numpy()
                squares.append(((read - levels) ** 2).mean())
            expected += float(np.mean(squares)) if squares else 0.0
    assert missed == pytest.approx(expected, rel=0.02)  # in bfloat16


def test_targets_are_placed_where_their_sequence_stands(
    recipe: SimpleNamespace, maker: Any
) -> None:
    batch = [maker.draw(seed, 0.6) for seed in (4, 5)]
    collated = recipe.train.collate(batch)
    length = collated["tokens"].shape[1]
    assert length == max(len(sequence.tokens) for sequence in batch)
    expected = [
        row * length + position
        for row, sequence in enumerate(batch)
        for position, _, _ in sequence.targets
    ]
    assert collated["flat"].tolist() == expected


def test_a_step_holds_its_budget_of_tokens_in_groups_of_like_length(
    recipe: SimpleNamespace, maker: Any
) -> None:
    step = recipe.train.drawn(maker, 11_000, 2e7)
    groups = recipe.train.batches(step)
    total = sum(int((group["positions"] > 0).sum()) for group in groups)
    assert total > 0.9 * recipe.train.BATCH_TOKENS
    for group in groups:
        lengths = (group["positions"] > 0).sum(dim=1)
        assert lengths.max() <= 1.4 * lengths.min()


def test_processes_share_a_step_without_gaps_or_repeats(
    recipe: SimpleNamespace, maker: Any
) -> None:
    step = recipe.train.drawn(maker, 12_000, 2e7)
    shares = [recipe.train.share_of(step, rank, 2) for rank in range(2)]
    assert sorted(id(s) for share in shares for s in share) == sorted(id(s) for s in step)
    assert recipe.train.share_of(step, 0, 1) == step
    work = [sum(len(s.tokens) for s in share) for share in shares]
    assert abs(work[0] - work[1]) <= max(len(s.tokens) for s in step)


def test_the_same_prefix_tokens_are_predicted_in_any_number_of_processes(
    recipe: SimpleNamespace, maker: Any
) -> None:
    step = recipe.train.drawn(maker, 12_000, 2e7)

    def predicted(processes: int) -> list[tuple[int, int]]:
        """Of each predicted token its sequence and its place there."""
        found = []
        for rank in range(processes):
            share = recipe.train.share_of(step, rank, processes)
            for batch in recipe.train.batches(share):
                count, length = batch["tokens"].shape
                here, share = share[:count], share[count:]
                found += [
                    (here[flat // length].seed, flat % length) for flat in batch["prefix"].tolist()
                ]
        return sorted(found)

    alone = predicted(1)
    assert predicted(2) == predicted(3) == alone
    # About the share asked for, of every sequence another.
    prefix = {s.seed: s.branch.count(0) for s in step}
    assert len(alone) == pytest.approx(recipe.train.PREFIX_SHARE * sum(prefix.values()), rel=0.2)
    assert {seed for seed, _ in alone} == set(prefix)
    assert all(at < prefix[seed] - 1 for seed, at in alone)
    places = [{at for one, at in alone if one == seed} for seed in prefix]
    assert places[0] != places[1]


def test_the_learning_rate_rises_stays_and_falls(recipe: SimpleNamespace) -> None:
    train = recipe.train
    assert train.rate(0.0, 2e7) < 0.02 * train.PEAK_RATE
    assert train.rate(train.WARM_UP, 2e7) == pytest.approx(train.PEAK_RATE)
    # The plateau does not know how long the training is to be.
    assert train.rate(1e7, 2e7) == train.rate(1e7, 4e7) == train.PEAK_RATE
    assert train.rate(2e7, 2e7) == pytest.approx(0.01 * train.PEAK_RATE)
    later = [train.rate(seen, 2e7) for seen in np.linspace(1.5e7, 2e7, 20)]
    assert later == sorted(later, reverse=True)


def test_the_weights_that_ship_fit_into_the_package() -> None:
    weights = list(EMBEDDED.glob("*.safetensors"))
    if not weights:
        pytest.skip("the embedded model has not been trained into this checkout")
    assert sum(file.stat().st_size for file in weights) <= 25_000_000


def test_the_tokenizer_that_ships_is_the_one_the_recipe_makes(
    recipe: SimpleNamespace, folder: Path
) -> None:
    if not (EMBEDDED / "tokenizer.json").is_file():
        pytest.skip("the embedded model has not been trained into this checkout")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (EMBEDDED / name).read_bytes() == (folder / name).read_bytes()
