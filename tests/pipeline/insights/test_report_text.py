"""The report as people read it: whole in both languages, one file that asks for nothing, and nothing but text in it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from pipeline.bilingual import LANGUAGES
from pipeline.insights.report.settings import shipped_settings
from pipeline.insights.report.week import Week
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Bars, Card, Document, Table
from pipeline.insights.report_text.markdown import plain, to_markdown
from pipeline.insights.report_text.page import to_html
from pipeline.insights.report_text.wording import Wording
from pipeline.insights.report_text.writing import write_report
from pipeline.resources import shipped
from pipeline.schema import load_schema
from tests.pipeline.insights.report_rows import HOSTILE, LAST_MONDAY, planted_rows
from tests.pipeline.insights.test_report import read, report_on

WEEK = Week(LAST_MONDAY)
SECTIONS = (
    "prevent",
    "alerts",
    "grew",
    "pictures",
    "hot",
    "desks",
    "handling",
    "satisfaction",
    "servqual",
    "followed",
    "notes",
)
AXE = Path(__file__).parents[2] / "vendor" / "axe-core" / "axe-4.14.1.min.js"

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def written(report: WeeklyReport, language: str = "zh") -> Document:
    return write_report(report, shipped_settings(), Wording(language, load_schema()), file="report.json", left_out=2)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> WeeklyReport:
    """With the hostile comment as the only one of its issue that could be quoted."""
    rows = [
        row | {"text": f"{HOSTILE}{'！' * (i % 3)}"} if "底座" in row["text"] else row
        for i, row in enumerate(planted_rows())
    ]
    table = read(tmp_path_factory.mktemp("text") / "scored.jsonl", rows)
    return report_on(table, WEEK)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> WeeklyReport:
    """Of a file that tells next to nothing."""
    table = read(tmp_path_factory.mktemp("bare") / "one.jsonl", [{"text": "灯不亮了", "created_at": "2025-04-09"}])
    return report_on(table, WEEK)


class Page(HTMLParser):
    """What the page is made of: tags, attributes, texts, ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "rect", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "polyline"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def texts(part: Any) -> Iterator[str]:
    """Every text of a document that is meant to be read."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from texts(one)
    elif is_dataclass(part):
        for field in fields(part):
            if field.name not in (
                "key",
                "language",
                "tone",
                "tones",
                "head",
                "caption",
                "told",
                "labels",
                "spark_caption",
            ):
                yield from texts(getattr(part, field.name))


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_sections_are_there_and_every_text_is_on_the_page(report: WeeklyReport, language: str) -> None:
    document = written(report, language)
    page = Page(to_html(document))
    assert page.open == []
    assert tuple(found["id"] for tag, found in page.tags if tag == "section") == SECTIONS
    shown = page.text + " ".join(found.get("title") or "" for _, found in page.tags)
    squeezed = re.sub(r"\s+", " ", shown)
    for text in texts(document):
        assert re.sub(r"\s+", " ", text) in squeezed
    markdown = to_markdown(document)
    assert markdown.count("\n## ") == len(SECTIONS)
    for section in document.sections:
        assert f"## {plain(section.title)}" in markdown
        for sentence in (*section.lead, *section.after):
            assert plain(sentence) in markdown


def test_nothing_is_asked_of_anywhere(report: WeeklyReport) -> None:
    page = Page(to_html(written(report)))
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "iframe",
        "img",
        "object",
        "form",
        "base",
        "a",
        "use",
        "image",
    }
    for tag, found in page.tags:
        for name, value in found.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action", "srcset"):
                assert (tag, value) == ("link", "data:,")
    css = shipped("pipeline", "insights", "report_text", "templates", "report.css").read_text(encoding="utf-8")
    assert "url(" not in css
    assert "@import" not in css
    policy = next(found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_what_customers_write_is_text_and_personal_data_are_masked(report: WeeklyReport) -> None:
    document = written(report)
    html, markdown = to_html(document), to_markdown(document)
    assert any("<script>" in quote for issue in report.prevent for quote in issue.quotes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html
    assert "<script" not in markdown
    for told in (html, markdown, str(report.to_dict())):
        assert "13812345678" not in told
        assert "手机号" in told
    quoted = next(line for line in markdown.splitlines() if line.startswith("> "))
    assert r"\*\*快\|点\*\*" in quoted
    assert "](" not in quoted.replace(r"\](", "")
    assert "://" not in quoted


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# 不是标题", r"\# 不是标题"),
        ("1. 不是列表", r"1\. 不是列表"),
        ("3.5 倍", "3.5 倍"),
        ("- 不是列表", r"\- 不是列表"),
        ("a|b", r"a\|b"),
        ("<b>&amp;", "&lt;b>&amp;amp;"),
        ("两\n行", "两 行"),
        ("看 www.evil.example", "看 www&#46;evil.example"),
    ],
)
def test_markdown_takes_text_as_text(text: str, escaped: str) -> None:
    assert plain(text) == escaped


def test_what_cannot_be_told_is_said_in_a_sentence(bare: WeeklyReport) -> None:
    document = written(bare)
    lead = {section.key: section.lead for section in document.sections}
    assert "没有紧急程度" in lead["prevent"][0]
    assert "之前的数据不足一周" in lead["grew"][0]
    assert lead["hot"] == ("本周没有三条以上说同一件事的负面反馈。",)
    assert "没有队列（queue 列）" in lead["desks"][0]
    assert "逾期率：文件里没有" in lead["handling"][0]
    assert "重复投诉率：文件里没有" in lead["handling"][1]
    assert "没有满意度，也没有情感" in lead["satisfaction"][0]
    assert "没有方面（aspects 列）" in lead["servqual"][0]
    assert "--previous report.json" in lead["followed"][0]
    assert "数据只覆盖本周的 1 天" in lead["notes"][0]
    assert not any(section.blocks for section in document.sections if section.key != "grew")
    assert Page(to_html(document)).open == []


def test_few_are_called_few_and_what_is_there_is_not_called_missing(tmp_path: Path) -> None:
    def row(text: str, day: str, queue: str) -> dict[str, Any]:
        told = {"sentiment": "negative", "category": "service", "urgency": "critical", "satisfaction": 1.2}
        return {"text": text, "created_at": day, "queue": queue, "customer_ref": "k1", "id": text} | told

    rows = [row(f"柜台{i}号灯坏了", "2025-04-01", "site") for i in range(6)]
    rows += [row(f"柜台{i}号灯又坏了", "2025-04-08", "site") for i in range(3)]
    table = read(tmp_path / "a.jsonl", [one if i < 8 else one | {"customer_ref": None} for i, one in enumerate(rows)])
    report = report_on(table, WEEK)
    document = written(report)
    lead = {section.key: " ".join(section.lead) for section in document.sections}
    assert "有 3 条，但所在的队列本周反馈都太少" in lead["desks"]
    assert "本周只有 3 条可以估计满意度的反馈，太少" in lead["satisfaction"]
    assert not any(tile.name == "满意度（估计）" for tile in document.tiles)
    unknown = [one | {"customer_ref": None} if i >= 6 else one for i, one in enumerate(rows)]
    lead = {s.key: s.lead for s in written(report_on(read(tmp_path / "b.jsonl", unknown), WEEK)).sections}
    assert "本周没有带客户标识的投诉" in lead["handling"][1]
    nowhere = [
        {name: cell for name, cell in one.items() if name not in ("shop", "region")} | {"source": "file"}
        for one in planted_rows()
    ]
    told = to_markdown(written(report_on(read(tmp_path / "c.jsonl", nowhere), WEEK)))
    assert "文件里没有门店、商品、渠道一类的列" in told
    assert "没有集中在某一处" not in told


def test_hot_issues_are_a_table_and_each_is_told_once(report: WeeklyReport) -> None:
    hot = next(section for section in written(report).sections if section.key == "hot")
    table, *cards = hot.blocks
    assert isinstance(table, Table)
    assert len(table.rows) == len(report.issues)
    above = {id(issue) for issue in report.prevent}
    assert len(cards) == min(4, sum(id(issue) not in above for issue in report.issues))
    kettle = next(row for row in table.rows if "48 小时" in row[0])
    (issue,) = report.prevent
    assert issue.weekly is not None
    before = "、".join(map(str, issue.weekly))
    assert kettle[1:4] == (f"{len(issue.rows)}", before, f"{issue.grave}")
    assert kettle[4].startswith("门店 S03")
    titles = [card.title for card in cards if isinstance(card, Card)]
    assert not any(kettle[0].startswith(title) for title in titles)


def test_the_first_sentences_name_what_stands_out(report: WeeklyReport) -> None:
    document = written(report)
    first = report.growth.grew[0]
    assert f"{first.now} 条" in document.summary[2]
    assert report.growth.usual is not None
    assert f"之前平均每周 {report.growth.base_messages / 4:g} 条" in document.summary[0]
    bars = next(block for s in document.sections if s.key == "grew" for block in s.blocks if isinstance(block, Bars))
    for bar, tally in zip(bars.bars, report.growth.grew, strict=True):
        assert (bar.now_text, bar.usual_text) == (f"{tally.now:,}", f"{tally.before / 4:,g}")


def test_every_text_is_in_both_languages_and_used() -> None:
    folder = shipped("pipeline", "insights", "report_text")
    words = tomllib.loads((folder / "words.toml").read_text(encoding="utf-8"))
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    patterns = {re.sub(r"\{[^}]*\}", "*", name) for name in re.findall(r'f?"([a-z_0-9.{}\[\]]+)"', source)}
    for name, both in words.items():
        assert len(both) == 2, name
        assert all(both), name
        holes = [set(re.findall(r"\{(\w+)\}", text)) for text in both]
        assert holes[0] == holes[1], name
        known = name in patterns or any(
            "*" in pattern and re.fullmatch(re.escape(pattern).replace(r"\*", r"[\w. ]+"), name) for pattern in patterns
        )
        assert known, f"{name} is used nowhere"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root, as in containers, Chromium's sandbox does not start.
        found = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(report: WeeklyReport, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Language -> its page."""
    folder = tmp_path_factory.mktemp("pages")
    for language in LANGUAGES:
        (folder / f"{language}.html").write_text(to_html(written(report, language)), encoding="utf-8")
    return {language: folder / f"{language}.html" for language in LANGUAGES}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", LANGUAGES)
def test_in_a_browser(browser: Browser, pages: dict[str, Path], language: str, width: int, scheme: Any) -> None:
    path = pages[language]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    try:
        page = context.new_page()
        seen: list[str] = []
        page.on("request", lambda sent: seen.append(sent.url))
        page.on("console", lambda told: seen.append(told.text))
        page.on("dialog", lambda dialog: seen.append(dialog.message))
        page.goto(path.as_uri())
        assert seen == [path.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("svg rect").count() > 20
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
        assert [
            f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]
        ] == []
    finally:
        context.close()
