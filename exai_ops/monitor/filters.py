"""A ``wire.Filter`` as something that judges events.

Patterns are RE2: matching takes time linear in the text, whatever the pattern. What RE2 needs for a pattern
is bounded too, and one that needs more is refused.

Directions are a closed set. Types are not: a boundary of one's own records under its own name. So a type is
refused only where it looks like a slip: letters alone, close to a known or recorded type, itself neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from exai_ops.errors import UsageError
from exai_ops.monitor.events import CONNECTION_TYPES, DIRECTIONS, Event
from exai_ops.monitor.wire import Filter

PATTERN_CHARS: Final = 1000
PATTERNS: Final = 20
"""Patterns of one filter, of either kind."""
_PATTERN_BYTES: Final = 1 << 20
"""Memory of one compiled pattern and its matching."""
_CLOSE: Final = 0.8
FAILURES: Final = frozenset({"error", "reject", "rate_limit"})
"""Directions that are a failure in themselves."""

Test: TypeAlias = Callable[[Event], bool]


class Matcher:
    """Whether events fit a filter; one without conditions takes all, at no cost an event."""

    __slots__ = ("_tests",)

    def __init__(self, tests: Sequence[Test]) -> None:
        self._tests = tuple(tests)

    @property
    def takes_all(self) -> bool:
        """Whether every event fits."""
        return not self._tests

    def __call__(self, event: Event) -> bool:
        for test in self._tests:  # noqa: SIM110 - twice as fast as all() over a generator
            if not test(event):
                return False
        return True


def compiled(wanted: Filter) -> Matcher:
    """The filter's matcher. Raises UsageError that names the option, the pattern and the place."""
    check_directions(wanted.directions)
    grep = _patterns("grep", wanted.grep)
    exclude = _patterns("exclude", wanted.exclude)
    tests: list[Test] = []
    if wanted.types:
        tests.append(_one_of(1, wanted.types))
    if wanted.directions:
        tests.append(_one_of(2, wanted.directions))
    if wanted.functions:
        tests.append(_one_of(4, wanted.functions))
    if wanted.errors:
        tests.append(failed)
    if wanted.slower_ms is not None:
        tests.append(_slower(wanted.slower_ms))
    tests += [_begins(key, value) for key in ("session", "request") if (value := getattr(wanted, key))]
    if grep or exclude:
        tests.append(_text(grep, exclude))
    return Matcher(tests)


def check_directions(directions: Iterable[str]) -> None:
    """Raises UsageError for one that no event has."""
    for name in directions:
        if name not in DIRECTIONS:
            raise _unknown("--direction", name, DIRECTIONS)


def check_types(types: Iterable[str], recorded: Collection[str]) -> None:
    """Raises UsageError for what looks like a slip; ``recorded`` are types of which events are known."""
    known = {*CONNECTION_TYPES, *recorded}
    for name in types:
        if name not in known and name.isalpha() and get_close_matches(name.lower(), known, 1, _CLOSE):
            raise _unknown("--type", name, sorted(known))


def failed(event: Event) -> bool:
    """Whether an event has an error, or is one by its direction."""
    return event[7] is not None or event[2] in FAILURES


def text(event: Event) -> str:
    """What patterns are matched with: type, direction, script, function, error, metadata."""
    parts = [str(part) for part in (*event[1:5], event[7]) if part is not None]
    return " ".join([*parts, shown_metadata(event[8])])


def shown_metadata(metadata: Mapping[str, Any] | None) -> str:
    """``key=value`` one after another, as they are shown; empty for none."""
    if not metadata:
        return ""
    try:
        return " ".join(f"{key}={_shown(value)}" for key, value in metadata.items())
    except Exception as error:  # noqa: BLE001 - metadata is foreign: its __str__ may raise anything
        return f"unshowable={type(error).__name__}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _one_of(field: int, names: Sequence[str]) -> Test:
    wanted = frozenset(names)
    return lambda event: event[field] in wanted


def _slower(least_ms: float) -> Test:
    return lambda event: event[6] is not None and event[6] > least_ms


def _begins(key: str, beginning: str) -> Test:
    def test(event: Event) -> bool:
        more = event[8]
        value = more.get(key) if isinstance(more, Mapping) else None
        return isinstance(value, str) and value.startswith(beginning)

    return test


def _text(grep: Sequence[Any], exclude: Sequence[Any]) -> Test:
    def test(event: Event) -> bool:
        said = text(event)
        try:
            return all(p.search(said) for p in grep) and not any(p.search(said) for p in exclude)
        except UnicodeEncodeError:  # a lone surrogate, which RE2 cannot be given
            said = said.encode(errors="replace").decode()
            return all(p.search(said) for p in grep) and not any(p.search(said) for p in exclude)

    return test


def _patterns(option: str, patterns: Sequence[str]) -> list[Any]:
    if len(patterns) > PATTERNS:
        raise UsageError(f"--{option}: {len(patterns)} patterns", hint=f"{PATTERNS} at most")
    return [_pattern(f"--{option}", pattern) for pattern in patterns]


def _pattern(option: str, pattern: str) -> Any:
    import re2

    if not pattern:
        raise UsageError(f"{option}: is an empty pattern, which every event fits", hint="leave it out")
    if len(pattern) > PATTERN_CHARS:
        what = f"{option}: {pattern[:40]!r}... has {len(pattern)} characters"
        raise UsageError(what, hint=f"{PATTERN_CHARS} at most")
    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except UnicodeEncodeError:
        raise UsageError(f"{option}: {pattern!r} is not Unicode") from None
    except re2.error as error:
        raise _refused(option, pattern, _said(error)) from None


def _said(error: Exception) -> str:
    """RE2's own words, which come as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _refused(option: str, pattern: str, said: str) -> UsageError:
    why, _, part = said.partition(": ")
    hint = "RE2 syntax; a \\ before ( [ . * + ? | takes them as they are"
    if why in ("invalid perl operator", "invalid escape sequence"):
        hint = (
            "RE2 has neither lookaround nor back-references: --grep and --exclude may be given several times"
        )
    if "too large" in said:
        hint = "a shorter pattern, or lower repetitions"
    column = _column(pattern, why, part)
    at = f" at character {column}" if column else ""
    named = f": {part}" if part and part != pattern else ""
    return UsageError(f"{option}: {pattern!r}{at}: {why}{named}", hint=hint)


def _column(pattern: str, why: str, part: str) -> int | None:
    """Where RE2 found fault, from 1; it tells the part alone, and for parentheses not even that."""
    if why == "missing )":
        opened, _ = _parentheses(pattern)
        return opened[-1] + 1 if opened else len(pattern)
    if why == "unexpected )":
        return _parentheses(pattern)[1]
    return pattern.find(part) + 1 if part and part in pattern else None


def _parentheses(pattern: str) -> tuple[list[int], int | None]:
    """Indexes of those that are not closed, and the column of the first that was not opened."""
    opened: list[int] = []
    skip = in_class = False
    for index, char in enumerate(pattern):
        if skip or char == "\\":
            skip = not skip
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            opened.append(index)
        elif char == ")":
            if not opened:
                return opened, index + 1
            opened.pop()
    return opened, None


def _unknown(option: str, name: str, known: Sequence[str]) -> UsageError:
    near = get_close_matches(name.lower(), known, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
    return UsageError(f"{option}: {name!r} is not known", hint=hint)


def fitting(matcher: Matcher, events: Sequence[Event]) -> Sequence[Event]:
    """Those that fit, in their order."""
    return events if matcher.takes_all else [event for event in events if matcher(event)]
