"""Make ``.venv`` from a lock file, or leave it alone when it is right.

Usage: ``python .ci/environment.py runtime|dev [--rebuild-for PYTHON]``, standard library alone.

A stamp inside ``.venv`` is written last, so a folder without one was interrupted half way and is made anew:
pip takes a half-copied package for an installed one. A lock on ``pyproject.toml`` keeps two runs apart.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "exai-stamp.json"
LOCKS = {"runtime": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
# Of the caller's environment: what would install elsewhere, refuse, or leave bytecode out.
DROPPED = (
    "PIP_NO_COMPILE", "PIP_PREFIX", "PIP_REQUIRE_HASHES", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT", "PIP_TARGET",
    "PIP_USER", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV",
)  # fmt: skip


class Refused(Exception):
    """It cannot be made; the message is one line that says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=LOCKS)
    parser.add_argument("--rebuild-for", metavar="PYTHON")
    options = parser.parse_args()
    try:
        with alone():
            make(options.kind, explicit=options.rebuild_for is not None)
    except Refused as refused:
        print(f"exai: error: {refused}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not there on Windows
        yield
        return
    with (ROOT / "pyproject.toml").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.set_inheritable(file.fileno(), True)  # a child that outlives us still holds it
        yield


def make(kind: str, *, explicit: bool) -> None:
    found = read_stamp()
    if found is not None and is_stale(found, explicit=explicit):
        found = None
    if found is not None and found["kind"] == "dev":
        kind = "dev"  # which holds the runtime's packages too
    wanted = describe(kind, found)
    if found == wanted:
        return
    if found is None:
        create()
    if found is None or found["kind"] != kind:
        install(kind)
    install_ourselves()
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")


def describe(kind: str, found: dict[str, str] | None) -> dict[str, str]:
    """The stamp of a finished environment of this kind."""
    return {
        "kind": kind,
        "locks": digest(*LOCKS.values()),
        "project": digest(ROOT / "pyproject.toml"),
        "folder": str(ROOT),
        "python": found["python"] if found else base_python(),
    }


def is_stale(found: dict[str, str], *, explicit: bool) -> bool:
    """Whether nothing can be kept: other versions, a moved folder, a python that is gone or not wanted."""
    same = found.get("locks") == digest(*LOCKS.values()) and found.get("folder") == str(ROOT)
    return not same or not python_works() or (explicit and found.get("python") != base_python())


def read_stamp() -> dict[str, str] | None:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and {"kind", "python"} <= stamp.keys() else None


def base_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def python_works() -> bool:
    probe = [str(venv_python()), "-c", "import pip"]
    try:
        return subprocess.run(probe, check=False, capture_output=True, env=environment()).returncode == 0
    except OSError:
        return False


def create() -> None:
    try:
        import ensurepip
        import venv
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        message = f"{sys.executable} lacks venv or ensurepip; on Debian: apt-get install python{version}-venv"
        raise Refused(message) from None
    del ensurepip, venv  # looked for, and run in a process of their own below
    say(f"making .venv with Python {sys.version.split()[0]}, once")
    if VENV.is_symlink():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    run([base_python(), "-m", "venv", str(VENV)], "python -m venv failed")


def install(kind: str) -> None:
    STAMP.unlink(missing_ok=True)
    say(f"installing {LOCKS[kind].name}")
    run([*pip(), "--require-hashes", "-r", str(LOCKS[kind])], f"pip could not install {LOCKS[kind].name}")


def install_ourselves() -> None:
    """Editable, by the build backend that the lock pins: nothing is downloaded."""
    STAMP.unlink(missing_ok=True)
    build = [*pip(), "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run(build, "pip could not install this folder")
    run([str(venv_python()), "-m", "compileall", "-q", str(ROOT / "exai_ops")], "compileall failed")


def pip() -> list[str]:
    quiet = ["-qq", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    return [str(venv_python()), "-m", "pip", "install", *quiet, "--root-user-action=ignore"]


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command: list[str], failure: str) -> None:
    """In a session of its own, so that Ctrl-C is ours to pass on and costs no traceback of pip's."""
    process = subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        close_fds=False,
        start_new_session=True,
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code:
        raise Refused(f"{failure} (exit {code}); what it said is above")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in DROPPED}


def digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


def say(text: str) -> None:
    print(f"exai: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
