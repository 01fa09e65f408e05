"""Settings: each kind, range and rule; where values come from; the example; the command."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops import settings as module
from exai_ops.cli import main
from exai_ops.errors import SettingsError
from exai_ops.settings import VARIABLES, Secret, Settings, Variable, env_example, examine, load, sources
from exai_ops.settings.codes import CODES

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable of ours from outside, and no .env in the current folder."""
    for variable in VARIABLES:
        for name in variable.names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(environ: dict[str, str]) -> list[str]:
    return [f"{problem.code} {problem}" for problem in examine(environ)[1]]


def test_defaults_are_allowed() -> None:
    assert load({}) == Settings()
    assert examine({})[1] == []


@pytest.mark.parametrize(
    ("name", "raw", "field", "value"),
    [
        ("EXAI_WS_PORT", " 9000\n", "ws_port", 9000),
        ("EXAI_WS_PORT", "0", "ws_port", 0),
        ("EXAI_WS_PORT", "+80", "ws_port", 80),
        ("EXAI_DRAIN_SECS", "1.5", "drain_s", 1.5),
        ("EXAI_DRAIN_SECS", "1e2", "drain_s", 100.0),
        ("EXAI_DRAIN_SECS", ".5", "drain_s", 0.5),
        ("EXAI_WS_SEMANTIC_CACHE", "YES", "ws_semantic_cache", True),
        ("EXAI_WS_SEMANTIC_CACHE", "off", "ws_semantic_cache", False),
        ("EXAI_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("EXAI_ALLOWED_HOSTS", "a.example, b.example,,", "allowed_hosts", ("a.example", "b.example")),
        ("KIMI_API_URL", "https://api.moonshot.cn/v1/", "kimi_api_url", "https://api.moonshot.cn/v1"),
        ("MOONSHOT_API_KEY", "abc", "kimi_api_key", Secret("abc")),
        ("KIMI_BASE_URL", "http://[::1]:9/v1", "kimi_api_url", "http://[::1]:9/v1"),
        ("ZAI_API_KEY", "abc", "glm_api_key", Secret("abc")),
        ("EXAI_WS_PORT", "   ", "ws_port", 8079),
        ("EXAI_STATE_DIR", "~/x", "state_dir", Path.home() / "x"),
    ],
)
def test_a_value_is_read(name: str, raw: str, field: str, value: Any) -> None:
    assert getattr(load({name: raw}), field) == value


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        (
            "EXAI_WS_PORT",
            "abc",
            "SET001 EXAI_WS_PORT: 'abc' is not a whole number; allowed: a whole number from",
        ),
        ("EXAI_WS_PORT", "80.5", "SET001 EXAI_WS_PORT: '80.5' is not a whole number"),
        ("EXAI_WS_PORT", "8_079", "SET001 EXAI_WS_PORT"),
        ("EXAI_WS_PORT", "\u0668\u0660", "SET001 EXAI_WS_PORT"),
        ("EXAI_WS_PORT", "9" * 5000, "SET001 EXAI_WS_PORT: '9999"),
        (
            "EXAI_WS_PORT",
            "65536",
            "SET002 EXAI_WS_PORT: 65536 is out of range; allowed: a whole number from 0 to 65535",
        ),
        ("EXAI_WS_PORT", "-1", "SET002 EXAI_WS_PORT: -1 is out of range"),
        (
            "EXAI_DRAIN_SECS",
            "nan",
            "SET001 EXAI_DRAIN_SECS: 'nan' is not a number; allowed: a number of seconds",
        ),
        ("EXAI_DRAIN_SECS", "inf", "SET001 EXAI_DRAIN_SECS: 'inf' is not a number"),
        ("EXAI_DRAIN_SECS", "1e999", "SET001 EXAI_DRAIN_SECS: '1e999' is not a finite number"),
        ("EXAI_DRAIN_SECS", "5s", "SET001 EXAI_DRAIN_SECS: '5s' is not a number"),
        (
            "EXAI_WS_SEMANTIC_CACHE",
            "maybe",
            "SET001 EXAI_WS_SEMANTIC_CACHE: 'maybe' is neither true nor false",
        ),
        (
            "EXAI_LOG_LEVEL",
            "loud",
            "SET003 EXAI_LOG_LEVEL: 'loud' is not known; allowed: one of debug, info,",
        ),
        ("EXAI_WS_HOST", "a\x1b[31m", "SET001 EXAI_WS_HOST: holds control characters; allowed: text"),
        ("EXAI_WS_PORT", "# the port", "SET001 EXAI_WS_PORT: holds a comment in place of a value"),
        (
            "KIMI_API_URL",
            "ftp://x",
            "SET001 KIMI_API_URL: is not an http(s) URL; allowed: an http:// or https://",
        ),
        ("KIMI_API_URL", "http://x:99999", "SET001 KIMI_API_URL: is not an http(s) URL"),
        ("KIMI_API_URL", "http://a b/", "SET001 KIMI_API_URL: is not an http(s) URL"),
        ("KIMI_API_URL", "http://[::1", "SET001 KIMI_API_URL: is not an http(s) URL"),
        ("GLM_BASE_URL", "http://u:canary@h", "SET001 GLM_BASE_URL: carries credentials"),
        ("GLM_API_URL", "http://h/?key=canary", "SET001 GLM_API_URL: carries a query"),
        ("KIMI_API_KEY", "canary canary", "SET001 KIMI_API_KEY: holds white space"),
        ("EXAI_WS_TOKEN", "canary\u00e9", "SET001 EXAI_WS_TOKEN: holds white space"),
        ("EXAI_WS_HOST", "0.0.0.0", "SET004 EXAI_WS_HOST: 0.0.0.0 is reachable from other machines"),
        ("EXAI_WS_CALL_TIMEOUT", "100", "SET005 EXAI_WS_CALL_TIMEOUT: 100 is less than 1.5 times"),
        ("EXAI_WS_INFLIGHT_TTL_SECS", "180", "SET005 EXAI_WS_INFLIGHT_TTL_SECS: 180 is not longer"),
        ("EXAI_WS_PROT", "1", "SET006 EXAI_WS_PROT: is not a variable of exai; did you mean EXAI_WS_PORT?"),
        ("EXAI_ZZZZZZ", "1", "SET006 EXAI_ZZZZZZ: is not a variable of exai; exai settings example lists"),
    ],
)
def test_a_problem_is_named(name: str, raw: str, said: str) -> None:
    (found,) = problems({name: raw})
    assert found.startswith(said)
    assert "canary" not in found
    assert len(found) < 300
    assert found.isprintable()


