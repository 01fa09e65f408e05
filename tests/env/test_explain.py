"""``exai env explain``: who gets what, from where, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.env.explain import Explanation, Row, Sources, explain
from exai_ops.env.explained import as_json, as_table
from exai_ops.env.readers import READERS
from exai_ops.settings import VARIABLES

from .compose_cases import load, write

SECRET = "s3cret-Value-0123456789abcdef"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def explained(
    key: str,
    files: Mapping[str, str],
    *,
    environ: Mapping[str, str] | None = None,
    use: tuple[str, ...] = (),
    dotenv: tuple[str, ...] = (),
    **options: str,
) -> Explanation:
    write(Path(), files)
    sources = Sources(
        project=load("c.yml", environ=environ or {}) if "c.yml" in files else None,
        files=[(name, Path(name).read_bytes()) for name in dotenv],
        readers=READERS,
        use=use,
        environ=environ or {},
        variables={name: variable for variable in VARIABLES for name in variable.names},
    )
    return explain(key, sources, **options)


def service_row(services: str, files: Mapping[str, str] | None = None, **options: object) -> Row:
    text = f"services:\n  web: {services}\n"
    found = explained("A", {"c.yml": text, **(files or {})}, **options)  # type: ignore[arg-type]
    return next(row for row in found.rows if row.who == "service web")


def at(row: Row) -> str | None:
    return f"{row.place.file}:{row.place.line}" if row.place else None


OWN_WINS = "environment wins over env_file"
LATER_WINS = "a later env_file wins over an earlier one"
EMPTY_STILL = "an empty value in env_file still sets it"
BARE = "a key without a value in environment takes that of the shell, then of .env or --env-file"
BARE_UNSET = "a key without a value in environment, which neither the shell nor .env has, is unset"


@pytest.mark.parametrize(
    ("service", "files", "environ", "value", "place", "why"),
    [
        ("{image: x}", {}, {}, None, None, ["no ENV of its image is known here, which would hold now"]),
        ("{environment: [A=1]}", {}, {}, "1", "c.yml:2", []),
        ("{environment: [A=1]}", {}, {"A": "shell"}, "1", "c.yml:2", []),
        ("{env_file: e}", {"e": "X=0\nA=1\n"}, {}, "1", "e:2", []),
        ("{env_file: e, environment: [A=2]}", {"e": "A=1\n"}, {}, "2", "c.yml:2", [OWN_WINS]),
        ("{env_file: [e, f]}", {"e": "A=1\n", "f": "A=2\n"}, {}, "2", "f:1", [LATER_WINS]),
        ("{env_file: e}", {"e": "A=\n"}, {}, "", "e:1", [EMPTY_STILL]),
        ("{environment: ['A=${B}']}", {".env": "X=0\nB=1\n"}, {}, "1", "c.yml:2",
         ["${B} here comes from .env:2"]),
        ("{environment: ['A=${B}']}", {".env": "B=1\n"}, {"B": "2"}, "2", "c.yml:2",
         ["${B} here comes from shell"]),
        ("{environment: ['A=${B:-d}']}", {}, {}, "d", "c.yml:2",
         ["${B} here is given by nothing: its default applies"]),
        ("{environment: ['A=$$B']}", {}, {}, "$B", "c.yml:2", []),
        ("{environment: [A]}", {}, {"A": "1"}, "1", "c.yml:2", [BARE]),
        ("{environment: [A], env_file: e}", {"e": "A=1\n"}, {}, None, "c.yml:2",
         [BARE_UNSET, "environment wins over env_file, also when it unsets"]),
        ("{env_file: no}", {}, {}, None, None,
         ["no ENV of its image is known here, which would hold now", "no does not exist, which may have it"]),
        ("{environment: [A=1], profiles: [dev]}", {}, {}, "1", "c.yml:2",
         ["not started without --profile dev"]),
    ],
)  # fmt: skip
def test_what_a_service_gets(
    service: str, files: dict[str, str], environ: dict[str, str], value: str | None, place: str | None,
    why: list[str],
) -> None:  # fmt: skip
    row = service_row(service, files, environ=environ)
    assert (row.value, at(row), list(row.why)) == (value, place, why)


def test_what_loses_is_named_best_first() -> None:
    row = service_row("{env_file: [e, f], environment: [A=3]}", {"e": "A=1\n", "f": "X=0\nA=2\n"})
    assert [f"{place.file}:{place.line}" for place in row.over] == ["f:2", "e:1"]


def test_an_env_file_looks_names_up_where_compose_does() -> None:
    files = {"e": "A=${B}-${C}-${D}\n", ".env": "B=dotenv\n"}
    assert service_row("{env_file: e, environment: [B=own, C=own]}", files).value == "dotenv-own-"


def test_the_name_in_the_compose_file_is_a_row_of_its_own() -> None:
    files = {"c.yml": "services: {web: {env_file: e, image: 'x:$A'}}\n", "e": "A=1\n"}
    row, service = explained("A", files).rows
    assert (row.who, row.value, row.source) == ("${A} in the compose file", None, "unset")
    assert row.why == ("neither the shell nor .env has it, and env_file never feeds ${...}",)
    assert service.value == "1"
    row = explained("A", {**files, ".env": "A=2\n"}, environ={"A": "3"}).rows[0]
    assert (row.value, row.source, row.why) == ("3", "shell", ("the shell wins over --env-file and .env",))
    row = explained("A", {**files, ".env": "A='it's'\n"}).rows[0]
    assert row.why == ("Compose refuses .env: line 1",)
    files = {"c.yml": "services: {web: {env_file: e}}\n", "e": "A=1\n"}
    assert [row.who for row in explained("A", files).rows] == ["service web"]


@pytest.mark.parametrize(
    ("value", "dotenv", "why"),
    [
        ("${R}", "", "${R} here comes from nowhere"),
        ("${R}", "R=1\n", "${R} here comes from .env:1"),
        ("${R:-eu}", "", "${R} here is given by nothing: its default applies"),
        ("${R-eu}", "", "${R} here is given by nothing: its default applies"),
        ("${R:-eu}", "R=\n", "${R} here comes from .env:1, where it is empty: its default applies"),
        ("${R-eu}", "R=\n", "${R} here comes from .env:1"),
        ("${R:-eu}", "R=1\n", "${R} here comes from .env:1"),
        ("${R:+eu}", "", "${R} here is given by nothing, so what stands for it when it is set is left out"),
    ],
)
def test_where_a_reference_comes_from(value: str, dotenv: str, why: str) -> None:
    row = service_row(f"{{environment: ['A={value}']}}", {".env": dotenv})
    assert row.why[-1] == why


def test_a_service_whose_env_file_is_refused_is_said_not_to_start() -> None:
    row = service_row("{env_file: e}", {"e": "A=1\nD='it's'\n"})
    assert row.why[-1] == "Compose refuses e: line 2, so it does not start the service"


def test_a_service_and_a_reader_are_both_shown() -> None:
    files = {"c.yml": "services: {web: {environment: [A=1]}, b: {}}\n", ".env": "A=2\n"}
    found = explained("A", files, use=("compose",), dotenv=(".env",), service="web", reader="node")
    assert [(row.who, row.value) for row in found.rows] == [("service web", "1"), ("node of .env", "2")]


def test_a_key_that_no_reader_takes_is_said_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("A=1\nD='it's'\n", 'A=1\nD="open\n'):
        Path(".env").write_text(text)
        assert main(["env", "explain", "D"]) == 1
        out, err = capsys.readouterr()
        assert "line 2 of .env has D, but no reader takes it" in err
        assert "it refuses the whole file: line 2" in out


def test_each_reader_of_a_file_has_a_row() -> None:
    files = {".env": "A=  # note\n"}
    found = explained("A", files, use=("python-dotenv", "compose"), dotenv=(".env",))
    assert [(row.who, row.value) for row in found.rows] == [
        ("python-dotenv of .env", ""),
        ("compose of .env", "# note"),
    ]
    found = explained("A", files, use=("python-dotenv", "compose"), dotenv=(".env",), environ={"A": "1"})
    assert [(row.value, row.source) for row in found.rows] == [("1", "shell"), ("# note", "file")]
    found = explained("A", files, use=("python-dotenv",), dotenv=(".env",), reader="bash")
    assert [row.who for row in found.rows] == ["bash of .env"]


def test_the_default_of_a_known_variable_and_its_aliases() -> None:
    known = next(variable for variable in VARIABLES if variable.aliases and variable.default)
    (row,) = explained(known.aliases[0], {}).rows
    assert (row.who, row.source, row.value) == ("exai's own default", "default", known.show(known.default))
    assert known.name in row.why[1]


def test_values_of_secrets_are_numbered_and_never_shown() -> None:
    files = {
        "c.yml": "services: {a: {env_file: e}, b: {env_file: e}, c: {environment: [DB_PASSWORD=other]}}\n",
        "e": f"DB_PASSWORD={SECRET}\n",
    }
    found = explained("DB_PASSWORD", files)
    assert [found.shown(row) for row in found.rows] == ["*** (1)", "*** (1)", "*** (2)"]
    for text in (as_table(found), as_json(found)):
        assert SECRET[:6] not in text
        assert "other" not in text
    known = next(variable for variable in VARIABLES if variable.kind == "secret")
    found = explained(known.name, {".env": f"{known.name}=plain\n"}, use=("compose",), dotenv=(".env",))
    assert [found.shown(row) for row in found.rows][:1] == ["***"]


def test_json_says_that_it_is_a_secret() -> None:
    def secret(key: str, value: str) -> bool:
        found = explained(key, {".env": f"{key}={value}\n"}, use=("compose",), dotenv=(".env",))
        return bool(json.loads(as_json(found))["secret"])

    assert secret("DB_PASSWORD", "kestrel")
    assert secret("DB_PASSWORD", "")
    assert secret("ANY", "redis://u:kestrel@h/0")
    assert not secret("REGION", "kestrel")


def test_the_nearest_name_is_offered() -> None:
    files = {"c.yml": "services: {web: {environment: [REDIS_URL=1], env_file: e}}\n", "e": "OTHER_NAME=1\n"}
    assert explained("REDIS_URI", files).nearest == "REDIS_URL"
    assert explained("OTHER_NAM", files).nearest == "OTHER_NAME"
    assert explained("QQQQ", files).nearest is None
    assert explained("REDIS_URL", files).nearest is None


# --- the command -------------------------------------------------------------------------------

PROJECT = {
    "docker-compose.yml": "services:\n  web:\n    env_file: .env.docker\n    environment: [A=own]\n  d: {}\n",
    ".env.docker": f"A=file\nDB_PASSWORD={SECRET}\n",
}


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(), PROJECT)
    assert main(["env", "explain", "A"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "A"
    assert any(
        line.split() == ["service", "web", "'own'", "environment", "docker-compose.yml:4"] for line in lines
    )
    assert "    environment wins over env_file" in lines
    assert "    over .env.docker:1" in lines


def test_json_and_one_service(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(), PROJECT)
    assert main(["env", "explain", "DB_PASSWORD", "--service", "web", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["key"]) == (1, "DB_PASSWORD")
    assert document["rows"][0] == {
        "who": "service web", "value": "***", "set": True, "source": "env_file",
        "where": {"file": ".env.docker", "line": 2}, "over": [], "why": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["DB_PASWORD"], 1, "DB_PASWORD is not set anywhere\nhint: did you mean DB_PASSWORD?"),
        (["A", "--service", "d"], 1, "A is not set there"),
        (["QQQQ"], 1, "QQQQ is not set anywhere"),
        (["A", "--service", "wep"], 2, "did you mean web?"),
        (["A", "--reader", "bsh"], 2, "did you mean bash?"),
        (["A", "--format", "xml"], 2, "text or json"),
        (["A", "--compose", "no.yml"], 3, "no.yml: does not exist"),
    ],
)
def test_what_goes_wrong(
    args: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path(), PROJECT)
    assert main(["env", "explain", *args]) == code
    assert message in capsys.readouterr().err


def test_a_file_that_every_reader_refuses_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("A=1\nB=${C:?gone}\n")
    Path("pyproject.toml").write_text('[tool.exai]\nreaders = ["compose"]\n')
    assert main(["env", "explain", "A"]) == 3
    out, err = capsys.readouterr()
    assert "it refuses the whole file" in out
    assert "no reader in use takes .env" in err
    Path("pyproject.toml").write_text('[tool.exai]\nreaders = ["compose", "python-dotenv"]\n')
    assert main(["env", "explain", "A"]) == 0
    assert main(["env", "explain", "D"]) == 1
