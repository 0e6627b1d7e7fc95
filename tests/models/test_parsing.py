"""Written answers and the choice that each amounts to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.models.parsing import ParsedAnswer, parse_choice

ACCURACY = (
    "Very Inaccurate",
    "Moderately Inaccurate",
    "Neither Accurate nor Inaccurate",
    "Moderately Accurate",
    "Very Accurate",
)
AGREEMENT = ("Disagree strongly", "Disagree", "Neutral", "Agree", "Agree strongly")
CAPITALS = tuple("ABCDE")
SMALL = tuple("abcde")
DIGITS = tuple("12345")
YES_NO = ("Yes", "No")

REFUSED = "refused"
UNPARSABLE = "unparsable"


def read(
    text: str, labels: tuple[str, ...], options: tuple[str, ...] = ACCURACY
) -> int | str | None:
    answer = parse_choice(text, labels, options)
    assert [answer.choice is not None, answer.refused, answer.unparsable].count(True) == 1
    if answer.choice is not None:
        return answer.choice
    return REFUSED if answer.refused else UNPARSABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", 1),
        ("b", 1),
        (" \n B.", 1),
        ("(b)", 1),
        ("[C]", 2),
        ("'C'", 2),
        ("B)", 1),
        ("**B**", 1),
        ("`B`", 1),
        ("__B__", 1),
        ("\uff22", 1),  # full-width B
        ("Answer: B", 1),
        ("answer is (b).", 1),
        ("ANSWER - E", 4),
        ("The answer is **D**.", 3),
        ('{"answer": "D"}', 3),
        ("<answer>B</answer>", 1),
        ("$\\boxed{E}$", 4),
        ("I would choose option d", 3),
        ("I'd go with C, since it is in the middle", 2),
        ("I\u2019d say E", 4),
        ("Option d fits me", 3),
        ("C is the best", 2),
        ("I think C", 2),
        ("D. I'd say that I am calm", 3),
        ("Statement: I worry. Answer: D", 3),
    ],
)
def test_letters_in_every_dress(text: str, expected: int) -> None:
    assert read(text, CAPITALS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B) Moderately Inaccurate", 1),
        ("C - Neither Accurate nor Inaccurate", 2),
        ("neither accurate nor inaccurate, C", 2),
        ("very accurate.", 4),
        ("VERY INACCURATE", 0),
        ("I would say moderately accurate", 3),
        ("Very Accurate. Moderately Accurate would be too weak.", 4),
        ("I'd say very accurate, not moderately accurate", 4),
    ],
)
def test_option_texts_count_like_labels(text: str, expected: int) -> None:
    assert read(text, CAPITALS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", 0),
        ("a", 0),
        ("A.", 0),
        ("a)", 0),
        ("A because I never worry", 0),
        ("Answer: A", 0),
        ("Answer: A since it fits", 0),
        ("A person like me would often worry", UNPARSABLE),
        ("A bit of both", UNPARSABLE),
        ("Answer: a bit of both", UNPARSABLE),
        ("I have a cat", UNPARSABLE),
        ("That is a hard one. B", 1),
        ("E\n\nExplanation: A bad day", 4),
        ("B. A friend once said so", 1),
    ],
)
def test_the_article_is_no_label(text: str, expected: int | str) -> None:
    assert read(text, CAPITALS) == expected
    assert read(text, SMALL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b", 1),
        ("c) Neither", 2),
        ("option a", 0),
        ("Answer: b", 1),
        ("I think it is (e)", 4),
        ("It is nice, e.g. in spring", UNPARSABLE),
        ("I'd like that", UNPARSABLE),  # no d in I'd
    ],
)
def test_small_letters(text: str, expected: int | str) -> None:
    assert read(text, SMALL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", 3),
        ("4.", 3),
        ("4/5", 3),
        ("4 out of 5", 3),
        ("On a scale from 1 to 5, I'd say 4", 3),
        ("Between 1 and 5 I am 2", 1),
        ("I would rate myself as a 3", 2),
        ("Rating: 2", 1),
        ("5 = Very Accurate", 4),
        ("2 Moderately Inaccurate", 1),
        ("moderately accurate (4)", 3),
        ("1, because", 0),
        ("3.5", UNPARSABLE),
        ("14", UNPARSABLE),
        ("7", UNPARSABLE),
        ("1-5", UNPARSABLE),
        ("3 or 4", UNPARSABLE),
        ("moderately accurate (2)", UNPARSABLE),
        ("5 = Very Inaccurate", UNPARSABLE),
    ],
)
def test_numbers(text: str, expected: int | str) -> None:
    assert read(text, DIGITS) == expected


def test_labels_stand_for_options_in_content_order() -> None:
    reversed_letters = tuple("EDCBA")
    assert read("A", reversed_letters) == 4
    assert read("A) Very Accurate", reversed_letters) == 4
    assert read("A) Very Inaccurate", reversed_letters) == UNPARSABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("very inaccurate", 0),
        ("Very Accurate of me", 4),
        ("Accurate", UNPARSABLE),
        ("Moderately Accurate / Very Accurate", UNPARSABLE),
    ],
)
def test_words_as_labels(text: str, expected: int | str) -> None:
    assert read(text, ACCURACY) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agree", 3),
        ("I agree", 3),
        ("Agree strongly", 4),
        ("disagree", 1),
        ("I do not agree", UNPARSABLE),
        ("I don't agree", UNPARSABLE),
    ],
)
def test_an_option_inside_another_or_negated_is_not_taken(text: str, expected: int | str) -> None:
    assert read(text, AGREEMENT, AGREEMENT) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", 0),
        ("no.", 1),
        ("yes, I would", 0),
        ("No, I wouldn't", 1),
        ("Yes I do", 0),
        ("Absolutely: Yes", 0),
        ("No opinion", UNPARSABLE),
        ("I have no opinion", UNPARSABLE),
        ("Yes or no", UNPARSABLE),
    ],
)
def test_yes_and_no(text: str, expected: int | str) -> None:
    assert read(text, YES_NO, YES_NO) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Declared: the last counts. Undeclared: the first does.
        ("Answer: B. On reflection, my final answer: D", 3),
        ("B because A is too strong", 1),
        ("A) is too strong. My answer is C", 2),
        ("I'd choose B. I would not choose D.", 1),
    ],
)
def test_first_and_last(text: str, expected: int) -> None:
    assert read(text, CAPITALS) == expected


@pytest.mark.parametrize(
    "text",
    ["A or B", "B or A", "A and B", "B, C", "C/D", "Answer: A or B", "B) Very Accurate", "B D"],
)
def test_two_answers_are_none(text: str) -> None:
    assert read(text, CAPITALS) == UNPARSABLE


def test_reciting_the_options_is_no_answer_but_what_follows_is() -> None:
    recital = "\n".join(f"{a}) {b}" for a, b in zip(CAPITALS, ACCURACY, strict=True))
    assert read(recital, CAPITALS) == UNPARSABLE
    assert read(recital + "\nAnswer: D", CAPITALS) == 3
    assert read(recital + "\nD", CAPITALS) == 3


@pytest.mark.parametrize(
    "text",
    [
        "I can't",
        "I can't answer that.",
        "I\u2019m sorry, but I can\u2019t help with that",
        "I cannot rate myself",
        "As an AI, I don't have personal feelings.",
        "As an AI language model I have no preferences",
        "I don't have personal experiences, but option B is neutral",
        "I am just a language model",
        "I'd rather not say",
    ],
)
def test_refusals(text: str) -> None:
    assert read(text, CAPITALS) == REFUSED


def test_a_declared_answer_is_an_answer_whatever_comes_before() -> None:
    assert read("As an AI I do not have a personality, but I'd choose C", CAPITALS) == 2
    assert read("I can't say that I worry; B", CAPITALS) == 1


@pytest.mark.parametrize("text", ["", "   ", "maybe", "Not B", "I'm not sure", "\x00\x07", "???"])
def test_nothing_said(text: str) -> None:
    assert read(text, CAPITALS) == UNPARSABLE


def test_reasoning_does_not_count() -> None:
    assert read("<think>A seems right, or B</think>C", CAPITALS) == 2
    assert read("<think>It must be A", CAPITALS) == UNPARSABLE


def test_labels_of_several_words_and_odd_characters() -> None:
    labels = ("(+)", "(-)", "a.b*c")
    options = ("more", "less", "C++ [sic]")
    assert read("(+)", labels, options) in (0, UNPARSABLE)
    assert read("a.b*c", labels, options) == 2
    assert read("c++ [sic]", labels, options) == 2


def test_options_of_one_text_are_told_apart_by_label_only() -> None:
    assert read("B", ("A", "B"), ("same", "same")) == 1
    assert read("same", ("A", "B"), ("same", "same")) == UNPARSABLE


@given(st.text(max_size=300))
def test_any_text_is_answered_refused_or_unparsable(text: str) -> None:
    assert isinstance(parse_choice(text, CAPITALS, ACCURACY), ParsedAnswer)


@given(
    st.integers(0, 4), st.sampled_from(["{}", "({})", "{}.", "Answer: {}", "**{}**", "I'd say {}"])
)
def test_every_label_is_found_in_every_frame(index: int, frame: str) -> None:
    for labels in (CAPITALS, DIGITS, ACCURACY):
        assert read(frame.format(labels[index]), labels) == index
