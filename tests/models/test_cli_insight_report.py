"""`fankui insights report` from a file to files, week after week, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
    assert any(item["result"] == "fewer" for item in found["previous_list"]["items"])
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


def test_it_opens_in_the_browser(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.jsonl", [{"text": "灯不亮了", "created_at": "2025-04-13"}])
    noted = tmp_path / "noted"
    browser = tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {noted}\n', encoding="utf-8")
    browser.chmod(0o755)

    def opening(command: str) -> subprocess.CompletedProcess[str]:
        # Neither a display nor a terminal: no browser but the one that the environment names.
        env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "TERM")}
        words = ["insights", "report", str(one), "-o", str(tmp_path), "--no-embeddings", "--open"]
        return subprocess.run(
            [sys.executable, "-m", "fankui", *words],
            env=env | {"BROWSER": f"{command} %s"}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    page = tmp_path / "report-2025-W15.html"
    assert opening(str(browser)).returncode == 0
    assert noted.read_text(encoding="utf-8").strip() == page.as_uri()
    page.unlink()
    failed = opening("false")
    assert failed.returncode == 2
    assert "no browser was found" in failed.stderr
    assert page.exists()


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
