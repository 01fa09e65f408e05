"""The parts of ``exai call`` without a process: options, outputs, targets."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.client import Target
from exai_ops.commands.call import options
from exai_ops.commands.call.command import OWN, take
from exai_ops.commands.call.output import failure, going_on, output
from exai_ops.commands.terminal import visible
from exai_ops.errors import UsageError
from exai_ops.settings import Secret, Settings

from .fake import SCHEMA

TOOL = {"name": "chat", "description": "Talks.", "inputSchema": SCHEMA}


def parsed(words: list[str]) -> dict[str, Any]:
    made = options.options_of(TOOL, OWN)
    _, given = options.parse(TOOL, made, OWN, words)
    return options.arguments(TOOL, made, given, None, lambda: "")


@given(
    st.fixed_dictionaries(
        {"prompt": st.text().filter(lambda s: s != "-")},
        optional={
            "temperature": st.floats(0, 2),
            "max_tokens": st.integers(1, 10**9),
            "web_search": st.booleans(),
            "kind": st.sampled_from(["plan", "change"]),
            "tags": st.lists(st.text(), min_size=1, max_size=3),
            "format": st.text().filter(lambda s: s != "-"),
        },
    )
)
def test_arguments_come_back_from_their_command_line(arguments: dict[str, Any]) -> None:
    words: list[str] = []
    for name, value in arguments.items():
        flag = "--arg-format" if name == "format" else f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
            continue
        words += [f"{flag}={item}" for item in (value if isinstance(value, list) else [value])]
    assert parsed(words) == arguments


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["number", "null"]}, "number"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "json"),
        ({"type": ["integer", "string"]}, "json"),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": [1, 2]}, "json"),
        ({"type": "array", "items": {"type": "string"}}, "strings"),
        ({"type": "array"}, "json"),
        ({"$ref": "#/$defs/x"}, "json"),
        ({}, "json"),
    ],
)
def test_kinds(schema: dict[str, Any], kind: str) -> None:
    assert options.Option("x", schema, required=False, taken=()).kind == kind


def test_odd_schemas_make_no_trouble() -> None:
    odd = {
        "name": "odd",
        "inputSchema": {"properties": {"a b": {}, "url": {}, "help": {}, "x": True, "--": {}}},
    }
    made = options.options_of(odd, OWN)
    assert [option.flag for option in made] == ["--arg-url", "--arg-help", "--x"]
    assert options.options_of({"name": "bare"}, OWN) == []


@pytest.mark.parametrize("name", ["chat", "chat_EXAI-WS", "chat-EXAI-WS", "chat_EXAI_WS", "chat-EXAI_WS"])
def test_a_tool_answers_to_old_names(name: str) -> None:
    assert options.resolve(name, [TOOL]) is TOOL


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        (["--prompt", "p"], {}, ["--prompt", "p"]),
        (["--url", "u", "--prompt", "p"], {"--url": "u"}, ["--prompt", "p"]),
        (["--prompt", "p", "--url=u=v"], {"--url": "u=v"}, ["--prompt", "p"]),
    ],
)
def test_early_options(words: list[str], found: dict[str, str], rest: list[str]) -> None:
    assert take(words, ("--url",)) == (found, rest)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(), "ws://127.0.0.1:8079/"),
        (Settings(ws_host="::1", ws_port=9), "ws://[::1]:9/"),
        (Settings(ws_host="[::1]", ws_port=9), "ws://[::1]:9/"),
        (Settings(ws_host="0.0.0.0", ws_token=Secret("t")), "ws://127.0.0.1:8079/"),
        (Settings(ws_host="::", ws_token=Secret("t")), "ws://[::1]:8079/"),
    ],
)
def test_targets(settings: Settings, url: str) -> None:
    assert Target.of(settings).url == url


def test_a_free_port_is_not_dialled() -> None:
    with pytest.raises(UsageError, match="EXAI_WS_PORT is 0"):
        Target.of(Settings(ws_port=0))


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
def test_streamed_text_is_shown_once_and_whole(deltas: list[str]) -> None:
    stdout = io.StringIO()
    shown = output("text", stdout)
    for delta in deltas:
        shown.frame({"op": "stream", "delta": delta})
    text = "".join(deltas) + " and more"
    shown.frame({"op": "call_tool_res", "text": text})
    shown.end()
    shown.end()
    assert stdout.getvalue() == text + "\n"


def test_a_result_that_differs_from_its_stream_is_shown_whole() -> None:
    stdout = io.StringIO()
    shown = output("text", stdout)
    shown.frame({"op": "stream", "delta": "half"})
    shown.frame({"op": "call_tool_res", "text": "another answer"})
    assert stdout.getvalue() == "half\nanother answer"


@given(st.text())
def test_visible_text_drives_no_terminal(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in visible(text))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"op": "call_tool_res", "text": ""}, None),
        ({"op": "call_tool_res", "error": {"code": "TIMEOUT", "message": "m"}}, "TIMEOUT"),
        ({"op": "call_tool_res", "error": {}}, "EXEC_ERROR"),
        ({"op": "call_tool_res", "error": "words"}, "EXEC_ERROR"),
        ({"op": "error", "message": "m"}, "EXEC_ERROR"),
    ],
)
def test_failure(frame: dict[str, Any], code: str | None) -> None:
    found = failure(frame)
    assert (found and found["code"]) == code


@pytest.mark.parametrize(
    "frame",
    [{"text": ""}, {"metadata": {}}, {"metadata": {"continuation_id": "c"}, "error": {"code": "TIMEOUT"}}],
)
def test_no_conversation_to_go_on_with(frame: dict[str, Any]) -> None:
    assert going_on(frame, "exai call chat", []) is None


def test_ndjson_keeps_letters() -> None:
    stdout = io.StringIO()
    output("ndjson", stdout).frame({"op": "stream", "delta": "ü\n"})
    assert stdout.getvalue() == '{"op": "stream", "delta": "ü\\n"}\n'
    assert json.loads(stdout.getvalue())["delta"] == "ü\n"
