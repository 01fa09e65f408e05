"""``exai call`` as a process, against a real WebSocket server."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shlex
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import fake
from .fake import Fake, running

SCRIPTS: dict[str, fake.Script] = {
    "echo": fake.echo,
    "whole": fake.whole,
    "fail": fake.failing(code="EXEC_ERROR", message="it broke"),
    "late": fake.failing(code="TIMEOUT", message="too slow"),
    "picky": fake.failing(code="EXEC_ERROR", message="prompt: too long", kind="InvalidArguments"),
    "full": fake.failing(code="OVER_CAPACITY", message="full", retry_after=0.05),
    "busy": fake.busy_once,
    "hang": fake.hang,
    "drop": fake.drop,
    "anonymous": fake.anonymous_error,
    "fetched": fake.running_then_done,
}
DEADLINE_S = 30
EXAI = f"{shlex.quote(sys.executable)} -m exai_ops"


class Exai:
    """Runs ``exai call`` in its own folder and state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("EXAI_", "KIMI_", "GLM_"))}
        self.environ |= {
            "EXAI_STATE_DIR": str(folder / "state"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    async def start(self, *args: str, **options: Any) -> asyncio.subprocess.Process:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE) | options
        command = (sys.executable, "-m", "exai_ops", "call", *args)
        return await asyncio.create_subprocess_exec(*command, cwd=self.folder, env=self.environ, **pipes)

    async def __call__(self, *args: str, stdin: bytes = b"") -> tuple[int, str, str]:
        process = await self.start(*args)
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def exai(tmp_path: Path) -> Exai:
    return Exai(tmp_path)


async def test_a_pipe_gets_every_frame_as_a_line(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, err = await exai("--url", daemon.url, "echo", "--prompt", "say it again")
    frames = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [f["op"] for f in frames] == ["progress", "call_tool_ack", *["stream"] * 3, "call_tool_res"]
    assert "".join(f["delta"] for f in frames if f["op"] == "stream") == frames[-1]["text"] == "say it again"


@pytest.mark.parametrize(("tool", "text"), [("echo", "say it"), ("whole", "the whole answer")])
async def test_text(exai: Exai, tool: str, text: str) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, err = await exai(tool, "--prompt", "say it", "--format", "text", "--url", daemon.url)
    assert (code, out, err) == (0, f"{text}\n", "")


async def test_json_is_one_object(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, _ = await exai("--url", daemon.url, "--format", "json", "echo", "--prompt", "say it")
    assert code == 0
    reply = json.loads(out)
    assert reply.pop("request_id")
    assert reply == {
        "ok": True,
        "text": "say it",
        "metadata": {"continuation_id": "c-1", "turns_remaining": 39},
        "structured": {"n": 1},
        "error": None,
    }


@pytest.mark.parametrize(
    ("words", "stdin", "arguments"),
    [
        (["--prompt", "a b"], b"", {"prompt": "a b"}),
        (["--prompt=-"], "über\n".encode(), {"prompt": "über"}),
        (["--prompt", "-"], b"\xef\xbb\xbfwith a mark", {"prompt": "with a mark"}),
        (["--json", "-"], b'{"prompt": "p"}', {"prompt": "p"}),
        (["--json", "@args.json"], b"", {"prompt": "from the file", "tags": ["t"]}),
        (
            ["--json", '{"prompt": "p", "max_tokens": 3}', "--max-tokens", "4"],
            b"",
            {"prompt": "p", "max_tokens": 4},
        ),
        (
            ["--prompt", "p", "--temperature", "0.5", "--no-web-search", "--tags", "a", "--tags", "b"],
            b"",
            {"prompt": "p", "temperature": 0.5, "web_search": False, "tags": ["a", "b"]},
        ),
        (
            ["--prompt", "p", "--web-search", "--kind", "plan"],
            b"",
            {"prompt": "p", "web_search": True, "kind": "plan"},
        ),
        (["--prompt", "p", "--extra", '{"a": [1]}'], b"", {"prompt": "p", "extra": {"a": [1]}}),
        (["--prompt", "", "--arg-format", "f"], b"", {"prompt": "", "format": "f"}),
        (["--prompt", "--json"], b"", {"prompt": "--json"}),
    ],
)
async def test_arguments(exai: Exai, words: list[str], stdin: bytes, arguments: dict[str, Any]) -> None:
    (exai.folder / "args.json").write_text('{"prompt": "from the file", "tags": ["t"]}', encoding="utf-8")
    async with running(SCRIPTS) as daemon:
        code, _, err = await exai("--url", daemon.url, "whole", *words, stdin=stdin)
    assert (code, err) == (0, "")
    (called,) = daemon.of("call_tool")
    assert called["arguments"] == arguments
    assert called["stream"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ehco", "--prompt", "p"], "no tool is called 'ehco'\nhint: did you mean echo?"),
        (["zzz"], "no tool is called 'zzz'\nhint: the daemon has anonymous, busy, drop"),
        (["echo"], "echo: missing --prompt\nhint: " + EXAI + " call echo --help"),
        (["echo", "--promt", "p"], "No such option: --promt"),
        (["echo", "--prompt"], "requires an argument"),
        (["echo", "--prompt", "p", "extra"], "unexpected extra argument"),
        (["echo", "--prompt", "p", "--temperature", "hot"], "'hot' is not a valid float"),
        (["echo", "--prompt", "p", "--temperature", "nan"], "nan is not a number that JSON can carry"),
        (["echo", "--prompt", "p", "--temperature", "2.5"], "2.5 is not in the range 0<=x<=2"),
        (["echo", "--prompt", "p", "--max-tokens", "1.5"], "'1.5' is not a valid int"),
        (["echo", "--prompt", "p", "--kind", "poem"], "'poem' is not one of 'plan', 'change'"),
        (["echo", "--prompt", "p", "--extra", "{"], "--extra: Expecting property name"),
        (["echo", "--json", "{'a'"], "--json: Expecting property name"),
        (["echo", "--json", "[1]"], "--json: is not an object"),
        (["echo", "--json", '{"prompt": NaN}'], "--json: NaN is not JSON"),
        (["echo", "--json", "[" * 100_000], "--json: is nested too deeply"),
        (["echo", "--json", '{"promt": 1}'], "echo takes no 'promt'\nhint: did you mean prompt?"),
        (["echo", "--json", "@none.json"], "--json: none.json: No such file"),
        (["echo", "--prompt", "-", "--arg-format", "-"], "stdin was asked for twice"),
        (
            ["echo", "--prompt", "p", "--format", "xml"],
            "--format: 'xml' is not known\nhint: one of text, ndjson, json",
        ),
        (["echo", "--prompt", b"\xff".decode(errors="surrogateescape")], "--prompt: is not valid UTF-8"),
        (["picky", "--prompt", "p"], "picky: EXEC_ERROR: prompt: too long"),
    ],
)
async def test_usage_errors_exit_2(exai: Exai, words: list[str], said: str) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, err = await exai("--url", daemon.url, *words)
    assert code == 2
    assert said in err
    assert words[0] == "picky" or (out == "" and not daemon.of("call_tool"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give the name of a tool, or --fetch ID"),
        (["--fetch", "abc", "echo"], "--fetch takes no tool"),
        (["--fetch", "../../etc/passwd"], "--fetch: is not the id"),
        (["--fetch", "abc"], "no ticket of a detached call 'abc'"),
        (["echo", "--url"], "--url: has no value"),
        (["echo", "--port", "x"], "--port: 'x' is not a number"),
        (["echo", "--port", "70000"], "EXAI_WS_PORT: 70000"),
        (["--url", "ws://h/", "echo", "--port", "1"], "--port: is in --url already"),
        (["echo", "--url", "http://h"], "--url: is not a ws:// or wss:// URL"),
        (["echo", "--url", "ws://h:99999"], "--url: is not a ws:// or wss:// URL"),
        (["echo", "--url", "ws://h/?token=canary"], "--url: carries more than an address"),
        (["echo", "--env-file", "none.env"], "none.env: No such file"),
    ],
)
async def test_usage_errors_before_the_daemon_is_asked(exai: Exai, words: list[str], said: str) -> None:
    code, out, err = await exai(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "canary" not in err


async def test_help_is_made_from_the_schema(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, _ = await exai("--url", daemon.url, "echo_EXAI-WS", "--help")
    assert code == 0
    assert out.startswith("Usage: exai call echo [OPTIONS]\n\n  Does echo.")
    for part in (
        "--prompt TEXT",
        "What to say. [required]",
        "--web-search / --no-web-search",
        "--kind <plan|change>",
    ):
        assert part in out
    assert "--arg-format" in out
    assert not daemon.of("call_tool")


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("fail", "exai: error: fail: EXEC_ERROR: it broke\n"),
        ("late", "exai: error: late: TIMEOUT: too slow\nhint: EXAI_WS_CALL_TIMEOUT is the daemon's limit\n"),
        ("full", "exai: error: full: OVER_CAPACITY: full\nhint: try again later, or let --retry N do it\n"),
        ("anonymous", "exai: error: anonymous: EXEC_ERROR: rate limited\n"),
    ],
)
async def test_a_failed_tool_exits_1(exai: Exai, tool: str, said: str) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, err = await exai("--url", daemon.url, "--format", "json", tool, "--prompt", "p")
        assert (code, err) == (1, said)
        assert json.loads(out)["ok"] is False
        text = await exai("--url", daemon.url, "--format", "text", tool, "--prompt", "p")
        assert text == (1, "", said)


async def test_retry(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, _ = await exai(
            "--url", daemon.url, "busy", "--prompt", "p", "--retry", "1", "--format", "text"
        )
        assert (code, out) == (0, "p\n")
        assert len(daemon.of("call_tool")) == 2
        code, _, err = await exai("--url", daemon.url, "full", "--prompt", "p", "--retry", "2")
        assert code == 1
        assert "OVER_CAPACITY" in err
        assert len(daemon.of("call_tool")) == 5


async def test_a_daemon_that_is_not_there(exai: Exai, unused_port: int) -> None:
    exai.environ["EXAI_WS_PORT"] = str(unused_port)
    code, out, err = await exai("echo", "--prompt", "p")
    assert (code, out) == (3, "")
    assert err == (
        f"exai: error: no daemon at ws://127.0.0.1:{unused_port}/: connection refused\n"
        f"hint: start one with: {EXAI} serve\n"
    )


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "answered HTTP 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a WebSocket server"),
        (b"", "is not a WebSocket server"),
    ],
)
async def test_something_else_on_the_port(exai: Exai, answer: bytes, said: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        code, _, err = await exai("--url", f"ws://127.0.0.1:{port}/", "echo", "--prompt", "p")
    assert code == 3
    assert said in err


HELLO = json.dumps({"op": "hello_ack", "ok": True, "session_id": "s", "resume": "r"})
STRANGE: list[Any] = [None, 3, {"a": 1}, [1], [{}], [{"name": 3}]]
FORM = "its list of tools is not in the protocol's form"


def listed(tools: Any) -> str:
    return json.dumps({"op": "list_tools_res", "tools": tools})


def schema(**parts: Any) -> str:
    return listed([{"name": "echo", "inputSchema": {"properties": {"prompt": {"type": "string"}}, **parts}}])


def prompt(**parts: Any) -> str:
    return schema(properties={"prompt": parts})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"\xff\xff\xff\xff"], "it sent what is no WebSocket frame"),
        ([b"\x83\x01x"], "it sent what is no WebSocket frame"),
        ([b"\x81\x02\xff\xfe"], "it sent a frame that is not UTF-8"),
        ([b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"], "it sent a frame that is larger"),
        (["hello"], "it sent a frame that is no JSON object"),
        (["[1]"], "it sent a frame that is no JSON object"),
        (["9" * 5000], "it sent a frame that is no JSON object"),
        (["[" * 100_000], "it sent a frame that is no JSON object"),
        ([HELLO, "{"], "it sent a frame that is no JSON object"),
        ([HELLO, '{"op": "list_tools_res"}'], FORM),
        *(([HELLO, listed(tools)], FORM) for tools in STRANGE),
        *(([HELLO, listed([{"name": "echo", "inputSchema": s}])], FORM) for s in ("x", [1], 3)),
        ([HELLO, schema(properties=[1])], FORM),
        ([HELLO, schema(properties={"prompt": 1})], FORM),
        ([HELLO, schema(required=3)], FORM),
        ([HELLO, schema(required=[{}])], FORM),
        ([HELLO, prompt(minimum="x")], FORM),
        ([HELLO, prompt(anyOf=[1])], FORM),
        ([HELLO, prompt(enum=3)], FORM),
        ([HELLO, prompt(type={"a": 1})], FORM),
        ([HELLO, schema(), b"\xff\xff"], "it sent what is no WebSocket frame"),
        ([HELLO, schema(), "3"], "it sent a frame that is no JSON object"),
    ],
)
async def test_a_daemon_that_does_not_speak_the_protocol(
    exai: Exai, answers: list[str | bytes], said: str
) -> None:
    async with fake.malformed(*answers) as url:
        code, out, err = await exai("--url", url, "echo", "--prompt", "p")
    assert (code, out) == (3, "")
    first, hint = err.splitlines()
    assert first.startswith(f"exai: error: what answers at {url} does not speak exai's protocol: {said}")
    assert hint.startswith("hint: is another program on that port?")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"op": "call_tool_res", "request_id": "REQUEST", "text": [1], "metadata": [1]}', 0),
        ('{"op": "call_tool_res", "request_id": "REQUEST", "text": "x", "metadata": "abc"}', 0),
        ('{"op": "call_tool_res", "request_id": "REQUEST", "error": "abc"}', 1),
        ('{"op": "call_tool_res", "request_id": "REQUEST", "error": {"code": [1], "hint": [2]}}', 1),
        ('{"op": "call_tool_res", "request_id": "REQUEST", "error": {"retry_after": NaN}}', 1),
        ('{"op": "call_tool_res", "request_id": "REQUEST", "text": "\\ud800"}', 0),
    ],
)
@pytest.mark.parametrize("format_", ["text", "json", "ndjson"])
async def test_a_result_with_strange_parts(exai: Exai, frame: str, code: int, format_: str) -> None:
    async with fake.malformed(HELLO, schema(), frame) as url:
        told = await exai("--url", url, "echo", "--prompt", "p", "--format", format_)
    assert told[0] == code


