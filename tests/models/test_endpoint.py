"""Endpoints, asked over HTTP: a scripted service on loopback with the faults that services have."""

from __future__ import annotations

import json
import logging
import math
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.administration.profiling import profile
from allport.errors import EndpointError, ModelError, UsageError
from allport.inventories.catalog import load_inventory
from allport.models.endpoint import Endpoint
from allport.models.endpoint_errors import BudgetReached
from allport.models.respondent import Condition, Message, Question, Reading

KEY = "sk-test-0123456789abcdefghij"
OPTIONS = ("no", "partly", "yes")
Body = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """What the service does with one request."""

    body: Any = None
    """Sent as JSON, or as it is where it is bytes."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    stall: bool = False
    """Send nothing until the test is over."""


class Service:
    """A chat service that does what `script` says: request body and its number from 0 -> Act."""

    def __init__(self) -> None:
        self.script: Callable[[Body, int], Act] = lambda body, number: completion("A")
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.peak = 0
        self.over = threading.Event()
        self._now = 0
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with service._lock:
                    number = len(service.bodies)
                    service.bodies.append(body)
                    service.headers.append({k.lower(): v for k, v in self.headers.items()})
                    service.paths.append(self.path)
                    service._now += 1
                    service.peak = max(service.peak, service._now)
                try:
                    act = service.script(body, number)
                    if act.stall:
                        service.over.wait()
                    if act.stall or act.drop:
                        self.close_connection = True
                        self.connection.shutdown(socket.SHUT_RDWR)
                        return
                finally:
                    # Before the reply is out: the client may send its next request right after.
                    with service._lock:
                        service._now -= 1
                data = act.body if isinstance(act.body, bytes) else json.dumps(act.body).encode()
                self.send_response(act.status)
                for name, value in {"content-type": "application/json", **act.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that hang up are part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    running = Service()
    try:
        yield running
    finally:
        running.close()


def endpoint(service: Service, **settings: Any) -> Endpoint:
    quick = {"backoff": 0.001, "timeout": 20.0}
    return Endpoint("m", base_url=service.url, **{**quick, **settings})


def question(
    item: int = 1,
    labels: tuple[str, ...] = ("A", "B", "C"),
    reading: Reading = "distribution",
    cue: str = "",
) -> Question:
    messages = (Message("system", "You are calm."), Message("user", f"Item {item}?"))
    condition = Condition("letters", "forward")
    return Question(item, condition, messages, cue, labels, OPTIONS, reading, seed=item)


def questions(count: int) -> list[Question]:
    return [question(item) for item in range(1, count + 1)]


def completion(
    *texts: str | None, tops: dict[str, float] | None = None, usage: bool = True, **more: Any
) -> Act:
    """A sound chat completion."""
    choices: list[Body] = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    if tops is not None:
        # Services write -9999 for what is next to impossible.
        listed = [{"token": t, "logprob": math.log(p) if p else -9999.0} for t, p in tops.items()]
        choices[0]["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    body: Body = {"object": "chat.completion", "choices": choices, "model": "m-full", **more}
    if usage:
        body["usage"] = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
    return Act(body)


def refusal(message: str, status: int = 400, **error: Any) -> Act:
    return Act({"error": {"message": message, **error}}, status)


def letters(body: Body, number: int) -> Act:
    """A service that offers everything."""
    if body.get("logprobs"):
        return completion("B", tops={"B": 0.5, " A": 0.25, "I": 0.125, "A": 0.125})
    return completion(*["B"] * body.get("n", 1))


# --- reading -----------------------------------------------------------------------------------


def test_distributions_are_read_from_top_log_probabilities(service: Service) -> None:
    service.script = letters
    (response,) = endpoint(service).answer([question()])
    assert response.probabilities == pytest.approx((3 / 7, 4 / 7, 0), abs=2e-6)
    assert response.choice == 1
    assert response.label_mass == pytest.approx(0.875)
    assert (response.prompt_tokens, response.completion_tokens) == (20, 1)
    assert response.text == "B"
    (body,) = service.bodies
    assert body["messages"] == [
        {"role": "system", "content": "You are calm."},
        {"role": "user", "content": "Item 1?"},
    ]
    assert (body["model"], body["logprobs"], body["top_logprobs"]) == ("m", True, 20)
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (1, 1, 1)
    assert service.paths == ["/v1/chat/completions"]
    assert service.headers[0]["authorization"] == f"Bearer {KEY}"


def test_probabilities_are_in_content_order_whatever_the_labels(service: Service) -> None:
    service.script = letters
    (response,) = endpoint(service).answer([question(labels=("C", "B", "A"))])
    assert response.probabilities == pytest.approx((0, 4 / 7, 3 / 7), abs=2e-6)


@pytest.mark.parametrize(
    ("tops", "masses"),
    [
        # At most as likely as the least likely token of the list.
        ({"B": 0.5, "A": 0.25, "I": 0.05}, (0.25, 0.5, 0.05)),
        # At most what the list leaves of 1.
        ({"B": 0.5, "A": 0.25, "I": 0.22}, (0.25, 0.5, 0.03)),
        # Nothing is left but rounding.
        ({"B": 0.75, "A": 0.25}, (0.25, 0.75, 1e-6)),
        # Every label that is not listed takes it whole.
        ({"B": 0.5, "I": 0.3, "As": 0.1}, (0.1, 0.5, 0.1)),
        # A token reported as impossible is no limit for others, and no label is impossible.
        ({"B": 0.5, "A": 0.25, "C": 0.0, "I": 0.0}, (0.25, 0.5, 0.25)),
    ],
)
def test_labels_that_are_not_reported_take_the_most_that_they_can_have(
    service: Service, tops: dict[str, float], masses: tuple[float, ...]
) -> None:
    service.script = lambda body, number: completion("B", tops=tops)
    (response,) = endpoint(service).answer([question()])
    assert response.probabilities == pytest.approx([mass / sum(masses) for mass in masses])
    assert response.choice == 1
    assert response.label_mass == pytest.approx(sum(tops.get(label, 0) for label in "ABC"))
    # Runs from before, with zeros, are not gone on with.
    assert endpoint(service).describe()["unreported_labels"] == "at most"


def test_a_sampled_label_stays_the_choice_where_the_list_has_no_label(service: Service) -> None:
    entry = {"token": "B", "logprob": math.log(0.01)}
    tops = [{"token": t, "logprob": math.log(p)} for t, p in {"I": 0.5, "As": 0.3}.items()]
    choice = {"message": {"content": "B"}, "finish_reason": "stop"}
    choice["logprobs"] = {"content": [{**entry, "top_logprobs": tops}]}
    service.script = lambda body, number: completion("B", choices=[choice])
    (response,) = endpoint(service).answer([question()])
    assert response.choice == 1
    assert response.probabilities == pytest.approx([1 / 3] * 3)
    assert response.label_mass == pytest.approx(0.01)


def test_what_labels_add_cancels_though_the_unlikeliest_is_not_reported(
    service: Service, tmp_path: Path
) -> None:
    whole = load_inventory("situations-320")
    bank = whole.model_copy(update={"items": whole.items[:3], "traits": whole.traits[:1]})
    (trait,) = {item.trait for item in bank.items}
    assert bank.traits[0].code == trait
    content = dict(zip(range(4), (1.0, 0.2, -0.4, -0.6), strict=True))
    labels = dict(zip("ABCD", (2.5, 1.5, 0.0, -2.5), strict=True))

    def biased(body: Body, number: int) -> Act:
        asked = body["messages"][-1]["content"]
        (item,) = [item for item in bank.items if (item.text or "") in asked]
        said = {
            line[0]: [o.text for o in item.options].index(line[3:])
            for line in asked.splitlines()
            if line[:1] in labels and line[1:3] == ". "
        }
        weights = {label: math.exp(content[said[label]] + labels[label]) for label in labels}
        shares = {label: 0.969 * w / sum(weights.values()) for label, w in weights.items()}
        listed = sorted({**shares, "I": 0.03}.items(), key=lambda pair: -pair[1])[:4]
        return completion("A", tops=dict(listed))

    service.script = biased
    design = Design(templates=("advice-after",))
    run = measure(endpoint(service), bank, design, tmp_path / "run", progress=None)
    tilted = [math.exp(weight) for weight in content.values()]
    (row,) = profile(run.responses, bank, resamples=0).traits
    high = sum(tilted[:2]) / sum(tilted)
    assert high - 0.03 < row.score.value < high
    # The arithmetic mean, which a share of zero calls for, keeps what the labels add.
    plain = run.responses["expected_keyed"].mean()
    assert isinstance(plain, float)
    assert plain < high - 0.1


def test_answers_without_a_label_are_unparsable(service: Service) -> None:
    service.script = lambda body, number: completion("I", tops={"I": 0.9, "As": 0.1})
    (response,) = endpoint(service).answer([question()])
    assert (response.probabilities, response.choice) == (None, None)
    assert response.label_mass == 0
    assert response.unparsable


def test_an_answer_begun_for_the_model_is_refused(service: Service) -> None:
    model = endpoint(service)
    asked = [question(), question(2, cue="Answer:")]
    for put in (lambda: list(model.answer(asked)), lambda: model.dry_run(asked)):
        with pytest.raises(UsageError, match="ask without a cue, or use a local model"):
            put()
    assert not service.bodies


@pytest.mark.parametrize(
    "first",
    [
        refusal("logprobs is not supported with this model", param="logprobs"),
        refusal("This model does not support logprobs."),
        refusal("Something is wrong with your request."),
        Act({"detail": [{"loc": ["body", "top_logprobs"], "msg": "extra"}]}, 422),
        completion("B"),
        completion("B", choices=[{"message": {"content": "B"}, "logprobs": None}]),
        Act({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}),
    ],
)
def test_without_log_probabilities_answers_are_sampled_from_then_on(
    service: Service, first: Act
) -> None:
    texts = ["A", "B", "B.", "I choose (b)", "both", "C", "B", "I cannot answer as an AI"]
    service.script = lambda body, number: first if body.get("logprobs") else completion(*texts)
    model = endpoint(service)
    before = model.describe()
    responses = list(model.answer(questions(4)))
    for response in responses:
        assert response.probabilities == pytest.approx((1 / 6, 4 / 6, 1 / 6))
        assert response.choice == 1
        assert response.label_mass == pytest.approx(6 / 8)
        assert json.loads(response.text or "") == texts
    with_logprobs = [body for body in service.bodies if body.get("logprobs")]
    assert len(with_logprobs) in (1, 2)  # 5 are tried where 20 are refused
    sampled = service.bodies[-1]
    assert (sampled["n"], sampled["temperature"], sampled["max_tokens"]) == (8, 1, 64)
    assert model.describe() == before
    assert model.observed()["distributions"] == "samples"
    assert "logprobs" in model.observed()["not_taken"]


def test_fewer_log_probabilities_are_asked_for_where_20_are_too_many(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        if body["top_logprobs"] > 5:
            return refusal("top_logprobs must be at most 5", param="top_logprobs")
        return letters(body, number)

    service.script = script
    model = endpoint(service)
    assert len(list(model.answer(questions(3)))) == 3
    assert [body["top_logprobs"] for body in service.bodies] == [20, 5, 5, 5]
    assert model.observed()["not_taken"] == ["top_logprobs above 5"]


def test_labels_of_words_are_sampled(service: Service) -> None:
    service.script = lambda body, number: completion("Very yes", *["Not yes"] * 7)
    labels = ("Not yes", "Nearly yes", "Very yes")
    (response,) = endpoint(service).answer([question(labels=labels)])
    assert "logprobs" not in service.bodies[0]
    assert response.probabilities == pytest.approx((7 / 8, 0, 1 / 8))


@pytest.mark.parametrize("n", ["passed over", "refused"])
def test_samples_are_asked_for_one_by_one_where_n_is_not_taken(service: Service, n: str) -> None:
    def script(body: Body, number: int) -> Act:
        if "n" in body and n == "refused":
            return refusal("Only 'n': 1 is supported")
        return completion("ABC"[number % 3])

    service.script = script
    model = endpoint(service, answers="samples", samples=3, concurrency=1)
    responses = list(model.answer(questions(2)))
    assert all(r.label_mass == 1 for r in responses)
    assert [json.loads(r.text or "") for r in responses][1] != []
    singles = [body for body in service.bodies if "n" not in body]
    assert len(singles) == (5 if n == "passed over" else 6)
    # Every sample of a question has its own seed, or a service would repeat itself.
    assert [body["seed"] for body in singles[-3:]] == [2, 3, 4]
    assert model.observed()["not_taken"] == ["n"]
    assert responses[1].prompt_tokens == 60


def test_structured_output_allows_labels_only(service: Service) -> None:
    service.script = lambda body, number: completion(
        '{"answer": "C"}', '{"answer": "A"}', '{"answer": "C"}', "{"
    )
    model = endpoint(service, answers="structured", samples=4)
    (response,) = model.answer([question()])
    assert response.probabilities == pytest.approx((1 / 3, 0, 2 / 3))
    assert math.isnan(response.label_mass)
    schema = service.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["answer"]["enum"] == ["A", "B", "C"]
    assert model.observed()["distributions"] == "structured"


def test_structured_output_falls_back_to_samples(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        if "response_format" in body:
            return refusal("Invalid value for 'response_format'")
        return completion(*["C"] * 8)

    service.script = script
    model = endpoint(service, answers="structured")
    assert [r.choice for r in model.answer(questions(3))] == [2, 2, 2]
    assert sum("response_format" in body for body in service.bodies) == 1
    assert model.observed()["not_taken"] == ["response_format"]


@pytest.mark.parametrize(
    ("text", "choice", "refused", "unparsable"),
    [
        ("The answer is B.", 1, False, False),
        ("I'm sorry, I can't answer that.", None, True, False),
        ("Bananas.", None, False, True),
    ],
)
def test_generated_answers_are_parsed(
    service: Service, text: str, choice: int | None, refused: bool, unparsable: bool
) -> None:
    service.script = lambda body, number: completion(text)
    (response,) = endpoint(service, temperature=0.5).answer([question(reading="generation")])
    assert (response.choice, response.refused, response.unparsable) == (choice, refused, unparsable)
    assert response.text == text
    assert math.isnan(response.label_mass)
    (body,) = service.bodies
    assert (body["temperature"], body["max_tokens"]) == (0.5, 64)
    assert "n" not in body
    assert "logprobs" not in body


def test_parameters_that_are_not_taken_are_left_out(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        if "max_tokens" in body:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return refusal(said, param="max_tokens")
        if "logprobs" in body:
            return refusal("'logprobs' is not available", param="logprobs")
        if body["temperature"] != 1:
            return refusal("temperature: only 1 is supported")
        if "seed" in body:
            return Act({"detail": [{"loc": ["body", "seed"], "msg": "extra inputs"}]}, 422)
        return completion(*["A"] * body["n"]) if "top_p" not in body else refusal("no top_p here")

    service.script = script
    model = endpoint(service, temperature=1.0)
    assert [r.choice for r in model.answer(questions(3))] == [0, 0, 0]
    assert model.observed()["not_taken"] == ["logprobs", "max_tokens", "top_p", "seed"]
    assert len(service.bodies) == 4 + 3
    assert service.bodies[-1]["max_completion_tokens"] == 64


def test_answers_that_begin_with_white_space_are_read_behind_it(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        first = {"token": " ", "logprob": math.log(0.9), "top_logprobs": []}
        second = {"token": "C", "logprob": math.log(0.8), "top_logprobs": []}
        content = [first, second][: body["max_tokens"]]
        return completion(" ", choices=[{"message": {}, "logprobs": {"content": content}}])

    service.script = script
    model = endpoint(service)
    responses = list(model.answer(questions(2)))
    assert [r.choice for r in responses] == [2, 2]
    assert [r.label_mass for r in responses] == pytest.approx([0.72, 0.72])
    assert [body["max_tokens"] for body in service.bodies] == [1, 3, 3]


def test_extra_parameters_go_with_every_request(service: Service) -> None:
    service.script = letters
    model = endpoint(service, extra={"chat_template_kwargs": {"enable_thinking": False}})
    list(model.answer([question()]))
    assert service.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert model.describe()["extra"] == {"chat_template_kwargs": {"enable_thinking": False}}


def test_filtered_questions_count_as_refused(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        if "Item 2" in body["messages"][-1]["content"]:
            return refusal("Stopped by the content management policy", code="content_filter")
        return letters(body, number)

    service.script = script
    responses = {r.item: r for r in endpoint(service).answer(questions(3))}
    assert [responses[item].refused for item in (1, 2, 3)] == [False, True, False]
    assert not responses[2].unparsable


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Act({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}),
        Act({"error": {"message": "slow down"}}, 429, {"retry-after-ms": "1"}),
        Act({}, 429, {"retry-after": "Sun, 01 Mar 2020 12:00:00 GMT"}),
        Act(b"<h1>Internal Server Error</h1>", 500, {"content-type": "text/html"}),
        Act({"error": {"message": "overloaded"}}, 529),
        Act(drop=True),
        Act(b'{"choices": [{"message": {"content"'),
        Act(b"<html>busy</html>", headers={"content-type": "text/html"}),
        Act({"choices": []}),
        completion(None),
    ],
)
def test_passing_faults_are_asked_through(service: Service, fault: Act) -> None:
    faulty = {1, 3}
    service.script = lambda body, n: fault if n in faulty else letters(body, n)
    model = endpoint(service)
    responses = list(model.answer(questions(4)))
    assert sorted(r.item for r in responses) == [1, 2, 3, 4]
    assert all(r.choice == 1 for r in responses)
    assert model.usage.requests == 6
    assert model.usage.retries == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Act({}, 429), "answered with status 429 3 times in a row"),
        (Act({}, 503), "answered with status 503 3 times in a row"),
        (Act(drop=True), "dropped the connection 3 times in a row"),
        (Act({}, 429, {"retry-after": "3600"}), "asks to wait 3600 seconds"),
        (
            refusal("Incorrect API key provided: sk-test-01*******ghij", 401),
            "did not accept the key",
        ),
        (refusal("The model `m` does not exist", 404), "usually ends in /v1 .*does not exist"),
        (refusal("You exceeded your quota", 429, code="insufficient_quota"), "has no quota left"),
        (refusal("maximum context length is 512 tokens", code="x"), "too long for m .*512 tokens"),
        (refusal("no such thing"), "status 400: no such thing"),
        (refusal("teapot", 418), "status 418: teapot"),
    ],
)
def test_lasting_faults_are_one_sentence(service: Service, fault: Act, said: str) -> None:
    service.script = lambda body, number: fault
    with pytest.raises(EndpointError, match=said) as error:
        list(endpoint(service, max_retries=2).answer(questions(3)))
    assert "\n" not in str(error.value)
    assert service.url in str(error.value)


def test_a_service_that_is_not_there_is_named(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        model = Endpoint("m", base_url=url, max_retries=1, backoff=0.001)
        with pytest.raises(EndpointError, match="could not be reached 2 times in a row"):
            list(model.answer([question()]))


def test_stalls_meet_the_timeout_and_are_asked_again(service: Service) -> None:
    service.script = lambda body, n: Act(stall=True) if n == 0 else letters(body, n)
    model = endpoint(service, timeout=0.2)
    assert [r.choice for r in model.answer([question()])] == [1]
    assert model.usage.retries == 1


def test_lasting_stalls_end_in_an_error(service: Service) -> None:
    service.script = lambda body, number: Act(stall=True)
    with pytest.raises(EndpointError, match=r"did not answer within 0\.2 s 2 times"):
        list(endpoint(service, timeout=0.2, max_retries=1).answer([question()]))


def test_replies_that_stay_unusable_are_unparsable_responses(service: Service) -> None:
    def script(body: Body, number: int) -> Act:
        odd = body["messages"][-1]["content"] == "Item 1?"
        return Act(b"not JSON") if odd else letters(body, number)

    service.script = script
    model = endpoint(service, max_unusable=1)
    responses = {r.item: r for r in model.answer(questions(3))}
    assert sorted(responses) == [1, 2, 3]
    assert responses[1].unparsable
    assert (responses[1].probabilities, responses[1].text) == (None, None)
    assert not responses[2].unparsable
    assert model.usage.unusable == 2


@pytest.mark.parametrize("count", [1, 3, 12])
def test_nothing_but_unusable_replies_is_an_error_and_no_response(
    service: Service, count: int
) -> None:
    service.script = lambda body, number: Act(b"<html>Welcome</html>")
    yielded = []
    with pytest.raises(EndpointError, match=r"not JSON.*usually ends in /v1"):
        yielded += list(endpoint(service, max_unusable=0).answer(questions(count)))
    assert yielded == []
    assert len(service.bodies) <= 5 + 8


def test_answers_before_an_error_are_yielded_first(service: Service) -> None:
    service.script = lambda body, n: letters(body, n) if n < 2 else refusal("no more", 402)
    answers = endpoint(service, concurrency=1).answer(questions(4))
    assert [next(answers).item, next(answers).item] == [1, 2]
    with pytest.raises(EndpointError, match="no more"):
        next(answers)


def test_closing_the_iterator_stops_what_is_on_its_way(service: Service) -> None:
    service.script = lambda body, n: letters(body, n) if n == 0 else Act(stall=True)
    answers = endpoint(service).answer(questions(6))
    assert next(answers).item == 1
    answers.close()  # type: ignore[attr-defined]  # it is a generator
    assert not [t for t in threading.enumerate() if t.name == "allport-endpoint"]


# --- limits ------------------------------------------------------------------------------------


def test_no_more_requests_are_on_their_way_than_allowed(service: Service) -> None:
    together, one_more = threading.Barrier(4), threading.Event()

    def script(body: Body, number: int) -> Act:
        if number > 4:
            one_more.set()
        if number > 0:  # the first question is asked alone
            together.wait(timeout=20)
        if 0 < number <= 4:
            # Four are here and none is answered: a fifth would come now.
            assert not one_more.wait(timeout=0.2)
        return letters(body, number)

    service.script = script
    responses = list(endpoint(service, concurrency=4, max_retries=0).answer(questions(13)))
    assert sorted(r.item for r in responses) == list(range(1, 14))
    assert service.peak == 4


def test_tokens_and_cost_are_counted(service: Service) -> None:
    service.script = letters
    model = endpoint(service, prices=(2.0, 10.0))
    assert model.usage.cost == 0
    list(model.answer(questions(5)))
    usage = model.usage
    assert (usage.requests, usage.retries, usage.unusable) == (5, 0, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (100, 5)
    assert usage.cost == pytest.approx((100 * 2 + 5 * 10) / 1e6)
    assert endpoint(service).usage.cost is None


def test_tokens_that_a_service_does_not_count_are_estimated(service: Service) -> None:
    service.script = lambda body, number: completion("A", tops={"A": 0.9}, usage=False)
    model = endpoint(service)
    (response,) = model.answer([question()])
    # "You are calm." and "Item 1?" have 20 bytes.
    assert response.prompt_tokens == model.usage.prompt_tokens == 5 + 3 * 4
    assert model.usage.completion_tokens == 1


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_never_passed_and_is_used_up(service: Service, concurrency: int) -> None:
    service.script = letters
    # 21 tokens cost 0.021.
    model = endpoint(service, prices=(1000, 1000), max_cost=0.4, concurrency=concurrency)
    responses = []
    with pytest.raises(BudgetReached, match=r"budget of 0\.4 stops the run"):
        responses += _taken(model.answer(questions(60)), responses)
    assert model.usage.cost == pytest.approx(0.021 * len(responses))
    assert 0.4 - 2 * 0.021 < (model.usage.cost or 0) <= 0.4
    assert len(service.bodies) == len(responses)


def _taken(answers: Iterator[Any], into: list[Any]) -> list[Any]:
    """Append each answer as it comes, so that an error does not take the earlier ones along."""
    for answer in answers:
        into.append(answer)
    return []


def test_a_dry_run_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    model = Endpoint("m", prices=(2.0, 10.0), samples=4, extra={"top_k": 0})
    words = question(9, labels=("Not yes", "Nearly yes", "Very yes"))
    dry = model.dry_run([*questions(3), words, question(10, reading="generation")])
    assert dry.url == "http://127.0.0.1:1/v1/chat/completions"
    assert dry.requests == 5
    assert dry.completion_tokens == 3 * 1 + 4 * 64 + 64
    assert dry.prompt_tokens == 4 * (5 + 12) + (6 + 12)
    assert dry.cost == pytest.approx((dry.prompt_tokens * 2 + dry.completion_tokens * 10) / 1e6)
    shown = json.loads(dry.as_json())
    assert len(shown["first_requests"]) == 3
    assert shown["first_requests"][0]["messages"][-1]["content"] == "Item 1?"
    assert shown["first_requests"][0]["top_k"] == 0
    assert model.usage.requests == 0


def test_a_dry_run_says_what_is_sent(service: Service) -> None:
    service.script = letters
    model = endpoint(service)
    (dry,) = model.dry_run([question()]).first_requests
    list(model.answer([question()]))
    assert service.bodies == [dry]


# --- keys and settings -------------------------------------------------------------------------


def test_the_key_reaches_nothing_that_is_kept_or_shown(
    service: Service,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The service repeats the key wherever it can."""

    def script(body: Body, number: int) -> Act:
        if number == 3:
            return Act({"error": {"message": f"Bearer {KEY}"}}, 500)
        if "logprobs" in body:
            return completion(KEY, tops={"A": 0.9}, model=KEY, system_fingerprint=f"fp {KEY}")
        return refusal(f"Bad request with {KEY}", 403)

    service.script = script
    caplog.set_level(logging.DEBUG)
    model = endpoint(service, extra={"user": KEY})
    run = measure(
        model,
        load_inventory("mini-ipip-20"),
        Design(templates=("letters",), orders=("forward",)),
        tmp_path / "run",
        progress=None,
    )
    assert len(run.responses) == 20
    kept = [
        json.dumps(model.describe()),
        json.dumps(model.observed()),
        repr(model),
        str(vars(endpoint(service))),
    ]
    for settings in ({"answers": "samples"}, {"max_retries": 0, "answers": "samples"}):
        with pytest.raises(EndpointError) as error:
            list(endpoint(service, **settings).answer([question()]))
        kept.append("".join(traceback.format_exception(error.value)))
        frames = traceback.TracebackException.from_exception(error.value, capture_locals=True)
        kept.append("".join(frames.format()))
        assert error.value.__context__ is None or error.value.__suppress_context__
    kept += [caplog.text, *capfd.readouterr()]
    kept += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 8
    for text in kept:
        assert KEY not in text
    assert any("[key]" in text for text in kept)


