"""``chat``: one turn of a conversation with a model, streamed to a client that asks for it."""

from __future__ import annotations

from typing import Annotated

from exai_ops.providers.types import ChatRequest
from exai_ops.tools.api import Param, ToolContext, ToolResult, tool
from exai_ops.tools.conversation import open_conversation
from exai_ops.tools.turn import keep, notice, prepare, turn_metadata


@tool(
    description="Chat with a Kimi or GLM model. The reply's metadata has a continuation_id: give it with the "
    "next prompt to go on with the conversation, leave it out to begin a new one."
)
async def chat(
    ctx: ToolContext,
    *,
    prompt: Annotated[str, Param(description="What to say to the model.", min_length=1)],
    system: Annotated[str | None, "Instructions that hold for the whole conversation."] = None,
    model: Annotated[str | None, "Model to ask (see listmodels); left out, the daemon chooses."] = None,
    temperature: Annotated[
        float | None, Param(description="Randomness; left out, the provider's default.", minimum=0, maximum=2)
    ] = None,
    thinking: Annotated[
        bool | None, "Let the model think first, where that can be asked for; left out, the model decides."
    ] = None,
    web_search: Annotated[bool, "Let the provider search the web."] = False,
    max_tokens: Annotated[int | None, Param(description="Longest answer, in tokens.", minimum=1)] = None,
    continuation_id: Annotated[
        str | None, Param(description="Conversation to go on with.", max_length=128)
    ] = None,
) -> ToolResult:
    """The model's answer, with a note at its end when turns were left out or none remain."""
    async with open_conversation(ctx, continuation_id, tool="chat") as conversation:
        turn = prepare(ctx, conversation, prompt=prompt, system=system, model=model, max_tokens=max_tokens)
        request = ChatRequest(
            messages=turn.messages,
            model=model,
            temperature=temperature,
            max_tokens=max_tokens,
            thinking=thinking,
            web_search=web_search,
        )
        completion = await ctx.complete(request)
        text = completion.text
        if said := notice(turn):
            said = f"\n\n{said}"
            text += said
            await ctx.emit(said)
        keep(ctx, turn, completion)
    metadata = turn_metadata(turn, completion)
    if thinking and completion.reasoning:
        metadata["reasoning"] = completion.reasoning
    return ToolResult(text=text, metadata=metadata)
