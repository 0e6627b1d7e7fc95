"""Names, folders, and what importing the room costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import allport.inventories as room
from allport.inventories import load_inventory, read_inventory, user_folder, write_inventory


def test_importing_the_room_loads_nothing_slow() -> None:
    code = (
        "import sys, allport.inventories\n"
        "print(*{'numpy', 'pydantic', 'scipy', 'polars', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", room.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(room, name) is not None


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_inventories'"):
        room.load_inventories  # noqa: B018


def test_names_go_before_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mini-ipip-20").write_text("not an inventory")
    assert load_inventory("mini-ipip-20").title == "Mini-IPIP, 20 items"
    write_inventory(load_inventory("mini-ipip-20"), "copy.toml")
    assert load_inventory("copy.toml") == load_inventory("mini-ipip-20")
    assert load_inventory("./copy.toml") == load_inventory(Path("copy.toml"))


def test_the_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "inventories"
    monkeypatch.delenv("ALLPORT_HOME")
    assert user_folder().parts[-2:] == ("allport", "inventories")


def test_the_examples_of_the_page_are_read(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/inventories.md"
    blocks = dict(re.findall(r"```(text|toml)\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL))
    table, fields = tmp_path / "hugs.csv", tmp_path / "hugs.toml"
    table.write_text(blocks["text"])
    fields.write_text(blocks["toml"])
    one, other = read_inventory(table), read_inventory(fields)
    assert one.items == other.items
    assert one.scale == other.scale
    assert (one.title, one.stem) == (other.title, other.stem) == ("Hugs", "I")
