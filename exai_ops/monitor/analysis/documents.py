"""The events of one JSON document, an export's, one by one: a document of any size in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
_DEPTH: Final = 12
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'


def _object(depth: int) -> bytes:
    """A pattern of an object in which objects are nested so deep; possessive, so that it is linear."""
    inner = rb'[^"{}]++|' + _STRING
    pattern = rb"\{(?:" + inner + rb")*+\}"
    for _ in range(depth):
        pattern = rb"\{(?:" + inner + rb"|" + pattern + rb")*+\}"
    return pattern


_EVENT: Final = re.compile(rb"[\s,]*+(" + _object(_DEPTH) + rb")", re.DOTALL)
_END: Final = re.compile(rb"[\s,]*+\]")
_BEGIN: Final = re.compile(rb'"recent_events"\s*:\s*\[')
_ARRAY: Final = re.compile(rb"\s*\[")
DOCUMENT: Final = re.compile(rb'\s*(?:\[|\{\s*"(?:summary|recent_events)"\s*:)')
"""How an export, or an array of events, begins."""


class Cut(Exception):
    """The document does not go on as one; the message says how."""


def objects(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The events' bytes, some at once. Raises Cut at the end where the document is not whole."""
    held, inside = b"", False
    for chunk in chunks:
        held += chunk
        if not inside:
            begin = _ARRAY.match(held) or _BEGIN.search(held)
            if begin is None:
                held = held if len(held) < MAX_EVENT_BYTES else held[-64:]
                continue
            held, inside = held[begin.end() :], True
        found, at = _taken(held)
        held = held[at:]
        if found:
            yield found
        if _END.match(held):
            return
        if len(held) > MAX_EVENT_BYTES:
            raise Cut("what follows is no event")
    raise Cut("it ends in the middle" if inside else "it has no recent_events")


def _taken(data: bytes) -> tuple[list[bytes], int]:
    """The whole events at the beginning, and where they end."""
    found, at = [], 0
    while (match := _EVENT.match(data, at)) is not None:
        found.append(match[1])
        at = match.end()
    return found, at
