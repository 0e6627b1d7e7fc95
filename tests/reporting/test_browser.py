"""The report in a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from allport.administration import Run
from allport.reporting import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    return found


def rendered(
    browser: str, page: Path, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [browser, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_page_renders_and_runs_nothing(browser: str, refusing_run: Run, tmp_path: Path) -> None:
    page = report(refusing_run, tmp_path).page
    document = rendered(browser, page, tmp_path, "--dump-dom").stdout
    assert "</html>" in document
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document
    assert not re.search(r"<script|<b onload", document)


def test_page_has_a_picture(browser: str, neo_run: Run, tmp_path: Path) -> None:
    page, shot = report(neo_run, tmp_path).page, tmp_path / "page.png"
    rendered(browser, page, tmp_path, f"--screenshot={shot}", "--window-size=1200,2400")
    # A blank page of this size compresses to about 10 kB.
    assert shot.stat().st_size > 80_000
