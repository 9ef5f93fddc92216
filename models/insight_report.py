"""`fankui insights report`: from an opened table to the files of a weekly report."""

import json
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.insight_session import Opened, with_embeddings
from pipeline.atomic import write_text
from pipeline.bilingual import LANGUAGES
from pipeline.errors import UsageError
from pipeline.insights.alert_rules import load_rules
from pipeline.insights.report.previous import read_earlier
from pipeline.insights.report.settings import load_settings, shipped_settings
from pipeline.insights.report.week import Week, choose_week, parse_week, recent_part
from pipeline.insights.report.weekly import weekly_report
from pipeline.insights.report_text.markdown import to_markdown
from pipeline.insights.report_text.page import to_html
from pipeline.insights.report_text.wording import Wording
from pipeline.insights.report_text.writing import write_report
from pipeline.resources import shipped
from pipeline.schema import load_schema

_PAGES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for, as it was typed."""

    week: str | None = None
    previous: Path | None = None
    language: str = "zh"
    settings: Path | None = None
    rules: Path | None = None  # of alerts; None: the shipped ones
    schema: Path | None = None
    output: Path | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """`paths`: the page first, then Markdown and JSON. `body`: what the JSON holds. `opened`: with all times taken."""

    paths: tuple[Path, Path, Path]
    body: dict[str, Any]
    opened: Opened

    @property
    def page(self) -> Path:
        return self.paths[0]


def make_report(opened: Opened, wanted: Wanted, *, model: str | None, embeddings: bool, quiet: bool) -> Made:
    """Compute it and write its three files, each whole or not at all.

    Raises UsageError `language_unknown`, `week_invalid`, `week_outside`, `output_invalid`, `previous_overwritten`,
    `previous_not_before`; DataError `no_times`, `previous_missing`, `previous_unreadable`; ConfigError `report_*`.
    """
    if wanted.language not in LANGUAGES:
        raise UsageError("language_unknown", f"--lang is {' or '.join(LANGUAGES)}; found {wanted.language!r}")
    settings = shipped_settings() if wanted.settings is None else load_settings(wanted.settings)
    earlier = None if wanted.previous is None else read_earlier(wanted.previous)
    table = opened.table
    week = choose_week(table.days, None if wanted.week is None else parse_week(wanted.week))
    paths = _paths(wanted, week)
    part = Opened(recent_part(table, week), opened.report, opened.seconds)
    if embeddings and len(part.table):
        part = with_embeddings(part, model, quiet=quiet)
    rules = load_rules(shipped("data", "alerts.toml") if wanted.rules is None else wanted.rules)
    terms = part.read_terms(quiet=quiet)
    found = weekly_report(table, part.table, terms, week, settings=settings, rules=rules, earlier=earlier)
    say = Wording(wanted.language, load_schema(wanted.schema))
    left_out = sum(len(rows) for rows in opened.report.left_out.values())
    document = write_report(found, settings, say, file=paths[2].name, left_out=left_out)
    body = found.to_dict()
    texts = (to_html(document), to_markdown(document), json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return Made(paths, body, part)


def open_in_browser(page: Path) -> None:
    """Raises UsageError `no_browser` where the machine has none; the files are written all the same."""
    if not webbrowser.open(page.resolve().as_uri()):
        raise UsageError("no_browser", f"no browser was found to open {page} with; the file is there: open it by hand")


def _paths(wanted: Wanted, week: Week) -> tuple[Path, Path, Path]:
    output = wanted.output or Path(f"report-{week}.html")
    if output.suffix.lower() in _PAGES:
        page = output
    elif output.is_dir() or not output.suffix:
        page = output / f"report-{week}.html"
    else:
        raise UsageError("output_invalid", f"-o is a folder or a file that ends in .html; found {output}")
    found = page, page.with_suffix(".md"), page.with_suffix(".json")
    if wanted.previous is not None and found[2].resolve() == wanted.previous.resolve():
        raise UsageError(
            "previous_overwritten", f"the report would be written over {wanted.previous}; name another file with -o"
        )
    return found
