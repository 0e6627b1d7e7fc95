"""Who answers: local models, services, people, and scripts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.models.endpoint import DryRun, Endpoint
    from allport.models.human_answers import HumanAnswers
    from allport.models.human_files import read_human_answers, write_human_answers
    from allport.models.loading import load_model
    from allport.models.parsing import ParsedAnswer, parse_choice
    from allport.models.process import prepare_process
    from allport.models.respondent import (
        Condition,
        Message,
        Question,
        Reading,
        Respondent,
        Response,
    )
    from allport.models.scripted import Script, ScriptedRespondent
    from allport.models.transformers_model import Reply, TransformersModel

__all__ = [
    "Condition",
    "DryRun",
    "Endpoint",
    "HumanAnswers",
    "Message",
    "ParsedAnswer",
    "Question",
    "Reading",
    "Reply",
    "Respondent",
    "Response",
    "Script",
    "ScriptedRespondent",
    "TransformersModel",
    "load_model",
    "parse_choice",
    "prepare_process",
    "read_human_answers",
    "write_human_answers",
]

# torch, transformers and openai are imported with the first name that needs them.
_HOMES = {
    "endpoint": ("DryRun", "Endpoint"),
    "human_answers": ("HumanAnswers",),
    "human_files": ("read_human_answers", "write_human_answers"),
    "loading": ("load_model",),
    "parsing": ("ParsedAnswer", "parse_choice"),
    "process": ("prepare_process",),
    "respondent": ("Condition", "Message", "Question", "Reading", "Respondent", "Response"),
    "scripted": ("Script", "ScriptedRespondent"),
    "transformers_model": ("Reply", "TransformersModel"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'allport.models' has no attribute {name!r}")
    value = getattr(import_module(f"allport.models.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
