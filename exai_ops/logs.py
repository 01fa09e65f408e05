"""Logs: one line per event on stderr (and in a bounded file), secrets removed as the last thing done to it.

``configure`` sends structlog's and the standard library's records (uvicorn, aiohttp, asyncio) through one
pipeline. Every line carries a UTC timestamp and what ``bound`` holds in the current task. ``Redactor`` is the
last processor, so it sees the line as it will be written: message, fields, tracebacks alike.

structlog is imported inside functions: only the daemon and the servers pay for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterable, MutableMapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from exai_ops.errors import SettingsError

if TYPE_CHECKING:
    from exai_ops.settings import Settings

MASK: Final = "***"
_SHORTEST: Final = 4  # a shorter secret would mask ordinary text, and protects nothing

_redactors: Final[list[Redactor]] = []
"""Of the pipeline that ``configure`` made last."""

_PATTERNS: Final = (
    # An Authorization header in any quoting: the scheme stays, what follows goes.
    (re.compile(r"(?i)\b(bearer|basic)(\s+|%20|\+)[A-Za-z0-9._~+/=-]{4,}"), rf"\1\2{MASK}"),
    # name=value, name: value, "name": "value" where the name says that it is a credential.
    (
        re.compile(
            r"(?i)((?:api[_-]?key|apikey|access[_-]?key|secret|password|passwd|token|resume|authorization|(?<![a-z])key)"
            r"\\?[\"']?\s*[=:]\s*\\?[\"']?)(?!\*\*\*|bearer|basic)[^\s\"'&,;)}\]\\]{4,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(sk|pk|rk|sb|ghp|gho|github_pat|xox[abp])[-_][A-Za-z0-9_-]{8,}"), rf"\1-{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), MASK),  # a JWT
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), MASK),  # user:password in a URL
)


class Redactor:
    """Replaces known secrets, and what looks like one, in a text.

    Secrets are found as they are and as JSON and URL encoding write them. Also a structlog processor.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Replace these, too, from now on."""
        self._forms |= {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _forms(secret: str) -> set[str]:
    """How a secret looks in a line: as it is, in a ``repr``, in a URL, and each of these in JSON."""
    import json
    from urllib.parse import quote, quote_plus

    slashed = secret.replace("\\", "\\\\")
    plain = {secret, repr(secret)[1:-1], slashed, slashed.replace("'", "\\'")}
    plain |= {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
    return plain | {json.dumps(form, ensure_ascii=ascii_)[1:-1] for form in plain for ascii_ in (True, False)}


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send all logs to ``stream`` (stderr) and to ``settings.log_file``; calling it again replaces that.

    Raises SettingsError when the file cannot be opened.
    """
    structlog = _structlog()
    out = sys.stderr if stream is None else stream
    redact = Redactor(settings.secrets())
    _redactors[:] = [redact]
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and out.isatty())
    handlers: list[logging.Handler] = [_handler(LineHandler(out), redact, as_text=as_text)]
    if settings.log_file:
        handlers.append(_handler(_file(settings), redact, as_text=settings.log_format == "text"))
    _install(handlers, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(structlog),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,  # safe to configure again: levels and handlers live in logging
    )


def _file(settings: Settings) -> RotatingFile:
    path = Path(settings.log_file).expanduser()
    try:
        return RotatingFile(path, max_bytes=settings.log_max_bytes, backups=settings.log_backups)
    except OSError as error:
        problem = f"EXAI_LOG_FILE: {path}: {error.strerror}; allowed: a file that can be written"
        raise SettingsError([problem]) from error


def hide(secret: str) -> None:
    """Keep a secret that came later than the settings out of the logs."""
    for redact in _redactors:
        redact.add([secret])


def get_logger(name: str) -> Any:
    """A structlog logger: ``log.info("event", field=value)``."""
    return _structlog().get_logger(name)


def bound(**ids: str) -> AbstractContextManager[Any]:
    """Add correlation ids (session, request) to every line of the current task while it is entered."""
    _structlog()
    from structlog.contextvars import bound_contextvars

    return bound_contextvars(**ids)


def close() -> None:
    """Close what ``configure`` opened."""
    _install([], "WARNING")


def _structlog() -> Any:
    """structlog, without rich: it imports rich for pretty tracebacks, 100 ms at every start, when it can."""
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # makes its optional import fail
        try:
            import structlog
        finally:
            del sys.modules["rich"]
    import structlog
    import structlog.stdlib

    return structlog


def _shared(structlog: Any) -> list[Any]:
    """What both structlog's and the standard library's events go through first."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _handler(handler: logging.Handler, redact: Redactor, *, as_text: bool) -> logging.Handler:
    structlog = _structlog()
    render = _text_line if as_text else _json_line
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(structlog),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                render,
                lambda _logger, _method, line: redact(line),
            ],
        )
    )
    return handler


def _json_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    import json

    head = {name: event.pop(name, None) for name in ("timestamp", "level", "event")}
    return json.dumps(head | dict(event), default=repr, ensure_ascii=False)


def _text_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """``time level event key=value ...``, a traceback on the lines below."""
    trace = [str(event.pop(name)) for name in ("stack", "exception") if event.get(name)]
    head = f"{event.pop('timestamp', '')} {event.pop('level', ''):<8} {event.pop('event', '')}"
    event.pop("logger", None)
    fields = "".join(f" {name}={_value(value)}" for name, value in event.items())
    return "\n".join([_visible(head) + fields, *trace])


def _value(value: Any) -> str:
    if not isinstance(value, str):
        return _visible(repr(value))
    return repr(value) if not value or " " in value or not value.isprintable() else value


def _visible(text: str) -> str:
    """A client's text must not forge a line or drive the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _install(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, LineHandler):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines; a record that cannot be written is named without its content."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        kind = getattr(sys.exc_info()[0], "__name__", "error")
        if sys.stderr is not None and kind not in ("BrokenPipeError", "ValueError"):
            with contextlib.suppress(
                OSError, ValueError
            ):  # a full disk beneath it, or closed: no reason to end
                sys.stderr.write(f"exai: a log record of {record.name} was not written: {kind}\n")


class RotatingFile(LineHandler):
    """A log file of at most ``max_bytes``, and ``backups`` older ones beside it: ``name.1`` is the newest.

    The size is counted here: the standard library's handler asks the file system for each line.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        super().__init__(self._open())
        self.size = path.stat().st_size

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
            length = len(line.encode("utf-8", "replace"))
            if self.size and self.size + length > self.max_bytes:
                self._rotate()
            self.stream.write(line)
            self.stream.flush()
            self.size += length
        except Exception:  # noqa: BLE001 - a log line must not end what it reports on
            self.handleError(record)

    def close(self) -> None:
        super().close()
        self.stream.close()

    def _open(self) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return open(self.path, "a", encoding="utf-8", errors="backslashreplace", opener=_private)

    def _rotate(self) -> None:
        self.stream.close()
        for number in range(self.backups, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        if not self.backups:
            self.path.unlink(missing_ok=True)
        self.stream = self._open()
        self.size = 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
