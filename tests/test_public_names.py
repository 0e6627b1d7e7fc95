"""What `import allport` gives, and what it costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import allport

INIT = Path(inspect.getfile(allport))


def declared_for_type_checkers() -> set[str]:
    """Names that the package's `if TYPE_CHECKING` block declares."""
    tree = ast.parse(INIT.read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    names: set[str] = set()
    for node in (inner for block in blocks for inner in block.body):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_names_are_sorted_and_the_same_everywhere() -> None:
    assert list(allport.__all__) == sorted(allport.__all__)
    assert declared_for_type_checkers() == set(allport.__all__)
    assert set(allport.__all__) <= set(dir(allport))


@pytest.mark.parametrize("name", allport.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(allport, name) is not None


ROOMS = sorted(m.name for m in pkgutil.iter_modules(allport.__path__) if m.ispkg)


@pytest.mark.parametrize("room", ROOMS)
def test_no_public_name_is_also_a_module_of_its_room(room: str) -> None:
    # Importing the module would put it in the place of what the room gives under that name.
    package = importlib.import_module(f"allport.{room}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(getattr(package, "__all__", ()))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'measure_soul'"):
        allport.measure_soul  # noqa: B018


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import allport; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('allport')), "
        "sorted(m for m in sys.modules if m.startswith('allport.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded, own = done.stdout.strip().split("] [")
    assert own == "]"
    assert not {"torch", "numpy", "polars", "pydantic", "rich"} & set(
        ast.literal_eval(loaded + "]")
    )


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert allport.__version__ == version("allport")
