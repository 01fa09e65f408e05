"""``exai env diff``, ``sync`` and ``fix`` as they are run: exit codes, messages, files."""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.env import write

LIVE = "# why\nA_SIZE=2\nAPI_KEY=canary-Zq7Lw9 # canary-Zq7Lw9\n"
EXAMPLE = "A_SIZE=1\nOLD=1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(LIVE)
    (tmp_path / ".env.example").write_text(EXAMPLE)
    return tmp_path


def test_sync_writes_the_example_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "sync"]) == 0
    written = "A_SIZE=2\nAPI_KEY=your-api-key-here # ***\nOLD=1\n"
    assert (folder / ".env.example").read_text() == written
    assert (folder / ".env.example.bak").read_text() == EXAMPLE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "exai: .env.example: added API_KEY",
        "exai: .env.example: changed A_SIZE",
        "exai: .env.example: written; the old content is in .env.example.bak",
    ]
    assert main(["env", "sync"]) == 0
    assert capsys.readouterr().err == "exai: .env.example: nothing to do\n"
    assert sorted(path.name for path in folder.iterdir()) == [".env", ".env.example", ".env.example.bak"]


@pytest.mark.parametrize(
    ("options", "code"), [(["--check"], 1), (["--dry-run"], 0), (["--dry-run", "--check"], 1)]
)
def test_looking_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int
) -> None:
    for command in (["sync"], ["sync", "--reverse"], ["sync", "--prune"]):
        assert main(["env", *command, *options]) == code
        out, err = capsys.readouterr()
        assert ("@@ " in out) == ("--dry-run" in options)
        assert "would have" in err
        assert "canary" not in out + err
    assert (folder / ".env.example").read_text() == EXAMPLE
    assert (folder / ".env").read_text() == LIVE
    assert sorted(path.name for path in folder.iterdir()) == [".env", ".env.example"]


def test_check_of_files_in_step_is_0(folder: Path) -> None:
    (folder / ".env.example").write_text("A_SIZE=2\nAPI_KEY=\n")
    assert main(["env", "sync", "--check"]) == 0


def test_prune_and_reverse(folder: Path) -> None:
    assert main(["env", "sync", "--prune"]) == 0
    assert "OLD" not in (folder / ".env.example").read_text()
    (folder / ".env.example").write_text(EXAMPLE)
    assert main(["env", "sync", "--reverse"]) == 0
    assert (folder / ".env").read_text() == "# why\nA_SIZE=2\nOLD=1\nAPI_KEY=canary-Zq7Lw9 # canary-Zq7Lw9\n"
    assert (folder / ".env.bak").read_text() == LIVE


def test_what_is_public_is_read_from_the_project(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.exai]\npublic = ["NAME"]\n')
    (folder / ".env").write_text("A_SIZE=1\nNAME=kestrel\n")
    assert main(["env", "sync"]) == 0
    assert "NAME=kestrel\n" in (folder / ".env.example").read_text()


def test_a_link_is_followed_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "real").mkdir()
    (folder / ".env.example").rename(folder / "real" / "example")
    (folder / ".env.example").symlink_to("real/example")
    assert main(["env", "sync"]) == 0
    assert (folder / ".env.example").is_symlink()
    assert "a symbolic link to " in capsys.readouterr().err
    assert (folder / "real" / "example.bak").read_text() == EXAMPLE


@pytest.mark.parametrize("command", ["sync", "fix"])
def test_what_could_not_be_written_is_3_and_nothing_is_said_to_be_done(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / ".env.example").write_text("A=1 \n")
    monkeypatch.setattr("os.fsync", full)
    assert main(["env", command]) == 3
    err = capsys.readouterr().err
    assert "not written: No space left" in err
    assert "added" not in err
    assert "removed" not in err
    assert (folder / ".env.example").read_text() == "A=1 \n"


def test_of_several_files_all_are_mended_or_none(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write.replace

    def replace(path: Path, *, before: bytes, after: bytes) -> write.Written:
        if path.name == "two":
            raise write.NotWritten("two: not written: no luck")
        return real(path, before=before, after=after)

    (folder / "one").write_text("A=1 \n")
    (folder / "two").write_text("A=1")
    monkeypatch.setattr(write, "replace", replace)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["env", "fix", "one", "two", "one"]) == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert capsys.readouterr().err == "exai: error: two: not written: no luck\n"
    assert main(["env", "fix", "one", "one"]) == 0


