"""What the simulator says: a pure function of the request, the same request giving the same words.

An answer reads ``[simulated] <model>, turn <n>. You said first: "...". You now say: "...".``: n counts
the user's turns, and the first one is quoted from the second turn on, so a lost conversation shows. A
system message and a web search are mentioned in between. With
``response_format`` ``json_object`` the answer is a JSON object with the same facts; when the system
message names the keys verdict, findings and next_steps, an object with those.

Tokens are an estimate: one for every 4 characters begun.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec

TOKEN_CHARS: Final = 4
QUOTE_CHARS: Final = 400
MARK: Final = "[simulated]"
FILLER: Final = " This sentence fills the answer up to the size that was asked for."
_WORDS: Final = re.compile(r"\s*\S+\s*")
_REVIEW_KEYS: Final = ("verdict", "findings", "next_steps")


class Part(msgspec.Struct):
    """One part of a message with several."""

    type: str = "text"
    text: str = ""


class Turn(msgspec.Struct):
    """One message."""

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its words; a part that is not text counts as its kind in brackets."""
        if isinstance(self.content, str):
            return self.content
        return " ".join(part.text if part.type == "text" else f"[{part.type}]" for part in self.content or ())


class Kind(msgspec.Struct):
    """An object of which only the type matters: thinking, response_format."""

    type: str


class Named(msgspec.Struct):
    """The function of a tool."""

    name: str = ""


class Tool(msgspec.Struct):
    """A tool that the model may use."""

    type: str
    function: Named | None = None


class StreamOptions(msgspec.Struct):
    """What else a stream shall carry."""

    include_usage: bool = False


class Ask(msgspec.Struct):
    """A request for a completion, as far as the simulator heeds it."""

    model: str
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    thinking: Kind | None = None
    response_format: Kind | None = None
    tools: list[Tool] | None = None
    stream_options: StreamOptions | None = None

    @property
    def thinks(self) -> bool:
        """Whether reasoning is wanted, or is the model's own habit."""
        return self.thinking.type == "enabled" if self.thinking else "thinking" in self.model

    @property
    def searches(self) -> bool:
        """Whether a web search of either vendor is offered."""
        return any(
            tool.type == "web_search" or (tool.function is not None and tool.function.name == "$web_search")
            for tool in self.tools or ()
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to one request.

    Attributes:
        finish_reason: ``length`` when ``max_tokens`` cut the text, else ``stop``.
        search: What was searched for, or None.
    """

    text: str
    reasoning: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    search: str | None = None

    @property
    def usage(self) -> dict[str, int]:
        """As both vendors name it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


_decoder: Final = msgspec.json.Decoder(Ask)


def read_ask(body: bytes) -> Ask:
    """The request of a body. Raises msgspec.DecodeError for no JSON, ValidationError naming the field."""
    return _decoder.decode(body)


def tokens_of(text: str) -> int:
    """The estimate."""
    return -(-len(text) // TOKEN_CHARS)


def prompt_tokens_of(ask: Ask) -> int:
    """The estimate over all messages."""
    return sum(tokens_of(turn.text) for turn in ask.messages)


def answer(ask: Ask, *, size: int | None = None, least: int = 0) -> Answer:
    """What is said to ``ask``, as prose of exactly ``size`` characters, or of ``least`` or more."""
    said = [turn.text for turn in ask.messages if turn.role == "user"]
    search = _quote(said[-1]) if ask.searches and said else None
    if ask.response_format is not None and ask.response_format.type == "json_object":
        text = msgspec.json.encode(_object(ask, said)).decode()
    else:
        text = _sized(_prose(ask, said, search), size, least)
    reasoning = f"{MARK} Thinking about {len(said)} user turns before answering." if ask.thinks else ""
    text, finish_reason = _limited(text, ask.max_tokens)
    return Answer(
        text=text,
        reasoning=reasoning,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens_of(ask),
        completion_tokens=tokens_of(text) + tokens_of(reasoning),
        search=search,
    )


def pieces_of(text: str, chunks: int | None) -> list[str]:
    """The text in pieces: word by word, or ``chunks`` of nearly equal length (never an empty one)."""
    if chunks is None:
        return _WORDS.findall(text) or ([text] if text else [])
    bounds = [len(text) * n // chunks for n in range(chunks + 1)]
    return [text[a:b] for a, b in pairwise(bounds) if b > a]


def _prose(ask: Ask, said: list[str], search: str | None) -> str:
    words = [f"{MARK} {ask.model}, turn {len(said)}."]
    system = sum(len(turn.text) for turn in ask.messages if turn.role == "system")
    if system:
        words.append(f"The system message has {system} characters.")
    if search is not None:
        words.append(f'Searched the web for "{search}" (nothing was really fetched).')
    if len(said) > 1:
        words.append(f'You said first: "{_quote(said[0])}".')
    words.append(f'You now say: "{_quote(said[-1])}".' if said else "You have said nothing yet.")
    return " ".join(words)


def _object(ask: Ask, said: list[str]) -> dict[str, Any]:
    last = _quote(said[-1]) if said else ""
    system = " ".join(turn.text for turn in ask.messages if turn.role == "system")
    if all(key in system for key in _REVIEW_KEYS):
        return _review(len(said), last)
    first = _quote(said[0]) if said else ""
    return {"simulated": True, "model": ask.model, "turn": len(said), "first": first, "now": last}


def _review(turn: int, last: str) -> dict[str, Any]:
    """As ``consult`` asks for it: valid, and judging nothing."""
    finding = {"severity": "info", "title": f"{MARK} turn {turn}", "detail": f"You now say: {last}"}
    return {
        "verdict": "revise",
        "summary": f"{MARK} Nothing was really reviewed.",
        "findings": [finding | {"where": None}],
        "next_steps": [f"{MARK} Set KIMI_API_KEY or GLM_API_KEY to ask a real model."],
        "confidence": 0,
    }


def _quote(text: str) -> str:
    return text if len(text) <= QUOTE_CHARS else text[: QUOTE_CHARS - 1] + "…"


def _sized(text: str, size: int | None, least: int) -> str:
    wanted = max(len(text), least) if size is None else size
    missing = max(0, wanted - len(text))
    return (text + FILLER * -(-missing // len(FILLER)))[:wanted]


def _limited(text: str, max_tokens: int | None) -> tuple[str, str]:
    if max_tokens is None or tokens_of(text) <= max_tokens:
        return text, "stop"
    return text[: max_tokens * TOKEN_CHARS], "length"
