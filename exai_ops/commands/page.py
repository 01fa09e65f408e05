"""Pages of the running daemon as data, or in plain words why there are none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from exai_ops.daemon import runstate
from exai_ops.errors import CouldNotLook, SettingsError
from exai_ops.settings import Settings

if TYPE_CHECKING:
    import httpx

GET_S: Final = 5.0
"""How long a daemon may take to answer; its pages come from memory but for the look at its store."""

T = TypeVar("T")


class Dependency(msgspec.Struct):
    """One row of ``/health``."""

    name: str
    status: str
    detail: str | None = None


class Health(msgspec.Struct, kw_only=True):
    """``/health``, as far as it is shown."""

    status: str
    pid: int
    version: str
    uptime_human: str
    simulated: bool
    sessions: int
    inflight: int
    queued: int
    global_capacity: int
    loop_lag_ms: float | None
    dependencies: list[Dependency]


class Holder(msgspec.Struct):
    """Who holds a permit."""

    tool: str
    request: str
    age_s: float
    provider: str | None
    leak: str | None


class Permits(msgspec.Struct):
    """The ledger, as far as it is shown."""

    holders: list[Holder]


class State(msgspec.Struct, kw_only=True):
    """``/status``, as far as it is shown."""

    inflight: int
    queued: int
    permits: Permits
    tool_problems: list[str] = []


def page(settings: Settings, path: str, shape: type[T], *, timeout_s: float = GET_S) -> tuple[Any, T]:
    """A page as it came, and as its shape. Raises CouldNotLook, SettingsError for a refused token."""
    import httpx

    state = runstate.read(settings, settings.ws_port)
    address = (
        state.url if state is not None and state.alive() else f"ws://{_host(settings)}:{settings.ws_port}/"
    )
    url = address.replace("ws://", "http://").rstrip("/") + path
    headers = {"Authorization": f"Bearer {settings.ws_token.reveal()}"} if settings.ws_token else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=timeout_s, trust_env=False)
    except httpx.TimeoutException as error:
        raise _silent(settings, url, timeout_s) from error
    except httpx.ConnectError as error:
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)).lower()
        raise CouldNotLook(
            f"no exai daemon at {url}: {reason}", hint=absent_hint(settings, settings.ws_port)
        ) from error
    except httpx.HTTPError as error:
        _foreign(settings, url, "what it sent is no HTTP answer", error)
    return _read(settings, url, answer, shape)


def _read(settings: Settings, url: str, answer: httpx.Response, shape: type[T]) -> tuple[Any, T]:
    if answer.status_code == 401 and "EXAI_WS_TOKEN" in answer.text:
        said = [f"EXAI_WS_TOKEN: the daemon at {url} does not accept it"]
        raise SettingsError(said, hint="set it to the token that the daemon was started with")
    if answer.status_code == 403 and "EXAI_ALLOWED" in answer.text:
        raise CouldNotLook(f"{url} answered 403: {answer.text.strip()[:200]}", hint="name it as it is served")
    if answer.status_code not in (200, 503):
        _foreign(settings, url, f"it answered HTTP {answer.status_code}")
    try:
        raw = answer.json()
    except ValueError as error:  # UnicodeDecodeError is one
        _foreign(settings, url, "its answer is not JSON", error)
    except RecursionError as error:
        _foreign(settings, url, "its answer is nested too deeply", error)
    try:
        return raw, msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        _foreign(settings, url, "its answer is another program's, or another version's", error)


def _foreign(settings: Settings, url: str, why: str, error: Exception | None = None) -> NoReturn:
    raise CouldNotLook(
        f"what answers at {url} is no exai daemon: {why}", hint=absent_hint(settings, settings.ws_port)
    ) from error


def _silent(settings: Settings, url: str, timeout_s: float) -> CouldNotLook:
    """A port that is open and says nothing is not the same as no daemon."""
    pid = runstate.listener(settings.ws_port)
    what = f"{url} did not answer within {timeout_s:g} s"
    if pid is None:
        return CouldNotLook(what, hint="its process is blocked, or cannot be reached from here")
    if runstate.suspended(pid):
        return CouldNotLook(
            f"{what}: pid {pid} is stopped by a signal", hint=f"kill -CONT {pid} lets it go on"
        )
    return CouldNotLook(
        f"{what}: pid {pid} is there, but busy or blocked", hint="its log says more; ask again"
    )


def absent_hint(settings: Settings, port: int) -> str:
    """What to do where no daemon is."""
    pid = runstate.listener(port)
    if pid is None:
        return f"start one with `exai serve`; its state would be in {settings.state_dir}"
    return f"port {port} is {runstate.port_holder(settings, port)}"


def _host(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ws_host, settings.ws_host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
