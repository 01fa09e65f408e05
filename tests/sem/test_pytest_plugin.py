"""The plugin in a pytest of its own, on tests that leave permits behind and on tests that do not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

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
    "lock_of_asyncio": """
        async def lose():
            lock = asyncio.Lock()
            async with lock:
                pass
            await lock.acquire()  # HERE

        def test_it(exai_sem):
            asyncio.run(lose())
    """,
    "asked_for_in_the_test": """
        def test_it(request):
            request.getfixturevalue("exai_sem")
            threading.Semaphore(1).acquire()  # HERE
    """,
    "fixture_of_a_module": """
        SLOTS = threading.Semaphore(3)

        @pytest.fixture(scope="module")
        def slot():
            SLOTS.acquire()  # HERE
            yield

        @pytest.mark.exai_sem(grace_s=0)
        def test_it(slot):
            with SLOTS:
                pass
    """,
    "beside_a_fixture_of_a_module": """
        SLOTS = threading.Semaphore(3)

        @pytest.fixture(scope="module")
        def slot():
            with SLOTS:
                yield

        @pytest.mark.exai_sem(grace_s=0)
        def test_it(slot):
            SLOTS.acquire()  # HERE
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
    "ignored_by_one_pattern": """
        @pytest.mark.exai_sem(grace_s=0, ignore="test_i*")
        def test_it():
            threading.Semaphore(1).acquire()
    """,
    "fixtures_that_outlive_a_test": """
        SLOTS, TRACKED, LOCK = threading.Semaphore(9), TrackedSemaphore(9), asyncio.Lock()

        @pytest.fixture(scope="module")
        def slot():
            with SLOTS:
                SLOTS.acquire()
                yield
                SLOTS.release()

        @pytest.fixture(scope="session")
        def tracked():
            asyncio.run(TRACKED.acquire())
            yield
            TRACKED.release()

        @pytest.mark.exai_sem(grace_s=0)
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(slot, tracked, number):
            with SLOTS:
                pass
    """,
    "condition_of_asyncio": """
        async def work():
            condition = asyncio.Condition()

            async def wait():
                async with condition:
                    await condition.wait()

            task = asyncio.create_task(wait())
            await asyncio.sleep(0)
            async with condition:
                condition.notify()
            await task

        def test_it(exai_sem):
            asyncio.run(work())
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


def test_what_a_test_says_itself_is_not_said_again(tmp_path: Path) -> None:
    body = """
        def test_it(exai_sem):
            threading.Semaphore(1).acquire()
            assert not exai_sem.left()
    """
    _files(tmp_path, {"said": body})
    done = _run(tmp_path)
    assert "1 failed" in done.stdout, done.stdout
    assert "error" not in done.stdout.splitlines()[-1]


def test_a_fixture_that_fails_does_not_hide_what_was_left(tmp_path: Path) -> None:
    body = """
        @pytest.fixture
        def bad():
            yield
            raise OSError("it cannot be torn down")

        @pytest.mark.exai_sem(grace_s=0)
        def test_it(bad):
            threading.Semaphore(1).acquire()
    """
    _files(tmp_path, {"hidden": body})
    done = _run(tmp_path)
    assert "it cannot be torn down" in done.stdout
    assert "1 permit left behind" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("typo=1", "does not take typo"),
        ("0.1", "does not take 0.1"),
        ("grace_s='x'", "grace_s is a number of seconds, not 'x'"),
        ("grace_s=float('inf')", "not inf"),
        ("grace_s=-1", "not -1"),
        ("ignore=7", "ignore is a pattern or a list of them, not 7"),
        ("ignore=['a', 7]", "ignore is a pattern or a list of them"),
    ],
)
def test_a_marker_that_cannot_be_meant_is_refused(tmp_path: Path, marker: str, words: str) -> None:
    _files(tmp_path, {"wrong": f"@pytest.mark.exai_sem({marker})\ndef test_it(): pass\n"})
    done = _run(tmp_path)
    assert (done.returncode, words in done.stdout + done.stderr) == (4, True), done


def test_an_ini_option_that_is_no_truth_is_refused(tmp_path: Path) -> None:
    _files(tmp_path, {"any": CLEAN["not_asked_for"]})
    done = _run(tmp_path, "-o", "exai_sem=maybe")
    assert (done.returncode, "write true or false" in done.stderr, "KeyError" in done.stdout) == (
        4,
        True,
        False,
    )


def test_no_test_that_gives_all_back_fails(tmp_path: Path) -> None:
    """One of them is run twice."""
    _files(tmp_path, CLEAN)
    done = _run(tmp_path)
    assert (done.returncode, f"{len(CLEAN) + 1} passed" in done.stdout) == (0, True), done.stdout


def test_the_ini_option_is_for_all_tests(tmp_path: Path) -> None:
    _files(tmp_path, {"any": CLEAN["not_asked_for"]})
    done = _run(tmp_path, "-o", "exai_sem=true")
    assert (done.returncode, "1 permit left behind" in done.stdout) == (1, True), done.stdout


def test_the_marker_is_declared(tmp_path: Path) -> None:
    assert _run(tmp_path, "--markers").stdout.count("@pytest.mark.exai_sem(") == 1
