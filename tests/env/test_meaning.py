"""The rules of meaning: tables of files and what is found in them, each with a clean case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exai_ops.cli import main
from exai_ops.compose.model import Project
from exai_ops.env.code import CodeUse, Read
from exai_ops.env.nearest import Names, edits
from exai_ops.env.others import platform_reads
from exai_ops.env.removed import REMOVED, removed
from exai_ops.env.rules import RULES
from exai_ops.env.rules.table import Context
from exai_ops.findings import Status
from exai_ops.settings import STACK_VARIABLES, VARIABLES

from .cases import context, document, found, places
from .compose_cases import load, write

KNOWN = {name: variable for variable in VARIABLES for name in variable.names}
CANARY = "c4n4ry" + "Zq8vXw2Lp8sRb7"


def code(*names: str, how: str = "os.environ", file: str = "src/app.py", **others: Any) -> CodeUse:
    """Code that reads these, one a line."""
    reads = {name: (Read(file=file, line=line, how=how),) for line, name in enumerate(names, 1)}
    return CodeUse(root="src", reads=reads, **others)


def live(text: str, **others: Any) -> Context:
    return context(live=text, **({"variables": KNOWN} | others))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Project]:
    """The project of a compose file's text."""
    monkeypatch.chdir(tmp_path)

    def made(text: str) -> Project:
        write(tmp_path, {"compose.yml": text})
        return load("compose.yml")

    return made


def names(code_: str, given: Context) -> list[str | None]:
    """The keys that a rule reports."""
    return [finding.where.name for finding in found(RULES, code_, given)]


# --- names ---

NEAR = {
    "the same": ("API_URL", None),
    "a letter too few": ("EXAI_WS_TOKN", "EXAI_WS_TOKEN"),
    "two letters in a long word": ("EXAI_WS_PING_INTREVALL", "EXAI_WS_PING_INTERVAL"),
    "swapped": ("KIMI_API_KYE", "KIMI_API_KEY"),
    "plural": ("KIMI_API_KEYS", "KIMI_API_KEY"),
    "the order": ("WS_EXAI_TOKEN", "EXAI_WS_TOKEN"),
    "the underscores": ("EXAI_WSTOKEN", "EXAI_WS_TOKEN"),
    "in lower case": ("kimi_api_key", "KIMI_API_KEY"),
    "another word": ("KIMI_API_TOKEN", None),
    "short words": ("KIMI_API_URI", None),
    "host and port": ("EXAI_WS_HOSP", "EXAI_WS_HOST"),
    "numbers": ("KEY_2", None),
    "one word more": ("EXAI_WS_TOKEN_OLD", None),
    "of no interest": ("", None),
}  # fmt: skip


@pytest.mark.parametrize(("name", "near"), NEAR.values(), ids=NEAR)
def test_nearest(name: str, near: str | None) -> None:
    known = Names([*KNOWN, "KEY_1", "API_URL"])
    assert (None if name in known else known.nearest(name)) == near


