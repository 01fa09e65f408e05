"""Names of models lead to a provider, or to an error that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from exai_ops.errors import ModelNotFound, ProviderAuthError
from exai_ops.providers.router import Providers
from exai_ops.settings import Secret, Settings

KEY = Secret("sk-0123456789abcdef")
BOTH: dict[str, Any] = {"kimi_api_key": KEY, "glm_api_key": KEY}


def providers(*, simulated: bool = False, **fields: Any) -> Providers:
    return Providers(Settings(**fields), simulated_base_url="http://127.0.0.1:1/" if simulated else None)


@pytest.mark.parametrize(
    ("fields", "model", "provider", "name"),
    [
        (BOTH, None, "kimi", "kimi-k2-0905-preview"),
        (BOTH, "", "kimi", "kimi-k2-0905-preview"),
        (BOTH, " Auto ", "kimi", "kimi-k2-0905-preview"),
        (BOTH | {"default_provider": "glm"}, None, "glm", "glm-4.6"),
        ({"glm_api_key": KEY}, None, "glm", "glm-4.6"),
        (BOTH, "glm", "glm", "glm-4.6"),
        (BOTH, "Kimi", "kimi", "kimi-k2-0905-preview"),
        (BOTH, "GLM-4.5-AIR", "glm", "glm-4.5-air"),
        (BOTH, "kimi-new", "kimi", "kimi-new"),
        (BOTH | {"glm_model": "my-tuned"}, "my-tuned", "glm", "my-tuned"),
        (BOTH | {"glm_model": "my-tuned"}, "glm", "glm", "my-tuned"),
    ],
)
def test_resolve(fields: dict[str, Any], model: str | None, provider: str, name: str) -> None:
    found = providers(**fields).resolve(model)
    assert (found.provider, found.name, found.simulated) == (provider, name, False)


@pytest.mark.parametrize(
    ("fields", "model", "kind", "message", "hint"),
    [
        (BOTH, "glm4.6", ModelNotFound, "nearest is glm-4.6", "listmodels"),
        (BOTH, "x" * 5000, ModelNotFound, "no model is named", "listmodels"),
        (BOTH, "a\nb", ModelNotFound, "'a b'", "listmodels"),
        ({}, None, ProviderAuthError, "no provider has a key", "KIMI_API_KEY or GLM_API_KEY"),
        ({"kimi_api_key": KEY}, "glm-4.6", ProviderAuthError, "glm-4.6 is a model of glm", "GLM_API_KEY"),
        ({"glm_api_key": KEY}, "kimi", ProviderAuthError, "no key", "KIMI_API_KEY"),
    ],
)
def test_no_way(
    fields: dict[str, Any], model: str | None, kind: type[Exception], message: str, hint: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        providers(**fields).resolve(model)
    assert hint in (getattr(caught.value, "hint", "") or "")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("fields", "model", "expected"),
    [
        (BOTH, None, ["kimi", "glm"]),
        (BOTH | {"default_provider": "glm"}, "auto", ["glm", "kimi"]),
        ({"glm_api_key": KEY}, None, ["glm"]),
        (BOTH, "glm-4.6", ["glm"]),
        (BOTH, "kimi", ["kimi"]),
    ],
)
def test_candidates(fields: dict[str, Any], model: str | None, expected: list[str]) -> None:
    assert [provider for provider, _ in providers(**fields).candidates(model)] == expected


def test_without_a_key_nothing_is_usable() -> None:
    bare = providers()
    assert not bare.usable()
    assert bare.models() == []
    assert [(state.name, state.configured) for state in bare.states()] == [("kimi", False), ("glm", False)]


def test_the_simulator_answers_for_both_and_says_so() -> None:
    simulated = providers(simulated=True)
    assert simulated.usable()
    assert all(model.simulated for model in simulated.models())
    assert len(simulated.models()) == 12
    assert [state.base_url for state in simulated.states()] == [
        "http://127.0.0.1:1/kimi/v1",
        "http://127.0.0.1:1/glm/v4",
    ]
    assert all(state.simulated and state.configured for state in simulated.states())


def test_models_are_those_that_can_be_asked() -> None:
    names = [model.name for model in providers(glm_api_key=KEY, glm_model="my-tuned").models()]
    assert "my-tuned" in names
    assert "kimi-latest" not in names


def test_states_do_not_show_the_key() -> None:
    both = providers(**BOTH)
    assert KEY.reveal() not in repr(both.states())
    assert KEY.reveal() not in repr([vars(both), both.states()])
