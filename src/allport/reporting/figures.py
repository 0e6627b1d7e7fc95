"""The figures of a report: profile, facets, conditions and sensitivity.

Each function gives an Altair chart of a `ReportContent`; `rendering` turns charts into SVG and PNG.
Colours and typefaces are those of `palette`, so that the page can follow a reader's dark mode by
mapping each of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from allport.reporting.content import ReportContent, Subject, percentile_of, t_of
from allport.reporting.palette import (
    BAND,
    FONT,
    GRID,
    INK,
    MUTED,
    ORDERS,
    PAPER,
    SUBJECTS,
    number,
    ordinal,
    percent,
)

if TYPE_CHECKING:
    import altair as alt

    from allport.administration.profiles import ProfileRow

    Figure: TypeAlias = "alt.LayerChart | alt.FacetChart | alt.VConcatChart"

__all__ = [
    "conditions_figure",
    "facets_figure",
    "profile_figure",
    "report_figures",
    "sensitivity_figure",
    "styled",
]

_WIDTH: Final = 560
_T_LIMITS: Final = (20.0, 80.0)
_SHAPES: Final = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down")

_Chart = TypeVar("_Chart")

MOST_SUBJECTS: Final = len(SUBJECTS)
"""More subjects than this are left to the tables."""


def report_figures(content: ReportContent) -> dict[str, Figure]:
    """Every figure that has something to show, by name."""
    figures: dict[str, Figure] = {"profile": profile_figure(content)}
    if any(subject.facets for subject in content.subjects):
        figures["facets"] = facets_figure(content)
    if len({_condition_name(row) for row in content.conditions}) > 1:
        figures["conditions"] = conditions_figure(content)
    if any(math.isfinite(row.order_flips.raw.value) for row in content.subjects[0].traits):
        figures["sensitivity"] = sensitivity_figure(content)
    return figures


def profile_figure(content: ReportContent) -> Figure:
    """Trait scores of every subject with their intervals, against the human norms if there are any.

    Without norms the axis is the response scale and no average range is drawn.
    """
    rows = [_mark(content, subject, row) for subject in _shown(content) for row in subject.traits]
    names = [row.name for row in content.subjects[0].traits]
    return styled(_scale_chart(content, rows, names, step=56, size=150, heads=True))


def facets_figure(content: ReportContent) -> Figure:
    """Facet scores of every subject, one panel a trait."""
    import altair as alt

    panels: list[alt.LayerChart | alt.FacetChart] = []
    traits = content.subjects[0].traits
    for trait in traits:
        rows = [
            _mark(content, subject, row)
            for subject in _shown(content)
            for row in subject.facets
            if row.trait == trait.code
        ]
        if rows:
            names = list(dict.fromkeys(row["name"] for row in rows))
            last = trait is traits[-1]
            first = not panels
            panel = _scale_chart(
                content, rows, names, step=32, size=70, axis=last, legend=first, heads=first
            )
            title = alt.TitleParams(
                trait.name, anchor="start", frame="bounds", fontSize=14, fontWeight=600, color=INK
            )
            panels.append(panel.properties(title=title))
    return styled(alt.vconcat(*panels, spacing=18))


def conditions_figure(content: ReportContent) -> Figure:
    """The first subject's trait scores under each condition, coloured by option order."""
    import altair as alt

    first = content.subjects[0]
    rows = [
        {
            "trait": content.trait_names[code],
            "score": score,
            "order": row.order,
            "template": row.template,
        }
        for row in content.conditions
        if row.subject == first.name
        for code, score in row.scores.items()
        if math.isfinite(score)
    ]
    orders = list(dict.fromkeys(str(row["order"]) for row in rows))
    templates = list(dict.fromkeys(str(row["template"]) for row in rows))
    names = [row.name for row in first.traits]
    base = alt.Chart(_data(rows))
    y = alt.Y("trait:N", sort=names, title=None, axis=_names_axis())
    x = alt.X(
        "score:Q",
        scale=alt.Scale(domain=_score_limits(content), nice=False, zero=False),
        title="Mean answer toward the trait",
        axis=alt.Axis(tickCount=5),
    )
    spans = base.mark_rule(strokeWidth=9, strokeCap="round", color=GRID, opacity=0.75).encode(
        y=y, x=alt.X("min(score):Q"), x2="max(score):Q"
    )
    points = base.mark_point(filled=True, size=85, opacity=0.9, stroke=PAPER, strokeWidth=1).encode(
        y=y,
        x=x,
        color=alt.Color(
            "order:N",
            sort=orders,
            scale=alt.Scale(domain=orders, range=_cycled(ORDERS, len(orders))),
            legend=alt.Legend(title="Option order", symbolType="circle"),
        ),
        shape=alt.Shape(
            "template:N",
            sort=templates,
            scale=alt.Scale(domain=templates, range=_cycled(_SHAPES, len(templates))),
            legend=alt.Legend(title="Template", symbolFillColor=MUTED),
        ),
    )
    figure: alt.LayerChart = (spans + points).properties(width=_WIDTH, height=_rows(40))
    return styled(figure)


