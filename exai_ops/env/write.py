"""The edge that replaces a file: whole or not at all, with what was there beside it as a backup."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # a link that lies in wait is not followed
_BACKUPS: Final = 1000
_HINTS: Final = {
    errno.ENOSPC: "make room on the disk, then run it again",
    errno.EFBIG: "raise the limit of file sizes, then run it again",
    errno.EROFS: "the file system is read-only",
    errno.EBUSY: "a file mounted into a container cannot be replaced: run it where the file is",
}


class NotWritten(CouldNotLook):
    """The new content could not be put in place; the old file is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was done.

    Attributes:
        path: The file that was replaced: what a symbolic link points to.
        backup: Where the old content is.
        linked: Whether the path that was named is a symbolic link.
        names: How many other names (hard links) still have the old content.
    """

    path: Path
    backup: Path
    linked: bool = False
    names: int = 0


def replace(path: Path, *, before: bytes, after: bytes) -> Written:
    """Puts ``after`` in the place of ``before``, and ``before`` into ``<name>.bak`` or the next number.

    Mode and owner stay; the kept content is its owner's alone. A kill at any point leaves the old file or
    the new one, whole. Raises CouldNotLook when there is no regular file, NotWritten when it is no longer
    ``before`` or the disk refuses.
    """
    target = _resolved(path)
    try:
        return _replace(path, target, before, after)
    except OSError as error:
        reason = error.strerror or "cannot be written"
        hint = _HINTS.get(error.errno or 0, "nothing was changed; see to the folder's permissions")
        raise NotWritten(f"{path}: not written: {reason}", hint=hint) from error


def undo(done: Written) -> None:
    """Puts the old content back in place, and takes the backup away. Raises NotWritten."""
    try:
        done.backup.replace(done.path)
    except OSError as error:
        raise NotWritten(
            f"{done.path}: has the new content, and could not get back the old: {error.strerror}",
            hint=f"the old content is in {done.backup}",
        ) from error


def put(path: Path, data: bytes, *, mine: Callable[[bytes], bool]) -> None:
    """Makes ``data`` the content of a file, new or there already; nothing else is left beside it.

    A symbolic link is followed; mode and owner stay. Raises CouldNotLook when there is something else than a
    regular file with content that is ``mine``, NotWritten when the folder or the disk refuses.
    """
    target = path if not path.is_symlink() and not path.exists() else _resolved(path)
    try:
        old = target.stat() if target.exists() else None
        if old is not None and old.st_size and not mine(target.read_bytes()):
            raise CouldNotLook(f"{path}: holds something else", hint="name another file, or remove it first")
        with _removed_on_error(_free(target)) as new:
            if old is None:
                new.touch(exist_ok=False)
            like = old or new.stat()
            descriptor = os.open(new, _NEW if old else os.O_WRONLY, 0o600)
            _fill(descriptor, data, like, mode=stat.S_IMODE(like.st_mode))
            new.replace(target)
    except OSError as error:
        reason = error.strerror or "cannot be written"
        raise NotWritten(
            f"{path}: cannot be written: {reason}", hint="name a file in a writable folder"
        ) from error


def _resolved(path: Path) -> Path:
    try:
        target = path.resolve(strict=True)
        regular = stat.S_ISREG(target.stat().st_mode)
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        reason = error.strerror if isinstance(error, OSError) else "is a loop of symbolic links"
        raise CouldNotLook(f"{path}: {reason}", hint="name a file that is there") from error
    if not regular:
        raise CouldNotLook(f"{path}: is not a regular file", hint="name a file")
    return target


def _replace(path: Path, target: Path, before: bytes, after: bytes) -> Written:
    old = target.stat()
    with _removed_on_error(_free(target)) as new:
        _create(new, after, old)
        with _backup(target, before, old) as backup:
            _unchanged(path, target, before)
            new.replace(target)
    _sync_folder(target.parent)
    return Written(path=target, backup=backup, linked=path.is_symlink(), names=old.st_nlink - 1)


def _free(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.new")


@contextmanager
def _removed_on_error(path: Path) -> Iterator[Path]:
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


@contextmanager
def _backup(target: Path, before: bytes, old: os.stat_result) -> Iterator[Path]:
    """A new file with the old content, gone again when what follows fails."""
    for number in count(1):
        backup = target.with_name(f"{target.name}.bak" + (f".{number}" if number > 1 else ""))
        try:
            descriptor = os.open(backup, _NEW, 0o600)
        except FileExistsError:
            if number < _BACKUPS:
                continue
            raise
        with _removed_on_error(backup):
            _fill(descriptor, before, old, mode=stat.S_IMODE(old.st_mode) & 0o600)
            yield backup
        return


def _create(path: Path, data: bytes, old: os.stat_result) -> None:
    _fill(os.open(path, _NEW, 0o600), data, old, mode=stat.S_IMODE(old.st_mode))


def _fill(descriptor: int, data: bytes, old: os.stat_result, *, mode: int) -> None:
    """Writes a file that is private until its owner is the old one's, and closes it."""
    with os.fdopen(descriptor, "wb") as file:
        now = os.fstat(file.fileno())
        if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _unchanged(path: Path, target: Path, before: bytes) -> None:
    if target.read_bytes() != before:
        raise NotWritten(f"{path}: was changed by someone else meanwhile", hint="run it again")


def _sync_folder(folder: Path) -> None:
    """Makes the rename last; a file system that cannot sync a folder does so by itself."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
