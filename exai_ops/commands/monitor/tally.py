"""What was shown, in the end: counts, errors, percentiles, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from exai_ops.commands.monitor.lines import Exported, Note, clean, duration
from exai_ops.monitor.histogram import Histogram
from exai_ops.monitor.wire import Dropped, Gap


class _Row:
    def __init__(self) -> None:
        self.events = self.errors = 0
        self.durations_ms = Histogram()

    def add(self, event: Exported) -> None:
        self.events += 1
        self.errors += event.failed
        if event.response_time_ms is not None:
            self.durations_ms.add(event.response_time_ms)


class Tally:
    """Counts of what one run has shown."""

    def __init__(self) -> None:
        self._all = _Row()
        self._types: dict[str, _Row] = {}
        self._stand_for = 0
        self.dropped = 0
        self.gaps = 0
        self.missed = 0

    @property
    def events(self) -> int:
        """How many there were."""
        return self._all.events

    def event(self, event: Exported) -> None:
        """An event was shown."""
        self._all.add(event)
        self._types.setdefault(event.connection_type, _Row()).add(event)
        self._stand_for += event.weight

    def note(self, note: Note) -> None:
        """Something is missing."""
        if isinstance(note, Dropped):
            self.dropped += note.count
        elif isinstance(note, Gap):
            self.gaps += 1
            self.missed += note.missed or 0

    def lines(self, seconds: float) -> Iterator[str]:
        """The summary of a run that took so long."""
        events = self._all.events
        stand = f" (for {self._stand_for:,})" if self._stand_for != events else ""
        errors = f"{self._all.errors:,} error{'' if self._all.errors == 1 else 's'}"
        missed = f" ({self.missed:,} missed)" if self.missed else ""
        yield (
            f"{events:,} event{'' if events == 1 else 's'}{stand} in {seconds:.1f} s, {errors}, "
            f"dropped {self.dropped:,}, gaps {self.gaps:,}{missed}"
        )
        if not events:
            return
        yield f"  {'type':<12} {'events':>9} {'errors':>8} {'p50':>9} {'p95':>9} {'p99':>9}"
        for name, row in sorted(self._types.items()):
            yield _line(clean(name), row)
        if len(self._types) > 1:
            yield _line("all", self._all)


def _line(name: str, row: _Row) -> str:
    shown = ["-" if ms is None else duration(ms) for ms in row.durations_ms.percentiles((50, 95, 99))]
    return f"  {name:<12} {row.events:>9,} {row.errors:>8,} " + " ".join(f"{text:>9}" for text in shown)
