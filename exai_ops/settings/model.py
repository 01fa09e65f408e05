"""The declaration of every variable: a field of ``Settings`` is the one place that says its name, type, unit,
default, range, aliases and meaning.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

from exai_ops.settings.declared import Declared
from exai_ops.settings.variable import Secret, Variable
from exai_ops.settings.variable import declare as _var

_WS = "WebSocket daemon"
_CAP = "Capacity"
_TIME = "Timeouts and lifetimes"
_PROV = "Providers: Kimi (Moonshot) and GLM (Z.ai)"
_RES = "Resilience"
_CONV = "Conversations"
_SEC = "Security"
_STATE = "State and storage"
_MON = "Monitor"
_LOG = "Logs"


class Settings(Declared):
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
        "Between pings. 45 was too long: a proxy closed the idle connections and clients were dropped. 3 was "
        "worse: pings got in the way of the work. 30 is stable. Whatever you choose, stay below the shortest "
        "idle timeout on the way, often 60 s; RFC 6455 names no number.",
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
    queue_max_bytes: int = _var(
        "EXAI_WS_QUEUE_MAX_BYTES",
        256 * 1024 * 1024,
        _CAP,
        "Bytes of arguments that waiting calls may hold; beyond it the session that holds the most is told"
        " OVER_CAPACITY.",
        unit="bytes",
        low=0,
        high=2**40,
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
        "How long a connection may take to send its request's header; three times as long for its body.",
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

    monitor_max_tails: int = _var(
        "EXAI_MONITOR_MAX_TAILS",
        64,
        _MON,
        "Clients of /events at once: exai monitor tail and top, pages of the dashboard; one more is closed"
        " with 1008.",
        low=0,
        high=10_000,
    )
    event_sampling: str = _var(
        "EXAI_EVENT_SAMPLING",
        "",
        _MON,
        "Which events are kept, as rules TYPE/DIRECTION/FUNCTION=POLICY apart by commas; a policy is "
        "always, 1/10, 1/10>500ms>64kb (always what is slower or larger) or significant. The first that "
        "fits decides; without one, Redis get and set and simple reads of Supabase are kept 1 in 10, all "
        "else always. Totals are of all events, and errors are always kept.",
    )
    event_store_max_bytes: int = _var(
        "EXAI_EVENT_STORE_MAX_BYTES",
        256 * 1024 * 1024,
        _MON,
        "Events kept on disk, so that --since reaches past the buffer and past a restart; 0 keeps none.",
        unit="bytes",
        low=0,
        high=2**42,
    )
    event_store_max_age_s: float = _var(
        "EXAI_EVENT_STORE_MAX_AGE_SECS",
        7 * 86400.0,
        _MON,
        "How long an event is kept on disk, if the bytes allow.",
        unit="s",
        low=60,
        high=366 * 86400,
    )
    alerts: str = _var(
        "EXAI_ALERTS",
        "default",
        _MON,
        "Alert rules SIGNAL[:TYPE] > BOUND [for TIME] [clear BOUND], apart by semicolons, as error_rate:kimi "
        "> 20% for 60s clear 10%; signals are error_rate, p95, leaks, breaker_open, at_limit, loop_lag; "
        "default is a set of rules, none is none.",
    )
    alert_webhook: Secret = _var(
        "EXAI_ALERT_WEBHOOK",
        Secret(),
        _MON,
        "URL that alerts are posted to as JSON; empty for none.",
    )
    alert_apprise: Secret = _var(
        "EXAI_ALERT_APPRISE",
        Secret(),
        _MON,
        "URLs of apprise that alerts go to, apart by commas; it needs the extra alerts.",
    )
    runbooks: str = _var(
        "EXAI_RUNBOOKS",
        "docs/runbooks.md",
        _MON,
        "Page that alerts point to, with the signal's section; yours, if you have your own.",
    )
    otel_endpoint: str = _var(
        "EXAI_OTEL_ENDPOINT",
        "",
        _MON,
        "Where spans of calls are sent by OTLP over HTTP, without /v1/traces; empty for nowhere. It needs "
        "the extra otel.",
        kind="url",
        aliases=("OTEL_EXPORTER_OTLP_ENDPOINT",),
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

    @property
    def event_folder(self) -> Path:
        """The events on disk."""
        return self.state_dir.expanduser() / "events"


VARIABLES: Final[tuple[Variable, ...]] = Settings.variables


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
