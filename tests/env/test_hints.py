"""From red to green by the hints alone: each is followed to the letter, rule by rule and in one story."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from exai_ops.env.rules import RULES
from exai_ops.env.rules.table import Rule

from .person import Person

TOKEN = "Zk3vN8qL" + "r7Tq2XwB5mHc9Yd4Fs6Gj"
GOOD = "    image: redis:7\n    restart: always\n    mem_limit: 1g\n    logging: {options: {max-size: 1m}}\n"
TZ = "    environment:\n      TZ: UTC\n"
BASELINE = {"schema_version": 1, "findings": [{"code": "ENV104", "file": ".env", "key": "A", "count": 1}]}
PLAN = "# ====\n# ONE\n# ====\nA=1\n", "# ====\n# TWO\n# ====\nC=1\n"
PROJECT = "https://qwzkjhtrbvnmxlpdfgsc.supabase.co"
SRC = ("--code", "src")
CHECKED = f"  b:\n{GOOD}    healthcheck: {{test: redis-cli ping}}\n"


class Case(NamedTuple):
    """Files in which a rule finds something, by name; ``args`` is how the check is run."""

    files: Mapping[str, str | bytes]
    args: tuple[str, ...] = ()


def pair(example: str, live: str, *others: str) -> Case:
    args = [arg for code in others for arg in ("--only", code)]
    return Case({".env.example": example, ".env": live}, tuple(args))


def compose(text: str, **others: str) -> Case:
    return Case({"compose.yml": f"services:\n{text}", **{f".{name}": body for name, body in others.items()}})


BY_THE_LETTER = {
    "ENV001": pair("A=1\nB=2\n", "A=1\n"),
    "ENV002": pair("A=1\n", "A=1\nB_SIZE=2\n"),
    "ENV003": pair("A=1\n", "A=1\nB=1\nA=2\nA=3\n"),
    "ENV004": pair("A=1\n", "A=1\nA=\n"),
    "ENV005": pair("A=45\n", "A=30\n"),
    "ENV090": pair("A=1  # exai:ignore[ENV104] once it was\n", "A=1\n", "ENV104"),
    "ENV092": Case(
        {
            ".env": "A=1\n",
            "b.json": json.dumps(BASELINE),
        },
        ("--baseline", "b.json", "--only", "ENV104"),
    ),
    "ENV101": Case({".env": b"\xef\xbb\xbfA=1\n"}),
    "ENV102": Case({".env": b"A=1\r\nB=2\r\n"}),
    "ENV103": Case({".env": b"A=1\r\nB=2\n"}),
    "ENV104": Case({".env": "A= # why\nB=1\n"}),
    "ENV105": Case({".env": "A=1 \n"}),
    "ENV107": Case({".env": "A=1\nthis is no line\n"}),
    "ENV108": Case({".env": "a-b=1\n"}),
    "ENV110": Case({".env": "X=1\nA='${X}'\n"}),
    "ENV114": Case({".env": " A=1\n", "pyproject.toml": '[tool.exai]\nreaders = ["bash", "compose"]\n'}),
    "ENV115": Case({".env": "A=1"}),
    "ENV116": Case({".env": "A\n"}),
    "ENV201": Case({".env": "EXAI_WS_TOKN=\n"}),
    "ENV202": Case({".env": "EXAI_WS_PORT=8079\nMETRICS_PORT=8000\nMESSAGE_BUS_TTL=1\n"}),
    "ENV203": Case({".env": "A=1\n", "src/a.py": "import os\nos.environ['B_SIZE']\n"}, SRC),
    "ENV204": Case({".env": "A=1\nB_SIZE=1\n", "src/a.py": "import os\nos.environ['A']\n"}, SRC),
    "ENV205": Case({".env": "EXAI_WS_PORT=eight\n"}),
    "ENV206": Case({".env": "KIMI_API_URL=https://a.example\nKIMI_BASE_URL=https://b.example\n"}),
    "ENV207": Case({".env": "EXAI_WS_INFLIGHT_TTL_SECS=100\nEXAI_WS_CALL_TIMEOUT=180\n"}),
    "ENV208": Case({".env": "EXAI_WS_PING_INTERVAL=3\n"}),
    "ENV209": Case({".env": "REDIS_PASSWORD=right\nREDIS_URL=redis://:wrong@redis:6379/0\n"}),
    "ENV210": Case({".env": "EXAI_WS_HOST=0.0.0.0\nEXAI_WS_TOKEN=\n"}),
    "ENV211": Case({".env": "A_PORT=8080\nB_PORT=8080\nC_PORT=8081\n"}),
    "ENV212": Case({".env.docker": "REDIS_PASSWORD=x\n", ".env": "REDIS_PASSWORD=x\n"}),
    "ENV301": pair(f"A_TOKEN={TOKEN}\n", "A_TOKEN=\n"),
    "ENV302": Case({".env": f"A_TOKEN={TOKEN}\n"}),
    "ENV303": Case({".env": "KIMI_API_KEY=your_api_key_here\n"}),
    "ENV304": Case({".env": "EXAI_WS_TOKEN=test-token-12345\n"}),
    "ENV305": Case({".env": f"A_TOKEN={TOKEN}\nB_TOKEN={TOKEN}\n"}),
    "CMP002": compose("  a: {image: 'x:${TAG:?}', env_file: .env.docker}\n", **{"env.docker": "TAG=\n"}),
    "CMP003": compose(f"  a:\n{TZ}  c:\n{TZ}  b:\n    environment:\n      TZ: Asia/Tokyo\n"),
    "CMP004": compose("  a:\n    environment: [A=1]\n    env_file: .env.docker\n", **{"env.docker": "A=1\n"}),
    "CMP005": compose("  redis-commander:\n    environment:\n      - REDIS_HOSTS=local:redis:6379\n"),
    "CMP006": compose(
        "  redis: {image: 'redis:7', command: 'redis-server --requirepass $$P'}\n"
        "  redis-commander:\n    environment:\n      - REDIS_HOST=redis\n",
        env="REDIS_PASSWORD=x\n",
    ),
    "CMP007": compose("  a: {image: 'x:1', env_file: .env.docker}\n", **{"env.example": "A=1\n"}),
    "CMP008": compose("  a:\n    ports:\n      - 8080:80\n      - 53:53/udp\n"),
    "CMP011": compose('  a:\n    healthcheck:\n      test: ["CMD", "true"]\n'),
    "CMP012": compose(f"  a:\n    depends_on:\n      - b\n{CHECKED}"),
    "CMP014": compose("  a:\n    environment:\n      P: ${DB_PASSWORD:-admin}\n"),
    "CMP015": compose(f"  a:\n    environment:\n      R_URL: redis://localhost:6379\n  b:\n{GOOD}"),
    "CMP016": compose("  a:\n    image: x:1\n"),
}  # fmt: skip

DECIDE = "decide which file is right, and mend the other by hand"
BY_DECISION = {
    "ENV006": (pair(f"{PLAN[0]}B=1\n{PLAN[1]}", f"{PLAN[0]}{PLAN[1]}B=1\n"), DECIDE),
    "ENV007": (pair("A=1\nB=1\nC=1\n", "B=1\nC=1\nA=1\n"), DECIDE),
    "ENV008": (pair(PLAN[0], "A=1\n"), DECIDE),
    "ENV009": (pair("# why\nA=1\n", "A=1\n"), DECIDE),
    "ENV010": (pair("# why\nA=1\n", "# how\nA=1\n"), DECIDE),
    "ENV011": (pair(f"{PLAN[0]}{PLAN[1]}", f"{PLAN[1]}{PLAN[0]}"), DECIDE),
    "ENV091": (pair("A= # why exai:ignore\nA=1  # exai:ignore[ENV104]\n", "A=1\n"), "and why"),
    "ENV106": (Case({".env": 'A="1\n'}), 'close the quote: KEY="value"'),
    "ENV109": (Case({".env": "A=${NOWHERE}\n"}), "add NOWHERE=... above, or a default: ${NOWHERE:-...}"),
    "ENV111": (Case({".env": b"A=caf\xe9\n"}), "save it as UTF-8"),
    "ENV112": (Case({".env": "A=it''s\nB=\"a\\tb\"\nC=1\t# x\n"}), "line of its own above"),
    "ENV113": (Case({".env": "A=${X:?no}\n"}), "write that line so that it can read it"),
    "ENV306": (pair(f"# {PROJECT}\nA=1\n", "A=1\n"), "write one that is made up: https://"),
    "CMP001": (compose("  a:\n    image: x:1\n    image: x:2\n"), "keep one of them"),
    "CMP009": (compose("  a: {ports: ['80:80']}\n  b: {ports: ['80:81']}\n"), "another host port"),
    "CMP010": (compose("  a: {image: x}\n"), "write image: x:VERSION"),
    "CMP013": (compose(f"  a: {{command: x --pass {TOKEN}}}\n"), "sh -c '... --pass \"$$NAME\"'"),
}  # fmt: skip


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TZ", raising=False)
    return Person(capsys)


def lay(files: Mapping[str, str | bytes]) -> None:
    for name, body in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(body if isinstance(body, bytes) else body.encode())


def commit() -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *command], check=True, timeout=30)


def test_every_rule_is_here() -> None:
    looked_for_by_another_command = {rule.code for rule in RULES if rule.elsewhere}
    here = BY_THE_LETTER.keys() | BY_DECISION.keys() | looked_for_by_another_command
    assert here == {rule.code for rule in RULES}
    assert not BY_THE_LETTER.keys() & BY_DECISION.keys()


@pytest.mark.parametrize("code", BY_THE_LETTER)
def test_a_hint_followed_to_the_letter_mends_what_was_found(person: Person, code: str) -> None:
    case = BY_THE_LETTER[code]
    lay(case.files)
    if code == "ENV302":
        commit()
    args = (*case.args, "--only", code)
    found = person.look(*args)
    assert {finding["code"] for finding in found} == {code}, found
    for _ in range(6):
        if not found:
            break
        person.follow(found[0])
        found = person.look(*args)
    assert found == []


@pytest.mark.parametrize("code", BY_DECISION)
def test_a_hint_that_leaves_a_decision_names_it(person: Person, code: str) -> None:
    case, words = BY_DECISION[code]
    lay(case.files)
    hints = [finding["hint"] or "" for finding in person.look(*case.args, "--only", code)]
    assert hints
    assert any(words in hint for hint in hints), hints


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_says_what_to_do(rule: Rule) -> None:
    """In the imperative: its general hint begins with a verb, or with a command."""
    first = rule.hint.split()[0]
    verbs = {
        "add", "ask", "close", "decide", "docker", "fill", "give", "git", "keep", "lengthen", "leave", "make",
        "mend", "move", "put", "rename", "run", "save", "set", "take", "write",
    }  # fmt: skip
    assert first in verbs


STORY = {
    ".env.example": """\
