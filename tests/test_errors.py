from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import allport.errors as errors
from allport.errors import AllportError, EndpointError, ModelError, UsageError

SOURCE = Path(errors.__file__).parent
CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"\b\w+Error\b", errors.__doc__))
    assert drawn == set(errors.__all__)
    assert all(issubclass(each, AllportError) for each in CLASSES)
    assert issubclass(EndpointError, ModelError)


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_exit_codes(error: type[AllportError]) -> None:
    assert error.exit_code == (2 if issubclass(error, UsageError) else 1)
    assert inspect.getdoc(error)


def messages() -> list[tuple[str, str]]:
    """Place and text of every message that stands whole in the code, its gaps filled with "X"."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in errors.__all__ or not node.args:
                continue
            said = node.args[0]
            parts = said.values if isinstance(said, ast.JoinedStr) else [said]
            if not all(isinstance(part, ast.Constant | ast.FormattedValue) for part in parts):
                continue
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts
            )
            found.append((f"{path.relative_to(SOURCE)}:{node.lineno}", text))
    return found


def test_every_message_is_a_sentence_or_two() -> None:
    every = messages()
    assert len(every) > 150
    for where, text in every:
        assert text.endswith((".", "X")), f"{where}: {text}"
        assert "\n" not in text, f"{where}: {text}"
        assert len(re.findall(r"[.?!] [A-Z]", text)) <= 1, f"{where}: {text}"
        assert text[:1].isupper() or text[:1] in "'-o", f"{where}: {text}"
