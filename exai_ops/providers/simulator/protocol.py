"""uvicorn's HTTP protocol, with the transport in the application's reach and without logs of its own.

uvicorn's ``Server`` is left out: it polls every 0.1 s, owns signals, and ends the process when it cannot
bind. Its protocol is all that is needed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from exai_ops.providers.simulator.exchange import TRANSPORT


class SimulatorProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, app_state={}, _loop=asyncio.get_running_loop())
        self.access_log = False

    def on_message_begin(self) -> None:
        """Hand the transport to the application, which cuts and resets it."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


def protocol_factory(app: Any, keep_alive_s: int) -> tuple[Callable[[], SimulatorProtocol], ServerState]:
    """What makes the protocol of each connection, and the set that they enter themselves in."""
    config = Config(
        app,
        http=SimulatorProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive_s,
    )
    config.load()
    state = ServerState()
    return lambda: SimulatorProtocol(config, state), state
