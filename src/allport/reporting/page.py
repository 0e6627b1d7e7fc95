"""The report as one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from allport.reporting.content import ReportContent, percentile_of, t_of, unusable_share
from allport.reporting.figures import MOST_SUBJECTS
from allport.reporting.palette import (
    BAND,
    DARK,
    GRID,
    INK,
    MUTED,
    PAPER,
    SUBJECTS,
    answer_colours,
    number,
    ordinal,
    percent,
    reliability,
)
from allport.reporting.plain_text import printable
from allport.reporting.rendering import figure_svgs, inline_svg
from allport.reporting.wording import (
    adjectives,
    counted,
    lead,
    long_date,
    sensitivity_sentence,
)

__all__ = ["render_page"]

_FIGURES = {
    "profile": (
        "Profile",
        "Score of each trait with its 95% interval. The table that follows holds the same figures.",
    ),
    "facets": (
        "Facets",
        "Score of each facet with its 95% interval, one panel a trait. The table that follows "
        "holds the same figures.",
    ),
    "conditions": (
        "Trait scores by condition",
        "One mark for each way of asking; the bar spans them. The table that follows holds the "
        "same figures.",
    ),
    "sensitivity": (
        "Changed answers",
        "Share of items whose chosen answer changed with the order of the answers and with the "
        "template. The table that follows holds the same figures.",
    ),
}


def render_page(content: ReportContent, svgs: Mapping[str, str] | None = None) -> str:
    """The whole report as HTML.

    Args:
        content: What to report.
        svgs: The figures as SVG documents, by name, where they are drawn already.

    Returns:
        A document with styles and figures inside. It has no script and forbids any, so text of a
        model that looks like markup stays text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    if svgs is None:
        svgs = figure_svgs(content)
    environment = Environment(
        loader=PackageLoader("allport.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every value that is not markup of our own goes through here on its way into the page.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {
        "number": number,
        "ordinal": ordinal,
        "percent": percent,
        "reliability": reliability,
        "signed": lambda key: "+" if key > 0 else "−",
        "date": long_date,
    }
    environment.tests["finite"] = math.isfinite
    figures = {
        # Markup: drawn by us, and every label in it was escaped on the way.
        name: Markup(inline_svg(svg, name, *_FIGURES[name]))
        for name, svg in svgs.items()
    }
    return environment.get_template("report.html.j2").render(
        content=content,
        css=Markup(_css()),
        figures=figures,
        lead=lead(content),
        sensitivity_sentence=sensitivity_sentence(content),
        norms=content.has_norms,
        most_shown=MOST_SUBJECTS,
        first=content.subjects[0],
        adjectives=adjectives,
        t_of=t_of,
        percentile_of=percentile_of,
        unusable_share=unusable_share,
        counted=counted,
        colour_class=_colour_class,
        bar=_bar,
        intervals=_interval,
        subject_class=lambda index: f"s{index % MOST_SUBJECTS}",
        grouped_items=[
            (name, [item for item in content.items if item.trait == code])
            for code, name in content.trait_names.items()
            if any(item.trait == code for item in content.items)
        ],
        legend=list(content.scale),
        widest_distance=max((row.distance.value for row in content.person.rows), default=1.0)
        if content.person
        else 1.0,
    )


def _interval(estimate: Any, digits: int = 2) -> str:
    """Limits of an interval, or nothing where there is none."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}"


def _colour_class(place: int, options: int) -> str:
    """Class of the colour that an answer has in bars and legends."""
    colours = list(dict.fromkeys(answer_colours(5)))
    return f"a{colours.index(answer_colours(options)[place])}"


def _bar(shares: tuple[float, ...]) -> list[tuple[str, str]]:
    """Class and width of each part of an answer bar that is wide enough to be seen."""
    return [
        (_colour_class(place, len(shares)), f"{100 * share:.1f}%")
        for place, share in enumerate(shares)
        if share >= 0.004
    ]


def _css() -> str:
    """The style sheet with the palette of the figures, light and dark."""
    names = {"ink": INK, "muted": MUTED, "grid": GRID, "band": BAND, "paper": PAPER}
    names |= {f"s{index}": colour for index, colour in enumerate(SUBJECTS)}
    names |= {f"a{index}": colour for index, colour in enumerate(answer_colours(5))}

    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in colours.items())

    dark = variables({name: DARK[colour] for name, colour in names.items()})
    marks = "".join(
        f'svg [fill="{light}"]{{fill:{colour}}}svg [stroke="{light}"]{{stroke:{colour}}}'
        for light, colour in DARK.items()
    )
    classes = "".join(
        f".a{index}{{background:var(--a{index})}}" for index in range(len(answer_colours(5)))
    ) + "".join(f".s{index}{{--subject:var(--s{index})}}" for index in range(len(SUBJECTS)))
    sheet = files("allport.reporting").joinpath("report.css").read_text(encoding="utf-8")
    return (
        f":root{{{variables(names)}}}\n{sheet}\n{classes}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}{marks}}}"
    )
