"""What is read, in which form it may come, and what is said of what cannot be read."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.monitor.analysis import duck, rules
from exai_ops.monitor.analysis.cube import Cube
from exai_ops.monitor.analysis.model import View
from exai_ops.monitor.analysis.reading import read
from exai_ops.monitor.analysis.sources import Skipped
from exai_ops.monitor.analysis.summary import document, summarized
from exai_ops.monitor.analysis.traffic import Traffic
from exai_ops.monitor.events import Event
from exai_ops.monitor.kept import COLUMNS, KeptEvents
from exai_ops.timezones import utc_iso

from .incidents import throttled
from .traffic import Source

EVENTS = Source("sparse", 5).quiet().events


def ndjson(events: Sequence[Event]) -> bytes:
    return b"".join(msgspec.json.encode(event.exported()) + b"\n" for event in events)


def export(events: Sequence[Event], indent: int | None = None) -> bytes:
    return json.dumps(
        {"summary": {}, "recent_events": [e.exported() for e in events]}, indent=indent
    ).encode()


def table(events: Sequence[Event]) -> bytes:
    out = io.StringIO()
    rows = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
    rows.writeheader()
    for event in events:
        rows.writerow({"weight": 1} | event.exported() | {"metadata": json.dumps(event.metadata)})
    return out.getvalue().encode()


def looked(*paths: Path, stdin: bytes = b"") -> tuple[Cube, Skipped]:
    return read([str(path) for path in paths], io.BytesIO(stdin))


def told(cube: Cube) -> object:
    return document(summarized(Traffic(cube), ("type", "function", "direction"), (50.0, 99.0)))


FORMS: dict[str, Callable[[Sequence[Event]], bytes]] = {
    "ndjson": ndjson,
    "export": export,
    "indented": lambda events: export(events, 2),
    "array": lambda events: json.dumps([event.exported() for event in events]).encode(),
    "csv": table,
    "bom": lambda events: b"\xef\xbb\xbf" + ndjson(events),
    "gz": lambda events: gzip.compress(ndjson(events)),
    "bz2": lambda events: bz2.compress(ndjson(events)),
    "xz": lambda events: lzma.compress(export(events)),
    "zst": lambda events: zstandard.compress(ndjson(events)),
    "gz of csv": lambda events: gzip.compress(table(events)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_tells_the_same(form: str, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(FORMS[form](EVENTS))
    cube, skipped = looked(path)
    assert (cube.events, skipped.count, skipped.broken) == (len(EVENTS), 0, [])
    plain = tmp_path / "plain"
    plain.write_bytes(ndjson(EVENTS))
    assert told(cube) == told(looked(plain)[0])


def test_kept_events_are_read(tmp_path: Path) -> None:
    kept = KeptEvents(tmp_path / "events", max_bytes=1 << 30, max_age_s=1e9)
    kept.append(EVENTS)
    kept.close()
    cube, skipped = looked(*kept.files())
    assert (cube.events, skipped.count) == (len(EVENTS), 0)


def test_stdin_and_several_files_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(export(EVENTS[:50]))
    cube, _ = read([str(path), "-"], io.BytesIO(ndjson(EVENTS[50:])))
    assert cube.events == len(EVENTS)


GOOD = msgspec.json.encode(EVENTS[0].exported())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"timestamp": 1767', "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "not an event"),
        (b"17", "not an object"),
        (b'{"level": "info", "msg": "x"}', "not an event"),
        (GOOD.replace(b"1767", b"-767", 1), "out of range|seconds since the epoch"),
        (GOOD.replace(b'"timestamp":', b'"timestamp":"never","was":'), "neither a number nor ISO"),
    ],
)
def test_a_line_that_is_no_event_is_skipped_with_its_place(line: bytes, why: str, tmp_path: Path) -> None:
    import re

    path = tmp_path / "recording"
    path.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    cube, skipped = looked(path)
    assert (cube.events, skipped.count) == (2, 1)
    assert skipped.first is not None
    assert skipped.first[0] == str(path)
    assert skipped.first[1] in (2, None)
    assert re.search(why, skipped.first[2])


def test_what_a_tail_missed_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    marks = b'{"op":"dropped","sequence":9,"count":5}\n{"op":"gap","reason":"expired","missed":null}\n'
    path.write_bytes(GOOD + b"\n" + marks + GOOD + b"\n")
    cube, skipped = looked(path)
    assert (cube.events, skipped.count, skipped.gaps, skipped.dropped) == (2, 0, 2, 5)


@pytest.mark.parametrize("cut", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_file_that_breaks_off_is_named(cut: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "recording"
    whole = cut(ndjson(EVENTS))
    path.write_bytes(whole[: len(whole) // 2])
    cube, skipped = looked(path)
    assert cube.events < len(EVENTS)
    assert skipped.broken or skipped.count  # a last line cut in two, where the format has no end mark


@pytest.mark.parametrize(
    "data",
    [
        export(EVENTS)[:-200],
        export(EVENTS, 2)[:-200],
        b'{\n "other": 1\n}',
        b"SQLite format 3\x00" + b"\x00" * 500,
        b"\x1f\x8b\x08\x00 not gzip",
    ],
)
def test_a_damaged_file_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(data)
    assert looked(path)[1].broken


def test_a_database_without_events_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()
    assert "no such table" in looked(path)[1].broken[0][1]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"{", GOOD + b"\n", b"[", b'{"recent_events":[']))
def test_nothing_that_a_file_may_hold_is_a_bug(data: bytes, head: bytes) -> None:
    cube, _ = read(["-"], io.BytesIO(head + data))
    if cube.events:
        rules.judge(rules.RULES, View(Traffic(cube), Skipped(), utc_iso))


def test_both_engines_find_the_same(tmp_path: Path) -> None:
    source = Source("bursty", 11)
    paths = [tmp_path / "one", tmp_path / "two"]
    events = throttled(source, 0.5)
    paths[0].write_bytes(ndjson(events[:2000]))
    paths[1].write_bytes(ndjson(events[2000:]))
    assert duck.suits(paths)
    cube, (other, skipped) = duck.count(paths), looked(*paths)
    assert cube is not None
    assert told(cube) == told(other)
    ours, theirs = (
        [
            (
                one.finding.code,
                one.finding.where,
                {k: v for k, v in one.evidence.items() if k in ("count", "from", "to")},
            )
            for one in rules.judge(rules.RULES, View(Traffic(counted), skipped, utc_iso))
        ]
        for counted in (other, cube)
    )
    assert ours == theirs
    assert "MON005" in {code for code, _, _ in ours}


def test_duckdb_leaves_damaged_files_to_python(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(GOOD + b'\n{"broken\n{}\n' + GOOD + b"\n")
    assert duck.suits([path])
    assert duck.count([path]) is None


def test_a_number_beyond_all_arrays_costs_its_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    huge = GOOD.replace(b'"data_size_bytes":', b'"data_size_bytes":1' + b"0" * 400, 1)
    assert huge != GOOD
    path.write_bytes(GOOD + b"\n" + huge + b"\n" + GOOD + b"\n")
    cube, skipped = looked(path)
    assert (cube.events, skipped.count) == (2, 1)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_of_an_export_that_breaks_off_what_was_before_counts(
    indent: int | None, packed: bool, tmp_path: Path
) -> None:
    data = export(EVENTS, indent)
    cut = gzip.compress(data[: len(data) // 2]) if packed else data[: len(data) // 2]
    path = tmp_path / "cut"
    path.write_bytes(cut)
    cube, skipped = looked(path)
    assert abs(cube.events - len(EVENTS) / 2) < len(EVENTS) / 10
    assert [why for _, why in skipped.broken] == ["it breaks off within recent_events"]
