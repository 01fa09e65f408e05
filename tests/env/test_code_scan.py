"""Which variables code reads: tables of source and what is found in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.env.code import CodeUse
from exai_ops.env.code_javascript import read_javascript
from exai_ops.env.code_python import read_python
from exai_ops.env.code_scan import scan_code
from exai_ops.env.code_shell import read_dockerfile, read_shell
from exai_ops.errors import CouldNotLook
from exai_ops.settings import STACK_VARIABLES, VARIABLES

ROOT = Path(__file__).parents[2]

DATA = Path(__file__).parent / "data" / "code"
NONE: list[str] = []
_CASE = re.compile(r"^== (.+) ->(.*) \+(\d+)\n", re.MULTILINE)


def cases(name: str) -> dict[str, tuple[str, list[str], int]]:
    """What a table holds: ``== what it is about -> NAMES +how many dynamic``, and the source below it."""
    parts = _CASE.split((DATA / name).read_text(encoding="utf-8"))[1:]
    rows = zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True)
    return {about: (text, names.split(), int(dynamic)) for about, names, dynamic, text in rows}


PYTHON, SCRIPT = cases("python.txt"), cases("javascript.txt")


@pytest.mark.parametrize(("text", "names", "dynamic"), PYTHON.values(), ids=PYTHON)
def test_python(text: str, names: list[str], dynamic: int) -> None:
    found = read_python(text)
    assert (sorted({seen.name for seen in found.seen}), len(found.unsure)) == (names, dynamic)


def test_python_lines() -> None:
    (seen,) = read_python("import os\n\nx = f(\n  os.getenv('A'))\n").seen
    assert (seen.line, seen.how) == (4, "os.getenv")


@pytest.mark.parametrize(("text", "names", "dynamic"), SCRIPT.values(), ids=SCRIPT)
def test_javascript(text: str, names: list[str], dynamic: int) -> None:
    found = read_javascript(text)
    assert (sorted({seen.name for seen in found.seen}), len(found.unsure)) == (names, dynamic)


@given(st.text(alphabet="`${}'\"/\\\n ab=.[]()process.env", max_size=60))
def test_javascript_of_any_kind_ends(text: str) -> None:
    read_javascript(text)
    assert "A" in {seen.name for seen in read_javascript("process.env.A;\n" + text).seen}


SHELL = {
    "nothing": ("echo hello $1 $? $$ ${HOME}\n", NONE),
    "reads": ('echo "$TOKEN" ${API_KEY:-x} ${#LIST_A} \\$ESCAPED\n', ["API_KEY", "LIST_A", "TOKEN"]),
    "its own": ("NAME=1\nexport OTHER=2; for ITEM in a; do echo $NAME $OTHER $ITEM; done\n", NONE),
    "its own default": ('PORT_A="${PORT_A:-80}"\necho $PORT_A\n', ["PORT_A"]),
    "comments and single quotes": ("# $AA\necho 'not $BB' # ${CC}\n", NONE),
}


@pytest.mark.parametrize(("text", "names"), SHELL.values(), ids=SHELL)
def test_shell(text: str, names: list[str]) -> None:
    assert sorted({seen.name for seen in read_shell(text).seen}) == names


def test_dockerfile() -> None:
    text = "FROM x\nARG VERSION=1\nENV A=1 BB=2\nENV CC 3\n# ENV DD=1\nRUN echo $VERSION ${EE}\n"
    found = read_dockerfile(text).seen
    assert sorted({seen.name for seen in found}) == ["A", "BB", "CC", "EE", "VERSION"]
    assert {seen.how for seen in found} == {"Dockerfile"}


def files(folder: Path, **texts: str) -> CodeUse:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return scan_code(folder)


def test_a_folder(tmp_path: Path) -> None:
    found = files(
        tmp_path,
        a_dot_py="import os\nos.getenv('A')\n",
        web__b_dot_ts="process.env.B",
        run_dot_sh="echo $CCC\n",
        Dockerfile="ENV DDD=1\n",
        _dot_git__x_dot_py="import os\nos.getenv('NO')\n",
        node_modules__y_dot_js="process.env.NO",
        mine__pyvenv_dot_cfg="",
        mine__z_dot_py="import os\nos.getenv('NO')\n",
        old_dot_py="import os\nprint os.environ['NO']\n",
        notes_dot_md="os.environ['NO']",
    )  # fmt: skip
    assert {name: [read.how for read in reads] for name, reads in found.reads.items()} == {
        "A": ["os.getenv"], "B": ["process.env"], "CCC": ["shell"], "DDD": ["Dockerfile"],
    }  # fmt: skip
    assert list(found.unreadable) == [str(tmp_path / "old.py")]
    assert found.stopped is None


def test_functions_of_other_files(tmp_path: Path) -> None:
    found = files(
        tmp_path,
        config__env_dot_py="import os\ndef text(name): return os.environ[name]\n"
        "def twice(name, n): return name * n\n",
        a_dot_py="from config.env import text, twice\ntext('A')\ntwice('NO', 2)\n",
        b_dot_py="from config import env as e\ne.text('B')\n",
        c_dot_py="from elsewhere import other\nother('NO')\n",
    )
    assert sorted(found.reads) == ["A", "B"]
    assert found.reads["A"][0].file == str(tmp_path / "a.py")


@pytest.mark.parametrize("kind", ["fifo", "link", "binary", "deep", "large", "null"])
def test_bad_files_are_reported_or_left_out(tmp_path: Path, kind: str) -> None:
    (tmp_path / "good.py").write_text("import os\nos.getenv('A')\n")
    bad = tmp_path / "bad.py"
    if kind == "fifo":
        os.mkfifo(bad)
    elif kind == "link":
        bad.symlink_to("/")
    else:
        bad.write_bytes({
            "binary": b"environ" + bytes(range(128, 256)),
            "deep": b"environ" + b"(" * 200_000,
            "large": b"environ\n" * 200_000,
            "null": b"environ\0",
        }[kind])  # fmt: skip
    found = scan_code(tmp_path)
    assert list(found.reads) == ["A"]
    assert list(found.unreadable) == ([] if kind == "link" else [str(bad)])


def test_bounds(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_text(f"import os\nos.getenv('A{number}')\n")
    assert scan_code(tmp_path, max_files=3).stopped == "it has more than 3 files"
    assert scan_code(tmp_path, max_s=-1).stopped == "it took too long"
    with pytest.raises(CouldNotLook):
        scan_code(tmp_path / "gone")


def test_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"import os\nopen({str(tmp_path / 'ran')!r}, 'w')\nos.getenv('A')\n")
    assert list(scan_code(tmp_path).reads) == ["A"]
    assert not (tmp_path / "ran").exists()


def test_our_own_code() -> None:
    """Every setting is found, and nothing in the package reads the environment by a name of its own."""
    found = scan_code(ROOT / "exai_ops")
    settings = {name for variable in VARIABLES for name in variable.names}
    assert set(found.reads) == settings | {variable.name for variable in STACK_VARIABLES}
    assert (found.unreadable, found.stopped) == ({}, None)


@pytest.mark.parametrize("kind", ["device", "fifo", "loop", "missing", "large"])
def test_what_is_neither_code_nor_a_folder_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "code"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to("code")
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(50 * 1024 * 1024)
    with pytest.raises(CouldNotLook):
        scan_code(path)


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CouldNotLook, match="Permission denied"):
        scan_code(tmp_path)


_NESTED = """
from pydantic import BaseModel
from pydantic_settings import BaseSettings, SettingsConfigDict
class Pool(BaseModel):
    size: int = 5
class Db(BaseModel):
    host: str
    pool: Pool | None = None
    again: "Db | None" = None
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_"DELIMITER)
    db: Db
    port: int = 1
"""


@pytest.mark.parametrize(
    ("delimiter", "names"),
    [
        ("", {"APP_DB", "APP_PORT"}),
        (', env_nested_delimiter="__"', {"APP_DB__HOST", "APP_DB__POOL__SIZE", "APP_DB__AGAIN", "APP_PORT"}),
    ],
)
def test_models_within_settings_are_read_by_their_fields(delimiter: str, names: set[str]) -> None:
    assert {seen.name for seen in read_python(_NESTED.replace("DELIMITER", delimiter)).seen} == names
