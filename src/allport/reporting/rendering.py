"""Charts as SVG and PNG, and SVG made fit to stand inside a page."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from allport.reporting.plain_text import printable

if TYPE_CHECKING:
    import altair as alt

    from allport.reporting.content import ReportContent

__all__ = ["chart_png", "chart_svg", "figure_svgs", "inline_svg"]

_CLIP = re.compile(r"(?<=[#\"])clip(\d+)(?=[)\"])")


def figure_svgs(content: ReportContent) -> dict[str, str]:
    """Every figure of a report as a standalone SVG document, by name."""
    from allport.reporting.figures import report_figures

    return {name: chart_svg(chart) for name, chart in report_figures(content).items()}


def chart_svg(chart: alt.Chart | alt.LayerChart | Any) -> str:
    """A chart as a standalone SVG document."""
    import vl_convert

    specification = chart.to_dict()
    # Room between two legends; the schema that charts are checked with does not know it.
    legend = specification.setdefault("config", {}).setdefault("legend", {})
    legend["layout"] = {"top": {"anchor": "start", "direction": "horizontal", "margin": 36}}
    svg: str = vl_convert.vegalite_to_svg(_printable(specification))
    # The library counts clip paths through the life of the process; the same chart is to give the
    # same document.
    order = {found: place for place, found in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    return _CLIP.sub(lambda found: f"clip{order[found[1]]}", svg)


def chart_png(svg: str, scale: float = 2.0) -> bytes:
    """An SVG document as PNG, `scale` pixels to a unit, on white."""
    import vl_convert

    opened, tag, rest = svg.partition(">")
    white = f'{opened}{tag}<rect width="100%" height="100%" fill="#ffffff"/>{rest}'
    png: bytes = vl_convert.svg_to_png(white, scale=scale)
    return png


def inline_svg(svg: str, name: str, title: str, description: str) -> str:
    """An SVG document as an element of a page, with a title and a description for screen readers.

    Args:
        svg: What `chart_svg` gave.
        name: Prefix of the ids inside, unique in the page; letters, digits and hyphens.
        title: Names the figure.
        description: Says what it shows, in a sentence.
    """
    start = svg.index("<svg")
    opened, body = svg[start:].split(">", 1)
    opened = re.sub(r'\s(?:xmlns(?::xlink)?|version|class)="[^"]*"', "", opened)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    return (
        f'{opened} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-description">{html.escape(description)}</desc>{body}'
    )


def _printable(value: Any) -> Any:
    """The same specification without characters that an XML document cannot hold."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_printable(entry) for entry in value]
    return value
