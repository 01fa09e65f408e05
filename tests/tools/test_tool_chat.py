from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tool_fakes import LARGE, FakeContext, completion

from exai_ops.errors import InvalidArguments, ModelNotFound, OverCapacity, ProviderUnavailable
from exai_ops.providers.types import Message, Usage
from exai_ops.tools import conversation
from exai_ops.tools.api import ToolResult
from exai_ops.tools.chat import chat


async def say(ctx: FakeContext, prompt: str, **arguments: Any) -> ToolResult:
    return await chat.run(ctx, {"prompt": prompt, **arguments})


def id_of(result: ToolResult) -> str:
    return str(result.metadata["continuation_id"])


async def test_a_first_turn_asks_answers_and_is_stored() -> None:
    ctx = FakeContext(completion("hi", first_token_s=0.0123, duration_s=0.5))
    result = await say(ctx, "hello", system="be brief", temperature=1, max_tokens=9, web_search=True)
    (request,) = ctx.requests
    assert request.messages == (Message("system", "be brief"), Message("user", "hello"))
    assert (request.model, request.temperature, request.max_tokens) == (None, 1.0, 9)
    assert (request.thinking, request.web_search, request.json_object) == (None, True, False)
    assert result.text == "hi"
    assert result.metadata == {
        "continuation_id": id_of(result),
        "turns_remaining": 39,
        "provider": "glm",
        "model": "large",
        "simulated": False,
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        "dropped_turns": 0,
        "first_token_ms": 12.3,
        "duration_ms": 500.0,
    }
    assert len(ctx.writes) == 1
    await ctx.writes[0]
    stored = ctx.storage.conversations[id_of(result)]
    assert [(m.role, m.content) for m in stored] == [
        ("system", "be brief"),
        ("user", "hello"),
        ("assistant", "hi"),
    ]
    assert stored[2].metadata == {"tool": "chat", "provider": "glm", "model": "large"}
    assert stored[2].tokens == 7


async def test_a_second_turn_remembers_the_first() -> None:
    ctx = FakeContext("one", "two", "three")
    first = await say(ctx, "a", system="rules")
    second = await say(ctx, "b", continuation_id=id_of(first))
    assert ctx.said() == [("system", "rules"), ("user", "a"), ("assistant", "one"), ("user", "b")]
    assert (id_of(second), second.metadata["turns_remaining"]) == (id_of(first), 38)
    await say(ctx, "c", continuation_id=id_of(first), system="rules")
    roles = [message.role for message in ctx.storage.conversations[id_of(first)]]
    assert roles == ["system", *["user", "assistant"] * 3]


async def test_a_new_system_message_takes_the_place_of_the_old() -> None:
    ctx = FakeContext()
    first = await say(ctx, "a", system="old")
    await say(ctx, "b", continuation_id=id_of(first), system="new")
    await say(ctx, "c", continuation_id=id_of(first))
    assert [content for role, content in ctx.said() if role == "system"] == ["new"]
    assert ctx.said()[0] == ("system", "new")


@pytest.mark.parametrize(
    ("fields", "key", "value"),
    [
        ({"failed_over_from": "kimi"}, "failed_over_from", "kimi"),
        ({"simulated": True}, "simulated", True),
        ({"provider": "simulator"}, "simulated", True),
        ({"finish_reason": "length"}, "finish_reason", "length"),
    ],
)
async def test_what_happened_is_in_the_metadata(fields: dict[str, Any], key: str, value: Any) -> None:
    result = await say(FakeContext(completion("x", **fields)), "a")
    assert result.metadata[key] == value
    assert result.text == "x"


@pytest.mark.parametrize(("thinking", "given"), [(True, True), (False, False), (None, False)])
async def test_thinking_is_given_when_it_was_asked_for(thinking: bool | None, given: bool) -> None:
    ctx = FakeContext(completion("x", reasoning="because"))
    result = await say(ctx, "a", thinking=thinking)
    assert ("reasoning" in result.metadata) is given
    assert ctx.requests[0].thinking is thinking


