"""The login in Chromium; and the page over the daemon's restart."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from e2e.exai_process import DaemonProcess
from playwright.sync_api import Browser, WebSocketRoute, expect

from exai_ops.daemon.protocol import RotateToken

from .conftest import DEADLINE_MS, TOKEN, Complaints, OpenPage
from .live_daemon import LiveDaemon

expect.set_options(timeout=DEADLINE_MS)


def test_the_token_lets_in_and_logout_ends_every_tab(
    guarded: LiveDaemon, open_page: OpenPage, complaints: Complaints
) -> None:
    guarded.record("seen")
    page = open_page(guarded.url, "/dashboard?function=seen", ready=False)
    page.fill("#token", "wrong")
    page.click("button")
    expect(page.locator("#said")).to_have_text("That is not the token.")
    assert [one for one in complaints if "401" not in one] == []
    complaints.clear()
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#row-list")).to_contain_text("seen")
    assert page.url == f"{guarded.url}/dashboard?function=seen"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["value"] != TOKEN) == (True, "Strict", True)
    assert page.evaluate("document.cookie") == ""
    other = page.context.new_page()
    other.goto(f"{guarded.url}/dashboard")
    expect(other.locator("#link")).to_have_text("live")
    page.click("#logout button")
    expect(page.locator("#token")).to_be_visible()
    expect(other.locator("#token")).to_be_visible()
    assert complaints == []


def test_a_new_token_asks_everybody_again(guarded: LiveDaemon, open_page: OpenPage) -> None:
    page = open_page(guarded.url, ready=False)
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_text("live")

    async def rotate(old: str, new: str) -> str:
        return guarded.house.daemon.rotate(RotateToken(old, new))

    new = TOKEN[::-1]
    try:
        assert '"ok":true' in guarded.run(rotate(TOKEN, new))
        expect(page.locator("#token")).to_be_visible()
        page.fill("#token", new)
        page.keyboard.press("Enter")
        expect(page.locator("#link")).to_have_text("live")
    finally:
        guarded.run(rotate(new, TOKEN))


def test_what_was_lost_is_counted(live: LiveDaemon, open_page: OpenPage, browser: Browser) -> None:
    told = [
        {"op": "subscribed", "stream": "s", "sequence": 5, "time": 0, "version": "1"},
        {"op": "dropped", "sequence": 1239, "count": 1234},
        {"op": "gap", "reason": "restarted", "missed": 12},
        {"op": "gap", "reason": "expired", "missed": 3},
        {"op": "gap", "reason": "restarted", "missed": None},
        {"op": "dropped", "sequence": 1245, "count": 6},
    ]

    def say(socket: WebSocketRoute) -> None:
        def subscribe(_: str | bytes) -> None:
            for frame in told:
                socket.send(json.dumps(frame))

        socket.on_message(subscribe)

    with browser.new_context() as context:
        page = context.new_page()
        page.route_web_socket("**/events", say)
        page.goto(f"{live.url}/dashboard")
        expect(page.locator("#row-list tr.marker")).to_have_count(5)
        assert page.locator("#row-list tr.marker td.m").all_inner_texts()[::-1] == [
            "dropped 1,234: this page reads too slowly",
            "the daemon was restarted, 12 missed",
            "3 missed: no longer in memory (expired)",
            "the daemon was restarted, how many were missed is not known",
            "dropped 6: this page reads too slowly",
        ]
        expect(page.locator("#tail-note")).to_contain_text("1,240 dropped")


def test_it_comes_back_after_the_daemon_was_killed_and_says_what_is_missing(
    tmp_path: Path, open_page: OpenPage
) -> None:
    first = DaemonProcess(tmp_path, {}, ["--simulate", "--port", "0"])
    again: DaemonProcess | None = None
    try:
        page = open_page(f"http://{first.address}")
        expect(page.locator("#link")).to_have_text("live")
        page.evaluate("window.kept = 'the page was not loaded anew'")
        first.signal(signal.SIGKILL)
        first.wait()
        expect(page.locator("#link")).to_contain_text("lost")
        again = DaemonProcess(tmp_path, {}, ["--simulate", "--port", str(first.port)])
        assert again.port == first.port
        expect(page.locator("#link")).to_have_text("live")
        marker = page.locator("#row-list tr.marker")
        expect(marker.filter(has_text="the daemon was restarted")).to_have_count(1)
        expect(marker.filter(has_text="connected again after")).to_have_count(1)
        assert page.evaluate("window.kept")
        page.fill("input[name=types]", "websocket")
        page.click("#filters button")
        expect(page.locator("#row-list")).to_contain_text("connect")
    finally:
        for process in (first, again):
            if process is not None:
                process.reap()
