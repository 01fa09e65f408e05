"""What each reader of a dotenv file makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from exai_ops.env.model import Reading
from exai_ops.env.readers import bash, compose, docker_run, node, python_dotenv, systemd

Reader: TypeAlias = Callable[[bytes, Mapping[str, str]], Reading]

READERS: Final[Mapping[str, Reader]] = {
    "python-dotenv": python_dotenv.read,
    "compose": compose.read,
    "compose-raw": docker_run.read_raw,
    "docker-run": docker_run.read,
    "node": node.read,
    "bash": bash.read,
    "systemd": systemd.read,
}
