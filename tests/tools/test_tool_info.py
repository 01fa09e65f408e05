from __future__ import annotations

import platform

from tool_fakes import FakeContext

import exai_ops
from exai_ops.providers.types import ModelInfo
from exai_ops.tools.info import listmodels, outline, status, version


async def test_listmodels_is_a_table_and_a_list() -> None:
    result = await listmodels.run(FakeContext(), {})
    assert result.text.splitlines() == [
        "model  provider  context",
        "large  glm       100,000  thinking",
        "small  kimi          400",
    ]
    assert result.structured == {
        "models": [
            {
                "name": "large",
                "provider": "glm",
                "context_tokens": 100_000,
                "thinking": True,
                "vision": False,
                "simulated": False,
            },
            {
                "name": "small",
                "provider": "kimi",
                "context_tokens": 400,
                "thinking": False,
                "vision": False,
                "simulated": False,
            },
        ]
    }


async def test_a_simulated_model_is_named_as_such() -> None:
    ctx = FakeContext()
    ctx.known = {"m": ModelInfo(name="m", provider="glm", context_tokens=8, vision=True, simulated=True)}
    result = await listmodels.run(ctx, {})
    assert result.text.splitlines()[1] == "m      glm             8  simulated, vision"


async def test_no_models_is_said_in_words() -> None:
    ctx = FakeContext()
    ctx.known = {}
    result = await listmodels.run(ctx, {})
    assert result.text == "no model can be asked for: no provider is configured"
    assert result.structured == {"models": []}


async def test_version_names_exai_python_and_the_protocol() -> None:
    result = await version.run(FakeContext(), {})
    expected = {"exai": exai_ops.__version__, "python": platform.python_version(), "protocol": "1"}
    assert result.structured == expected
    assert result.text == f"exai {exai_ops.__version__}, python {platform.python_version()}, protocol 1"


async def test_status_is_the_daemons_state() -> None:
    ctx = FakeContext()
    result = await status.run(ctx, {})
    assert result.structured == ctx.status()
    assert result.text.splitlines() == [
        "uptime_s: 1.5",
        "sessions: 2",
        "permits:",
        "  global:",
        "    held: 1",
        "    limit: 24",
        "queue: none",
    ]


def test_an_outline_of_lists_and_plain_values() -> None:
    state: dict[str, object] = {
        "providers": [{"name": "kimi", "up": True}, "glm"],
        "error": None,
        "share": 0.25,
        "empty": {},
    }
    assert list(outline(state)) == [
        "providers:",
        "  - name kimi, up yes",
        "  - glm",
        "error: -",
        "share: 0.25",
        "empty: none",
    ]
