"""The last step of the commands that mend a file: show, judge or write what they made of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from exai_ops.env.model import Document


def apply(
    before: Document, after: Document, said: Sequence[str], *, dry_run: bool, check: bool, secrets: Document
) -> bool:
    """Whether the file is now other than it should be: it differs, and ``check`` or ``dry_run`` kept it so.

    ``said`` are lines on what was done. With ``dry_run`` the patch goes to stdout, masked, ``secrets``
    included. Raises CouldNotLook and NotWritten as ``exai_ops.env.write.replace`` does.
    """
    if before.data == after.data:
        _say(f"{before.path}: nothing to do")
        return False
    if dry_run:
        from exai_ops.env.patch import patch

        print(patch(before, after, secrets), end="")
    for line in said:
        _say(f"{before.path}: {'would have ' if dry_run or check else ''}{line}")
    if dry_run or check:
        return True
    _write(before, after)
    return False


def listing(keys: Sequence[str], most: int = 12) -> str:
    """Names in a row, the first ones when there are many."""
    from exai_ops.env.masking import key_shown

    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(map(key_shown, keys[:most])) + more


def _write(before: Document, after: Document) -> None:
    from exai_ops.env.exposed import is_exposed
    from exai_ops.env.write import replace

    done = replace(Path(before.path), before=before.data, after=after.data)
    where = f"{before.path} (a symbolic link to {done.path})" if done.linked else before.path
    backup = done.backup if done.linked else Path(before.path).with_name(done.backup.name)
    _say(f"{where}: written; the old content is in {backup}")
    if is_exposed(done.path, done.backup):
        _say(f"{backup}: git does not ignore it as it does {before.path}; add *.bak* to .gitignore")
    if done.names:
        _say(f"{before.path}: {done.names} other name(s) of the file, hard links, still have the old content")


def _say(line: str) -> None:
    from exai_ops.env.masking import printable

    print(f"exai: {printable(line)}", file=sys.stderr)
