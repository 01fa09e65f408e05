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

IGNORED = shutil.ignore_patterns("__pycache__", "node_modules", "vendor")
"""As .dockerignore has it."""


def stages() -> dict[str, list[tuple[str, str]]]:
    """Each stage of the Dockerfile by its name, the last under none: (instruction, its rest)."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found: dict[str, list[tuple[str, str]]] = {}
    stage = ""
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stage = rest.partition(" AS ")[2]
        found.setdefault(stage, []).append((name, rest))
    return found


def build(folder: Path) -> Image:
    """What the Dockerfile makes, its first stages built in a folder."""
    paths = {f"/{name}": folder / name for name in ("src", "wheels", "build", "charts", "opt/exai")}
    for path in paths.values():
        path.mkdir(parents=True)
    *building, (_, final) = stages().items()
    for _, lines in building:
        where = next(rest for name, rest in lines if name == "WORKDIR")
        for name, rest in lines:
            if name == "COPY":
                *sources, target = shlex.split(rest)
                copy(paths, sources, posixpath.join(where, target))
            elif name == "RUN":
                run(paths, where, rest)
    env = dict(pair.split("=", 1) for n, r in final if n == "ENV" for pair in shlex.split(r))
    env["PATH"] = env["PATH"].replace("$PATH", "/usr/bin:/bin")
    (command,) = (json.loads(rest) for name, rest in final if name == "CMD")
    return Image({"/opt/exai": paths["/opt/exai"]}, env, command)


def copy(paths: Mapping[str, Path], sources: Sequence[str], target: str) -> None:
    """COPY, from the context or another stage: a folder's content, or files into what ends with a slash."""
    there = outside(paths, target)
    elsewhere = [source for source in sources if not source.startswith("--from=")]
    for source in elsewhere:
        path = ROOT / source if elsewhere == list(sources) else outside(paths, source)
        if path.is_dir():
            shutil.copytree(path, there, ignore=IGNORED)
        else:
            shutil.copy(path, there)


def outside(paths: Mapping[str, Path], path: str) -> Path:
    """Where a path of the image is on this machine."""
    parent = next(inside for inside in paths if path.startswith(inside))
    return paths[parent] / path.removeprefix(parent).strip("/")


def run(paths: Mapping[str, Path], where: str, line: str) -> None:
    arguments = ["--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    arguments += ["--setenv", "npm_config_cache", "/tmp/npm"]  # the home of this machine is read-only there
    for name in sorted(ROOT.parents[-1].iterdir()):
        if name.name not in ("proc", "dev", "tmp", "opt", "src", "build", "wheels", "charts"):
            arguments += ["--ro-bind", str(name), str(name)]
    for inside, outside in paths.items():
        arguments += ["--bind", str(outside), inside]
    python = f'PATH="{sys.base_prefix}/bin:$PATH"; {line}'
    subprocess.run(["bwrap", *arguments, "--chdir", where, "sh", "-ec", python], check=True, timeout=400)
