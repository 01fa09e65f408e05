"""``replace``: whole or not at all, on a full disk, in a folder that is gone, when it is killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exai_ops.env.write import NotWritten, replace
from exai_ops.errors import CouldNotLook

OLD, NEW = b"A=old\n", b"A=new\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_content_is_there_and_the_old_beside_it(file: Path) -> None:
    done = replace(file, before=OLD, after=NEW)
    assert file.read_bytes() == NEW
    assert done.backup.read_bytes() == OLD
    assert names(file.parent) == [".env", ".env.bak"]


def test_no_backup_is_overwritten(file: Path) -> None:
    for number in range(3):
        replace(file, before=file.read_bytes(), after=b"A=%d\n" % number)
    assert names(file.parent) == [".env", ".env.bak", ".env.bak.2", ".env.bak.3"]
    contents = [(file.parent / f".env.bak{end}").read_bytes() for end in ("", ".2", ".3")]
    assert contents == [OLD, b"A=0\n", b"A=1\n"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o664])
def test_mode_and_owner_stay_and_the_backup_is_its_owners_alone(file: Path, mode: int) -> None:
    if os.geteuid() == 0:
        os.chown(file, 12345, 23456)
    file.chmod(mode)
    before = file.stat()
    done = replace(file, before=OLD, after=NEW)
    for path, wanted in ((file, mode), (done.backup, mode & 0o600)):
        now = path.stat()
        assert stat.S_IMODE(now.st_mode) == wanted
        assert (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid)


def test_a_link_is_followed_and_stays(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    link = folder / ".env"
    link.symlink_to("../.env")
    done = replace(link, before=OLD, after=NEW)
    assert link.is_symlink()
    assert file.read_bytes() == NEW
    assert (done.linked, done.path, done.backup) == (True, file, file.with_name(".env.bak"))
    assert names(folder) == [".env"]


def test_other_names_of_the_file_are_counted(file: Path) -> None:
    other = file.with_name("other")
    other.hardlink_to(file)
    assert replace(file, before=OLD, after=NEW).names == 1
    assert other.read_bytes() == OLD


def test_a_backup_that_is_a_link_is_not_written_through(file: Path, tmp_path: Path) -> None:
    file.with_name(".env.bak").symlink_to(tmp_path / "elsewhere")
    assert replace(file, before=OLD, after=NEW).backup.name == ".env.bak.2"
    assert not (tmp_path / "elsewhere").exists()


def test_what_changed_meanwhile_is_left_alone(file: Path) -> None:
    file.write_bytes(b"A=theirs\n")
    with pytest.raises(NotWritten, match="changed by someone else"):
        replace(file, before=OLD, after=NEW)
    assert file.read_bytes() == b"A=theirs\n"
    assert names(file.parent) == [".env"]


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "dangling", "loop"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".env"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in ("dangling", "loop"):
        path.symlink_to("nowhere" if kind == "dangling" else ".env")
    before = names(tmp_path)
    with pytest.raises(CouldNotLook) as refused:
        replace(path, before=OLD, after=NEW)
    assert refused.value.exit_code == 3
    assert names(tmp_path) == before


FULL = """
import resource, signal, sys
from pathlib import Path
from exai_ops.env.write import NotWritten, replace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    replace(Path(sys.argv[1]), before=Path(sys.argv[1]).read_bytes(), after=b"N" * int(sys.argv[3]))
except NotWritten as error:
    sys.exit(f"{error.message}|{error.hint}")
"""


@pytest.mark.parametrize(("limit", "size"), [(100, 4000), (100, 50)], ids=["the file", "the backup"])
def test_a_full_disk_leaves_the_old_file_whole(file: Path, limit: int, size: int) -> None:
    old = b"A=old\n" * 100
    file.write_bytes(old)
    done = run(FULL, str(file), str(limit), str(size))
    assert done.returncode == 1
    assert done.stderr.startswith(f"{file}: not written: ")
    assert file.read_bytes() == old
    assert names(file.parent) == [".env"]


def test_a_folder_that_takes_no_files_is_said() -> None:
    """Nothing can be created in /proc, not even by root."""
    path = Path("/proc/sys/kernel/ostype")
    with pytest.raises(NotWritten, match="not written"):
        replace(path, before=path.read_bytes(), after=NEW)


KILLED = """
import os, signal, sys
from pathlib import Path
import exai_ops.env.write as write
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
places = {"rename": (Path, "replace"), "sync": (os, "fsync"), "check": (write, "_unchanged")}
setattr(*places[sys.argv[2]], die)
write.replace(Path(sys.argv[1]), before=b"A=old\\n", after=b"A=new\\n")
"""


@pytest.mark.parametrize("where", ["sync", "check", "rename"])
def test_a_kill_leaves_the_old_file_whole(file: Path, where: str) -> None:
    done = run(KILLED, str(file), where)
    assert done.returncode == -signal.SIGKILL
    assert file.read_bytes() == OLD
    again = replace(file, before=OLD, after=NEW)
    assert file.read_bytes() == NEW
    assert again.backup.read_bytes() == OLD


def test_an_interrupt_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(file, before=OLD, after=NEW)
    assert file.read_bytes() == OLD
    assert names(file.parent) == [".env"]


def run(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
