"""One browser and few daemons for all tests of the page. None of these tests may be async: while Playwright's
loop runs, no other can in this thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from .live_daemon import LiveDaemon, live_daemon

TOKEN = "correct-horse-battery-staple-42"
ARGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DEADLINE_MS = 20_000

OpenPage: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGS])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    """A daemon without a token."""
    with live_daemon(tmp_path_factory.mktemp("live")) as daemon:
        yield daemon


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    """A daemon with a token."""
    with live_daemon(tmp_path_factory.mktemp("guarded"), TOKEN) as daemon:
        yield daemon


class Complaints(list[str]):
    """What a page's console, its scripts and its requests complained of, and where it asked elsewhere."""

    def watch(self, page: Page, *, origin: str) -> None:
        page.on("console", lambda said: self.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.append(f"exception: {error}"))
        page.on("requestfailed", lambda request: self.append(f"failed: {request.url}"))
        page.on("response", lambda r: self.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(origin) else self.append(f"elsewhere: {request.url}")
            ),
        )


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_page(browser: Browser, complaints: Complaints) -> Iterator[OpenPage]:
    """Opens a path of a daemon in a context of its own, and waits for the first state."""
    contexts: list[BrowserContext] = []

    def opened(daemon: str, path: str = "/dashboard", *, ready: bool = True, **options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(DEADLINE_MS)
        contexts.append(context)
        page = context.new_page()
        complaints.watch(page, origin=daemon)
        page.goto(f"{daemon}{path}")
        if ready:
            page.locator("#tiles dd").first.wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
