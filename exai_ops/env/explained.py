"""An explanation as a table for a person, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from exai_ops.compose.model import Place
from exai_ops.env.explain import Explanation, Row

SCHEMA_VERSION: Final = 1
_HEAD: Final = ("who", "gets", "from")


def as_table(explanation: Explanation) -> str:
    """A line for each reader: who, what it gets, from where; below it what loses, and why."""
    cells = [(row.who, explanation.shown(row), _origin(row)) for row in explanation.rows]
    widths = [max(len(line[column]) for line in (_HEAD, *cells)) for column in range(2)]
    lines = [_line(_HEAD, widths)]
    for row, line in zip(explanation.rows, cells, strict=True):
        lines += [_line(line, widths), *_below(row)]
    return f"{explanation.key}\n\n" + "\n".join(lines) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"{cells[0]:<{widths[0]}}  {cells[1]:<{widths[1]}}  {cells[2]}".rstrip()


def _below(row: Row) -> Iterator[str]:
    if row.over:
        yield f"    over {', '.join(_place(place) for place in row.over)}"
    yield from (f"    {sentence}" for sentence in row.why)


def _origin(row: Row) -> str:
    if row.place is None:
        return "" if row.source in ("unset", "default") else row.source
    return f"{row.source} {_place(row.place)}"


def _place(place: Place) -> str:
    return f"{place.file}:{place.line}"


def as_json(explanation: Explanation) -> str:
    """``{schema_version, key, secret, rows: [{who, value, set, source, where, over, why}]}``.

    ``value`` is ``***`` for a secret and null where nothing is set.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "key": explanation.key,
        "secret": explanation.secret or any(map(explanation.masked, explanation.rows)),
        "rows": [_row(explanation, row) for row in explanation.rows],
    }
    return json.dumps(document, indent=2) + "\n"


def _row(explanation: Explanation, row: Row) -> dict[str, Any]:
    return {
        "who": row.who,
        "value": explanation.shown(row) if explanation.masked(row) else row.value,
        "set": row.value is not None,
        "source": row.source,
        "where": None if row.place is None else _where(row.place),
        "over": [_where(place) for place in row.over],
        "why": list(row.why),
    }


def _where(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line}
