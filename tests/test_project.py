"""The files that set the project up agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    """Version of each package in the constraints, by its canonical name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n")
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(name) for name, _ in found}) == len(found)
    return {canonicalize_name(name): version for name, version in found}


def required(*extras: str) -> list[Requirement]:
    project = PROJECT["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines if not line.startswith("allport")]


@pytest.mark.parametrize("requirement", required("dev", "notebook"), ids=lambda r: r.name)
def test_what_make_installs_is_pinned_to_a_version_that_is_allowed(
    requirement: Requirement,
) -> None:
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_cpu_and_cuda_builds_of_torch_both_satisfy_the_pin() -> None:
    assert re.fullmatch(r"[\d.]+", pins()["torch"])


def test_the_rooms_are_in_one_order_everywhere() -> None:
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    layers = [layer.strip("()").removeprefix("allport.") for layer in contract["layers"]]
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)/` \|", page, re.M)
    assert table == [room for room in reversed(layers) if room in table]
    rooms = {
        path.name
        for path in (ROOT / "src" / "allport").iterdir()
        if path.is_dir() and (path / "__init__.py").is_file()
    }
    assert rooms <= set(layers)


def test_every_room_says_what_it_is_for_in_a_line() -> None:
    for room in (ROOT / "src" / "allport").glob("*/__init__.py"):
        assert room.read_text(encoding="utf-8").startswith('"""'), room


def test_the_citation_names_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['project']['version']}\n" in citation
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