@pytest.mark.parametrize("missing", [".env", ".env.example"])
def test_a_missing_file_is_3(folder: Path, capsys: pytest.CaptureFixture[str], missing: str) -> None:
    (folder / missing).unlink()
    assert main(["env", "sync"]) == 3
    assert missing in capsys.readouterr().err


def test_in_reverse_without_a_live_file_the_first_step_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".env").unlink()
    assert main(["env", "sync", "--reverse"]) == 3
    assert "hint: cp .env.example .env, or name the file with --live" in capsys.readouterr().err


def test_every_value_that_a_person_must_say_is_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = "BUCKET=acme7Kq2media9Xw4store\nJWT_ALGORITHM=HS256\nAPI_KEY=canary-Zq7Lw9\nNAME=kestrel\n"
    (folder / ".env").write_text(live)
    (folder / ".env.example").write_text("")
    assert main(["env", "sync"]) == 0
    err = capsys.readouterr().err
    assert "left to you the value of BUCKET, JWT_ALGORITHM, NAME\n" in err


def test_what_the_check_will_find_of_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").write_text("A=1\nMESSAGE_BUS_TTL=1\nREDIS_HOST=localhost\n")
    (folder / ".env.example").write_text("A=1\n")
    (folder / "compose.yml").write_text("services: {a: {image: 'x:1'}}\n")
    assert main(["env", "sync", "--check"]) == 1
    err = capsys.readouterr().err
    assert "would have added what nothing reads any more, as ENV202 says: MESSAGE_BUS_TTL" in err
    assert "CMP015" not in err
    (folder / ".env").write_text("A=1\n")
    (folder / ".env.example").write_text("A=1\nREDIS_HOST=localhost\nB_URL=http://127.0.0.1:80\nC=local\n")
    assert main(["env", "sync", "--reverse", "--check"]) == 1
    said = (
        "would have added localhost, which is the container itself to a service (CMP015): REDIS_HOST, B_URL\n"
    )
    assert said in capsys.readouterr().err
    (folder / "compose.yml").unlink()
    assert main(["env", "sync", "--reverse", "--check"]) == 1
    assert "CMP015" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ignored", "said"), [(".env\n", True), (".env\n*.bak*\n", False), ("", False), (None, False)]
)
def test_a_backup_that_git_would_take_up_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], ignored: str | None, said: bool
) -> None:
    if ignored is not None:
        subprocess.run(["git", "init", "-q"], check=True, timeout=30)
        (folder / ".gitignore").write_text(ignored)
    assert main(["env", "sync", "--reverse"]) == 0
    line = "exai: .env.bak: git does not ignore it as it does .env; add *.bak* to .gitignore\n"
    assert (line in capsys.readouterr().err) is said


def test_fix_mends_what_is_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env.example").write_text("\ufeffA=1 \nAPI_KEY=  # canary\n")
    assert main(["env", "fix", "--check"]) == 1
    assert "would have removed the byte order mark" in capsys.readouterr().err
    assert main(["env", "fix"]) == 0
    assert (folder / ".env.example").read_text() == "A=1\n# canary\nAPI_KEY=\n"
    assert (folder / ".env").read_text() == LIVE
    assert "(line 1, ENV105)" in capsys.readouterr().err
    assert main(["env", "fix", "--check"]) == 0


def test_fix_takes_files_rules_and_readers(folder: Path) -> None:
    (folder / "other").write_text("A = 1 \n")
    assert main(["env", "fix", "other", "--skip", "ENV105"]) == 0
    assert (folder / "other").read_text() == "A = 1 \n"
    assert main(["env", "fix", "other", "--only", "env114", "--reader", "bash"]) == 0
    assert (folder / "other").read_text() == "A=1 \n"
    assert main(["env", "fix", "--only", "ENV001"]) == 2
    assert main(["env", "fix", "--reader", "nobody"]) == 2


def test_fix_leaves_what_is_suppressed(folder: Path) -> None:
    text = "A = 1  # exai:ignore[ENV114] in a column\nB= # why\nC =1\n"
    ignored = '[tool.exai]\nignore = [{ code = "ENV104", key = "B", reason = "as it is" }]\n'
    (folder / "pyproject.toml").write_text(ignored)
    (folder / ".env").write_text(text)
    assert main(["env", "fix", ".env", "--reader", "bash"]) == 0
    assert (folder / ".env").read_text() == text.replace("C =1", "C=1")


