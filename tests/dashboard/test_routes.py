"""What the dashboard's routes answer, without a browser."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from exai_ops.daemon.logins import TRIES
from exai_ops.dashboard import assets

from .conftest import TOKEN
from .live_daemon import LiveDaemon, live_daemon

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def http(guarded: LiveDaemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url, trust_env=False) as client:
        yield client


def login(http: httpx.Client, token: str = TOKEN, query: str = "", **headers: str) -> httpx.Response:
    return http.post(f"/dashboard/login{query}", data={"token": token}, headers=headers)


@pytest.mark.parametrize(
    "path", ["/dashboard", "/dashboard/session", "/dashboard/static/app.js", "/trace/r1"]
)
def test_headers_that_keep_a_page_safe(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == ("no-cache" if "static" in path else "no-store")


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    for name, asset in assets.load().items():
        text = asset.body.decode()
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text), name
        if name != assets.CHARTS:
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), (
                name
            )
        if name.endswith((".html", ".css")):
            assert "//" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL), name


def test_files_are_compressed_and_known_again(http: httpx.Client) -> None:
    path = "/dashboard/static/app.js"
    first = http.get(path)
    assert first.headers["Content-Encoding"] == "gzip"
    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    again = http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = http.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.text == first.text


@pytest.mark.parametrize(
    "name", ["index.html", "login.html", "nothing.js", "../assets.py", "%2e%2e/assets.py", ""]
)
def test_no_other_file_is_served(http: httpx.Client, name: str) -> None:
    assert http.get(f"/dashboard/static/{name}").status_code == 404


def test_assets_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "index.html").write_text('<meta name="charts" content="no">' + "x" * 5000)
    (tmp_path / "notes.md").write_text("no type that is served")
    found = assets.load(tmp_path)
    assert set(found) == {"index.html"}
    assert b'content="no"' in found["index.html"].body
    (tmp_path / "vendor/chart.js").write_text("1")
    with_charts = assets.load(tmp_path)
    page = with_charts["index.html"]
    assert b'content="yes"' in page.body
    assert page.compressed is not None
    assert gzip.decompress(page.compressed) == page.body
    assert page.etag != found["index.html"].etag
    assert with_charts["vendor/chart.js"].compressed is None


def test_who_has_not_shown_the_token_sees_a_login_and_nothing_else(http: httpx.Client) -> None:
    page = http.get("/dashboard?type=kimi")
    assert (page.status_code, 'name="token"' in page.text) == (200, True)
    assert http.get("/dashboard/session").json() == {"in": False, "login": True}
    assert http.get("/trace/r1").status_code == 401
    assert http.get("/trace/r1", headers=BEARER).json() == {"calls": [], "more": 0}
    assert 'id="tiles"' in http.get("/dashboard", headers=BEARER).text


def test_the_cookie_holds_no_token_and_opens_what_only_shows(http: httpx.Client, guarded: LiveDaemon) -> None:
    done = login(http, query="?type=kimi&grep=a%26b", Origin=guarded.url)
    assert (done.status_code, done.headers["Location"]) == (303, "/dashboard?type=kimi&grep=a%26b")
    cookie = done.headers["Set-Cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert guarded.url.rpartition(":")[2] in cookie.partition("=")[0]
    assert 'id="tiles"' in http.get("/dashboard").text
    assert http.get("/dashboard/session").json()["in"] is True
    assert http.get("/trace/r1").status_code == 200
    assert [http.get(path).status_code for path in ("/status", "/permits", "/metrics", "/mcp")] == [401] * 4
    stolen = dict(http.cookies)
    assert http.post("/dashboard/logout", headers={"Origin": guarded.url}).status_code == 303
    http.cookies.update(stolen)
    assert http.get("/dashboard/session").json()["in"] is False


def test_a_cookie_of_a_page_over_https_is_secure(http: httpx.Client, guarded: LiveDaemon) -> None:
    done = login(http, Origin=guarded.url.replace("http:", "https:"))
    assert "Secure" in done.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_nobody_is_logged_in_or_out_from_elsewhere(http: httpx.Client, headers: dict[str, str]) -> None:
    refused = login(http, **headers)
    assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
    assert login(http).status_code == 303
    http.post("/dashboard/logout", headers=headers)
    assert http.get("/dashboard/session").json()["in"] is True


@pytest.mark.parametrize(
    "body",
    [b"", b"token=", b"token", b"tok", b"\xff\xfe", b"token=" + b"x" * 9000, b"&".join([b"a=1"] * 50), b"{}"],
)
def test_a_form_that_is_none(guarded: LiveDaemon, body: bytes) -> None:
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")  # an address with tries of its own
    with httpx.Client(transport=elsewhere, trust_env=False) as client:
        answer = client.post(f"{guarded.url}/dashboard/login", content=body)
    assert answer.status_code == 401
    assert "That is not the token." in answer.text


def test_guessing_is_slow_and_the_right_token_tells_nothing_meanwhile(tmp_path: Path) -> None:
    with (
        live_daemon(tmp_path, TOKEN) as daemon,
        httpx.Client(base_url=daemon.url, trust_env=False) as http,
    ):
        assert [login(http, f"wrong-{n}").status_code for n in range(TRIES)] == [401] * TRIES
        refused = login(http)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert "Set-Cookie" not in refused.headers
        assert http.get("/dashboard", headers=BEARER).status_code == 200


def test_without_a_token_there_is_nothing_to_log_in_to(live: LiveDaemon) -> None:
    with httpx.Client(base_url=live.url, trust_env=False) as http:
        assert http.get("/dashboard/session").json() == {"in": True, "login": False}
        assert 'id="tiles"' in http.get("/dashboard").text
        assert "Set-Cookie" not in login(http, "anything").headers


def test_a_trace_is_of_the_very_request_or_of_what_begins_so(live: LiveDaemon) -> None:
    sessions = {live.call(name) for name in ("t/1", "t/10", "t/11")}
    with httpx.Client(base_url=live.url, trust_env=False) as http:
        (call,) = http.get("/trace/t%2F1").json()["calls"]
        assert (call["request"], {call["session"]}) == ("t/1", sessions)
        assert call["spans"][0]["name"] == "chat"
        assert {"started_at", "duration_ms", "depth", "error", "open", "detail"} < set(call["spans"][0])
        assert [one["request"] for one in http.get("/trace/t%2F").json()["calls"]] == ["t/11", "t/10", "t/1"]
        assert http.get("/trace/t%2F1?session=other").json()["calls"] == []
