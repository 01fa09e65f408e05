"""The rules of compose files: a table of (files, findings) for each, with clean cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from exai_ops.env.rules.compose import RULES
from exai_ops.env.rules.compose_health import why_deaf
from exai_ops.env.rules.compose_secrets import options_in
from exai_ops.env.rules.table import Context
from exai_ops.env.runner import run
from exai_ops.findings import Finding, Status

from .cases import document
from .compose_cases import load, write

Found = Sequence[tuple[str, str, str | None]]
"""Status, ``file:line`` and name of each finding."""

PASSWORD = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def findings(code: str, files: Mapping[str, str] | str, **options: object) -> list[Finding]:
    files = {"c.yml": files} if isinstance(files, str) else files
    write(Path(), files)
    names = [name for name in files if name.endswith(".yml")]
    project = load(*names, **options)  # type: ignore[arg-type]
    rules = [rule for rule in RULES if rule.code == code]
    return run(rules, Context(project=project))


def judge(code: str, files: Mapping[str, str] | str, **options: object) -> Found:
    return [(str(f.status), str(f.where), f.where.name) for f in findings(code, files, **options)]


def test_codes_are_unique_and_every_rule_is_explained() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    for rule in RULES:
        assert len(rule.explanation) > 100
        assert rule.title
        assert rule.hint
        assert [f.status for f in rule.function(Context())] == [Status.SKIP]


SERVICE = "services:\n  web:\n"
LIMITS = "resources: {limits: {memory: 1G}}"
LOG = "{options: {max-size: 1m}}"
TOKYO = "services:\n  a: {environment: [TZ=Asia/Tokyo]}\n"
UTC = "services:\n  a: {environment: [TZ=UTC]}\n"
COMMANDER = "  redis-commander:\n    image: rediscommander/redis-commander:0.9\n    environment:\n"
ASKING = "services:\n  redis: {image: 'redis:7', command: 'redis-server --requirepass $$P'}\n"
REDIS = "  redis: {image: 'redis:7'}\n"
WEB = f"{SERVICE}    ports: ['8080:8080']\n    environment:\n"

CASES: list[tuple[str, str | Mapping[str, str], Found]] = [
    # what Compose refuses
    ("CMP001", f"{SERVICE}    image: a\n    image: b\n", [("error", "c.yml:4", "duplicate")]),
    ("CMP001", f"{SERVICE}    command: echo ${{A B}}\n", [("error", "c.yml:3", "template")]),
    ("CMP001", f"{SERVICE}    image: a\n", []),
    (
        "CMP001",
        "services:\n  a: {container_name: x}\n  b: {container_name: y}\n  c: {container_name: x}\n",
        [("error", "c.yml:4", "c")],
    ),
    (
        "CMP001",
        "services:\n  a: {container_name: x, profiles: [p]}\n  b: {container_name: x, profiles: [q]}\n",
        [],
    ),
    # ${...}
    ("CMP002", f"{SERVICE}    image: a:${{TAG}}\n", [("warning", "c.yml:3", "TAG")]),
    ("CMP002", f"{SERVICE}    image: a:$TAG\n", [("warning", "c.yml:3", "TAG")]),
    ("CMP002", f"{SERVICE}    command: a ${{DB_PASSWORD}}\n", [("error", "c.yml:3", "DB_PASSWORD")]),
    ("CMP002", f"{SERVICE}    image: a:${{TAG:?set TAG}}\n", [("error", "c.yml:3", "TAG")]),
    ("CMP002", f"{SERVICE}    image: a:${{TAG:-1}}${{A-}}${{B:+x}}${{C+y}}\n", []),
    ("CMP002", f"{SERVICE}    command: echo $$TAG $${{TAG}}\n", []),
    ("CMP002", {"c.yml": f"{SERVICE}    image: a:${{TAG}}\n", ".env": "TAG=1\n"}, []),
    (
        "CMP002",
        {"c.yml": f"{SERVICE}    image: a:${{TAG}}\n    env_file: .env.docker\n", ".env.docker": "TAG=1\n"},
        [("error", "c.yml:3", "TAG")],
    ),
    (
        "CMP002",
        {"c.yml": f"{SERVICE}    image: a:${{TAG:?}}\n", ".env": "TAG=\n"},
        [("error", "c.yml:3", "TAG")],
    ),
    (
        "CMP002",
        "x-e: &e\n  A: ${A}\nservices:\n  web: {environment: *e}\n  db: {environment: {<<: *e}}\n",
        [("warning", "c.yml:2", "A")],
    ),
    # TZ
    (
        "CMP003",
        f"{UTC}  b:\n    environment:\n      TZ: Asia/Tokyo\n  c: {{environment: {{TZ: UTC}}}}\n",
        [("warning", "c.yml:5", "b")],
    ),
    ("CMP003", f"{TOKYO}  b: {{image: x}}\n", [("warning", "c.yml:3", "b")]),
    ("CMP003", f"{TOKYO}  b: {{environment: [TZ=]}}\n", [("warning", "c.yml:3", "b")]),
    ("CMP003", f"{TOKYO}  b: {{environment: [TZ=UTC]}}\n", [("warning", "c.yml:3", "b")]),
    ("CMP003", f"{UTC}  b: {{image: x}}\n", []),
    ("CMP003", f"{UTC}  b: {{environment: [TZ=]}}\n  c: {{environment: [TZ=Etc/UTC]}}\n", []),
    ("CMP003", "services:\n  a: {image: x}\n  b: {image: x}\n", [("info", "c.yml:2", "TZ")]),
    ("CMP003", "services:\n  a: {image: x}\n", []),
    (
        "CMP003",
        "x: &e {TZ: UTC}\nservices:\n  a: {environment: *e}\n  b: {environment: {<<: *e, A: 1}}\n",
        [],
    ),
    (
        "CMP003",
        {"c.yml": "services:\n  a: {environment: [TZ=UTC]}\n  b: {env_file: e}\n", "e": "A=1\nTZ=UTC\n"},
        [],
    ),
    (
        "CMP003",
        {
            "c.yml": f"{UTC}  b: {{env_file: e}}\n  d: {{environment: [TZ=UTC]}}\n",
            "e": "TZ=Asia/Tokyo\n",
        },
        [("warning", "e:1", "b")],
    ),
    ("CMP003", "services:\n  a: {environment: [TZ=UTC]}\n  b: {env_file: not-there}\n", []),
    # env_file below environment
    ("CMP004", f"{SERVICE}    environment: [A=1]\n    env_file: [e]\n", [("info", "c.yml:4", "web")]),
    ("CMP004", f"{SERVICE}    env_file: [e]\n    environment: [A=1]\n", []),
    # redis-commander
    (
        "CMP005",
        f"services:\n{COMMANDER}      - REDIS_HOSTS=l:redis:6379\n",
        [("warning", "c.yml:5", "redis-commander")],
    ),
    (
        "CMP005",
        "services:\n  redis-commander:\n    environment: {REDIS_HOSTS: 'l:redis:6379', REDIS_HOST: redis}\n",
        [],
    ),
    (
        "CMP006",
        f"{ASKING}{COMMANDER}      - REDIS_HOST=redis\n",
        [("error", "c.yml:5", "redis-commander")],
    ),
    ("CMP006", "services:\n  redis: {command: redis-server}\n  redis-commander: {image: x}\n", []),
    *(
        (
            "CMP006",
            {
                "c.yml": f"{ASKING}{COMMANDER}      - {entry}\n",
                ".env": "P=1\n",
            },
            [],
        )
        for entry in (
            "REDIS_PASSWORD=${P}",
            "REDIS_HOSTS=l:redis:6379:0:${P}",
            "REDIS_PASSWORD=${NO_PASSWORD}",
        )
    ),
    # env files that are not there
    ("CMP007", f"{SERVICE}    env_file: e\n  b:\n    env_file: [e]\n", [("error", "c.yml:3", "e")]),
    ("CMP007", f"{SERVICE}    env_file:\n      - path: e\n        required: false\n", []),
    ("CMP007", {"c.yml": f"{SERVICE}    env_file: e\n", "e": "A=1\n"}, []),
    ("CMP007", {"c.yml": f"{SERVICE}    env_file: e\n", "e": "A=\0\n"}, [("error", "c.yml:3", "e")]),
    ("CMP007", {"c.yml": f"{SERVICE}    env_file: d\n", "d/f": ""}, [("error", "c.yml:3", "d")]),
    # ports
    (
        "CMP008",
        f"{SERVICE}    ports: [80:80, '127.0.0.1:81:81', '[::1]:82:82', {{target: 1, host_ip: 127.0.0.1}}]\n",
        [("warning", "c.yml:3", "web")],
    ),
    (
        "CMP008",
        f"{SERVICE}    ports:\n    - '82'\n    - {{target: 1}}\n    - ':::83:83'\n    - 8-9:8-9/udp\n",
        [
            ("warning", "c.yml:4", "web"),
            ("warning", "c.yml:5", "web"),
            ("warning", "c.yml:6", "web"),
            ("warning", "c.yml:7", "web"),
        ],
    ),
    ("CMP008", f"{SERVICE}    ports: ['${{BIND:-127.0.0.1}}:80:80']\n", []),
    (
        "CMP009",
        "services:\n  a: {ports: ['80:1']}\n  b:\n    ports:\n      - 79-81:79-81\n",
        [("error", "c.yml:5", "b")],
    ),
    (
        "CMP009",
        "services:\n  a: {ports: ['127.0.0.1:80:1']}\n  b: {ports: ['0.0.0.0:80:1']}\n",
        [("error", "c.yml:3", "b")],
    ),
    (
        "CMP009",
        "services:\n  a: {ports: ['127.0.0.1:80:1']}\n  b: {ports: ['127.0.0.2:80:1', '80', '80:8/udp']}\n",
        [],
    ),
    (
        "CMP009",
        "services:\n  a: {ports: ['80:1'], profiles: [x]}\n  b: {ports: ['80:1'], profiles: [y]}\n",
        [],
    ),
    (
        "CMP009",
        "services:\n  a: {ports: ['80:1'], profiles: [x]}\n  b: {ports: ['80:1']}\n",
        [("error", "c.yml:3", "b")],
    ),
    ("CMP009", f"{SERVICE}    ports: ['80:1', '80:2']\n", [("error", "c.yml:3", "web")]),
    # images
    ("CMP010", f"{SERVICE}    image: redis\n", [("warning", "c.yml:3", "web")]),
    ("CMP010", f"{SERVICE}    image: host:5000/redis:latest\n", [("warning", "c.yml:3", "web")]),
    ("CMP010", f"{SERVICE}    image: redis:7\n", []),
    ("CMP010", f"{SERVICE}    image: redis@sha256:{'0' * 64}\n", []),
    ("CMP010", f"{SERVICE}    image: own:latest\n    build: .\n", []),
    # healthchecks
    (
        "CMP011",
        f"{SERVICE}    healthcheck:\n      interval: 5s\n      test: curl x || true\n",
        [("warning", "c.yml:5", "web")],
    ),
    ("CMP011", f"{SERVICE}    healthcheck: {{disable: true}}\n", [("info", "c.yml:3", "web")]),
    ("CMP011", f"{SERVICE}    healthcheck: {{test: [NONE]}}\n", [("info", "c.yml:3", "web")]),
    ("CMP011", f"{SERVICE}    healthcheck: {{interval: 5s}}\n", []),
    ("CMP011", f"{SERVICE}    healthcheck: {{test: [CMD, redis-cli, ping]}}\n", []),
    ("CMP011", f"{SERVICE}    image: x\n", []),
    # depends_on
    (
        "CMP012",
        "services:\n  a:\n    depends_on:\n      - b\n      - c\n  b: {healthcheck: {test: x}}\n  c: {}\n",
        [("warning", "c.yml:4", "a")],
    ),
    (
        "CMP012",
        "services:\n  a: {depends_on: {b: {condition: service_started}}}\n  b: {healthcheck: {test: x}}\n",
        [],
    ),
    ("CMP012", "services:\n  a: {depends_on: [b]}\n  b: {healthcheck: {disable: true, test: x}}\n", []),
    # passwords
    (
        "CMP013",
        f"{SERVICE}    command: redis-server --requirepass {PASSWORD}\n",
        [("error", "c.yml:3", "web")],
    ),
    (
        "CMP013",
        f"{SERVICE}    command: [redis-server, --requirepass, {PASSWORD}]\n",
        [("error", "c.yml:3", "web")],
    ),
    (
        "CMP013",
        f"{SERVICE}    healthcheck:\n      test: redis-cli -a {PASSWORD} ping\n",
        [("error", "c.yml:4", "web")],
    ),
    ("CMP013", f"{SERVICE}    command: redis-server --requirepass ${{P}}\n", [("info", "c.yml:3", "web")]),
    ("CMP013", f"{SERVICE}    command: redis-server --requirepass $$P\n", []),
    ("CMP013", f'{SERVICE}    command: sh -c "redis-server --requirepass \\\\$$P"\n', []),
    ("CMP013", f"{SERVICE}    command: [sh, -c, 'redis-cli -a \"$$P\" ping']\n", []),
    (
        "CMP014",
        f"{SERVICE}    environment: ['A=${{DB_PASSWORD:-{PASSWORD}}}']\n",
        [("warning", "c.yml:3", "DB_PASSWORD")],
    ),
    ("CMP014", f"{SERVICE}    environment: ['A=${{DB_PASSWORD:-}}${{DB_USER:-me}}${{A_TOKEN:?x}}']\n", []),
    # localhost
    *(
        (
            "CMP015",
            f"{WEB}      - REDIS_PORT=6379\n      - {entry}\n{REDIS}",
            [("error", "c.yml:6", entry.partition("=")[0] or None)],
        )
        for entry in (
            "REDIS_HOST=localhost",
            "APP_REDIS_HOST=127.0.0.1",
            "REDIS_URL=redis://localhost/0",
            f"REDIS_URL=redis://:{PASSWORD}@localhost:6379/0",
            "CACHE_ADDR=localhost:6379",
        )
    ),
    *(
        (
            "CMP015",
            f"{WEB}      - {entry}\n{REDIS}",
            [],
        )
        for entry in (
            "REDIS_HOST=redis",
            "REDIS_URL=redis://redis:6379",
            "HEALTH_URL=http://localhost:8080/health",
            "BIND_HOST=127.0.0.1",
            "NOTE=not localhost:6379 at all",
            "URL=http://localhost.example.org:6379",
        )
    ),
    (
        "CMP015",
        f"services:\n  a: {{network_mode: host, environment: [REDIS_HOST=localhost]}}\n{REDIS}",
        [],
    ),
    (
        "CMP015",
        {
            "c.yml": "services:\n  a: {env_file: e}\n  b: {env_file: e}\n  r: {image: redis, env_file: e}\n",
            "e": "A=1\nREDIS_HOST=localhost\n",
        },
        [("error", "e:2", "REDIS_HOST")],
    ),
    *(
        (
            "CMP015",
            f"{WEB}      - REDIS_HOST=localhost\n    network_mode: service:{to}\n{REDIS}{more}",
            expected,
        )
        for to, more, expected in (
            ("redis", "", []),
            ("vpn", "  vpn: {network_mode: 'service:redis'}\n", []),
            ("vpn", "  vpn: {image: vpn}\n", [("error", "c.yml:5", "REDIS_HOST")]),
            ("web", "", [("error", "c.yml:5", "REDIS_HOST")]),
        )
    ),
    (
        "CMP015",
        f"{WEB}      - REDIS_HOST=localhost\n  redis: {{image: 'redis:7', network_mode: 'service:web'}}\n",
        [],
    ),
    *(
        (
            "CMP015",
            f"{WEB}      - {key}=http://localhost:3000/x\n  api: {{ports: ['{ports}']}}\n",
            [] if expected else [("error", "c.yml:5", key)],
        )
        for key, ports, expected in (
            ("NEXT_PUBLIC_API", "3000:3000", True),
            ("VITE_API_URL", "127.0.0.1:3000:80", True),
            ("APP_URL", "3000:3000", True),
            ("BASE_URL", "3000:3000", True),
            ("OAUTH_CALLBACK_URL", "3000:3000", True),
            ("OIDC_ISSUER", "3000:3000", True),
            ("KC_HOSTNAME_URL", "3000:3000", True),
            ("MINIO_BROWSER_REDIRECT_URL", "3000:3000", True),
            ("APP_URL", "8000:3000", False),
            ("APP_URL", "3000", False),
            ("API_URL", "3000:3000", False),
            ("DATABASE_URL", "3000:3000", False),
        )
    ),
    # bounds
    ("CMP016", f"{SERVICE}    image: x\n", [("info", "c.yml:2", "web")]),
    (
        "CMP016",
        f"{SERVICE}    restart: 'no'\n    mem_limit: 1g\n    logging: {{driver: local}}\n",
        [],
    ),
    (
        "CMP016",
        f"{SERVICE}    deploy: {{restart_policy: {{}}, {LIMITS}}}\n    logging: {LOG}\n",
        [],
    ),
]


@pytest.mark.parametrize(("code", "files", "expected"), CASES)
def test_rule(code: str, files: str | Mapping[str, str], expected: Found) -> None:
    assert judge(code, files) == expected


def test_no_value_of_a_secret_is_said() -> None:
    for code, files, _ in CASES:
        for finding in findings(code, files):
            assert PASSWORD not in f"{finding.message} {finding.hint}"


def test_the_mend_names_the_env_file_that_has_the_name() -> None:
    files = {
        "c.yml": f"{SERVICE}    image: a:${{TAG}}\n    env_file: .env.docker\n",
        ".env.docker": "TAG=1\n",
    }
    (finding,) = findings("CMP002", files)
    assert finding.message.startswith("${TAG} gets nothing: .env.docker has it")
    assert finding.hint == "run docker compose --env-file .env.docker -f c.yml up"
    assert findings("CMP002", files, env_file=".env.docker") == []


def test_a_refused_env_file_is_one_finding() -> None:
    """Nothing of it arrives, and no --env-file mends that."""
    files = {"c.yml": f"{SERVICE}    image: a:${{TAG}}${{B}}${{C:?}}\n", ".env": 'TAG=1\nB=2\nX="open\n'}
    (finding,) = findings("CMP002", files)
    assert str(finding.where) == ".env:3"
    assert finding.message == "Compose refuses .env: line 3, so ${TAG}, ${B}, ${C} can get nothing from it"
    assert "open" not in finding.hint
    assert "--env-file" not in finding.hint
    assert findings("CMP001", files) == []
    (finding,) = findings("CMP002", files, environ={"TAG": "1", "B": "2", "C": "3"})
    assert finding.message == "Compose refuses .env: line 3"


def test_a_live_file_that_no_env_file_names_is_not_said_to_be_named() -> None:
    write(Path(), {"c.yml": f"{SERVICE}    image: a:${{TAG}}\n"})
    (rule,) = (rule for rule in RULES if rule.code == "CMP002")
    (finding,) = run([rule], Context(project=load("c.yml"), live=document("TAG=1\n", ".env.docker")))
    assert finding.message == (
        "${TAG} gets nothing: .env.docker has it, but Compose takes .env for ${...}, so it is empty"
    )


def test_no_default_is_offered_for_a_password() -> None:
    """CMP014 would take it back."""
    for name, offered in (("DB_PASSWORD", False), ("TAG", True)):
        (finding,) = findings("CMP002", f"{SERVICE}    image: a:${{{name}:?x}}\n")
        assert (f"${{{name}:-default}}" in finding.hint) == offered


@pytest.mark.parametrize(
    ("entry", "dotenv", "said"),
    [
        ("postgres://a:${DB_PASSWORD}@db/x", "DB_PASSWORD=\n", 1),
        ("postgres://a:$DB_PASSWORD@db/x", "DB_PASSWORD=\n", 1),
        ("postgres://a:${DB_PASSWORD}@db/x", "DB_PASSWORD=1\n", 0),
        ("postgres://a:${DB_PASSWORD:-b}@db/x", "DB_PASSWORD=\n", 0),
        ("redis://:${DB_PASSWORD}@db/0", "DB_PASSWORD=\n", 0),
        ("${DB_PASSWORD}", "DB_PASSWORD=\n", 0),
    ],
)
def test_a_url_with_a_user_wants_its_password(entry: str, dotenv: str, said: int) -> None:
    """An empty password alone may be meant: redis without one, a provider that is not used."""
    found = findings("CMP002", {"c.yml": f"{WEB}      - URL={entry}\n", ".env": dotenv})
    assert len(found) == said
    assert all(f.message == "${DB_PASSWORD} is empty in .env (line 1), so it is empty" for f in found)


REAL = "Zk3vN8qL" + "r7Tq2XwB5mHc9Yd4Fs6Gj"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f"      DB_PASSWORD: {REAL}\n", [("error", "c.yml:5", "DB_PASSWORD")]),
        (f"      - DB_PASSWORD={REAL}\n", [("error", "c.yml:5", "DB_PASSWORD")]),
        ("      DB_PASSWORD: sunny-riverbank\n", [("warning", "c.yml:5", "DB_PASSWORD")]),
        (f"      URL: redis://:{REAL}@redis:6379/0\n", [("error", "c.yml:5", "URL")]),
        ("      DB_PASSWORD: ${DB_PASSWORD}\n", []),
        ("      DB_PASSWORD: ${DB_PASSWORD:?}\n", []),
        ("      DB_PASSWORD: changeme\n", []),
        ("      DB_PASSWORD_FILE: /run/secrets/db\n", []),
        ("      DB_PASSWORD:\n", []),
        ("      MAX_TOKENS: 4096\n", []),
        ("      HTTP_AUTH: enabled\n", []),
        ("      URL: postgres://a:riverbank@db/x\n", [("warning", "c.yml:5", "URL")]),
    ],
)
def test_secrets_under_environment(entry: str, expected: Found) -> None:
    files = f"{SERVICE}    image: x:1\n    environment:\n{entry}"
    assert judge("CMP013", files) == expected
    assert not any(REAL[:6] in f"{f.message} {f.hint}" for f in findings("CMP013", files))


@pytest.mark.parametrize(("entry", "form"), [(": ", "P_KEY: "), ("=", "- P_KEY=")])
def test_the_hint_for_a_secret_has_the_form_that_is_there(entry: str, form: str) -> None:
    item = f"{'- ' * (entry == '=')}P_KEY{entry}{REAL}"
    (finding,) = findings("CMP013", f"{SERVICE}    environment:\n      {item}\n")
    assert finding.hint == f"write {form}${{P_KEY:?set it in the --env-file}}, and make a new one"


def test_a_secret_that_an_anchor_brings_is_one_finding() -> None:
    text = f"x-e: &e {{DB_PASSWORD: {REAL}}}\nservices:\n"
    services = "  a: {image: 'x:1', environment: *e}\n  b: {image: 'x:1', environment: *e}\n"
    assert judge("CMP013", text + services) == [("error", "c.yml:1", "DB_PASSWORD")]


def test_a_path_is_quoted_for_the_shell_and_for_yaml() -> None:
    (finding,) = findings("CMP007", {"c.yml": f"{SERVICE}    env_file: 'a, b.env'\n"})
    assert finding.hint == 'make it, or write - {path: "a, b.env", required: false}'
    files = {"c.yml": f"{SERVICE}    image: a:$TAG\n    env_file: 'a b.env'\n", "a b.env": "TAG=1\n"}
    (finding,) = findings("CMP002", files)
    assert finding.hint == "run docker compose --env-file 'a b.env' -f c.yml up"


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("8000:${PORT}", "127.0.0.1:8000:${PORT}"),
        ("${PORT}:${PORT}", "127.0.0.1:${PORT}:${PORT}"),
        ("${PORT:-80}:8000/udp", "127.0.0.1:${PORT:-80}:8000/udp"),
        ("0.0.0.0:${PORT}:8000", "127.0.0.1:${PORT}:8000"),
        ("[::]:${PORT}:8000", "127.0.0.1:${PORT}:8000"),
        ("${BIND}:8000:${PORT}", "127.0.0.1:8000:${PORT}"),
        ("${BIND:-0.0.0.0}:8000:8000", "127.0.0.1:8000:8000"),
        ("${PORT}", "127.0.0.1::${PORT}"),
    ],
)
def test_a_port_keeps_its_variables_in_the_hint(written: str, hint: str) -> None:
    files = {"c.yml": f"{SERVICE}    ports: ['{written}']\n", ".env": "PORT=8001\nBIND=0.0.0.0\n"}
    (finding,) = findings("CMP008", files)
    assert finding.hint == f'write - "{hint}"'


@pytest.mark.parametrize(
    ("test", "hint"),
    [
        ("pg_isready || true", "take out || true at the end of the test"),
        ("pg_isready; exit 0", "take out ; exit 0 at the end of the test"),
        ("echo ok || true", "write a test that fails"),
        ("true || true", "write a test that fails"),
        ("true", "write a test that fails"),
    ],
)
def test_a_test_keeps_what_is_good_of_it(test: str, hint: str) -> None:
    (finding,) = findings("CMP011", f"{SERVICE}    healthcheck: {{test: ['CMD-SHELL', '{test}']}}\n")
    assert finding.hint.startswith(hint)


def test_an_empty_value_is_said_to_be_empty_and_where() -> None:
    """Compose looked where it was told to: that is not a name which env_file alone has."""
    files = {
        "c.yml": f"{SERVICE}    image: a:${{TAG:?set it}}\n    env_file: .env.docker\n",
        ".env.docker": "# which\nTAG=\n",
    }
    (finding,) = findings("CMP002", files, env_file=".env.docker")
    assert finding.message == "${TAG} is empty in .env.docker (line 2), so Compose refuses to start"
    assert finding.hint == "fill in TAG= in .env.docker"
    (finding,) = findings("CMP002", files, env_file=".env.docker", environ={"TAG": ""})
    assert finding.message == "${TAG} is empty in the shell, so Compose refuses to start"
    assert finding.hint == "give it a value, or take it out: unset TAG"


def test_one_empty_value_is_one_finding_and_the_hint_makes_a_password() -> None:
    files = {
        "c.yml": "services:\n  a: {command: '${DB_PASSWORD:?}'}\n  b: {image: 'x:${DB_PASSWORD:?}'}\n",
        ".env": "DB_PASSWORD=\n",
    }
    (finding,) = findings("CMP002", files)
    assert finding.message.startswith("${DB_PASSWORD} is empty in .env (line 1)")
    assert finding.hint.startswith("fill in DB_PASSWORD= in .env; this makes one: python3 -c ")


MERGED = {
    "a.yml": "services:\n  a:\n    depends_on:\n      - b\n  b: {healthcheck: {test: x}}\n",
    "b.yml": "services:\n  a: {depends_on: {c: {condition: service_healthy}}}\n  c: {image: x:1}\n",
}


def test_a_short_dependency_is_seen_through_a_merge() -> None:
    """The merge turns the list into a mapping with conditions that nobody wrote."""
    assert judge("CMP012", MERGED) == [("warning", "a.yml:4", "a")]
    longer = {**MERGED, "c.yml": "services:\n  a: {depends_on: {b: {condition: service_healthy}}}\n"}
    assert judge("CMP012", longer) == []
    shorter = {**longer, "d.yml": "services:\n  a: {depends_on: [b, c]}\n"}
    assert judge("CMP012", shorter) == [("warning", "d.yml:2", "a")]
    decided = {**MERGED, "c.yml": "services:\n  a: {depends_on: {b: {condition: service_started}}}\n"}
    assert judge("CMP012", decided) == []


@pytest.mark.parametrize(
    ("command", "deaf"),
    [
        (["true"], True),
        (["/bin/true"], True),
        (["exit", "0"], True),
        (["echo", "ok"], True),
        (["sh", "-c", "exit 0"], True),
        (["sh", "-c", "echo ok"], True),
        (["sh", "-c", "curl -f x || true"], True),
        (["sh", "-c", "curl -f x || exit 0"], True),
        (["sh", "-c", "curl -f x ; exit 0"], True),
        (["/bin/bash", "-c", "curl -f x || echo down"], True),
        (["sh", "-c", "python -c \"print('ok')\""], True),
        (["python", "-c", "print('ok')"], True),
        (["python3", "-c", "import sys; print('ok'); sys.exit(0)"], True),
        (["python", "-c", "pass"], True),
        (["sh", "-c", "curl -f x || exit 1"], False),
        (["sh", "-c", "curl -f x"], False),
        (["sh", "-c", "set -e; curl -f x; true"], False),
        (["sh", "-c", "echo PING > /dev/tcp/localhost/6379"], False),
        (["sh", "-c", "echo $(cat /tmp/x) | grep ok"], False),
        (["sh", "-c", "echo ok && curl -f x"], False),
        (["sh", "-c", "test -e /tmp/true"], False),
        (["python", "-c", "import urllib.request as u; u.urlopen('http://x')"], False),
        (["python", "-c", "import app; print('ok')"], False),
        (["python", "-c", "exit(1)"], False),
        (["python", "-c", "print(open('x').read())"], False),
        (["python", "-c", "this is no python"], False),
        (["python", "-c", "'\\d'; exit(1)"], False),
        ([], False),
    ],
)
def test_healthchecks_that_cannot_fail(command: list[str], deaf: bool) -> None:
    assert bool(why_deaf(command)) is deaf


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("redis-server --requirepass x --masterauth y", ["--requirepass", "--masterauth"]),
        ("redis-cli -h h -a x ping", ["-a"]),
        ("redis-cli --pass x", ["--pass"]),
        ("app --http-password=x --api-key y --token 'z'", ["--http-password", "--api-key", "--token"]),
        ("mysqladmin ping -u root -px", ["-p"]),
        ("PGPASSWORD=x psql", ["PGPASSWORD"]),
        ("psql postgres://me:x@db/a", ["a URL"]),
        ("curl -u me:x http://h", ["-u"]),
        ("app --password-file /run/x --max-tokens 5 --no-password --token-ttl 3", []),
        ("app --password --other", []),
        ("tar -a -p file", []),
        ("psql postgres://me@db/a http://h:80/@x", []),
        ("echo hash-password", []),
    ],
)
def test_options_that_take_a_password(command: str, options: list[str]) -> None:
    assert [option for option, _ in options_in(command)] == options
