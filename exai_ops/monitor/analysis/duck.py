"""NDJSON counted by DuckDB on all cores: the same cells as ``cube`` counts, from one pass over the files.

Whole files of plain events alone: a line that is none, or a value out of range, and Python reads them again,
who says where. The order of the lines is lost, so nobody looks whether time goes back.

Time is cut finer than will do in the end, and made coarser by the cube itself: so its resolution is the same
as if the cube had counted event by event.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from exai_ops.monitor.analysis.cube import (
    AFTER,
    BIN_AT,
    BINS_PER_S,
    COARSE,
    COUNT,
    ERROR,
    KIND_AT,
    LIFE,
    MAX_BINS,
    MAX_SERIES,
    MS,
    OFFSET,
    PERMIT,
    QUEUE,
    RETRY,
    SCALE,
    SERIES_AT,
    Cube,
    Example,
    Ints,
)
from exai_ops.monitor.analysis.decoding import Source
from exai_ops.monitor.analysis.lines import (
    EARLIEST,
    LATEST,
    MAX_MS,
    MAX_WEIGHT,
    Unreadable,
    leniently,
    more_of,
)
from exai_ops.monitor.analysis.reading import Read
from exai_ops.monitor.analysis.traffic import Traffic
from exai_ops.monitor.filters import FAILURES
from exai_ops.monitor.histogram import SMALLEST

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ENDS_BYTES: Final = 65_536
_MEASURED: Final = {
    RETRY: "attempt", PERMIT: "permit_wait_ms", QUEUE: "queue_wait_ms", LIFE: "duration_s",
    AFTER: "retry_after_s",
}  # fmt: skip
_COLUMNS: Final = (
    "{timestamp: 'DOUBLE', connection_type: 'VARCHAR', direction: 'VARCHAR', function: 'VARCHAR', "
    "data_size_bytes: 'BIGINT', response_time_ms: 'DOUBLE', error: 'VARCHAR', metadata: 'JSON', "
    "weight: 'BIGINT'}"
)
_LARGEST: Final = 64 * 1024 * 1024


class NotPlain(Exception):
    """The files hold what only Python reads."""


def read_duckdb(paths: Sequence[Path]) -> Read:
    """Count the files' events. Raises NotPlain."""
    import duckdb

    shift = _finest(paths)
    while True:
        with duckdb.connect() as connection:
            try:
                _group(connection, paths, shift)
                cells = _Cells(connection, shift)
            except duckdb.Error as error:
                raise NotPlain(str(error).partition("\n")[0]) from error
        cells.cube.settle()
        if cells.cube.shift > shift or not shift:  # else finer might have done
            break
        shift = max(0, shift - 3)
    sources = [
        Source(name=str(path), form="ndjson", events=cells.by_file.get(number, 0))
        for number, path in enumerate(paths)
    ]
    return Read(Traffic(cells.cube), sources)


def _group(connection: DuckDBPyConnection, paths: Sequence[Path], shift: int) -> None:
    """The one pass: events grouped by file, series, bin, bucket and whether they are errors."""
    failures = ", ".join(f"'{name}'" for name in sorted(FAILURES))
    measured = " OR ".join(
        f"contains(metadata, '\"{name}\"')" for name in _MEASURED.values() if name != "attempt"
    )
    # A first attempt, which nearly all are, is left alone.
    again = """(contains(metadata, '"attempt"') AND NOT contains(metadata, '"attempt":1,')
      AND NOT contains(metadata, '"attempt":1}'))"""
    connection.execute(
        f"""
        CREATE TEMP TABLE grouped AS
        SELECT {_file_number(paths)} AS file, connection_type, direction, function,
          (floor(timestamp * {BINS_PER_S}))::BIGINT >> {shift} AS bin,
          {_bucket("response_time_ms")} AS bucket,
          error IS NOT NULL OR direction IN ({failures}) AS failed,
          coalesce(timestamp >= {EARLIEST} AND timestamp < {LATEST} AND connection_type IS NOT NULL
            AND direction IS NOT NULL AND function IS NOT NULL
            AND coalesce(data_size_bytes, 0) BETWEEN 0 AND {1 << 53}
            AND coalesce(response_time_ms, 0) BETWEEN 0 AND {MAX_MS}
            AND coalesce(weight, 1) BETWEEN 1 AND {MAX_WEIGHT}, false) AS good,
          count(*) AS events, sum(coalesce(weight, 1))::BIGINT AS weights,
          count(*) FILTER (coalesce(weight, 1) != 1) AS sampled,
          sum((coalesce(data_size_bytes, 0) * coalesce(weight, 1))::DOUBLE) AS bytes,
          sum(response_time_ms * coalesce(weight, 1)) AS total_ms,
          min(timestamp) AS first, max(timestamp) AS last,
          arg_min({{'m': metadata, 'e': error}}, timestamp) AS example,
          list({{'m': metadata, 'e': error, 't': timestamp, 'w': coalesce(weight, 1)}})
            FILTER ({measured} OR {again}) AS measured
        FROM read_json(?, format = 'newline_delimited', columns = {_COLUMNS}, filename = true,
          maximum_object_size = {_LARGEST})
        GROUP BY ALL""",  # noqa: S608 - numbers and names of ours
        [[str(path) for path in paths]],
    )


