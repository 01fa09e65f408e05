"""A program that goes on while it is looked at."""

from __future__ import annotations

import pytest

from exai_ops.sem.passive.whole import WholeScanner
from exai_ops.sem.survey import Survey

from .targets import PYTHONS, running

SOURCE = """
PLAIN, BOUNDED = [asyncio.Semaphore(n) for n in (3, 4)], asyncio.BoundedSemaphore(5)
kept = []


async def hold(semaphore):
    async with semaphore:
        await asyncio.sleep(3600)


async def main():
    tell()
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        kept.append([bytearray(1000) for _ in range(100)])
        tasks = [asyncio.create_task(hold(one)) for one in (*PLAIN, BOUNDED) for _ in range(2)]
        await asyncio.sleep(0.01)
        kept.append(tasks)
        tell()


asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_who_takes_a_permit_during_a_scan_is_found_by_it(
    python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(python, SOURCE) as (child, _), WholeScanner(child.pid) as scanner:
        look = scanner._looked

        def meanwhile(survey: Survey) -> None:
            look(survey)
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline()

        monkeypatch.setattr(scanner, "_looked", meanwhile)
        first = [(one.value, one.held) for one in scanner.scan().semaphores]
        assert sorted(first) == [(1, 2), (2, 2), (3, 2)]
        assert child.stdin is not None
        monkeypatch.setattr(scanner, "_looked", look)
        again = [(one.value, one.held) for one in scanner.scan().semaphores]
        assert sorted(again) == [(1, 2), (2, 2), (3, 2)]
