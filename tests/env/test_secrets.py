"""What counts as a secret: values made here, so that no file holds one; and what does not."""

from __future__ import annotations

import base64
import json
import random
import string
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.env.rules import RULES
from exai_ops.env.rules.table import Context
from exai_ops.env.scan import in_file, manner_of
from exai_ops.env.secret_shapes import projects
from exai_ops.env.secrets import Hit, in_line, of_assignment
from exai_ops.env.weak import is_chosen, weakness
from exai_ops.settings import VARIABLES

from .cases import EXAMPLE, LIVE, context, document, found, places

ROOT = Path(__file__).parents[2]
_RANDOM = random.Random(4)
_ALPHABET = string.ascii_letters + string.digits


def chars(length: int, alphabet: str = _ALPHABET) -> str:
    """Random characters, with a letter and a digit among the first twelve."""
    return "q7" + "".join(_RANDOM.choices(alphabet, k=length - 2))


def jwt(role: str) -> str:
    def part(value: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'iss': 'supabase', 'role': role})}.{chars(43)}"


HEX = "0123456789abcdef"
SHAPES = {
    "a JSON Web Token with the role service_role": jwt("service_role"),
    "a JSON Web Token with the role anon": jwt("anon"),
    "a JSON Web Token": jwt("somebody"),
    "an API key (sk-)": "sk-" + chars(48),
    "a secret key of Stripe": "sk_" + "live_" + chars(24),
    "an access key of AWS": "AKIA"
    + chars(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").upper().replace("Q7", "Q6"),
    "a token of GitHub": "ghp_" + chars(36),
    "a token of GitLab": "glpat-" + chars(20),
    "a token of Slack": "xoxb-" + chars(12, string.digits) + "-" + chars(24),
    "an API key of Google": "AIza" + chars(35),
    "a token of npm": "npm_" + chars(36),
    "a token of PyPI": "pypi-AgE" + chars(60),
    "a token of Hugging Face": "hf_" + chars(34),
    "an API key of SendGrid": "SG." + chars(22) + "." + chars(43),
    "a secret key of Supabase": "sbp_" + chars(40, HEX).replace("q", "c"),
    "a private key": "-----BEGIN " + "PRIVATE KEY-----\n" + chars(64),
    "a password in a URL": "redis://default:" + chars(26) + "@redis:6379/0",
    "a value under the name of a secret": chars(32),
}


@pytest.mark.parametrize("what", SHAPES)
def test_shapes_in_an_assignment(what: str) -> None:
    hit = of_assignment("APP_SECRET", SHAPES[what])
    assert hit is not None
    assert (hit.key, hit.what, hit.sure) == ("APP_SECRET", what, "anon" not in what)
    assert SHAPES[what][4:12] not in str(hit)


@pytest.mark.parametrize("what", [w for w in SHAPES if "under the name" not in w and w != "a private key"])
@pytest.mark.parametrize(
    "line", ["x = '{}'", "see {} for it", '  "a": "{}",', "# {}", "curl -H 'Authorization: {}'"]
)
def test_shapes_in_any_line(what: str, line: str) -> None:
    hits = in_line(line.format(SHAPES[what]), "code")
    assert [hit.what for hit in hits] == [what]


NAMED = {
    "dotenv": [
        f"API_KEY={chars(32)}",
        f"export API_KEY='{chars(20)}'  # mine",
        "DB_PASSWORD=correct horse battery",
    ],
    "config": [
        f"api_key: {chars(32)}",
        f"- API_KEY={chars(20)}",
        f'api_key = "{chars(32)}"',
        f"set API_KEY={chars(16)};",
    ],
    "code": [
        f'api_key = "{chars(32)}"',
        f"{{'apiKey': '{chars(20)}'}}",
        f"password: str = '{chars(16)}'",
        f"t.TOKEN=>'{chars(14)}'",
    ],
}


@pytest.mark.parametrize(("manner", "line"), [(m, line) for m, lines in NAMED.items() for line in lines])
def test_names(manner: str, line: str) -> None:
    hits = in_line(line, manner)  # type: ignore[arg-type]
    assert [hit.what for hit in hits] == ["a value under the name of a secret"]
    assert hits[0].key


HARMLESS = [
    "",
    "your_api_key_here",
    "your-key",
    "xxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "changeme",
    "<token>",
    "example",
    "${API_KEY}",
    "$(cat /run/secrets/key)",
    "{{ vault.key }}",
    "true",
    "30",
    "/run/secrets/api_key",
    "~/.key",
    "https://api.example.com/v1",
    "https://api.moonshot.ai/v1",
    "AKIAIOSFODNN7EXAMPLE",
    "test-token-12345",
    "not-a-real-key-0",
    "redis://:YOUR_PASSWORD@localhost:6379/0",
    "redis://redis:6379/0",
    "postgres://user:${PW}@db/x",
    "********",
    "...",
    "eyJxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxx",
    "none",
    "os.environ['KEY']",
    "%(key)s",
    "1234567890abcdef1234567890abcdef",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "dummy-1a2b3c4d5e6f7g8h",
    "C:\\keys\\one.pem",
]


@pytest.mark.parametrize("value", HARMLESS)
def test_no_secrets(value: str) -> None:
    assert of_assignment("API_KEY", value) is None
    for manner in ("dotenv", "config", "code"):
        assert in_line(f'API_KEY="{value}"', manner) == []


PROSE = [
    "the key is in the vault; token: see below",
    "password = getpass('Password: ')",
    "api_key = os.environ['API_KEY']",
    "def token(secret: str = '') -> str:",
    "max_tokens=8192",
    "KEY_FILE=/etc/key.pem",
    "SORT_KEY = 'created_at_descending'",
    'secret_key_base = ENV.fetch("SECRET_KEY_BASE")',
    "keyboard-interactive",
    "sk-learn, task-management-for-everybody-here",
    "public_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq7'",
    "ssh://git@host.org/repo",
    "https://user@host/x",
    '"-----BEGIN PRIVATE KEY-----" in text',
    "token_type='urn:ietf:params:oauth:token-type:jwt'",
    "--token-file=/run/x1y2z3",
    "monkey = 'a1b2c3d4e5f6a7b8'",
    "integrity sha512-1a2b3c4d5e6f7a8b9c==",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


@pytest.mark.parametrize("line", PROSE)
@pytest.mark.parametrize("manner", ["config", "code"])
def test_prose_and_code_without_secrets(line: str, manner: str) -> None:
    assert in_line(line, manner) == []  # type: ignore[arg-type]


def test_random_values_are_found_and_words_are_not() -> None:
    """Of a thousand random keys nearly all: some happen to spell a word that tests are made of."""
    values = ["".join(_RANDOM.choices(_ALPHABET + "-_", k=40)) for _ in range(1000)]
    assert sum(of_assignment("API_KEY", value) is not None for value in values) >= 990
    words = [
        " ".join(_RANDOM.choices(("time", "model", "retry", "limit", "kimi", "turbo"), k=3))
        for _ in range(200)
    ]
    assert not any(in_line(f"api_key_comment: {text}", "config") for text in words)


@given(st.text(max_size=200), st.sampled_from(["dotenv", "config", "code"]))
def test_any_line_can_be_asked_about(text: str, manner: str) -> None:
    for hit in in_line(f"API_KEY={text}", manner):  # type: ignore[arg-type]
        assert isinstance(hit, Hit)


@pytest.mark.parametrize(
    "piece", ["a", "a=", "://a:", "eyJ.", "key = ", "-----BEGIN ", 'key="', "sk-", " key: a", "A B "]
)
def test_long_lines_take_no_time(piece: str) -> None:
    text = "API_KEY=" + piece * (200_000 // len(piece))
    began = time.process_time()
    in_line(text, "config")
    in_line(text, "code")
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("path", "manner"),
    [
        (".env", "dotenv"),
        ("a/.env.docker", "dotenv"),
        (".env.example", "dotenv"),
        ("prod.env", "dotenv"),
        ("env.py", "code"),
        ("docs/.env.md", "code"),
        ("compose/docker-compose.yml", "config"),
        ("Dockerfile", "config"),
        ("a.sh", "config"),
        ("README.md", "code"),
        ("src/a.ts", "code"),
        ("environment.ini", "config"),
    ],
)
def test_manners(path: str, manner: str) -> None:
    assert manner_of(path) == manner


def test_this_repository_holds_none() -> None:
    """Every file that git knows, or would take; the tests make theirs as they run."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    spots = []
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            spots += list(in_file(name, (ROOT / name).read_text(encoding="utf-8", errors="replace")))
    assert [(spot.file, spot.line, spot.hit.what) for spot in spots] == []


DOLLARS = {
    "in single quotes": ("dotenv", "A_PASSWORD='{0}$x9DL7F'", 1),
    "in a URL": ("dotenv", "C_URL=postgres://u:{0}$x9DL7H@h/d", 1),
    "two of them": ("dotenv", "E_PASSWORD={0}$$x9DL7Hk2", 1),
    "in code": ("code", 'password = "{0}$x9DL7Y"', 1),
    "in YAML": ("config", "password: '{0}$x9DL7Z'", 1),
    "a default": ("config", "password: ${X:-{0}}", 1),
    "a default in quotes": ("config", 'password: "${X:-{0}}"', 1),
    "a default of a secret": ("config", 'password: "${DB_PASSWORD:-{0}}"', 1),
    "a default in dotenv": ("dotenv", "PASSWORD=${X:-{0}}", 1),
    "a reference": ("dotenv", "A_PASSWORD=$DB_PASSWORD_2024", 0),
    "a reference in a style of its own": ("dotenv", "A_PASSWORD=$DbPass1", 0),
    "a reference within": ("dotenv", "A_PASSWORD=prefix-${DB_PASSWORD_1}-suffix", 0),
    "a reference of a shell": ("config", 'PASSWORD="$(cat /run/secrets/a1b2c3d4e5f6)"', 0),
    "a container's own": ("config", "password: $$REDIS_PASSWORD_2024", 0),
    "a message": ("config", "PASSWORD: ${DB_PASSWORD:?put1it2into3the4file5}", 0),
    "an empty default": ("config", "PASSWORD: ${DB_PASSWORD:-}", 0),
    "a placeholder": ("config", "PASSWORD: ${DB_PASSWORD:-your-password-here-123456}", 0),
}


@pytest.mark.parametrize(("manner", "line", "count"), DOLLARS.values(), ids=DOLLARS)
def test_secrets_with_a_dollar_and_references(manner: str, line: str, count: int) -> None:
    hits = in_line(line.replace("{0}", chars(20)), manner)  # type: ignore[arg-type]
    assert len(hits) == count


def test_rules_see_secrets_with_a_dollar() -> None:
    text = f"A_PASSWORD='q$x9DL7Fk'\nB_PASSWORD='{KEY[3:23]}$x9DL7F'\nC_PASSWORD='{KEY[3:23]}$x9DL7F'\n"
    text += "D_PASSWORD=$B_PASSWORD\n"
    assert places(found(RULES, "ENV301", context(example=text)))[1:] == [
        ("error", 2, "B_PASSWORD"),
        ("error", 3, "C_PASSWORD"),
    ]
    tracked = context(live=text, tracked=frozenset({LIVE}))
    assert [line for _, line, _ in places(found(RULES, "ENV302", tracked))] == [1, 2, 3]
    assert places(found(RULES, "ENV304", context(live=text))) == [("warning", 1, "A_PASSWORD")]
    assert places(found(RULES, "ENV305", context(live=text))) == [("warning", 3, "C_PASSWORD")]


HEADERS = {
    "Python": ('h = {"Authorization": "Bearer {}"}', 1),
    "curl": ('curl -H "Authorization: Bearer {}" h', 1),
    "basic": ('curl -H "authorization: Basic {}" h', 1),
    "a call": ('set("Authorization", f"Token {}")', 1),
    "a variable": ('curl -H "Authorization: Bearer $TOKEN_2024" h', 0),
    "a field": ('h = {"Authorization": f"Bearer {self.token}"}', 0),
    "prose": ("a bearer of internationalisation, and authorization: basic understanding", 0),
}


@pytest.mark.parametrize(("line", "count"), HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("manner", ["config", "code"])
def test_authorization_headers(line: str, count: int, manner: str) -> None:
    hits = in_line(line.replace("{}", chars(24)), manner)  # type: ignore[arg-type]
    assert [hit.what for hit in hits] == ["a token of an Authorization header"] * count
    assert [hit.what for hit in in_line(line.replace("{}", jwt("anon")), "code")] == [
        "a JSON Web Token with the role anon"
    ] * count


@pytest.mark.parametrize("manner", ["config", "code"])
def test_keys_of_tables_are_no_secrets(manner: str) -> None:
    for line in (
        'primary_key = "id_3f9a1c77e2b84d06"',
        'sortKey: "id_3f9a1c77e2b84d06"',
        'key = "3f9a1c77-e2b8-4d06-9a1c-77e2b84d0612"',
    ):
        assert in_line(line, manner) == []  # type: ignore[arg-type]
    table, api = "COSMOS_PRIMARY" + "_KEY=id_", "api" + '_key = "'
    assert len(in_line(f'{api}3f9a1c77-e2b8-4d06-9a1c-77e2b84d0612"', "code")) == 1
    assert len(in_line(f'key = "{chars(24)}"', "code")) == 1
    assert len(in_line(f"{table}3f9a1c77e2b84d06", "dotenv")) == 1


@pytest.mark.parametrize("manner", ["dotenv", "config", "code"])
def test_one_value_is_one_secret(manner: str) -> None:
    line = f'dsn = "postgres://u:{chars(24)}@h/d"'
    (hit,) = in_line(line, manner)  # type: ignore[arg-type]
    assert (hit.key, hit.what) == ("dsn", "a password in a URL")


# --- weak ones ---

WEAK = {
    "good": ("q7Zt4kQ9vXw2Lp8sRb", None),
    "hexadecimal": ("9f86d081884c7d65", None),
    "short": ("q7Zt4kQ9vXw2Lp8", "has fewer than 16 characters"),
    "few": ("abababababababababab", "is made of few different characters"),
    "words": ("test-token-12345", "is made of words and sequences that are tried first"),
    "more words": ("exai-admin-password-2025", "is made of words and sequences that are tried first"),
}


@pytest.mark.parametrize(("value", "reason"), WEAK.values(), ids=WEAK)
def test_weakness(value: str, reason: str | None) -> None:
    assert weakness(value) == reason


def test_whose_secrets_are_chosen() -> None:
    assert all(map(is_chosen, ("EXAI_WS_TOKEN", "REDIS_PASSWORD", "JWT_SECRET_KEY", "SUPABASE_JWT_SECRET")))
    assert not any(map(is_chosen, ("KIMI_API_KEY", "MAX_TOKENS", "TOKEN_TTL", "API_SECRET_HEADER")))


# --- projects ---

REFERENCE = "qzjtwmvkxnpylrdghbfc"
PROJECTS = {
    "an address": (f"see https://{REFERENCE}.supabase.co/x", "the address of a Supabase project"),
    "a reference": (f"project id, e.g. {REFERENCE}", "the reference of a Supabase project"),
    "a database": ("db-1a2b3c.eu-west-1.rds.amazonaws.com", "the address of a hosted database"),
    "made up": ("https://your-project.supabase.co", None),
    "dashboard": ("https://supabase.com/dashboard/project/_/settings/api", None),
    "another word": (f"no {REFERENCE}", None),
}


@pytest.mark.parametrize(("text", "what"), PROJECTS.values(), ids=PROJECTS)
def test_projects(text: str, what: str | None) -> None:
    assert [kind for _, kind in projects(text)] == ([what] if what else [])


# --- rules ---

KEY = "sk-" + chars(48)
KNOWN = {name: variable for variable in VARIABLES for name in variable.names}


def test_in_the_example() -> None:
    text = f"A=1\nKIMI_API_KEY=your_key_here\nGLM_API_KEY={KEY}\n"
    text += f"DB_PASSWORD=kestrel on a wire\nSHOWN_TOKEN={KEY}\n"
    given = context(example=text, public=("SHOWN_*",))
    assert places(found(RULES, "ENV301", given)) == [
        ("error", 3, "GLM_API_KEY"),
        ("warning", 4, "DB_PASSWORD"),
    ]
    both = context(example="DB_PASSWORD=kestrel on a wire\n", live="DB_PASSWORD=kestrel on a wire\n")
    (finding,) = found(RULES, "ENV301", both)
    assert (str(finding.status), finding.message.endswith(", the one in use")) == ("error", True)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("DATABASE_URL=postgresql://johndoe:randompassword@localhost:5432/db", "warning"),
        ("DATABASE_URL=postgres://postgres:postgres@127.0.0.1/db", "warning"),
        (f"DATABASE_URL=postgres://app:{chars(24)}@localhost/db", "warning"),
        (f"DATABASE_URL=postgres://app:{chars(24)}@localhost.example.org/db", "error"),
        (f"DATABASE_URL=postgres://app:{chars(24)}@db/db", "error"),
        (f"SECRET_KEY=django-insecure-{chars(40)}", "warning"),
        (f"SECRET_KEY={chars(40)}", "error"),
        (f"RECAPTCHA_SITE_KEY={chars(40)}", None),
        (f"RECAPTCHA_SECRET_KEY={chars(40)}", "error"),
        (f"WEBSITE_KEY={chars(40)}", "error"),
    ],
)
def test_what_opens_nothing_elsewhere_is_a_warning_if_in_use_too(line: str, status: str | None) -> None:
    given = context(example=f"{line}\n", live=f"{line}\n")
    assert [str(finding.status) for finding in found(RULES, "ENV301", given)] == ([status] if status else [])


def test_in_tracked_files() -> None:
    text = f"A=1\nGLM_API_KEY={KEY}\n"
    assert places(found(RULES, "ENV302", context(live=text))) == [("skip", None, None)]
    assert found(RULES, "ENV302", context(live=text, tracked=frozenset({".env.example"}))) == []
    tracked = context(live=text, tracked=frozenset({LIVE}))
    assert places(found(RULES, "ENV302", tracked)) == [("error", 2, "GLM_API_KEY")]
    same = Context(example=document(text, LIVE), live=document(text, LIVE), tracked=frozenset({LIVE}))
    assert found(RULES, "ENV302", same) == []  # ENV301 says it


def test_placeholders() -> None:
    text = "KIMI_API_KEY=your_key_here  # get one\nSUPABASE_URL=https://your-project.supabase.co\n"
    text += "A=\nB=1\nC= # your_x\n"
    assert places(found(RULES, "ENV303", context(live=text))) == [
        ("error", 1, "KIMI_API_KEY"),
        ("warning", 2, "SUPABASE_URL"),
    ]
    assert found(RULES, "ENV303", context(example=text)) == []


def test_weak_ones() -> None:
    text = "EXAI_WS_TOKEN=test-token-12345\nREDIS_PASSWORD=your_password\nA_PASSWORD=${B}\n"
    text += f"B_TOKEN={KEY}\nC_TOKEN=\nDB_PASSWORD=null\n"
    assert places(found(RULES, "ENV304", context(live=text))) == [("warning", 1, "EXAI_WS_TOKEN")]


def test_repeated() -> None:
    text = f"KIMI_API_KEY={KEY}\nMOONSHOT_API_KEY={KEY}\nA_TOKEN={KEY}\n"
    text += "MODEL_A=kimi-k2-0905\nMODEL_B=kimi-k2-0905\n"
    seen = found(RULES, "ENV305", context(live=text, variables=KNOWN))
    assert places(seen) == [("warning", 3, "A_TOKEN")]
    assert seen[0].message == "A_TOKEN is the same as KIMI_API_KEY at line 1"


COMMENTS = {
    "nothing": "# KIMI_API_KEY=your_key\nSUPABASE_URL=https://your-project.supabase.co  # the project\n",
    "an old key": f"# KIMI_API_KEY={KEY}\n",
    "behind a value": f"A=1  # was {KEY}\n",
    "a project": f"SUPABASE_PROJECT_ID=  # (e.g., {REFERENCE})\n",
    "a value": f"SUPABASE_URL=https://{REFERENCE}.supabase.co\n",
}
EXPECTED = {
    "nothing": [],
    "an old key": [("error", 1, "KIMI_API_KEY")],
    "behind a value": [("error", 1, "A")],
    "a project": [("warning", 1, "SUPABASE_PROJECT_ID")],
    "a value": [("warning", 1, "SUPABASE_URL")],
}


@pytest.mark.parametrize("name", COMMENTS)
def test_comments(name: str) -> None:
    assert places(found(RULES, "ENV306", context(example=COMMENTS[name]))) == EXPECTED[name]


def test_comments_of_files_that_git_does_not_track_are_the_owner_s() -> None:
    assert found(RULES, "ENV306", context(live=COMMENTS["an old key"], tracked=frozenset({EXAMPLE}))) == []
    assert found(RULES, "ENV306", context(live=COMMENTS["an old key"], tracked=frozenset({LIVE})))
