"""The plugin in a pytest of its own, on tests that leave permits behind and on tests that do not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]

LEAVES = {
    "asyncio": """
        async def lose():
            slots = asyncio.Semaphore(2)
            await slots.acquire()  # HERE

        def test_it(exai_sem):
            asyncio.run(lose())
    """,
    "asyncio_bounded_by_wait_for": """
        async def lose():
            slots = asyncio.BoundedSemaphore(2)
            await asyncio.wait_for(slots.acquire(), 5)  # HERE

        def test_it(exai_sem):
            asyncio.run(lose())
    """,
    "module_level_semaphore": """
        SLOTS = asyncio.Semaphore(2)

        async def lose():
            async with SLOTS:
                pass
            await SLOTS.acquire()  # HERE

        @pytest.mark.exai_sem
        def test_it():
            asyncio.run(lose())
    """,
    "second_of_two": """
        async def lose():
            slots = asyncio.Semaphore(3)
            async with slots:
                await slots.acquire()  # HERE

        @pytest.mark.exai_sem(grace_s=0)
        def test_it():
            asyncio.run(lose())
    """,
    "thread": """
        def test_it(exai_sem):
            slots = threading.BoundedSemaphore(2)
            thread = threading.Thread(target=slots.acquire)
            with slots:
                thread = threading.Thread(target=lambda: slots.acquire())  # HERE
                thread.start()
                thread.join()
    """,
    "subclass": """
        class Slots(asyncio.Semaphore):
            async def acquire(self):
                return await super().acquire()  # HERE

        async def lose():
            await Slots(1).acquire()

        SLOTS = Slots(1)

        def test_it(exai_sem):
            asyncio.run(SLOTS.acquire())
    """,
    "tracked": """
        SLOTS = TrackedSemaphore(2)

        async def lose():
            await SLOTS.acquire()  # HERE

        def test_it(exai_sem):
            asyncio.run(lose())
    """,
}

CLEAN = {
    "asyncio": """
        async def work():
            slots = asyncio.Semaphore(1)

            async def one():
                async with slots:
                    await asyncio.sleep(0)

            await asyncio.gather(*(one() for _ in range(20)))
            await asyncio.wait_for(slots.acquire(), 5)
            asyncio.get_running_loop().call_soon(slots.release)
            await asyncio.sleep(0)

        def test_it(exai_sem):
            asyncio.run(work())
    """,
    "cancelled_by_the_loop": """
        async def work():
            slots = asyncio.BoundedSemaphore(1)

            async def hold():
                async with slots:
                    await asyncio.Event().wait()

            task = asyncio.create_task(hold())
            await asyncio.sleep(0)
            return task, slots

        def test_it(exai_sem):
            asyncio.run(work())
    """,
    "fixture_gives_back": """
        @pytest.fixture
        def slots():
            slots = threading.Semaphore(2)
            yield slots
            slots.release()

        def test_it(slots, exai_sem):
            slots.acquire()
    """,
    "executor_and_signal": """
        def test_it(exai_sem):
            signal = threading.Semaphore(0)
            with ThreadPoolExecutor(2) as pool:
                for _ in range(5):
                    pool.submit(signal.release)
                for _ in range(5):
                    signal.acquire()
    """,
    "thread_that_is_about_to": """
        def test_it(exai_sem):
            slots = threading.Semaphore(1)
            slots.acquire()
            threading.Timer(0.05, slots.release).start()
    """,
    "ignored": """
        @pytest.mark.exai_sem(grace_s=0, ignore=["test_it"])
        def test_it():
            slots = threading.Semaphore(1)
            slots.acquire()
    """,
    "not_asked_for": """
        def test_it():
            threading.Semaphore(1).acquire()
    """,
}

_HEAD = """
import asyncio, threading, pytest
from concurrent.futures import ThreadPoolExecutor
from exai_ops.sem.tracked import TrackedSemaphore
"""


def _run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "exai_ops.sem.pytest_plugin",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [*command, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False
    )


def _files(folder: Path, cases: dict[str, str]) -> dict[str, int]:
    """Write each case to a file; the lines that say HERE."""
    here = {}
    for name, body in cases.items():
        text = _HEAD + textwrap.dedent(body)
        (folder / f"test_{name}.py").write_text(text)
        here[name] = next((n for n, line in enumerate(text.splitlines(), 1) if "HERE" in line), 0)
    return here


def test_each_test_that_leaves_a_permit_fails_and_the_line_that_took_it_is_named(tmp_path: Path) -> None:
    here = _files(tmp_path, LEAVES)
    done = _run(tmp_path)
    found = dict(re.findall(r"test_(\w+)\.py:(\d+)(?: in \S+)?: taken by", done.stdout))
    assert done.returncode == 1, done.stdout
    assert {name: int(line) for name, line in found.items()} == here
    assert f"{len(LEAVES)} passed, {len(LEAVES)} errors" in done.stdout


def test_no_test_that_gives_all_back_fails(tmp_path: Path) -> None:
    _files(tmp_path, CLEAN)
    done = _run(tmp_path)
    assert (done.returncode, f"{len(CLEAN)} passed" in done.stdout) == (0, True), done.stdout


def test_the_ini_option_is_for_all_tests(tmp_path: Path) -> None:
    _files(tmp_path, {"any": CLEAN["not_asked_for"]})
    done = _run(tmp_path, "-o", "exai_sem=true")
    assert (done.returncode, "1 permit left behind" in done.stdout) == (1, True), done.stdout


def test_the_marker_is_declared(tmp_path: Path) -> None:
    assert _run(tmp_path, "--markers").stdout.count("@pytest.mark.exai_sem(") == 1
