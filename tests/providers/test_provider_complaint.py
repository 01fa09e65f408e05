"""What a provider says in refusing is read whatever it sent, and never shows the key."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from exai_ops.providers.complaint import MAX_MESSAGE, read, retry_after
from exai_ops.settings import Secret

KEY = Secret("sk-0123456789abcdef")
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"message":"no","type":"t"}}', "no", "t"),
        (b'{"error":{"message":"no","code":"1302","type":"t"}}', "no", "1302"),
        (b'{"error":{"message":"no","code":1302}}', "no", "1302"),
        (b'{"error":"no"}', "no", None),
        (b'{"code":500,"msg":"404 NOT_FOUND","success":false}', "404 NOT_FOUND", "500"),
        (b'{"detail":"no"}', "no", None),
        (b'{"error":{"message":["x"],"code":true}}', "", None),
        (b'{"error":null,"message":"no"}', "no", None),
        (b'"no"', "no", None),
        (b"[1]", "", None),
        (b"", "", None),
        (b"<html><body><h1>502</h1>Bad\r\n Gateway</body></html>", "502 Bad Gateway", None),
        (b"\xff\xfe\x00", "\ufffd\ufffd", None),
        (b'{"error":{"message":"a\\u001b[31m\\u202eb\\nc"}}', "a [31m b c", None),
        (b"[" * 60_000, "[" * (MAX_MESSAGE - 1) + "…", None),
        (b'{"error":' * 10_000, None, None),
    ],
)
def test_message_and_code(body: bytes, message: str | None, code: str | None) -> None:
    said = read({}, body, KEY)
    assert said.code == code
    assert len(said.message) <= MAX_MESSAGE
    if message is not None:
        assert said.message == message


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error":{{"message":"bad key {KEY.reveal()} here","code":"{KEY.reveal()}"}}}}',
        f"<p>{KEY.reveal()}</p>",
        " " * 5990 + KEY.reveal(),
        "x" * 290 + KEY.reveal(),
        msgspec.json.encode({"error": KEY.reveal()}).decode().replace("sk", "\\u0073\\u006b"),
    ],
)
def test_the_key_is_cut_out(body: str) -> None:
    said = read({}, body.encode(), KEY)
    shown = said.message + (said.code or "")
    assert not any(KEY.reveal()[:n] in shown for n in range(6, len(KEY.reveal())))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": "0.05"}, 0.05),
        ({"Retry-After": "-1"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e999"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999"}, 604_800.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"Retry-After": "Tue, 99 Nov 2023 22:13:30 GMT"}, None),
        ({"X-RateLimit-Reset": "1700000007"}, 7.0),
        ({"X-RateLimit-Reset": "1700000007000"}, 7.0),
        ({"X-RateLimit-Reset-Requests": "1m30s", "X-RateLimit-Reset-Tokens": "250ms"}, 90.0),
        ({"X-RateLimit-Reset": "9", "Retry-After": "3"}, 3.0),
    ],
)
def test_when_to_ask_again(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(CIMultiDict(headers), NOW) == wait


@given(st.text(), st.binary(max_size=300))
def test_nothing_that_is_sent_breaks_it(header: str, body: bytes) -> None:
    said = read({"Retry-After": header}, body, KEY)
    assert "\n" not in said.message
    assert len(said.message) <= MAX_MESSAGE
