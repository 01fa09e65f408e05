"""Alerts on their way out: a webhook, apprise, what is refused, what cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from exai_ops.daemon.alerting import QUEUE, Channel, apprise, channels_of, message_of, rules_of, webhook
from exai_ops.errors import UsageError
from exai_ops.monitor.alerts import Alerts, Change, Reading, parse
from exai_ops.settings import Secret, Settings

from .alert_receiver import receiving


def change(text: str = "leaks > 0", value: float = 2) -> Change:
    alerts = Alerts(parse(text))
    (found,) = alerts.see(
        {alerts.rules[0].key: Reading(value=value, detail="chat: owner done")}, 1767225600.0
    )
    return found


def message() -> dict[str, Any]:
    return message_of(change(), "docs/runbooks.md#leaked-permit", daemon="d1")


async def sent(channel: Channel, messages: Sequence[dict[str, Any]]) -> None:
    task = asyncio.create_task(channel.run())
    for one in messages:
        channel.put(one)
    await channel.flushed()
    task.cancel()
    await asyncio.wait([task])


def test_a_message_says_all_that_is_known() -> None:
    assert message() | {"version": ""} == {
        "text": "[firing] exai: leaks is 2, above 0 (chat: owner done). Runbook: "
        "docs/runbooks.md#leaked-permit",
        "status": "firing", "rule": "leaks > 0", "signal": "leaks", "value": 2, "bound": 0, "unit": "count",
        "message": "leaks is 2, above 0 (chat: owner done)", "since": "2026-01-01T00:00:00.000+00:00",
        "runbook": "docs/runbooks.md#leaked-permit", "daemon": "d1", "version": "",
    }  # fmt: skip


async def test_a_webhook_gets_it_as_json() -> None:
    async with receiving() as receiver:
        await sent(Channel("webhook", webhook(Secret(receiver.url))), [message(), message()])
    assert receiver.got == [message(), message()]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    async with receiving() as receiver:
        receiver.answers = [status, status]
        channel = Channel("webhook", webhook(Secret(receiver.url)), pauses_s=(0, 0))
        await sent(channel, [message()])
    assert len(receiver.got) == 3


@pytest.mark.parametrize("status", [302, 400, 404])
async def test_what_will_not_pass_is_not(status: int) -> None:
    async with receiving() as receiver:
        receiver.answers = [status]
        with capture_logs() as said:
            await sent(Channel("webhook", webhook(Secret(receiver.url)), pauses_s=(0, 0)), [message()])
    assert len(receiver.got) == 1
    assert f"127.0.0.1 answered HTTP {status}" in str(said)


async def test_nobody_there() -> None:
    async with receiving() as receiver:
        url = Secret(receiver.url)
    with capture_logs() as said:
        await sent(Channel("webhook", webhook(url), pauses_s=(0, 0)), [message()])
    assert "127.0.0.1 cannot be reached: ClientConnectorError" in str(said)
    assert "secret-of-the-hook" not in str(said)


async def test_too_many_that_wait_are_told_in_the_log() -> None:
    channel = Channel("webhook", webhook(Secret("http://127.0.0.1:9/")))
    with capture_logs() as said:
        for _ in range(QUEUE + 1):
            channel.put(message())
    assert "too many wait" in str(said)


async def test_apprise_reaches_its_channels() -> None:
    async with receiving() as receiver:
        urls = receiver.url.replace("http://", "json://")
        await sent(Channel("apprise", apprise(Secret(f"{urls},{urls}2"))), [message()])
    assert [one["message"] for one in receiver.got] == [message()["text"]] * 2
    assert {one["type"] for one in receiver.got} == {"failure"}
    assert {one["title"] for one in receiver.got} == {"exai: leaks firing"}


async def test_a_channel_of_apprise_that_refuses() -> None:
    async with receiving() as receiver:
        receiver.answers = [500, 500, 500]
        urls = receiver.url.replace("http://", "json://")
        with capture_logs() as said:
            await sent(Channel("apprise", apprise(Secret(urls)), pauses_s=(0, 0)), [message()])
    assert len(receiver.got) == 3
    assert "a channel did not take it" in str(said)


BAD = [
    ({"alerts": "leeks > 0"}, "EXAI_ALERTS: 'leeks > 0': leeks is no signal"),
    ({"alert_webhook": Secret("ftp://x/secret")}, "EXAI_ALERT_WEBHOOK: is no http or https URL"),
    ({"alert_apprise": Secret("nonsense://secret")}, "EXAI_ALERT_APPRISE: apprise does not know such a URL"),
]


@pytest.mark.parametrize(("values", "said"), BAD)
def test_settings_that_cannot_be_followed(values: dict[str, Any], said: str) -> None:
    settings = Settings().but(**values)
    with pytest.raises(UsageError, match=said) as refused:
        assert (rules_of(settings), channels_of(settings)) is None
    assert "secret" not in str(refused.value)


def test_without_settings_the_log_alone_is_told() -> None:
    assert channels_of(Settings()) == []
    assert len(rules_of(Settings())) == 5
