from __future__ import annotations

import json
from typing import Any

import pytest
from tool_fakes import FakeContext, completion

from exai_ops.errors import InvalidArguments, ToolError
from exai_ops.tools.consult import consult
from exai_ops.tools.review import SYSTEM, NotAReview, parse_review, review_text

REVIEW: dict[str, Any] = {
    "verdict": "revise",
    "summary": "Nearly there.",
    "findings": [
        {
            "severity": "major",
            "title": "Off by one",
            "detail": "Loop ends early.\nUse <=.",
            "where": "a.py:3",
        },
        {"severity": "info", "title": "Nice names", "detail": "", "where": None},
    ],
    "next_steps": ["Fix the loop."],
    "confidence": 0.8,
}
TEXT = """\
Verdict: revise (confidence 0.8)

Nearly there.

Findings:
1. [major] Off by one (a.py:3)
   Loop ends early.
   Use <=.
2. [info] Nice names

Next steps:
- Fix the loop."""
GOOD = json.dumps(REVIEW)
BARE: dict[str, Any] = {"verdict": "approve", "findings": [], "next_steps": []}


def with_(**fields: Any) -> str:
    return json.dumps(BARE | fields)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\nHope this helps!",
        f"Here is my review of {{that}} change:\n\n{GOOD}",
        f'As you asked for {{"a": 1}}:\n{GOOD}\nand {{"verdict": "reject"}} never.',
        GOOD.replace("revise", " Revise ").replace("major", "MAJOR"),
    ],
)
def test_a_review_is_found_in_what_models_write(text: str) -> None:
    review = parse_review(text)
    assert (review.verdict, len(review.findings), review.confidence) == ("revise", 2, 0.8)
    assert review_text(review) == TEXT


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"confidence": "high"}, "confidence", None),
        ({"confidence": 80}, "confidence", None),
        ({"confidence": True}, "confidence", None),
        ({"confidence": 1}, "confidence", 1.0),
        ({"summary": None}, "summary", ""),
        ({"extra": 1}, "verdict", "approve"),
    ],
)
def test_what_is_not_worth_a_second_call_is_let_pass(
    fields: dict[str, Any], attribute: str, expected: object
) -> None:
    assert getattr(parse_review(with_(**fields)), attribute) == expected


def test_a_bare_string_is_a_finding() -> None:
    (remark,) = parse_review(with_(findings=["Looks fine"])).findings
    assert (remark.severity, remark.title, remark.detail, remark.where) == ("info", "Looks fine", "", None)


def test_an_empty_place_is_none() -> None:
    finding = {"severity": "minor", "title": "t", "detail": None, "where": ""}
    (remark,) = parse_review(with_(findings=[finding])).findings
    assert (remark.detail, remark.where) == ("", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no JSON object"),
        ("I cannot review this.", "holds no JSON object"),
        ('["verdict"]', "holds no JSON object"),
        ('{"verdict": "approve", ', "is not valid JSON: "),
        (GOOD[:-40], "is not valid JSON: "),
        ('{"a":' * 5000, "is not valid JSON: "),
        ("{}", "is an object missing required field `verdict`"),
        (json.dumps({"verdict": "approve"}), "is an object missing required field `findings`"),
        (with_(verdict="maybe"), "is wrong at verdict: invalid enum value 'maybe'"),
        (with_(verdict=None), "is wrong at verdict: expected `str`, got `null`"),
        (with_(findings="none"), "is wrong at findings: expected `array`, got `str`"),
        (with_(findings=[3]), "is wrong at findings[0]: expected `object`, got `int`"),
        (with_(findings=[{"severity": "huge", "title": "t"}]), "is wrong at findings[0].severity: invalid"),
        (with_(findings=[{"severity": "info"}]), "is wrong at findings[0]: object missing required field"),
        (with_(next_steps=[1]), "is wrong at next_steps[0]: expected `str`, got `int`"),
    ],
)
def test_what_is_no_review_is_named(text: str, problem: str) -> None:
    with pytest.raises(NotAReview) as caught:
        parse_review(text)
    assert str(caught.value).startswith(problem)


def test_a_clean_review_says_that_nothing_was_found() -> None:
    assert review_text(parse_review(json.dumps(BARE))) == "Verdict: approve\n\nFindings: none"


@pytest.mark.parametrize("word", ["verdict", "findings", "next_steps", "summary", "severity", "confidence"])
def test_the_model_is_told_the_keys(word: str) -> None:
    assert word in SYSTEM


