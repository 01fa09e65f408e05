from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from exai_ops.errors import ToolNotFound
from exai_ops.tools import registry
from exai_ops.tools.registry import BUILT_IN, SUFFIXES, Registry, ToolProblem, load_tools

ROOT = Path(__file__).parents[2]
GOOD = """
from exai_ops.tools.api import tool

@tool(description="Says hello.", needs_provider=False)
async def greet(ctx, *, name: str = "you") -> str:
    return f"hello {name}"

not_a_tool = 42
"""


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of imports: the packages in it are the only ones that offer tools.

    What else is installed where the tests run is not what they are about.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def found(*, group: str) -> list[importlib.metadata.EntryPoint]:
        offers = importlib.metadata.distributions(path=[str(tmp_path)])
        return [entry for offer in offers for entry in offer.entry_points.select(group=group)]

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    return tmp_path


def install(folder: Path, name: str, module: str, source: str, *entries: str) -> None:
    """Put a package there as an installer would: a module, and metadata that offers tools."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exai_ops.tools]\n" + "\n".join(entries) + "\n")


def test_a_package_adds_its_tool_under_the_entry_points_name(packages: Path) -> None:
    install(packages, "greeter", "greeter_ok", GOOD, "hello = greeter_ok:greet")
    tools = load_tools()
    assert tools.problems == ()
    assert tools.resolve("hello").name == "hello"
    assert [tool.name for tool in tools] == [*BUILT_IN, "hello"]


@pytest.mark.parametrize(
    ("source", "entry", "error"),
    [
        ("raise RuntimeError('boom')", "mine = broken_a:x", "RuntimeError: boom"),
        ("raise SystemExit(3)", "mine = broken_b:x", "SystemExit: 3"),
        ("import not_there_at_all", "mine = broken_c:x", "ModuleNotFoundError: No module named 'not_there"),
        ("x = 1 +", "mine = broken_d:x", "SyntaxError: "),
        ("", "mine = broken_e:x", "AttributeError: "),
        ("x = 42", "mine = broken_f:x", "broken_f:x is a int, not a tool; decorate it with @tool"),
        (GOOD, "my tool = broken_g:greet", "the name must be 1 to 64 of A-Z, a-z, 0-9, _ and -"),
        (GOOD, "chat = broken_h:greet", "the name belongs to a built-in tool, which is served"),
    ],
)
def test_a_broken_tool_is_named_and_stops_no_other(
    packages: Path, source: str, entry: str, error: str
) -> None:
    name, target = entry.split(" = ")
    module = target.partition(":")[0]
    install(packages, "broken-tools", module, source, entry)
    install(packages, "greeter", f"good_beside_{module}", GOOD, f"hello = good_beside_{module}:greet")
    tools = load_tools()
    (problem,) = tools.problems
    assert (problem.name, problem.distribution) == (name, "broken-tools")
    assert problem.error.startswith(error)
    assert len(tools) == len(BUILT_IN) + 1
    assert tools.resolve("chat").function.__module__ == "exai_ops.tools.chat"


def test_of_two_packages_with_one_name_one_is_served_and_the_other_named(packages: Path) -> None:
    install(packages, "first", "greeter_first", GOOD, "hello = greeter_first:greet")
    install(packages, "second", "greeter_second", GOOD, "hello = greeter_second:greet")
    tools = load_tools()
    assert len(tools) == len(BUILT_IN) + 1
    assert [p.error for p in tools.problems] == [
        "the name belongs to another package's tool, which is served"
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("ValueError: no", "mine, of their-tools: ValueError: no"),
        ("ValueError: a\n  b\tc", "mine, of their-tools: ValueError: a b c"),
    ],
)
def test_a_problem_is_said_in_one_line(error: str, line: str) -> None:
    assert str(ToolProblem(name="mine", distribution="their-tools", error=error)) == line


def test_built_in_tools_need_no_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())
    assert [tool.name for tool in load_tools()] == list(BUILT_IN)


def test_the_project_declares_the_built_in_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][registry.GROUP] == BUILT_IN


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
@pytest.mark.parametrize("name", list(BUILT_IN))
def test_a_name_is_found_with_and_without_a_suffix(name: str, suffix: str) -> None:
    assert load_tools().resolve(name + suffix).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chta", "no tool is named chta; did you mean chat?"),
        ("consul_EXAI-WS", "no tool is named consul_EXAI-WS; did you mean consult?"),
        ("zzz", "no tool is named zzz; there are chat, consult, listmodels, status, version"),
        ("", "no tool is named ; there are chat,"),
        ("x" * 999, "no tool is named " + "x" * 80 + "...; there are"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ToolNotFound) as caught:
        load_tools().resolve(name)
    assert str(caught.value).startswith(message)


def test_tools_are_described_for_a_client_and_encoded_once() -> None:
    tools = load_tools()
    described = tools.describe()
    assert [set(entry) for entry in described] == [{"name", "description", "inputSchema"}] * len(tools)
    assert all(entry["description"] for entry in described)
    assert msgspec.json.decode(tools.describe_json()) == described
    assert tools.describe() is described
    assert tools.describe_json() is tools.describe_json()


def test_which_tools_ask_a_model() -> None:
    asks = {tool.name: (tool.needs_provider, tool.needs_permit, tool.model_argument) for tool in load_tools()}
    assert asks == {"chat": (True, True, "model"), "consult": (True, True, "model")} | dict.fromkeys(
        ("listmodels", "status", "version"), (False, False, None)
    )


def test_every_parameter_of_a_built_in_tool_has_a_description() -> None:
    for tool in load_tools():
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), f"{tool.name}: {name}"


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(ToolNotFound, match="no tool is named chat"):
        Registry([]).resolve("chat")


def test_loading_the_tools_imports_nothing_heavy() -> None:
    source = "import sys; from exai_ops.tools.registry import load_tools; load_tools(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    heavy = {
        "aiohttp",
        "httpx",
        "starlette",
        "uvicorn",
        "pydantic",
        "redis",
        "supabase",
        "mcp",
        "exai_ops.daemon",
    }
    assert not heavy & set(loaded.stdout.split())
