"""From exec to ready, idle memory, and the wall time of short commands, in turn with bare python."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.calls import READY_LINE, simulator
from benchmarks.load import MODEL, PROMPT
from benchmarks.processes import Child, NotMeasured, environment, exai, running, spawn, unhurried
from benchmarks.table import Limit, Row, ratio

MB: Final = 1_000_000
SETTLE_S: Final = 0.3
COMMAND_S: Final = 30.0
_BARE: Final = (sys.executable, "-c", "pass")
_BARE_IDLE: Final = (
    sys.executable, "-c", "import time; print('ready now', flush=True); time.sleep(60)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from spawn to ready, CPU of them, memory when idle and after a call."""

    ready_s: float
    cpu_s: float
    idle_mb: float
    after_mb: float


def daemon_rows(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Start-up and memory of the daemon with a key, and with the simulator inside."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(simulator(folder, None))
        kinds = {
            "with a key": {"KIMI_API_KEY": "sk-bench", "KIMI_API_URL": upstream.address},
            "simulator inside": {},
        }
        seen: dict[str, list[Start]] = {kind: [] for kind in kinds}
        bare: list[Start] = []
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}: start of the daemon")
            bare.append(_bare_python(folder))
            for kind, env in kinds.items():
                home = folder / f"{kind}-{turn}".replace(" ", "-")
                home.mkdir()
                seen[kind].append(_daemon(home, env))
    return [row for kind in kinds for row in _rows(kind, seen[kind], bare)]


def _rows(kind: str, seen: list[Start], bare: list[Start]) -> list[Row]:
    ready, cpu = [one.ready_s for one in seen], [one.cpu_s for one in seen]
    idle, after = [one.idle_mb for one in seen], [one.after_mb for one in seen]
    return [
        Row(
            group="start",
            what=f"from exec to ready, SQLite, {kind}",
            unit="s",
            goal="at most 0.7 s",
            figures=tuple(ready),
            limit=Limit(number=0.7),
            ratios=(ratio("bare python", ready, [one.ready_s for one in bare]),),
        ),
        Row(
            group="start",
            what="CPU of it",
            unit="s",
            figures=tuple(cpu),
            ratios=(ratio("bare python", cpu, [one.cpu_s for one in bare]),),
        ),
        Row(
            group="start",
            what=f"idle memory (RSS), {kind}",
            unit="MB",
            goal="at most 60 MB",
            figures=tuple(idle),
            limit=Limit(number=60),
            ratios=(ratio("bare python", idle, [one.idle_mb for one in bare]),),
        ),
        Row(group="start", what=f"the same after one call, {kind}", unit="MB", figures=tuple(after)),
    ]


def _daemon(folder: Path, env: Mapping[str, str]) -> Start:
    given = {"EXAI_WS_PORT": "0", "EXAI_LOG_FORMAT": "json", **env}
    with running([*exai(), "serve"], READY_LINE, folder=folder, env=given) as daemon:
        idle = _rss_mb(daemon)
        _call(daemon.address)
        return Start(daemon.found_at - daemon.started_at, daemon.found_cpu_s, idle, _rss_mb(daemon))


def _bare_python(folder: Path) -> Start:
    child = spawn(_BARE_IDLE, "ready (now)", folder=folder)
    try:
        child.wait_ready()
        idle = _rss_mb(child)
        return Start(child.found_at - child.started_at, child.found_cpu_s, idle, idle)
    finally:
        with unhurried():
            child.stop()


def _rss_mb(child: Child) -> float:
    import psutil

    time.sleep(SETTLE_S)
    return float(psutil.Process(child.pid).memory_info().rss) / MB


def _call(url: str) -> None:
    """One chat call. Raises NotMeasured when it is answered with an error."""
    from websockets.sync.client import connect

    call = {"op": "call_tool", "request_id": "r1", "name": "chat"}
    call["arguments"] = {"prompt": PROMPT, "model": MODEL}  # type: ignore[assignment]
    with connect(url, compression=None) as ws:
        ws.send('{"op":"hello","session_id":"bench"}')
        ws.recv(timeout=10)
        ws.send(json.dumps(call))
        while '"call_tool_res"' not in (frame := str(ws.recv(timeout=30))):
            pass
    if '"error"' in frame:
        raise NotMeasured(f"the call failed: {frame[:200]}")


def command_rows(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Wall time of ``exai --help`` and ``exai version``, and of bare python, in turn."""
    commands: dict[str, Sequence[str]] = {
        "exai --help": [*exai(), "--help"],
        "exai version": [*exai(), "version"],
        "python -c pass": _BARE,
    }
    seen: dict[str, list[float]] = {name: [] for name in commands}
    say(f"{rounds} rounds: short commands")
    for turn in range(rounds + 1):
        for name, command in commands.items():
            took = wall_ms(command, folder)
            if turn:  # the first one warms the page cache
                seen[name].append(took)
    bare = seen["python -c pass"]
    rows = [
        Row(
            group="commands",
            what=f"`{name}`",
            unit="ms",
            goal="at most 150 ms",
            figures=tuple(seen[name]),
            limit=Limit(number=150),
            ratios=(ratio("bare python", seen[name], bare),),
        )
        for name in commands
        if name != "python -c pass"
    ]
    return [*rows, Row(group="commands", what="`python -c pass`", unit="ms", figures=tuple(bare))]


def wall_ms(command: Sequence[str], folder: Path, *, codes: Sequence[int] = (0,)) -> float:
    """Wall time of a command in milliseconds. Raises NotMeasured when it ends with another exit code."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_S,
        check=False,
    )
    took = (time.perf_counter() - began) * 1e3
    if done.returncode not in codes:
        raise NotMeasured(f"{Path(command[0]).name} ended with {done.returncode}")
    return took
