"""The options that say how a model is loaded, or how a service is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from allport.cli.output import Flag
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.models import Endpoint, Respondent

__all__ = ["EndpointOptions", "ModelOptions", "load_respondent"]

_LOCAL = Group("Local models", sort_key=3)
_ENDPOINT = Group("Endpoints (openai:NAME)", sort_key=4)
_PREFIX = "openai:"


@Parameter(name="*", group=_LOCAL)
@dataclass(frozen=True)
class ModelOptions:
    """How a local model is loaded."""

    batch_size: int | None = None
    """Questions that are asked at once; chosen by itself where not given."""
    dtype: str = "auto"
    """Number format of the weights: auto, float32, bfloat16, float16."""
    device_map: str | None = None
    """Where the weights go: cpu, cuda, cuda:1, auto."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    trust_remote_code: Flag = False
    """Run code that comes with the model. Only for models that you trust."""


@Parameter(name="*", group=_ENDPOINT)
@dataclass(frozen=True)
class EndpointOptions:
    """How an OpenAI-compatible service is asked. OPENAI_BASE_URL and OPENAI_API_KEY say which."""

    answers: Literal["auto", "logprobs", "samples", "structured"] = "auto"
    """Read distributions from log-probabilities, samples, or structured samples."""
    samples: int = 8
    """Answers per question where distributions are sampled."""
    temperature: float = 1.0
    """Of sampled and generated answers."""
    answer_tokens: int = 64
    """Most tokens of a sampled or generated answer."""
    concurrency: int = 8
    """Requests on their way at once."""
    timeout: float = 60.0
    """Seconds to wait for a reply."""
    prices: Annotated[str | None, Parameter(name="--prices")] = None
    """Price of a million prompt tokens and of a million completion tokens, such as 0.15,0.60."""
    max_cost: float | None = None
    """Stop before this cost is passed; needs --prices."""


def load_respondent(
    model: str, local: ModelOptions, remote: EndpointOptions
) -> Respondent | Endpoint:
    """Load the model that a command names.

    Args:
        model: "embedded", a local folder, a hub id, or "openai:NAME".
        local: How to load it, where it is local.
        remote: How to ask it, where it is a service.

    Raises:
        UsageError: An option does not fit.
        ModelError: The model cannot be had.
    """
    if not model.startswith(_PREFIX):
        from allport.models import load_model

        return load_model(
            model,
            revision=local.revision,
            dtype=local.dtype,
            device_map=local.device_map,
            batch_size=local.batch_size,
            trust_remote_code=local.trust_remote_code,
        )
    from allport.models import Endpoint

    name = model.removeprefix(_PREFIX)
    if not name:
        raise UsageError("Name the model of the endpoint, such as openai:gpt-4o-mini.")
    return Endpoint(
        name,
        answers=remote.answers,
        samples=remote.samples,
        temperature=remote.temperature,
        answer_tokens=remote.answer_tokens,
        concurrency=remote.concurrency,
        timeout=remote.timeout,
        prices=_prices(remote.prices),
        max_cost=remote.max_cost,
    )


def _prices(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        prompt, completion = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--prices takes two prices per million tokens, such as 0.15,0.60, not {text!r}."
        ) from None
    if not (prompt >= 0 and completion >= 0):
        raise UsageError(f"--prices takes prices of zero or more, not {text!r}.")
    return prompt, completion
