"""allport measure openai:NAME, against a service on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY = "sk-very-secret-0123456789"
WORDS = ("measure", "openai:tiny", "--inventory", "mini-ipip-20", "--limit", 4)


class Service(BaseHTTPRequestHandler):
    """Answers every chat with "B", as sure as can be, and refuses to know any other path."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        found = {"token": "B", "logprob": 0.0, "bytes": [66], "top_logprobs": []}
        found["top_logprobs"] = [{"token": "B", "logprob": 0.0, "bytes": [66]}]
        content = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "B"},
                    "logprobs": {"content": [found]},
                }
            ],
            "usage": {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51},
        }
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    yield "service"
    server.shutdown()
    thread.join()
    server.server_close()


def test_endpoint_is_measured_and_its_use_counted(
    allport: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    words = (*WORDS, "--templates", "letters", "--orders", "forward")
    said = allport(*words, "--out", "r", "--prices", "1,2")
    assert said.code == 0, said.err
    assert "4 requests (0 repeated), 200 tokens read, 4 written, cost 0.000208." in said.out
    usage = allport(*words, "--out", "s", "--prices", "1,2", "--json").json["usage"]
    assert (usage["requests"], usage["cost"]) == (4, pytest.approx(0.000208))
    for path in Path("r").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
    assert KEY not in said.out + said.err


def test_dry_run_shows_requests_and_tokens_and_no_key(
    allport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    said = allport(*WORDS, "--dry-run", "--prices", "1,2")
    assert said.code == 0
    assert said.json["requests"] == 16
    assert said.json["prompt_tokens"] > 16 * 20
    assert said.json["cost"] > 0
    assert KEY not in said.out
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prices", "cheap"), "cheap"),
        (("--prices", "1"), "two prices"),
        (("--prices", "1,-2"), "two prices"),
        (("--max-cost", "1"), "prices"),
        (("--extra", "[1]"), "--extra takes a JSON object"),
        (("--extra", "{reasoning}"), "--extra takes a JSON object"),
        (("--samples", "0"), "samples"),
        (("--concurrency", "0"), "concurrency"),
        (("--revision", "main"), "--revision"),
        (("--trust-remote-code",), "--trust-remote-code"),
        (("--answers", "tea-leaves"), "--answers"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(
    allport: Any, sentence: Any, words: tuple[str, ...], said: str
) -> None:
    answer = allport(*WORDS, *words)
    sentence(answer, 2)
    assert said in answer.err


def test_endpoint_without_a_name_is_one_sentence(allport: Any, sentence: Any) -> None:
    sentence(allport("measure", "openai:", "--inventory", "mini-ipip-20"), 2)


def test_options_of_endpoints_are_not_for_local_models(allport: Any, sentence: Any) -> None:
    said = allport("measure", "embedded", "--inventory", "mini-ipip-20", "--samples", "3")
    sentence(said, 2)
    assert "--samples" in said.err
