"""Every way of aligning under one name: `fit(model, persona, method)`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel
    from allport.personas.persona import Persona

__all__ = ["METHODS", "Method", "fit"]

Method = Literal["pas", "pas-traits", "pas-published", "prompt", "iti", "caa", "sft", "dpo"]
METHODS: tuple[Method, ...] = get_args(Method)
"""Ways of aligning, by name."""

_FITTERS: dict[str, tuple[str, str]] = {
    "pas": ("pas", "fit_pas"),
    "pas-traits": ("pas_traits", "fit_pas_traits"),
    "pas-published": ("pas_published", "fit_pas_published"),
    "iti": ("iti", "fit_iti"),
    "caa": ("caa", "fit_caa"),
    "sft": ("fine_tuning", "fit_sft"),
    "dpo": ("fine_tuning", "fit_dpo"),
}


def fit(
    model: TransformersModel,
    persona: Persona,
    method: Method = "pas",
    *,
    items: Sequence[int] = (),
    **options: Any,
) -> Alignment:
    """Align a model to a persona.

    Args:
        model: A local model; "prompt" asks it only what trait levels leave open.
        persona: A person, or trait levels.
        method: One of `METHODS`; what each is and takes is said in its module.
        items: Numbers of the items to fit on; see `fitting_answers` for the default.
        options: Of the method, such as `heads`, `strengths`, `directions` or `kind`.

    Returns:
        An alignment for `model.aligned`; its `fit` says how it was made and the seconds it took.

    Raises:
        UsageError: There is no such method, or an option does not fit.
        ResponsesError: Too few answers, or all the same.
        ModelError: The model cannot be steered.
    """
    start = time.perf_counter()
    if method == "prompt":
        from allport.alignment.prompting import fit_prompt

        found = fit_prompt(persona, items=items, model=model, **options)
    elif method not in _FITTERS:
        raise UsageError(f"Unknown method {method!r}; known: {', '.join(METHODS)}.")
    else:
        module, name = _FITTERS[method]
        fitter: Callable[..., Alignment]
        fitter = getattr(import_module(f"allport.alignment.{module}"), name)
        found = fitter(model, persona, items=items, **options)
    return replace(found, fit={**found.fit, "seconds": time.perf_counter() - start})
