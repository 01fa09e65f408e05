"""Daemons and simulators as processes, each reaped at the end of its test or of the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from exai_ops.providers.simulator import SimulatorServer

from .exai_process import DaemonProcess, Process

StartDaemon: TypeAlias = Callable[..., DaemonProcess]

PLUGINS = Path(__file__).with_name("plugins")
KEYS = {"KIMI_API_KEY": "kimi-key-of-the-tests", "GLM_API_KEY": "glm-key-of-the-tests"}


class Simulator:
    """``exai sim`` as a process, steered and asked over its control endpoints."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, trust_env=False, timeout=65)

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def faults(self, **faults: str | None) -> None:
        """Set faults by provider, or for ``all``."""
        self._http.post("/_sim/faults", json=faults).raise_for_status()

    def reset(self) -> None:
        """No faults, nothing received."""
        self._http.delete("/_sim/faults").raise_for_status()
        self._http.delete("/_sim/requests").raise_for_status()

    def reached(self, *, timeout_s: float = 15, **least: int) -> bool:
        """Wait until counts are reached: ``received=2``, ``aborted=1``, ``idle=1``."""
        query: dict[str, Any] = {**least, "timeout": timeout_s}
        return self._http.get("/_sim/wait", params=query).status_code == 200

    def count(self, name: str, provider: str | None = None) -> int:
        """A count now, of one provider or of both."""
        page = self._http.get("/_sim/requests").json()
        return sum(page[p][name] for p in ("kimi", "glm") if provider in (None, p))


def urls(base_url: str) -> dict[str, str]:
    """The settings that send both providers to a simulator."""
    return {**KEYS, "KIMI_API_URL": f"{base_url}/kimi/v1", "GLM_API_URL": f"{base_url}/glm/v4"}


def upstream(sim: SimulatorServer) -> dict[str, str]:
    """The same, for a simulator in the test's own loop."""
    return urls(sim.base_url)


@pytest.fixture(scope="session")
def sim_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    process = Process(["sim", "--port", "0"], cwd=tmp_path_factory.mktemp("sim"), env={})
    try:
        line = process.out.first(lambda text: text.startswith("simulator on "))
        found = re.search(r"http://[0-9.]+:[0-9]+", line)
        assert found, line
        simulator = Simulator(found[0])
        yield simulator
        simulator.close()
    finally:
        process.reap()


@pytest.fixture
def sim(sim_process: Simulator) -> Simulator:
    """The simulator, in good health and with nothing received."""
    sim_process.reset()
    return sim_process


@pytest.fixture(scope="session")
def daemon_process(
    sim_process: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    settings = {
        **urls(sim_process.base_url),
        "EXAI_WS_PROGRESS_INTERVAL_SECS": "0.1",
        "EXAI_PROVIDER_ATTEMPTS": "1",
        "EXAI_BREAKER_FAILURES": "1000",
        "PYTHONPATH": str(PLUGINS),
    }
    process = DaemonProcess(tmp_path_factory.mktemp("shared"), settings)
    try:
        yield process
        assert process.stop() == -15
        assert process.complaints() == []
    finally:
        process.reap()


@pytest.fixture
def daemon(daemon_process: DaemonProcess, sim: Simulator) -> DaemonProcess:
    """A daemon that many tests share, over the simulator; its log must hold no error in the end."""
    return daemon_process


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons of a test's own, by default on one state folder."""
    started: list[DaemonProcess] = []

    def start(env: dict[str, str] | None = None, *, args: list[str] | None = None) -> DaemonProcess:
        process = DaemonProcess(tmp_path, {"PYTHONPATH": str(PLUGINS), **(env or {})}, args)
        started.append(process)
        return process

    yield start
    for process in started:
        process.reap()
