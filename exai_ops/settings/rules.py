"""What must hold between settings: each rule yields (code, variable, problem, what is allowed)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from exai_ops.settings.model import Settings

_HOW_TO_MAKE_ONE: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

Rule: TypeAlias = Callable[[Settings], Iterable[tuple[str, str, str, str]]]


def token_beyond_loopback(s: Settings) -> Iterable[tuple[str, str, str, str]]:
    """An address that others can reach needs a token."""
    if not s.loopback and not s.ws_token:
        yield (
            "SET004",
            "EXAI_WS_HOST",
            f"{s.ws_host} is reachable from other machines and EXAI_WS_TOKEN is empty",
            f"allowed: a loopback address, or any address with a token ({_HOW_TO_MAKE_ONE})",
        )


def call_outlasts_tool(s: Settings) -> Iterable[tuple[str, str, str, str]]:
    """A call must leave its tool time to fail by itself: half as much again."""
    least_s = round(1.5 * s.tool_timeout_s, 6)  # 1.5 * 0.2 is more than 0.3
    if s.call_timeout_s < least_s:
        yield (
            "SET005",
            "EXAI_WS_CALL_TIMEOUT",
            f"{s.call_timeout_s:g} is less than 1.5 times EXAI_TOOL_TIMEOUT_SECS ({s.tool_timeout_s:g})",
            f"allowed: at least {least_s:g}",
        )


def permit_outlasts_call(s: Settings) -> Iterable[tuple[str, str, str, str]]:
    """A permit's deadline before its call's would name busy calls as leaks."""
    if s.inflight_ttl_s <= s.call_timeout_s:
        yield (
            "SET005",
            "EXAI_WS_INFLIGHT_TTL_SECS",
            f"{s.inflight_ttl_s:g} is not longer than EXAI_WS_CALL_TIMEOUT ({s.call_timeout_s:g})",
            f"allowed: more than {s.call_timeout_s:g}",
        )


RULES: Final[tuple[Rule, ...]] = (token_beyond_loopback, call_outlasts_tool, permit_outlasts_call)