SUPPRESSED = {
    "in the example": ("A_SIZE=1  # exai:ignore[ENV005] mine\n", "A_SIZE=2\n", ""),
    "in the live file": ("A_SIZE=1\n", "A_SIZE=2  # exai:ignore[ENV005] mine\n", ""),
    "in pyproject": ("A_SIZE=1\n", "A_SIZE=2\n", 'code = "ENV005", key = "A_SIZE"'),
    "a key of one's own": ("B=1\n", "# ===\n# MINE\n# ===\nB=1\n# exai:ignore[ENV002] mine\nA=1\n", ""),
}


@pytest.mark.parametrize(("example", "live", "entry"), SUPPRESSED.values(), ids=SUPPRESSED)
def test_sync_leaves_what_is_suppressed(folder: Path, example: str, live: str, entry: str) -> None:
    (folder / ".env.example").write_text(example)
    (folder / ".env").write_text(live)
    if entry:
        ignored = f'[tool.exai]\nignore = [{{ {entry}, reason = "mine" }}]\n'
        (folder / "pyproject.toml").write_text(ignored)
    assert main(["env", "sync", "--check"]) == 0
    assert main(["env", "sync"]) == 0
    assert (folder / ".env.example").read_text() == example


def test_prune_leaves_what_is_suppressed(folder: Path) -> None:
    (folder / ".env.example").write_text("OLD=1  # exai:ignore[ENV001] for others\nC=1\n")
    (folder / ".env").write_text("A=1\nB=2\n")
    assert main(["env", "sync", "--prune"]) == 0
    text = (folder / ".env.example").read_text()
    assert "OLD=1" in text
    assert "C=1" not in text


def test_many_fixes_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env.example").write_text("".join(f"A{n}=1 \n" for n in range(50)))
    assert main(["env", "fix", ".env.example"]) == 0
    assert "mended 50 of ENV105" in capsys.readouterr().err


def test_diff_says_what_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "diff", ".env.example", ".env"]) == 1
    out, err = capsys.readouterr()
    assert "~ A_SIZE changed (line 1 -> line 2): '1', then '2'" in out
    assert "+ API_KEY added (line 3): ***" in out
    assert "canary" not in out + err
    assert main(["env", "diff", ".env.example", ".env", "--format", "json"]) == 1
    assert {d["kind"] for d in json.loads(capsys.readouterr().out)["differences"]} >= {"added", "removed"}


def test_diff_of_the_same_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "diff", ".env", ".env"]) == 0
    assert capsys.readouterr().out == ""


def test_diff_as_a_reader_sees_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "one").write_text("A='1'\n")
    (folder / "two").write_text("A=1\n")
    assert main(["env", "diff", "one", "two"]) == 0
    assert main(["env", "diff", "one", "two", "--reader", "docker-run"]) == 1
    assert "A changed" in capsys.readouterr().out
    (folder / "two").write_text("A B=1\n")
    assert main(["env", "diff", "one", "two", "--reader", "docker-run"]) == 3
    assert "docker-run refuses the file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["diff", ".env", "nowhere"], 3),
        (["diff", ".env", "."], 3),
        (["diff", ".env"], 2),
        (["diff", ".env", ".env", "--reader", "nobody"], 2),
        (["diff", ".env", ".env", "--format", "sarif"], 2),
        (["sync", "--live", "nowhere"], 3),
        (["fix", "nowhere"], 3),
        (["fix", "."], 3),
    ],
)
def test_what_cannot_be_done_is_said(args: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err


@pytest.mark.parametrize("command", ["diff", "sync", "fix"])
def test_each_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", command, "--help"]) == 0
    assert "--" in capsys.readouterr().out


def test_the_variables_of_the_stack_are_public_but_for_its_secrets(folder: Path) -> None:
    (folder / ".env.example").write_text("A=1\n")
    (folder / ".env").write_text(
        "A=1\nTZ=Asia/Tokyo\nREDIS_COMMANDER_USER=ops\nREDIS_PASSWORD=canary-Zq7Lw9\nOTHER_ZONE=Asia/Tokyo\n"
    )
    assert main(["env", "sync"]) == 0
    lines = (folder / ".env.example").read_text().splitlines()
    assert lines[:3] == ["A=1", "TZ=Asia/Tokyo", "REDIS_COMMANDER_USER=ops"]
    assert "canary" not in "".join(lines)
    assert "OTHER_ZONE=Asia/Tokyo" not in lines
