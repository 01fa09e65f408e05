"""Large NDJSON files counted by DuckDB, on all cores, into the same cells as ``cube`` counts them.

What it cannot do is left to Python: filters, other formats, and files with lines that are no events, whose
place has to be told. It reads in parallel, so nothing is known of the order of the events.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from exai_ops.monitor.analysis.cube import (
    BIN_AT,
    BINS_PER_S,
    COARSE,
    COUNT,
    ERROR,
    KIND_AT,
    LIFE,
    MAX_BINS,
    MAX_SPAN,
    MS,
    OFFSET,
    PERMIT,
    QUEUE,
    RETRY,
    SCALE,
    SERIES_AT,
    THROTTLE,
    Cube,
    Example,
    Ints,
)
from exai_ops.monitor.analysis.lines import EARLIEST, LATEST, MAX_MS, MAX_WEIGHT
from exai_ops.monitor.histogram import SMALLEST

LARGE_BYTES: Final = 500_000_000
"""From here on it is chosen by itself."""
_MANY_BYTES: Final = 50_000_000
_ENDS: Final = 65_536

_COLUMNS: Final = {
    "timestamp": "DOUBLE",
    "connection_type": "VARCHAR",
    "direction": "VARCHAR",
    "function": "VARCHAR",
    "data_size_bytes": "DOUBLE",
    "response_time_ms": "DOUBLE",
    "error": "VARCHAR",
    "weight": "DOUBLE",
    "metadata": "STRUCT(attempt DOUBLE, permit_wait_ms DOUBLE, queue_wait_ms DOUBLE, duration_s DOUBLE, "
    "retry_after_s DOUBLE, status DOUBLE, request VARCHAR)",
}


def _bucket(value: str) -> str:
    """The bucket of a number as ``cube.bucket_of`` has it; NULL of NULL, of what is below 0 or too large."""
    bucket = f"CAST(ceil(ln({value}) * {SCALE!r}) AS BIGINT) + {OFFSET}"
    return (
        f"CASE WHEN {value} IS NULL OR {value} < 0 OR {value} > {MAX_MS} THEN NULL "
        f"WHEN {value} <= {SMALLEST} THEN 0 ELSE {bucket} END"
    )


_QUERY: Final = f"""
WITH read AS (
  SELECT
    CAST(floor(timestamp * {BINS_PER_S}) AS BIGINT) >> $shift AS bin,
    connection_type AS type, function AS name, direction AS way,
    {_bucket("response_time_ms")} AS ms,
    CASE WHEN direction = 'rate_limit' OR metadata.status = 429 THEN {THROTTLE}
         WHEN error IS NOT NULL OR direction IN ('error', 'reject') THEN {ERROR} ELSE 0 END AS bad,
    coalesce(metadata.attempt > 1, FALSE) AS again,
    CASE WHEN direction = 'rate_limit' OR metadata.status = 429
         THEN {_bucket("metadata.retry_after_s")} END AS advised,
    {_bucket("metadata.permit_wait_ms")} AS permit,
    {_bucket("metadata.queue_wait_ms")} AS queue,
    {_bucket("metadata.duration_s")} AS life,
    CASE WHEN timestamp >= {EARLIEST} AND timestamp < {LATEST} AND connection_type IS NOT NULL
           AND function IS NOT NULL AND direction IS NOT NULL
           AND coalesce(data_size_bytes, 0) BETWEEN 0 AND {1 << 53}
           AND coalesce(response_time_ms, 0) BETWEEN 0 AND {MAX_MS}
           AND coalesce(weight, 1) BETWEEN 1 AND {MAX_WEIGHT}
         THEN 0 ELSE 1 END AS refused,
    timestamp AS moment, coalesce(weight, 1) AS weight,
    coalesce(data_size_bytes, 0) * coalesce(weight, 1) AS bytes,
    coalesce(response_time_ms, 0) * coalesce(weight, 1) AS took, metadata.request AS request, error
  FROM read_json($files, columns = {{{", ".join(f"{k}: '{v}'" for k, v in _COLUMNS.items())}}},
    format = 'newline_delimited', ignore_errors = true, maximum_object_size = 16777216))
SELECT bin, type, name, way, ms, bad, again, advised, permit, queue, life,
  grouping(ms, permit, queue, life) AS which, count(*) AS n, CAST(sum(weight) AS BIGINT) AS weights,
  sum(bytes) AS bytes, sum(took) AS took, min(moment) AS first, max(moment) AS last, sum(refused) AS refused,
  sum(CASE WHEN weight <> 1 THEN 1 ELSE 0 END) AS sampled,
  any_value(request) AS request, any_value(error) AS error
FROM read
GROUP BY GROUPING SETS ((bin, type, name, way, ms, bad, again, advised),
  (bin, type, name, way, permit), (bin, type, name, way, queue), (bin, type, name, way, life))
