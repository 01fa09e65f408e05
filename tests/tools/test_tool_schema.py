from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from exai_ops.errors import InvalidArguments
from exai_ops.tools.api import Param, ToolContext, ToolResult, tool


@dataclass
class Range:
    start: int
    end: int = 0


class Label(msgspec.Struct):
    text: str


@tool(description="Takes one of each.")
async def everything(
    ctx: ToolContext,
    *,
    text: Annotated[str, Param(description="words", min_length=1, max_length=5)],
    count: Annotated[int, Param(minimum=1)] = 1,
    ratio: Annotated[float | None, Param(description="a share", minimum=0, maximum=2)] = None,
    flag: Annotated[bool, "yes or no"] = False,
    mode: Literal["fast", "slow"] = "fast",
    size: Annotated[str, Param(choices=("s", "m"))] = "s",
    code: Annotated[str | None, Param(pattern="^[a-z]+$")] = None,
    names: list[str] = [],  # noqa: B006 - msgspec gives each call its own
    extra: dict[str, Any] = {},  # noqa: B006
    where: Range | None = None,
    labels: list[Label] = [],  # noqa: B006
    anything: Any = None,
) -> ToolResult:
    values = {k: v for k, v in locals().items() if k != "ctx"}
    return ToolResult(text=text, structured=values)


PROPERTIES = [
    ("text", {"description": "words", "type": "string", "minLength": 1, "maxLength": 5}),
    ("count", {"type": "integer", "minimum": 1, "default": 1}),
    (
        "ratio",
        {
            "description": "a share",
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 2}, {"type": "null"}],
            "default": None,
        },
    ),
    ("flag", {"description": "yes or no", "type": "boolean", "default": False}),
    ("mode", {"enum": ["fast", "slow"], "default": "fast"}),
    ("size", {"enum": ["m", "s"], "default": "s"}),
    ("code", {"anyOf": [{"type": "string", "pattern": "^[a-z]+$"}, {"type": "null"}], "default": None}),
    ("names", {"type": "array", "items": {"type": "string"}, "default": []}),
    ("extra", {"type": "object", "default": {}}),
    ("where", {"anyOf": [{"$ref": "#/$defs/Range"}, {"type": "null"}], "default": None}),
    ("labels", {"type": "array", "items": {"$ref": "#/$defs/Label"}, "default": []}),
    ("anything", {"default": None}),
]


@pytest.mark.parametrize(("name", "expected"), PROPERTIES)
def test_each_type_has_its_schema(name: str, expected: dict[str, Any]) -> None:
    assert everything.input_schema["properties"][name] == expected


def test_the_whole_is_a_closed_object_without_a_reference_at_the_top() -> None:
    schema = everything.input_schema
    assert schema["type"] == "object"
    assert "$ref" not in schema
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]) == {"Range", "Label"}
    assert list(schema["properties"]) == [name for name, _ in PROPERTIES]


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({}, "count", 1),
        ({}, "ratio", None),
        ({"ratio": 1}, "ratio", 1.0),
        ({"ratio": None}, "ratio", None),
        ({"size": "m"}, "size", "m"),
        ({"where": {"start": 3}}, "where", Range(3)),
        ({"labels": [{"text": "x"}]}, "labels", [Label("x")]),
        ({"extra": {"a": [1]}}, "extra", {"a": [1]}),
    ],
)
def test_arguments_are_converted_and_filled_in(given: dict[str, Any], name: str, value: Any) -> None:
    converted = everything.arguments.convert({"text": "a"} | given)
    assert converted[name] == value
    assert type(converted[name]) is type(value)


def test_a_default_list_is_not_shared_between_calls() -> None:
    everything.arguments.convert({"text": "a"})["names"].append("left")
    assert everything.arguments.convert({"text": "a"})["names"] == []


