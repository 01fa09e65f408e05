"""The simulator on a socket, inside the running event loop; it leaves signals and logs to their owner."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from exai_ops.providers.simulator.app import Simulator
from exai_ops.providers.simulator.dialects import GLM, KIMI
from exai_ops.providers.simulator.options import SimulatorOptions
from exai_ops.providers.simulator.state import SimulatorState

if TYPE_CHECKING:
    from uvicorn.server import ServerState

GRACE_S: Final = 0.2
ABORT_S: Final = 0.3
BACKLOG: Final = 2048
# Longer than any client of ours keeps an idle connection, so that it is never the server that closes first.
KEEP_ALIVE_S: Final = 120


@dataclass(slots=True)
class SimulatorServer:
    """A running simulator.

    Attributes:
        state: What it was asked and is set to do wrong; may be read and set from the same event loop.
    """

    host: str
    port: int
    state: SimulatorState
    _listener: asyncio.Server
    _connections: ServerState = field(repr=False)

    @property
    def base_url(self) -> str:
        """Without a path; ``/_sim`` is under it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def kimi_url(self) -> str:
        """For KIMI_API_URL."""
        return self.base_url + KIMI.base

    @property
    def glm_url(self) -> str:
        """For GLM_API_URL."""
        return self.base_url + GLM.base

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Stop listening, give running answers ``grace_s``, then abort; at most ``grace_s`` + 0.6 s."""
        self._listener.close()
        self.state.close()
        for connection in list(self._connections.connections):
            connection.shutdown()
        await self._finish(grace_s)
        for connection in list(self._connections.connections):
            connection.transport.abort()
        await self._finish(ABORT_S)
        for task in list(self._connections.tasks):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABORT_S):
                await self._listener.wait_closed()

    async def _finish(self, timeout_s: float) -> None:
        if self._connections.tasks:
            await asyncio.wait(list(self._connections.tasks), timeout=timeout_s)
        # The turn in which the transports tell that they are closed, and close their sockets.
        await asyncio.sleep(0)


async def start_simulator(
    options: SimulatorOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> SimulatorServer:
    """Listen and serve until ``close``; port 0 takes a free one. Raises OSError when it is taken."""
    from exai_ops.providers.simulator.protocol import protocol_factory

    app = Simulator(options)
    factory, connections = protocol_factory(app, KEEP_ALIVE_S)
    listening = _bind(host, port)
    try:
        listener = await asyncio.get_running_loop().create_server(factory, sock=listening, backlog=BACKLOG)
    except BaseException:
        listening.close()
        raise
    return SimulatorServer(host, listening.getsockname()[1], app.state, listener, connections)


@contextlib.asynccontextmanager
async def running_simulator(
    options: SimulatorOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[SimulatorServer]:
    """A simulator for as long as the block runs."""
    server = await start_simulator(options, host=host, port=port)
    try:
        yield server
    finally:
        await server.close()


def _bind(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
