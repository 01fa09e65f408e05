"""The Dockerfile, read, and built without an engine: its lines are run under the paths that they name."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .container import ROOT, Image


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of one stage of the Dockerfile: (name, the rest in one line)."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found[stage]


def build(folder: Path) -> Image:
    """What the Dockerfile makes, its first stage built in a folder."""
    paths = {f"/{name}": folder / name for name in ("src", "wheels", "build", "opt/exai")}
    for path in paths.values():
        path.mkdir(parents=True)
    for name, rest in instructions(0):
        if name == "COPY":
            *sources, target = shlex.split(rest)
            copy(paths, sources, target)
        elif name == "RUN":
            run(paths, rest)
    env = dict(pair.split("=", 1) for n, r in instructions(1) if n == "ENV" for pair in shlex.split(r))
    env["PATH"] = env["PATH"].replace("$PATH", "/usr/bin:/bin")
    (command,) = (json.loads(rest) for name, rest in instructions(1) if name == "CMD")
    return Image({"/opt/exai": paths["/opt/exai"]}, env, command)


def copy(paths: Mapping[str, Path], sources: Sequence[str], target: str) -> None:
    """COPY: a folder's content into the target, files into it when it ends with a slash."""
    where = posixpath.join("/src", target)
    parent = next(inside for inside in paths if where.startswith(inside))
    there = paths[parent] / where.removeprefix(parent).strip("/")
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, there)


def run(paths: Mapping[str, Path], line: str) -> None:
    arguments = ["--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in sorted(ROOT.parents[-1].iterdir()):
        if name.name not in ("proc", "dev", "tmp", "opt", "src", "build", "wheels"):
            arguments += ["--ro-bind", str(name), str(name)]
    for inside, outside in paths.items():
        arguments += ["--bind", str(outside), inside]
    python = f'PATH="{sys.base_prefix}/bin:$PATH"; {line}'
    subprocess.run(["bwrap", *arguments, "--chdir", "/src", "sh", "-ec", python], check=True, timeout=400)