def sensitivity_figure(content: ReportContent) -> Figure:
    """Of the first subject: how many choices change with order and template, trait by trait."""
    import altair as alt

    kinds = ("Another option order", "Another template")
    rows = [
        {
            "trait": row.name,
            "kind": kind,
            "changed": found.raw.value,
            "label": percent(found.raw.value),
        }
        for row in content.subjects[0].traits
        for kind, found in zip(kinds, (row.order_flips, row.template_flips), strict=True)
        if math.isfinite(found.raw.value)
    ]
    present = [kind for kind in kinds if any(row["kind"] == kind for row in rows)]
    names = [row.name for row in content.subjects[0].traits]
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("trait:N", sort=names, title=None, axis=_names_axis()),
        yOffset=alt.YOffset(
            "kind:N", sort=present, scale=alt.Scale(paddingInner=0.15, paddingOuter=0.5)
        ),
    )
    bars = base.mark_bar(cornerRadiusEnd=3).encode(
        x=alt.X(
            "changed:Q",
            scale=alt.Scale(domain=[0, 1], nice=False),
            axis=alt.Axis(format="%", tickCount=5),
            title="Items whose chosen answer changed",
        ),
        color=alt.Color(
            "kind:N",
            sort=present,
            scale=alt.Scale(
                domain=present,
                range=[ORDERS[kinds.index(kind)] for kind in present],
            ),
            legend=alt.Legend(title=None),
        ),
    )
    labels = base.mark_text(align="left", dx=6, fontSize=12, color=MUTED).encode(
        x="changed:Q", text="label:N"
    )
    figure: alt.LayerChart = (bars + labels).properties(width=_WIDTH, height=_rows(44))
    return styled(figure)


def _shown(content: ReportContent) -> tuple[Subject, ...]:
    return content.subjects[:MOST_SUBJECTS]


def _mark(content: ReportContent, subject: Subject, row: ProfileRow) -> dict[str, Any]:
    """A point with its interval, cut at the ends of the axis."""
    norms = content.has_norms
    shown = t_of(row) if norms else row.score
    low, high = _T_LIMITS if norms else _score_limits(content)
    finite = math.isfinite(shown.value)
    label = ordinal(percentile_of(row).value) if norms else number(row.score.value)

    def within(value: float) -> float | None:
        if not finite:
            return None
        return min(max(value if math.isfinite(value) else shown.value, low), high)

    return {
        "name": row.name,
        "who": subject.name,
        "value": within(shown.value),
        "low": within(shown.low),
        "high": within(shown.high),
        "label": label,
    }


