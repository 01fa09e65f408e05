"""Numbers as people read them, for every form of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def number(value: int) -> str:
    """``12,345``."""
    return f"{value:,}"


def size(size_bytes: int) -> str:
    """``512 B``, ``1.2 MB``."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def ms(value: float | None) -> str:
    """``0.42 ms``, ``180 ms``, ``3.1 s``; a dash for none."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.3g} s" if value < 1e6 else f"{value / 1000:,.0f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.2g} ms" if value < 10 else f"{value:.3g} ms"


def share(part: int, whole: int) -> str:
    """``1.2 %``."""
    return f"{100 * part / whole:.2g} %" if whole and part else "0 %"


def seconds(value: float) -> str:
    """``12 s``, ``4 min 10 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = round(value)
    if whole < 60:
        return f"{value:.3g} s"
    for unit, length, below, smaller in (
        ("min", 60, "s", 1),
        ("h", 3600, "min", 60),
        ("d", 86400, "h", 3600),
    ):
        if whole < {"min": 3600, "h": 86400}.get(unit, float("inf")):
            big, rest = divmod(whole, length)
            return f"{big} {unit} {rest // smaller} {below}"
    raise AssertionError(value)


def sparkline(values: Sequence[int]) -> str:
    """A column for each value, its height on a scale from 0 to the highest; nothing is a space."""
    top = max(values, default=0)
    return "".join(" " if not v else _BLOCKS[min(7, int(8 * v / (top + 1)))] for v in values)
