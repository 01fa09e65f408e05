"""One turn of a conversation: what is sent, what is kept, what the reply says of it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from exai_ops.errors import InvalidArguments
from exai_ops.providers.types import Completion, Message, Role, Usage
from exai_ops.storage.contract import StoredMessage
from exai_ops.tools.api import ToolContext
from exai_ops.tools.context_window import Fitted, Sized, answer_reserve, estimate_tokens, fit
from exai_ops.tools.conversation import Conversation


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One question within a conversation, sized and fitted.

    Attributes:
        new_system: A system message to be stored with this turn, or None.
    """

    conversation: Conversation
    prompt: Sized
    fitted: Fitted
    new_system: Sized | None

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is sent."""
        return tuple(Message(_role(m.role), m.content) for m in self.fitted.messages)


def prepare(
    ctx: ToolContext,
    conversation: Conversation,
    *,
    prompt: str,
    system: str | None,
    model: str | None,
    max_tokens: int | None,
    parameter: str = "prompt",
) -> Turn:
    """The next turn within the window of the model that will be asked first.

    Raises ModelNotFound, and InvalidArguments, naming ``parameter``, when the prompt does not fit.
    """
    info = ctx.resolve(model)
    asked = _sized(parameter, "user", prompt)
    before = conversation.system
    current = Sized("system", before.content, _tokens(before)) if before else None
    new_system = None
    if system and (before is None or system != before.content):
        current = new_system = _sized("system", "system", system)
    fitted = fit(
        current,
        [Sized(m.role, m.content, _tokens(m)) for m in conversation.history],
        asked,
        window=info.context_tokens,
        reserve=answer_reserve(info.context_tokens, max_tokens),
        model=info.name,
        parameter=parameter,
    )
    return Turn(conversation=conversation, prompt=asked, fitted=fitted, new_system=new_system)


def keep(ctx: ToolContext, turn: Turn, completion: Completion, *, answer: str | None = None) -> None:
    """Store the turn, durable before the reply goes out; ``answer`` stands in for the completion's text."""
    conversation = turn.conversation
    now = time.time()
    said = {"tool": conversation.tool}
    by = {**said, "provider": completion.provider, "model": completion.model}
    text = completion.text if answer is None else answer
    prompt_tokens = _at_most(turn.prompt.tokens, completion.usage.prompt_tokens)
    stored = [
        _stored("user", turn.prompt.content, now, prompt_tokens, said),
        _stored("assistant", text, now, _answer_tokens(text, completion), by),
    ]
    if turn.new_system:
        stored.insert(0, _stored("system", turn.new_system.content, now, turn.new_system.tokens, said))
    conversation.append(ctx, stored)


def turn_metadata(turn: Turn, completion: Completion) -> dict[str, Any]:
    """What a reply says beside its text."""
    usage = completion.usage
    metadata: dict[str, Any] = {
        "continuation_id": turn.conversation.id,
        "turns_remaining": turn.conversation.turns_left,
        "provider": completion.provider,
        "model": completion.model,
        "simulated": is_simulated(completion),
        "finish_reason": completion.finish_reason,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        },
        "dropped_turns": turn.fitted.dropped_turns,
        "first_token_ms": round(completion.first_token_s * 1000, 1),
        "duration_ms": round(completion.duration_s * 1000, 1),
    }
    if completion.failed_over_from:
        metadata["failed_over_from"] = completion.failed_over_from
    if said := notice(turn):
        metadata["notice"] = said
    return metadata


def notice(turn: Turn) -> str:
    """What the person should know about the conversation itself; empty when there is nothing."""
    parts = []
    if dropped := turn.fitted.dropped_turns:
        turns = "turn" if dropped == 1 else "turns"
        parts.append(f"[{dropped} oldest {turns} left out to fit the model's window]")
    if turn.conversation.turns_left == 0:
        parts.append("[last turn of this conversation: leave out continuation_id to begin a new one]")
    return "\n".join(parts)


def is_simulated(completion: Completion) -> bool:
    """Whether no real model answered."""
    return completion.simulated or completion.provider == "simulator"


def add_usage(first: Usage, second: Usage) -> Usage:
    """Both together, for a turn that took two completions."""
    return Usage(
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        total_tokens=first.total_tokens + second.total_tokens,
    )


def _sized(parameter: str, role: str, text: str) -> Sized:
    try:
        return Sized(role, text, estimate_tokens(text))
    except UnicodeEncodeError as error:
        raise InvalidArguments(
            f"{parameter}: holds half of a surrogate pair at character {error.start}; allowed: valid Unicode"
        ) from None


def _tokens(message: StoredMessage) -> int:
    return message.tokens or estimate_tokens(message.content)


def _at_most(estimate: int, counted: int) -> int:
    """One message has no more tokens than the provider counted for the whole prompt."""
    return min(estimate, counted) if counted else estimate


def _answer_tokens(text: str, completion: Completion) -> int:
    """The provider's count where it is that of the stored text alone: thinking is counted but not stored."""
    counted = completion.usage.completion_tokens
    if not counted or text is not completion.text:
        return estimate_tokens(text)
    return min(counted, estimate_tokens(text)) if completion.reasoning else counted


def _stored(role: str, text: str, now: float, tokens: int, metadata: dict[str, Any]) -> StoredMessage:
    return StoredMessage(role=role, content=text, created_at=now, tokens=tokens, metadata=metadata)


def _role(role: str) -> Role:
    return "assistant" if role == "assistant" else "system" if role == "system" else "user"
