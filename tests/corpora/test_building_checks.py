from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from allport.corpora.building_checks import (
    Candidate,
    check_paraphrase,
    check_rules,
    english_share,
    mark_repeats,
)
from allport.corpora.building_judges import agreed
from allport.corpora.building_words import near_duplicates, options_only, tfidf
from allport.inventories import load_inventory
from allport.inventories.inventory import Trait

SOUND = Candidate(
    Trait(code="E", name="Extraversion"),
    "made up",
    "Talks to strangers on trains.",
    situation="My bus to the coast has stopped in a village, and the driver says that we wait for "
    "two hours until another one comes.",
    question="How should I spend the two hours?",
    high=(
        "Go from seat to seat, ask people where they are from and get a game of cards going.",
        "Walk into the village pub with the driver and start a song that everybody there knows.",
    ),
    low=(
        "Take your book to the bench behind the church and read there until the horn calls you.",
        "Put your headphones on, lean your head against the window and let the time go by.",
    ),
    again="We are stuck on the way to the sea: our coach broke down in some hamlet, and it takes "
    "a couple of hours for the next to arrive.",
    question_again="What would you do until then?",
)
LONG = (
    "Take your book to the bench behind the old church on the hill, look for some shade, and read "
    "there until the horn calls you back.",
    "Put your headphones on, lean your head against the cool window, close your eyes for a while "
    "and let the time go by.",
)


def test_a_sound_item_passes_everything() -> None:
    assert set(check_rules(SOUND).values()) == {""}
    assert check_paraphrase(SOUND) == ""


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        ("format", {"question": "How should I spend the two hours."}),
        ("format", {"low": (SOUND.low[0],)}),
        ("format", {"low": (SOUND.high[0].upper(), SOUND.low[0])}),
        ("format", {"high": (f"A. {SOUND.high[0]}", SOUND.high[1])}),
        ("format", {"high": (f"\x07{SOUND.high[0]}", SOUND.high[1])}),
        (
            "format",
            {"situation": "My bus [PLACE] has stopped and we wait for two hours in the rain."},
        ),
        (
            "language",
            {
                "situation": "Mein Bus zur Küste steht in einem Dorf, und der Fahrer sagt, wir "
                "müssen zwei Stunden auf den nächsten warten, weil es einen Schaden gibt.",
            },
        ),
        (
            "language",
            {
                "low": (
                    "Nimm dein Buch, setz dich auf die Bank hinter der Kirche und lies dort lange.",
                    "Setz die Kopfhörer auf, lehne den Kopf ans Fenster und lass die Zeit ziehen.",
                )
            },
        ),
        ("language", {"situation": SOUND.situation.replace("bus", "автобус")}),
        (
            "length",
            {"high": ("Talk to people.", SOUND.high[1]), "low": ("Read your book.", SOUND.low[1])},
        ),
        (
            "length",
            {
                "high": (f"{SOUND.high[0]} {SOUND.high[0]}", SOUND.high[1]),
                "low": (f"{SOUND.low[0]} {SOUND.low[0]}", SOUND.low[1]),
            },
        ),
        ("length", {"situation": "My bus has stopped."}),
        ("balance", {"low": LONG}),
        ("trait words", {"high": (SOUND.high[0].replace("Go", "Be outgoing, go"), SOUND.high[1])}),
        (
            "trait words",
            {"low": (SOUND.low[0], SOUND.low[1].replace("Put", "Like introverts, put"))},
        ),
        ("question", {"question": "Should I talk to the others?"}),
        ("question", {"question": "Don't you think that they should say what comes next?"}),
        (
            "desirability",
            {
                "high": (
                    SOUND.high[0].replace("ask", "wisely ask"),
                    "Be wise and noble, walk into the village pub and start a song that all know.",
                )
            },
        ),
    ],
)
def test_each_rule_finds_its_fault_and_no_other_does(check: str, fault: dict[str, Any]) -> None:
    item = replace(SOUND, **fault)
    verdicts = check_rules(item)
    assert [name for name, why in verdicts.items() if why] == [check]
    assert replace(item, verdicts=verdicts).reason.startswith(f"{check}: ")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"question_again": "Tell me."}, "question mark"),
        ({"again": SOUND.situation}, "repeats the words"),
        ({"again": "Our coach broke down."}, "half"),
        (
            {"again": "Unser Bus steht still, wohl zwei Stunden, irgendwo nahe der Küste, " * 2},
            "English",
        ),
    ],
)
def test_faults_of_a_paraphrase_are_found(fault: dict[str, str], why: str) -> None:
    assert why in check_paraphrase(replace(SOUND, **fault))