ERRORS = [
    ({}, "text: is required; allowed: text of 1 to 5 characters"),
    ({"text": ""}, "text: is empty; allowed: "),
    ({"text": "123456"}, "text: is too long; allowed: "),
    ({"text": 1}, "text: got a whole number; allowed: text"),
    ({"text": None}, "text: got null; allowed: text"),
    ({"text": "a", "count": 0}, "count: is out of range; allowed: a whole number of at least 1"),
    ({"text": "a", "count": 1.5}, "count: got a fraction; allowed: a whole number of at least 1"),
    ({"text": "a", "count": True}, "count: got true or false; allowed: a whole number of at least 1"),
    ({"text": "a", "ratio": 2.1}, "ratio: is out of range; allowed: a number from 0 to 2 or null"),
    ({"text": "a", "ratio": "1"}, "ratio: got text; allowed: a number from 0 to 2 or null"),
    ({"text": "a", "ratio": float("nan")}, "ratio: is out of range; allowed: a number from 0 to 2 or null"),
    ({"text": "a", "flag": "yes"}, "flag: got text; allowed: true or false"),
    ({"text": "a", "mode": "slwo"}, "mode: 'slwo' is not known; allowed: one of fast, slow"),
    ({"text": "a", "mode": "x" * 999}, "mode: '" + "x" * 59 + "... is not known; allowed: one of fast, slow"),
    ({"text": "a", "code": "A"}, "code: does not match; allowed: text that matches ^[a-z]+$ or null"),
    ({"text": "a", "names": "b"}, "names: got text; allowed: a list"),
    ({"text": "a", "names": ["b", 1]}, "names[1]: expected `str`, got `int`"),
    ({"text": "a", "where": {}}, "where.start: is required"),
    ({"text": "a", "where": {"start": "1"}}, "where.start: expected `int`, got `str`"),
    ({"text": "a", "extra": []}, "extra: got a list; allowed: an object"),
    ({"text": "a", "cuont": 1}, "cuont: is not known; did you mean count?"),
    ({"text": "a", "qqq": 1}, "qqq: is not known; allowed: text, count, ratio"),
    ([1], "arguments: got a list; allowed: an object"),
    ("text", "arguments: got text; allowed: an object"),
    ({1: 2}, "arguments: the names must be text"),
]


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
async def test_a_wrong_argument_is_named_with_what_is_allowed(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await everything.run(None, arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


async def test_a_tool_may_return_plain_text() -> None:
    @tool(description="Greets.", needs_provider=False)
    async def hello(ctx: ToolContext, *, name: str = "you") -> str:
        return f"hello {name}"

    assert await hello.run(None, {}) == ToolResult(text="hello you")  # type: ignore[arg-type]


async def test_a_tool_without_parameters_refuses_any() -> None:
    @tool(description="Nothing.")
    async def nothing(ctx: ToolContext) -> str:
        return ""

    assert nothing.input_schema == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    with pytest.raises(InvalidArguments, match="x: is not known; allowed: none"):
        await nothing.run(None, {"x": 1})  # type: ignore[arg-type]


def test_the_model_argument_is_found_or_named() -> None:
    async def plain(ctx: ToolContext, *, model: str = "") -> str:
        return model

    assert tool(description="d")(plain).model_argument == "model"
    assert tool(description="d", needs_provider=False)(plain).model_argument is None
    assert tool(description="d", model_argument="model")(plain).model_argument == "model"
    assert everything.model_argument is None


def _sync(ctx: Any) -> str:
    return ""


async def _no_context() -> str:
    return ""


async def _keyword_context(*, ctx: Any) -> str:
    return ""


async def _untyped(ctx: Any, *, x) -> str:  # type: ignore[no-untyped-def]
    return ""


async def _catch_all(ctx: Any, **rest: str) -> str:
    return ""


async def _unknown_type(ctx: Any, *, x: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


async def _bad_default(ctx: Any, *, x: Annotated[int, Param(maximum=3)] = 4) -> str:
    return ""


async def _unsupported(ctx: Any, *, x: complex) -> str:
    return ""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_sync, "must be an async function"),
        (_no_context, "the first parameter must be the context"),
        (_keyword_context, "the first parameter must be the context"),
        (_untyped, "x has no type"),
        (_catch_all, "rest must be a keyword parameter"),
        (_unknown_type, "name 'Missing' is not defined; the types of its parameters must be known"),
        (_bad_default, "default of x: Expected `int` <= 3"),
        (_unsupported, "complex"),
    ],
)
def test_a_signature_without_a_schema_is_refused(function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tool(description="d")(function)