async def test_consult_asks_for_json_without_a_stream_and_gives_text_and_data() -> None:
    ctx = FakeContext(GOOD)
    result = await consult.run(
        ctx, {"content": "+ x = 1", "kind": "change", "question": "Is x right?", "max_tokens": 500}
    )
    assert ctx.said() == [
        ("system", SYSTEM),
        ("user", "Review this change.\n\nThe question: Is x right?\n\n<change>\n+ x = 1\n</change>"),
    ]
    (request,) = ctx.requests
    assert (request.json_object, request.max_tokens, ctx.streamed) == (True, 500, [False])
    assert result.text == TEXT
    assert result.structured == REVIEW
    assert result.metadata["turns_remaining"] == 39
    assert "repaired" not in result.metadata


async def test_a_second_consultation_sees_the_first() -> None:
    ctx = FakeContext(GOOD, GOOD)
    first = await consult.run(ctx, {"content": "plan a", "kind": "plan"})
    second = await consult.run(
        ctx, {"content": "plan b", "kind": "plan", "continuation_id": first.metadata["continuation_id"]}
    )
    assert [role for role, _ in ctx.said()] == ["system", "user", "assistant", "user"]
    assert ctx.said()[2][1] == GOOD
    assert second.metadata["turns_remaining"] == 38


async def test_a_reviewers_instructions_do_not_bind_a_chat() -> None:
    from exai_ops.tools.chat import chat

    ctx = FakeContext(GOOD, "plain", GOOD)
    first = await consult.run(ctx, {"content": "x"})
    again = {"continuation_id": first.metadata["continuation_id"]}
    await chat.run(ctx, {"prompt": "why?", **again})
    assert [role for role, _ in ctx.said()] == ["user", "assistant", "user"]
    await consult.run(ctx, {"content": "y", **again})
    assert ctx.said()[0] == ("system", SYSTEM)


async def test_a_bad_answer_is_repaired_once_from_itself() -> None:
    ctx = FakeContext("My verdict: approve it.", GOOD)
    result = await consult.run(ctx, {"content": "secret diff"})
    assert result.structured == REVIEW
    assert result.metadata["repaired"] is True
    assert result.metadata["usage"]["total_tokens"] == 36
    (system, asked) = ctx.said()
    assert system == ("system", SYSTEM)
    assert "My verdict: approve it." in asked[1]
    assert "but it\nholds no JSON object" in asked[1]
    assert "secret diff" not in asked[1]
    assert ctx.streamed == [False, False]
    stored = ctx.storage.conversations[result.metadata["continuation_id"]]
    assert [message.role for message in stored] == ["system", "user", "assistant"]
    assert stored[2].content == GOOD


@pytest.mark.parametrize(
    ("answers", "message", "asked"),
    [
        (["no", "no again"], "large did not give a review: its answer holds no JSON object", 2),
        (
            [completion(GOOD[:50], finish_reason="length")],
            "large was cut off before its review was comple",
            1,
        ),
        (["no", completion(GOOD[:50], finish_reason="length")], "large was cut off before its review", 2),
        ([" \n"], "large gave an empty answer", 1),
    ],
)
async def test_a_model_that_gives_no_review_is_an_error(answers: list[Any], message: str, asked: int) -> None:
    ctx = FakeContext(*answers)
    with pytest.raises(ToolError) as caught:
        await consult.run(ctx, {"content": "x"})
    assert str(caught.value).startswith(message)
    assert caught.value.hint
    assert (len(ctx.requests), ctx.writes) == (asked, [])


async def test_a_simulated_review_is_marked() -> None:
    result = await consult.run(FakeContext(completion(GOOD, simulated=True)), {"content": "x"})
    assert result.text.startswith("[simulated] Verdict: revise")
    assert result.metadata["simulated"] is True


async def test_the_last_turn_is_said_in_the_text() -> None:
    result = await consult.run(FakeContext(GOOD, max_turns=1), {"content": "x"})
    assert result.text.endswith(f"\n\n{result.metadata['notice']}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "content: is required; allowed: text that is not empty"),
        ({"content": "x", "kind": "poem"}, "kind: 'poem' is not known; allowed: one of change, plan"),
        ({"content": "x" * 2000, "model": "small"}, "content: about "),
    ],
)
async def test_bad_arguments_name_the_field(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await consult.run(FakeContext(), arguments)
    assert str(caught.value).startswith(message)
