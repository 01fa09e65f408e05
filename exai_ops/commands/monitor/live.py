"""The live screen of ``exai monitor top``: states that come, keys that are pressed, and time that passes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from exai_ops.client.target import Target
from exai_ops.commands.monitor.clock import Clock
from exai_ops.commands.monitor.feed import Feed, FeedFrame, Lost
from exai_ops.commands.screen import Screen
from exai_ops.monitor.screen.frame import draw
from exai_ops.monitor.screen.panels import Link
from exai_ops.monitor.screen.state import History, Now
from exai_ops.monitor.screen.text import Line, ascii_only, painted, plain, width
from exai_ops.monitor.screen.view import View, pressed
from exai_ops.monitor.wire import State, Subscribe, Subscribed

REDRAW_S: Final = 1.0
"""How often ages are told anew where nothing comes."""
_CLEAR: Final = "\x1b[2J"


class Live:
    """What is shown now, and what it is shown of.

    Attributes:
        view: What is chosen.
    """

    def __init__(self, url: str, view: View, clock: Clock, *, every_s: float = 1.0) -> None:
        self.view = view
        self._link = Link(url=url, late_s=3 * every_s + 2)
        self._clock = clock
        self._history = History()
        self._newest: tuple[Now, float] | None = None
        self._held: tuple[tuple[Now, float] | None, History] | None = None
        self._stream: str | None = None
        self._page = self._rows = 0

    def take(self, frame: FeedFrame) -> None:
        """A frame came. Raises CouldNotLook for a state of another form."""
        if isinstance(frame, State):
            self._newest = Now(frame), time.monotonic()
            self._history.add(self._newest[0])
        elif isinstance(frame, Lost):
            self._link = replace(self._link, lost=frame.why)
            self._history.gap()
        elif isinstance(frame, Subscribed):
            again = self._stream not in (None, frame.stream)
            self._stream = frame.stream
            self._link = replace(self._link, lost=None, restarted=self._link.restarted or again)

    def press(self, key: str) -> None:
        """A key was pressed."""
        was = self.view.paused
        self.view = pressed(self.view, key, page=self._page, rows=self._rows)
        if self.view.paused == was:
            return
        self._held = (self._newest, self._history.copied()) if self.view.paused else None
        paused = self._at(time.time()) if self.view.paused else None
        self._link = replace(self._link, paused=paused)

    def lines(self, columns: int, rows: int | None) -> list[Line]:
        """What is to be seen."""
        newest, history = self._held or (self._newest, self._history)
        age_s = None if newest is None else time.monotonic() - newest[1]
        drawn = draw(
            None if newest is None else newest[0],
            self.view,
            history,
            replace(self._link, age_s=age_s),
            self._at,
            columns=columns,
            rows=rows,
        )
        self._page, self._rows = drawn.page, drawn.rows
        return drawn.lines

    def _at(self, timestamp: float) -> str:
        at = self._clock.at(timestamp)
        return f"{at.time[:8]} {at.zone}"


async def watch(
    target: Target, view: View, clock: Clock, *, every_s: float, colour: bool, wait: bool
) -> None:
    """Show the daemon until q. Raises CouldNotLook where none is there, unless it is waited for."""
    feed = Feed(target, Subscribe(events=False, state_every_s=every_s), patient=wait)
    live = Live(target.url, view, clock, every_s=every_s)
    async with aclosing(feed.frames()) as frames:
        if not wait:  # what goes wrong at the start needs no other screen
            live.take(await anext(frames))
        changed = asyncio.Event()

        async def follow() -> None:
            async for frame in frames:
                live.take(frame)
                changed.set()

        following = asyncio.create_task(follow())
        following.add_done_callback(lambda _: changed.set())
        try:
            with Screen() as screen:
                await _show(screen, live, changed, following, colour=colour)
        finally:
            following.cancel()
            await asyncio.wait([following])


async def _show(
    screen: Screen, live: Live, changed: asyncio.Event, following: asyncio.Task[None], *, colour: bool
) -> None:
    """Draw what changes until q. Raises what ends the feed."""
    loop = asyncio.get_running_loop()

    def typed() -> None:
        for key in screen.typed():
            live.press(key)
        changed.set()

    def woken() -> None:
        screen.rested()
        changed.set()

    loop.add_reader(screen.keyboard, typed)
    loop.add_reader(screen.woken, woken)
    size = (0, 0)
    try:
        while not live.view.quit:
            before, size = size, screen.size()
            lines = live.lines(*size)
            screen.write((_CLEAR if before != size else "") + written(lines, size[0], colour=colour))
            changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REDRAW_S):
                    await changed.wait()
            if following.done():
                await following
    finally:
        loop.remove_reader(screen.keyboard)
        loop.remove_reader(screen.woken)


def written(lines: list[Line], columns: int, *, colour: bool) -> str:
    """What draws the lines from the top of a terminal, each over what was there."""
    paint = painted if colour else plain
    parts: list[str] = []
    for number, line in enumerate(lines, 1):
        narrower = sum(width(text) for text, _ in line) < columns
        parts.append(f"\x1b[{number};1H{paint(line)}" + ("\x1b[K" if narrower else ""))
    text = "".join(parts)
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return text if encoding.startswith("utf") else ascii_only(text)
