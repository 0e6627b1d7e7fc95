from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from allport.corpora import OfflineWriter
from allport.corpora.building_writers import WriterCall
from allport.models.scripted import ScriptedRespondent

BUILD = ("build", "situations", "bank", "--inventory", "mini-ipip-20", "--traits", "E,A")
SMALL = ("--statements", "1")


def test_a_bank_is_built_without_a_model_and_can_be_asked(allport: Any, model: Any) -> None:
    said = allport(*BUILD, *SMALL)
    assert (said.code, said.err) == (0, "")
    assert "10 situations from 2 statements, written by offline." in said.out
    assert "one statement only" in said.out
    assert "not for measuring" in said.out
    assert "Nobody judged" in Path("bank/card.md").read_text()
    content = allport(*BUILD, *SMALL, "--json").json
    assert (content["items"], content["replies_asked"]) == ({"E": 5, "A": 5}, 0)
    assert Path(content["files"]["inventory"]).is_file()
    assert content["stages"][-1]["kept"] == 10
    assert content["found"]["options alone, words, Extraversion"]["value"] is None
    model(ScriptedRespondent(lambda question: [0.4, 0.3, 0.2, 0.1], "some"))
    asked = allport("measure", "any", "--inventory", "bank/inventory.json", "--json")
    assert asked.code == 0, asked.err


def test_ctrl_c_is_a_sentence_and_the_same_command_goes_on(
    allport: Any, sentence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    write = OfflineWriter.write

    def interrupted(self: OfflineWriter, calls: Sequence[WriterCall]) -> Iterator[tuple[int, str]]:
        for each in write(self, calls):
            if len(asked) == 12:
                raise KeyboardInterrupt
            asked.append(each[0])
            yield each

    with monkeypatch.context() as patched:
        patched.setattr(OfflineWriter, "write", interrupted)
        said = allport(*BUILD, *SMALL)
    sentence(said, 1)
    assert "the same command goes on there" in said.err
    went_on = allport(*BUILD, *SMALL, "--json").json
    alone = allport("build", "situations", "new", *BUILD[3:], *SMALL, "--json").json
    assert went_on["replies_asked"] + 12 == alone["replies_asked"]


def test_what_cannot_be_built_is_a_sentence(allport: Any, sentence: Any) -> None:
    sentence(allport(*BUILD[:3], "--traits", "Mach"), 2)
    sentence(allport(*BUILD[:3], "--inventory", "nothing-9"), 2)
    sentence(allport(*BUILD, "--statements", "0"), 2)
    sentence(allport(*BUILD, "--statements-from", "gone.csv"), 1)
    Path("bank").write_text("a file")
    sentence(allport(*BUILD), 2)


def test_a_writer_that_writes_no_text_is_named(allport: Any, sentence: Any, model: Any) -> None:
    model(ScriptedRespondent(lambda question: 0, "dumb"))
    said = allport(*BUILD, "--writer", "any")
    sentence(said, 1)
    assert "dumb writes no text" in said.err
