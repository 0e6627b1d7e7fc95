"""What the pages say exists, and what they show runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import allport.psychometrics as psychometrics
from allport.models.loading import EMBEDDED

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
    ]
)
RUNNABLE = [ROOT / "README.md", ROOT / "docs" / "python.md", ROOT / "docs" / "psychometrics.md"]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def anchors(page: Path) -> set[str]:
    """What the headings of a page can be linked by."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(found), f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pictures_are_there_with_words_for_those_who_do_not_see_them(page: Path) -> None:
    for words, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).is_file(), f"{target} is not there"
        assert len(words) > 10


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_shown_can_be_given(page: Path) -> None:
    from cyclopts.exceptions import MissingArgumentError

    from allport.cli.app import app

    text = page.read_text(encoding="utf-8")
    whole = [line[2:] for block in blocks(page, "console") for line in block.split("\n")]
    # Within a sentence a command may stand without its arguments.
    short = re.findall(r"`(allport [a-z][^`]*)`", text)
    for line in (*whole, *short):
        words = shlex.split(line.replace("…", "x"), comments=True)
        if words[:1] != ["allport"] or "--help" in words:
            continue
        try:
            _, _, unknown, _ = app.parse_known_args(words[1:])
        except MissingArgumentError:
            assert line in short, line
        else:
            assert not unknown, f"{line}: {unknown}"


def test_there_is_something_to_run() -> None:
    assert all(blocks(page, "python") for page in RUNNABLE)


@pytest.mark.parametrize("page", RUNNABLE, ids=named)
def test_python_that_is_shown_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (EMBEDDED / "model.safetensors").is_file():
        pytest.skip("the embedded model has not been trained into this checkout")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(blocks(page, "python"), start=1):
        exec(compile(block, f"{named(page)}, block {number}", "exec"), space)


def test_every_estimator_has_its_formula_and_source() -> None:
    import types

    page = (ROOT / "docs" / "psychometrics.md").read_text(encoding="utf-8")
    functions = {
        name
        for name in psychometrics.__all__
        if isinstance(getattr(psychometrics, name), types.FunctionType)
    }
    explained = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert functions - explained <= {"undefined"}


def test_every_template_is_in_the_table() -> None:
    from allport.administration import load_templates

    page = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| (?:before|after)", page, re.M)
    assert rows == list(load_templates())


def test_every_column_of_responses_is_explained() -> None:
    from allport.administration import SCHEMA

    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    section = page[page.index("## Responses") : page.index("## Profiles")]
    assert set(SCHEMA) <= set(re.findall(r"`([a-z_]+)`", section))


def source_messages() -> list[str]:
    """Every message in the code, its gaps filled with "…", and those of the shell and make."""
    import ast

    found = [path.read_text(encoding="utf-8") for path in (ROOT / "scripts").iterdir()]
    found.append((ROOT / "Makefile").read_text(encoding="utf-8"))
    for path in (ROOT / "src" / "allport").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_that_are_explained_are_messages_that_are_given() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    assert len(explained) > 40
    given = source_messages()
    for message in explained:
        wanted = re.compile(".*".join(map(re.escape, message.split("…"))), re.S)
        assert any(wanted.search(text) for text in given), message
