"""`fankui insights report` from a file to files, week after week, and what it refuses."""

import json
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fankui
from pipeline.errors import FeedbackError
from tests.pipeline.insights.report_rows import planted_rows, write_rows


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("report") / "scored.jsonl", planted_rows())


@pytest.fixture(scope="module")
def earlier(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the week before, in a folder."""
    folder = tmp_path_factory.mktemp("reports")
    told = run(scored, "--week", "2025-W14", "-o", folder)
    assert told.stdout.split() == [str(folder / f"report-2025-W14.{ending}") for ending in ("html", "md", "json")]
    return folder / "report-2025-W14.json"


def run(*args: object) -> Result:
    words = ["insights", "report", *map(str, args), "--no-embeddings"]
    result = CliRunner().invoke(fankui.application("insights"), words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_week_after_week(scored: Path, earlier: Path) -> None:
    run(scored, "-o", earlier.parent, "--previous", earlier)
    page, markdown, body = (earlier.parent / f"report-2025-W15.{ending}" for ending in ("html", "md", "json"))
    assert "<h1>客户反馈周报</h1>" in page.read_text(encoding="utf-8")
    text = markdown.read_text(encoding="utf-8")
    assert "2025 年第 15 周" in text
    assert "门店 S03" in text
    assert "闪退" in text.partition("## 上次清单")[2]
    found = json.loads(body.read_text(encoding="utf-8"))
    assert found["week"] == "2025-W15"
    assert [issue["desk"] for issue in found["prevent_within_48h"]] == ["safety"]
    assert any(item["verdict"] == "fewer" for item in found["previous_list"]["items"])
    assert "13812345678" not in page.read_text(encoding="utf-8") + text + json.dumps(found, ensure_ascii=False)


def test_one_file_in_english_and_json_on_the_terminal(scored: Path, tmp_path: Path) -> None:
    told = json.loads(run(scored, "-o", tmp_path / "week.html", "--lang", "en", "--json").stdout)
    assert told["files"] == [str(tmp_path / f"week.{ending}") for ending in ("html", "md", "json")]
    assert told["rows"]["kept"] == told["rows"]["rows"]
    assert told["messages"] == 338
    text = (tmp_path / "week.md").read_text(encoding="utf-8")
    assert text.startswith("# Weekly report on customer feedback\n\nWeek 15 of 2025")
    assert "--previous week.json" in text
    assert '<html lang="en">' in (tmp_path / "week.html").read_text(encoding="utf-8")


class Opened(webbrowser.BaseBrowser):
    """A browser that notes what it is asked to open."""

    def __init__(self, *, works: bool) -> None:
        super().__init__("noted")
        self.works = works
        self.urls: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.urls.append(url)
        return self.works


@pytest.fixture
def only_browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a browser the only one that this process knows of."""

    def make(browser: webbrowser.BaseBrowser) -> None:
        monkeypatch.setattr(webbrowser, "_tryorder", ["noted"])
        monkeypatch.setattr(webbrowser, "_browsers", {"noted": [None, browser]})

    yield make


def test_it_opens_in_the_browser(scored: Path, tmp_path: Path, only_browser: Any) -> None:
    browser = Opened(works=True)
    only_browser(browser)
    run(scored, "-o", tmp_path, "--open")
    assert browser.urls == [(tmp_path / "report-2025-W15.html").as_uri()]
    only_browser(Opened(works=False))
    with pytest.raises(FeedbackError, match="no browser was found"):
        run(scored, "-o", tmp_path, "--open")


def test_no_embeddings_needs_no_model_and_embeddings_are_computed_for_the_weeks_alone(
    scored: Path, tmp_path: Path
) -> None:
    words = ["insights", "report", str(scored), "-o", str(tmp_path), "--model", "default", "--json"]
    result = CliRunner().invoke(fankui.application("insights"), words, catch_exceptions=False)
    told = json.loads(result.stdout)
    assert told["seconds"]["embeddings"] > 0
    assert [issue["desk"] for issue in told["prevent_within_48h"]] == ["safety"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--week", "47"), "a week is written as 2026-W47; found '47'"),
        (("--week", "2026-W01"), "no comment is of 2026-W01"),
        (("--lang", "fr"), "--lang is zh or en; found 'fr'"),
        (("-o", "report.pdf"), "-o is a folder or a file that ends in .html; found report.pdf"),
        (("--previous", "none.json"), "none.json does not exist"),
        (("--settings", "none.toml"), "none.toml does not exist"),
        (("--attribute", "customer"), "no row has the attribute 'customer'"),
    ],
)
def test_mistakes_are_told(scored: Path, args: tuple[str, ...], message: str) -> None:
    with pytest.raises(FeedbackError) as caught:
        run(scored, *args)
    assert message in caught.value.message


def test_the_list_looked_back_on_is_not_written_over(scored: Path, earlier: Path) -> None:
    before = earlier.read_bytes()
    with pytest.raises(FeedbackError, match="would be written over"):
        run(scored, "-o", earlier.with_suffix(".html"), "--previous", earlier)
    assert earlier.read_bytes() == before


def test_a_file_without_times_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"text": "灯不亮了"}])
    with pytest.raises(FeedbackError, match="give a column created_at"):
        run(path)