def test_services_without_keys_need_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    service.script = letters
    assert len(list(endpoint(service).answer([question()]))) == 1


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EndpointError, match="set OPENAI_API_KEY"):
        list(Endpoint("gpt").answer([question()]))


def test_keys_that_cannot_be_sent_are_not_shown(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sécret-key-0123")
    with pytest.raises(EndpointError, match="characters that no key has") as error:
        list(endpoint(service).answer([question()]))
    frames = traceback.TracebackException.from_exception(error.value, capture_locals=True)
    assert "cret-key" not in "".join(frames.format())
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    service.script = letters
    assert len(list(endpoint(service).answer([question()]))) == 1
    assert service.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "localhost:8000"}, "is none"),
        ({"base_url": "http://localhost:port/v1"}, "is none"),
        ({"base_url": "http://me:secret@localhost/v1"}, "without user, password"),
        ({"base_url": "http://localhost/v1?key=secret"}, "without user, password"),
        ({"answers": "guess"}, "none of auto, logprobs"),
        ({"samples": 0}, "samples is 0"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"max_cost": 1.0}, "needs the service's prices"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        Endpoint("m", **{"base_url": "http://localhost:1/v1", **settings})
    assert "secret" not in str(error.value)


def test_log_probabilities_alone_refuse_what_they_cannot_read(service: Service) -> None:
    words = question(labels=("Not yes", "Nearly yes", "Very yes"))
    model = endpoint(service, answers="logprobs")
    with pytest.raises(UsageError, match="begin alike"):
        list(model.answer([question(), words]))
    assert service.bodies == []
    with pytest.raises(EndpointError, match="gives no log-probabilities"):
        list(model.answer([question()]))


def test_an_endpoint_is_a_respondent_that_resumes(service: Service, tmp_path: Path) -> None:
    bank, design = load_inventory("mini-ipip-20"), Design(templates=("letters",))
    service.script = lambda body, n: letters(body, n) if n < 9 else refusal("out of order", 402)
    model = endpoint(service, concurrency=1)
    with pytest.raises(ModelError, match="out of order"):
        measure(model, bank, design, tmp_path / "run", progress=None)
    service.script = letters
    run = measure(model, bank, design, tmp_path / "run", progress=None)
    assert len(run.responses) == 40
    asked = [json.dumps(body, sort_keys=True) for body in service.bodies]
    # Nothing is asked twice but the question that was refused.
    assert len(asked) == 41
    assert len(set(asked)) == 40
