"""What can go wrong at a service, in one sentence each, and never with its key.

EndpointError
├── BudgetReached      the cost cap stops the run
├── ParameterRefused   the service does not take one of the request's parameters
└── ContentRefused     the service's own filter would not answer this question
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allport.errors import EndpointError

__all__ = [
    "BudgetReached",
    "ContentRefused",
    "ParameterRefused",
    "hide_key",
    "public_url",
    "status_error",
]

_KEY_SHOWN = "[key]"
_SHORTEST_SECRET = 8
"""Shorter "keys" are placeholders such as "EMPTY"; hiding them would tear holes in plain text."""
_LONGEST_QUOTE = 200

# Services name the parameter that they refuse in the error's `param`, or in its wording.
_NAMED_AS: dict[str, str] = {
    "top_logprobs": r"top_logprobs",
    "logprobs": r"logprobs?\b|log[ _-]prob",
    "response_format": r"response_format|json_schema|structured output|guided|grammar",
    "seed": r"\bseed\b",
    "max_tokens": r"\bmax_tokens\b",
    "max_completion_tokens": r"\bmax_completion_tokens\b",
    "temperature": r"\btemperature\b",
    "top_p": r"\btop_p\b",
    "n": r"['\"`]n['\"`]|\bn ?(>|=|must|should)|multiple (choices|completions)",
}


class BudgetReached(EndpointError):
    """The next request could cost more than is left of the budget."""


class ParameterRefused(EndpointError):
    """The service does not take `parameter`; None where it does not say which one."""

    def __init__(self, sentence: str, parameter: str | None, sent: Mapping[str, Any]) -> None:
        """Keep the sentence, the parameter's name in the request, and the request."""
        super().__init__(sentence)
        self.parameter = parameter
        self.sent = sent


class ContentRefused(EndpointError):
    """The service's filter stopped this question or its answer."""


def hide_key(text: str, key: str) -> str:
    """`text` without the key, and without what looks like a part of a key."""
    if len(key) >= _SHORTEST_SECRET:
        text = text.replace(key, _KEY_SHOWN)
    return re.sub(r"\bsk-[\w*.-]{6,}", _KEY_SHOWN, text)


def public_url(url: str) -> str:
    """A URL without user, password, query and fragment, where secrets may sit."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None:
        host += f":{parts.port}"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def status_error(
    status: int, body: object, *, name: str, url: str, sent: Mapping[str, Any], key: str
) -> EndpointError:
    """The error for an answer with a 4xx or 5xx status that is not worth a retry.

    Args:
        status: HTTP status.
        body: The answer's body, decoded where it was JSON.
        name: The model's name.
        url: The service's public URL.
        sent: The request's parameters, to tell which of them was refused.
        key: The key, so that a service which echoes it cannot make us repeat it.
    """
    error = body if isinstance(body, Mapping) else {}
    code = str(error.get("code") or error.get("type") or "")
    said = _quote(body, key)
    who = f"{name} at {url}"
    if status == 401:
        return EndpointError(f"{who} did not accept the key; set OPENAI_API_KEY to a valid one.")
    if status == 403:
        return EndpointError(f"{who} may not be used with the key in OPENAI_API_KEY: {said}.")
    if status == 404:
        return EndpointError(
            f"{who} was not found: check the model's name and the base URL, which usually ends in "
            f"/v1 (the service said: {said})."
        )
    if status == 429:  # only "quota used up" comes here; "too fast" is retried
        return EndpointError(f"{who} has no quota left: {said}.")
    if "content_filter" in code or "content management policy" in said:
        return ContentRefused(f"{who} filtered a question: {said}.")
    if "context_length" in code or re.search(r"context (length|window|size)", said):
        return EndpointError(f"A question is too long for {who}: {said}.")
    sentence = f"{who} refused a request with status {status}: {said}."
    if status in (400, 422):
        return ParameterRefused(sentence, _refused_parameter(error, said, sent), sent)
    return EndpointError(sentence)


def _refused_parameter(error: Mapping[Any, Any], said: str, sent: Mapping[str, Any]) -> str | None:
    named = error.get("param")
    if isinstance(named, str) and named in sent:
        return named
    for parameter, pattern in _NAMED_AS.items():
        if parameter in sent and re.search(pattern, said, re.IGNORECASE):
            return parameter
    return None


def _quote(body: object, key: str) -> str:
    """What a service said, on one line, short, without the key and without a full stop."""
    if isinstance(body, Mapping):
        message = body.get("message") or body.get("detail") or body
        text = message if isinstance(message, str) else json.dumps(message, default=str)
    else:
        text = "" if body is None else str(body)
    text = " ".join(hide_key(text, key).split())
    text = "".join(character for character in text if character.isprintable())
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 1] + "…"
    return text.rstrip(". ") or "no reason given"
