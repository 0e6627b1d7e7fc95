"""The notebooks run from the first cell to the last."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_notebook(path: Path, folder: Path) -> Any:
    """Run a notebook in a fresh kernel and return it with its outputs."""
    with warnings.catch_warnings():
        # Deprecations inside Jupyter's own packages are not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=300, kernel_name="python3")
        return client.execute(cwd=str(folder), env=dict(os.environ))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_notebook_runs(name: str, tmp_path: Path) -> None:
    notebook = run_notebook(EXAMPLES / name, tmp_path)
    kinds = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    }
    assert "image/svg+xml" in kinds
    assert "text/html" in kinds


def test_notebooks_are_kept_without_outputs() -> None:
    import json

    found = sorted(EXAMPLES.glob("*.ipynb"))
    assert found
    for path in found:
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            assert cell.get("outputs", []) == []
            assert cell.get("execution_count") is None
