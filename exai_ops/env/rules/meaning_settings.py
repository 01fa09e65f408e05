"""ENV205 to ENV208: values that a setting does not take, or that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from exai_ops.env.rules.meaning_values import Values, views
from exai_ops.env.rules.table import Context
from exai_ops.env.shown import looks_secret
from exai_ops.findings import Finding, Status
from exai_ops.settings import BadValue

PING: Final = "EXAI_WS_PING_INTERVAL"
_LOW_S, _BEST_S, _HIGH_S = 20.0, 30.0, 60.0
_TOOL, _CALL, _TTL = "EXAI_TOOL_TIMEOUT_SECS", "EXAI_WS_CALL_TIMEOUT", "EXAI_WS_INFLIGHT_TTL_SECS"
_MARGIN: Final = 1.5


class _Layer(NamedTuple):
    """Old names of one timeout, and how many times that of the layer before it at least."""

    what: str
    names: tuple[str, ...]
    factor: float


_LAYERS: Final = (
    _Layer("tool", ("TOOL_TIMEOUT_SECS", "WORKFLOW_TOOL_TIMEOUT_SECS", "SIMPLE_TOOL_TIMEOUT_SECS"), 1),
    _Layer("daemon", ("DAEMON_TIMEOUT_SECS", "EXAI_WS_DAEMON_TIMEOUT", "DAEMON_TIMEOUT"), _MARGIN),
    _Layer(
        "bridge", ("SHIM_TIMEOUT_SECS", "EXAI_SHIM_RPC_TIMEOUT", "SHIM_TIMEOUT", "BRIDGE_TIMEOUT_SECS"), 1
    ),
    _Layer("client", ("CLIENT_TIMEOUT_SECS", "EXAI_CLIENT_TIMEOUT", "MCP_CLIENT_TIMEOUT_SECS"), 1),
)


def types(context: Context) -> Iterator[Finding]:
    """Values that their setting does not take."""
    for seen in views(context):
        for key in seen.values:
            variable, value = context.variables.get(key), seen.real(key)
            if variable is not None and value is not None and not value.startswith("#"):
                problem = _problem(variable, value)
                if problem:
                    default = variable.show(variable.default)
                    hint = f"write {key}={default} or another that is allowed: {variable.allowed()}"
                    yield Finding("ENV205", Status.ERROR, f"{key} {problem}", hint, seen.at(key))


def _problem(variable: Any, value: str) -> str | None:
    try:
        variable.parse(value)
    except BadValue as error:
        secret = variable.kind in ("secret", "url") or looks_secret(value)
        return "holds what it does not take" if secret and variable.kind != "secret" else str(error)
    return None


def aliases(context: Context) -> Iterator[Finding]:
    """Names of one setting with different values."""
    settings = {variable.names: None for variable in context.variables.values() if len(variable.names) > 1}
    for seen in views(context):
        for group in settings:
            given = [name for name in group if seen.real(name) is not None]
            for name in given[1:]:
                if seen.values[name] != seen.values[given[0]]:
                    first, line = given[0], seen.lines.get(given[0])
                    message = (
                        f"{name} is another name of {first}, which has another value at line {line} and wins"
                    )
                    yield Finding(
                        "ENV206", Status.WARNING, message, f"take it out: {first} is enough", seen.at(name)
                    )


def timeouts(context: Context) -> Iterator[Finding]:
    """Timeouts that end before what they wait for."""
    for seen in views(context):
        numbers = _numbers(context, seen)
        yield from _of_settings(context, seen, numbers)
        yield from _of_layers(seen, numbers)


def _numbers(context: Context, seen: Values) -> Mapping[str, float]:
    """The timeouts that are set to a number that their setting takes."""
    wanted = (_TOOL, _CALL, _TTL, *(name for layer in _LAYERS for name in layer.names))
    found = {}
    for key in wanted:
        value = _number(seen.values.get(key, ""))
        variable = context.variables.get(key)
        if value is not None and (variable is None or _problem(variable, seen.values[key]) is None):
            found[key] = value
    return found


def _number(text: str) -> float | None:
    plain = text.replace(".", "", 1)
    return float(text) if plain.isascii() and plain.isdigit() and len(plain) < 16 else None


def _of_settings(context: Context, seen: Values, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """The daemon's own: it refuses to start with these. A value that cannot be read says nothing."""
    for inner, outer, factor in ((_TOOL, _CALL, _MARGIN), (_CALL, _TTL, 1.0)):
        pair = [outer, inner]
        given = [key for key in pair if key in numbers]
        if given and all(key in numbers or key not in seen.values for key in pair):
            known = [key for key in pair if key in context.variables]
            values = {key: context.variables[key].default for key in known} | dict(numbers)
            if inner in values and outer in values:
                order = _Order(inner, values[inner], outer, values[outer], factor)
                yield from _judged(seen, order, given[0], Status.ERROR)


def _of_layers(seen: Values, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """The old daemon's, whose layers each need to outlast the one within."""
    inner: tuple[float, str] | None = None
    for layer in _LAYERS:
        present = [(numbers[name], name) for name in layer.names if name in numbers]
        if inner is not None:
            for value, name in present:
                order = _Order(inner[1], inner[0], name, value, layer.factor)
                yield from _judged(seen, order, name, Status.WARNING)
        inner = max(present, default=inner)


class _Order(NamedTuple):
    """Two timeouts: the outer one is at least ``factor`` times the inner one, or longer where that is 1."""

    inner: str
    inner_s: float
    outer: str
    outer_s: float
    factor: float

    def pairs(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """Name and seconds of the inner one and of the outer one."""
        return (self.inner, self.inner_s), (self.outer, self.outer_s)


def _judged(seen: Values, order: _Order, at: str, status: Status) -> Iterator[Finding]:
    inner, inner_s, outer, outer_s, factor = order
    least = round(inner_s * factor, 6)
    if outer_s > least or (outer_s == least and factor != 1):
        return
    than, by = ("not more than", "more than") if factor == 1 else (f"less than {factor:g} times", "at least")
    shown = [f"{n:g}{'' if key in seen.values else ' by default'}" for key, n in order.pairs()]
    message = f"{outer} is {shown[1]}, {than} {inner}, which is {shown[0]}"
    enough = math.ceil(least) if factor != 1 else math.floor(least) + 1
    hint = f"write {outer}={enough} ({by} {least:g}), or set {inner} to less"
    yield Finding("ENV207", status, message, hint, seen.at(at))


def ping(context: Context) -> Iterator[Finding]:
    """A ping interval that loses clients."""
    for seen in views(context):
        value = _number(seen.values.get(PING, ""))
        if value is None or _LOW_S <= value <= _BEST_S:
            continue
        outside = not _LOW_S <= value <= _HIGH_S
        reason = (
            "3 s made it worse: pings get in the way of the work" if value < _LOW_S
            else "45 s lost clients: a proxy on the way closes what is idle that long"
        )  # fmt: skip
        status = Status.WARNING if outside else Status.INFO
        message = f"{PING} is {value:g} s{_where(value)}; {reason}"
        yield Finding("ENV208", status, message, f"write {PING}=30, which holds", seen.at(PING))


def _where(value: float) -> str:
    return "" if _LOW_S <= value <= _HIGH_S else f", outside {_LOW_S:g} to {_HIGH_S:g}"
