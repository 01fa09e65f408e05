"""What the rules of meaning and secrets find in the two real pairs: all of it, and nothing else.

The secrets of the real files are replaced by x, which counts as a placeholder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exai_ops.env.code import CodeUse, Read
from exai_ops.env.rules import RULES
from exai_ops.env.rules.table import Context
from exai_ops.env.runner import run
from exai_ops.findings import Finding, Status
from exai_ops.settings import VARIABLES

from .cases import EXAMPLE, LIVE, document
from .compose_cases import load

DATA = Path(__file__).parent / "data"
OCTOBER, NOVEMBER = "2025-10-18", "2025-11-16"
FILES = {OCTOBER: ".env.docker.template", NOVEMBER: ".env.docker"}
KNOWN = {name: variable for variable in VARIABLES for name in variable.names}

EXPECTED = {
    OCTOBER: """
        ENV202 warning .env.example 154 EXAI_WS_COMPAT_TEXT
        ENV202 warning .env.example 155 EX_ENSURE_NONEMPTY_FIRST
        ENV202 warning .env.example 419 MESSAGE_BUS_ENABLED
        ENV202 warning .env.example 420 MESSAGE_BUS_TTL_HOURS
        ENV202 warning .env.example 421 MESSAGE_BUS_MAX_PAYLOAD_MB
        ENV202 warning .env.example 422 MESSAGE_BUS_COMPRESSION
        ENV202 warning .env.example 423 MESSAGE_BUS_CHECKSUM_ENABLED
        ENV202 warning .env.example 444 PERFORMANCE_METRICS_ENABLED
        ENV202 warning .env.example 446 METRICS_JSON_ENDPOINT_ENABLED
        ENV202 warning .env.example 447 METRICS_JSON_PORT
        ENV202 warning .env.docker 133 EXAI_WS_COMPAT_TEXT
        ENV202 warning .env.docker 134 EX_ENSURE_NONEMPTY_FIRST
        ENV202 warning .env.docker 183 MONITORING_PORT
        ENV202 warning .env.docker 184 MONITORING_ENABLED
        ENV202 warning .env.docker 185 MONITORING_HOST
        ENV202 warning .env.docker 189 HEALTH_CHECK_PORT
        ENV202 warning .env.docker 190 HEALTH_CHECK_ENABLED
        ENV202 warning .env.docker 191 HEALTH_CHECK_HOST
        ENV202 warning .env.docker 194 METRICS_PORT
        ENV202 warning .env.docker 195 METRICS_ENABLED
        ENV202 warning .env.docker 447 PERFORMANCE_METRICS_ENABLED
        ENV202 warning .env.docker 449 METRICS_JSON_ENDPOINT_ENABLED
        ENV202 warning .env.docker 450 METRICS_JSON_PORT
        ENV207 error .env.example 149 EXAI_WS_INFLIGHT_TTL_SECS
        ENV207 error .env.docker 128 EXAI_WS_INFLIGHT_TTL_SECS
        ENV208 info .env.example 177 EXAI_WS_PING_INTERVAL
        ENV303 error .env.docker 206 KIMI_API_KEY
        ENV303 error .env.docker 216 GLM_API_KEY
        ENV303 error .env.docker 221 ZHIPUAI_API_KEY
        ENV303 error .env.docker 400 REDIS_PASSWORD
        ENV303 warning .env.docker 401 REDIS_URL
        ENV303 warning .env.docker 426 SUPABASE_URL
        ENV303 error .env.docker 427 SUPABASE_ANON_KEY
        ENV303 error .env.docker 428 SUPABASE_SERVICE_ROLE_KEY
        ENV303 error .env.docker 429 SUPABASE_JWT_SECRET
        ENV303 warning .env.docker 430 SUPABASE_PROJECT_ID
        ENV303 error .env.docker 433 SUPABASE_KEY
        ENV304 warning .env.docker 124 EXAI_WS_TOKEN
        """,
    NOVEMBER: """
        ENV202 warning .env.docker 18 EXAI_WS_MAX_MSG_BYTES
        ENV202 warning .env.docker 19 EXAI_WS_CLOSE_TIMEOUT
        ENV202 warning .env.docker 21 EXAI_WS_DAEMON_TIMEOUT
        ENV303 error .env.docker 56 MINIMAX_API_KEY
        ENV303 error .env.docker 93 JWT_SECRET_KEY
        ENV303 error .env.docker 120 GLM_API_KEY
        ENV303 error .env.docker 123 KIMI_API_KEY
        ENV303 error .env.docker 126 EXAI_WS_TOKEN
        ENV303 warning .env.docker 131 SUPABASE_URL
        ENV303 error .env.docker 132 SUPABASE_ACCESS_TOKEN
        ENV303 error .env.docker 133 SUPABASE_ANON_KEY
        ENV303 error .env.docker 134 SUPABASE_SERVICE_ROLE_KEY
        ENV303 warning .env.docker 141 REDIS_URL
        ENV303 error .env.docker 142 REDIS_PASSWORD
        ENV303 error .env.docker 147 MINIMAX_M2_KEY
        """,
}


def judged(name: str, *, with_project: bool = True, code: CodeUse | None = None) -> list[Finding]:
    """What the two rooms find in a pair, whose files git tracks."""
    example, live = ((DATA / name / file).read_bytes() for file in (EXAMPLE, FILES[name]))
    context = Context(
        example=document(example, EXAMPLE),
        live=document(live, LIVE),
        project=load(str(DATA / name / "docker-compose.yml")) if with_project else None,
        variables=KNOWN,
        tracked=frozenset({EXAMPLE, LIVE}),
        code=code,
    )
    return run([rule for rule in RULES if rule.code[:4] in ("ENV2", "ENV3")], context)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def said(findings: list[Finding]) -> Iterator[list[str]]:
    for f in sorted(findings, key=lambda f: (f.code, f.where.file != EXAMPLE, f.where.line or 0)):
        if f.status is not Status.SKIP:
            yield [f.code, str(f.status), str(f.where.file), str(f.where.line), str(f.where.name)]


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("with_project", [True, False])
def test_all_of_it_and_nothing_else(name: str, with_project: bool) -> None:
    found = judged(name, with_project=with_project)
    assert list(said(found)) == rows(EXPECTED[name])
    assert [f.code for f in found if f.status is Status.SKIP] == ["ENV203", "ENV204"]


def test_what_the_findings_say() -> None:
    messages = {(f.code, f.where.name, f.where.file): f.message for f in judged(OCTOBER)}
    assert messages["ENV207", "EXAI_WS_INFLIGHT_TTL_SECS", LIVE] == (
        "EXAI_WS_INFLIGHT_TTL_SECS is 180, not more than EXAI_WS_CALL_TIMEOUT, which is 180 by default"
    )
    assert messages["ENV208", "EXAI_WS_PING_INTERVAL", EXAMPLE] == (
        "EXAI_WS_PING_INTERVAL is 45 s; 45 s lost clients: a proxy on the way closes what is idle that long"
    )
    assert messages["ENV202", "METRICS_PORT", LIVE] == (
        "METRICS_PORT is not read since exai 0.1: one port serves WebSocket, MCP, health and metrics"
    )


def test_with_the_code_what_it_reads_is_alive_and_the_rest_is_not() -> None:
    """As if the code read all of the live file but two keys, and one that no file has."""
    live = document((DATA / OCTOBER / FILES[OCTOBER]).read_bytes(), LIVE)
    unread = {"KIMI_CACHE_TOKEN_LRU_MAX", "EX_DRIVE_MAPPINGS"}
    names = [*(key for key in live.index if key not in unread), "EX_HIDDEN_SWITCH"]
    place = (Read(file="src/daemon.py", line=1, how="os.getenv"),)
    found = judged(OCTOBER, code=CodeUse(root="src", reads=dict.fromkeys(names, place)))
    by_code = {
        code: {f.where.name for f in found if f.code == code} for code in ("ENV202", "ENV203", "ENV204")
    }
    example_only = set(document((DATA / OCTOBER / EXAMPLE).read_bytes()).index) - live.index.keys()
    removed = {key for key in example_only if key.startswith("MESSAGE_BUS_")}
    assert by_code == {
        "ENV202": removed,
        "ENV203": {"EX_HIDDEN_SWITCH"},
        "ENV204": unread | (example_only - removed),
    }
