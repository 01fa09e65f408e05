"""What git knows, through its command line: the files it tracks, and every line that its history added.

Nothing of the repository's configuration that runs programs is obeyed: no hooks for the list of files, no
external diff, no text conversion, no fetching of what a partial clone lacks.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from exai_ops.errors import CouldNotLook
from exai_ops.settings import shell

QUIET: Final = (
    "-c", "log.showRoot=true", "-c", "i18n.logOutputEncoding=UTF-8", "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false", "--literal-pathspecs", "--no-pager",
)  # fmt: skip
_LOG: Final = (
    "log", "--all", "--reverse", "--patch", "--text", "--cc", "--unified=0", "--no-color", "--no-ext-diff",
    "--no-textconv", "--no-renames", "--no-notes", "--no-show-signature", "--relative", "--src-prefix=a/",
    "--dst-prefix=b/", "--format=%x00%H",
)  # fmt: skip
_SETTINGS: Final = {
    "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
}  # fmt: skip
_LIST_S: Final = 60.0
_PIECE_BYTES: Final = 64 * 1024
_HUNK: Final = re.compile(rb"(@@+) .*?\+(\d+)(?:,\d+)? \1")
_ESCAPE: Final = re.compile(rb"\\([abtnvfr\"\\]|[0-7]{3})")
_ESCAPES: Final = {
    b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r",
    b'"': b'"', b"\\": b"\\",
}  # fmt: skip


class Added(NamedTuple):
    """A line that a commit added, or a piece of a very long one; line from 1, in the file of that commit."""

    commit: str
    file: str
    line: int
    text: str


def tracked_files(paths: Sequence[str] = (), *, once: bool = False) -> list[str]:
    """Paths of the files that git tracks here or at ``paths``, relative to the current folder, in order.

    Raises CouldNotLook when there is no repository, or it tracks nothing at one of the paths; with ``once``,
    when it never did.
    """
    found = _listed(paths)
    strange = [path for path in _without(found, paths) if not (once and count_commits([path]))]
    if strange or not (found or (once and count_commits())):
        where = f"at {', '.join(strange)}" if strange else "here"
        verb = "never tracked anything" if once else "tracks nothing"
        raise CouldNotLook(f"git {verb} {where}", hint="name files or folders that git tracks")
    return found


def _without(found: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The paths at which none of the files stands; git is asked about those that are written unusually."""
    above = set(found)
    for name in found:
        while name := name.rpartition("/")[0]:
            above.add(name)
    return [path for path in paths if path not in above and not _listed([path])]


def _listed(paths: Sequence[str]) -> list[str]:
    if _run("rev-parse", "--is-bare-repository", timeout_s=_LIST_S).strip() == b"true":
        return []
    done = _run("ls-files", "-z", "--", *paths, timeout_s=_LIST_S)
    return sorted({os.fsdecode(name) for name in done.split(b"\0") if name})


def count_commits(paths: Sequence[str] = ()) -> int:
    """How many commits touch ``paths``, or how many there are."""
    return int(_run("rev-list", "--all", "--count", "--", *paths, timeout_s=_LIST_S) or 0)


def is_cut() -> bool:
    """Whether the repository is a shallow clone, without the older part of its history."""
    return _run("rev-parse", "--is-shallow-repository", timeout_s=_LIST_S).strip() == b"true"


@contextmanager
def history(paths: Sequence[str], max_s: float) -> Iterator[Iterator[Added | str]]:
    """Every line that a branch or tag added, oldest commit first, each commit's name before its lines.

    Memory is bounded by pieces of 64 KiB. After ``max_s`` the process is ended, which raises CouldNotLook.
    """
    command = ["git", *QUIET, *_LOG, "--", *paths]
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ()
    )
    late = threading.Event()
    timer = threading.Timer(max_s, _end, (process, late))
    timer.daemon = True
    timer.start()
    try:
        yield _whole(process, late, max_s)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _whole(process: subprocess.Popen[bytes], late: threading.Event, max_s: float) -> Iterator[Added | str]:
    if process.stdout is not None:
        yield from parse_log(_pieces(process.stdout))
    code = process.wait()
    if late.is_set():
        raise CouldNotLook(f"the history was not read within {max_s:g} s", hint="allow more with --timeout")
    if code:
        raise CouldNotLook("git log failed", hint="git fsck says what is wrong with the repository")


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: stream.readline(_PIECE_BYTES), b"")


def parse_log(pieces: Iterable[bytes]) -> Iterator[Added | str]:
    """What ``git log --patch --cc --unified=0 --format=%x00%H`` says; a commit's name, then what it added."""
    commit, file, line, parents, header, fresh = "", "", 0, 1, True, True
    added = False
    for piece in pieces:
        ends = piece.endswith(b"\n")
        if not fresh:
            if added:
                yield Added(commit, file, line, _text(piece))
            fresh = ends
            line += added and ends
            continue
        fresh, added = ends, False
        if piece.startswith(b"\0"):
            commit, header = piece[1:].strip().decode("ascii", "replace"), True
            yield commit
        elif piece.startswith(b"diff "):
            header = True
        elif header and piece.startswith(b"+++ "):
            file = _path(piece[4:].rstrip(b"\r\n"))
        elif hunk := _HUNK.match(piece) if piece.startswith(b"@@") else None:
            header, parents, line = False, len(hunk[1]) - 1, int(hunk[2])
        elif not header and b"-" not in piece[:parents] and piece[:1] != b"\\":
            added = b"+" in piece[:parents]
            if added:
                yield Added(commit, file, line, _text(piece[parents:]))
            line += ends


def _text(piece: bytes) -> str:
    return piece.rstrip(b"\r\n").decode("utf-8", "replace")


def _path(name: bytes) -> str:
    """The path of a ``+++`` line: without ``b/``, and without the quotes of an unusual one."""
    name = name.removesuffix(b"\t")
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(lambda m: _ESCAPES.get(m[1]) or bytes([int(m[1], 8) & 255]), name[1:-1])
    return os.fsdecode(name.removeprefix(b"b/"))


def _run(*args: str, timeout_s: float) -> bytes:
    command = ["git", *QUIET, *args]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=timeout_s, check=False, env=environ()
        )
    except FileNotFoundError as error:
        raise CouldNotLook("git is not installed", hint="install git") from error
    except subprocess.TimeoutExpired as error:
        raise CouldNotLook(f"git did not answer within {timeout_s:g} s", hint="try again") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[0].removeprefix("fatal: ") if said else f"git ended with {done.returncode}"
        raise CouldNotLook(f"git: {reason[:200]}", hint=_hint(reason))
    return done.stdout


def _hint(reason: str) -> str:
    if "dubious ownership" in reason:
        return "it belongs to another user; trust it with git config --global --add safe.directory FOLDER"
    return "run it in a repository, with paths inside of it"


def environ() -> dict[str, str]:
    """The environment that git is run in."""
    return {**shell(), **_SETTINGS}
