"""Every variable of the environment: name, type, unit, default, range, aliases; read here and nowhere else.

A field of ``Settings`` is the one declaration of its variable. ``load`` builds the frozen model from a
mapping, ``env_example`` writes the documented example from the same fields.
"""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from exai_ops.errors import SettingsError

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class Secret:
    """A value that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the place that sends it."""
        return self._value

    def matches(self, other: str) -> bool:
        """Whether ``other`` is the same value, in constant time."""
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What is known of one variable.

    Attributes:
        kind: ``str``, ``int``, ``float``, ``bool``, ``secret``, ``path``, ``url`` or ``list``.
        unit: ``s``, ``bytes`` or None.
        aliases: Other names that are read when ``name`` is unset or empty, in this order.
    """

    name: str
    field: str
    kind: str
    default: Any
    section: str
    comment: str
    unit: str | None = None
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def allowed(self) -> str:
        """The values that it takes, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = {
            "bool": "true or false",
            "int": "a whole number",
            "float": "a number",
            "url": "an http:// or https:// URL",
            "list": "names separated by commas",
            "path": "a path",
        }.get(self.kind, "text")
        unit = {"s": " of seconds", "bytes": " of bytes"}.get(self.unit or "", "")
        return words + unit + self._range()

    def _range(self) -> str:
        low, high = (None if n is None else _plain(n) for n in (self.minimum, self.maximum))
        if low is not None and high is not None:
            return f" from {low} to {high}"
        return f", at least {low}" if low is not None else ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _var(
    name: str,
    default: Any,
    section: str,
    comment: str,
    *,
    kind: str | None = None,
    unit: str | None = None,
    aliases: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    kinds = {bool: "bool", int: "int", float: "float", str: "str", Secret: "secret", tuple: "list"}
    metadata = {
        "name": name,
        "kind": kind or kinds[type(default)],
        "section": section,
        "comment": comment,
        "unit": unit,
        "aliases": aliases,
        "minimum": low,
        "maximum": high,
        "choices": choices,
    }
    return field(default=default, metadata=metadata)


_WS = "WebSocket daemon"
_CAP = "Capacity"
_TIME = "Timeouts and lifetimes"
_PROV = "Providers: Kimi (Moonshot) and GLM (Z.ai)"
_RES = "Resilience"
_CONV = "Conversations"
_SEC = "Security"
_STATE = "State and storage"
_LOG = "Logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, checked. Times are seconds, sizes bytes."""

    ws_host: str = _var(
        "EXAI_WS_HOST", "127.0.0.1", _WS, "Address to listen on. Any other than loopback needs EXAI_WS_TOKEN."
    )
    ws_port: int = _var(
        "EXAI_WS_PORT",
        8079,
        _WS,
        "One port for WebSocket, MCP, health, metrics; 0 takes a free one.",
        low=0,
        high=65535,
    )
    ws_token: Secret = _var(
        "EXAI_WS_TOKEN",
        Secret(),
        _WS,
        "Shared token of the clients; empty means no authentication, on loopback alone.",
    )
    ws_max_bytes: int = _var(
        "EXAI_WS_MAX_BYTES",
        32 * 1024 * 1024,
        _WS,
        "Largest frame accepted; a larger one closes the connection with 1009.",
        unit="bytes",
        low=1024,
        high=1024**3,
    )
    ws_ping_interval_s: float = _var(
        "EXAI_WS_PING_INTERVAL",
        30.0,
        _WS,
        "Between pings. Stay below the idle timeout of every proxy on the way: with 45 clients were "
        "dropped, with 3 it was worse, 30 holds.",
        unit="s",
        low=1,
        high=3600,
    )
    ws_ping_timeout_s: float = _var(
        "EXAI_WS_PING_TIMEOUT",
        30.0,
        _WS,
        "How long a pong may take before the connection counts as dead.",
        unit="s",
        low=1,
        high=3600,
    )
    ws_hello_timeout_s: float = _var(
        "EXAI_WS_HELLO_TIMEOUT",
        15.0,
        _WS,
        "How long a new connection may take to say hello.",
        unit="s",
        low=0.1,
        high=300,
    )
    ws_progress_interval_s: float = _var(
        "EXAI_WS_PROGRESS_INTERVAL_SECS",
        8.0,
        _WS,
        "Between the progress frames of a running call.",
        unit="s",
        low=0.1,
        high=300,
    )
    ws_semantic_cache: bool = _var(
        "EXAI_WS_SEMANTIC_CACHE",
        False,
        _WS,
        "Answer a call from an earlier one of the same session with the same tool and arguments.",
    )
    ws_no_coalesce_tools: tuple[str, ...] = _var(
        "EXAI_WS_DISABLE_COALESCE_FOR_TOOLS", (), _WS, "Tools that the semantic cache leaves alone."
    )

    global_max_inflight: int = _var(
        "EXAI_WS_GLOBAL_MAX_INFLIGHT", 24, _CAP, "Calls at work at once, in all.", low=1, high=100_000
    )
    kimi_max_inflight: int = _var(
        "EXAI_WS_KIMI_MAX_INFLIGHT", 6, _CAP, "Calls at Kimi at once.", low=1, high=100_000
    )
    glm_max_inflight: int = _var(
        "EXAI_WS_GLM_MAX_INFLIGHT", 4, _CAP, "Calls at GLM at once.", low=1, high=100_000
    )
    session_max_inflight: int = _var(
        "EXAI_WS_SESSION_MAX_INFLIGHT", 8, _CAP, "Calls of one session at work at once.", low=1, high=100_000
    )
    queue_max: int = _var(
        "EXAI_WS_QUEUE_MAX",
        2000,
        _CAP,
        "Calls that may wait for a permit; beyond it the longest queue is told OVER_CAPACITY.",
        low=0,
        high=1_000_000,
    )
    queue_wait_s: float = _var(
        "EXAI_WS_QUEUE_WAIT_SECS",
        30.0,
        _CAP,
        "How long a call may wait for a permit before OVER_CAPACITY.",
        unit="s",
        low=0,
        high=3600,
    )
    retry_after_s: float = _var(
        "EXAI_WS_RETRY_AFTER_SECS",
        1.0,
        _CAP,
        "What OVER_CAPACITY advises as retry_after.",
        unit="s",
        low=0,
        high=3600,
    )
    max_connections: int = _var(
        "EXAI_WS_MAX_CONNECTIONS",
        1000,
        _CAP,
        "Connections at once; one more is closed with 1008.",
        low=1,
        high=100_000,
    )

    tool_timeout_s: float = _var(
        "EXAI_TOOL_TIMEOUT_SECS",
        120.0,
        _TIME,
        "How long a provider may take for one completion, retries included.",
        unit="s",
        low=0.1,
        high=7200,
    )
    call_timeout_s: float = _var(
        "EXAI_WS_CALL_TIMEOUT",
        180.0,
        _TIME,
        "How long a call may run; at least 1.5 times EXAI_TOOL_TIMEOUT_SECS.",
        unit="s",
        low=0.1,
        high=7200,
    )
    inflight_ttl_s: float = _var(
        "EXAI_WS_INFLIGHT_TTL_SECS",
        240.0,
        _TIME,
        "Deadline of a permit: held longer it is named as leaked. Longer than EXAI_WS_CALL_TIMEOUT.",
        unit="s",
        low=0.1,
        high=14400,
    )
    result_ttl_s: float = _var(
        "EXAI_WS_RESULT_TTL",
        600.0,
        _TIME,
        "How long a result is kept for its session.",
        unit="s",
        low=1,
        high=604800,
    )
    drain_s: float = _var(
        "EXAI_DRAIN_SECS",
        30.0,
        _TIME,
        "How long SIGTERM waits for accepted calls.",
        unit="s",
        low=0,
        high=3600,
    )
    connect_timeout_s: float = _var(
        "EXAI_CONNECT_TIMEOUT_SECS",
        10.0,
        _TIME,
        "How long a provider may take to accept a connection.",
        unit="s",
        low=0.1,
        high=300,
    )
    idle_timeout_s: float = _var(
        "EXAI_IDLE_TIMEOUT_SECS",
        60.0,
        _TIME,
        "How long a provider's answer may stall between two pieces.",
        unit="s",
        low=0.1,
        high=3600,
    )

    kimi_api_key: Secret = _var(
        "KIMI_API_KEY", Secret(), _PROV, "Key of Kimi; empty leaves Kimi out.", aliases=("MOONSHOT_API_KEY",)
    )
    kimi_api_url: str = _var(
        "KIMI_API_URL",
        "https://api.moonshot.ai/v1",
        _PROV,
        "Base URL of Kimi; keys of the Chinese region belong to https://api.moonshot.cn/v1.",
        kind="url",
        aliases=("MOONSHOT_API_URL", "KIMI_BASE_URL"),
    )
    kimi_model: str = _var(
        "KIMI_DEFAULT_MODEL", "kimi-k2-0905-preview", _PROV, "Model asked of Kimi when the caller names none."
    )
    glm_api_key: Secret = _var(
        "GLM_API_KEY", Secret(), _PROV, "Key of GLM; empty leaves GLM out.", aliases=("ZAI_API_KEY",)
    )
    glm_api_url: str = _var(
        "GLM_API_URL",
        "https://api.z.ai/api/paas/v4",
        _PROV,
        "Base URL of GLM; keys of the Chinese region belong to https://open.bigmodel.cn/api/paas/v4.",
        kind="url",
        aliases=("GLM_BASE_URL",),
    )
    glm_model: str = _var(
        "GLM_DEFAULT_MODEL", "glm-4.6", _PROV, "Model asked of GLM when the caller names none."
    )
    default_provider: str = _var(
        "EXAI_DEFAULT_PROVIDER",
        "kimi",
        _PROV,
        "Provider tried first when the caller names no model.",
        choices=("kimi", "glm"),
    )

    provider_attempts: int = _var(
        "EXAI_PROVIDER_ATTEMPTS",
        3,
        _RES,
        "Requests made for one completion, the first included.",
        low=1,
        high=10,
    )
    breaker_failures: int = _var(
        "EXAI_BREAKER_FAILURES",
        5,
        _RES,
        "Failures in a row that open a provider's circuit breaker.",
        low=1,
        high=1000,
    )
    breaker_reset_s: float = _var(
        "EXAI_BREAKER_RESET_SECS",
        30.0,
        _RES,
        "How long an open breaker waits before it lets one call try.",
        unit="s",
        low=0.1,
        high=3600,
    )

    max_turns: int = _var("EXAI_MAX_TURNS", 40, _CONV, "Turns of one conversation.", low=1, high=10_000)
    conversation_ttl_s: float = _var(
        "EXAI_CONVERSATION_TTL_SECS",
        7 * 86400.0,
        _CONV,
        "How long a conversation is kept after its last turn.",
        unit="s",
        low=60,
        high=366 * 86400,
    )

    allowed_origins: tuple[str, ...] = _var(
        "EXAI_ALLOWED_ORIGINS", (), _SEC, "Origins of web pages that may connect, beside the daemon's own."
    )
    allowed_hosts: tuple[str, ...] = _var(
        "EXAI_ALLOWED_HOSTS",
        (),
        _SEC,
        "Names in the Host header that are served, beside localhost and EXAI_WS_HOST.",
    )
    header_timeout_s: float = _var(
        "EXAI_HEADER_TIMEOUT_SECS",
        10.0,
        _SEC,
        "How long a connection may take to send its request's header.",
        unit="s",
        low=0.1,
        high=300,
    )

    state_dir: Path = _var(
        "EXAI_STATE_DIR",
        Path("~/.local/state/exai"),
        _STATE,
        "Folder of the database, the PID file and the state file.",
        kind="path",
    )
    event_buffer: int = _var(
        "EXAI_EVENT_BUFFER",
        10_000,
        _STATE,
        "Events that the monitor keeps in memory.",
        low=100,
        high=10_000_000,
    )

    log_level: str = _var(
        "EXAI_LOG_LEVEL",
        "info",
        _LOG,
        "Least level that is logged.",
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = _var(
        "EXAI_LOG_FORMAT",
        "auto",
        _LOG,
        "auto means text on a terminal and JSON elsewhere.",
        choices=("auto", "text", "json"),
    )
    log_file: str = _var("EXAI_LOG_FILE", "", _LOG, "File to log to beside stderr, rotated; empty for none.")
    log_max_bytes: int = _var(
        "EXAI_LOG_MAX_BYTES",
        10 * 1024 * 1024,
        _LOG,
        "Size at which the log file is rotated.",
        unit="bytes",
        low=1024,
        high=10 * 1024**3,
    )
    log_backups: int = _var("EXAI_LOG_BACKUPS", 3, _LOG, "Rotated log files that are kept.", low=0, high=1000)

    def secrets(self) -> list[str]:
        """Every secret value that is set, for the redactor."""
        values = (getattr(self, v.field) for v in VARIABLES if v.kind == "secret")
        return [value.reveal() for value in values if value]

    @property
    def loopback(self) -> bool:
        """Whether the daemon listens on loopback alone."""
        return is_loopback(self.ws_host)

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.state_dir.expanduser() / "exai.sqlite3"


def _variables() -> tuple[Variable, ...]:
    return tuple(
        Variable(field=f.name, default=f.default, **f.metadata) for f in dataclasses.fields(Settings)
    )


VARIABLES: Final = _variables()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load(environ: Mapping[str, str], *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from a mapping of variables; ``overrides`` are fields that the command line gave.

    An empty variable counts as unset. Raises SettingsError with every problem, not just the first.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        name, raw = _lookup(variable, environ)
        if raw is None:
            continue
        try:
            values[variable.field] = _parse(variable, raw)
        except ValueError as error:
            problems.append(f"{name}: {error}; allowed: {variable.allowed()}")
    settings = Settings(**(values | dict(overrides or {})))
    if not problems:
        problems += [problem for rule in _RULES for problem in rule(settings)]
    if problems:
        raise SettingsError(problems, hint="mend the variables named above, nothing was started")
    return settings


def environment(env_file: Path | None = None) -> dict[str, str]:
    """The process's environment over a dotenv file's, the file being optional.

    Raises SettingsError when the file was named and cannot be read.
    """
    if env_file is None:
        return dict(os.environ)
    from dotenv import dotenv_values

    try:
        with env_file.open(encoding="utf-8-sig") as stream:
            from_file = dotenv_values(stream=stream)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{env_file}: {error}"], hint="name a readable dotenv file") from error
    return {k: v for k, v in from_file.items() if v is not None} | dict(os.environ)


def env_example() -> str:
    """The documented example of every variable, in sections, each at its default."""
    lines = [
        "# Settings of exai. Copy to .env and change what you need: each value shown is the default,",
        "# an empty one means unset. Generated by `exai settings`; do not edit by hand.",
    ]
    section = ""
    for variable in VARIABLES:
        if variable.section != section:
            section = variable.section
            lines += ["", f"# --- {section} ---"]
        lines += ["", *_comment(variable), f"{variable.name}={_show(variable)}"]
    return "\n".join(lines) + "\n"


def _comment(variable: Variable) -> Iterable[str]:
    import textwrap

    text = f"{variable.comment} Takes {variable.allowed()}."
    if variable.aliases:
        text += f" Also read as {', '.join(variable.aliases)}."
    return textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# ")


def _show(variable: Variable) -> str:
    value = variable.default
    if variable.kind == "secret":
        return ""
    if variable.kind == "bool":
        return "true" if value else "false"
    if variable.kind == "float":
        return _plain(value)
    return ",".join(value) if variable.kind == "list" else str(value)


def _lookup(variable: Variable, environ: Mapping[str, str]) -> tuple[str, str | None]:
    for name in (variable.name, *variable.aliases):
        raw = environ.get(name, "").strip()
        if raw:
            return name, raw
    return variable.name, None


def _parse(variable: Variable, raw: str) -> Any:
    if raw.startswith("#"):
        raise ValueError("holds a comment in place of a value (put the comment on a line of its own)")
    value = _PARSERS[variable.kind](raw)
    if variable.choices and value not in variable.choices:
        raise ValueError(f"{raw!r} is not known")
    if variable.kind in ("int", "float"):
        _check_range(variable, value)
    return value


def _check_range(variable: Variable, value: float) -> None:
    low, high = variable.minimum, variable.maximum
    if not ((low is None or value >= low) and (high is None or value <= high)):
        raise ValueError(f"{value:g} is out of range")


def _bool(raw: str) -> bool:
    if raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise ValueError(f"{raw!r} is neither true nor false")


def _number(kind: type[int | float]) -> Callable[[str], float]:
    def parse(raw: str) -> float:
        try:
            return kind(raw)
        except ValueError:
            raise ValueError(f"{raw!r} is not a number") from None

    return parse


def _url(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an http(s) URL")
    if parts.username or parts.password:
        raise ValueError("carries credentials, which belong in the key's own variable")
    return raw.rstrip("/")


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "int": _number(int),
    "float": _number(float),
    "bool": _bool,
    "secret": Secret,
    "path": lambda raw: Path(raw).expanduser(),
    "url": _url,
    "list": lambda raw: tuple(part.strip() for part in raw.split(",") if part.strip()),
}


def _token_rule(s: Settings) -> Iterable[str]:
    if not s.loopback and not s.ws_token:
        yield (
            f"EXAI_WS_HOST: {s.ws_host} is reachable from other machines and EXAI_WS_TOKEN is empty; "
            "allowed: a loopback address, or any address with a token "
            "(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
        )


def _timeout_rule(s: Settings) -> Iterable[str]:
    if s.call_timeout_s < 1.5 * s.tool_timeout_s:
        yield (
            f"EXAI_WS_CALL_TIMEOUT: {s.call_timeout_s:g} is less than 1.5 times "
            f"EXAI_TOOL_TIMEOUT_SECS ({s.tool_timeout_s:g}); allowed: at least {1.5 * s.tool_timeout_s:g}"
        )
    if s.inflight_ttl_s <= s.call_timeout_s:
        yield (
            f"EXAI_WS_INFLIGHT_TTL_SECS: {s.inflight_ttl_s:g} is not longer than EXAI_WS_CALL_TIMEOUT; "
            f"allowed: more than {s.call_timeout_s:g}"
        )


_RULES: Final = (_token_rule, _timeout_rule)
