"""Put Chart.js beside the dashboard's page, from npm by the lock file; leave it alone when it is right.

Usage: ``python .ci/charts.py [--if-possible]``, standard library alone. With the option, what is missing is
said in one line and is no failure: without Chart.js the page shows its numbers as tables.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "exai_ops" / "dashboard"
LOCK = PAGE / "package-lock.json"
VENDOR = PAGE / "static" / "vendor"
STAMP = VENDOR / "package-lock.json"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
COPY = ["npm", "run", "--silent", "vendor"]
DEADLINE_S = 120


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--if-possible", action="store_true")
    possible = parser.parse_args().if_possible
    if STAMP.is_file() and STAMP.read_bytes() == LOCK.read_bytes():
        return 0
    why = fetch()
    if why is None:
        return 0
    if possible:
        print(f"exai: the dashboard goes without charts: {why}", file=sys.stderr)
        return 0
    print(f"exai: error: no Chart.js: {why}", file=sys.stderr)
    return 2


def fetch() -> str | None:
    """Why it could not be had, or None. The stamp is written last."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / file, folder)
        for command in (INSTALL, COPY):
            why = run(command, folder)
            if why is not None:
                return why
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.copytree(folder / "vendor", VENDOR)
    shutil.copy(LOCK, STAMP)
    return None


def run(command: list[str], folder: Path) -> str | None:
    """Why a command failed, or None."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        return "npm is not installed"
    except subprocess.TimeoutExpired:
        return f"{' '.join(command[:2])} took longer than {DEADLINE_S} s"
    return f"{' '.join(command[:2])} failed (exit {done.returncode})" if done.returncode else None


if __name__ == "__main__":
    sys.exit(main())
