"""An alignment: what makes a model answer in the place of a person, as a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from allport.alignment.adapted_steering import AdaptedSteering, check_adapter
from allport.alignment.adapters import AdapterPart
from allport.alignment.projections import ModelSites, model_sites
from allport.alignment.steering import HookSite, RowDisplacement, SteeredTokens, Steerer
from allport.errors import AlignmentError
from allport.files import sha256_of

if TYPE_CHECKING:
    from allport.models.steering import Steering
    from allport.models.transformers_model import TransformersModel

__all__ = [
    "Alignment",
    "AlignmentPart",
    "check_weights",
    "compose",
    "model_identity",
    "steering_of",
]


@dataclass(frozen=True, eq=False)
class AlignmentPart:
    """Vectors that are added at one kind of place."""

    site: HookSite
    """ "heads": at the input of attention output projections, heads side by side. "residual": at
    the output of decoder blocks."""
    vectors: Mapping[int, NDArray[np.float32]]
    """What strength one adds, (width,) by layer, layers counted from 0 as the model does."""
    strength: float = 1.0
    tokens: SteeredTokens = "answer"
    """All tokens, or those from the answer position on."""

    def __post_init__(self) -> None:
        """Refuse what cannot be added."""
        for value, known in ((self.site, HookSite), (self.tokens, SteeredTokens)):
            if value not in get_args(known):
                raise AlignmentError(f"{value!r} is none of {', '.join(get_args(known))}.")
        if not np.isfinite(self.strength):
            raise AlignmentError(f"A strength of {self.strength} cannot be applied.")
        for layer, vector in self.vectors.items():
            if vector.ndim != 1 or not np.isfinite(vector).all():
                raise AlignmentError(
                    f"The vector of layer {layer} holds something other than finite numbers; fit "
                    "the alignment again."
                )

    @property
    def norms(self) -> dict[int, float]:
        """Length of what is added in each layer, strength included."""
        return {
            layer: abs(self.strength) * float(np.linalg.norm(vector.astype(np.float64)))
            for layer, vector in self.vectors.items()
        }


@dataclass(frozen=True, eq=False)
class Alignment:
    """What makes one model answer in the place of one person; nothing of it changes a weight.

    Example:
        >>> alignment = load_alignment("ann")  # doctest: +SKIP
        >>> model.aligned(alignment.scale(0.5))  # doctest: +SKIP
    """

    name: str
    """Of the person."""
    method: str
    """How it was made, such as "pas" or "prompt + pas"."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """The model it was made for: `weights_sha256` and the shape of its sites (`model_identity`);
    empty for an alignment in words, which any model takes."""
    parts: tuple[AlignmentPart, ...] = ()
    prompt: str = ""
    """System text; empty for none."""
    fit: Mapping[str, Any] = field(default_factory=dict)
    """How it was fitted, JSON-ready."""
    adapters: tuple[AdapterPart, ...] = ()
    """Low-rank changes of linear modules, from fine-tuning."""

    @property
    def changes_model(self) -> bool:
        """Whether it is more than words, so that it is for one model only."""
        return bool(self.parts or self.adapters)

    @property
    def strengths(self) -> tuple[float, ...]:
        """Of its parts, then of its adapters."""
        parts = tuple(part.strength for part in self.parts)
        return parts + tuple(adapter.strength for adapter in self.adapters)

    @property
    def strength(self) -> float | None:
        """Of its one part or adapter; None where there is none, or more than one."""
        return self.strengths[0] if len(self.strengths) == 1 else None

    @property
    def fitted_on(self) -> tuple[dict[str, Any], ...]:
        """Inventories, and numbers of their items, that it was fitted on, JSON-ready.

        One of each alignment that it is composed of; none where nothing is known to be fitted on.
        """
        return tuple(
            {"inventory": fit["inventory"], "items": list(fit["items"])}
            for fit in _single_fits(self.fit)
            if "items" in fit
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of everything that decides what is answered, and of the name."""
        vectors = [
            [sha256_of(np.ascontiguousarray(v, "<f4").tobytes()) for v in part.vectors.values()]
            for part in self.parts
        ]
        adapters = [adapter.hashes() for adapter in self.adapters]
        hashed = [self.description(), vectors, *([adapters] if adapters else [])]
        return sha256_of(json.dumps(hashed, sort_keys=True))

    def description(self) -> dict[str, Any]:
        """What it is but for the vectors and how they were fitted, JSON-ready."""
        found: dict[str, Any] = {
            "name": self.name,
            "method": self.method,
            "model": dict(self.model),
            "parts": [
                {
                    "site": part.site,
                    "strength": part.strength,
                    "tokens": part.tokens,
                    "layers": list(part.vectors),
                }
                for part in self.parts
            ],
            "prompt": self.prompt,
        }
        if self.adapters:
            found["adapters"] = [adapter.description() for adapter in self.adapters]
        return found

    def inspect(self) -> dict[str, Any]:
        """Everything that can be said of it in words and figures, JSON-ready."""
        found = self.description()
        for part, said in zip(self.parts, found["parts"], strict=True):
            said["norms"] = {str(layer): norm for layer, norm in part.norms.items()}
        for adapter, said in zip(self.adapters, found.get("adapters", ()), strict=True):
            said["norms"] = adapter.norms
        return {**found, "fit": dict(self.fit), "content_hash": self.content_hash}

    def scale(self, factor: float) -> Alignment:
        """The same direction, `factor` times as strong; at 0 only the prompt is left."""
        return replace(
            self,
            parts=tuple(replace(part, strength=part.strength * factor) for part in self.parts),
            adapters=tuple(
                replace(adapter, strength=adapter.strength * factor) for adapter in self.adapters
            ),
        )

    def on_tokens(self, tokens: SteeredTokens) -> Alignment:
        """The same, added to all tokens or from the answer position on."""
        return replace(self, parts=tuple(replace(part, tokens=tokens) for part in self.parts))

    def check(self, model: TransformersModel, sites: ModelSites | None) -> None:
        """Make sure that it was made for this model.

        Args:
            model: Not aligned.
            sites: Of the model; needed where there are parts.

        Raises:
            AlignmentError: It was made for other weights, or what it adds has other shapes.
        """
        if not self.changes_model:
            return
        check_weights(f"The alignment to {self.name}", self.model, model)
        for adapter in self.adapters:
            check_adapter(f"The alignment to {self.name}", adapter, model.model)
        for part in self.parts:
            assert sites is not None
            width = sites.width if part.site == "heads" else sites.hidden_size
            for layer, vector in part.vectors.items():
                if layer not in sites.layers or len(vector) != width:
                    raise AlignmentError(
                        f"The alignment to {self.name} adds {len(vector)} numbers in layer {layer};"
                        f" {model.name} takes {width} in layers {sites.layers[0]} to "
                        f"{sites.layers[-1]}. Fit it on this model."
                    )

    def row(self, sites: ModelSites) -> RowDisplacement | None:
        """What is added to a row, strength included; None where that is nothing."""
        return RowDisplacement.of(
            sites,
            [
                (
                    part.site,
                    part.tokens,
                    {
                        layer: torch.from_numpy(vector * np.float32(part.strength))
                        for layer, vector in part.vectors.items()
                    },
                )
                for part in self.parts
                if part.strength
            ],
        )

    def steering(self, model: TransformersModel) -> Steering:
        """The steering of a model; `TransformersModel.aligned` asks for it.

        Raises:
            AlignmentError: It was made for another model.
            ModelError: The model cannot be steered.
        """
        identity = {
            # What people set comes before the hash, so that a refused run names it first.
            "name": self.name,
            "method": self.method,
            "strengths": list(self.strengths),
            **({"fitted_on": list(self.fitted_on)} if self.fitted_on else {}),
            "alignment": self.content_hash,
        }
        return steering_of(model, [self], lambda _: self, identity)


