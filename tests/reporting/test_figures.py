from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from allport.administration import Run
from allport.reporting import ReportContent, run_content
from allport.reporting.content import percentile_of, t_of
from allport.reporting.figures import report_figures
from allport.reporting.palette import ordinal
from allport.reporting.rendering import chart_png, chart_svg, inline_svg


@pytest.fixture(scope="module")
def content(neo_run: Run) -> ReportContent:
    return run_content(neo_run)


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """Every row of data in a chart's specification."""
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def texts_of(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [e.text or "" for e in root.iter() if e.tag.endswith("}text") or e.tag == "text"]


def test_profile_figure_holds_the_scores(content: ReportContent) -> None:
    rows = {row["name"]: row for row in rows_of(report_figures(content)["profile"]) if "who" in row}
    for trait in content.subjects[0].traits:
        expected = t_of(trait)
        shown = rows[trait.name]
        assert shown["value"] == pytest.approx(expected.value)
        assert (shown["low"], shown["high"]) == pytest.approx((expected.low, expected.high))
        assert shown["label"] == ordinal(percentile_of(trait).value)


def test_every_label_is_in_the_drawing(content: ReportContent) -> None:
    texts = texts_of(chart_svg(report_figures(content)["facets"]))
    for row in (*content.subjects[0].traits, *content.subjects[0].facets):
        assert row.name in texts


def test_conditions_figure_has_a_mark_for_each_condition_and_trait(content: ReportContent) -> None:
    rows = [row for row in rows_of(report_figures(content)["conditions"]) if "template" in row]
    assert len({(r["template"], r["order"], r["trait"]) for r in rows}) == 4 * 5


def test_sensitivity_figure_holds_the_flips(content: ReportContent) -> None:
    rows = rows_of(report_figures(content)["sensitivity"])
    shown = {row["trait"]: row["changed"] for row in rows if "order" in row.get("kind", "").lower()}
    for trait in content.subjects[0].traits:
        assert shown[trait.name] == pytest.approx(trait.order_flips.raw.value)


def test_one_condition_leaves_out_what_needs_two(one_condition_run: Run) -> None:
    figures = report_figures(run_content(one_condition_run))
    assert set(figures) == {"profile"}


def test_png_is_a_picture(content: ReportContent) -> None:
    png = chart_png(chart_svg(report_figures(content)["profile"]))
    assert png.startswith(b"\x89PNG\r\n")
    assert len(png) > 10_000


def test_control_characters_in_names_leave_the_drawing_whole(refusing_run: Run) -> None:
    svg = chart_svg(report_figures(run_content(refusing_run))["profile"])
    assert texts_of(svg)


def test_inline_figures_keep_their_ids_apart() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1"><g clip-path="url(#a)" id="a"/></svg>'
    first, second = (inline_svg(svg, name, "A <title>", "What & why") for name in ("one", "two"))
    assert 'id="one-a"' in first
    assert "url(#one-a)" in first
    assert 'id="two-a"' in second
    assert "A &lt;title&gt;" in first
    assert "What &amp; why" in first
    assert "http://" not in first