def test_items_that_say_nearly_the_same_are_found() -> None:
    near = replace(SOUND, situation=SOUND.situation.replace("village", "hamlet"))
    other = replace(SOUND, situation=SOUND.again, high=LONG, low=("x", "y"))
    marks = mark_repeats([SOUND, other, near])
    assert marks[:2] == ["", ""]
    assert "another item" in marks[2]


def test_a_text_is_compared_with_kept_ones_only() -> None:
    # b repeats a, c repeats b but not a: b falls, and c stays.
    a, b, c = "one two three four five", "one two three four six", "one two seven four six"
    vectors = tfidf([a, b, c]).toarray()
    near = min(vectors[0] @ vectors[1], vectors[1] @ vectors[2])
    assert vectors[0] @ vectors[2] < near
    assert near_duplicates([a, b, c], near) == {1: 0}
    assert near_duplicates(["same"] * 3) == {1: 0, 2: 0}
    assert near_duplicates(["same"]) == near_duplicates(["", ""]) == {}


def shipped() -> tuple[list[list[str]], list[list[str]], list[str]]:
    items = load_inventory("situations-320").items
    sides = [
        [[o.text for o in item.options if o.value == value] for item in items] for value in (1, 0)
    ]
    return sides[0], sides[1], [str(item.cluster) for item in items]


def test_word_vectors_are_those_of_a_library() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    texts = [option for side in shipped()[:2] for options in side for option in options]
    theirs = text.TfidfVectorizer(token_pattern=r"[a-z]+(?:'[a-z]+)?").fit_transform(
        [each.replace("’", "'") for each in texts]
    )
    np.testing.assert_allclose(tfidf(texts).toarray(), theirs.toarray(), atol=1e-12)


def test_the_classifier_is_that_of_a_library() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    bayes = pytest.importorskip("sklearn.naive_bayes")
    high, low, statements = shipped()
    options = [o for h, low_side in zip(high, low, strict=True) for o in (*h, *low_side)]
    counts = text.CountVectorizer(token_pattern=r"[a-z]+(?:'[a-z]+)?").fit_transform(options)
    keys = np.tile([1, 1, 0, 0], len(high))
    groups = np.repeat(statements, 4)
    expected = np.empty(len(high))
    for group in set(statements):
        out = groups == group
        model = bayes.MultinomialNB(fit_prior=False).fit(counts[~out], keys[~out])
        scores = np.diff(model.predict_joint_log_proba(counts[out]), axis=1).reshape(-1, 4)
        gaps = scores[:, :2, None] - scores[:, None, 2:]
        right = np.where(np.abs(gaps) < 1e-9, 0.5, gaps > 0).mean(axis=(1, 2))
        expected[np.array(statements) == group] = right
    estimate, shares = options_only(high, low, statements)
    # The vocabulary of a library here holds words of held-out options too, as ours does.
    np.testing.assert_allclose(shares, expected)
    assert estimate.value == pytest.approx(expected.mean())
    assert estimate.low < estimate.value < estimate.high


def test_words_give_nothing_away_where_sides_are_drawn_by_lot() -> None:
    rng = np.random.default_rng(5)
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)]
    sides = [
        [[" ".join(rng.choice(words, 15)) for _ in range(2)] for _ in range(200)] for _ in range(2)
    ]
    statements = [f"s{n // 5}" for n in range(200)]
    chance = options_only(sides[0], sides[1], statements)[0]
    assert chance.low < 0.5 < chance.high
    # One word that only the high side says is found in every item.
    told = [[f"{option} please" for option in options] for options in sides[0]]
    assert options_only(told, sides[1], statements)[0].value > 0.95


def test_all_judges_agree_or_all_but_one() -> None:
    yes, no = np.array([True]), np.array([False])
    assert agreed([yes])
    assert not agreed([no])
    assert agreed([yes, no])
    assert not agreed([yes, no, no])
    assert agreed([yes, yes, no])


def test_english_is_told_by_its_small_words() -> None:
    assert english_share("I do not know what to say to him") > 0.7
    assert english_share("Ich weiß nicht recht, was das soll") < 0.2
    assert english_share("") == 0
