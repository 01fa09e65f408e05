"""Which Host and Origin are let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.daemon.guard import Guard, refuse

GUARD = Guard(
    hosts=["127.0.0.1", "exai.example"], origins=["https://panel.example", "http://Dev.example:3000/"]
)

LET_IN: list[tuple[str, str | None]] = [
    ("127.0.0.1:8079", None),
    ("127.0.0.1", None),
    ("localhost:8079", None),
    ("LocalHost:8079", None),
    ("[::1]:8079", None),
    ("[::1]", None),
    ("192.0.2.7:8079", None),  # digits cannot be rebound
    ("exai.example", None),
    ("EXAI.example:8079", None),
    ("127.0.0.1:8079", "http://127.0.0.1:8079"),
    ("localhost:8079", "http://localhost:8079"),
    ("localhost:8079", "HTTP://LOCALHOST:8079"),
    ("[::1]:8079", "http://[::1]:8079"),
    ("exai.example", "https://exai.example"),
    ("127.0.0.1:8079", "https://panel.example"),
    ("127.0.0.1:8079", "https://PANEL.example"),
    ("127.0.0.1:8079", "http://dev.example:3000"),
]

REFUSED: list[tuple[str, str | None]] = [
    ("evil.example", None),
    ("evil.example:8079", None),
    ("localhost.evil.example", None),
    ("evil.localhost.example", None),
    ("127.0.0.1.evil.example:8079", None),
    ("127.0.0.1@evil.example", None),
    ("notexai.example", None),
    ("", None),
    (":8079", None),
    ("[", None),
    ("evil.example:8079", "http://evil.example:8079"),  # rebinding: the page and the host agree
    ("127.0.0.1:8079", "http://evil.example"),
    ("127.0.0.1:8079", "http://evil.example:8079"),
    ("127.0.0.1:8079", "null"),
    ("127.0.0.1:8079", ""),
    ("127.0.0.1:8079", "file://"),
    ("127.0.0.1:8079", "chrome-extension://abc"),
    ("127.0.0.1:8079", "http://127.0.0.1:3000"),  # another port is another origin
    ("127.0.0.1:8079", "http://127.0.0.1"),
    ("127.0.0.1:8079", "http://localhost:8079"),
    ("127.0.0.1:8079", "ftp://127.0.0.1:8079"),
    ("127.0.0.1:8079", "http://127.0.0.1:8079.evil.example"),
    ("127.0.0.1:8079", "http://127.0.0.1:8079@evil.example"),
    ("127.0.0.1:8079", "http://panel.example"),  # the other scheme
    ("127.0.0.1:8079", "https://panel.example:8443"),
    ("127.0.0.1:8079", "https://panel.example.evil.example"),
    ("127.0.0.1:8079", "http://dev.example"),
    ("127.0.0.1:8079", "http://["),
    ("127.0.0.1:8079", "http://[::1"),
    ("127.0.0.1:8079", "http://[evil]:8079"),
    ("127.0.0.1:8079", "http://127.0.0.1:8079 http://evil.example"),
]


def headers(*pairs: tuple[str, str | None]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs if value is not None]


@pytest.mark.parametrize(("host", "origin"), LET_IN)
def test_let_in(host: str, origin: str | None) -> None:
    assert GUARD.refusal(headers(("host", host), ("origin", origin))) is None


@pytest.mark.parametrize(("host", "origin"), REFUSED)
def test_refused(host: str, origin: str | None) -> None:
    refusal = GUARD.refusal(headers(("host", host), ("origin", origin)))
    assert refusal is not None
    assert ("EXAI_ALLOWED_ORIGINS" if host == "127.0.0.1:8079" else "EXAI_ALLOWED_HOSTS") in refusal


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("origin", "http://127.0.0.1:8079")],
        [("host", "127.0.0.1"), ("host", "127.0.0.1")],
        [("host", "127.0.0.1"), ("host", "evil.example")],
        [
            ("host", "127.0.0.1:8079"),
            ("origin", "http://127.0.0.1:8079"),
            ("origin", "http://evil.example"),
        ],
    ],
)
def test_missing_or_doubled(pairs: list[tuple[str, str | None]]) -> None:
    assert "exactly one Host" in str(GUARD.refusal(headers(*pairs)))


def test_any_host_when_asked_for() -> None:
    assert Guard(hosts=["*"], origins=[]).refusal(headers(("host", "any.example"))) is None
    assert Guard(hosts=["*"], origins=[]).refusal(
        headers(("host", "any.example"), ("origin", "http://evil.example"))
    )


@given(st.text(alphabet=st.characters(max_codepoint=255)), st.text(alphabet="[]:/@.htp%1localhost \t\0é"))
def test_any_header_is_judged(host: str, origin: str) -> None:
    for pairs in (
        [("host", host), ("origin", origin)],
        [("host", "localhost"), ("origin", f"http://{origin}")],
    ):
        refusal = GUARD.refusal([(name.encode(), value.encode("latin-1")) for name, value in pairs])
        assert refusal is None or "\n" not in refusal


@pytest.mark.parametrize(
    ("kind", "prefix"), [("http", "http.response"), ("websocket", "websocket.http.response")]
)
async def test_a_refusal_on_the_wire(kind: str, prefix: str) -> None:
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    await refuse({"type": kind}, send, 403, "no")
    assert [message["type"] for message in sent] == [f"{prefix}.start", f"{prefix}.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (403, b"no\n")
