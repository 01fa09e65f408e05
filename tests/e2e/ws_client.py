"""A client of the protocol over the ``websockets`` library: frames in order, waited for by what they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame: TypeAlias = dict[str, Any]
WAIT_S = 15.0


class Client:
    """One connection.

    Attributes:
        ack: The answer to its hello.
        frames: All frames received, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.ack: Frame = {}
        self.frames: list[Frame] = []
        self._unread: list[Frame] = []

    @property
    def session_id(self) -> str:
        """The daemon's name for the session."""
        return str(self.ack["session_id"])

    async def send(self, op: str, **fields: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"op": op, **fields}))

    async def frame(self, fits: Callable[[Frame], bool], *, timeout_s: float = WAIT_S) -> Frame:
        """The next frame that fits; those passed over can be asked for later."""
        for number, passed in enumerate(self._unread):
            if fits(passed):
                return self._unread.pop(number)
        async with asyncio.timeout(timeout_s):
            while True:
                frame: Frame = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if fits(frame):
                    return frame
                self._unread.append(frame)

    async def op(self, op: str, request_id: str | None = None, *, timeout_s: float = WAIT_S) -> Frame:
        """The next frame of this op, of this request if one is named."""
        return await self.frame(
            lambda f: f["op"] == op and request_id in (None, f.get("request_id")), timeout_s=timeout_s
        )

    async def result(self, request_id: str, *, timeout_s: float = WAIT_S) -> Frame:
        """The next ``call_tool_res`` of a request."""
        return await self.op("call_tool_res", request_id, timeout_s=timeout_s)

    async def start(self, request_id: str, name: str, arguments: Frame | None = None, **more: Any) -> None:
        """Send a ``call_tool`` and return at once."""
        await self.send("call_tool", request_id=request_id, name=name, arguments=arguments or {}, **more)

    async def accepted(
        self, request_id: str, name: str, arguments: Frame | None = None, **more: Any
    ) -> Frame:
        """Send a ``call_tool`` and wait for its ack."""
        await self.start(request_id, name, arguments, **more)
        return await self.op("call_tool_ack", request_id)

    async def call(self, request_id: str, name: str, arguments: Frame | None = None, **more: Any) -> Frame:
        """Send a ``call_tool`` and wait for its result."""
        await self.start(request_id, name, arguments, **more)
        return await self.result(request_id)

    async def chat(self, request_id: str, prompt: str, **arguments: Any) -> Frame:
        """The result of a ``chat``."""
        return await self.call(request_id, "chat", {"prompt": prompt, **arguments})

    async def health(self, *, timeout_s: float = WAIT_S) -> Frame:
        """The daemon's short health."""
        await self.send("health")
        answer = await self.op("health_res", timeout_s=timeout_s)
        return dict(answer["health"])

    async def closed(self, *, timeout_s: float = WAIT_S) -> tuple[int | None, str]:
        """Wait until the daemon has closed; its close code and reason."""
        async with asyncio.timeout(timeout_s):
            try:
                while True:
                    self.frames.append(json.loads(await self.socket.recv()))
            except ConnectionClosed:
                return self.socket.close_code, self.socket.close_reason or ""

    async def drop(self) -> None:
        """Leave without a word."""
        self.socket.transport.abort()
        await self.socket.wait_closed()


@asynccontextmanager
async def raw(address: str, path: str = "/", **options: Any) -> AsyncIterator[Client]:
    """A connection on which nothing was said yet."""
    url = f"ws://{address}{path}"
    async with connect(
        url, proxy=None, compression=None, max_size=None, close_timeout=2, **options
    ) as socket:
        yield Client(socket)


@asynccontextmanager
async def joined(
    address: str, path: str = "/", *, options: Any = None, **hello: Any
) -> AsyncIterator[Client]:
    """A connection that said hello and was let in."""
    async with raw(address, path, **(options or {})) as client:
        await client.send("hello", **({"session_id": "old-client", "token": ""} | hello))
        client.ack = await client.op("hello_ack")
        assert client.ack["ok"], client.ack
        yield client


def resuming(ack: Frame) -> Frame:
    """The fields of the hello that takes a session up again."""
    return {"session_id": ack["session_id"], "resume": ack["resume"]}


def error_code(frame: Frame) -> Any:
    """The code of a result, None for a good one."""
    return frame["error"]["code"] if "error" in frame else None
