"""Allport measures the personality of language models the way psychometrics measures people.

    import allport

    inventory = allport.load_inventory("ipip-neo-120")
    model = allport.load_model("embedded")
    run = allport.measure(model, inventory, allport.Design())
    print(allport.profile(run.responses, inventory).to_frame())

Everything public is here. A name is imported with its first use, so that `import allport` costs
next to nothing; torch is loaded when a model is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polars import DataFrame as Responses

    from allport.administration import (
        Comparison,
        Design,
        PeopleScores,
        Profile,
        Run,
        compare,
        measure,
        plan,
        profile,
        read_run,
        score,
    )
    from allport.errors import (
        AllportError,
        EndpointError,
        InventoryError,
        ModelError,
        ResponsesError,
        RunError,
        UsageError,
    )
    from allport.inventories import (
        Inventory,
        available_inventories,
        import_inventory,
        load_inventory,
        norm_groups,
        read_inventory,
    )
    from allport.models import (
        Endpoint,
        HumanAnswers,
        Respondent,
        ScriptedRespondent,
        TransformersModel,
        load_model,
        read_human_answers,
    )
    from allport.personas import Person, TraitLevels, read_person, write_person
    from allport.reporting import report

    __version__: str

__all__ = [
    "AllportError",
    "Comparison",
    "Design",
    "Endpoint",
    "EndpointError",
    "HumanAnswers",
    "Inventory",
    "InventoryError",
    "ModelError",
    "PeopleScores",
    "Person",
    "Profile",
    "Respondent",
    "Responses",
    "ResponsesError",
    "Run",
    "RunError",
    "ScriptedRespondent",
    "TraitLevels",
    "TransformersModel",
    "UsageError",
    "__version__",
    "available_inventories",
    "compare",
    "import_inventory",
    "load_inventory",
    "load_model",
    "measure",
    "norm_groups",
    "plan",
    "profile",
    "read_human_answers",
    "read_inventory",
    "read_person",
    "read_run",
    "report",
    "score",
    "write_person",
]

_HOMES = {
    "administration": (
        "Comparison",
        "Design",
        "PeopleScores",
        "Profile",
        "Run",
        "compare",
        "measure",
        "plan",
        "profile",
        "read_run",
        "score",
    ),
    "errors": (
        "AllportError",
        "EndpointError",
        "InventoryError",
        "ModelError",
        "ResponsesError",
        "RunError",
        "UsageError",
    ),
    "inventories": (
        "Inventory",
        "available_inventories",
        "import_inventory",
        "load_inventory",
        "norm_groups",
        "read_inventory",
    ),
    "models": (
        "Endpoint",
        "HumanAnswers",
        "Respondent",
        "ScriptedRespondent",
        "TransformersModel",
        "load_model",
        "read_human_answers",
    ),
    "personas": ("Person", "TraitLevels", "read_person", "write_person"),
    "reporting": ("report",),
}
_HOME = {name: room for room, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("allport")
    elif name == "Responses":
        # Responses are a Polars frame with the columns of `allport.administration.SCHEMA`.
        value = import_module("polars").DataFrame
    elif name in _HOME:
        value = getattr(import_module(f"allport.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'allport' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
