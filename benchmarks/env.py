"""``exai env check`` on a real pair, in turn with dotenv-linter; and how its time grows with the file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT, NotMeasured, exai
from benchmarks.starts import wall_ms
from benchmarks.table import Limit, Row, ratio

LINTER: Final = "0.9.0"
INSTALL_S: Final = 120.0
SIZES: Final = (5_000, 10_000)
_VENV: Final = ROOT / ".venv-bench" / f"dotenv-linter-{LINTER}"
_STAMP: Final = _VENV / "installed"
_PAIR: Final = ROOT / "tests" / "env" / "data" / "2025-10-18"
_FOUND: Final = (0, 1)


def rows(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Wall time on the pair of 146 keys, against dotenv-linter's, and of files of 10,000 keys."""
    here = folder / "env"
    here.mkdir()
    shutil.copy(_PAIR / ".env.example", here)
    shutil.copy(_PAIR / ".env.docker.template", here / ".env.docker")
    linter, missing = _linter(say)
    commands = {"exai": [*exai(), "env", "check"]} | linter
    say(f"{rounds} rounds: exai env check")
    seen: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            took = wall_ms(command, here, codes=_FOUND)
            if turn:  # the first one warms the page cache
                seen[name].append(took)
    return [_pair_row(seen, missing), *_large_rows(folder, rounds=rounds)]


def _pair_row(seen: dict[str, list[float]], missing: str | None) -> Row:
    name = f"dotenv-linter {LINTER}"
    theirs = seen.get("linter", [])
    against = ratio(name, seen["exai"] if theirs else [], theirs, Limit(number=0.5))
    return Row(
        group="env",
        what="`exai env check`, a pair of 146 keys" + (f" ({missing})" if missing else ""),
        unit="ms",
        goal=f"at most 150 ms and half of {name}",
        figures=tuple(seen["exai"]),
        limit=Limit(number=150),
        ratios=(against,),
    )


def _large_rows(folder: Path, *, rounds: int) -> list[Row]:
    """Two sizes in turn: the larger one against its goal, and over the smaller one."""
    homes = [_large(folder / f"env-{size}", size) for size in SIZES]
    seen: list[list[float]] = [[], []]
    for _ in range(rounds):
        for home, figures in zip(homes, seen, strict=True):
            figures.append(wall_ms([*exai(), "env", "check", "--format", "short"], home, codes=_FOUND) / 1e3)
    small, large = SIZES
    return [
        Row(
            group="env",
            what=f"`exai env check`, a pair of {large:,} keys",
            unit="s",
            goal="at most 1 s",
            figures=tuple(seen[1]),
            limit=Limit(number=1),
            ratios=(ratio(f"{small:,} keys", seen[1], seen[0]),),
        )
    ]


def _large(home: Path, size: int) -> Path:
    """A folder with a pair of files of so many keys, each with a comment."""
    home.mkdir()
    for name, value in ((".env.example", 1), (".env", 1)):
        keys = (f"# what key {n} is for\nSOME_KEY_{n}_SECS={value}\n" for n in range(size))
        (home / name).write_text("".join(keys))
    return home


def _linter(say: Callable[[str], None]) -> tuple[dict[str, Sequence[str]], str | None]:
    """Its command, or why there is none."""
    try:
        _install(say)
    except NotMeasured as error:
        return {}, str(error)
    return {"linter": [str(_VENV / "bin" / "dotenv-linter"), ".env.example", ".env.docker"]}, None


def _install(say: Callable[[str], None]) -> None:
    """Make an environment for it if there is none yet. Raises NotMeasured with pip's last line."""
    if _STAMP.exists():
        return
    say(f"once: an environment for dotenv-linter {LINTER}, at most {INSTALL_S:.0f} s")
    shutil.rmtree(_VENV, ignore_errors=True)
    pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--compile"]
    try:
        for command in ([sys.executable, "-m", "venv", str(_VENV)], [*pip, f"dotenv-linter=={LINTER}"]):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise NotMeasured(f"dotenv-linter cannot be installed: {said[-1] if said else error}") from error
    _STAMP.write_text(f"{LINTER}\n")
