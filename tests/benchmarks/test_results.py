from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import results
from benchmarks.results import Row, read_results, summarised, table, update_tables, write_results


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that results and docs are in, instead of the project's own."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    return tmp_path


FAST = Row("speed.a", "items per second", 12.5, 11.0, 14.0, "×", 10.0, "higher")
SLOW = Row("speed.b", "seconds", 2.5, 2.25, 2.75, "s", 2.0, "lower")


def test_rows_come_back_as_they_were_written(folders: Path) -> None:
    unknown = Row("speed.c", "not to be had", math.nan, math.nan, math.inf, "", 1.0, "lower")
    path = write_results("speed", [FAST, SLOW, unknown], notes="How it was done.")
    assert path == folders / "results" / "speed.json"
    first, second, third = read_results("speed")
    assert (first, second) == (FAST, SLOW)
    assert math.isnan(third.value)
    assert (third.id, third.target, third.better) == ("speed.c", 1.0, "lower")


def test_a_results_file_has_the_fields_that_others_read(folders: Path) -> None:
    content = json.loads(write_results("speed", [FAST]).read_text(encoding="utf-8"))
    assert content["name"] == "speed"
    assert list(content["rows"][0]) == [
        "id",
        "metric",
        "value",
        "low",
        "high",
        "unit",
        "target",
        "better",
    ]
    assert {"processor", "cores", "python", "versions"} == set(content["machine"])
    assert set(content["machine"]["versions"]) >= {"allport", "torch", "transformers"}


def test_json_holds_no_nan(folders: Path) -> None:
    row = Row("a", "m", math.nan, -math.inf, math.inf, "", 1.0, "lower")
    text = write_results("speed", [row]).read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["rows"][0]["low"] is None


def test_the_median_with_the_range_of_repeats() -> None:
    odd = summarised("a", "m", [3.0, 1.0, 2.0], "s", 2.0, "lower")
    assert (odd.value, odd.low, odd.high) == (2.0, 1.0, 3.0)
    even = summarised("a", "m", [4.0, 1.0, 2.0, 3.0], "s", 2.0, "lower")
    assert (even.value, even.low, even.high) == (2.5, 1.0, 4.0)


@pytest.mark.parametrize(
    ("value", "better", "reached"),
    [
        (10.0, "higher", True),
        (9.99, "higher", False),
        (10.0, "lower", True),
        (10.01, "lower", False),
        (math.nan, "higher", False),
        (math.nan, "lower", False),
    ],
)
def test_targets(value: float, better: str, reached: bool) -> None:
    assert Row("a", "m", value, value, value, "", 10.0, better).reached is reached  # type: ignore[arg-type]  # parametrised


def test_a_table_shows_value_range_target_and_verdict() -> None:
    lines = table([FAST, SLOW, Row("c", "tokens", 12345.6, math.nan, 1e4, "", 1, "higher")])
    assert lines.split("\n") == [
        "| what | measured | low to high | target | reached |",
        "|---|---|---|---|---|",
        "| items per second | 12.5 × | 11 to 14 | ≥ 10 | yes |",
        "| seconds | 2.5 s | 2.25 to 2.75 | ≤ 2 | no |",
        "| tokens | 12,346 | – to 10,000 | ≥ 1 | yes |",
    ]


def test_figures_of_several_things_stand_side_by_side(folders: Path) -> None:
    rows = [
        Row("c.refusal.a", "refusal, labels, a", 12.5, 11.0, 14.0, "", 100.0, "lower"),
        Row("c.refusal.b", "refusal, labels, b", 0.0, math.nan, math.nan, "", 100.0, "lower"),
        Row("c.order.a", "order, a", math.nan, math.nan, math.nan, "", 100.0, "lower"),
    ]
    lines = [
        "| | a | b |",
        "|---|---|---|",
        "| refusal, labels | 12.5 (11 to 14) | 0 |",
        "| order | – | – |",
    ]
    assert table(rows, "side by side").split("\n") == lines
    page = folders / "docs" / "items.md"
    page.write_text("<!-- results: items -->\n<!-- end -->\n", encoding="utf-8")
    write_results("items", rows, layout="side by side")
    assert update_tables() == [page]
    shown = page.read_text(encoding="utf-8").split("\n")
    assert shown == ["<!-- results: items -->", *lines, "<!-- end -->", ""]


def test_tables_in_docs_are_rewritten_between_their_marks(folders: Path) -> None:
    page, other = folders / "docs" / "speed.md", folders / "docs" / "other.md"
    page.write_text(
        "# Speed\n\n<!-- results: speed -->\nold\n<!-- end -->\n\nBetween.\n\n"
        "<!-- results: memory -->\nkept\n<!-- end -->\n\n"
        "<!-- results: start -->\n<!-- end -->\nEnd.\n",
        encoding="utf-8",
    )
    other.write_text("No tables here. <!-- end -->\n", encoding="utf-8")
    write_results("speed", [FAST])
    write_results("start", [SLOW])
    assert update_tables() == [page]
    assert page.read_text(encoding="utf-8") == (
        f"# Speed\n\n<!-- results: speed -->\n{table([FAST])}\n<!-- end -->\n\nBetween.\n\n"
        "<!-- results: memory -->\nkept\n<!-- end -->\n\n"
        f"<!-- results: start -->\n{table([SLOW])}\n<!-- end -->\nEnd.\n"
    )
    assert update_tables() == []


def test_a_mark_without_an_end_loses_nothing(folders: Path) -> None:
    page = folders / "docs" / "speed.md"
    page.write_text("<!-- results: speed -->\nThe rest of the page.\n", encoding="utf-8")
    write_results("speed", [FAST])
    with pytest.raises(
        ValueError, match=r"speed\.md: no <!-- end --> follows the results of speed"
    ):
        update_tables()
    assert "The rest of the page." in page.read_text(encoding="utf-8")


def test_every_mark_in_the_docs_names_a_benchmark_and_has_an_end() -> None:
    pages = list((Path(__file__).parents[2] / "docs").glob("*.md"))
    assert pages
    named = []
    for page in pages:
        for part in page.read_text(encoding="utf-8").split("<!-- results: ")[1:]:
            name, closed, rest = part.partition(" -->")
            assert closed, page
            assert "<!-- end -->" in rest, f"{page}: {name}"
            named.append(name)
    assert sorted(named) == sorted(set(named))
    assert set(named) <= set(command.BENCHMARKS)


def test_an_unknown_benchmark_is_named_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["mesuring_speed"]) == 2
    said = capsys.readouterr().out
    assert "Unknown benchmark 'mesuring_speed'" in said
    assert all(name in said for name in command.BENCHMARKS)


@pytest.mark.parametrize("names", [["--help"], ["-h"], ["embedded", "--help"]])
def test_help_tells_how_and_runs_nothing(
    names: list[str], capsys: pytest.CaptureFixture[str], folders: Path
) -> None:
    assert command.main(names) == 0
    said = capsys.readouterr().out
    assert "python -m benchmarks [NAME ...]" in said
    assert all(name in said for name in command.BENCHMARKS)
    assert not (folders / "results").exists()
