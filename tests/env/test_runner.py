"""Selection, order, the files that are found, the fewest moves, and how values are shown."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.env.find import COMPOSE, EXAMPLES, LIVE, Found, find
from exai_ops.env.order import moves
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.runner import rule_of, run, select
from exai_ops.env.shown import is_placeholder, is_secret_key, looks_secret, may_differ, said, shown
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.findings import Finding, Location, Status


def rule(code: str, *findings: Finding) -> Rule:
    return Rule(
        code=code, severity=Status.ERROR, title="t", hint="h", explanation="e",
        function=lambda _context: findings,
    )  # fmt: skip


TABLE = tuple(rule(code) for code in ("ENV001", "ENV101", "ENV104", "CMP001"))


@pytest.mark.parametrize(
    ("only", "skip", "codes"),
    [
        ([], [], ["ENV001", "ENV101", "ENV104", "CMP001"]),
        (["ENV104"], [], ["ENV104"]),
        (["ENV1"], [], ["ENV101", "ENV104"]),
        (["env1"], ["ENV104"], ["ENV101"]),
        ([], ["ENV"], ["CMP001"]),
        (["ENV001", "CMP"], [], ["ENV001", "CMP001"]),
    ],
)
def test_selection(only: list[str], skip: list[str], codes: list[str]) -> None:
    assert [r.code for r in select(TABLE, only=only, skip=skip)] == codes


@pytest.mark.parametrize(
    ("text", "hint"), [("ENV14", "ENV104"), ("CMP01", "CMP001"), ("zzz", "--list-rules")]
)
def test_a_code_that_there_is_not(text: str, hint: str) -> None:
    for call in (lambda: select(TABLE, only=[text]), lambda: rule_of(TABLE, text)):
        with pytest.raises(UsageError) as caught:
            call()
        assert hint in (caught.value.hint or "")


def test_order_is_by_file_and_line_and_skipped_last() -> None:
    found = [
        Finding("ENV001", Status.SKIP, "m"),
        Finding("ENV001", Status.INFO, "m", where=Location("b", 2)),
        Finding("ENV001", Status.ERROR, "m", where=Location("a", 10)),
        Finding("ENV001", Status.ERROR, "m", where=Location("a", 9)),
    ]
    assert run([rule("ENV001", *found)], Context()) == [found[3], found[2], found[1], found[0]]


def test_a_crash_of_a_rule_is_a_bug() -> None:
    def crash(_context: Context) -> list[Finding]:
        raise ZeroDivisionError

    broken = Rule(code="ENV001", severity=Status.ERROR, title="t", hint="h", explanation="e", function=crash)
    with pytest.raises(ZeroDivisionError):
        run([broken], Context())


def test_what_a_terminal_obeys_is_not_said() -> None:
    finding = Finding("ENV001", Status.INFO, "a\x1b[2Jb\udcff", "h\r", Location("f", 1, "K\udcff"))
    (found,) = run([rule("ENV001", finding)], Context())
    assert (found.message, found.hint, found.where.name) == ("a\\x1b[2Jb\\xff", "h\\x0d", "K\\xff")


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([".env.example", ".env.docker"], Found(example=".env.example", live=".env.docker")),
        ([".env.example", ".env"], Found(example=".env.example", live=".env")),
        ([".env.docker", ".env"], Found(live=".env.docker", main=".env")),
        ([".env.sample"], Found(example=".env.sample")),
        (["compose/compose.yaml", "compose.yaml"], Found(compose=("compose/compose.yaml",))),
        (["docker-compose.yml", ".env"], Found(live=".env", compose=("docker-compose.yml",))),
        (["docker-compose.yml", "compose.yml"], Found(compose=("compose.yml",))),
        (
            ["compose/docker-compose.yml", "compose/docker-compose.override.yml", "compose.override.yml"],
            Found(compose=("compose/docker-compose.yml", "compose/docker-compose.override.yml")),
        ),
        (
            ["docker-compose.yml", "compose.override.yaml"],
            Found(compose=("docker-compose.yml", "compose.override.yaml")),
        ),
    ],
)
def test_files_are_found(tmp_path: Path, there: list[str], found: Found) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find(tmp_path) == found


def test_named_files_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / ".env.example").touch()
    found = find(tmp_path, live="prod.env", compose=["a.yml", "b.yml"])
    assert found == Found(example=".env.example", live="prod.env", compose=("a.yml", "b.yml"))


@pytest.mark.parametrize(
    ("environ", "text", "found"),
    [
        ({}, "A=1\n", ("compose.yml",)),
        ({"COMPOSE_FILE": "a.yml"}, "", ("a.yml",)),
        ({"COMPOSE_FILE": "a.yml:b/c.yml"}, "COMPOSE_FILE=d.yml\n", ("a.yml", "b/c.yml")),
        ({"COMPOSE_FILE": "a.yml,b.yml", "COMPOSE_PATH_SEPARATOR": ","}, "", ("a.yml", "b.yml")),
        ({}, 'COMPOSE_FILE="a.yml:b.yml"\n', ("a.yml", "b.yml")),
        ({}, "COMPOSE_PATH_SEPARATOR=|\nCOMPOSE_FILE=a.yml|b.yml\n", ("a.yml", "b.yml")),
        ({"COMPOSE_FILE": ""}, "COMPOSE_FILE=a.yml\n", ("compose.yml",)),
        ({"COMPOSE_DISABLE_ENV_FILE": "1"}, "COMPOSE_FILE=a.yml\n", ("compose.yml",)),
        ({}, "# COMPOSE_FILE=a.yml\n", ("compose.yml",)),
    ],
)
def test_compose_file_names_them(
    tmp_path: Path, environ: dict[str, str], text: str, found: tuple[str, ...]
) -> None:
    (tmp_path / "compose.yml").touch()
    (tmp_path / ".env").write_text(text)
    assert find(tmp_path, environ=environ).compose == found
    assert find(tmp_path, compose=["own.yml"], environ=environ).compose == ("own.yml",)


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / ".env.example").symlink_to("gone")
    (tmp_path / ".env.docker").symlink_to("gone")
    (tmp_path / ".env").symlink_to("gone")
    assert find(tmp_path) == Found(example=".env.example", live=".env.docker", main=".env")


def test_nothing_found_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook) as caught:
        find(tmp_path)
    assert all(name in caught.value.message for name in (*EXAMPLES, *LIVE, *COMPOSE))


# --- moves -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("have", "want", "moved"),
    [("", "", ""), ("abc", "abc", ""), ("cab", "abc", "c"), ("abcd", "dabc", "d"), ("ba", "ab", "b")],
)
def test_moves(have: str, want: str, moved: str) -> None:
    assert "".join(moves(have, want)) == moved


@given(st.permutations("abcdefg"))
def test_as_few_moves_as_can_be(have: list[str]) -> None:
    moved = moves(have, "abcdefg")
    kept = [item for item in have if item not in moved]
    assert kept == sorted(kept)
    longer = combinations(have, len(kept) + 1)
    assert not any(list(some) == sorted(some) for some in longer)


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "as_shown"),
    [
        ("TIMEOUT", "30", "'30'"),
        ("TIMEOUT", "", "nothing"),
        ("MODEL", "kimi-k2-0905-preview", "'kimi-k2-0905-preview'"),
        ("TZ", "Australia/Melbourne", "'Australia/Melbourne'"),
        ("KIMI_MAX_OUTPUT_TOKENS", "16384", "'16384'"),
        ("CACHE_TOKEN_TTL", "1800", "'1800'"),
        ("API_KEY", "abc", "***"),
        ("REDIS_PASSWORD", "12345", "***"),
        ("apiKey", "abc", "***"),
        ("DB_URL", "postgres://u:pw@host/db", "***"),
        ("NOTE", "sk-abcdef", "***"),
        ("NOTE", "eyJhbGciOi", "***"),
        ("SUPABASE_URL", "https://abcdefghijklmnopqrst.supabase.co", "***"),
        ("NOTE", "a1b2c3d4e5f6", "***"),
        ("TEXT", "a b " * 20, repr(("a b " * 20)[:37] + "...")),
    ],
)
def test_shown(key: str, value: str, as_shown: str) -> None:
    assert shown(key, value) == as_shown


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("API_KEY", True), ("TOKEN", True), ("my.secret", True), ("DB-PASSWORD", True), ("jwtSecret", True),
        ("MAX_TOKENS", False), ("KEYBOARD", False), ("TOKEN_TTL", False),
        ("API_KEY_HEADER", False), ("", False),
    ],
)  # fmt: skip
def test_secret_keys(key: str, secret: bool) -> None:
    assert is_secret_key(key) is secret


@pytest.mark.parametrize(
    ("value", "placeholder"),
    [
        ("", True), (" ", True), ("your_key_here", True), ("your-key", True), ("<token>", True),
        ("changeme", True),
        ("CHANGE_ME", True), ("xxxx", True), ("https://api.example.com", True), ("replace-me", True),
        ("put_it_here", True), ("30", False), ("true", False), ("yours", False), ("redis", False),
    ],
)  # fmt: skip
def test_placeholders(value: str, placeholder: bool) -> None:
    assert is_placeholder(value) is placeholder


@pytest.mark.parametrize(
    ("key", "example", "live", "why"),
    [
        ("TIMEOUT", "45", "30", None),
        ("TIMEOUT", "45", "", None),
        ("TIMEOUT", "", "30", "placeholder"),
        ("NAME", "dev", "your_name_here", "placeholder"),
        ("API_KEY", "a", "b", "secret"),
        ("DB_URL", "postgres://a:b@h/d", "postgres://c:d@h/d", "secret"),
        ("WS_HOST", "127.0.0.1", "0.0.0.0", "host"),
        ("API_URL", "http://a/v1", "https://b/v1", None),
        ("API_URL", "http://a/v1", "http://b/v1", "host"),
        ("API_URL", "http://a/v1", "http://b/v2", None),
        ("DIR", "/app", "C:\\Project", "path"),
        ("DIR", "app", "/app", None),
    ],
)
def test_what_may_differ(key: str, example: str, live: str, why: str | None) -> None:
    assert may_differ(key, example, live) == why


def test_comments_are_said_short_and_without_secrets() -> None:
    assert said("e.g. https://abcdefghijklmnopqrst.supabase.co") == "e.g. ***"
    assert said("30 s holds, 45 s lost clients") == "30 s holds, 45 s lost clients"
    assert len(said("word " * 50)) == 60
    assert not looks_secret("industry-standard 2025-10-18")
