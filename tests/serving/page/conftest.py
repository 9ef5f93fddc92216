"""A Chromium, and pages in it that note what no page may do: errors, requests to elsewhere, what the policy forbids."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright


@dataclass
class Watched:
    """A page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    wrong: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # beginnings of errors that are meant


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Of one module: as long as it is open Playwright's event loop runs, and tests of others could not run theirs."""
    with sync_playwright() as playwright:
        # As root, as in containers, Chromium's sandbox does not start.
        found = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """`open_page(url, width=390, height=844, color_scheme="dark")`; after the test nothing may have gone wrong."""
    opened: list[Watched] = []

    def make(url: str, *, width: int = 1280, height: int = 800, locale: str = "zh-CN", **options: Any) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, **options)
        context.set_default_timeout(10_000)
        page = context.new_page()
        watched = Watched(page, context)
        page.on("console", lambda told: told.type in ("error", "warning") and watched.wrong.append(told.text))
        page.on("pageerror", lambda error: watched.wrong.append(str(error)))
        server = url.partition("/dashboard")[0]
        context.on(
            "request",
            lambda sent: sent.url.startswith((f"{server}/", "data:")) or watched.wrong.append(f"asked {sent.url}"),
        )
        opened.append(watched)
        page.goto(url)
        return watched

    yield make
    for watched in opened:
        watched.context.close()
        assert [text for text in watched.wrong if not text.startswith(watched.expected or ("\0",))] == []