async def test_the_oldest_turns_are_left_out_and_the_reply_says_so() -> None:
    ctx = FakeContext(completion("one", usage=Usage()), completion("two", usage=Usage()))
    first = await say(ctx, "first " * 100, system="rules", model="small")
    await say(ctx, "second " * 20, continuation_id=id_of(first), model="small")
    ctx.answers = ["short"]
    result = await say(ctx, "third " * 60, continuation_id=id_of(first), model="small")
    note = "[1 oldest turn left out to fit the model's window]"
    assert ctx.said()[0] == ("system", "rules")
    assert ctx.said()[1][1].startswith("second")
    assert result.text == f"short\n\n{note}"
    assert (result.metadata["notice"], result.metadata["dropped_turns"]) == (note, 1)
    assert ctx.emitted == [f"\n\n{note}"]
    assert ctx.storage.conversations[id_of(first)][-1].content == "short"


async def test_a_larger_model_sees_the_turns_that_a_small_one_did_not() -> None:
    ctx = FakeContext()
    first = await say(ctx, "first " * 60, model="small")
    for prompt in ("second " * 60, "third " * 60):
        last = await say(ctx, prompt, continuation_id=id_of(first), model="small")
    assert last.metadata["dropped_turns"] > 0
    result = await say(ctx, "fourth", continuation_id=id_of(first), model="large")
    assert result.metadata["dropped_turns"] == 0
    assert len(ctx.said()) == 7


async def test_the_last_turn_says_so_and_a_further_one_is_refused() -> None:
    ctx = FakeContext("one", "two", max_turns=2)
    first = await say(ctx, "a")
    assert "notice" not in first.metadata
    last = await say(ctx, "b", continuation_id=id_of(first))
    note = "[last turn of this conversation: leave out continuation_id to begin a new one]"
    assert (last.text, last.metadata["turns_remaining"]) == (f"two\n\n{note}", 0)
    with pytest.raises(
        InvalidArguments, match="continuation_id: the conversation has used its 2 turns; leave"
    ):
        await say(ctx, "c", continuation_id=id_of(first))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"continuation_id": "gone"}, "continuation_id: is unknown or expired; leave it out to begin a new"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": "\ud800x"}, "prompt: holds half of a surrogate pair at character 0"),
        ({"system": "ok \udc00"}, "system: holds half of a surrogate pair at character 3"),
        ({"prompt": "word " * 400, "model": "small"}, "prompt: about 506 tokens with its system message"),
        ({"max_tokens": 400, "model": "small"}, "max_tokens: 400 leaves no room for the prompt"),
        ({"temperature": 2.5}, "temperature: is out of range; allowed: a number from 0 to 2 or null"),
        ({"promt": "x"}, "promt: is not known; did you mean prompt?"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_asked(
    arguments: dict[str, Any], message: str
) -> None:
    ctx = FakeContext()
    with pytest.raises(InvalidArguments) as caught:
        await chat.run(ctx, {"prompt": "a"} | arguments)
    assert str(caught.value).startswith(message)
    assert (ctx.requests, ctx.writes) == ([], [])


async def test_an_empty_continuation_id_begins_a_new_conversation() -> None:
    result = await say(FakeContext(), "a", continuation_id="")
    assert len(id_of(result)) == 32


async def test_an_unknown_model_is_the_routers_to_refuse() -> None:
    with pytest.raises(ModelNotFound):
        await say(FakeContext(), "a", model="nope")


async def test_a_failed_turn_leaves_the_conversation_as_it_was() -> None:
    ctx = FakeContext("one", ProviderUnavailable("glm is away", provider="glm"), "two")
    first = await say(ctx, "a")
    with pytest.raises(ProviderUnavailable):
        await say(ctx, "b", continuation_id=id_of(first))
    await say(ctx, "c", continuation_id=id_of(first))
    assert ctx.said() == [("user", "a"), ("assistant", "one"), ("user", "c")]


async def test_turns_of_one_conversation_run_one_after_the_other() -> None:
    ctx = FakeContext("one", "two", "three")
    first = await say(ctx, "a")
    ctx.gate.clear()
    ctx.asked.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(say(ctx, "b", continuation_id=id_of(first)))
        await ctx.asked.wait()
        group.create_task(say(ctx, "c", continuation_id=id_of(first)))
        other = FakeContext("other", storage=ctx.storage)
        await say(other, "beside", system="another conversation is not held up")
        ctx.gate.set()
    assert ctx.said(2) == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
        ("assistant", "two"),
        ("user", "c"),
    ]
    await asyncio.sleep(0)  # the callback that lets go of the place
    assert id_of(first) not in conversation._places


