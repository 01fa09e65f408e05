"""The server's life, embedded and as ``exai sim``."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest

from exai_ops.providers.simulator import SimulatorServer, running_simulator

ASK = {"model": "glm-4.6", "messages": [{"role": "user", "content": "hello"}]}
SIM = (sys.executable, "-m", "exai_ops", "sim")


async def test_leaves_signals_alone_and_lets_go_of_its_port() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with running_simulator() as sim:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        host, port = sim.host, sim.port
    async with running_simulator(host=host, port=port) as again:
        assert again.port == port


async def test_closing_is_bounded_and_ends_what_runs(client: aiohttp.ClientSession) -> None:
    async def ask(sim: SimulatorServer) -> None:
        async with client.post(
            sim.glm_url + "/chat/completions", json=ASK, headers={"X-Exai-Fault": "latency=60"}
        ):
            pass

    async with running_simulator() as sim:
        task = asyncio.create_task(ask(sim))
        await sim.state.wait(in_flight=1, timeout_s=5)
    with pytest.raises(aiohttp.ClientError):
        await task
    assert sim.state.total("aborted") == 1


async def test_a_quick_answer_is_given_while_closing(client: aiohttp.ClientSession) -> None:
    async def ask(sim: SimulatorServer) -> int:
        async with client.post(
            sim.glm_url + "/chat/completions", json=ASK, headers={"X-Exai-Fault": "latency=0.05"}
        ) as answer:
            await answer.read()
            return answer.status

    async with running_simulator() as sim:
        task = asyncio.create_task(ask(sim))
        await sim.state.wait(in_flight=1, timeout_s=5)
    assert await task == 200


async def test_a_taken_port_is_an_os_error() -> None:
    async with running_simulator() as sim:
        with pytest.raises(OSError, match="in use"):
            async with running_simulator(port=sim.port):
                pass


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, exai_ops.providers.simulator; "
        "print([name for name in ('uvicorn', 'aiohttp', 'httpx', 'uvloop') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_says_where_and_ends_on_a_signal(
    number: signal.Signals, client: aiohttp.ClientSession
) -> None:
    process = await asyncio.create_subprocess_exec(
        *SIM, "--port", "0", "--code", "1302", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        kimi, glm = re.findall(r"_API_URL=(\S+)", line)
        async with client.get(glm + "/models") as answer:
            assert (await answer.json())["error"]["code"] == "1302"
        async with client.get(kimi + "/models") as answer:
            assert answer.status == 200
        os.kill(process.pid, number)
        assert await asyncio.wait_for(process.wait(), 10) == 128 + number
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "--allow-remote"),
        (("--code", "9999"), "code"),
        (("--status", "200"), "status"),
        (("--fault", "nope=1"), "nope"),
        (("--only", "openai"), "--only"),
    ],
)
def test_the_command_refuses_in_one_line(options: tuple[str, ...], words: str) -> None:
    done = subprocess.run([*SIM, *options], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_says_that_its_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*SIM, "--port", str(port)], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