def steering_of(
    model: TransformersModel,
    alignments: Iterable[Alignment],
    of: Callable[[str], Alignment | None],
    identity: Mapping[str, Any],
) -> Steering:
    """A model's steering by the alignment of each persona.

    Args:
        model: Not aligned.
        alignments: All that there are.
        of: The alignment of a persona, one of them; None for none.
        identity: What tells this steering from others, JSON-ready.

    Raises:
        AlignmentError: One of them was made for another model.
        ModelError: The model cannot be steered.
    """
    given = list(alignments)
    sites = model_sites(model.model) if any(each.parts for each in given) else None
    for alignment in given:
        alignment.check(model, sites)

    def row(persona: str) -> RowDisplacement | None:
        alignment = of(persona)
        return None if alignment is None or sites is None else alignment.row(sites)

    def prompt(persona: str) -> str:
        alignment = of(persona)
        return "" if alignment is None else alignment.prompt

    def adapters(persona: str) -> tuple[AdapterPart, ...]:
        alignment = of(persona)
        return () if alignment is None else alignment.adapters

    steerer = Steerer(sites, row, prompt, identity)
    if not any(each.adapters for each in given):
        return steerer
    return AdaptedSteering(steerer, model.model, adapters)


def compose(*alignments: Alignment, name: str | None = None) -> Alignment:
    """The sum of alignments: all their vectors are added, all their prompts are said in order.

    Args:
        alignments: One or more.
        name: Of the result; by default the names that differ, joined.

    Raises:
        AlignmentError: None is given, or they were made for different models.
    """
    if not alignments:
        raise AlignmentError("There is nothing to compose; give alignments.")
    steering = [alignment for alignment in alignments if alignment.changes_model]
    for other in steering[1:]:
        if other.model != steering[0].model:
            raise AlignmentError(
                f"The alignments to {steering[0].name} and to {other.name} were made for different "
                "models and cannot be added up."
            )
    return Alignment(
        name=name or _joined([alignment.name for alignment in alignments]),
        method=_joined([alignment.method for alignment in alignments]),
        model=steering[0].model if steering else {},
        parts=tuple(part for alignment in alignments for part in alignment.parts),
        prompt="\n\n".join(alignment.prompt for alignment in alignments if alignment.prompt),
        fit={
            "composed of": [{**a.description(), "fit": dict(a.fit)} for a in alignments],
        },
        adapters=tuple(adapter for alignment in alignments for adapter in alignment.adapters),
    )