def every_bad_number() -> Iterator[tuple[Variable, str]]:
    for variable in VARIABLES:
        for bound, step in ((variable.minimum, -1), (variable.maximum, 1)):
            if bound is not None:
                yield variable, str(int(bound) + step)


@pytest.mark.parametrize(
    ("variable", "raw"), list(every_bad_number()), ids=lambda v: v.name if isinstance(v, Variable) else v
)
def test_every_range_is_held(variable: Variable, raw: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable.name}: {raw}(.0)? is out of range"):
        load({variable.name: raw})


def test_all_problems_come_at_once_and_rules_wait_for_readable_values() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"EXAI_WS_PORT": "x", "EXAI_DRAIN_SECS": "y", "EXAI_WS_CALL_TIMEOUT": "1"})
    assert [line.split(":")[0] for line in caught.value.problems] == ["EXAI_WS_PORT", "EXAI_DRAIN_SECS"]


def test_warnings_do_not_stop() -> None:
    environ = {"EXAI_WS_PROT": "1", "KIMI_API_KEY": "first", "MOONSHOT_API_KEY": "canary"}
    settings, found = examine(environ)
    assert settings is not None
    assert settings.kimi_api_key == Secret("first")
    assert [(p.code, p.name, p.fatal) for p in found] == [
        ("SET007", "MOONSHOT_API_KEY", False),
        ("SET006", "EXAI_WS_PROT", False),
    ]
    assert "canary" not in str(found)


def test_overrides_are_checked_by_the_rules() -> None:
    with pytest.raises(SettingsError, match="EXAI_WS_TOKEN is empty"):
        load({}, overrides={"ws_host": "0.0.0.0"})
    assert load({"EXAI_WS_TOKEN": "t"}, overrides={"ws_host": "0.0.0.0"}).ws_host == "0.0.0.0"


def test_overrides_are_in_range_and_hide_their_variable() -> None:
    with pytest.raises(SettingsError, match="EXAI_WS_PORT: 70000 is out of range"):
        load({}, overrides={"ws_port": 70000})
    assert load({"EXAI_WS_PORT": "x"}, overrides={"ws_port": 7000}).ws_port == 7000


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("LocalHost", True),
        ("0.0.0.0", False), ("::", False), ("", False), ("localhost.example", False), ("192.168.1.2", False),
    ],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert module.is_loopback(host) is loopback


@given(st.text())
def test_a_secret_shows_nothing_and_compares_to_anything(value: str) -> None:
    secret = Secret("canary" + value)
    assert "canary" not in f"{secret} {secret!r} {[secret]}"
    assert secret.matches("canary" + value)
    assert not secret.matches(value)
    assert not secret.matches("\ud800")


def test_settings_show_no_secret() -> None:
    settings = Settings(kimi_api_key=Secret("canary"), ws_token=Secret("canary2"))
    assert "canary" not in repr(settings)
    assert sorted(settings.secrets()) == ["canary", "canary2"]


@given(st.dictionaries(st.sampled_from([n for v in VARIABLES for n in v.names]), st.text(max_size=20)))
def test_any_text_is_a_value_or_a_named_problem(environ: dict[str, str]) -> None:
    settings, found = examine(environ)
    assert (settings is None) == any(problem.fatal for problem in found)
    assert all(problem.name in environ or problem.code in ("SET004", "SET005") for problem in found)


# --- where values come from


