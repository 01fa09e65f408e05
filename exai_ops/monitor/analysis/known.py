"""Decoding of lines whose names recur: types, directions and functions are the same text objects each time.

That takes a fifth less than new texts for each line. A name that was not seen before is an error of the
decoder made for the known ones; then the data is decoded plainly, and the next decoder knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from exai_ops.monitor.analysis.lines import Line

MOST_NAMES: Final = 200
"""Known functions; a recording with more is decoded plainly."""
MOST_ERRORS: Final = 30
"""Decoders made; names that keep coming anew are not worth it."""
_NAMED: Final = ("connection_type", "direction", "function")
_PLAIN: Final = msgspec.json.Decoder(Line).decode_lines


class KnownNames:
    """Decodes lines, and learns their names."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {name: set() for name in _NAMED}
        self._decode: Callable[[bytes], list[Any]] = _PLAIN
        self._left = MOST_ERRORS

    def lines(self, data: bytes) -> list[Line]:
        """Lines of events. Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError."""
        if self._decode is not _PLAIN:
            try:
                return self._decode(data)
            except msgspec.ValidationError:
                pass  # a name that is not known yet, or no event
        lines = _PLAIN(data)
        if self._left and lines:
            self._left -= 1
            self._learn(lines)
        return lines

    def _learn(self, lines: list[Line]) -> None:
        for name, known in self._names.items():
            known.update({getattr(line, name) for line in lines})
        if not self._left or any(len(known) > MOST_NAMES for known in self._names.values()):
            self._left, self._decode = 0, _PLAIN
            return
        self._decode = msgspec.json.Decoder(self._type()).decode_lines

    def _type(self) -> type[msgspec.Struct]:
        """As ``Line``, with the names known so far."""
        fields: list[Any] = []
        for field in msgspec.structs.fields(Line):
            of = Literal[tuple(sorted(self._names[field.name]))] if field.name in _NAMED else field.type
            fields.append((field.name, of) if field.required else (field.name, of, field.default))
        return msgspec.defstruct("KnownLine", fields, gc=False)
