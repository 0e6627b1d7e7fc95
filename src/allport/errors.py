"""The errors a person can cause, and what the command line does with them.

    AllportError            exit 1: something asked for cannot be done
    ├── UsageError          exit 2: the request itself is wrong
    ├── InventoryError      a questionnaire file that does not hold
    ├── ResponsesError      a file of answers that does not hold
    ├── ModelError          a model that cannot be had or cannot be asked
    │   └── EndpointError   a service that does not answer as it should
    ├── AlignmentError      an alignment that cannot be fitted, read or applied
    └── RunError            a run folder that cannot be written, read or resumed

Each message is one sentence or two: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "AlignmentError",
    "AllportError",
    "EndpointError",
    "InventoryError",
    "ModelError",
    "ResponsesError",
    "RunError",
    "UsageError",
]


class AllportError(Exception):
    """Base of every error that is shown to a person without a traceback."""

    exit_code = 1


class UsageError(AllportError):
    """The request itself is wrong: an unknown name, an option that does not fit."""

    exit_code = 2


class InventoryError(AllportError):
    """An inventory file, or an inventory, does not hold."""


class ResponsesError(AllportError):
    """Answers that do not fit their inventory or their declaration."""


class ModelError(AllportError):
    """A model cannot be loaded, or cannot be asked what was asked of it."""


class EndpointError(ModelError):
    """A service did not answer as an OpenAI-compatible endpoint should."""


class AlignmentError(AllportError):
    """An alignment cannot be fitted, read, or applied to this model."""


class RunError(AllportError):
    """A run folder cannot be written, read or resumed."""
