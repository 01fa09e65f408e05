"""``exai env sync``: make the example follow the live file, or the reverse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exai_ops.errors import CouldNotLook

if TYPE_CHECKING:
    from exai_ops.env.find import Found
    from exai_ops.env.sync import Synced


def sync(
    example: Annotated[str | None, typer.Option(help="The documented example; else found here.")] = None,
    live: Annotated[str | None, typer.Option(help="The file in use; else .env.docker or .env here.")] = None,
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Add the example's keys to the live file instead.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take out keys that the other file does not have.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the change as a unified diff, secrets masked.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when something would change.")
    ] = False,
) -> None:
    """Add to the example the keys that only the live file has, with public values alone.

    Comments, sections and blank lines stay; the old content is kept in a .bak file.
    """
    from exai_ops.commands.env.apply import Change, apply
    from exai_ops.env.config import read_config
    from exai_ops.env.find import find
    from exai_ops.env.load import load_document
    from exai_ops.env.publish import Policy
    from exai_ops.env.suppression import decided
    from exai_ops.env.sync import sync as synced
    from exai_ops.settings import STACK_VARIABLES, VARIABLES

    here = Path()
    config = read_config(here)
    found = find(here, example=example, live=live)
    names = _pair(found, reverse=reverse)
    one, two = (load_document(name) for name in names)
    source, target = (one, two) if reverse else (two, one)
    known = {name: variable for variable in VARIABLES for name in variable.names}
    stack = (variable.name for variable in STACK_VARIABLES if not variable.secret)
    policy = Policy(public=(*config.public, *stack), differ=config.differ, variables=known)
    told = decided((one, two), config.ignore, pair=(one, two))
    done = synced(source, target, policy, reverse=reverse, prune=prune, decided=told)
    said = [*_said(done, source.path), *_warned(done, contained=reverse and bool(found.compose))]
    differs = apply([Change(target, done.document, said, secrets=source)], dry_run=dry_run, check=check)
    raise typer.Exit(1 if differs and check else 0)


def _pair(found: Found, *, reverse: bool) -> tuple[str, str]:
    """The example and the live file. Raises CouldNotLook when one is missing."""
    from exai_ops.env.find import EXAMPLES, LIVE, quoted

    if reverse and found.live is None and found.example is not None:
        make = f"cp {quoted(found.example)} .env"
        raise CouldNotLook(f"none of {', '.join(LIVE)} is here", hint=f"{make}, or name the file with --live")
    for path, option, names in ((found.example, "--example", EXAMPLES), (found.live, "--live", LIVE)):
        if path is None:
            raise CouldNotLook(f"none of {', '.join(names)} is here", hint=f"name the file with {option}")
    return str(found.example), str(found.live)


def _warned(done: Synced, *, contained: bool) -> Iterator[str]:
    """What the check will find of what was added."""
    from exai_ops.commands.env.apply import listing

    if done.gone:
        yield f"added what nothing reads any more, as ENV202 says: {listing(done.gone)}"
    if done.local and contained:
        which = listing(done.local)
        yield f"added localhost, which is the container itself to a service (CMP015): {which}"


def _said(done: Synced, source: str) -> Iterator[str]:
    """What was done, in words that fit behind ``would have``."""
    from exai_ops.commands.env.apply import listing

    for verb, keys in (("added", done.added), ("changed", done.changed), ("removed", done.removed)):
        if keys:
            yield f"{verb} {listing(keys)}"
    if done.passed:
        yield f"passed over what is no assignment at line {listing(list(map(str, done.passed)))} of {source}"
    if done.fill:
        yield f"left to you the value of {listing(done.fill)}"
