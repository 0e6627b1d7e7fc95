"""The commands by name. Each is imported when it is run, so that help and typing stay quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

__all__ = ["app", "wants_debug"]

_ASKING = Group("Measuring", sort_key=1)
_READING = Group("Results", sort_key=2)
_BANKS = Group("Questionnaires", sort_key=3)
_OPTIONS = Group("Options", sort_key=9)


def _version() -> str:
    from importlib.metadata import version

    return version("allport")


app = App(
    name="allport",
    help="Measure the personality of language models the way psychometrics measures people.",
    help_epilogue="allport COMMAND --help explains a command. Start with allport demo.",
    version=_version,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    group_parameters=_OPTIONS,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
    print_error=False,
    result_action="return_value",
)
app.meta.suppress_keyboard_interrupt = False
app["--help"].group = _OPTIONS
app["--version"].group = _OPTIONS

for _group, _commands in {
    _ASKING: {
        "demo": "See it work: measure the model that ships with Allport, and open a report.",
        "measure": "Measure a model: local, from the Hugging Face hub, or behind an endpoint.",
        "align": "Make a model answer in the place of a person, or of many people.",
        "export": "Write an alignment as a checkpoint, an adapter or a control vector.",
        "score": "Score answers that people gave: a CSV, a Parquet or a person file.",
        "survey": "Answer a questionnaire yourself: your profile, and a person file for align.",
    },
    _READING: {
        "report": "Write the report of a run: one HTML page, its figures and its tables.",
        "compare": "Compare two runs: paired differences with intervals.",
        "runs": "List run folders.",
    },
}.items():
    for _name, _help in _commands.items():
        app.command(
            f"allport.cli.{_name}:{_name}", name=_name, help=_help, group=_group, help_epilogue=""
        )

_inventories = App(
    name="inventories",
    help="List, show, import and check questionnaires.",
    group=_BANKS,
    help_epilogue="",
)
for _name, _help in {
    "list": "List every inventory that can be asked for by name.",
    "show": "Show one inventory: scale, traits, items, norms, licence, source.",
    "import": "Import the texts of bfi-44 or sd-3, or an inventory of your own.",
    "check": "Check an inventory file without importing it.",
}.items():
    _inventories.command(
        f"allport.cli.inventories:{_name}_", name=_name, help=_help, help_epilogue=""
    )
app.command(_inventories)

_evaluate = App(
    name="evaluate",
    help="Compare a model with people, or judge the questions that it is asked.",
    group=_ASKING,
    help_epilogue="",
)
_evaluate.command(
    "allport.cli.evaluate:person_",
    name="person",
    help="Ask a model in the place of people, and compare with what they answered.",
    help_epilogue="",
)
_evaluate.command(
    "allport.cli.evaluate_items:items_",
    name="items",
    help="Judge inventories as measures of a model: refusals, sensitivities, what moves what.",
    help_epilogue="",
)
app.command(_evaluate)

_build = App(
    name="build",
    help="Write questionnaires: situations with options, checked and judged.",
    group=_BANKS,
    help_epilogue="",
)
_build.command(
    "allport.cli.build:situations_",
    name="situations",
    help="Write situational items with a model, check them, and have them keyed blindly.",
    help_epilogue="",
)
app.command(_build)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    debug: Annotated[bool, Parameter(group=_OPTIONS, show_default=False)] = False,
) -> Any:
    """Run a command.

    Args:
        tokens: The command and its words.
        debug: Show where an error happened.
    """
    del debug  # read by `wants_debug`, which also works where the rest cannot be understood
    if tokens and not {"--help", "-h", "--version"} & set(tokens):
        _prepare()
    return app(tokens)


def wants_debug(words: Sequence[str]) -> bool:
    """Whether errors are to be shown with the place they happened at."""
    ends = words.index("--") if "--" in words else len(words)
    return "--debug" in words[:ends]


def _prepare() -> None:
    """Settings that count only before torch is imported."""
    if "torch" not in sys.modules:
        from allport.models.process import prepare_process

        prepare_process()