UNKNOWN = {
    "known": ("EXAI_WS_TOKEN=\nKIMI_BASE_URL=\nTZ=\n", []),
    "misspelt": ("EXAI_WS_TOKN=x\nKIMI_API_KYE=\n", ["EXAI_WS_TOKN", "KIMI_API_KYE"]),
    "ours and not there": ("EXAI_NO_SUCH=1\n", ["EXAI_NO_SUCH"]),
    "somebody else's": ("SUPABASE_URL=\nLOG_LEVEL=\nCOMPOSE_PROJECT_NAME=\nPYTHONUNBUFFERED=1\n", []),
    "gone, which is said elsewhere": ("EXAI_WS_MAX_MSG_BYTES=1\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_keys(text: str, expected: list[str]) -> None:
    assert names("ENV201", live(text)) == expected


def test_the_code_says_what_is_known_too() -> None:
    given = live("SUPABASE_ULR=\nSUPABASE_URL=\n", code=code("SUPABASE_URL"))
    (finding,) = found(RULES, "ENV201", given)
    assert (finding.message, finding.hint) == (
        "SUPABASE_ULR is not known; SUPABASE_URL is",
        "rename it to SUPABASE_URL",
    )


def test_hints_for_our_own() -> None:
    (finding,) = found(RULES, "ENV201", live("EXAI_WS_PING_INTERVAL_SECS=30\n"))
    assert finding.hint == "rename it to EXAI_WS_PING_INTERVAL, if that is meant"


def test_what_the_stack_takes_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command itself, without a compose file that would say so."""
    stack = [variable.name for variable in STACK_VARIABLES]
    (tmp_path / ".env").write_text("".join(f"{name}=\n" for name in stack) + "REDIS_COMANDER_PORT=1\n")
    monkeypatch.chdir(tmp_path)
    main(["env", "check", "--only", "ENV201", "--format", "short"])
    assert capsys.readouterr().out.splitlines() == [
        f".env:{len(stack) + 1}: warning ENV201 REDIS_COMANDER_PORT is not known; REDIS_COMMANDER_PORT is"
    ]


def test_with_nothing_known_it_is_skipped() -> None:
    assert places(found(RULES, "ENV201", context(live="A=1\n"))) == [("skip", None, None)]


def test_removed_keys() -> None:
    given = context(
        example="MESSAGE_BUS_TTL=1\nTZ=\n", live="METRICS_PORT=8000\nEXAI_WS_PORT=8079\n", variables=KNOWN
    )
    bus, port = found(RULES, "ENV202", given)
    assert (bus.message, bus.hint) == (
        "MESSAGE_BUS_TTL is not read since 2025-10-18: the message bus was taken out",
        "take it out",
    )
    assert port.hint == "take it out: EXAI_WS_PORT at line 2 is what is read"
    assert names("ENV202", live("METRICS_PORT=1\n", code=code("METRICS_PORT"))) == []


def test_what_replaces_removed_keys_is_known() -> None:
    assert {entry.instead for entry in REMOVED} - {""} <= KNOWN.keys()
    assert not [name for name in KNOWN if removed(name)]
    assert not [name for name in KNOWN if platform_reads(name)]


UNDOCUMENTED = {
    "documented": (code("A", "B"), "A=1\n# B=\n", []),
    "not": (code("A", "B"), "A=1\n", [("warning", 2, "B")]),
    "the system's": (code("PATH", "HOME", "GITHUB_ACTIONS"), "", []),
    "in tests alone": (code("A", file="tests/test_a.py"), "", [("info", 1, "A")]),
    "in a script": (code("A", how="shell"), "", [("info", 1, "A")]),
    "in a Dockerfile": (code("A", how="Dockerfile"), "", []),
    "by another name": (code("KIMI_API_KEY", "MOONSHOT_API_KEY"), "KIMI_API_KEY=\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("use", "text", "expected"), UNDOCUMENTED.values(), ids=UNDOCUMENTED)
def test_undocumented(use: CodeUse, text: str, expected: list[tuple[str, int, str]]) -> None:
    assert places(found(RULES, "ENV203", context(example=text, code=use, variables=KNOWN))) == expected


def test_what_compose_sets_needs_no_file(project: Callable[[str], Project]) -> None:
    text = """
        services:
          a:
            image: a:1
            environment: {REGION: eu}
        """
    given = context(example="", code=code("REGION", "ZONE"), project=project(text))
    assert names("ENV203", given) == ["ZONE"]


def test_the_place_in_the_code_is_named() -> None:
    (finding,) = found(RULES, "ENV203", context(example="", code=code("A")))
    assert (finding.where.file, finding.message) == (
        "src/app.py",
        "A is read here (os.environ), and no environment file has it",
    )


DYNAMIC = (Read(file="src/app.py", line=7, how="os.environ"),)
UNREAD = {
    "read": (code("A"), "A=1\nTZ=\n", []),
    "unread": (code("A"), "A=1\nOLD=1\n", [("warning", 2, "OLD")]),
    "with names made as it runs": (code("A", dynamic=DYNAMIC), "OLD=1\n", [("info", 1, "OLD")]),
    "with a file that is broken": (code("A", unreadable={"src/b.py": "no"}), "OLD=1\n", [("info", 1, "OLD")]),
    "not read to the end": (code("A", stopped="it took too long"), "OLD=1\n", [("skip", None, None)]),
    "used by another": (code("URL"), "BASE=http://a\nURL=${BASE}/api\n", []),
    "used by another without braces": (code("URL"), "BASE=http://a\nURL=$BASE/api\n", []),
    "misspelt, which is said elsewhere": (code("FILE_NAME"), "FILE_NMAE=1\n", []),
    "gone, which is said elsewhere": (code("A"), "MESSAGE_BUS_TTL=1\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("use", "text", "expected"), UNREAD.values(), ids=UNREAD)
def test_unread(use: CodeUse, text: str, expected: list[tuple[str, int | None, str | None]]) -> None:
    assert places(found(RULES, "ENV204", context(live=text, code=use))) == expected


def test_without_code_both_are_skipped() -> None:
    for rule in ("ENV203", "ENV204"):
        assert places(found(RULES, rule, live("A=1\n"))) == [("skip", None, None)]


def test_what_compose_takes_is_read(project: Callable[[str], Project]) -> None:
    text = """
        services:
          db:
            image: postgres:16
            environment: [PASSED, "X=${TAKEN:-1}"]
            command: sh -c 'run $$INSIDE'
        """
    given = context(
        live="PASSED=1\nTAKEN=1\nINSIDE=1\nPOSTGRES_DB=a\nOLD=1\n", code=code("A"), project=project(text)
    )
    assert names("ENV204", given) == ["OLD"]


# --- values ---

TYPES = {
    "good": ("EXAI_WS_PORT=8079\nKIMI_API_URL=https://api.moonshot.ai/v1\nEXAI_LOG_LEVEL=info\n", []),
    "empty and placeholder": ("EXAI_WS_PORT=\nKIMI_API_URL=<url>\nEXAI_WS_TOKEN=your_token_here\n", []),
    "type": ("EXAI_WS_PORT=http\nEXAI_WS_SEMANTIC_CACHE=maybe\n", ["EXAI_WS_PORT", "EXAI_WS_SEMANTIC_CACHE"]),
    "range": ("EXAI_WS_PORT=70000\n", ["EXAI_WS_PORT"]),
    "choice": ("EXAI_LOG_LEVEL=loud\n", ["EXAI_LOG_LEVEL"]),
    "another name": ("KIMI_BASE_URL=ftp://a\n", ["KIMI_BASE_URL"]),
    "with a comment behind it": ("EXAI_WS_PORT=8079  # the port\nEXAI_WS_TOKEN=  # none\n", []),
    "the last one counts": ("EXAI_WS_PORT=http\nEXAI_WS_PORT=8079\n", []),
    "not ours": ("PORT=http\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TYPES.values(), ids=TYPES)
def test_types(text: str, expected: list[str]) -> None:
    assert names("ENV205", live(text)) == expected


def test_types_say_what_is_allowed_and_no_secret() -> None:
    (finding,) = found(RULES, "ENV205", live("EXAI_WS_PORT=70000\n"))
    assert (finding.message, finding.hint) == (
        "EXAI_WS_PORT 70000 is out of range",
        "write EXAI_WS_PORT=8079 or another that is allowed: a whole number from 0 to 65535",
    )
    lines = (
        f"EXAI_WS_PORT={CANARY}",
        f"KIMI_API_URL=https://u:{CANARY}@h",
        f'EXAI_WS_TOKEN="{CANARY} {CANARY}"',
    )
    seen = found(RULES, "ENV205", live("\n".join(lines)))
    assert len(seen) == 3
    assert CANARY[:6] not in str(seen)


ALIASES = {
    "one name": ("KIMI_API_URL=https://a\nGLM_API_URL=https://b\n", []),
    "the same": ("KIMI_API_URL=https://a\nKIMI_BASE_URL=https://a\n", []),
    "empty": ("KIMI_API_URL=https://a\nKIMI_BASE_URL=\n", []),
    "two values": ("KIMI_BASE_URL=https://b\nKIMI_API_URL=https://a\n", [("warning", 1, "KIMI_BASE_URL")]),
    "three": (
        "KIMI_API_URL=https://a\nMOONSHOT_API_URL=https://b\nKIMI_BASE_URL=https://c\n",
        [("warning", 2, "MOONSHOT_API_URL"), ("warning", 3, "KIMI_BASE_URL")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ALIASES.values(), ids=ALIASES)
def test_aliases(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert places(found(RULES, "ENV206", live(text))) == expected


TOOL, CALL, TTL = "EXAI_TOOL_TIMEOUT_SECS", "EXAI_WS_CALL_TIMEOUT", "EXAI_WS_INFLIGHT_TTL_SECS"
DAEMON, SHIM, CLIENT = "DAEMON_TIMEOUT_SECS", "SHIM_TIMEOUT_SECS", "CLIENT_TIMEOUT_SECS"
TIMEOUTS = {
    "the defaults": (f"{TOOL}=120\n{CALL}=180\n{TTL}=240\n", []),
    "none": ("A=1\n", []),
    "exactly 1.5 times what binary fractions miss": (f"{TOOL}=0.2\n{CALL}=0.3\n", []),
    "a call too short": (f"{TOOL}=120\n{CALL}=150\n", [("error", 2, CALL)]),
    "against a default": (f"{TOOL}=150\n", [("error", 1, TOOL)]),
    "the permit": (f"{TTL}=180\n", [("error", 1, TTL)]),
    "one that cannot be read": (f"{TOOL}=many\n{CALL}=10\n", []),
    "old names": (f"WORKFLOW_TOOL_TIMEOUT_SECS=180\n{DAEMON}=270\n{SHIM}=360\n{CLIENT}=450\n", []),
    "old daemon too short": (f"TOOL_TIMEOUT_SECS=180\n{DAEMON}=200\n", [("warning", 2, DAEMON)]),
    "bridge not longer": (f"{DAEMON}=270\n{SHIM}=270\n", [("warning", 2, SHIM)]),
    "client shorter, nothing between": (f"TOOL_TIMEOUT_SECS=60\n{CLIENT}=30\n", [("warning", 2, CLIENT)]),
    "old and new are not mixed": ("WORKFLOW_TOOL_TIMEOUT_SECS=900\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TIMEOUTS.values(), ids=TIMEOUTS)
def test_timeouts(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert places(found(RULES, "ENV207", live(text))) == expected


def test_timeouts_say_both_numbers() -> None:
    (finding,) = found(RULES, "ENV207", live(f"{TTL}=180\n"))
    assert finding.message == f"{TTL} is 180, not more than {CALL}, which is 180 by default"
    assert finding.hint == f"write {TTL}=181 (more than 180), or set {CALL} to less"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("30", None), ("20", None), ("", None), ("x", None), ("45", "info"), ("60", "info"),
        ("3", "warning"), ("19.9", "warning"), ("61", "warning"),
    ],
)  # fmt: skip
def test_ping(value: str, status: str | None) -> None:
    assert [str(f.status) for f in found(RULES, "ENV208", live(f"EXAI_WS_PING_INTERVAL={value}\n"))] == (
        [status] if status else []
    )


def test_ping_says_why() -> None:
    for value, reason in (
        ("3", "3 s made it worse"),
        ("45", "45 s lost clients"),
        ("90", "outside 20 to 60; 45 s lost clients"),
    ):
        (finding,) = found(RULES, "ENV208", live(f"EXAI_WS_PING_INTERVAL={value}\n"))
        assert reason in finding.message


# --- network ---

PASSWORDS = {
    "the same": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://:{CANARY}@redis:6379/0\n", []),
    "decoded": ("REDIS_PASSWORD=p/w+9\nREDIS_URL=redis://u:p%2Fw%2B9@redis\n", []),
    "by reference": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://:${{REDIS_PASSWORD}}@redis\n", []),
    "none in the URL": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://redis:6379\n", []),
    "a placeholder": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://:YOUR_PASSWORD@redis\n", []),
    "another": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://:other{CANARY}@redis\n", ["REDIS_URL"]),
    "any prefix": (f"PG_PASSWORD={CANARY}\nPG_URL=postgres://u:other{CANARY}@db/x\n", ["PG_URL"]),
    "no URL": (f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://[\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PASSWORDS.values(), ids=PASSWORDS)
def test_passwords(text: str, expected: list[str]) -> None:
    seen = found(RULES, "ENV209", live(text))
    assert [f.where.name for f in seen] == expected
    assert CANARY[:6] not in str(seen)


TOKENS = {
    "loopback": ("EXAI_WS_HOST=127.0.0.1\n", []),
    "none": ("A=1\n", []),
    "with a token": (f"EXAI_WS_HOST=0.0.0.0\nEXAI_WS_TOKEN={CANARY}\n", []),
    "open": ("EXAI_WS_HOST=0.0.0.0\n", [("error", 1, "EXAI_WS_HOST")]),
    "a comment for a token": ("EXAI_WS_HOST=::\nEXAI_WS_TOKEN=  # none\n", [("error", 1, "EXAI_WS_HOST")]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TOKENS.values(), ids=TOKENS)
def test_open_address(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert places(found(RULES, "ENV210", live(text))) == expected


def test_open_address_elsewhere(project: Callable[[str], Project]) -> None:
    example = context(example="EXAI_WS_HOST=0.0.0.0\nEXAI_WS_TOKEN=\n", variables=KNOWN)
    assert places(found(RULES, "ENV210", example)) == [("warning", 1, "EXAI_WS_HOST")]
    assert names("ENV210", live("EXAI_WS_HOST=0.0.0.0\n", environ={"EXAI_WS_TOKEN": CANARY})) == []
    service = "services:\n  d:\n    image: x:1\n    environment:\n      EXAI_WS_HOST: 0.0.0.0\n"
    assert places(found(RULES, "ENV210", Context(project=project(service)))) == [("error", 5, "EXAI_WS_HOST")]
    given = service + "      EXAI_WS_TOKEN: ${EXAI_WS_TOKEN:?set it}\n"
    assert found(RULES, "ENV210", Context(project=project(given))) == []


PORTS = {
    "different": ("EXAI_WS_PORT=8079\nMETRICS_PORT=8000\n", []),
    "the same": ("EXAI_WS_PORT=8079\nMETRICS_PORT=8079\n", [("warning", 2, "METRICS_PORT")]),
    "elsewhere": ("PORT=6379\nREDIS_PORT=6379\nSMTP_PORT=6379\n", []),
    "free ones": ("A_PORT=0\nB_PORT=0\n", []),
    "on other hosts": ("A_HOST=10.0.0.1\nA_PORT=80\nB_HOST=10.0.0.2\nB_PORT=80\n", []),
    "on every host": ("A_HOST=0.0.0.0\nA_PORT=80\nB_HOST=10.0.0.2\nB_PORT=80\n", [("warning", 4, "B_PORT")]),
    "no numbers": ("A_PORT=${X}\nB_PORT=${X}\nC_PORT=\u00b2\nD_PORT=\u00b2\n", []),
    "not ports": ("A_PORTS=80\nB_PORTS=80\nEXPORT=1\nIMPORT=1\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PORTS.values(), ids=PORTS)
def test_ports(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert places(found(RULES, "ENV211", live(text))) == expected


def test_redis_in_the_main_file() -> None:
    main = document("REDIS_URL=redis://redis\nTZ=UTC\nREDIS_DB=0\n", ".env")
    seen = found(RULES, "ENV212", live("REDIS_URL=redis://redis\n", main=main))
    assert [(f.status, f.where.file, f.where.name) for f in seen] == [
        (Status.INFO, ".env", "REDIS_URL"), (Status.INFO, ".env", "REDIS_DB"),
    ]  # fmt: skip
    assert found(RULES, "ENV212", live("REDIS_URL=redis://redis\n")) == []


_NAMES = st.text("ABC", min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(st.lists(_NAMES, min_size=70, max_size=90, unique=True), st.lists(_NAMES, min_size=1, max_size=20))
def test_the_nearest_of_many_is_that_of_all(known: list[str], asked: list[str]) -> None:
    near = Names(known)
    for name in asked:
        every = [(d, other) for other in known if (d := edits(name, other)) is not None]
        wanted = min(every)[1] if every else None
        same = [other for other in known if other == name]
        assert near.nearest(name) == (same[0] if same else wanted)
