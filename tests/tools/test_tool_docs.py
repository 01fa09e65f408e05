from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from tool_fakes import FakeContext

from exai_ops.tools.registry import SUFFIXES, load_tools
from exai_ops.tools.review import Remark, Review

DOC = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()


async def test_the_example_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    module = types.ModuleType("documented_tool")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, "docs/tools.md", "exec"), vars(module))
    ctx = FakeContext("Good day")
    result = await module.translate.run(ctx, {"text": "Guten Tag", "model": "large"})
    assert (result.text, result.metadata) == ("Good day", {"model": "large"})
    assert module.translate.model_argument == "model"
    assert ctx.said()[1] == ("user", "Guten Tag")


@pytest.mark.parametrize("name", ["chat", "consult", "listmodels", "status", "version"])
def test_each_built_in_tool_is_listed_with_its_arguments(name: str) -> None:
    (arguments,) = re.findall(rf"^\| `{name}` \| (.*?)\|", DOC, re.MULTILINE)
    documented = re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", arguments))
    assert documented == list(load_tools().resolve(name).input_schema["properties"])


@pytest.mark.parametrize("word", [*SUFFIXES, *Review.__struct_fields__, *Remark.__struct_fields__])
def test_the_words_of_the_interface_are_documented(word: str) -> None:
    assert f"`{word}`" in DOC
