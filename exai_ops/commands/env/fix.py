"""``exai env fix``: mend what has one right answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.errors import CouldNotLook, UsageError

if TYPE_CHECKING:
    from exai_ops.env.config import Config
    from exai_ops.env.find import Found
    from exai_ops.env.fix import Fix, Leave
    from exai_ops.env.model import Document

_Texts = list[str] | None


def fix(
    files: Annotated[_Texts, typer.Argument(help="Files to mend; else the example and the live one.")] = None,
    only: Annotated[_Texts, typer.Option(metavar="CODE", help="What these rules find alone.")] = None,
    skip: Annotated[_Texts, typer.Option(metavar="CODE", help="All but what these rules find.")] = None,
    reader: Annotated[
        _Texts, typer.Option(metavar="NAME", help="A reader in use; again for more; else found here.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the change as a unified diff, secrets masked.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when something would change.")
    ] = False,
) -> None:
    """Mend how the files are written; no key gets another value.

    The old content is kept in a .bak file. Of several files all are written or none.
    """
    from exai_ops.commands.env.apply import Change, apply
    from exai_ops.env.config import read_config
    from exai_ops.env.find import find
    from exai_ops.env.fix import fix as fixed
    from exai_ops.env.load import load_document
    from exai_ops.settings import shell

    here = Path()
    codes = _codes(only, skip)
    config = read_config(here)
    found = find(here, live=files[0] if files else None, environ=shell())
    readers = reader or _readers(found, config)
    changes = []
    for document in [load_document(path) for path in dict.fromkeys(files or _paths(found))]:
        leave = _suppressed(document, config)
        done = fixed(document, readers=_known(readers), codes=codes, leave=leave)
        changes.append(Change(document, done.document, list(_said(done.fixes)), secrets=document))
    differs = apply(changes, dry_run=dry_run, check=check)
    raise typer.Exit(1 if differs and check else 0)


def _paths(found: Found) -> list[str]:
    """The files that were found. Raises CouldNotLook when there is none."""
    paths = [path for path in (found.example, found.live, found.main) if path is not None]
    if not paths:
        raise CouldNotLook("no environment file here", hint="name the files to mend")
    return paths


def _codes(only: _Texts, skip: _Texts) -> list[str]:
    """The rules whose findings are mended. Raises UsageError for one that nothing here mends."""
    from exai_ops.env.fix import CODES

    asked, left = _split(only), _split(skip)
    for code in (*asked, *left):
        if code not in CODES:
            raise UsageError(f"nothing is mended for {code}", hint=f"one of {', '.join(sorted(CODES))}")
    return [code for code in CODES if (not asked or code in asked) and code not in left]


def _split(texts: _Texts) -> list[str]:
    return [part.strip().upper() for text in texts or () for part in text.split(",") if part.strip()]


def _known(readers: Sequence[str]) -> Sequence[str]:
    from exai_ops.env.readers import READERS

    for name in readers:
        if name not in READERS:
            raise UsageError(f"no reader is called {name}", hint=f"one of {', '.join(READERS)}")
    return readers


def _readers(found: Found, config: Config) -> Sequence[str]:
    """The readers in use: the configured ones, else those of the compose file when it can be read."""
    from exai_ops.env.gather import gather, readers_in_use

    if config.readers is not None:
        return config.readers
    try:
        return gather(found, config).context.readers
    except CouldNotLook:
        return readers_in_use(config, None, None)


def _suppressed(document: Document, config: Config) -> Leave:
    """Whether somebody has decided not to see what a rule finds at a line."""
    from exai_ops.env.suppression import decided

    tell = decided([document], config.ignore)
    return lambda code, line, key: tell(code, document.path, line, key)


def _said(fixes: Sequence[Fix]) -> Iterator[str]:
    """One line for one fix, or for each rule when there are many."""
    if len(fixes) <= 10:
        yield from (f"{fix.message} (line {fix.line}, {fix.code})" for fix in fixes)
        return
    for code, count in sorted(Counter(fix.code for fix in fixes).items()):
        yield f"mended {count} of {code}"
