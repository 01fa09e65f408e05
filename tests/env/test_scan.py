"""``exai env scan``: real repositories, their files, their history, and what never comes out."""

from __future__ import annotations

import json
import os
import random
import shutil
import string
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.cli import main
from exai_ops.env.git import Added, history, parse_log
from exai_ops.env.rules import RULES
from exai_ops.env.scan import in_history
from exai_ops.render import RENDERERS

_RANDOM = random.Random(7)


def secret(length: int = 40) -> str:
    """A value that no other test has."""
    return "q7" + "".join(_RANDOM.choices(string.ascii_letters + string.digits, k=length - 2))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """An empty repository, and a function that commits files (None takes one out) and gives the commit."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (
        ("HOME", str(tmp_path)),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", os.devnull),
    ):
        monkeypatch.setenv(name, value)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "someone@example.org")
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q", "-b", "main")

    def commit(**files: str | None) -> str:
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_dot_", ".")
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "a step")
        return git("rev-parse", "HEAD").strip()

    return commit


def git(*args: str) -> str:
    return subprocess.run(["git", *args], capture_output=True, text=True, timeout=30, check=True).stdout


def scan(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, list[str]]:
    """The exit code, and a line for each finding."""
    code = main(["env", "scan", "--format", "short", *args])
    return code, capsys.readouterr().out.splitlines()


def test_clean(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    repository(_dot_env_dot_example="API_KEY=your_key_here\n", a_dot_py="key = os.environ['API_KEY']\n")
    assert scan(capsys, "--history") == (0, [])
    assert main(["env", "scan"]) == 0
    assert capsys.readouterr().out == "ok\n"


def test_tracked_files(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    repository(
        _dot_env=f"A=1\nAPI_KEY={secret()}\n",
        compose__c_dot_yml=f"x:\n  password: {secret()}\n",
        a_dot_py=f'TOKEN = "{secret()}"\nname = "TOKEN"\n',
        b_dot_md=f"Use `redis://:{secret()}@redis:6379/0`.\n",
        d_dot_txt="-----BEGIN " + f"RSA PRIVATE KEY-----\n{secret(64)}\n",
    )
    Path("loose.env").write_text(f"API_KEY={secret()}\n")  # git does not know it
    named = "a value under the name of a secret"
    assert scan(capsys) == (1, [
        f".env:2: error ENV310 API_KEY is {named}",
        f"a.py:1: error ENV310 TOKEN is {named}",
        "b.md:1: error ENV310 holds a password in a URL",
        f"compose/c.yml:2: error ENV310 password is {named}",
        "d.txt:1: error ENV310 holds a private key",
    ])  # fmt: skip


def test_paths(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(a__x_dot_env=f"API_KEY={secret()}\n", b__y_dot_env=f"API_KEY={secret()}\n")
    assert len(scan(capsys)[1]) == 2
    assert [line.split(":")[0] for line in scan(capsys, "b")[1]] == ["b/y.env"]
    assert [line.split(":")[0] for line in scan(capsys, "--history", "a/x.env")[1]] == ["a/x.env"]
    monkeypatch.chdir("a")
    assert [line.split(":")[0] for line in scan(capsys, "--history")[1]] == ["x.env"]


def test_every_path_is_one_that_git_tracks(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(a__x="1\n", a__b__y="1\n")
    Path("loose").write_text("1\n")
    for paths in (["a"], ["a", "a/x"], ["./a/b/", "a/b"], ["."], [str(Path.cwd())]):
        assert scan(capsys, *paths) == (0, [])
    for paths in (["a", "src/gone.py"], ["loose", "a"], ["a", "a/x/"]):
        assert main(["env", "scan", *paths]) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"exai: error: git tracks nothing at {max(paths, key=len)}")


def test_history_of_what_is_not_tracked_any_more(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env", "scan", "--history"]) == 3
    first = repository(_dot_env=f"API_KEY={secret()}\n")
    git("rm", "-q", "--cached", ".env")
    git("commit", "-q", "-m", "a step")
    capsys.readouterr()
    named = "a value under the name of a secret"
    for paths in ([], [".env"]):
        expected = f".env:1: error ENV311 API_KEY is {named}, added by commit {first[:12]}"
        assert scan(capsys, "--history", *paths) == (1, [expected])
    assert main(["env", "scan", ".env"]) == 3
    assert main(["env", "scan", "--history", ".env", "gone"]) == 3
    assert "git never tracked anything at gone" in capsys.readouterr().err


def test_history(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    stays, goes, other = secret(), secret(), secret()
    repository(a="nothing\n")
    first = repository(_dot_env=f"A=1\nAPI_KEY={stays}\nOLD_KEY={goes}\n")
    repository(_dot_env=f"API_KEY={stays}\n")
    git("checkout", "-q", "-b", "side")
    side = repository(side_dot_env=f"SIDE_TOKEN={other}\n")
    git("checkout", "-q", "main")
    named = "a value under the name of a secret"
    assert scan(capsys) == (1, [f".env:1: error ENV310 API_KEY is {named}"])
    assert scan(capsys, "--history") == (1, [
        f".env:1: error ENV310 API_KEY is {named}, since commit {first[:12]}",
        f".env:3: error ENV311 OLD_KEY is {named}, added by commit {first[:12]}",
        f"side.env:1: error ENV311 SIDE_TOKEN is {named}, added by commit {side[:12]}",
    ])  # fmt: skip


def test_a_line_for_each_way_to_write_a_secret(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    v = secret(20)
    slack = "https://hooks.slack.com/" + f"services/T02AB3CD5/B01XY2ZW3/{v}QwEr"
    repository(
        a_dot_env=f"SLACK_WEBHOOK_URL={slack}\nAZURE=DefaultEndpointsProtocol=https;AccountKey={v}{v}==\n"
        f"DATABASE_URL=postgres://app:{v[:5]}/{v}@db/app\nSECRET_KEY_BASE={v}\nADMIN_PASSWORD_PROD={v}x\n"
        f"CELERY_BROKER_PASSWORD1={v}y\nAPI_TOKENS={v}z\n",
        _dot_envrc=f"export DB_PASSWORD={v}\n",
        _dot_npmrc=f"//registry.example.org/:_authToken={v}\n",
        _dot_netrc=f"machine h login u password {v}\n",
        wp_dot_php=f"define( 'DB_PASSWORD', '{v}' );\n",
        web_dot_config=f'<add connectionString="Server=s;Password={v};" />\n',
        Dockerfile=f"FROM x\nENV DB_PASSWORD {v}\n",
    )
    Path("wide.env").write_bytes(f"DB_PASSWORD={v}\n".encode("utf-16"))
    git("add", "-A")
    code, lines = scan(capsys)
    where = sorted(next(w for w in line.split() if ":" in w).rstrip(":") for line in lines)
    assert code == 1
    assert where == sorted([
        *(f"a.env:{n}" for n in range(1, 8)), ".envrc:1", ".npmrc:1", ".netrc:1", "wp.php:1", "web.config:1",
        "Dockerfile:2", "wide.env:1",
    ])  # fmt: skip
    assert v not in "".join(lines)


HIDING = {
    "an attribute": ("*.env -diff\n", ()),
    "an attribute for binary files": ("* binary\n", ()),
    "no first commit": ("", ("log.showRoot", "false")),
    "an encoding": ("", ("i18n.logOutputEncoding", "UTF-16")),
}


@pytest.mark.parametrize(("attributes", "setting"), HIDING.values(), ids=HIDING)
def test_nothing_that_a_repository_says_hides_its_history(
    repository: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    attributes: str,
    setting: tuple[str, ...],
) -> None:
    commit = repository(a_dot_env=f"DB_PASSWORD={secret()}\n", _dot_gitattributes=attributes)
    repository(a_dot_env="A=1\n")
    git(*(("config", *setting) if setting else ("status",)))
    code, lines = scan(capsys, "--history")
    assert code == 1
    assert len(lines) == 1
    assert commit[:12] in lines[0]


def test_a_history_that_is_cut_is_not_known(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(a_dot_env=f"DB_PASSWORD={secret()}\n")
    repository(a_dot_env="A=1\n")
    git("clone", "-q", "--depth", "1", f"file://{Path.cwd()}", "../cut")
    monkeypatch.chdir("../cut")
    code, lines = scan(capsys, "--history")
    assert code == 3
    assert "shallow" in lines[0]
    assert scan(capsys)[0] == 0


def test_a_bare_repository(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository(a_dot_env=f"DB_PASSWORD={secret()}\n")
    git("clone", "-q", "--bare", ".", "../bare")
    monkeypatch.chdir("../bare")
    code, lines = scan(capsys, "--history")
    assert code == 1
    assert commit[:12] in lines[0]
    code, lines = scan(capsys, "--history", "a.env")
    assert (code, len(lines)) == (1, 1)


def test_binary_files_of_the_history_are_passed_over(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(a_dot_bin=f"\0DB_PASSWORD={secret()}\n")
    assert scan(capsys, "--history")[0] == 0


def test_a_merge_that_adds_a_secret_of_its_own(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(_dot_env="A=1\n", b="1\n")
    git("checkout", "-q", "-b", "side")
    repository(b="2\n")
    git("checkout", "-q", "main")
    repository(c="3\n")
    git("merge", "-q", "--no-commit", "side")
    merge = repository(_dot_env=f"A=1\nAPI_KEY={secret()}\n")
    repository(_dot_env="A=1\n")
    code, lines = scan(capsys, "--history")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(".env:2: error ENV311")
    assert lines[0].endswith(merge[:12])


def test_unusual_names(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    names = ["caf\u00e9 one.env", 'quo"te.env', "tab\there.env", "-dash.env", "b/a.env", "new\nline.env"]
    Path("b").mkdir()
    for name in names:
        Path(name).write_text(f"API_KEY={secret()}\n")
    repository()
    for name in names:
        Path(name).unlink()
    repository(a="1\n")
    code, lines = scan(capsys, "--history")
    shown = [name.replace("\t", "\\x09").replace("\n", "\\x0a") for name in names]
    assert (code, sorted(line.split(":1: ")[0] for line in lines)) == (1, sorted(shown))


def test_suppression(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    mark = "exai:" + "ignore"
    repository(
        a_dot_py=f'KEY = "{secret()}"  # {mark}[ENV310] a test of the parser\n',
        b_dot_py=f'# {mark}[ENV310] a test of the parser\nKEY = "{secret()}"\n',
        c_dot_py=f'KEY = "{secret()}"  # {mark}[ENV310]\n',
        d__x_dot_env=f"KEY={secret()}\n",
        pyproject_dot_toml='[tool.exai]\nignore = [{ code = "ENV310", file = "d/*", reason = "made up" },'
        '{ code = "ENV310", file = "e/*", reason = "gone" },'
        '{ code = "ENV001", reason = "not asked here" }]\n',
    )
    assert [line.split()[::2][:2] for line in scan(capsys)[1]] == [
        ["c.py:1:", "ENV091"],
        ["c.py:1:", "ENV310"],
        ["pyproject.toml:2:", "ENV090"],
    ]
    repository(a_dot_py="", b_dot_py="", c_dot_py="", d__x_dot_env="")
    lines = scan(capsys, "--history", "--fail-on", "warning")[1]
    assert [line.split(" ", 1)[0] for line in lines if "ENV311" in line] == ["c.py:1:", "d/x.env:1:"]


def test_what_is_said_of_a_secret_counts_in_the_commit_that_adds_both(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    mark = "exai:" + "ignore"
    repository(
        a_dot_py=f'# {mark}[ENV311] made up\n# so it is\nKEY = "{secret()}"\nOTHER_KEY = "{secret()}"\n',
        b_dot_env=f"# {mark}-file[ENV311] made up, all of them\nA=1\nA_KEY={secret()}\nB_KEY={secret()}\n",
        c_dot_env=f"# {mark}[ENV311]\nA_KEY={secret()}\n",
        d_dot_env=f"# {mark}[ENV005] another rule\nA_KEY={secret()}\n",
    )
    repository(a_dot_py="", b_dot_env="", c_dot_env="", d_dot_env="")
    lines = scan(capsys, "--history")[1]
    assert [line.split()[0] for line in lines] == ["a.py:4:", "c.env:2:", "d.env:2:"]


def test_suppressions_without_a_reason_or_a_secret(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    mark = "exai:" + "ignore"
    repository(
        a_dot_py=f"A = 1  # {mark}[ENV310] nothing here\n",
        b_dot_py=f"A = 1  # {mark}[ENV310]\n",
        c_dot_py=f"A = 1  # {mark}[ENV311] it was here once\n# {mark}[ENV005] of another command\n",
        d_dot_py=f'# {mark}-file[ENV310] made up\nA_KEY = "{secret()}"\nB_KEY = "{secret()}"\n',
    )
    for args in ((), ("--history",), ("a.py", "b.py", "c.py")):
        code, lines = scan(capsys, *args)
        assert code == 0
        assert [line.split()[:3] for line in lines] == [
            ["a.py:1:", "warning", "ENV090"],
            ["b.py:1:", "warning", "ENV091"],
        ]


def test_suppressions_of_a_scan_are_none_of_the_check(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[tool.exai]\nignore = [{ code = "ENV311", reason = "made up" }]\n'
    repository(pyproject_dot_toml=text, _dot_env_dot_example="A=1\n", _dot_env="A=1\n")
    assert main(["env", "check", "--format", "short", "--only", "ENV0,ENV3"]) == 0
    assert "ENV090" not in capsys.readouterr().out


def test_baseline(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    value = secret()
    repository(_dot_env=f"API_KEY={value}\n")
    assert main(["env", "scan", "--baseline", "base.json", "--write-baseline"]) == 0
    assert value[:6] not in Path("base.json").read_text()
    assert capsys.readouterr().err == "exai: base.json: written, with 1 finding\n"
    assert scan(capsys, "--baseline", "base.json") == (0, [])
    repository(_dot_env="A=1\n")
    assert [line.split()[2] for line in scan(capsys, "--baseline", "base.json")[1]] == ["ENV092"]


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("past", [True, False])
def test_no_value_ever_comes_out(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], name: str, past: bool
) -> None:
    values = [secret() for _ in range(4)]
    for now, once in (values[:2], values[2:]):
        lines = "API_KEY={0}\n# API_KEY={0}\nURL=redis://u:{0}@h/0\nA='{0}' KEY=\"{0}\"\nsk-{0}\n{0}=1\n"
        texts = [lines.format(value) for value in (once, now)]
        for text in texts:
            repository(_dot_env=text, a_dot_py=text, c_dot_yml=text, d_dot_json=text, e_dot_md=text)
    code = main(["env", "scan", "--format", name, *(["--history"] if past else [])])
    said = capsys.readouterr()
    assert code == 1
    for value in values:
        assert not any(value[at : at + 8] in said.out + said.err for at in range(len(value) - 8))


def test_formats(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    repository(_dot_env=f"API_KEY={secret()}\n")
    assert main(["env", "scan", "--format", "json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["where"] == {"file": ".env", "line": 1, "name": "API_KEY"}
    assert main(["env", "scan", "--format", "xml"]) == 2


BAD = {
    "no repository": ([], 3),
    "a path that is not there": (["gone"], 3),
    "a path outside": ([".."], 3),
    "an option": (["--fail-on", "never"], 2),
    "a baseline that is not there": (["--baseline", "gone.json"], 3),
    "a baseline without a name": (["--write-baseline"], 2),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], case: str, tmp_path: Path
) -> None:
    repository(a="1\n")
    args, expected = BAD[case]
    if case == "no repository":
        os.chdir(tmp_path)
    assert main(["env", "scan", *args]) == expected
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("exai: error: ")
    assert "Traceback" not in said.err


def test_files_that_cannot_be_read(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(gone="1\n", a="1\n", large="1\n", binary="1\n", latin="1\n")
    Path("gone").unlink()
    Path("a").unlink()
    Path("a").symlink_to("/")
    Path("binary").write_bytes(b"\0API_KEY=" + secret().encode())
    Path("latin").write_bytes(b"caf\xe9\nAPI_KEY='" + secret().encode() + b"'\n")
    with Path("large").open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    began = time.monotonic()
    code, lines = scan(capsys)
    assert time.monotonic() - began < 5
    assert code == 1
    assert [line.split()[:3] for line in lines] == [
        ["latin:2:", "error", "ENV310"],
        ["large:", "unknown", "ENV310"],
    ]


def test_nothing_that_a_repository_configures_is_run(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    repository(_dot_gitattributes="*.env diff=own\n", a_dot_env="A=1\n")
    for key in (
        "core.fsmonitor",
        "diff.external",
        "diff.own.textconv",
        "diff.own.command",
        "core.pager",
        "log.showSignature",
    ):
        git("config", key, str(script) if "." in key and key != "log.showSignature" else "true")
    ran.unlink(missing_ok=True)
    assert scan(capsys, "--history")[0] == 0
    assert not ran.exists()


def test_a_history_that_takes_too_long(
    repository: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    repository(_dot_env="A=1\n")
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *--patch*) exec sleep 60;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    began = time.monotonic()
    assert scan(capsys, "--history", "--timeout", "0.2") == (
        3, ["unknown ENV311 the history was not read within 0.2 s"],
    )  # fmt: skip
    assert time.monotonic() - began < 10


def test_a_long_history_says_how_far_it_is(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exai_ops.commands.env.scan._EVERY_S", -1.0)
    repository(a="1\n")
    repository(a="2\n")
    assert main(["env", "scan", "--history"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("ok\n", "exai: 1 of 2 commits\nexai: 2 of 2 commits\n")


def test_a_history_is_read_in_bounded_memory(repository: Callable[..., str]) -> None:
    """A line of 7 MB and a file of 100,000 lines take less than one of them."""
    repository(long="x = 1;" * 1_200_000, many="A=1\n" * 100_000, _dot_env=f"API_KEY={secret()}\n")
    repository(long="", many="", _dot_env="")
    tracemalloc.start()
    try:
        with history([], 60.0) as lines:
            found = [spot.hit.key for _, spot in in_history(a for a in lines if isinstance(a, Added))]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["API_KEY"]
    assert peak < 2_000_000


def test_heavy_modules_are_not_imported(repository: Callable[..., str]) -> None:
    repository(a="1\n")
    heavy = ("httpx", "pydantic", "redis", "rich", "supabase", "uvicorn", "websockets", "yaml")
    code = (
        "import sys; from exai_ops.cli import main; main(['env', 'scan', '--history']);"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "ok\n[]\n"


# --- what git log says ---


def log(text: str) -> list[Added | str]:
    """What is read from a log; ``|`` cuts a line in pieces, as a long one is."""
    text = textwrap.dedent(text).lstrip("\n").replace("commit ", "\0")
    return list(parse_log(piece.encode() for line in text.splitlines(True) for piece in line.split("|")))


def test_a_log() -> None:
    text = """
        commit c1

        diff --git a/x b/x
        --- /dev/null
        +++ b/x
        @@ -0,0 +1,2 @@
        +one
        +++ two
        diff --git a/y b/y
        --- a/y
        +++ b/y
        @@ -3 +3 @@ def f():
        -old
        +new
        \\ No newline at end of file
        commit c2
        """
    lines = [Added("c1", "x", 1, "one"), Added("c1", "x", 2, "++ two"), Added("c1", "y", 3, "new")]
    assert log(text) == ["c1", *lines, "c2"]


def test_a_log_of_a_merge() -> None:
    text = """
        commit c1
        diff --cc x
        --- a/x
        +++ b/x
        @@@ -1,2 -1,2 +1,3 @@@ f
        - gone
         -gone
        ++both
        + one
         +two
        """
    assert log(text) == ["c1", *(Added("c1", "x", n, t) for n, t in ((1, "both"), (2, "one"), (3, "two")))]


def test_a_log_of_long_lines() -> None:
    text = """
        commit c1
        diff --git a/x b/x
        +++ b/x
        @@ -0,0 +7,2 @@
        +aaa|-bbb|+cc
        +d
        """
    pieces = ((7, "aaa"), (7, "-bbb"), (7, "+cc"), (8, "d"))
    assert log(text) == ["c1", *(Added("c1", "x", n, t) for n, t in pieces)]


_PIECES = [
    b"\0c\n",
    b"diff \n",
    b"+++ b/x\n",
    b"@@ -1 +2 @@\n",
    b"@@@\n",
    b"+a\n",
    b"-a\n",
    b"a",
    b"\n",
    b"\\\n",
]


@given(st.lists(st.sampled_from(_PIECES)))
def test_a_log_of_any_kind(pieces: list[bytes]) -> None:
    for item in parse_log(iter(pieces)):
        assert isinstance(item, str | Added)


def test_one_secret_is_told_once() -> None:
    value = secret()

    def lines() -> Iterator[Added]:
        for commit in ("c1", "c2", "c3"):
            yield Added(commit, ".env", 1, f"API_KEY={value}")

    assert [commit for commit, _ in in_history(lines())] == ["c1"]


def test_the_rules_of_a_scan_have_rows() -> None:
    assert [rule.code for rule in RULES if rule.elsewhere] == ["ENV310", "ENV311"]


def test_a_repository_of_somebody_else_is_not_said_to_be_none(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(a="A=1\n")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert main(["env", "scan"]) == 3
    assert "safe.directory" in capsys.readouterr().err
