"""The options that say how a model is loaded, or how a service is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from allport.cli.output import Flag
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.models import Endpoint, Respondent

__all__ = ["ModelOptions"]

_LOCAL = Parameter(group=Group("Local models", sort_key=3))
_ENDPOINT = Parameter(group=Group("Endpoints (openai:NAME)", sort_key=4))
_WRITING = Parameter(group=Group("Written and sampled answers", sort_key=5))
_PREFIX = "openai:"
_FOR_LOCAL = ("batch_size", "dtype", "device_map", "trust_remote_code")
"""Options for local models that every one of several can take; a revision is of one."""
_FOR_ENDPOINTS = ("answers", "samples", "concurrency", "timeout", "prices", "max_cost", "extra")


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded or asked. What is not given is left to the kind of model."""

    batch_size: Annotated[int | None, _LOCAL] = None
    """Questions that are asked at once; chosen by itself where not given."""
    dtype: Annotated[str, _LOCAL] = "auto"
    """Number format of the weights: auto, float32, bfloat16, float16."""
    device_map: Annotated[str | None, _LOCAL] = None
    """Where the weights go: cpu, cuda, cuda:1, auto."""
    revision: Annotated[str | None, _LOCAL] = None
    """Branch, tag or commit of a model on the hub."""
    trust_remote_code: Annotated[Flag, _LOCAL] = False
    """Run code that comes with the model. Only for models that you trust."""
    answers: Annotated[Literal["auto", "logprobs", "samples", "structured"] | None, _ENDPOINT] = (
        None
    )
    """Read distributions from log-probabilities, samples, or samples in JSON."""
    samples: Annotated[int | None, _ENDPOINT] = None
    """Answers per question where distributions are sampled; 8 where not given."""
    concurrency: Annotated[int | None, _ENDPOINT] = None
    """Requests on their way at once; 8 where not given."""
    timeout: Annotated[float | None, _ENDPOINT] = None
    """Seconds to wait for a reply; 60 where not given."""
    prices: Annotated[str | None, _ENDPOINT] = None
    """Price of a million prompt tokens and of a million completion tokens, such as 0.15,0.60."""
    max_cost: Annotated[float | None, _ENDPOINT] = None
    """Stop before this cost is passed; needs --prices."""
    extra: Annotated[str | None, _ENDPOINT] = None
    """Further parameters of every request, as JSON: '{"reasoning_effort": "none"}'."""
    answer_tokens: Annotated[int | None, _WRITING] = None
    """Most tokens of an answer."""
    temperature: Annotated[float | None, _WRITING] = None
    """Temperature of an answer; 0 takes the most probable words."""

    def load(self, model: str) -> Respondent | Endpoint:
        """Load the model that a command names.

        Args:
            model: "embedded", a local folder, a hub id, or "openai:NAME".

        Raises:
            UsageError: An option does not fit, or not this kind of model.
            ModelError: The model cannot be had.
        """
        local = {
            "revision": self.revision,
            "device_map": self.device_map,
            "batch_size": self.batch_size,
            "dtype": None if self.dtype == "auto" else self.dtype,
            "trust_remote_code": self.trust_remote_code or None,
        }
        remote = {
            "answers": self.answers,
            "samples": self.samples,
            "concurrency": self.concurrency,
            "timeout": self.timeout,
            "prices": _prices(self.prices),
            "max_cost": self.max_cost,
            "extra": _extra(self.extra),
        }
        if model.startswith(_PREFIX):
            _refuse(local, model, "for models on this machine")
            return self._endpoint(model.removeprefix(_PREFIX), _given(remote))
        _refuse(remote, model, "for endpoints (openai:NAME)")
        from allport.models import load_model

        return load_model(
            model, max_new_tokens=self.answer_tokens, temperature=self.temperature, **_given(local)
        )

    def among(self, model: str, models: Sequence[str]) -> ModelOptions:
        """The options for one of several models: what is for the other kind goes to the others.

        Args:
            model: Whose.
            models: All that the command names; where they are of one kind, what is for the other
                kind stays and is refused by `load`.
        """
        if len({each.startswith(_PREFIX) for each in models}) == 1:
            return self
        others = _FOR_LOCAL if model.startswith(_PREFIX) else _FOR_ENDPOINTS
        plain = ModelOptions()
        return replace(self, **{name: getattr(plain, name) for name in others})

    def for_judge(self, judge: str, models: Sequence[str]) -> ModelOptions:
        """As `among`, without what is said of the model that is judged: temperature, revision."""
        return replace(self.among(judge, models), temperature=None, revision=None)

    def _endpoint(self, name: str, options: dict[str, Any]) -> Endpoint:
        from allport.models import Endpoint

        if not name:
            raise UsageError("Name the model of the endpoint, such as openai:gpt-4o-mini.")
        writing = {"answer_tokens": self.answer_tokens, "temperature": self.temperature}
        return Endpoint(name, **options, **_given(writing))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse(options: dict[str, Any], model: str, for_whom: str) -> None:
    for name in _given(options):
        raise UsageError(f"--{name.replace('_', '-')} is {for_whom} and not for {model}.")


def _extra(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        extra = json.loads(text)
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise UsageError(
            """--extra takes a JSON object, such as '{"reasoning_effort": "none"}', not """
            f"{text!r}."
        )
    return extra


def _prices(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        prompt, completion = (float(part) for part in text.split(","))
    except ValueError:
        prompt = completion = -1.0
    if not (prompt >= 0 and completion >= 0):
        raise UsageError(
            f"--prices takes two prices per million tokens, such as 0.15,0.60, not {text!r}."
        )
    return prompt, completion
