from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import allport.evaluation


def test_every_public_name_is_there_and_no_module_hides_one() -> None:
    modules = {module.name for module in pkgutil.iter_modules(allport.evaluation.__path__)}
    for name in modules:
        importlib.import_module(f"allport.evaluation.{name}")
    # An imported module would stand in place of a public name that is spelled alike.
    assert not modules & set(allport.evaluation.__all__)
    for name in allport.evaluation.__all__:
        assert getattr(allport.evaluation, name) is not None
    assert set(allport.evaluation.__all__) <= set(dir(allport.evaluation))


def test_the_room_alone_imports_nothing_heavy() -> None:
    code = "import sys, allport.evaluation; print({'torch', 'polars', 'scipy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
