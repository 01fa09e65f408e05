"""Names of models find their provider and window."""

from __future__ import annotations

import pytest

from exai_ops.providers.models import MODELS, find, of_provider


@pytest.mark.parametrize(
    ("name", "provider", "tokens"),
    [
        ("kimi-k2-0905-preview", "kimi", 262_144),
        ("KIMI-LATEST", "kimi", 131_072),
        ("moonshot-v1-8k", "kimi", 8_192),
        ("moonshot-v1-32k", "kimi", 32_768),
        ("moonshot-v1-128k", "kimi", 131_072),
        ("glm-4.6", "glm", 200_000),
        ("glm-4.5v", "glm", 65_536),
        ("kimi-k9", "kimi", 32_768),
        ("moonshot-v9", "kimi", 8_192),
        ("glm-9", "glm", 32_768),
    ],
)
def test_known_and_new_names(name: str, provider: str, tokens: int) -> None:
    found = find(name)
    assert found is not None
    assert (found.provider, found.context_tokens) == (provider, tokens)


@pytest.mark.parametrize("name", ["", "glm", "glm-", "gpt-4", "kimi", "xkimi-1"])
def test_strangers(name: str) -> None:
    assert find(name) is None


def test_names_are_unique_and_one_sees() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS) == 12
    assert [model.name for model in MODELS if model.vision] == ["glm-4.5v"]


def test_a_default_may_have_any_name() -> None:
    assert of_provider("ft:mine", "glm").provider == "glm"
    assert of_provider("glm-4.6", "glm").context_tokens == 200_000
