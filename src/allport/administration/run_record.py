"""What a run folder says about itself, so that the run can be repeated."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from allport.administration.design import Design
from allport.administration.templates import Template
from allport.errors import AllportError, RunError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question

__all__ = ["RunRecord", "Session", "describe_differences", "now", "package_versions"]

_FORMAT = "allport-run-1"
_PACKAGES = (
    "allport",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "accelerate",
    "openai",
    "numpy",
    "scipy",
    "polars",
)
_SHOWN = 3
"""How many differing fields a message names."""


@dataclass(frozen=True, slots=True)
class Session:
    """One process that worked on a run."""

    started: str
    packages: Mapping[str, str]
    platform: str
    observed: Mapping[str, Any] = field(default_factory=dict)
    """What asking found out about the respondent, where it says so: parameters that a service does
    not take, how distributions were read therefore, what it says of itself."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of `run.json`: everything needed to repeat the run."""

    respondent: str
    """Name of the respondent, as shown in tables."""
    description: Mapping[str, Any]
    """What identifies the respondent: model, revision, weights and tokenizer hashes, dtype."""
    inventory: Inventory
    design: Design
    personas: Mapping[str, str]
    """System text of each persona of the design, by name."""
    templates: Mapping[str, Mapping[str, Any]]
    """Every field of each question template of the design, by name."""
    questions: int
    """How many questions the run has."""
    questions_hash: str
    """SHA-256 of all questions as they are put, so that none is asked in two wordings."""
    started: str = ""
    finished: str | None = None
    """When the last answer came; None while the run is not complete. Times are UTC, ISO 8601."""
    sessions: tuple[Session, ...] = field(default=())
    adaptive: Mapping[str, Any] | None = None
    """By which rule items are chosen where only some of the questions are put; None where all
    are."""

    @classmethod
    def of(
        cls,
        name: str,
        description: Mapping[str, Any],
        inventory: Inventory,
        design: Design,
        personas: Mapping[str, str],
        templates: Mapping[str, Template],
        questions: Sequence[Question],
    ) -> Self:
        """The record of a run that is about to start.

        Raises:
            RunError: The respondent's description is no JSON.
        """
        try:
            plain = json.loads(json.dumps(dict(description), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise RunError(f"The description of {name} cannot be kept in a run: {error}.") from None
        wording = hashlib.sha256()
        for question in questions:
            wording.update(repr(question).encode())
        return cls(
            respondent=name,
            description=plain,
            inventory=inventory,
            design=design,
            personas=dict(personas),
            templates={key: dataclasses.asdict(templates[key]) for key in design.templates},
            questions=len(questions),
            questions_hash=wording.hexdigest(),
        )

    def to_json(self) -> str:
        """The text of `run.json`."""
        content = {
            "format": _FORMAT,
            **self._identity(),
            "questions": self.questions,
            "started": self.started,
            "finished": self.finished,
            "sessions": [dataclasses.asdict(session) for session in self.sessions],
            "inventory_content": self.inventory.model_dump(mode="json"),
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `run.json`.

        Raises:
            RunError: The file is missing, or no record of a run.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.get("format") != _FORMAT:
                raise ValueError(f"its format is {content.get('format')!r}, not {_FORMAT!r}")
            return cls(
                respondent=content["name"],
                description=content["respondent"],
                inventory=Inventory.model_validate(content["inventory_content"]),
                design=Design.from_json(content["design"]),
                personas=content["personas"],
                templates=content["templates"],
                questions=int(content["questions"]),
                questions_hash=content["questions_hash"],
                started=content["started"],
                finished=content["finished"],
                sessions=tuple(Session(**session) for session in content["sessions"]),
                adaptive=content.get("adaptive"),
            )
        except FileNotFoundError:
            raise RunError(f"{path.parent} is no run folder; it has no {path.name}.") from None
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AllportError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise RunError(f"{path} cannot be read as the record of a run ({reason}).")

    def differences(self, now: RunRecord) -> list[str]:
        """What two records disagree on, one phrase a field; empty where one run is the other.

        Times and package versions may differ: they are kept for each session.
        """
        recorded, current = (json.loads(json.dumps(r._identity())) for r in (self, now))
        return _differences(recorded, current)

    def _identity(self) -> dict[str, Any]:
        return {
            "name": self.respondent,
            "respondent": dict(self.description),
            "inventory": {
                "name": self.inventory.name,
                "version": self.inventory.version,
                "hash": self.inventory.content_hash,
            },
            "design": self.design.to_json(),
            "personas": dict(self.personas),
            "templates": {name: dict(fields) for name, fields in self.templates.items()},
            "questions_hash": self.questions_hash,
            **({} if self.adaptive is None else {"adaptive": dict(self.adaptive)}),
        }


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that answers can depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def describe_differences(differences: Sequence[str]) -> str:
    """The first differing fields and the number of the others, for a message."""
    more = len(differences) - _SHOWN
    return "; ".join(differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _differences(recorded: Any, current: Any, path: str = "") -> list[str]:
    if isinstance(recorded, dict) and isinstance(current, dict):
        keys = list(recorded) + [key for key in current if key not in recorded]
        return [
            difference
            for key in keys
            for difference in _differences(
                recorded.get(key), current.get(key), f"{path}.{key}" if path else str(key)
            )
        ]
    if recorded == current:
        return []
    return [f"{path} was {_short(recorded)} and is now {_short(current)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else f"{text[:45]}..."
