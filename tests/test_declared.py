"""Settings as values: frozen, compared and shown by their fields, none that is not declared."""

from __future__ import annotations

from typing import Any

import pytest

from exai_ops.settings import VARIABLES, Secret, Settings


def test_fields_have_the_defaults_of_their_variables() -> None:
    settings = Settings()
    assert [getattr(settings, variable.field) for variable in VARIABLES] == [v.default for v in VARIABLES]
    assert [variable.field for variable in VARIABLES] == list(Settings.__annotations__)


def test_they_are_frozen() -> None:
    settings: Any = Settings(ws_port=1)
    with pytest.raises(AttributeError, match="frozen: ws_port"):
        settings.ws_port = 2
    with pytest.raises(AttributeError, match="frozen: ws_port"):
        del settings.ws_port
    assert settings.ws_port == 1


@pytest.mark.parametrize("make", [Settings, Settings().but])
def test_no_other_fields_are_taken(make: Any) -> None:
    with pytest.raises(TypeError, match="Settings has no field ws_prot"):
        make(ws_prot=1)


def test_equal_values_are_equal() -> None:
    one = Settings(ws_port=1, kimi_api_key=Secret("k"))
    assert one == Settings(kimi_api_key=Secret("k")).but(ws_port=1)
    assert hash(one) == hash(one.but())
    assert one != one.but(ws_port=2)
    assert Settings(ws_port=8079) == Settings()
    assert one != "Settings"


def test_secrets_are_not_shown() -> None:
    text = repr(Settings(kimi_api_key=Secret("k-123")))
    assert text.startswith("Settings(ws_host='127.0.0.1', ws_port=8079")
    assert "k-123" not in text
