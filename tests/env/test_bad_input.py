"""Files that are none, by every option that names one: one line, exit 3, in bounded time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.env.load import MAX_DOCUMENT_BYTES, MAX_LINES, MAX_REFERENCES

MEMORY = 400 * 1024**2
TIMEOUT_S = 60

RUN = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
from exai_ops.cli import main
sys.exit(main(sys.argv[1:]))
"""


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)


def _unreadable(path: Path) -> None:
    path.touch(mode=0)


def _of(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def _missing(path: Path) -> None:
    assert not path.exists()


NO_FILES: dict[str, Callable[[Path], None]] = {
    "missing": _missing,
    "folder": Path.mkdir,
    "fifo": _fifo,
    "loop of links": _loop,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "50 MB": _large,
    "50 MB of text": _of(b"KEY_A=1\n" * (50 * 1024 * 1024 // 8)),
    "unreadable": _unreadable,
    "binary": _of(b"A=1\n\0\1\xff\n"),
    "UTF-16": _of("A=1\n".encode("utf-16")),
}
LONG = {
    "a line": _of(b"A=" + b"x" * MAX_DOCUMENT_BYTES),
    "references": _of(b"A=" + b"${X:-" * (MAX_REFERENCES + 1)),
    "lines": _of(b"A=1\n" * (MAX_LINES + 1)),
}


def _bomb() -> bytes:
    rows = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return "\n".join(["a0: &a0 [x, x]", *rows, "services: {a: {labels: *a11}}", ""]).encode()


NO_COMPOSE: dict[str, Callable[[Path], None]] = {
    "aliases that explode": _of(_bomb()),
    "an anchor in itself": _of(b"x: &x {<<: *x}\nservices: {a: *x}\n"),
    "depth": _of(b"[" * 100_000),
    "broken": _of(b"services: [\n  a: {b\n"),
    "tabs": _of(b"services:\n\ta: 1\n"),
    "not UTF-8": _of(b"services:\n  a: {image: caf\xe9}\n"),
    "no mapping": _of(b"just text\n"),
    "empty": _of(b""),
    "extends itself": _of(b"services:\n  a: {extends: {service: a}}\n"),
    "includes itself": _of(b"include: [bad]\nservices: {}\n"),
}
COMMANDS = {
    "example": ("check", "--example", "bad"),
    "live": ("check", "--live", "bad"),
    "env-file": ("check", "--env-file", "bad"),
    "compose": ("check", "--compose", "bad"),
    "baseline": ("check", "--baseline", "bad"),
    "explain": ("explain", "A", "--live", "bad"),
    "explain compose": ("explain", "A", "--compose", "bad"),
    "diff": ("diff", "bad", ".env"),
    "sync": ("sync", "--live", "bad"),
    "fix": ("fix", "bad"),
}
HEAVY = ("unreadable", "50 MB of text")
Cases = list[tuple[str, str, Callable[[Path], None]]]
AT_ONCE: Cases = [(use, kind, NO_FILES[kind]) for use in COMMANDS for kind in NO_FILES if kind not in HEAVY]
BOUNDED: Cases = [
    *((use, kind, NO_FILES[kind]) for use in COMMANDS for kind in HEAVY),
    *(("live", kind, make) for kind, make in LONG.items()),
    *(("compose", kind, make) for kind, make in NO_COMPOSE.items()),
]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / ".env.example").write_text("A=1\n")
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "compose.yml").write_text("services:\n  a: {image: 'x:1'}\n")
    return tmp_path


AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
"""For root, who may read everything otherwise."""


def run(here: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that may use no more memory than is said here."""
    command = [sys.executable, "-c", RUN, "env", *args]
    if os.geteuid() == 0:
        command = [*AS_OTHERS, *command]
    return subprocess.run(
        command, cwd=here, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S, check=False
    )


def _refused(here: Path, code: int, out: str, err: str) -> None:
    first, *others = err.splitlines()
    assert (code, out) == (3, "")
    assert first.startswith("exai: error: bad"), err
    assert len(others) == 1
    assert others[0].startswith("hint: ")
    left = {path.name for path in here.iterdir()} - {"bad"}
    assert left == {".env.example", ".env", "compose.yml"}  # nothing was written


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("use", "kind", "make"), AT_ONCE, ids=_name)
def test_it_is_refused_in_a_line(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    use: str,
    kind: str,
    make: Callable[[Path], None],
) -> None:
    make(here / "bad")
    monkeypatch.chdir(here)
    code = main(["env", *COMMANDS[use]])
    _refused(here, code, *capsys.readouterr())


@pytest.mark.parametrize(("use", "kind", "make"), BOUNDED, ids=_name)
def test_it_is_refused_within_bounds(here: Path, use: str, kind: str, make: Callable[[Path], None]) -> None:
    make(here / "bad")
    done = run(here, *COMMANDS[use])
    _refused(here, done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "args",
    [("check",), ("check", "--live", ".env"), ("explain", "A"), ("sync",), ("fix",), ("scan",)],
    ids=" ".join,
)
def test_a_folder_that_is_gone_is_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["env", *args]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("exai: error: ")
