"""How the daemon's state is shown: durations, holders, await chains, health, metrics."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from exai_ops.daemon import gauges
from exai_ops.daemon.health import health
from exai_ops.daemon.permits import Owner
from exai_ops.daemon.status import await_stack, holder_rows, human_duration
from exai_ops.providers.simulator import parse_fault
from exai_ops.providers.types import Completion, Usage

from .daemon_parts import Bench, House, open_house, turns

DURATIONS = [
    (0, "0s"),
    (0.9, "0s"),
    (59.9, "59s"),
    (60, "1m"),
    (184, "3m 4s"),
    (3600, "1h"),
    (3720, "1h 2m"),
    (3601, "1h 1s"),
    (86400 * 2 + 3600 * 3 + 60 * 5, "2d 3h"),
    (86400 * 400, "400d"),
    (-5, "0s"),  # the clock was set back
]


@pytest.mark.parametrize(("seconds", "words"), DURATIONS)
def test_human_duration(seconds: float, words: str) -> None:
    assert human_duration(seconds) == words


async def inner(event: asyncio.Event) -> None:
    await event.wait()


async def outer(event: asyncio.Event) -> None:
    await inner(event)


async def test_an_await_chain_from_the_outside_in() -> None:
    event = asyncio.Event()
    task = asyncio.create_task(outer(event))
    assert await_stack(None) == []
    await turns(2)
    chain = await_stack(task)
    assert [line.rsplit(" ", 1)[1] for line in chain[:3]] == ["outer", "inner", "wait"]
    assert chain[0].startswith("tests/daemon/test_status.py:")
    event.set()
    await task
    assert await_stack(task) == []


async def test_holders_are_shown_with_all_that_is_asked_for(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools()) as house:
        house.call("wait")
        await house.line.until(lambda: bench.started)
        (row,) = holder_rows(house.ledger)
        assert row.keys() >= {
            "tool",
            "session",
            "request",
            "site",
            "age_s",
            "deadline_in_s",
            "leak",
            "awaits",
        }
        assert (row["tool"], row["session"], row["request"]) == ("wait", house.session.id, "r1")
        assert row["site"].startswith("exai_ops/daemon/dispatch.py:")
        assert 0 <= row["age_s"] < 5
        assert 235 < row["deadline_in_s"] <= 240
        assert row["leak"] is None
        assert any(line.endswith(" wait") for line in row["awaits"])
        assert str(tmp_path) not in str(row)
        permits = house.daemon.permits()
        assert (permits["leaked"], permits["broken"], permits["waiting"]) == (0, [], 0)
        assert permits["sessions"] == {house.session.id: {"held": 1, "queued": 0}}
        bench.go.set()
        await house.idle()
        assert house.daemon.permits()["holders"] == []


async def test_health_says_unknown_for_what_was_not_looked_at(tmp_path: Path) -> None:
    async with open_house(tmp_path, provider_attempts=1, breaker_failures=1) as house:
        assert await statuses(house) == {"storage (sqlite)": "ok", "kimi": "unknown", "glm": "unknown"}
        house.call("chat", prompt="x")
        await house.line.text()
        assert (await statuses(house))["kimi"] == "ok"
        house.sim.state.set_fault("kimi", parse_fault("status=503"))
        house.call("chat", "r2", prompt="x", model="kimi-latest")
        await house.line.error("r2")
        account = await health(house.daemon)
        assert account["status"] == "degraded"
        assert (await statuses(house))["kimi"] == "degraded"
        house.sim.state.set_fault("glm", parse_fault("status=503"))
        house.call("chat", "r3", prompt="x", model="glm-4.6")
        await house.line.error("r3")
        account = await health(house.daemon)
        assert account["status"] == "down"
        assert account["simulated"] is True
        why = "no usable provider: kimi: the breaker is open, glm: the breaker is open"
        assert house.daemon.unready() == why
        house.daemon.state = "draining"
        assert (await health(house.daemon))["status"] == "draining"


@pytest.mark.parametrize(
    ("fault", "refused"),
    [("status=401", True), ("status=403", False), ("status=429", False), ("status=400", False)],
)
async def test_a_refused_key_is_no_usable_provider_until_a_call_succeeds(
    tmp_path: Path, fault: str, refused: bool
) -> None:
    """Told from the calls that there were: asking for it sends the provider nothing."""
    async with open_house(tmp_path, provider_attempts=1) as house:
        house.sim.state.set_fault("kimi", parse_fault(fault))
        house.sim.state.set_fault("glm", parse_fault(fault))
        house.call("chat", prompt="x", model="kimi")
        await house.line.error()
        assert house.daemon.unready() is None
        house.call("chat", "r2", prompt="x", model="glm")
        await house.line.error("r2")
        why = "no usable provider: kimi: the key was refused, glm: the key was refused"
        asked = house.sim.state.total("received")
        assert house.daemon.unready() == (why if refused else None)
        assert ((await health(house.daemon))["status"] == "down") is refused
        assert house.sim.state.total("received") == asked
        house.sim.state.set_fault("glm", parse_fault(""))
        house.call("chat", "r3", prompt="x", model="glm")
        await house.line.text("r3")
        assert house.daemon.unready() is None
        assert (await statuses(house))["glm"] == "ok"


async def statuses(house: House) -> dict[str, str]:
    rows = (await health(house.daemon))["dependencies"]
    return {row["name"]: row["status"] for row in rows if row["name"] != "permits"}


async def test_health_names_a_leak(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        hold = house.ledger.hold(Owner("s", "r", "forgetful"), "kimi")
        await asyncio.create_task(hold.__aenter__())
        (row,) = [r for r in (await health(house.daemon))["dependencies"] if r["name"] == "permits"]
        assert (row["status"], row["detail"]) == ("degraded", "forgetful: owner done")
        await hold.__aexit__(None, None, None)


async def test_health_of_a_store_that_is_away(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.daemon.storage.close()
        account = await health(house.daemon)
        assert account["status"] == "down"
        assert account["dependencies"][0]["status"] == "down"


async def test_the_gauges(tmp_path: Path) -> None:
    bench = Bench()
    async with open_house(tmp_path, bench.tools(), global_max_inflight=1) as house:
        gauges.register(house.daemon)
        house.call("wait")
        house.call("wait", "r2")
        await house.line.until(lambda: bench.started and house.ledger.waiting)
        text = house.daemon.metrics.exposition().decode()
        for line in (
            "exai_queue_waiting 1.0",
            'exai_permits{limit="global",state="held"} 1.0',
            'exai_permits{limit="kimi",state="free"} 6.0',
            "exai_permits_leaked 0.0",
            "exai_ready 1.0",
            "exai_simulated 1.0",
            'exai_provider_breaker_open{provider="glm"} 0.0',
        ):
            assert line in text
        bench.go.set()


async def test_a_model_of_a_clients_own_name_is_other(tmp_path: Path) -> None:
    """A label is kept for good, and clients may name any model of a family."""
    async with open_house(tmp_path, kimi_model="my-tuned") as house:
        for model in ("kimi-latest", "kimi-mine", "kimi-yours", "my-tuned"):
            house.daemon.metrics.completed(answered(model))
        text = house.daemon.metrics.exposition().decode()
    for name in ("provider_duration", "provider_first_token"):
        counted = re.findall(rf'^exai_{name}_seconds_count{{model="(.*?)",.*}} (.*)$', text, re.MULTILINE)
        assert dict(counted) == {"kimi-latest": "1.0", "other": "2.0", "my-tuned": "1.0"}


def answered(model: str) -> Completion:
    return Completion(
        text="x",
        provider="kimi",
        model=model,
        reasoning="",
        finish_reason="stop",
        usage=Usage(),
        attempts=1,
        first_token_s=0.1,
        duration_s=0.2,
        simulated=False,
    )
