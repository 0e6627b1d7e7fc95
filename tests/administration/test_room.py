from __future__ import annotations

import subprocess
import sys

import allport.administration


def test_the_room_opens_without_its_furniture() -> None:
    heavy = ("polars", "torch", "numpy", "scipy", "rich", "pydantic", "sqlite3")
    code = (
        "import sys, allport.administration, allport.models.scripted\n"
        f"sys.stdout.write(' '.join(name for name in {heavy} if name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == ""


def test_every_public_name_is_there_and_no_module_hides_one() -> None:
    room = allport.administration
    assert len(set(room.__all__)) == len(room.__all__)
    for name in room.__all__:
        assert type(getattr(room, name)).__name__ != "module"
    assert dir(room) == sorted(room.__all__)
