"""A context and a store in memory, for the tools' own logic; the daemon's tests use the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from exai_ops.errors import ModelNotFound
from exai_ops.providers.types import ChatRequest, Completion, ModelInfo, Usage
from exai_ops.settings import Settings
from exai_ops.storage.contract import StoredMessage

SMALL = ModelInfo(name="small", provider="kimi", context_tokens=400)
LARGE = ModelInfo(name="large", provider="glm", context_tokens=100_000, thinking=True)


class MemoryStorage:
    """Conversations alone. While ``held`` is a list, writes wait in it and no read sees them."""

    def __init__(self) -> None:
        self.conversations: dict[str, list[StoredMessage]] = {}
        self.held: list[Callable[[], None]] | None = None

    def append_messages(self, conversation_id: str, messages: Sequence[StoredMessage]) -> Awaitable[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def write() -> None:
            self.conversations.setdefault(conversation_id, []).extend(messages)
            written.set_result(None)

        write() if self.held is None else self.held.append(write)
        return written

    async def messages(self, conversation_id: str) -> list[StoredMessage] | None:
        found = self.conversations.get(conversation_id)
        return None if found is None else list(found)

    def release(self) -> None:
        """Do the writes that wait."""
        held, self.held = self.held or [], None
        for write in held:
            write()


class FakeContext:
    """Answers completions from ``answers``: texts, completions, or errors to raise; then echoes."""

    session_id = "s"
    request_id = "r"

    def __init__(self, *answers: str | Completion | Exception, storage: Any = None, **settings: Any) -> None:
        self.answers = list(answers)
        self.settings = Settings(**settings)
        self.storage: Any = storage or MemoryStorage()
        self.requests: list[ChatRequest] = []
        self.streamed: list[bool] = []
        self.emitted: list[str] = []
        self.writes: list[Awaitable[None]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.known = {model.name: model for model in (LARGE, SMALL)}

    async def complete(self, request: ChatRequest, *, stream: bool = True) -> Completion:
        self.requests.append(request)
        self.streamed.append(stream)
        self.asked.set()
        await self.gate.wait()
        echo = completion(f"echo: {request.messages[-1].content}", usage=Usage())
        answer = self.answers.pop(0) if self.answers else echo
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else completion(answer)

    async def emit(self, text: str) -> None:
        self.emitted.append(text)

    def defer(self, write: Awaitable[None]) -> None:
        self.writes.append(write)

    def models(self) -> Sequence[ModelInfo]:
        return list(self.known.values())

    def resolve(self, model: str | None) -> ModelInfo:
        if model is None:
            return LARGE
        if model not in self.known:
            raise ModelNotFound(f"no model is named {model}", provider="kimi")
        return self.known[model]

    def status(self) -> dict[str, Any]:
        return {"uptime_s": 1.5, "sessions": 2, "permits": {"global": {"held": 1, "limit": 24}}, "queue": []}

    def said(self, number: int = -1) -> list[tuple[str, str]]:
        """Role and content of a request's messages."""
        return [(message.role, message.content) for message in self.requests[number].messages]


def completion(text: str, **fields: Any) -> Completion:
    """A completion of the large model."""
    usage = Usage(prompt_tokens=11, completion_tokens=7, total_tokens=18)
    return replace(Completion(text=text, provider="glm", model="large", usage=usage), **fields)
