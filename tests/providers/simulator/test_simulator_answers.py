"""What the simulator says, without a socket."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.providers.simulator.answers import MARK, answer, pieces_of, read_ask, tokens_of
from exai_ops.tools.review import SYSTEM, parse_review


def ask(*said: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": text} for text in said]
    return msgspec.json.encode({"model": "kimi-latest", "messages": messages} | more)


def said_to(*said: str, size: int | None = None, **more: Any) -> str:
    return answer(read_ask(ask(*said, **more)), size=size).text


def test_starts_with_the_mark_and_quotes_the_prompt() -> None:
    assert said_to("hello") == f'{MARK} kimi-latest, turn 1. You now say: "hello".'


def test_shows_that_the_conversation_is_remembered() -> None:
    text = said_to("I am Bob", "who am I?")
    assert "turn 2" in text
    assert 'You said first: "I am Bob".' in text
    assert 'You now say: "who am I?".' in text


def test_mentions_system_message_and_parts() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url"}]},
    ]
    body = msgspec.json.encode({"model": "glm-4.5v", "messages": messages})
    text = answer(read_ask(body)).text
    assert "The system message has 8 characters." in text
    assert '"see [image_url]"' in text


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search", "web_search": {"enable": True}},
        {"type": "builtin_function", "function": {"name": "$web_search"}},
    ],
)
def test_says_that_it_searched(tool: dict[str, Any]) -> None:
    assert 'Searched the web for "news"' in said_to("news", tools=[tool])


def test_max_tokens_cut_the_text() -> None:
    said = answer(read_ask(ask("a long question", max_tokens=5)))
    assert (len(said.text), said.finish_reason, said.completion_tokens) == (20, "length", 5)


@pytest.mark.parametrize(
    ("more", "thinks"),
    [
        ({"thinking": {"type": "enabled"}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"model": "kimi-thinking-preview"}, True),
        ({}, False),
    ],
)
def test_reasons_when_asked_or_by_habit(more: dict[str, Any], thinks: bool) -> None:
    assert bool(answer(read_ask(ask("x", **more))).reasoning) is thinks


def test_json_object_is_an_object_with_the_same_facts() -> None:
    text = said_to("one", "two", response_format={"type": "json_object"}, size=9)
    assert msgspec.json.decode(text) == {
        "simulated": True,
        "model": "kimi-latest",
        "turn": 2,
        "first": "one",
        "now": "two",
    }


def test_a_review_is_one_that_consult_reads() -> None:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "my plan"}]
    body = {"model": "glm-4.6", "messages": messages, "response_format": {"type": "json_object"}}
    review = parse_review(answer(read_ask(msgspec.json.encode(body))).text)
    assert review.verdict == "revise"
    assert review.summary.startswith(MARK)
    assert "my plan" in review.findings[0].detail


@given(st.text(max_size=50), st.integers(0, 500))
def test_size_is_exact(prompt: str, size: int) -> None:
    assert len(said_to(prompt, size=size)) == size


@given(st.text(max_size=300), st.none() | st.integers(1, 400))
def test_pieces_join_to_the_text(text: str, chunks: int | None) -> None:
    pieces = pieces_of(text, chunks)
    assert "".join(pieces) == text or not text.strip()
    assert all(pieces)
    if chunks is not None:
        assert len(pieces) == min(chunks, len(text))


@given(st.text(max_size=100))
def test_the_same_request_gives_the_same_answer(prompt: str) -> None:
    assert answer(read_ask(ask(prompt))) == answer(read_ask(ask(prompt)))


def test_least_fills_up_for_many_chunks() -> None:
    said = answer(read_ask(ask("x")), least=1000)
    assert len(pieces_of(said.text, 1000)) == 1000


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_a_token_for_every_four_characters_begun(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens
