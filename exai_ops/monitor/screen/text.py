"""Lines of a terminal: styled pieces, measured by the columns they take up, and short numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Style: TypeAlias = Literal["", "bold", "dim", "red", "yellow", "green", "cyan", "head"]
Piece: TypeAlias = tuple[str, Style]
Line: TypeAlias = list[Piece]

_CODES: Final[dict[Style, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "31;1",
    "yellow": "33",
    "green": "32",
    "cyan": "36",
    "head": "7",
}
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = str.maketrans("▁▂▃▄▅▆▇█░…↓↑·", "__--==##.~vu.")


@lru_cache(maxsize=4096)
def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(text: str) -> int:
    """Columns that a text takes up."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def clean(text: str) -> str:
    """A text with what could drive a terminal, or change how wide it is, as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and not "\ufe00" <= c <= "\ufe0f" else repr(c)[1:-1] for c in text)


def cut(text: str, columns: int) -> str:
    """A text in at most so many columns; an ellipsis says that there is more."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    left, kept = columns - 1, ""
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept += char
    return kept + "…"


def cell(text: str, columns: int, *, right: bool = False) -> str:
    """A text, cleaned, in exactly so many columns."""
    shown = cut(clean(text), columns)
    filling = " " * (columns - width(shown))
    return filling + shown if right else shown + filling


def fitted(line: Line, columns: int) -> Line:
    """A line, cleaned and cut to at most so many columns."""
    fits: Line = []
    for text, style in line:
        shown = cut(clean(text), columns)
        columns -= width(shown)
        if shown:
            fits.append((shown, style))
        if columns <= 0 or shown != clean(text):
            break
    return fits


def plain(line: Line) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def painted(line: Line) -> str:
    """A line with its styles, each ended."""
    return "".join(f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style else text for text, style in line)


def ascii_only(text: str) -> str:
    """For terminals without Unicode: bars and marks of ASCII."""
    return text.translate(_ASCII)


# --- numbers ---------------------------------------------------------------------------------

_UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: float) -> str:
    """``0``, ``999``, ``12.3k``, ``4.5M``."""
    if number < 9999.5:
        return f"{number:.0f}"
    return _scaled(number)


def rate(number: float) -> str:
    """Per second: ``0``, ``0.02``, ``1.2``, ``123``, ``12.3k``."""
    if number <= 0:
        return "0"
    if number < 0.095:
        return f"{number:.2f}"
    return f"{number:.1f}" if number < 99.95 else count(number)


def size(number: float) -> str:
    """Bytes: ``512 B``, ``1.5 kB``, ``2.0 MB``."""
    if number < 999.5:
        return f"{number:.0f} B"
    scaled = _scaled(number)
    return f"{scaled[:-1]} {scaled[-1]}B"


def milliseconds(ms: float | None) -> str:
    """``0.42ms``, ``12.3ms``, ``830ms``, ``1.50s``, ``2m 3s``; ``-`` for none."""
    if ms is None:
        return "-"
    if ms < 999.5:
        return f"{ms:.2f}ms" if ms < 9.995 else f"{ms:.1f}ms" if ms < 99.95 else f"{ms:.0f}ms"
    seconds = ms / 1000
    return age(seconds) if seconds >= 59.95 else f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"


def age(seconds: float) -> str:
    """``0.4s``, ``12s``, ``3m 4s``, ``2h 5m``, ``3d 4h``."""
    seconds = max(0.0, seconds)
    if seconds < 59.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    for length, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= length:
            whole = int(min(seconds, 1e15))
            return f"{whole // length}{unit} {whole % length // part}{small}"
    return "1m 0s"


def _scaled(number: float) -> str:
    for value, unit in _UNITS:
        if number >= 0.9995 * value:
            return f"{number / value:.1f}{unit}" if number < 1e18 else f">1M{unit}"
    return f"{number:.0f}"


# --- drawings --------------------------------------------------------------------------------


def bar(part: float, whole: float, columns: int) -> str:
    """How much of something is used; at least one mark where anything is."""
    share = 0.0 if whole <= 0 else min(1.0, max(0.0, part / whole))
    full = max(1, round(share * columns)) if share else 0
    if share < 1:
        full = min(full, max(1, columns - 1)) if share else 0
    return "█" * full + "░" * (columns - full)


def spark(values: Sequence[float | None], columns: int) -> str:
    """The last values, a column each, against the largest of them; a space where there is none."""
    shown = values[-columns:] if columns > 0 else []
    largest = max((value for value in shown if value is not None), default=0.0)
    return "".join(" " if value is None else _level(value, largest) for value in shown)


def _level(value: float, largest: float) -> str:
    if largest <= 0:
        return _LEVELS[0]
    return _LEVELS[min(7, max(0, int(value / largest * 8 - 1e-9)))]