\ufeff# The daemon
EXAI_WS_HOST=127.0.0.1
EXAI_WS_PORT=8079
EXAI_WS_PING_INTERVAL=45
EXAI_WS_TOKEN=  # set it
KIMI_API_KEY=  # of the console
TZ=Australia/Melbourne
REDIS_PASSWORD=
OLD_LIMIT=10
""",
    ".env.docker": """\
EXAI_WS_HOST=0.0.0.0
EXAI_WS_PORT=8079
EXAI_WS_PING_INTERVAL=3
EXAI_WS_TOKEN=
EXAI_WS_INFLIGHT_TTL_SECS=100
KIMI_API_KEY=your_kimi_api_key_here
TZ=Australia/Melbourne
TZ=
METRICS_PORT=8000
REDIS_PASSWORD=test-12345
REDIS_URL=redis://:other@redis:6379/0
not a line
""",
    "compose.yml": """\
services:
  daemon:
    image: daemon:1
    restart: always
    environment:
      TZ: Australia/Melbourne
    env_file: .env.docker
    ports:
      - 8079:8079
    depends_on:
      - redis
  redis:
    image: redis:7
    environment:
      TZ: UTC
      P: ${REDIS_PASSWORD:?}
    healthcheck:
      test: ["CMD", "true"]
  redis-commander:
    image: redis-commander:1
    environment:
      TZ: Australia/Melbourne
      REDIS_HOSTS: local:redis:6379:0:${REDIS_PASSWORD}
      HTTP_PASSWORD: ${ADMIN_PASSWORD:-admin}
""",
}


def test_files_that_were_named_are_named_in_the_hint(person: Person) -> None:
    lay({"a.env": "A=1\n", "b.env": "A=1\nB_SIZE=2\n"})
    args = ("--example", "a.env", "--live", "b.env", "--only", "ENV002")
    (found,) = person.look(*args)
    assert found["hint"].endswith("run exai env sync --example a.env --live b.env")
    person.follow(found)
    assert person.look(*args) == []


def test_a_red_check_becomes_green(person: Person) -> None:
    """What comes first is mended as its hint says, a hint with an if last, until no warning is left."""
    lay(STORY)
    commit()
    done: list[str] = []
    while found := [f for f in person.look() if f["status"] in ("error", "warning")]:
        first = min(found, key=lambda f: " if " in f["hint"])
        person.follow(first)
        done.append(first["code"])
        assert len(done) < 60, done[-10:]
    assert {*done} >= {
        "ENV002", "ENV004", "ENV101", "ENV107", "ENV202", "ENV207", "ENV208", "ENV209", "ENV303", "ENV304",
        "CMP002", "CMP003", "CMP005", "CMP008", "CMP011", "CMP012", "CMP014",
    }  # fmt: skip
    assert person.options == ["--env-file", ".env.docker"]