"""  # noqa: S608 - of constants

_WHICH: Final = {0b0111: MS, 0b1011: PERMIT, 0b1101: QUEUE, 0b1110: LIFE}
"""By which columns are not of the grouping set: ms, permit, queue, life."""


def suits(paths: Sequence[Path]) -> bool:
    """Whether these are plain NDJSON files, by how they begin, and DuckDB is installed."""
    from importlib.util import find_spec

    return find_spec("duckdb") is not None and all(_times(path) is not None for path in paths)


def count(paths: Sequence[Path]) -> Cube | None:
    """All events of NDJSON files; None where a line is no event, which Python has to look at."""
    import duckdb

    ends = [end for path in paths for end in _times(path) or ()]
    bins = (max(ends) - min(ends)) * BINS_PER_S
    # The finest that may be right, which costs too many groups only where there are many events.
    most = MAX_BINS if sum(path.stat().st_size for path in paths) > _MANY_BYTES else MAX_SPAN
    shift = max(0, math.ceil(math.log2(bins / most))) if bins > 0 else 0
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        try:
            given = {"files": [str(path) for path in paths], "shift": shift}
            found: dict[str, Any] = connection.execute(_QUERY, given).fetchnumpy()
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException):
            return None
    if not len(found["n"]) or int(np.nansum(found["refused"])):
        return None
    return _cube(found, shift)


class _Times(msgspec.Struct):
    timestamp: float
    connection_type: str


def _times(path: Path) -> tuple[float, float] | None:
    """The first and the last timestamp of an NDJSON file, None for what is none."""
    try:
        with path.open("rb") as file:
            head = file.readline(_ENDS)
            size = file.seek(0, 2)
            file.seek(max(0, size - _ENDS))
            tail = file.read().rstrip().rpartition(b"\n")[2]
        first, last = (msgspec.json.decode(line, type=_Times) for line in (head, tail))
    except (OSError, msgspec.DecodeError, UnicodeError):
        return None
    return first.timestamp, last.timestamp


def _cube(found: dict[str, Any], shift: int) -> Cube:
    cube = Cube()
    cube.shift = shift
    columns = {
        name: np.ma.filled(np.ma.asarray(column), -1) for name, column in found.items() if name not in _TEXTS
    }
    names = zip(*(np.ma.asarray(found[name]).tolist() for name in ("type", "name", "way")), strict=True)
    series: Ints = np.fromiter((cube.ids[key] for key in names), np.int64, len(found["n"]))
    which = columns["which"].astype(np.int64)
    main = which == 0b0111
    cube.events = int(columns["n"][main].sum())
    cube.sampled = int(columns["sampled"][main].sum())
    cube.first, cube.last = float(columns["first"][main].min()), float(columns["last"][main].max())
    size = len(cube.bytes)
    cube.bytes += np.bincount(series[main], columns["bytes"][main].astype(float), size)
    cube.total_ms += np.bincount(series[main], columns["took"][main].astype(float), size)
    fine = (columns["bin"].astype(np.int64) << BIN_AT) | (series << SERIES_AT)
    coarse = (columns["bin"].astype(np.int64) >> COARSE << BIN_AT) | (series << SERIES_AT)
    parts: list[tuple[Ints, Ints]] = []

    def add(kind: int, rows: Ints, cells: Ints, buckets: Ints | int = 0) -> None:
        parts.append((cells[rows] | (kind << KIND_AT) | buckets, rows))

    add(COUNT, np.flatnonzero(main), fine)
    add(RETRY, np.flatnonzero(main & (columns["again"] == 1)), fine)
    add(ERROR, np.flatnonzero(main & (columns["bad"] == ERROR)), fine)
    rows = np.flatnonzero(main & (columns["bad"] == THROTTLE))
    add(THROTTLE, rows, fine, np.maximum(0, columns["advised"][rows].astype(np.int64)))
    for grouping, kind in _WHICH.items():
        name = {MS: "ms", PERMIT: "permit", QUEUE: "queue", LIFE: "life"}[kind]
        rows = np.flatnonzero((which == grouping) & (columns[name] >= 0))
        add(kind, rows, coarse, columns[name][rows].astype(np.int64))
    keys = np.concatenate([keys for keys, _ in parts])
    rows = np.concatenate([rows for _, rows in parts])
    cube.take(keys, columns["n"][rows].astype(np.int64), columns["weights"][rows].astype(np.int64))
    _exemplify(cube, keys, rows, found, columns)
    cube.settle()
    return cube


_TEXTS: Final = frozenset({"type", "name", "way", "request", "error"})


def _exemplify(cube: Cube, keys: Ints, rows: Ints, found: dict[str, Any], columns: dict[str, Any]) -> None:
    requests, errors = (np.ma.asarray(found[name]) for name in ("request", "error"))
    kinds = (keys >> KIND_AT) & 7
    order = np.lexsort((rows, keys))
    last = np.append(np.diff(keys[order] >> SERIES_AT) != 0, True)
    for at in order[last & (kinds[order] != COUNT)].tolist():
        row = int(rows[at])
        request, error = (
            None if np.ma.is_masked(column[row]) else column[row] for column in (requests, errors)
        )
        shown = Example(row, float(columns["first"][row]), None, request, error and str(error)[:120])
        cube.examples[int(keys[at]) >> SERIES_AT] = (int(keys[at]) & 4095, shown)
