"""Replies of chat services: label masses, and what can be wrong with a reply."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.models.endpoint_replies import (
    Position,
    Unusable,
    label_masses,
    labels_begin_apart,
    read_reply,
)

LETTERS = ("A", "B", "C")


def entry(token: str, tops: dict[str, float], probability: float | None = None) -> dict[str, Any]:
    """One position as services write it."""
    if probability is None:
        probability = tops[token]
    return {
        "token": token,
        "logprob": math.log(probability),
        "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in tops.items()],
    }


def positions(*entries: dict[str, Any]) -> tuple[Position, ...]:
    choice = {"message": {"content": "?"}, "logprobs": {"content": list(entries)}}
    (said,) = read_reply(json.dumps({"choices": [choice]})).said
    assert said.positions is not None
    return said.positions


def test_tokens_with_and_without_white_space_say_the_same_label() -> None:
    tops = {"B": 0.4, " B": 0.2, "A": 0.1, "▁C": 0.05, "ĠC": 0.05, "I": 0.15, "b": 0.05}
    found = label_masses(positions(entry("B", tops)), LETTERS)
    assert found.masses == pytest.approx([0.1, 0.6, 0.1])
    assert found.total == pytest.approx(0.8)
    assert found.blank == 0


def test_the_sampled_token_counts_once_though_it_is_listed_twice() -> None:
    found = label_masses(positions(entry("A", {"A": 0.3, "B": 0.2})), LETTERS)
    assert found.masses == pytest.approx([0.3, 0.2, 0])


def test_the_sampled_token_counts_where_the_list_leaves_it_out() -> None:
    found = label_masses(positions(entry("C", {"A": 0.3, "B": 0.2}, 0.01)), LETTERS)
    assert found.masses == pytest.approx([0.3, 0.2, 0.01])


def test_labels_after_leading_white_space_count_with_the_way_there() -> None:
    first = entry("\n", {"\n": 0.6, " ": 0.2, "A": 0.1})
    second = entry("B", {"B": 0.5, "A": 0.25, "so": 0.25})
    found = label_masses(positions(first, second), LETTERS)
    assert found.masses == pytest.approx([0.1 + 0.8 * 0.25, 0.8 * 0.5, 0])
    assert found.blank == pytest.approx(0.8)


def test_what_is_not_listed_can_be_as_likely_as_the_least_of_each_list() -> None:
    first = entry("\n", {"\n": 0.6, " ": 0.2, "A": 0.1})
    second = entry("B", {"B": 0.5, "A": 0.25, "so": 0.2})
    found = label_masses(positions(first, second), LETTERS)
    assert found.unlisted == pytest.approx(0.1 + 0.8 * 0.05)
    # The sampled token may be less likely than any of the list, and is no limit then.
    found = label_masses(positions(entry("C", {"A": 0.3, "B": 0.2}, 0.01)), LETTERS)
    assert found.unlisted == pytest.approx(0.2)


def test_tokens_after_the_answer_do_not_count() -> None:
    found = label_masses(positions(entry("A", {"A": 0.5}), entry("B", {"B": 1.0})), LETTERS)
    assert found.masses == pytest.approx([0.5, 0, 0])


def test_a_beginning_of_two_characters_says_a_long_label() -> None:
    tops = {"Dis": 0.5, "D": 0.2, "Agree": 0.1, "Disagreement": 0.1}
    found = label_masses(positions(entry("Dis", tops)), ("Agree", "Disagree"))
    assert found.masses == pytest.approx([0.1, 0.5])


@pytest.mark.parametrize(
    ("labels", "apart"),
    [
        (("A", "B"), True),
        (("Yes", "No"), True),
        (("1", "10"), False),
        (("Very Accurate", "Very Inaccurate"), False),
        (("", "A"), False),
    ],
)
def test_labels_told_apart_by_one_token(labels: tuple[str, ...], apart: bool) -> None:
    assert labels_begin_apart(labels) is apart


@given(
    st.dictionaries(
        st.sampled_from(["A", " A", "B", "C", "\n", " ", "so", "I"]),
        st.floats(1e-9, 1.0),
        min_size=1,
    )
)
def test_label_mass_is_a_share(tops: dict[str, float]) -> None:
    token = next(iter(tops))
    found = label_masses(positions(entry(token, tops), entry("B", {"B": 1.0})), LETTERS)
    assert 0 <= found.total <= 1
    assert found.masses.sum() == pytest.approx(found.total)
    assert (found.masses >= 0).all()
    assert found.unlisted > 0


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "not JSON"),
        ("<html>hello</html>", "not JSON"),
        ('{"choices": [{"message": {"content": "A"}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("null", "no choices"),
        ("[]", "no choices"),
        ('{"error": {"message": "overloaded"}}', "no choices"),
        ('{"choices": []}', "no choices"),
        ('{"choices": null}', "no choices"),
        ('{"choices": ["A"]}', "not objects"),
        ('{"choices": [{}]}', "empty"),
        ('{"choices": [{"message": null}]}', "empty"),
        ('{"choices": [{"message": {"content": null}}]}', "empty"),
        ('{"choices": [{"message": {"content": ["A"]}}]}', "empty"),
        ('{"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}', "token limit"),
    ],
)
def test_replies_that_say_nothing_are_unusable(raw: str, why: str) -> None:
    with pytest.raises(Unusable, match=why) as found:
        read_reply(raw)
    assert found.value.may_pass is ("limit" not in why)


def test_counts_and_names_are_taken_where_they_are_sound() -> None:
    choice = {"message": {"content": "A"}}
    sound = read_reply(
        json.dumps(
            {
                "choices": [choice],
                "usage": {"prompt_tokens": 7, "completion_tokens": 1},
                "model": "m-2026",
                "system_fingerprint": None,
            }
        )
    )
    assert (sound.prompt_tokens, sound.completion_tokens) == (7, 1)
    assert sound.served_by == {"model": "m-2026"}
    odd = read_reply(json.dumps({"choices": [choice], "usage": {"prompt_tokens": "7"}}))
    assert (odd.prompt_tokens, odd.completion_tokens) == (None, None)
    assert read_reply(json.dumps({"choices": [choice], "usage": 3})).prompt_tokens is None


@pytest.mark.parametrize(
    "logprobs",
    [None, [], {}, {"content": None}, {"content": ["A"]}, {"content": [{"logprob": 0}]}],
)
def test_log_probabilities_that_cannot_be_read_are_none(logprobs: object) -> None:
    choice = {"message": {"content": "A"}, "logprobs": logprobs}
    assert read_reply(json.dumps({"choices": [choice]})).said[0].positions is None


def test_odd_log_probabilities_add_nothing() -> None:
    tops = [
        {"token": "B", "logprob": "-1"},
        {"token": "C", "logprob": float("nan")},
        {"token": "B", "logprob": float("-inf")},
        {"token": "B", "logprob": -9999.0},
        {"token": "C", "logprob": 5.0},
        {"logprob": -1.0},
        "B",
    ]
    odd = {"token": "A", "logprob": math.log(0.5), "top_logprobs": tops}
    found = label_masses(positions(odd), LETTERS)
    assert found.masses == pytest.approx([0.5, 0, 0])


@pytest.mark.parametrize(
    ("choice", "refused"),
    [
        ({"message": {"content": None, "refusal": "I can't."}}, True),
        ({"message": {"content": ""}, "finish_reason": "content_filter"}, True),
        ({"message": {"content": "A", "refusal": None}}, False),
    ],
)
def test_refusals_that_services_mark(choice: dict[str, Any], refused: bool) -> None:
    assert read_reply(json.dumps({"choices": [choice]})).said[0].refused is refused
