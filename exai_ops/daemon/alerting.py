"""Alerts of the running daemon: judged each second, told to the log, a webhook, and apprise's channels.

Telling never holds up judging, nor the daemon: each channel has a short queue of its own, and what it cannot
deliver in time is a line in the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

import exai_ops
from exai_ops.daemon.signals_now import readings
from exai_ops.errors import UsageError
from exai_ops.logs import get_logger
from exai_ops.monitor.alerts import Alerts, Change, Rule, parse
from exai_ops.monitor.wire import AlertState
from exai_ops.settings import Secret, Settings
from exai_ops.timezones import utc_iso

if TYPE_CHECKING:
    from exai_ops.daemon.core import Daemon

_LOG: Final = get_logger("exai.alerts")
EVERY_S: Final = 1.0
QUEUE: Final = 100
SEND_S: Final = 10.0
"""How long a channel may take for one message, each attempt."""
PAUSES_S: Final = (1.0, 5.0)
"""Between the attempts at one message."""
FLUSH_S: Final = 1.0
"""How long the end of the daemon waits for what is left to tell."""

Deliver = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Sends one message. Raises Undelivered."""


class Undelivered(Exception):
    """A channel did not take a message; ``again`` says whether another attempt may help."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Alerting:
    """The rules, and whom to tell."""

    def __init__(self, daemon: Daemon, rules: Sequence[Rule], channels: Sequence[Channel]) -> None:
        self.alerts = Alerts(rules)
        self._daemon = daemon
        self._channels = tuple(channels)

    async def run(self) -> None:
        """Judge and tell until cancelled; then what is left is told for a moment."""
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(channel.run()) for channel in self._channels]
            try:
                while True:
                    await asyncio.sleep(EVERY_S)
                    self.judge(time.time())
            finally:
                await _flushed(self._channels)
                for task in sending:
                    task.cancel()

    def judge(self, now: float) -> None:
        """Look once."""
        if not self.alerts.rules:
            return
        for change in self.alerts.see(readings(self._daemon), now):
            self._tell(change)

    def states(self) -> list[AlertState]:
        """What fires now."""
        return [
            AlertState(
                rule=rule.text, message=message, since=since, runbook=runbook(self._daemon.settings, rule)
            )
            for rule, message, since in self.alerts.firing()
        ]

    def _tell(self, change: Change) -> None:
        page = runbook(self._daemon.settings, change.rule)
        log = _LOG.error if change.status == "firing" else _LOG.info
        log("alert " + change.status, rule=change.rule.text, message=change.message, runbook=page)
        self._daemon.monitor.record(
            "alert",
            "send",
            script_name="daemon",
            function_name=change.rule.key,
            metadata={"status": change.status, "message": change.message, "rule": change.rule.text},
        )
        message = message_of(change, page, daemon=self._daemon.id)
        for channel in self._channels:
            channel.put(message)


class Channel:
    """One way out; ``name`` is for the log and holds no secret."""

    def __init__(self, name: str, deliver: Deliver, *, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self.name = name
        self._deliver = deliver
        self._pauses_s = tuple(pauses_s)
        self._queue: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(QUEUE)

    def put(self, message: Mapping[str, Any]) -> None:
        """Let a message be sent soon."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            _LOG.error("alert not told", channel=self.name, why="too many wait", rule=message["rule"])

    async def run(self) -> None:
        """Send what comes, in order, until cancelled."""
        while True:
            message = await self._queue.get()
            try:
                await self._send(message)
            finally:
                self._queue.task_done()

    async def flushed(self) -> None:
        """Nothing is left to send."""
        await self._queue.join()

    async def _send(self, message: Mapping[str, Any]) -> None:
        for pause_s in (*self._pauses_s, None):
            try:
                async with asyncio.timeout(SEND_S):
                    await self._deliver(message)
            except Undelivered as error:
                why, again = str(error), error.again
            except TimeoutError:
                why, again = f"no answer within {SEND_S:g} s", True
            else:
                return
            if pause_s is None or not again:
                _LOG.error("alert not told", channel=self.name, why=why, rule=message["rule"])
                return
            await asyncio.sleep(pause_s)


async def _flushed(channels: Sequence[Channel]) -> None:
    try:
        async with asyncio.timeout(FLUSH_S):
            for channel in channels:
                await channel.flushed()
    except TimeoutError:
        _LOG.warning("alerts not told", why="the daemon ends")


def message_of(change: Change, page: str, *, daemon: str) -> dict[str, Any]:
    """What a webhook is sent. ``text`` alone is what chat services show."""
    return {
        "text": f"[{change.status}] exai: {change.message}. Runbook: {page}",
        "status": change.status,
        "rule": change.rule.text,
        "signal": change.rule.key,
        "value": None if change.reading is None else change.reading.value,
        "bound": change.rule.bound,
        "unit": {"%": "share"}.get(change.rule.signal.unit, change.rule.signal.unit or "count"),
        "message": change.message,
        "since": utc_iso(change.since),
        "runbook": page,
        "daemon": daemon,
        "version": exai_ops.__version__,
    }


def runbook(settings: Settings, rule: Rule) -> str:
    """Where it is written what to do."""
    return f"{settings.runbooks}#{rule.signal.runbook}"


def rules_of(settings: Settings) -> list[Rule]:
    """The rules of the settings. Raises UsageError."""
    try:
        return parse(settings.alerts)
    except ValueError as error:
        raise UsageError(f"EXAI_ALERTS: {error}") from None


def channels_of(settings: Settings) -> list[Channel]:
    """The ways out that the settings name. Raises UsageError."""
    channels = []
    if settings.alert_webhook:
        channels.append(Channel("webhook", webhook(settings.alert_webhook)))
    if settings.alert_apprise:
        channels.append(Channel("apprise", apprise(settings.alert_apprise)))
    return channels


def webhook(url: Secret) -> Deliver:
    """POST of the message as JSON; any 2xx is taken for delivered, redirects are not followed.

    The URL is a secret, for those of chat services hold their token. Raises UsageError.
    """
    parts = urlsplit(url.reveal())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("EXAI_ALERT_WEBHOOK: is no http or https URL")

    async def deliver(message: Mapping[str, Any]) -> None:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url.reveal(), json=message, allow_redirects=False) as answer,
            ):
                if not 200 <= answer.status < 300:
                    again = answer.status in (408, 429) or answer.status >= 500
                    raise Undelivered(f"{parts.hostname} answered HTTP {answer.status}", again=again)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its text may repeat the URL.
            raise Undelivered(f"{parts.hostname} cannot be reached: {type(error).__name__}") from None

    return deliver


def apprise(urls: Secret) -> Deliver:
    """Any channel that apprise knows, by its URLs, apart by commas. Raises UsageError."""
    try:
        import apprise as library
    except ImportError:
        raise UsageError(
            "EXAI_ALERT_APPRISE: apprise is not installed", hint="pip install 'exai-ops[alerts]'"
        ) from None
    told = library.Apprise()
    if not told.add(urls.reveal()) or not len(told):
        raise UsageError("EXAI_ALERT_APPRISE: apprise does not know such a URL")

    async def deliver(message: Mapping[str, Any]) -> None:
        kind = "failure" if message["status"] == "firing" else "success"
        # Its own async way runs in threads as well; in one of ours it cannot hold up the loop.
        title, body = f"exai: {message['signal']} {message['status']}", message["text"]
        if not await asyncio.to_thread(told.notify, title=title, body=body, notify_type=kind):
            raise Undelivered("a channel did not take it; apprise's own log says which")

    return deliver