def model_identity(model: TransformersModel, sites: ModelSites | None = None) -> dict[str, Any]:
    """What an alignment remembers of the model it is made for, JSON-ready.

    Raises:
        ModelError: The model cannot be steered.
    """
    sites = model_sites(model.model) if sites is None else sites
    return {
        "name": model.name,
        "weights_sha256": model.describe()["weights_sha256"],
        **sites.describe(),
    }


def check_weights(what: str, made_for: Mapping[str, Any], model: TransformersModel) -> None:
    """Make sure that something was made for the weights of this model.

    Args:
        what: Begins the sentence where it was not.
        made_for: From `model_identity`.
        model: The model it is to be used on.

    Raises:
        AlignmentError: It was made for others.
    """
    wanted, found = made_for.get("weights_sha256"), model.describe()["weights_sha256"]
    if wanted != found:
        raise AlignmentError(
            f"{what} was made for {made_for.get('name', 'a model')} with weights "
            f"{str(wanted)[:12]}, and {model.name} has {found[:12]}; fit it on this model."
        )


def _single_fits(fit: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """How each alignment was fitted that one is composed of; of itself where it is not composed."""
    parts = fit.get("composed of")
    if parts is None:
        return [fit]
    return [single for part in parts for single in _single_fits(part["fit"])]


def _joined(words: Sequence[str]) -> str:
    return " + ".join(dict.fromkeys(words))
