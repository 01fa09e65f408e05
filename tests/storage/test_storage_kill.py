"""What was acknowledged outlives SIGKILL."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exai_ops.storage.sqlite import SQLiteStorage

# Each session writes without end and prints a line after each write that has returned.
_CHILD = """
import asyncio, json, sys
from pathlib import Path
from exai_ops.storage.contract import CallRecord, StoredMessage
from exai_ops.storage.sqlite import SQLiteStorage

async def session(store, s):
    n = 0
    while True:
        call = CallRecord(session_id=s, request_id=str(n), tool="t", digest="d", daemon="x", accepted_at=1.0)
        await store.accept_call(call)
        print(json.dumps(["accepted", s, n]), flush=True)
        await store.append_messages(s, [StoredMessage(role="user", content=str(n), created_at=1.0)])
        print(json.dumps(["appended", s, n]), flush=True)
        await store.finish_call(s, str(n), "result " * 50 + str(n), 2.0)
        print(json.dumps(["finished", s, n]), flush=True)
        n += 1

async def main():
    store = SQLiteStorage(Path(sys.argv[1]))
    await store.open()
    await asyncio.gather(*(session(store, f"s{i}") for i in range(8)))

asyncio.run(main())
"""


def _acknowledged(path: Path, lines: int) -> list[list[Any]]:
    """What a child said before and after it was killed, ``lines`` lines into its work."""
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    return [json.loads(line) for line in said if line.endswith(b"\n")]


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_acknowledged_is_lost(tmp_path: Path, seed: int) -> None:
    said = await asyncio.to_thread(_acknowledged, tmp_path / "db", random.Random(seed).randint(50, 1500))
    store = SQLiteStorage(tmp_path / "db")
    await store.open()
    await store.interrupt_running(9.0)
    kept = {f"s{i}": {m.content for m in await store.messages(f"s{i}") or []} for i in range(8)}
    finished = {(s, n) for what, s, n in said if what == "finished"}
    for what, session, number in said:
        call = await store.find_call(session, str(number))
        assert call is not None
        if (session, number) in finished:
            assert call.result == "result " * 50 + str(number)
        if what == "appended":
            assert str(number) in kept[session]
    await store.close()
    assert finished
