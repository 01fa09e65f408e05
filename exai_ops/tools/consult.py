"""``consult``: a reviewer's turn over a change or a plan, as data and as text."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from exai_ops.errors import ToolError
from exai_ops.providers.types import ChatRequest, Completion, Message
from exai_ops.tools.api import Param, ToolContext, ToolResult, tool
from exai_ops.tools.conversation import open_conversation
from exai_ops.tools.review import REPAIR, SYSTEM, NotAReview, Review, parse_review, review_prompt, review_text
from exai_ops.tools.turn import add_usage, is_simulated, keep, notice, prepare, turn_metadata


@tool(
    description="Ask a reviewer's opinion of a change (a diff) or a plan: verdict, findings by severity and "
    "next steps, as text and as structured output. Give the reply's continuation_id with the next version to "
    "have it judged in the light of what was said before."
)
async def consult(
    ctx: ToolContext,
    *,
    content: Annotated[str, Param(description="The diff or the plan, whole.", min_length=1)],
    kind: Annotated[Literal["change", "plan"], "What content is."] = "change",
    question: Annotated[str | None, "What to look at above all."] = None,
    model: Annotated[str | None, "Model to ask (see listmodels); left out, the daemon chooses."] = None,
    thinking: Annotated[
        bool | None, "Let the model think first, where that can be asked for; left out, the model decides."
    ] = None,
    max_tokens: Annotated[int | None, Param(description="Longest answer, in tokens.", minimum=1)] = None,
    continuation_id: Annotated[
        str | None, Param(description="Conversation to go on with.", max_length=128)
    ] = None,
) -> ToolResult:
    """The review; raises ToolError when the model gives none, also when asked again."""
    async with open_conversation(ctx, continuation_id, tool="consult") as conversation:
        turn = prepare(
            ctx,
            conversation,
            prompt=review_prompt(content, kind, question),
            system=SYSTEM,
            model=model,
            max_tokens=max_tokens,
            parameter="content",
        )
        request = ChatRequest(
            messages=turn.messages, model=model, max_tokens=max_tokens, thinking=thinking, json_object=True
        )
        completion, review, repaired = await _ask(ctx, request)
        keep(ctx, turn, completion)
    metadata = turn_metadata(turn, completion)
    if repaired:
        metadata["repaired"] = True
    if thinking and completion.reasoning:
        metadata["reasoning"] = completion.reasoning
    text = _text(review, completion, notice(turn))
    return ToolResult(text=text, structured=msgspec.to_builtins(review), metadata=metadata)


async def _ask(ctx: ToolContext, request: ChatRequest) -> tuple[Completion, Review, bool]:
    """The answer and its review, from a second completion when the first was not one."""
    first = await ctx.complete(request, stream=False)
    try:
        return first, parse_review(first.text), False
    except NotAReview as problem:
        if first.finish_reason == "length" or not first.text.strip():
            raise _failed(first, problem) from None
        again = _repair(request, first, str(problem))
    second = await ctx.complete(again, stream=False)
    try:
        review = parse_review(second.text)
    except NotAReview as problem:
        raise _failed(second, problem) from None
    both = replace(
        second,
        usage=add_usage(first.usage, second.usage),
        attempts=first.attempts + second.attempts,
        duration_s=first.duration_s + second.duration_s,
        first_token_s=first.first_token_s,
        reasoning=first.reasoning,
        failed_over_from=first.failed_over_from or second.failed_over_from,
    )
    return both, review, True


def _repair(request: ChatRequest, bad: Completion, problem: str) -> ChatRequest:
    """Ask for the same answer in the right shape, from the answer alone: the material is not needed again."""
    asked = Message("user", REPAIR.format(problem=problem, text=bad.text))
    return replace(request, messages=(Message("system", SYSTEM), asked), thinking=None)


def _failed(completion: Completion, problem: NotAReview) -> ToolError:
    if completion.finish_reason == "length":
        return ToolError(
            f"{completion.model} was cut off before its review was complete",
            hint="raise max_tokens or leave it out",
        )
    if not completion.text.strip():
        return ToolError(f"{completion.model} gave an empty answer", hint="ask again, or name another model")
    return ToolError(
        f"{completion.model} did not give a review: its answer {problem}",
        hint="ask again, or name another model",
    )


def _text(review: Review, completion: Completion, said: str) -> str:
    mark = "[simulated] " if is_simulated(completion) else ""
    return mark + review_text(review) + (f"\n\n{said}" if said else "")
