from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import pytest

from allport.administration import Run
from allport.evaluation.one_person import OnePerson, PersonDistance
from allport.personas import Person
from allport.psychometrics.estimate import Estimate
from allport.reporting import ReportContent, person_subject, render_page, run_content
from allport.reporting.wording import sensitivity_sentence

VOID = {"meta", "link", "img", "br", "hr", "input", "path", "line", "rect"}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, attributes and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def content(neo_run: Run) -> ReportContent:
    return run_content(neo_run)


@pytest.fixture(scope="module")
def html(content: ReportContent) -> str:
    return render_page(content)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_is_one_small_file_that_loads_nothing(html: str, page: Page) -> None:
    assert len(html.encode()) < 2_000_000
    loading = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "base"}
    assert loading.isdisjoint(tag for tag, _ in page.elements)
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data", "poster") and value
    ]
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert not re.search(r"@import|url\((?!#)", html)


def test_page_forbids_scripts(page: Page) -> None:
    policies = [a for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies
    assert "default-src 'none'" in str(policies[0]["content"])
    assert "script-src" not in str(policies[0]["content"])


def test_page_is_well_formed(page: Page) -> None:
    assert page.unbalanced == []
    assert page.open == []


def test_ids_are_unique_and_references_resolve(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            for reference in (attributes.get(name) or "").split():
                assert reference in ids
        if (attributes.get("href") or "").startswith("#"):
            assert str(attributes["href"])[1:] in ids


def test_figures_are_named_and_described_for_screen_readers(page: Page) -> None:
    figures = [a for tag, a in page.elements if tag == "svg"]
    assert len(figures) == 4
    for attributes in figures:
        assert attributes["role"] == "img"
        assert attributes["aria-labelledby"]


def test_tables_have_heads_with_scopes(page: Page) -> None:
    heads = [a for tag, a in page.elements if tag == "th"]
    assert heads
    assert all(a.get("scope") in ("col", "row", "rowgroup", "colgroup") for a in heads)


def test_every_trait_facet_and_item_is_there(page: Page, content: ReportContent) -> None:
    for row in (*content.subjects[0].traits, *content.subjects[0].facets):
        assert row.name in page.text
    for item in content.items:
        assert item.text in page.text
    assert len(content.items) == 120
    # Scores shown are means, and no mean is a sum.
    assert "Each trait is made of its facets' items." in page.text


def test_lead_says_in_words_what_the_figures_say(page: Page, content: ReportContent) -> None:
    start = page.text.index("Asked IPIP-NEO-120 under 4 conditions, by-rule")
    sentence = page.text[start:].split(".")[0]
    by_name = {row.name: row.norm.level for row in content.subjects[0].traits if row.norm}
    for name, level in by_name.items():
        before = sentence[: sentence.index(name)]
        said = max(("high", "average", "low"), key=before.rfind)
        assert said == level


def test_norms_are_named_with_their_source(page: Page, content: ReportContent) -> None:
    assert content.subjects[0].norm_group in page.text
    assert content.norm_source in page.text


def test_hostile_text_stays_text(refusing_run: Run) -> None:
    html = render_page(run_content(refusing_run))
    page = Page(html)
    assert "script" not in [tag for tag, _ in page.elements]
    assert "b" not in [tag for tag, _ in page.elements]
    assert "</script></td><script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert page.unbalanced == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html)
    assert "␛[31m" in page.text


def test_refusals_are_counted_and_quoted(refusing_run: Run) -> None:
    content = run_content(refusing_run)
    page = Page(render_page(content))
    assert content.missing == 40
    assert "Answers that could not be used" in page.text
    assert "4 of 4 not usable" in page.text
    assert any("40 of 80 answers cannot be used" in caution for caution in content.cautions)


def test_cautions_open_the_page(refusing_run: Run) -> None:
    content = run_content(refusing_run)
    text = Page(render_page(content)).text
    assert content.cautions
    for caution in content.cautions:
        assert text.index(caution) < text.index("Traits, with 95% intervals")


def test_sound_measurement_says_so(content: ReportContent) -> None:
    drawn = dict.fromkeys(("profile", "facets"), "<svg></svg>")
    sound = Page(render_page(dataclasses.replace(content, cautions=()), drawn))
    assert "No warning sign was found" in sound.text
    # How much the way of asking mattered is said in figures, and judged by whoever reads it.
    assert f"within traits.{sensitivity_sentence(content)}" in sound.text
    assert "much the same" not in sound.text
    assert "Before you rely on this" not in sound.text


def test_intervals_are_over_other_items(page: Page) -> None:
    assert "measured again with other items of the same kind" in page.text
    assert "were repeated" not in page.text


def test_without_norms_scores_stand_on_the_response_scale(mini_run: Run) -> None:
    page = Page(render_page(run_content(mini_run)))
    assert "Percentile" not in page.text
    assert "T score" not in page.text
    assert "leaned most toward Agreeableness" in page.text
    assert "on a scale from 1 to 5" in page.text


def test_person_stands_beside_the_model_and_is_labelled(neo_run: Run) -> None:
    answers = {number: 4.0 for number in neo_run.inventory.numbers}
    person = Person("Kim <i>", neo_run.inventory, answers, simulated=True, sex="female", age=30)
    page = Page(render_page(run_content(neo_run, others=[person_subject(person)])))
    assert "Kim <i> (simulated) described themselves" in page.text
    assert "women aged 21 to 40 for Kim <i>" in page.text
    assert "i" not in [tag for tag, a in page.elements if not a]


def test_dark_colours_cover_every_colour_of_the_figures(html: str) -> None:
    dark = html[html.index("prefers-color-scheme:dark") : html.index("</style>")]
    figures = html[html.index("</style>") :]
    colours = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]{6})"', figures))
    assert colours
    for colour in colours:
        assert f'[fill="{colour}"]' in dark or f'[stroke="{colour}"]' in dark, colour


def test_what_was_not_answered_in_a_persons_place_is_said(neo_run: Run) -> None:
    far, none = Estimate(1.5, 1.2, 1.8), Estimate(math.nan, reason="first")
    rows = (
        PersonDistance("answers all", "model", far, none, 0.0),
        PersonDistance("refuses some", "model", far, none, 0.25),
    )
    person = OnePerson("Kim", simulated=False, items=20, fitted_on=10, rows=rows)
    content = dataclasses.replace(run_content(neo_run), person=person)
    shown = render_page(content)
    assert shown.count("got no usable answer and count as the farthest option") == 1
    assert re.search(r"refuses some.{0,60}25% of the questions got no usable answer", shown)
