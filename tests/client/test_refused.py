"""A hello that is not let in: what the person is told."""

from __future__ import annotations

import pytest

from exai_ops.client.connection import _refused
from exai_ops.client.target import Target
from exai_ops.settings import load


@pytest.mark.parametrize(
    ("error", "message", "said"),
    [
        ("unauthorized", "", "EXAI_WS_TOKEN: the daemon"),
        ("unauthorized", "unknown session", "does not take this session up again: unknown session"),
        ("invalid_hello", "", "refused hello: invalid_hello"),
        ("", "", "refused hello: without a reason"),
    ],
)
def test_each_refusal_says_its_own_reason(error: str, message: str, said: str) -> None:
    assert said in str(_refused(Target.of(load({})), error, message))
