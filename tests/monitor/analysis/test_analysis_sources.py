"""Recordings of any form, whole or not: what is read is counted, what is not is told with its place."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.monitor import writers
from exai_ops.monitor.analysis.choosing import chosen
from exai_ops.monitor.analysis.cube import COUNT, ERROR, MS, Cube
from exai_ops.monitor.analysis.decoding import Source, Wanted, line_of
from exai_ops.monitor.analysis.duck import NotPlain, read_duckdb
from exai_ops.monitor.analysis.lines import Line, Unreadable, leniently
from exai_ops.monitor.analysis.reading import STDIN, Read, expanded, read, read_live
from exai_ops.monitor.analysis.report import Report, report
from exai_ops.monitor.analysis.rules import RULES, judge
from exai_ops.monitor.analysis.table import Context
from exai_ops.monitor.analysis.traffic import Traffic
from exai_ops.monitor.events import Event
from exai_ops.monitor.filters import compiled
from exai_ops.monitor.kept import KeptEvents
from exai_ops.monitor.wire import Filter

from .hours import BEGIN, Hour, between, counted, steady

EVERYTHING = Wanted()


def events(count: int = 300) -> list[Event]:
    """Calls, some of which fail; one in ten stands for ten."""
    return [
        Event(
            BEGIN + n * 0.5, ("kimi", "websocket", "redis")[n % 3], ("receive", "send", "error")[n % 3], "s.py",
            f"f{n % 5}", n, None if n % 4 == 0 else 1.5 * n, "bad" if n % 3 == 2 else None,
            {"request": f"r{n}", "session": "s", "attempt": 1 + n % 2, "permit_wait_ms": n / 10, "more": [n]},
            10 if n % 10 == 0 else 1,
        )
        for n in range(count)
    ]  # fmt: skip


def written(path: Path, form: str, some: Sequence[Event]) -> Path:
    """A file as ``exai monitor export`` writes it."""
    if form == "sqlite":
        writer: writers.Writer = writers.Sqlite(path)
        writer.add(some)
        writer.end({})
        writer.close()
        return path
    made = {"json": writers.Json, "ndjson": writers.Ndjson, "csv": writers.Csv}[form]
    with path.open("wb") as stream:
        writer = made(stream)
        writer.add(some)
        writer.end({})
        writer.close()
    return path


def told(read_: Read, **options: Any) -> Report:
    """The report of what was read, without the names of the files."""
    found = report(read_.traffic, [], judge(RULES, Context(read_.traffic)), **options)
    assert sum(source.events for source in read_.sources) == found.events
    return found


def reading(*paths: Path, wanted: Wanted = EVERYTHING, stdin: bytes = b"") -> Read:
    return read(paths, io.BytesIO(stdin), wanted)


def reported(some: Sequence[Event]) -> Report:
    lines = [line_of(event) for event in some]
    return report(counted(lines), [], judge(RULES, Context(counted(lines))))


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "sqlite"])
@pytest.mark.parametrize("packing", PACKED)
def test_every_form_is_read_alike(tmp_path: Path, form: str, packing: str) -> None:
    some = events()
    plain = written(tmp_path / "plain", form, some)
    path = tmp_path / "packed"
    path.write_bytes(PACKED[packing](plain.read_bytes()))
    found = reading(path)
    (source,) = found.sources
    assert source.form == (f"{form}.{packing}" if packing else form)
    assert (source.skipped, source.first_skip) == (0, None)
    assert told(found) == reported(some)
    assert told(reading(STDIN, stdin=path.read_bytes())) == reported(some)


def test_the_folder_of_kept_events_is_its_files(tmp_path: Path) -> None:
    store = KeptEvents(tmp_path / "events", max_bytes=1 << 30, max_age_s=1e9, clock=lambda: BEGIN)
    store.append(events())
    files = expanded([store.folder])
    assert [path.suffix for path in files] == [".sqlite3"]
    assert told(reading(*files)) == reported(events())  # with its log, while it is written to
    store.close()
    assert told(reading(*expanded([store.folder]))) == reported(events())


def test_several_files_are_one_recording(tmp_path: Path) -> None:
    some = events()
    halves = [
        written(tmp_path / "b.ndjson", "ndjson", some[150:]),
        written(tmp_path / "a.json", "json", some[:150]),
    ]
    found = reading(*halves)
    assert told(found) == reported(some)
    assert [source.events for source in found.sources] == [150, 150]


def test_indented_documents_and_arrays_are_read(tmp_path: Path) -> None:
    whole = written(tmp_path / "a", "json", events())
    document = json.loads(whole.read_bytes())
    odd = {"other": [{"x": "[{"}], "recent_events": document["recent_events"]}
    for number, text in enumerate(
        (
            json.dumps(document, indent=2),
            json.dumps(document["recent_events"]),
            "\ufeff" + json.dumps(document),
        )
    ):
        path = tmp_path / str(number)
        path.write_text(text, encoding="utf-8")
        assert told(reading(path)) == reported(events())
    del odd


GOOD = {"timestamp": BEGIN, "connection_type": "kimi", "direction": "send", "function": "f"}
ODD_LINES: list[tuple[bytes, int, str | None]] = [
    (b'{"timestamp": 1795500000.5, "connection_type": "kimi"}', 1, None),
    (
        b'{"timestamp": "1795500000.5", "connection_type": "kimi", "data_size_bytes": "12", "weight": "3"}',
        1,
        None,
    ),
    (b'{"timestamp": "2026-11-24T17:00:00+11:00", "connection_type": "kimi", "direction": "send"}', 1, None),
    (json.dumps(GOOD | {"metadata": None}).encode(), 1, None),
    (json.dumps(GOOD | {"metadata": {"attempt": "x", "request": 5, "duration_s": True}}).encode(), 1, None),
    (json.dumps(GOOD | {"metadata": "text", "error": "", "script": 5}).encode(), 1, None),
    (json.dumps(GOOD | {"response_time_ms": None, "weight": None}).encode(), 1, None),
    (b"  \r", 0, None),
    (b'{"op": "dropped", "sequence": 9, "count": 3}', 0, None),
    (b'{"op": "gap", "reason": "restarted", "missed": null}', 0, None),
    (b"{", 0, "not JSON"),
    (b"\xff\xfe", 0, "not JSON"),
    (b"[1, 2]", 0, "not an object"),
    (b"[" * 100_000, 0, "nested too deeply"),
    (b'{"level": "info"}', 0, "not an event: it has no timestamp or no connection_type"),
    (json.dumps(GOOD | {"timestamp": 5}).encode(), 0, "the timestamp is not in seconds since the epoch"),
    (json.dumps(GOOD | {"timestamp": BEGIN * 1000}).encode(), 0, "the timestamp is not in seconds"),
    (json.dumps(GOOD | {"timestamp": "yesterday"}).encode(), 0, "neither a number nor ISO 8601"),
    (json.dumps(GOOD | {"timestamp": "2026-11-24T17:00:00"}).encode(), 0, "no offset"),
    (json.dumps(GOOD | {"data_size_bytes": -1}).encode(), 0, "the size is out of range"),
    (json.dumps(GOOD | {"response_time_ms": -1}).encode(), 0, "the response time is out of range"),
    (json.dumps(GOOD | {"weight": 0}).encode(), 0, "the weight is out of range"),
    (json.dumps(GOOD | {"connection_type": 5}).encode(), 0, "Expected str"),
]


@pytest.mark.parametrize(("line", "count", "why"), ODD_LINES)
def test_odd_lines(tmp_path: Path, line: bytes, count: int, why: str | None) -> None:
    path = tmp_path / "events"
    good = json.dumps(GOOD).encode()
    path.write_bytes(good + b"\n" + line + b"\n" + good)
    found = reading(path)
    (source,) = found.sources
    assert source.events == found.traffic.events == 2 + count
    assert source.skipped == (why is not None)
    if why is not None:
        assert source.first_skip is not None
        assert source.first_skip.startswith("line 2: ")
        assert why in source.first_skip


def test_the_place_of_the_first_bad_line_is_told_far_into_a_file(tmp_path: Path) -> None:
    data = written(tmp_path / "a", "ndjson", events(6000)).read_bytes().splitlines(keepends=True)
    data[4321] = b"{broken\n"
    data[5000] = b"\n"
    path = tmp_path / "b"
    path.write_bytes(b"".join(data))
    (source,) = reading(path).sources
    assert (source.events, source.skipped, source.first_skip) == (5998, 1, "line 4322: not JSON")


def test_a_line_without_end_takes_no_memory_and_is_one(tmp_path: Path) -> None:
    good = json.dumps(GOOD).encode() + b"\n"
    path = tmp_path / "a"
    path.write_bytes(good + b'{"x": "' + b"a" * 20_000_000 + b'"}\n' + good)
    (source,) = reading(path).sources
    assert (source.events, source.skipped) == (2, 1)
    assert source.first_skip == "line 2: longer than 16 MiB"


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_of_a_file_that_was_cut_what_is_there_is_read(tmp_path: Path, packing: str) -> None:
    data = PACKED[packing](written(tmp_path / "a", "ndjson", events(20_000)).read_bytes())
    path = tmp_path / "b"
    path.write_bytes(data[: len(data) * 3 // 4])
    (source,) = reading(path).sources
    assert source.skipped >= 1
    assert source.events < 20_000
    damaged = bytearray(data)
    damaged[len(damaged) // 2 :] = b"\0" * (len(damaged) - len(damaged) // 2)
    path.write_bytes(bytes(damaged))
    assert reading(path).sources[0].skipped >= 1


@pytest.mark.parametrize("form", ["json", "sqlite", "csv"])
def test_of_a_document_that_was_cut_what_is_there_is_read(tmp_path: Path, form: str) -> None:
    data = written(tmp_path / "a", form, events(3000)).read_bytes()
    path = tmp_path / "b"
    path.write_bytes(data[: len(data) // 2])
    (source,) = reading(path).sources
    assert source.skipped >= 1
    assert source.first_skip
    assert source.events < 3000


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"GIF89a" + bytes(500), b"hello\nworld\n", b'{"summary": {}}', b"SQLite format 3\0garbage",
     b"\x1f\x8b\x08garbage", b"\x28\xb5\x2f\xfdgarbage", b"timestamp,connection_type\n", b"PK\x03\x04zip"],
)  # fmt: skip
def test_of_foreign_files_nothing_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert reading(path).traffic.events == 0


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(CouldNotLook):
            reading(*expanded([path]))


@given(st.binary(max_size=400), st.sampled_from([*PACKED]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_are_too_much(data: bytes, packing: str) -> None:
    source_bytes = PACKED[packing](data)
    for given_ in (source_bytes, data, b'{"recent_events": [' + data, b"timestamp,connection_type\n" + data):
        reading(STDIN, stdin=given_)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*Line.__struct_fields__, "script", "request", "attempt", "duration_s"])


@given(st.dictionaries(KEYS, ANY))
@settings(max_examples=300, deadline=None)
def test_a_lenient_line_can_be_counted(value: dict[str, Any]) -> None:
    try:
        line = leniently(value)
    except Unreadable as error:
        assert str(error)
    else:
        assert Cube().add([line]) == []


NAMES = st.sampled_from(["kimi", "glm", "websocket"])
LINES = st.lists(
    st.builds(
        Line,
        st.floats(BEGIN, BEGIN + 5e6),
        NAMES,
        st.sampled_from(["send", "receive", "error"]),
        st.sampled_from("abc"),
        st.integers(0, 1 << 40),
        st.none() | st.floats(0, 1e7),
        st.none() | st.just("bad"),
        weight=st.integers(1, 50),
    ),
    min_size=1,
    max_size=120,
)


@given(LINES, st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_totals_are_those_of_counting_one_by_one(lines: list[Line], batch: int) -> None:
    traffic = counted(lines, batch)
    whole: Counter[tuple[str, str]] = Counter()
    durations: defaultdict[str, list[float]] = defaultdict(list)
    for line in lines:
        whole["events", line.connection_type] += line.weight
        whole["bytes", line.connection_type] += line.weight * line.data_size_bytes
        whole["errors", line.connection_type] += line.weight * bool(line.error or line.direction == "error")
        if line.response_time_ms is not None:
            durations[line.connection_type] += [line.response_time_ms] * line.weight
    assert traffic.events == len(lines)
    for name in traffic.types:
        series = traffic.numbers(name)
        assert traffic.weighted(COUNT, series) == whole["events", name]
        assert traffic.weighted(ERROR, series) == whole["errors", name]
        assert traffic.bytes[series].sum() == whole["bytes", name]
        spread, values = traffic.spread(MS, series), sorted(durations[name])
        assert spread.size == len(values)
        for percent in (1, 50, 95, 99, 100):
            if values:
                exact = values[max(1, -(-len(values) * percent // 100)) - 1]
                assert spread.percentile(percent) == pytest.approx(exact, rel=0.0201, abs=1e-6)
    assert int(traffic.over_time(COUNT, range(len(traffic.series))).sum()) == len(lines)


@given(LINES, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_lines_does_not_matter(lines: list[Line], chance: Any) -> None:
    def seen(traffic: Traffic) -> object:
        found = report(traffic, [], [])
        return found.bin_s, found.groups, found.over_time, found.histogram

    shuffled = lines[:]
    chance.shuffle(shuffled)
    assert seen(counted(lines, 7)) == seen(counted(shuffled, 50))


def test_memory_is_bounded_by_cells_whatever_comes() -> None:
    cube = Cube()
    rng = Hour(1).rng
    for n in range(40):
        times = BEGIN + rng.uniform(0, 3e7, 2000)
        some = [
            Line(float(at), f"t{n}-{k % 60}", "send", f"f{k}", 1, float(ms))
            for k, (at, ms) in enumerate(zip(times, rng.lognormal(3, 3, 2000), strict=True))
        ]
        cube.add(some)
    cube.settle()
    assert cube.events == 80_000
    assert len(cube.keys) <= 80_000
    assert len(cube.ids) <= 1024
    assert Traffic(cube).weight == 80_000


def test_filters_are_those_of_tail(tmp_path: Path) -> None:
    some = events()
    path = written(tmp_path / "a", "ndjson", some)
    for filter_ in (
        Filter(types=("kimi",)),
        Filter(errors=True),
        Filter(slower_ms=100.0),
        Filter(grep=("more=.2",), exclude=("redis",)),
        Filter(request="r1"),
    ):
        matcher = compiled(filter_)
        fit = [event for event in some if matcher(event)]
        found = reading(path, wanted=Wanted(matcher))
        assert 0 < len(fit) < len(some)
        assert told(found) == reported(fit)
        assert found.sources[0].left_out == len(some) - len(fit)
    late = reading(path, wanted=Wanted(since=BEGIN + 10, until=BEGIN + 20))
    assert told(late) == reported([event for event in some if BEGIN + 10 <= event.timestamp < BEGIN + 20])
    for form in ("csv", "sqlite", "json"):
        other = written(tmp_path / form, form, some)
        matcher = compiled(Filter(grep=("more=.2",)))
        assert told(reading(other, wanted=Wanted(matcher))) == reported([e for e in some if matcher(e)])


def test_the_daemons_own_events_are_read_alike() -> None:
    some = events(4500)
    values = [*(event.exported() for event in some), {"op": "dropped", "sequence": 5, "count": 7}]
    found = read_live(values, "ws://here/", EVERYTHING)
    assert told(found) == reported(some)
    assert (found.sources[0].gaps, found.sources[0].missed) == (1, 7)


def hour(path: Path, seed: int) -> list[Event]:
    """An hour with incidents, as a file."""
    made = steady(Hour(seed, fails=between(1800, 1860, 0.6), limited=between(600, 720, 0.5)), rate=0.4)
    some = [
        Event(
            line.timestamp, line.connection_type, line.direction, "s", line.function, line.data_size_bytes,
            line.response_time_ms, line.error,
            {key: value for key in line.metadata.__struct_fields__
             if (value := getattr(line.metadata, key)) is not None},
            5 if n % 50 == 0 else 1,
        )
        for n, line in enumerate(made.in_order())
    ]  # fmt: skip
    written(path, "ndjson", some)
    return some


def test_both_engines_say_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    some = [*hour(paths[0], 1), *hour(paths[1], 2)]
    python, duck = reading(*paths), read_duckdb(paths)
    rules = [rule for rule in RULES if rule.code != "MON012"]
    one, other = (
        report(r.traffic, r.sources, judge(rules, Context(r.traffic, r.sources)), by=("type", "direction"))
        for r in (python, duck)
    )
    assert one == other
    assert one.events == len(some)
    assert {finding.code for finding in one.findings} >= {"MON001", "MON005"}
    told_ = [j.finding for j in judge(RULES, Context(duck.traffic)) if j.finding.code == "MON012"]
    assert [finding.status for finding in told_] == ["skip"]


@pytest.mark.parametrize("spread_s", [2.0, 500.0, 3e6, 2e8])
def test_both_engines_cut_time_alike(tmp_path: Path, spread_s: float) -> None:
    rng = Hour(3).rng
    times = [0.0, *sorted(float(at) for at in rng.beta(0.2, 0.2, 4000) * spread_s), spread_s]
    some = [Event(1e9 + at, "kimi", "receive", "s", "f", 5, float(rng.lognormal(3, 1))) for at in times]
    path = written(tmp_path / "a", "ndjson", some)
    assert told(read_duckdb([path])).groups == told(reading(path)).groups
    assert read_duckdb([path]).traffic.width_s == reading(path).traffic.width_s


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"timestamp": 5, "connection_type": "x"}', json.dumps(GOOD | {"weight": 0}).encode(),
             b'{"op": "dropped", "count": 3}']
)  # fmt: skip
def test_what_duckdb_cannot_tell_is_left_to_python(tmp_path: Path, line: bytes) -> None:
    path = written(tmp_path / "a", "ndjson", events())
    data = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*data[:100], line + b"\n", *data[100:]]))
    with pytest.raises(NotPlain):
        read_duckdb([path])


def test_the_engine_is_chosen_by_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = written(tmp_path / "a", "ndjson", events())
    packed = tmp_path / "b"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert chosen("auto", [plain], Filter(), timed=False) == "python"
    assert chosen("duckdb", [plain], Filter(), timed=False) == "duckdb"
    for files, filter_, timed in (([packed], Filter(), False), ([plain], Filter(errors=True), False),
                                  ([plain], Filter(), True), ([STDIN], Filter(), False)):  # fmt: skip
        assert chosen("auto", files, filter_, timed=timed) == "python"
        with pytest.raises(UsageError, match="--engine: duckdb"):
            chosen("duckdb", files, filter_, timed=timed)
    monkeypatch.setattr("exai_ops.monitor.analysis.choosing.WORTH_BYTES", 10)
    assert chosen("auto", [plain], Filter(), timed=False) == "duckdb"
    monkeypatch.setattr("exai_ops.monitor.analysis.choosing.find_spec", lambda _: None)
    assert chosen("auto", [plain], Filter(), timed=False) == "python"
    with pytest.raises(UsageError, match="is not installed"):
        chosen("duckdb", [plain], Filter(), timed=False)
    with pytest.raises(UsageError, match="is not known"):
        chosen("pandas", [plain], Filter(), timed=False)


def test_a_source_keeps_the_first_place() -> None:
    source = Source(name="a")
    source.skip("line 3", "not JSON")
    source.skip("line 4", "other", 2)
    assert (source.skipped, source.first_skip) == (3, "line 3: not JSON")
