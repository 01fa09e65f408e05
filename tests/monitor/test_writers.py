"""Exports: what is written reads back the same in each format, and a file is whole or what it was."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.commands.monitor.output import Destination, Output
from exai_ops.errors import ExaiError, UsageError
from exai_ops.monitor import kept
from exai_ops.monitor.events import DIRECTIONS, Event
from exai_ops.monitor.stats import Counted
from exai_ops.monitor.wire import event_of
from exai_ops.monitor.writers import COLUMNS, of_name

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | NAMES
EVENTS = st.lists(
    st.builds(
        Event,
        st.floats(min_value=0, max_value=4e9),
        NAMES,
        st.sampled_from(DIRECTIONS),
        NAMES,
        NAMES,
        st.integers(0, 2**62),
        st.none() | st.floats(min_value=0, max_value=1e9),
        st.none() | NAMES.filter(bool),
        st.none() | st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=3),
        st.integers(1, 1000),
    ),
    max_size=8,
)
ENDINGS = ("json", "ndjson", "csv", "sqlite3", "json.gz", "ndjson.zst", "csv.gz")
ONE = Event(1_767_225_600.5, "kimi", "receive", "s.py", "chat", 12, 3.5, "HTTP 500", {"request": "r"}, 10)


def write(path: Path, events: list[Event]) -> None:
    counted = Counted()
    with Output(Destination(path, None, None)) as output:
        for begin in range(0, len(events), 3):
            output.add(events[begin : begin + 3])
            counted.add(events[begin : begin + 3])
        output.end(counted.summary())


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if path.suffix == ".zst" else data


def read(path: Path) -> list[Event]:
    """The events of an export, by the tools that others would use."""
    kind = of_name(path.name)[0]
    if kind == "sqlite":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(f"SELECT {', '.join(kept.COLUMNS)} FROM events ORDER BY id").fetchall()
        return [kept.event_of(row) for row in rows]
    text = content(path).decode()
    if kind == "csv":
        return [of_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    found = (
        json.loads(text)["recent_events"]
        if kind == "json"
        else [json.loads(x) for x in text.split("\n") if x]
    )
    return [event_of(one)._replace(metadata=one["metadata"] or None) for one in found]


def of_row(row: dict[str, Any]) -> Event:
    assert tuple(row) == COLUMNS
    return Event(
        float(row["timestamp"]),
        row["connection_type"],
        row["direction"],
        row["script"],
        row["function"],
        int(row["data_size_bytes"]),
        float(row["response_time_ms"]) if row["response_time_ms"] else None,
        row["error"] or None,
        json.loads(row["metadata"]) if row["metadata"] else None,
        int(row["weight"]),
    )


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=15, deadline=None)
@given(events=EVENTS)
def test_what_was_exported_reads_back_the_same(
    ending: str, events: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("out") / f"events.{ending}"
    write(path, events)
    assert read(path) == events
    assert list(path.parent.iterdir()) == [path]


def test_json_has_its_summary_first_and_sqlite_in_a_table(tmp_path: Path) -> None:
    write(tmp_path / "e.json", [ONE, ONE])
    found = json.loads((tmp_path / "e.json").read_bytes())
    assert list(found) == ["summary", "recent_events"]
    assert found["summary"]["kimi"]["total_events"] == 20
    assert found["recent_events"][0] == json.loads(json.dumps(ONE.exported()))
    write(tmp_path / "e.db", [ONE, ONE])
    with contextlib.closing(sqlite3.connect(tmp_path / "e.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (kept.APPLICATION_ID,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT connection_type, total_errors FROM summary").fetchall() == [
            ("kimi", 20)
        ]


def test_an_empty_export(tmp_path: Path) -> None:
    for ending in ENDINGS:
        write(tmp_path / f"e.{ending}", [])
        assert read(tmp_path / f"e.{ending}") == []
    assert json.loads((tmp_path / "e.json").read_bytes()) == {"summary": {}, "recent_events": []}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fault", [ExaiError("the daemon is gone"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_the_old_file_alone(
    tmp_path: Path, ending: str, fault: BaseException
) -> None:
    path = tmp_path / f"events.{ending}"
    path.write_text("old")

    def interrupted() -> None:
        with Output(Destination(path, None, None)) as output:
            output.add([ONE] * 1000)
            raise fault

    with pytest.raises((ExaiError, KeyboardInterrupt)):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for ending in ENDINGS:
        path = tmp_path / f"e.{ending}"
        with pytest.raises(ExaiError, match=r"cannot be written: No space left on device; no file was made"):
            write(path, [ONE])
        path.write_text("old")
        with pytest.raises(ExaiError, match="the file is as it was"):
            write(path, [ONE])
        assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == len(ENDINGS)


def test_a_link_is_followed_and_a_pipe_written_to(tmp_path: Path) -> None:
    real, link = tmp_path / "real.ndjson", tmp_path / "link.ndjson"
    real.write_text("old")
    link.symlink_to(real)
    write(link, [ONE])
    assert link.is_symlink()
    assert read(real) == [ONE]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, [ONE])
    reader.join(10)
    assert json.loads(got[0])["recent_events"][0]["function"] == "chat"
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("output", "format_", "compression", "expected"),
    [
        (None, None, None, ("json", None)),
        ("-", "csv", "gz", ("csv", "gz")),
        ("a.JSON", None, None, ("json", None)),
        ("a.jsonl.ZST", None, None, ("ndjson", "zst")),
        ("a.tar", None, None, ("json", None)),
        ("a.csv", "ndjson", None, ("ndjson", None)),
        ("a.db", None, None, ("sqlite", None)),
        ("a.gz", None, None, ("json", "gz")),
    ],
)
def test_the_ending_says_the_format(
    tmp_path: Path,
    output: str | None,
    format_: str | None,
    compression: str | None,
    expected: tuple[str, str | None],
) -> None:
    path = None if output is None else Path(output) if output == "-" else tmp_path / output
    made = Destination(path, format_, compression)
    assert (made.format, made.compression) == expected


@pytest.mark.parametrize(
    ("output", "format_", "compression", "said"),
    [
        ("a", "xml", None, "--format: 'xml' is not known"),
        ("a", None, "lz4", "--compress: 'lz4' is not known"),
        (None, "sqlite", None, "sqlite cannot be written to stdout"),
        ("a.sqlite3.gz", None, None, "sqlite cannot be written to a compressed file"),
        ("", None, None, "is a folder"),
        ("no/where/a.json", None, None, "there is no folder"),
        ("x" * 300, None, None, "cannot be used: File name too long"),
    ],
)
def test_what_cannot_be_written_to(
    tmp_path: Path, output: str | None, format_: str | None, compression: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Destination(None if output is None else tmp_path / output, format_, compression)
    assert said in caught.value.message