def _scale_chart(
    content: ReportContent,
    rows: list[dict[str, Any]],
    names: list[str],
    *,
    step: int,
    size: int,
    axis: bool = True,
    legend: bool = True,
    heads: bool = False,
) -> alt.LayerChart | alt.FacetChart:
    """Points with intervals on the T scale over the average range, or on the response scale."""
    import altair as alt

    norms = content.has_norms
    who = [subject.name for subject in _shown(content)]
    limits = _T_LIMITS if norms else _score_limits(content)
    x_scale = alt.Scale(domain=list(limits), nice=False, zero=False)
    if not axis:
        x_axis = alt.Axis(labels=False, ticks=False, domain=False, title=None)
    elif norms:
        x_axis = alt.Axis(
            values=[20, 30, 40, 50, 60, 70, 80],
            title="T score, and percentile of people with that score",
            labelExpr="[datum.label, {'30': '2nd', '40': '16th', '50': '50th', '60': '84th', "
            "'70': '98th'}[datum.label] || '']",
            labelLineHeight=16,
        )
    else:
        x_axis = alt.Axis(tickCount=5, title="Mean answer toward the trait")
    shown_legend = alt.Legend(title=None, symbolOpacity=1) if legend and len(who) > 1 else None
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=_names_axis()),
        yOffset=alt.YOffset("who:N", sort=who, scale=alt.Scale(domain=who, paddingOuter=0.4)),
        color=alt.Color(
            "who:N",
            scale=alt.Scale(domain=who, range=list(SUBJECTS[: len(who)])),
            legend=shown_legend,
        ),
    )
    x = alt.X("value:Q", scale=x_scale, axis=x_axis)
    layers = []
    if norms:
        band = alt.Chart(_data([{"from": 45, "to": 55, "middle": 50}]))
        layers += [
            band.mark_rect(color=BAND).encode(x=alt.X("from:Q", scale=x_scale), x2="to:Q"),
            band.mark_rule(color=MUTED, strokeDash=[1, 3], opacity=0.8).encode(
                x=alt.X("middle:Q", scale=x_scale)
            ),
        ]
    layers += [
        base.mark_rule(strokeWidth=size**0.5 * 0.6, strokeCap="round", opacity=0.3).encode(
            x=alt.X("low:Q", scale=x_scale), x2="high:Q"
        ),
        base.mark_point(filled=True, size=size, opacity=1, stroke=PAPER, strokeWidth=1.2).encode(
            x=x,
            shape=alt.Shape(
                "who:N",
                scale=alt.Scale(domain=who, range=list(_SHAPES[: len(who)])),
                legend=shown_legend,
            ),
        ),
        base.mark_text(align="left", fontSize=11 if size < 100 else 13, fontWeight=600).encode(
            x=alt.value(_WIDTH + 14), text="label:N"
        ),
    ]
    if heads:
        layers += _column_heads(norms)
    return alt.layer(*layers).properties(width=_WIDTH, height=_rows(step))


def _column_heads(norms: bool) -> list[alt.Chart]:
    """What the parts of the axis and the figures at the right stand for, above the first row."""
    import altair as alt

    texts: list[tuple[str, float, Literal["left", "center"]]] = [
        ("percentile" if norms else "score", _WIDTH + 14, "left")
    ]
    if norms:
        low, high = _T_LIMITS
        texts += [
            (text, _WIDTH * (t - low) / (high - low), "center")
            for text, t in (("low", 32.5), ("average", 50.0), ("high", 67.5))
        ]
    return [
        alt.Chart(_data([{"text": text}]))
        .mark_text(align=align, baseline="bottom", fontSize=12, color=MUTED)
        .encode(text="text:N", x=alt.value(x), y=alt.value(-6))
        for text, x, align in texts
    ]


def _rows(step: int) -> alt.Step:
    """A height of `step` for each row, however many marks share it."""
    import altair as alt

    return alt.Step(step, **{"for": "position"})


def _names_axis() -> alt.Axis:
    import altair as alt

    return alt.Axis(
        domain=False,
        ticks=False,
        grid=True,
        gridColor=GRID,
        gridOpacity=0.7,
        tickBand="extent",
        labelPadding=16,
        labelLimit=240,
        minExtent=150,
    )


def _score_limits(content: ReportContent) -> tuple[float, float]:
    """Ends of the response scale; of situational items, 0 to 1 or what the scores reach."""
    if content.scale:
        values = [value for _, value in content.scale]
        return min(values), max(values)
    reached = [
        bound
        for subject in content.subjects
        for row in (*subject.traits, *subject.facets)
        for bound in (row.score.value, row.score.low, row.score.high)
        if math.isfinite(bound)
    ]
    return min([0.0, *reached]), max([1.0, *reached])


def _condition_name(row: Any) -> tuple[str, str, str, int]:
    return row.template, row.order, row.form, row.repeat


def _cycled(values: tuple[str, ...], count: int) -> list[str]:
    return [values[index % len(values)] for index in range(count)]


def _data(rows: list[dict[str, Any]]) -> alt.InlineData:
    import altair as alt

    return alt.InlineData(values=rows)


def styled(chart: _Chart) -> _Chart:
    """The house style in place of the library's own."""
    import altair as alt

    styled: _Chart = chart.configure(  # type: ignore[attr-defined]  # every chart has it
        font=FONT,
        background="transparent",
        padding=4,
        # The page describes each figure in words and in a table; marks need no description each.
        aria=False,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            grid=False,
            domainColor=GRID,
            tickColor=GRID,
            labelColor=INK,
            labelFontSize=13,
            titleColor=MUTED,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=12,
            labelPadding=6,
        ),
        legend=alt.LegendConfig(
            orient="top",
            labelFontSize=13,
            labelColor=INK,
            titleFontSize=12,
            titleFontWeight="normal",
            titleColor=MUTED,
            symbolSize=110,
            symbolStrokeWidth=1,
            offset=30,
            labelLimit=280,
            columnPadding=22,
        ),
    )
    return styled
