"""Calls under load: CPU of the server per call and added latency, ours and others' in turn.

Server on one core, load generator and upstream on another. Every load of a round runs against servers
that stay up for the whole run, so that a round compares things a few seconds apart.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.litellm_proxy import litellm
from benchmarks.processes import ROOT, Child, NotMeasured, cores, exai, running

CHUNKS: Final = 20
LATENCY_S: Final = 0.05
WARMING_S: Final = {"litellm": 4.0}
"""Load that a server gets before it is measured, 1 s for the others: LiteLLM imports as its first calls come,
and takes twice to three times the CPU for them."""
BUDGET_S: Final = 180.0
"""After it no further round of loads begins."""
WIDE: Final = {
    "EXAI_WS_PORT": "0",
    "EXAI_WS_GLOBAL_MAX_INFLIGHT": "1000",
    "EXAI_WS_KIMI_MAX_INFLIGHT": "1000",
    "EXAI_WS_GLM_MAX_INFLIGHT": "1000",
    "KIMI_API_KEY": "sk-bench",
    "EXAI_LOG_LEVEL": "info",  # its ready line is waited for
    "EXAI_LOG_FORMAT": "json",
}
READY_LINE: Final = r'"ready".*?(ws://[^"]+)'


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load: which server, which client, how many of them."""

    server: str
    client: str
    sessions: int


LOADS: Final[dict[str, Load]] = {
    "exai-32": Load("exai", "websocket", 32),
    "litellm-32": Load("litellm", "completions", 32),
    "bare-32": Load("bare", "websocket", 32),
    "exai-256": Load("exai", "websocket", 256),
    "bare-256": Load("bare", "websocket", 256),
    "exai-stream": Load("exai", "streaming", 32),
    "direct-50ms": Load("slow upstream", "completions", 32),
    "exai-50ms": Load("exai on the slow upstream", "websocket", 32),
}
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "calls": ("exai-32", "litellm-32", "bare-32"),
    "latency": ("direct-50ms", "exai-50ms"),
    "sessions": ("exai-32", "exai-256", "bare-256"),
    "streaming": ("exai-32", "exai-stream"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What one load showed.

    Attributes:
        cpu_us: Of the server, per call.
        pieces: Stream frames per call.
    """

    cpu_us: float
    calls_per_s: float
    busy: float
    p50_ms: float
    p99_ms: float
    pieces: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What each load showed, round by round, or why it showed nothing."""

    seen: dict[str, list[Seen]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, seen: Seen) -> None:
        self.seen.setdefault(name, []).append(seen)

    def of(self, name: str, attribute: str) -> tuple[float, ...]:
        """One figure of a load, each round. Raises NotMeasured."""
        if name in self.failed or name not in self.seen:
            raise NotMeasured(self.failed.get(name, "not asked for"))
        return tuple(getattr(seen, attribute) for seen in self.seen[name])


class Servers:
    """The servers of a run, each started when it is first wanted."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._running: dict[str, Child | NotMeasured] = {}
        self._warm: set[str] = set()
        self._cores = cores()
        self.server_core = self._cores[0] if self._cores else None
        self.load_core = self._cores[1] if self._cores else None

    def get(self, name: str) -> Child:
        """The running server. Raises NotMeasured, each time it is asked for, when it does not start."""
        if name not in self._running:
            try:
                self._running[name] = self._stack.enter_context(self._start(name))
            except NotMeasured as error:
                self._running[name] = error
        found = self._running[name]
        if isinstance(found, NotMeasured):
            raise found
        return found

    def _start(self, name: str) -> contextlib.AbstractContextManager[Child]:
        folder = self._folder / name.replace(" ", "-")
        folder.mkdir()
        starts: Mapping[str, Callable[[], contextlib.AbstractContextManager[Child]]] = {
            "upstream": lambda: simulator(folder, self.load_core, "--chunks", str(CHUNKS)),
            "slow upstream": lambda: simulator(folder, self.load_core, "--latency", str(LATENCY_S)),
            "exai": lambda: self._daemon(folder, "upstream"),
            "exai on the slow upstream": lambda: self._daemon(folder, "slow upstream"),
            "bare": lambda: self._bare(folder),
            "litellm": lambda: litellm(self.get("upstream").address, folder=folder, core=self.server_core),
        }
        return starts[name]()

    def _daemon(self, folder: Path, upstream: str) -> contextlib.AbstractContextManager[Child]:
        env = WIDE | {"KIMI_API_URL": self.get(upstream).address}
        return running([*exai(), "serve"], READY_LINE, folder=folder, core=self.server_core, env=env)

    def _bare(self, folder: Path) -> contextlib.AbstractContextManager[Child]:
        env = {"BENCH_UPSTREAM": self.get("upstream").address, "PYTHONPATH": str(ROOT)}
        args = [sys.executable, "-m", "benchmarks.bare_daemon"]
        return running(args, r"on (ws://\S+)", folder=folder, core=self.server_core, env=env)

    def under(self, load: Load, *, warm_s: float, window_s: float) -> Seen:
        """Load a server, warming a new one first. Raises NotMeasured when a call went wrong."""
        if load.server not in self._warm:
            self._warm.add(load.server)
            self.under(load, warm_s=0.1, window_s=WARMING_S.get(load.server, 1.0))
        server = self.get(load.server)
        args = [
            sys.executable,
            "-m",
            "benchmarks.load",
            load.client,
            server.address,
            "--pid",
            str(server.pid),
        ]
        args += ["--sessions", str(load.sessions), "--warm-s", str(warm_s), "--window-s", str(window_s)]
        env = {"PYTHONPATH": str(ROOT)}
        with running(args, "^seen (.+)$", folder=self._folder, core=self.load_core, env=env) as generator:
            seen = json.loads(generator.address)
        if seen["errors"] or not seen["calls"]:
            raise NotMeasured(f"{seen['errors']} clients failed: {seen['first_error'] or 'no call ended'}")
        return Seen(
            cpu_us=seen["cpu_s"] / seen["calls"] * 1e6,
            calls_per_s=seen["calls"] / seen["wall_s"],
            busy=seen["cpu_s"] / seen["wall_s"],
            p50_ms=seen["p50_ms"],
            p99_ms=seen["p99_ms"],
            pieces=seen["pieces"] / seen["calls"],
        )


def simulator(
    folder: Path, core: frozenset[int] | None, *options: str
) -> contextlib.AbstractContextManager[Child]:
    """``exai sim`` on a free port; its address is what KIMI_API_URL wants."""
    args = [*exai(), "sim", "--port", "0", *options]
    return running(args, r"KIMI_API_URL=(\S+)", folder=folder, core=core)


def measure(
    groups: set[str], folder: Path, *, rounds: int, warm_s: float, window_s: float, say: Callable[[str], None]
) -> Outcome:
    """What the loads of these groups showed, run in turn, round after round, while there is time."""
    outcome, ends_at = Outcome(), time.monotonic() + BUDGET_S
    with contextlib.ExitStack() as stack:
        servers = Servers(folder, stack)
        for turn in range(rounds):
            if turn and time.monotonic() > ends_at:
                say(f"no time for more than {turn} rounds")
                break
            for name in LOADS:
                if name in outcome.failed or not any(name in NEEDS[group] for group in groups):
                    continue
                say(f"round {turn + 1} of {rounds}: {name}")
                try:
                    outcome.add(name, servers.under(LOADS[name], warm_s=warm_s, window_s=window_s))
                except NotMeasured as error:
                    outcome.failed[name] = str(error)
    return outcome