async def test_a_turn_waits_until_the_one_before_is_in_the_store() -> None:
    ctx = FakeContext("one", "two", "three")
    first = await say(ctx, "a")
    ctx.storage.held = []
    await say(ctx, "b", continuation_id=id_of(first))
    ctx.asked.clear()
    third = asyncio.create_task(say(ctx, "c", continuation_id=id_of(first)))
    asyncio.get_running_loop().call_soon(ctx.storage.release)
    await third
    assert len(ctx.said()) == 5
    await asyncio.sleep(0)  # the callback that lets go of the place
    assert id_of(first) not in conversation._places


async def test_waiting_for_a_turn_is_bounded() -> None:
    ctx = FakeContext("one", "two", queue_wait_s=0.0)
    first = await say(ctx, "a")
    ctx.gate.clear()
    ctx.asked.clear()
    second = asyncio.create_task(say(ctx, "b", continuation_id=id_of(first)))
    await ctx.asked.wait()
    with pytest.raises(OverCapacity, match="another turn of this conversation is still at work") as caught:
        await say(ctx, "c", continuation_id=id_of(first))
    assert caught.value.retry_after_s == ctx.settings.retry_after_s
    ctx.storage.held = []
    ctx.gate.set()
    await second
    with pytest.raises(OverCapacity):
        await say(ctx, "d", continuation_id=id_of(first))
    ctx.storage.release()
    await say(ctx, "e", continuation_id=id_of(first))
    assert len(ctx.said()) == 5


async def test_a_cancelled_turn_stores_nothing_and_lets_the_next_one_in() -> None:
    ctx = FakeContext("one", "two")
    first = await say(ctx, "a")
    ctx.gate.clear()
    ctx.asked.clear()
    running = asyncio.create_task(say(ctx, "b", continuation_id=id_of(first)))
    await ctx.asked.wait()
    waiting = asyncio.create_task(say(ctx, "c", continuation_id=id_of(first)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ctx.gate.set()
    await waiting
    assert ctx.said() == [("user", "a"), ("assistant", "one"), ("user", "c")]


async def test_a_write_that_fails_is_the_daemons_to_report_and_holds_up_no_turn() -> None:
    ctx = FakeContext("one", "two", "three")
    first = await say(ctx, "a")
    ctx.storage.append_messages = lambda *_: _failing()
    await say(ctx, "b", continuation_id=id_of(first))
    with pytest.raises(OSError, match="disk full"):
        await ctx.writes[-1]
    await say(ctx, "c", continuation_id=id_of(first))
    assert ctx.said() == [("user", "a"), ("assistant", "one"), ("user", "c")]
    with pytest.raises(OSError, match="disk full"):
        await ctx.writes[-1]


async def _failing() -> None:
    raise OSError("disk full")


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, 7),
        ({"usage": Usage()}, 3),
        ({"reasoning": "thinking is counted, not stored"}, 3),
    ],
)
async def test_an_answer_counts_as_the_provider_counted_it(fields: dict[str, Any], tokens: int) -> None:
    ctx = FakeContext(completion("twelve chars", **fields))
    result = await say(ctx, "a")
    assert ctx.storage.conversations[id_of(result)][-1].tokens == tokens


async def test_a_prompt_counts_no_more_than_the_provider_counted_for_all() -> None:
    ctx = FakeContext("x")
    result = await say(ctx, "1234567890" * 5)
    assert ctx.storage.conversations[id_of(result)][0].tokens == 11


def test_chat_names_its_model_argument() -> None:
    assert (chat.needs_provider, chat.model_argument, LARGE.name) == (True, "model", "large")
