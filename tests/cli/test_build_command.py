from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

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
    many = allport(*BUILD, *SMALL, "--per-statement", "30")
    sentence(many, 2)
    assert "ask for 18 or fewer" in many.err
    assert not Path("bank").exists()
    Path("bank").write_text("a file")
    sentence(allport(*BUILD), 2)


def test_judges_take_the_options_of_their_kind(allport: Any, loaded: list[Any]) -> None:
    Path("bank").mkdir()
    for_both = ("--batch-size", 8, "--samples", 4, "--temperature", 0.5)
    chosen = ("--writer", "./w", "--judge", "openai:j", "--judge", "./k", "--revision", "v1")
    allport(*BUILD, "--statements", "0", *for_both, *chosen)
    kept = [(name, given) for name, given in loaded]
    assert kept == [
        ("./w", {"batch_size": 8, "revision": "v1", "temperature": 0.5, "max_new_tokens": 700}),
        ("j", {"samples": 4}),
        ("./k", {"batch_size": 8}),
    ]


def test_what_is_the_writers_needs_a_writer(allport: Any, sentence: Any) -> None:
    said = allport(*BUILD, "--judge", "./k", "--temperature", 0.5)
    sentence(said, 2)
    assert "name one with --writer" in said.err


def test_a_writer_that_writes_no_text_is_named(allport: Any, sentence: Any, model: Any) -> None:
    model(ScriptedRespondent(lambda question: 0, "dumb"))
    said = allport(*BUILD, "--writer", "any")
    sentence(said, 1)
    assert "dumb writes no text" in said.err


class Scribe(BaseHTTPRequestHandler):
    """A service that writes what the prompt's form asks for, and is at its limit at first."""

    asked: ClassVar[Counter[str]] = Counter()
    """How often each prompt was answered."""
    busy = 2
    """Requests that are still refused as too many."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).busy > 0:
            type(self).busy -= 1
            self._send(429, {"error": {"message": "slow down", "type": "rate"}}, "0")
            return
        prompt = request["messages"][-1]["content"]
        type(self).asked[prompt] += 1
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": json.dumps(_written(prompt))},
        }
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        head = {"id": "x", "object": "chat.completion", "created": 0, "model": "scribe"}
        self._send(200, {**head, "choices": [choice], "usage": usage})

    def _send(self, status: int, content: dict[str, Any], wait: str = "") -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        if wait:
            self.send_header("Retry-After", wait)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _written(prompt: str) -> dict[str, Any]:
    def line(words: int, key: object) -> str:
        chance = random.Random(f"{prompt} {key}")
        made_up = ["".join(chance.choices("bdfgklmnprst", k=6)) for _ in range(words)]
        return " ".join("and" if n % 2 else word for n, word in enumerate(made_up))

    form = json.loads(prompt.rsplit("Form: ", maxsplit=1)[1])
    if "high" in form:
        return {end: [line(16, (end, n)) for n in range(2)] for end in form}
    if "situation" in form:
        return {"situation": line(30, ""), "question": "What should I do?"}
    return {name: [line(8, n) for n in range(9)] for name in form}


def test_a_service_writes_with_retries_and_is_asked_once(
    allport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scribe)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    words = (*BUILD, *SMALL, "--spare", "0", "--writer", "openai:scribe", "--json")
    try:
        built = allport(*words)
        again = allport(*words)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert built.code == 0, built.err
    assert built.json["items"] == {"E": 5, "A": 5}
    assert again.json == {**built.json, "replies_asked": 0}
    assert set(Scribe.asked.values()) == {1}
    assert Scribe.asked.total() == built.json["replies_asked"] == 2 + 2 + 10 + 10 + 10
    assert Scribe.busy == 0