@pytest.mark.parametrize("parts", [{"items": True, "type": "array"}, {"anyOf": [True, {"type": "null"}]}])
async def test_a_schema_that_takes_anything_is_an_option_for_json(exai: Exai, parts: dict[str, Any]) -> None:
    result = '{"op": "call_tool_res", "request_id": "REQUEST", "text": "x"}'
    async with fake.malformed(HELLO, prompt(**parts), result) as url:
        assert (await exai("--url", url, "echo", "--prompt", "[1]", "--format", "text"))[1] == "x\n"


async def test_a_redirect_is_not_followed(exai: Exai) -> None:
    """The hello carries the token, which is not for whom another server names."""
    async with running(SCRIPTS) as daemon:

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 302 Found\r\nLocation: {daemon.url}\r\nContent-Length: 0\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = str(server.sockets[0].getsockname()[1])
            code, _, err = await exai("--port", port, "echo", "--prompt", "p")
    assert (code, "answered HTTP 302" in err) == (3, True)
    assert daemon.received == []


async def test_a_connection_lost_before_the_result(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, err = await exai("--url", daemon.url, "drop", "--prompt", "p", "--format", "text")
    assert (code, out) == (3, "one\n")
    assert "closed the connection: 1012 restarting\nhint: it is restarting" in err


async def test_the_token_comes_from_the_settings(exai: Exai) -> None:
    async with running(SCRIPTS, token="canary-token") as daemon:
        code, out, err = await exai("--url", daemon.url, "echo", "--prompt", "p")
        assert (code, out) == (2, "")
        assert "EXAI_WS_TOKEN: the daemon at" in err
        (exai.folder / ".env").write_text("EXAI_WS_TOKEN=canary-token\n", encoding="utf-8")
        code, out, err = await exai("--url", daemon.url, "echo", "--prompt", "p")
    assert code == 0
    assert "canary" not in out + err
    assert daemon.of("hello")[-1]["features"] == ["stream", "resume"]


async def test_timeout_behind_streamed_text_on_a_terminal(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        words = ("hang", "--prompt", "p", "--timeout", "0.5", "--format", "text")
        process, terminal = await on_terminal(exai, daemon, *words)
        await terminal.until(lambda text: "0.5 s\r\n" in text)
        assert await finish(process, terminal) == 124
    assert terminal.text == "one\r\nexai: error: no result within 0.5 s\r\n"


async def test_timeout_cancels_and_exits_124(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        words = ("hang", "--prompt", "p", "--timeout", "0.5", "--format", "text")
        code, out, err = await exai("--url", daemon.url, *words)
    assert (code, out) == (124, "one\n")
    assert err == "exai: error: no result within 0.5 s\n"
    assert [m["request_id"] for m in daemon.of("cancel")] == [daemon.of("call_tool")[0]["request_id"]]


async def test_ctrl_c_cancels_and_exits_130(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        process = await exai.start("--url", daemon.url, "hang", "--prompt", "p", start_new_session=True)
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while json.loads(await process.stdout.readline())["op"] != "stream":
                pass
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert process.returncode == 130
    assert json.loads(out)["error"]["code"] == "CANCELLED"
    assert err == b""
    assert len(daemon.of("cancel")) == 1


async def test_detach_and_fetch(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, out, _ = await exai("--url", daemon.url, "hang", "--prompt", "p", "--detach")
        assert code == 0
        request_id = out.strip()
        assert (
            daemon.of("call_tool")[0] | {"request_id": request_id, "detach": True}
            == daemon.of("call_tool")[0]
        )
        (ticket,) = (exai.folder / "state" / "detached").iterdir()
        assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
        for _ in range(2):  # as often as one likes
            assert await exai("--fetch", request_id, "--format", "text") == (0, "at last\n", "")
        port = daemon.url.rstrip("/").rpartition(":")[2]
        assert await exai("--port", port, "--fetch", request_id, "--format", "text") == (0, "at last\n", "")
        assert ticket.exists()
    hello = daemon.of("hello")[-1]
    assert (hello["session_id"], hello["resume"]) == ("s-1", "r" * 32)


async def test_a_ticket_goes_when_the_daemon_knows_the_call_no_more(exai: Exai) -> None:
    scripts = SCRIPTS | {"fetched": fake.failing(code="NOT_FOUND", message="no such call")}
    async with running(scripts) as daemon:
        _, out, _ = await exai("--url", daemon.url, "hang", "--prompt", "p", "--detach")
        code, _, err = await exai("--fetch", out.strip())
        assert (code, "NOT_FOUND: no such call" in err) == (1, True)
        assert list((exai.folder / "state" / "detached").iterdir()) == []


async def test_old_tickets_are_dropped(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        _, first, _ = await exai("--url", daemon.url, "hang", "--prompt", "p", "--detach")
        folder = exai.folder / "state" / "detached"
        os.utime(folder / f"{first.strip()}.json", (1, 1))
        _, second, _ = await exai("--url", daemon.url, "hang", "--prompt", "p", "--detach")
    assert [ticket.stem for ticket in folder.iterdir()] == [second.strip()]


async def test_a_lost_call_says_how_to_fetch_its_result(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        code, _, err = await exai("--url", daemon.url, "drop", "--prompt", "p", "--format", "text")
        (called,) = daemon.of("call_tool")
        request_id = called["request_id"]
        assert (code, f"{EXAI} call --fetch {request_id} tells what became of it" in err) == (3, True)
        assert await exai("--fetch", request_id, "--format", "text") == (0, "at last\n", "")
    assert daemon.of("result")[-1]["request_id"] == request_id


@pytest.mark.parametrize("format_", ["text", "json"])
async def test_a_lost_call_of_a_session_without_a_secret(exai: Exai, format_: str) -> None:
    async with running(SCRIPTS, resume=None) as daemon:
        code, _, err = await exai("--url", daemon.url, "drop", "--prompt", "p", "--format", format_)
    assert (code, "--fetch" in err) == (3, False)


@pytest.mark.parametrize("place", ["before", "after"])
async def test_port(exai: Exai, place: str) -> None:
    async with running(SCRIPTS) as daemon:
        port = ("--port", daemon.url.rstrip("/").rpartition(":")[2])
        words = ("whole", "--prompt", "p", "--format", "text")
        said = await (exai(*port, *words) if place == "before" else exai(*words, *port))
    assert said == (0, "the whole answer\n", "")


async def test_detach_needs_a_session_that_can_be_resumed(exai: Exai) -> None:
    async with running(SCRIPTS, resume=None) as daemon:
        code, _, err = await exai("--url", daemon.url, "hang", "--prompt", "p", "--detach")
    assert code == 1
    assert "cannot resume a session" in err
    assert not daemon.of("call_tool")


async def test_a_reader_that_leaves_ends_the_call(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        read, write = os.pipe()
        os.close(read)
        try:
            process = await exai.start("--url", daemon.url, "hang", "--prompt", "p", stdout=write)
        finally:
            os.close(write)
        async with asyncio.timeout(DEADLINE_S):
            _, err = await process.communicate()
    assert (process.returncode, err) == (141, b"")


# --- on a terminal


class Terminal:
    """A process on a pseudo terminal, and what it wrote there."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.text = ""
        self._more = asyncio.Event()

    def read(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end was closed
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.master)
        self.text += data.decode(errors="replace")
        self._more.set()

    async def until(self, done: Callable[[str], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not done(self.text):
                self._more.clear()
                await self._more.wait()


async def on_terminal(exai: Exai, daemon: Fake, *words: str) -> tuple[asyncio.subprocess.Process, Terminal]:
    terminal = Terminal()
    ends = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.slave)
    process = await exai.start("--url", daemon.url, *words, start_new_session=True, **ends)
    os.close(terminal.slave)
    asyncio.get_running_loop().add_reader(terminal.master, terminal.read)
    return process, terminal


async def finish(process: asyncio.subprocess.Process, terminal: Terminal) -> int | None:
    async with asyncio.timeout(DEADLINE_S):
        await process.wait()
    asyncio.get_running_loop().remove_reader(terminal.master)
    os.close(terminal.master)
    return process.returncode


async def test_a_terminal_gets_text_and_how_to_go_on(exai: Exai) -> None:
    async with running(SCRIPTS) as daemon:
        process, terminal = await on_terminal(exai, daemon, "echo", "--prompt", "say \x1b[31mit")
        await terminal.until(lambda text: "--prompt ..." in text)
        assert await finish(process, terminal) == 0
    assert terminal.text.splitlines() == [
        "say \\x1b[31mit",
        f"[c-1, 39 turns remain] go on: {EXAI} call echo --continuation-id c-1 --prompt ...",
    ]


async def test_a_terminal_shows_the_wait_and_clears_it(exai: Exai) -> None:
    release = asyncio.Event()

    async def slow(daemon: Fake, socket: Any, message: fake.Frame) -> None:
        await fake.accept(socket, message)
        await release.wait()
        await fake.result(socket, message, text="done")

    async with running({"slow": slow}) as daemon:
        process, terminal = await on_terminal(exai, daemon, "slow", "--prompt", "p")
        await terminal.until(lambda text: "1 s  accepted, waiting for the answer" in text)
        release.set()
        await terminal.until(lambda text: "done" in text)
        assert await finish(process, terminal) == 0
    assert terminal.text.replace("\r\n", "\n").endswith("\r\x1b[Kdone\n")
