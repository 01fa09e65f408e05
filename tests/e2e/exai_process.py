"""Real processes of ``exai``: their output waited for by the line, their end always seen."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import httpx

DEADLINE_S = 20.0
"""For anything that a healthy process does within a second; the machine may be busy."""

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nothing here speaks TLS, and httpx would load all certificates for each request."""

_INHERITED = ("PATH", "LANG", "SYSTEMROOT", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


class Output:
    """The lines of a pipe, read as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self.lines: list[str] = []
        self.ended = False
        self._pipe = pipe
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def first(self, fits: Callable[[str], bool], *, timeout_s: float = DEADLINE_S) -> str:
        """The first line that fits. Raises AssertionError with all lines when there is none in time."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if fits(line):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    raise AssertionError("no such line in:\n" + "\n".join(self.lines))
                self._changed.wait(left)

    def close(self) -> None:
        """Read to the end, after the process has ended."""
        self._thread.join(DEADLINE_S)
        self._pipe.close()


class Process:
    """``exai ARGS`` in a folder of its own, with nothing of this environment but what is given."""

    def __init__(self, args: list[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "exai_ops", *args],
            cwd=cwd,
            env={**inherited, "HOME": str(cwd), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self.child.stdout is not None
        assert self.child.stderr is not None
        self.out = Output(self.child.stdout)
        self.err = Output(self.child.stderr)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.child.pid

    @property
    def stdout(self) -> str:
        """All of it so far."""
        return "\n".join(self.out.lines)

    @property
    def stderr(self) -> str:
        """All of it so far."""
        return "\n".join(self.err.lines)

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self.child.send_signal(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit code (minus the signal's number when one ended it), with all output read."""
        try:
            code = self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still alive after {timeout_s} s; its log:\n{self.stderr}") from None
        self.out.close()
        self.err.close()
        return code

    def reap(self) -> None:
        """End it if it has not ended, and read what is left."""
        if self.child.poll() is None:
            self.child.kill()
        self.wait()


class DaemonProcess(Process):
    """``exai serve`` on a free port.

    Attributes:
        state_dir: Its EXAI_STATE_DIR.
        env: What it was given beside.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], args: list[str] | None = None) -> None:
        self.folder = folder
        self.state_dir = Path(env.get("EXAI_STATE_DIR", str(folder / "state")))
        self.env = {"EXAI_STATE_DIR": str(self.state_dir), "EXAI_LOG_FORMAT": "json", **env}
        super().__init__(["serve", *(args or ["--port", "0"])], cwd=folder, env=self.env)
        self._port: int | None = None

    @property
    def port(self) -> int:
        """Its port, once it is ready."""
        if self._port is None:
            self._port = int(str(self.event("ready")["url"]).rstrip("/").rpartition(":")[2])
        return self._port

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    def event(self, name: str, *, timeout_s: float = DEADLINE_S, **fields: Any) -> dict[str, Any]:
        """The first log line of this event with these fields."""

        def fits(line: str) -> bool:
            entry = parsed(line)
            return entry.get("event") == name and fields.items() <= entry.items()

        return parsed(self.err.first(fits, timeout_s=timeout_s))

    def events(self, name: str) -> list[dict[str, Any]]:
        """All log lines of this event so far."""
        return [entry for entry in map(parsed, self.err.lines) if entry.get("event") == name]

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """A page of it."""
        return httpx.get(
            f"http://{self.address}{path}", headers=headers, timeout=10, trust_env=False, verify=_NO_TLS
        )

    def exai(self, *args: str, env: Mapping[str, str] | None = None, timeout_s: float = 40) -> Finished:
        """Run another command of ``exai`` against it, with its settings, to its end."""
        command = Process([*args, "--port", str(self.port)], cwd=self.folder, env={**self.env, **(env or {})})
        try:
            return Finished(command.wait(timeout_s), command.stdout, command.stderr)
        finally:
            command.reap()

    def stop(self) -> int:
        """Drain it; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def complaints(self) -> list[str]:
        """Log lines of level error and what looks like a traceback."""
        return [
            line
            for line in self.err.lines
            if parsed(line).get("level") in (None, "error", "critical") or "Traceback" in line
        ]


class Finished:
    """A command that has ended."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr


def parsed(line: str) -> dict[str, Any]:
    """A log line as data, empty when it is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