def _file_number(paths: Sequence[Path]) -> str:
    return "0" if len(paths) == 1 else f"list_position({[str(p) for p in paths]!r}, filename) - 1"


def _bucket(value: str) -> str:
    """As ``cube.bucket_of``; NULL for NULL."""
    clipped = f"least(greatest({value}, {SMALLEST}), {MAX_MS})"
    return (
        f"CASE WHEN {value} <= {SMALLEST} THEN 0 WHEN {value} IS NOT NULL "
        f"THEN ceil(ln({clipped}) * {SCALE!r})::BIGINT + {OFFSET} END"
    )


def _finest(paths: Sequence[Path]) -> int:
    """A shift that is surely finer than will do: from the first and the last time in each file."""
    times = [time for path in paths for time in _ends(path)]
    span = max(times, default=0.0) - min(times, default=0.0)
    return max(0, ceil(log2(max(1.0, span * BINS_PER_S / MAX_BINS))) - 1)


def _ends(path: Path) -> list[float]:
    """The times of the first and of the last whole line, as far as they are events."""
    with path.open("rb") as stream:
        first = stream.read(ENDS_BYTES).split(b"\n")[0]
        stream.seek(max(0, path.stat().st_size - ENDS_BYTES))
        last = stream.read().rstrip().rsplit(b"\n", 1)[-1]
    found = []
    for text in (first, last):
        try:
            found.append(leniently(msgspec.json.decode(text)).timestamp)
        except (Unreadable, msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise NotPlain(f"{path}: its first or last line is no event") from error
    return found


class _Cells:
    """What was grouped, as a cube.

    Attributes:
        by_file: Events of each file, by its number.
    """

    def __init__(self, connection: DuckDBPyConnection, shift: int) -> None:
        self._connection = connection
        self.cube = Cube()
        self.cube.shift = shift
        self.cube.ordered = False
        if not self._value("SELECT coalesce(bool_and(good), true) FROM grouped"):
            raise NotPlain("it holds lines that are no plain events")
        self._number_series()
        self._totals()
        self.by_file = {
            int(k): int(v) for k, v in self._rows("SELECT file, sum(events) FROM grouped GROUP BY file")
        }
        self._parts: list[tuple[Ints, Ints, Ints]] = []
        self._add_grouped()
        self._add_measured()
        keys, counts, weights = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        self.cube.take(keys, counts, weights)

    def _value(self, query: str) -> Any:
        return self._rows(query)[0][0]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _number_series(self) -> None:
        self._connection.execute(
            """CREATE TEMP TABLE numbered AS SELECT row_number() OVER () - 1 AS series, * FROM
            (SELECT DISTINCT connection_type, function, direction FROM grouped)"""
        )
        rows = self._rows("SELECT connection_type, function, direction FROM numbered ORDER BY series")
        if len(rows) > MAX_SERIES:
            raise NotPlain("it has more series than are kept apart, by the order in which they come")
        for key in rows:
            self.cube.ids[key]
        self._connection.execute(
            """CREATE TEMP TABLE cells AS SELECT n.series, g.*, row_number() OVER () - 1 AS row FROM grouped g
            JOIN numbered n USING (connection_type, function, direction)"""
        )

    def _totals(self) -> None:
        cube = self.cube
        for series, size, total_ms in self._rows(
            "SELECT series, sum(bytes), coalesce(sum(total_ms), 0) FROM cells GROUP BY series"
        ):
            cube.bytes[series], cube.total_ms[series] = size, total_ms
        events, sampled, first, last = self._rows(
            "SELECT sum(events), sum(sampled), min(first), max(last) FROM cells"
        )[0]
        cube.events, cube.sampled, cube.first, cube.last = int(events), int(sampled), first, last

    def _columns(self, query: str) -> dict[str, Any]:
        found = self._connection.execute(query).fetchnumpy()
        return {name: np.ma.getdata(column) for name, column in found.items()}

    def _add_grouped(self) -> None:
        """Cells of events, of errors and of response times; and examples of the latter two."""
        found = self._columns(
            """SELECT series, bin, coalesce(bucket, -1) AS bucket, failed, events, weights, first, row
            FROM cells"""
        )
        everything = np.ones(len(found["bin"]), bool)
        for kind, some in ((COUNT, everything), (ERROR, found["failed"]), (MS, found["bucket"] >= 0)):
            part = {name: column[some] for name, column in found.items()}
            buckets = part["bucket"] if kind == MS else 0
            keys = _keys(kind, part["series"], part["bin"], buckets)
            self._parts.append((keys, part["events"], part["weights"].astype(np.int64)))
            if kind != COUNT:
                self._exemplify(keys, part["first"], part["row"], "cells", "example")

    def _add_measured(self) -> None:
        """Cells of what metadata measures."""
        fields = ", ".join(
            f"TRY_CAST(json_extract_string(one.m, '$.{name}') AS DOUBLE) AS k{kind}"
            for kind, name in _MEASURED.items()
        )
        self._connection.execute(
            f"""CREATE TEMP TABLE values AS SELECT series, bin, one, {fields} FROM
            (SELECT series, bin, unnest(measured) AS one FROM cells WHERE measured IS NOT NULL)"""  # noqa: S608
        )
        for kind in _MEASURED:
            value = f"k{kind}"
            fits = f"{value} > 1" if kind == RETRY else f"{value} BETWEEN 0 AND {MAX_MS}"
            bucket = "0" if kind == RETRY else _bucket(value)
            self._connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE kind AS SELECT *, row_number() OVER () - 1 AS row FROM
                (SELECT series, bin, {bucket} AS bucket, count(*) AS events, sum(one.w)::BIGINT AS weights,
                  min(one.t) AS first, arg_min({{'m': one.m, 'e': one.e}}, one.t) AS example
                FROM values WHERE {fits} GROUP BY ALL)"""  # noqa: S608 - numbers and names of ours
            )
            found = self._columns("SELECT series, bin, bucket, events, weights, first, row FROM kind")
            keys = _keys(kind, found["series"], found["bin"], found["bucket"])
            self._parts.append((keys, found["events"], found["weights"].astype(np.int64)))
            self._exemplify(keys, found["first"], found["row"], "kind", "example")

    def _exemplify(self, keys: Ints, first: Any, rows: Any, table: str, column: str) -> None:
        """An example of each cell, from its highest bucket the first in time."""
        order = np.lexsort((-first, keys))
        prefixes = keys[order] >> SERIES_AT
        top = order[np.flatnonzero(np.append(prefixes[1:] != prefixes[:-1], True))] if len(order) else order
        wanted = {int(rows[index]): index for index in top.tolist()}
        if not wanted:
            return
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE wanted AS SELECT unnest(?) AS row", [list(wanted)]
        )
        for row, example in self._rows(f"SELECT row, {column} FROM {table} SEMI JOIN wanted USING (row)"):  # noqa: S608
            index = wanted[row]
            more = more_of(example["m"])
            error = None if example["e"] is None else example["e"][:120]
            bucket = int(keys[index]) & ((1 << SERIES_AT) - 1)
            held = Example(float(first[index]), more.session, more.request, error)
            self.cube.examples[int(keys[index]) >> SERIES_AT] = (bucket, held)


def _keys(kind: int, series: Any, bins: Any, buckets: Any) -> Ints:
    coarse = COARSE if kind in (MS, PERMIT, QUEUE, LIFE, AFTER) else 0
    keys: Ints = (
        (bins.astype(np.int64) >> coarse << BIN_AT)
        | (kind << KIND_AT)
        | (series.astype(np.int64) << SERIES_AT)
        | buckets
    )
    return keys
