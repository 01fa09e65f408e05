"""Services of the compose file run without an engine: bubblewrap gives what the file asks for.

Its user, a read-only root, its tmpfs and volumes, no capability, no new privileges, a network of the stack's
own; under the paths of the image. What an image holds is bound from this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import psutil
from e2e.exai_process import DEADLINE_S, Output

from exai_ops.compose.model import Project, Service
from exai_ops.compose.project import load_project
from exai_ops.env.readers import READERS

ROOT = Path(__file__).parent.parent.parent
SECRETS = {"EXAI_WS_TOKEN": "a-token-of-the-tests", "REDIS_PASSWORD": 'p"a\\s:s,w#$$1'}
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


@dataclass(frozen=True)
class Image:
    """What stands in for an image: folders of this machine (inside: outside), its ENV and its CMD."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()


class Network:
    """A network namespace that lives as long as this object is not closed; loopback is all it has."""

    def __init__(self) -> None:
        holder = ["bwrap", "--die-with-parent", "--unshare-net", "--dev-bind", "/", "/"]
        self._process = subprocess.Popen(
            [*holder, "sh", "-c", "echo up; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n"
        (inside,) = psutil.Process(self._process.pid).children()
        self.enter = ["nsenter", f"--net=/proc/{inside.pid}/ns/net"]
        if os.geteuid() != 0:
            self.enter = ["nsenter", f"--target={inside.pid}", "--user", "--preserve-credentials", "--net"]

    def close(self) -> None:
        self._process.communicate(timeout=DEADLINE_S)


def load(folder: Path, env: Mapping[str, str]) -> Project:
    """The committed compose files with an ``.env.docker`` of these values, run as the README says."""
    (folder / ".env.docker").write_text("".join(f"{k}={v}\n" for k, v in env.items()), encoding="utf-8")
    (folder / "compose").symlink_to(ROOT / "compose")
    return load_project(
        [folder / "compose" / "docker-compose.yml"],
        env_file=folder / ".env.docker",
        environ={},
        profiles=["tools"],
        read_env=lambda data, environ: READERS["compose"](data, environ).values,
    )


class Container:
    """One service, running."""

    def __init__(self, service: Service, image: Image, network: Network, folder: Path) -> None:
        self._service = service
        self._body: Mapping[str, Any] = service.body
        self._image = image
        self._network = network
        self._folder = folder
        self.child = subprocess.Popen(
            self._inside(self._body.get("command") or image.command),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert self.child.stdout is not None
        self.log = Output(self.child.stdout)

    def environment(self) -> dict[str, str]:
        """What the container gets: of the image, then env_file, then environment."""
        values = {"PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}", **self._image.env}
        for file in self._service.env_files:
            assert file.data is not None, file.path
            values |= READERS["compose"](file.data, {}).values
        return values | {v.key: v.value for v in self._service.environment if v.value is not None}

    def _inside(self, command: Sequence[str]) -> list[str]:
        user, _, group = self._body["user"].partition(":")
        assert self._body["read_only"]
        arguments = ["--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        arguments += ["--uid", user, "--gid", group, "--hostname", self._service.name]
        arguments += ["--proc", "/proc", "--dev", "/dev", *self._mounts(), "--remount-ro", "/"]
        arguments += ["--chdir", self._body.get("working_dir", "/")]
        return [*self._network.enter, "bwrap", *arguments, *command]

    def _mounts(self) -> Iterator[str]:
        for system in (*_SYSTEM, sys.base_prefix):
            yield from ("--ro-bind", system, system)
        yield from ("--tmpfs", "/usr/local/etc")  # a place for mounts, below what is bound
        for inside, outside in self._image.folders.items():
            yield from ("--ro-bind", str(outside), inside)
        for entry in self._body.get("tmpfs", ()):
            yield from ("--tmpfs", entry.partition(":")[0])
        for entry in self._body.get("volumes", ()):
            outside, inside, *mode = entry.split(":")
            if mode == ["ro"]:
                yield from ("--ro-bind", str(ROOT / "compose" / outside), inside)
            else:
                (self._folder / outside).mkdir(exist_ok=True)
                yield from ("--bind", str(self._folder / outside), inside)

    def run(
        self, command: Sequence[str], *, timeout_s: float = DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Another command in it, as ``docker exec`` would."""
        return subprocess.run(
            self._inside(command),
            env=self.environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
        )

    def healthy(self) -> bool:
        """Whether the healthcheck passes, in its own time."""
        kind, *rest = self._body["healthcheck"]["test"]
        command = rest if kind == "CMD" else ["sh", "-c", *rest]
        try:
            timeout_s = float(self._body["healthcheck"]["timeout"].removesuffix("s"))
            return self.run(command, timeout_s=timeout_s).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    @property
    def main(self) -> psutil.Process:
        """The process of its command, below bubblewrap's own."""
        process = psutil.Process(self.child.pid)
        while process.name() == "bwrap":
            (process,) = process.children()
        return process

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit code, 128 and the number of the signal that ended it."""
        code = self.child.wait(timeout_s)
        self.log.close()
        return code

    def close(self) -> None:
        """End it, if it has not ended."""
        self.child.kill()  # --die-with-parent takes what is inside along
        self.wait()


Start: TypeAlias = Callable[..., Container]
"""Starts a service, by its name, from an image; with other values in ``.env.docker`` when given."""