def write(folder: Path, text: str, name: str = ".env") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_wins_over_the_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bare, "EXAI_WS_PORT=1001\nEXAI_DRAIN_SECS=7\nKIMI_API_KEY=of-the-file\n")
    monkeypatch.setenv("EXAI_WS_PORT", "1002")
    monkeypatch.setenv("EXAI_DRAIN_SECS", "")
    monkeypatch.setenv("MOONSHOT_API_KEY", "of-the-process")
    settings = load(module.environment())
    assert (settings.ws_port, settings.drain_s) == (1002, 7)
    assert settings.kimi_api_key == Secret("of-the-process")


def test_a_named_file_replaces_the_default_one(bare: Path) -> None:
    write(bare, "EXAI_WS_PORT=1001\n")
    other = write(bare, "\ufeffexport EXAI_DRAIN_SECS='7' # seconds\n", "other.env")
    settings = load(module.environment(other))
    assert (settings.ws_port, settings.drain_s) == (8079, 7)


@pytest.mark.parametrize(
    "make", [lambda _: None, lambda path: path.mkdir(), lambda p: p.write_bytes(b"\xff=1")]
)
def test_a_file_that_cannot_be_read(bare: Path, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make(bare / "x.env")
    with pytest.raises(SettingsError, match=r"x\.env: "):
        module.environment(bare / "x.env")
    assert main(["settings", "check", "--env-file", str(bare / "x.env")]) == 3
    assert "SET009" in capsys.readouterr().out
    assert main(["settings", "show", "--env-file", str(bare / "x.env")]) == 2


def test_origins(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bare, "\nEXAI_WS_PORT=1001\nGLM_BASE_URL=http://h\n")
    monkeypatch.setenv("MOONSHOT_API_KEY", "x")
    read = sources()
    origins = {v.name: read.origin(v) for v in VARIABLES}
    assert origins["EXAI_WS_PORT"] == ".env:2"
    assert origins["GLM_API_URL"] == ".env:3 as GLM_BASE_URL"
    assert origins["KIMI_API_KEY"] == "environment as MOONSHOT_API_KEY"
    assert origins["EXAI_WS_HOST"] == "default"


# --- the example


def test_the_committed_example_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_example_is_the_defaults(bare: Path) -> None:
    path = write(bare, env_example())
    assert load(module.environment(path), overrides={"state_dir": Settings().state_dir}) == Settings()
    assert examine(module.environment(path))[1] == []


def test_every_variable_has_a_comment_and_a_section() -> None:
    lines = env_example().splitlines()
    for variable in VARIABLES:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{variable.name}="))
        assert lines[at - 1].startswith("# ")
        assert variable.section
        assert f"# --- {variable.section} ---" in lines[:at]
        assert len(variable.comment) > 15
        assert variable.comment.endswith(".")
    assert len({name for v in VARIABLES for name in v.names}) == sum(len(v.names) for v in VARIABLES)


def test_the_environment_is_read_in_settings_alone() -> None:
    names = {"environ", "environb", "getenv", "getenvb"}

    def reads(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return not names.isdisjoint(alias.name for alias in node.names)
        return isinstance(node, ast.Attribute) and ast.unparse(node).removeprefix("os.") in names

    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "exai_ops").rglob("*.py")
        if any(reads(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert readers == {"exai_ops/settings/reading.py"}


# --- the command


def test_check_reports_every_problem_with_its_place(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(bare, "EXAI_WS_PORT=x\nno assignment\nEXAI_WS_HSOT=h\nKIMI_API_KEY='can ary'\n")
    assert main(["settings", "check", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["summary"] == {"error": 2, "warning": 2}
    found = [(f["code"], f["where"]["file"], f["where"]["line"]) for f in document["findings"]]
    assert found == [
        ("SET001", ".env", 1),
        ("SET001", ".env", 4),
        ("SET006", ".env", 3),
        ("SET008", ".env", 2),
    ]
    assert main(["settings", "check", "--env-file", str(path), "--format", "short"]) == 1
    assert capsys.readouterr().out.startswith(f"{path}:1: error SET001 EXAI_WS_PORT: 'x' is not")


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        ("", [], 0),
        ("EXAI_WS_HSOT=h", [], 0),
        ("EXAI_WS_HSOT=h", ["--fail-on", "warning"], 1),
        ("EXAI_WS_PORT=x", [], 1),
        ("EXAI_WS_PORT=x", ["--format", "xml"], 2),
        ("", ["--fail-on", "never"], 2),
        ("", ["--nope"], 2),
    ],
)
def test_exit_codes_are_the_same_in_every_format(
    bare: Path, text: str, options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write(bare, text)
    formats = [[]] if "--format" in options else [["--format", f] for f in ("text", "short", "json")]
    assert {main(["settings", "check", *options, *form]) for form in formats} == {code}


def test_show_masks_secrets(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIMI_API_KEY", "canary")
    assert main(["settings", "show"]) == 0
    out = capsys.readouterr().out
    assert "KIMI_API_KEY=***  # environment\n" in out
    assert "EXAI_WS_TOKEN=  # default\n" in out
    assert "canary" not in out


def test_example_prints_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "example"]) == 0
    assert capsys.readouterr().out == env_example()


def test_codes_are_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert all(f"| {code} | {title} |" in page for code, title in CODES.items())
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "exai_ops").rglob("*.py"))
    assert set(re.findall(r'"(SET\d{3})"', source)) == set(CODES)
