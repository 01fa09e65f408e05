"""A daemon that does as the tests tell it: a real WebSocket server with scripted tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from websockets.asyncio.server import ServerConnection, serve

Frame: TypeAlias = dict[str, Any]
Script: TypeAlias = Callable[["Fake", ServerConnection, Frame], Coroutine[Any, Any, None]]

SCHEMA: Frame = {
    "type": "object",
    "required": ["prompt"],
    "additionalProperties": False,
    "properties": {
        "prompt": {"type": "string", "description": "What to say."},
        "temperature": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 2}, {"type": "null"}]},
        "max_tokens": {"type": ["integer", "null"], "minimum": 1},
        "web_search": {"type": "boolean", "default": False},
        "kind": {"enum": ["plan", "change"], "default": "change"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "extra": {"type": "object"},
        "format": {"type": "string"},
        "continuation_id": {"type": "string"},
    },
}


class Fake:
    """The server's side; ``received`` holds every message of every connection in order."""

    def __init__(self, scripts: dict[str, Script], *, token: str = "", resume: str | None = "r" * 32) -> None:
        self.scripts = scripts
        self.token = token
        self.resume = resume
        self.received: list[Frame] = []
        self.got = asyncio.Event()
        self.url = ""

    def of(self, op: str) -> list[Frame]:
        return [message for message in self.received if message.get("op") == op]

    async def handle(self, socket: ServerConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            async for text in socket:
                message = json.loads(text)
                self.received.append(message)
                self.got.set()
                await self._answer(socket, message, tasks)

    async def _answer(self, socket: ServerConnection, message: Frame, tasks: asyncio.TaskGroup) -> None:
        match message["op"]:
            case "hello" if message.get("token", "") != self.token:
                await reply(socket, op="hello_ack", ok=False, error="unauthorized")
                await socket.close(4003)
            case "hello":
                more = {} if self.resume is None else {"resume": self.resume}
                await reply(socket, op="hello_ack", ok=True, session_id="s-1", **more)
            case "list_tools":
                tools = [
                    {"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA}
                    for name in self.scripts
                ]
                await reply(socket, op="list_tools_res", tools=tools)
            case "call_tool":
                tasks.create_task(self.scripts[message["name"]](self, socket, message))
            case "cancel":
                await result(
                    socket, message, error={"code": "CANCELLED", "message": "cancelled by the client"}
                )
            case "result":
                await self.scripts["fetched"](self, socket, message)

    async def until(self, op: str) -> None:
        while not self.of(op):
            self.got.clear()
            await self.got.wait()


@asynccontextmanager
async def running(
    scripts: dict[str, Script], *, token: str = "", resume: str | None = "r" * 32
) -> AsyncIterator[Fake]:
    fake = Fake(scripts, token=token, resume=resume)
    async with serve(fake.handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        fake.url = f"ws://127.0.0.1:{port}/"
        yield fake


@asynccontextmanager
async def malformed(*answers: str | bytes) -> AsyncIterator[str]:
    """A WebSocket server that answers each message in turn with a text, or with bytes that are no frame.

    ``REQUEST`` in a text is the request_id of the message. The address.
    """
    left = iter(answers)

    async def handle(socket: ServerConnection) -> None:
        async for message in socket:
            answer = next(left, None)
            if isinstance(answer, str):
                await socket.send(answer.replace("REQUEST", str(json.loads(message).get("request_id"))))
            elif answer is not None:
                socket.transport.write(answer)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


async def reply(socket: ServerConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


async def result(socket: ServerConnection, message: Frame, **frame: Any) -> None:
    await reply(socket, op="call_tool_res", request_id=message["request_id"], **frame)


async def accept(socket: ServerConnection, message: Frame) -> None:
    head = {"request_id": message["request_id"], "name": message["name"]}
    await reply(socket, op="progress", t=1.5, note="accepted, awaiting provider/session capacity", **head)
    await reply(socket, op="call_tool_ack", accepted=True, timeout=180, **head)


async def echo(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    """Streams the prompt in words, then the result."""
    await accept(socket, message)
    text = str(message["arguments"].get("prompt"))
    for seq, word in enumerate(text.split(" ")):
        delta = word if seq == 0 else f" {word}"
        await reply(socket, op="stream", request_id=message["request_id"], seq=seq, delta=delta)
    metadata = {"continuation_id": "c-1", "turns_remaining": 39}
    await result(socket, message, text=text, metadata=metadata, structured={"n": 1})


async def whole(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    """Answers without a stream."""
    await accept(socket, message)
    await result(socket, message, text="the whole answer")


def failing(**error: Any) -> Script:
    async def fail(fake: Fake, socket: ServerConnection, message: Frame) -> None:
        await result(socket, message, error=error)

    return fail


async def busy_once(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    if len(fake.of("call_tool")) == 1:
        await result(socket, message, error={"code": "OVER_CAPACITY", "message": "full", "retry_after": 0.05})
    else:
        await echo(fake, socket, message)


async def hang(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    """Accepts, says a word, and never ends."""
    await accept(socket, message)
    await reply(socket, op="stream", request_id=message["request_id"], seq=0, delta="one")


async def drop(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    await accept(socket, message)
    await reply(socket, op="stream", request_id=message["request_id"], seq=0, delta="one")
    await socket.close(1012, "restarting")


async def anonymous_error(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    await reply(socket, op="error", message="rate limited")


async def running_then_done(fake: Fake, socket: ServerConnection, message: Frame) -> None:
    await result(socket, message, error={"code": "RUNNING", "message": "at work"})
    await reply(socket, op="stream", request_id=message["request_id"], seq=0, delta="at ")
    await result(socket, message, text="at last")
