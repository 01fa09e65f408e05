"""The last step of the commands that mend a file: show, judge or write what they made of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exai_ops.env.model import Document

if TYPE_CHECKING:
    from exai_ops.env.write import Written


class Change(NamedTuple):
    """What a command made of a file.

    Attributes:
        said: Lines on what was done, in words that fit behind ``would have``.
        secrets: The document whose secrets are masked in a patch, ``before``'s own aside.
    """

    before: Document
    after: Document
    said: Sequence[str]
    secrets: Document


def apply(changes: Sequence[Change], *, dry_run: bool, check: bool) -> bool:
    """Whether a file is now other than it should be: it differs, and ``check`` or ``dry_run`` kept it so.

    With ``dry_run`` the patches go to stdout, masked. All files are written or none. Raises CouldNotLook and
    NotWritten as ``exai_ops.env.write.replace`` does.
    """
    differing = [change for change in changes if change.before.data != change.after.data]
    kept = dry_run or check
    written = iter([] if kept else _write(differing))
    for change in changes:
        if change.before.data == change.after.data:
            _say(f"{change.before.path}: nothing to do")
            continue
        if dry_run:
            from exai_ops.env.patch import patch

            print(patch(change.before, change.after, change.secrets), end="")
        for line in change.said:
            _say(f"{change.before.path}: {'would have ' if kept else ''}{line}")
        for done in islice(written, 1):
            _tell(change.before.path, done)
    return kept and bool(differing)


def _write(changes: Sequence[Change]) -> list[Written]:
    """Writes every file; when one cannot be, those before it get back what they had."""
    from exai_ops.env.write import replace, undo

    written: list[Written] = []
    try:
        for change in changes:
            done = replace(Path(change.before.path), before=change.before.data, after=change.after.data)
            written.append(done)
    except BaseException:
        for done in written:
            undo(done)
        raise
    return written


def listing(keys: Sequence[str], most: int = 12) -> str:
    """Names in a row, the first ones when there are many."""
    from exai_ops.env.masking import key_shown

    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(map(key_shown, keys[:most])) + more


def _tell(path: str, done: Written) -> None:
    from exai_ops.env.exposed import is_exposed

    where = f"{path} (a symbolic link to {done.path})" if done.linked else path
    backup = done.backup if done.linked else Path(path).with_name(done.backup.name)
    _say(f"{where}: written; the old content is in {backup}")
    if is_exposed(done.path, done.backup):
        _say(f"{backup}: git does not ignore it as it does {path}; add *.bak* to .gitignore")
    if done.names:
        _say(f"{path}: {done.names} other name(s) of the file, hard links, still have the old content")


def _say(line: str) -> None:
    from exai_ops.env.masking import printable

    one = printable(line).replace("\n", "\\x0a")  # a file's name may hold a line end
    print(f"exai: {one}", file=sys.stderr)
