"""``exai sem lint``: a table of sources with what is found in each, and of those in which nothing is."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.findings import Status
from exai_ops.sem.lint.files import look, of_source
from exai_ops.sem.lint.rules import RULES

HEAD = "import asyncio, threading\nSEM = asyncio.Semaphore(3)\nLIMIT = threading.Semaphore(3)\n"

WRONG = {
    "SEM101": ["""
        async def f():
            await SEM.acquire()
            await work()
            SEM.release()
        """, """
        def f():
            LIMIT.acquire()
            work()
            LIMIT.release()
        """],
    "SEM102": ["""
        async def f():
            await SEM.acquire()
            connection = await connect()
            try:
                await work(connection)
            finally:
                SEM.release()
        """],
    "SEM103": ["""
        async def f():
            await SEM.acquire()
            if await work():
                SEM.release()
        """, """
        async def f():
            await SEM.acquire()
            try:
                return await connect()
            except Exception:
                SEM.release()
                raise
        """, """
        async def f():
            await SEM.acquire()
            try:
                await work()
            except OSError:
                SEM.release()
                raise
            SEM.release()
        """],
    "SEM104": ["""
        async def f():
            acquired = False
            try:
                await asyncio.wait_for(SEM.acquire(), 5)
                acquired = True
            finally:
                if acquired:
                    SEM.release()
        """],
    "SEM105": ["""
        async def f():
            await asyncio.shield(SEM.acquire())
        """, """
        async def f():
            task = asyncio.create_task(SEM.acquire())
        """],
    "SEM106": ["""
        async def f():
            try:
                await SEM.acquire()
                await work()
            finally:
                SEM.release()
        """],
    "SEM107": ["""
        def f():
            LIMIT.acquire(timeout=5)
            try:
                work()
            finally:
                LIMIT.release()
        """, """
        def f():
            LIMIT.acquire(False)
        """],
}  # fmt: skip

RIGHT = ["""
    async def f():
        async with SEM:
            await work()
    """, """
    async def f():
        async with asyncio.timeout(5):
            async with SEM:
                await work()
    """, """
    async def f():
        await SEM.acquire()
        try:
            await work()
        finally:
            SEM.release()
    """, """
    async def f():
        await SEM.acquire()
        began = clock()
        try:
            await work()
        finally:
            SEM.release()
    """, """
    def f():
        got = LIMIT.acquire(timeout=5)
        if not got:
            return
        try:
            work()
        finally:
            LIMIT.release()
    """, """
    def f():
        if not LIMIT.acquire(blocking=False):
            raise BlockingIOError
        try:
            work()
        finally:
            LIMIT.release()
    """, """
    async def f():
        await SEM.acquire()
        try:
            return await connect()
        except BaseException:
            SEM.release()
            raise
    """, """
    async def f(stack):
        await SEM.acquire()
        stack.callback(SEM.release)
        await work()
        SEM.release
    """, """
    async def checkout(self):
        await SEM.acquire()
        return Lease(SEM)
    """, """
    class Pool:
        def __init__(self):
            self.slots = asyncio.Semaphore(3)
        async def __aenter__(self):
            await self.slots.acquire()
        async def __aexit__(self, *exc):
            self.slots.release()
    """, """
    async def f(n):
        for _ in range(n):
            await SEM.acquire()
        await work()
        for _ in range(n):
            SEM.release()
    """, """
    async def f(pool):
        connection = await asyncio.wait_for(pool.acquire(), 5)
        await work(connection)
        pool.release(connection)
    """, """
    async def f():
        acquired = False
        try:
            acquired = await SEM.acquire()
            await work()
        finally:
            if acquired:
                SEM.release()
    """, """
    async def f(task):
        await SEM.acquire()
        task.add_done_callback(lambda _: SEM.release())
    """]  # fmt: skip


def codes(source: str) -> list[str]:
    return [one.code for one in of_source((HEAD + textwrap.dedent(source)).encode(), "x.py")]


@pytest.mark.parametrize(("code", "source"), [(code, one) for code, some in WRONG.items() for one in some])
def test_what_loses_a_permit_or_gives_it_twice(code: str, source: str) -> None:
    assert codes(source) == [code]


@pytest.mark.parametrize("source", RIGHT)
def test_what_is_right(source: str) -> None:
    assert codes(source) == []


def test_every_rule_of_a_pattern_has_a_case() -> None:
    assert WRONG.keys() | {"SEM108", "SEM109"} == {rule.code for rule in RULES}


MADE = [
    "from asyncio import Semaphore as S\nx = S(3)",
    "import asyncio as a\nx: a.Lock = make()",
    "import asyncio\nfrom collections import defaultdict\nx = defaultdict(lambda: asyncio.Semaphore(3))",
    "import asyncio\nx = {'a': asyncio.Semaphore(3)}",
    "import anyio\nx = anyio.CapacityLimiter(3)",
    "from exai_ops.sem import TrackedSemaphore\nx = TrackedSemaphore(3)",
]


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("use", ["x", "x[k]", "self.x", "self.pool.x"])
def test_how_a_semaphore_is_known(made: str, use: str) -> None:
    source = f"{made}\nasync def f(self):\n    await {use}.acquire()\n    await w()\n    {use}.release()\n"
    assert [one.code for one in of_source(source.encode(), "x.py")] == ["SEM101"]


@pytest.mark.parametrize("name", ["lock", "db_lock", "sem", "rate_limiter", "mutex2"])
def test_a_name_says_it_too(name: str) -> None:
    source = f"async def f({name}):\n    await {name}.acquire()\n    await w()\n    {name}.release()\n"
    assert [one.code for one in of_source(source.encode(), "x.py")] == ["SEM101"]


@pytest.mark.parametrize("name", ["pool", "block", "clock", "blocker", "assembler"])
def test_another_name_does_not(name: str) -> None:
    source = f"async def f({name}):\n    await {name}.acquire()\n    await w()\n    {name}.release()\n"
    assert of_source(source.encode(), "x.py") == []


def test_a_comment_with_a_reason_hides_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    body = "async def f():\n    await SEM.acquire()  {}\n    await w()\n    SEM.release()\n"
    for comment, found in (
        ("# exai:ignore[SEM101] the process ends with it", []),
        ("# exai:ignore[SEM101]", ["SEM101", "SEM109"]),
        ("# exai:ignore[SEM102] wrong code", ["SEM101", "SEM109"]),
    ):
        path.write_text(HEAD + body.format(comment), encoding="utf-8")
        assert [one.code for one in look([path]).findings] == found


UNREADABLE = [
    (b"def f(:\n", "is no Python of this version"),
    (b"\xff\xfe\x00", "is no Python of this version"),
    (b"x = 1\0", ""),
    (b"(" * 5000 + b")" * 5000, ""),
    (b"# -*- coding: nonsense -*-\n", ""),
]


@pytest.mark.parametrize(("source", "why"), UNREADABLE)
def test_what_cannot_be_read_is_said(source: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(source)
    (tmp_path / "good.py").write_text("x = 1\n", encoding="utf-8")
    seen = look([tmp_path])
    (finding,) = seen.findings
    assert (finding.code, finding.status, seen.files) == ("SEM108", Status.UNKNOWN, 2)
    assert why in finding.message
    assert "\n" not in finding.message


def test_what_is_not_of_the_project_is_left_out(tmp_path: Path) -> None:
    bad = HEAD + "async def f():\n    await SEM.acquire()\n    await w()\n    SEM.release()\n"
    for folder in (".git", "venv", "node_modules", "src", "src/__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text(bad, encoding="utf-8")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "src" / "loop").symlink_to(tmp_path)
    seen = look([tmp_path])
    assert [Path(one.where.file or "").parent.name for one in seen.findings] == ["src"]


PIECES = st.sampled_from([
    "await SEM.acquire()", "SEM.release()", "await w()", "if x:", "else:", "try:", "finally:",
    "except OSError:", "while x:", "return", "raise", "async with SEM:", "got = await SEM.acquire()",
    "x = 1", "pass",
])  # fmt: skip


@given(st.lists(st.tuples(PIECES, st.integers(1, 4)), max_size=12))
def test_any_function_that_parses_can_be_judged(lines: list[tuple[str, int]]) -> None:
    body = "\n".join(
        "    " * depth + piece + (" pass" if piece.endswith(":") else "") for piece, depth in lines
    )
    source = f"{HEAD}async def f(x):\n    pass\n{body}\n"
    try:
        compile(source, "x.py", "exec")
    except SyntaxError:
        return
    assert all(one.where.line for one in of_source(source.encode(), "x.py"))


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exai_ops", "sem", "lint", *args],
        cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command(tmp_path: Path) -> None:
    assert run(cwd=tmp_path).returncode == 3
    bad = tmp_path / "bad.py"
    bad.write_text(HEAD + textwrap.dedent(WRONG["SEM101"][0]), encoding="utf-8")
    done = run("--format", "short", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        1,
        "bad.py:6: error SEM101 SEM is given back only when nothing fails after its acquire\n",
    )
    assert run("bad.py", "--skip", "SEM101", cwd=tmp_path).returncode == 0
    assert run("bad.py", "--baseline", "known", "--write-baseline", cwd=tmp_path).returncode == 0
    assert run("bad.py", "--baseline", "known", cwd=tmp_path).returncode == 0
    assert run("nowhere.py", cwd=tmp_path).returncode == 3
    assert run("--explain", "sem104", cwd=tmp_path).stdout.startswith("SEM104 (warning): no acquire")
    (tmp_path / "broken.py").write_text("def", encoding="utf-8")
    assert run("broken.py", cwd=tmp_path).returncode == 3


def test_our_own_sources_are_clean() -> None:
    seen = look([Path(__file__).parents[2] / "exai_ops"])
    assert seen.files > 100
    assert seen.findings == []
