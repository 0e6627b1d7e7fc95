from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

from allport import psychometrics

# Checks that other modules share; nothing a user would call.
INTERNAL = {"correlation"}


def test_the_room_exports_what_its_modules_do():
    exported = {}
    for module in iter_modules(psychometrics.__path__):
        if module.name not in INTERNAL:
            names = import_module(f"allport.psychometrics.{module.name}").__all__
            exported.update(dict.fromkeys(names, module.name))
    assert exported == psychometrics._HOME
    assert sorted(psychometrics.__all__) == sorted(exported)
    for name in exported:
        assert name in dir(psychometrics)


def test_names_do_not_hide_modules():
    modules = {module.name for module in iter_modules(psychometrics.__path__)}
    assert not modules & set(psychometrics.__all__)


def test_names_come_with_their_first_use():
    from allport.psychometrics import cronbach_alpha, reliability

    assert cronbach_alpha is reliability.cronbach_alpha
    with pytest.raises(AttributeError, match="no attribute 'cronbach_beta'"):
        psychometrics.cronbach_beta  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize(
    "module", ["", ".reliability", ".scoring", ".agreement", ".sensitivity", ".styles"]
)
def test_importing_does_not_import_scipy(module):
    code = (
        f"import sys, allport.psychometrics{module}; "
        "assert not {'scipy', 'torch', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
