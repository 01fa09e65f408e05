"""ENV301 to ENV306: secrets where others see them, and values that protect nothing."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from exai_ops.env.lines import whole
from exai_ops.env.masking import key_shown
from exai_ops.env.model import Assignment, Comment, Document
from exai_ops.env.rules.between import at
from exai_ops.env.rules.meaning_values import names, view
from exai_ops.env.rules.table import Context
from exai_ops.env.secret_shapes import URL, projects
from exai_ops.env.secrets import Hit, in_line, is_made_up, of_assignment, without_references
from exai_ops.env.shown import is_placeholder, is_secret_key
from exai_ops.env.weak import MAKE_ONE, is_chosen, weakness
from exai_ops.findings import Finding, Location, Status

_ROTATE = "take it out, and make a new one where it was issued: who saw the file has it"


_HERE = r"(?i)@(?:localhost|127(?:\.[0-9]+){3}|\[::1\])(?=[:/?#]|$)"
_UNSET = frozenset({"null", "(null)"})  # what Laravel and others take for no value


def in_example(context: Context) -> Iterator[Finding]:
    """Secrets among the values of the example."""
    example = context.example
    for a in example.assignments if example is not None else ():
        hit = None if _public(context, a.key) else of_assignment(a.key, whole(a))
        if hit is not None and example is not None:
            live = context.live.last_of(a.key) if context.live is not None else None
            same = live is not None and whole(live) == whole(a)
            sure = (hit.sure or same) and not _is_for_development(hit, whole(a))
            status = Status.ERROR if sure else Status.WARNING
            message = f"{key_shown(a.key)} is {hit.what}" + (", the one in use" if same else "")
            hint = f"write {key_shown(a.key)}= with nothing behind it; {_ROTATE}"
            yield Finding("ENV301", status, message, hint, at(example, a))


def _is_for_development(hit: Hit, value: str) -> bool:
    """Whether a secret opens nothing elsewhere: one of a server on this machine, or that Django marks so."""
    if value.startswith("django-insecure-"):
        return True
    return hit.what == URL.what and re.search(_HERE, value) is not None


def in_tracked(context: Context) -> Iterator[Finding]:
    """Secrets in files in use that git tracks."""
    own = [document for document in (context.live, context.main) if document is not None]
    if not own and context.project is None:
        return
    if context.tracked is None:
        yield Finding("ENV302", Status.SKIP, "needs git, and there is no repository here", "run it in one")
        return
    seen = set()
    for document in own:
        seen.add(os.path.normpath(document.path))
        if _is_tracked(context, document.path) and document.path != _path(context.example):
            yield from _tracked(document)
    yield from _tracked_env_files(context, seen)


def _tracked(document: Document) -> Iterator[Finding]:
    for a in document.assignments:
        hit = of_assignment(a.key, whole(a))
        if hit is not None:
            yield _in_git(hit, key_shown(a.key), document.path, a.line)


def _tracked_env_files(context: Context, seen: set[str]) -> Iterator[Finding]:
    """The other files that services read."""
    project = context.project
    if project is None:
        return
    from exai_ops.env.rules.compose_environment import files_read

    for service in project.services.values():
        for entry in files_read(context, project, service):
            path = os.path.normpath(entry.file.path)
            if path not in seen and path != _path(context.example) and _is_tracked(context, path):
                seen.add(path)
                for key, value in entry.reading.values.items():
                    hit = of_assignment(key, value)
                    if hit is not None:
                        yield _in_git(hit, key_shown(key), entry.file.path, entry.reading.lines.get(key, 1))


def _in_git(hit: Hit, key: str, path: str, line: int) -> Finding:
    status = Status.ERROR if hit.sure else Status.WARNING
    message = f"{key} is {hit.what}, and git tracks {path}"
    hint = f"git rm --cached {path}, put it into .gitignore, and make a new one: the history keeps this one"
    return Finding("ENV302", status, message, hint, Location(path, line, key))


def _is_tracked(context: Context, path: str) -> bool:
    return context.tracked is not None and os.path.normpath(path) in context.tracked


def _path(document: Document | None) -> str | None:
    return None if document is None else document.path


def placeholders(context: Context) -> Iterator[Finding]:
    """Placeholders that nobody filled in."""
    for document in (context.live, context.main):
        if document is None:
            continue
        seen = view(context, document)
        for key in names(document):
            value = seen.values.get(key, "")
            if value and not value.startswith("#") and is_placeholder(value):
                status = Status.ERROR if is_secret_key(key) else Status.WARNING
                message = f"{key} still is a placeholder"
                hint = f"fill it in, or write {key}= with nothing behind it: that counts as unset"
                yield Finding("ENV303", status, message, hint, seen.at(key))


def weak(context: Context) -> Iterator[Finding]:
    """Tokens and passwords that are easily guessed."""
    for document in (context.live, context.main):
        if document is None:
            continue
        seen = view(context, document)
        for key in names(document):
            value = seen.real(key)
            chosen = bool(value) and is_chosen(key) and (value or "").lower() not in _UNSET
            own = value if value and chosen and without_references(value) == value else None
            reason = weakness(own) if own else None
            if reason is not None:
                hint = f"make one: {MAKE_ONE}"
                yield Finding("ENV304", Status.WARNING, f"{key} {reason}", hint, seen.at(key))


def repeated(context: Context) -> Iterator[Finding]:
    """One secret under two keys."""
    live = context.live
    if live is None:
        return
    seen = view(context, live)
    settings = {name: variable.name for name, variable in context.variables.items()}
    first: dict[str, str] = {}
    for key in names(live):
        value = seen.real(key)
        if value is None or not is_secret_key(key) or len(value) < 8:
            continue
        other = first.setdefault(value, key)
        if other != key and settings.get(other, other) != settings.get(key, key):
            message = f"{key} is the same as {other} at line {seen.lines.get(other)}"
            hint = f"make another one for {key}: {MAKE_ONE}, or where it is issued"
            yield Finding("ENV305", Status.WARNING, message, hint, seen.at(key))


def in_comments(context: Context) -> Iterator[Finding]:
    """Secrets in comments, and addresses of real projects in the example."""
    for document in context.documents():
        example = document is context.example
        if not example and not _is_tracked(context, document.path):
            continue
        for comment in _comments(document):
            yield from _in_comment(context, document, comment)
        for a in document.assignments if example else ():
            if not _public(context, a.key):
                yield from _projects(document, a.line, a.key, whole(a), "is")


def _in_comment(context: Context, document: Document, comment: tuple[int, str, str]) -> Iterator[Finding]:
    line, key, text = comment
    for hit in in_line(text, "config"):
        name = key_shown(hit.key or key)
        message = f"a comment{f' on {name}' if name else ''} holds {hit.what}"
        yield Finding("ENV306", Status.ERROR, message, _ROTATE, Location(document.path, line, name or None))
    if document is context.example:
        yield from _projects(document, line, key, text, "has a comment with")


def _projects(document: Document, line: int, key: str, text: str, verb: str) -> Iterator[Finding]:
    for value, what in projects(text, about=key):
        if not is_made_up(value) and not is_placeholder(value):
            name = key_shown(key) if key else ""
            message = f"{name} {verb} {what}" if name else f"a comment holds {what}"
            hint = "write one that is made up: https://your-project.supabase.co"
            where = Location(document.path, line, name or None)
            yield Finding("ENV306", Status.WARNING, message, hint, where)


def _comments(document: Document) -> Iterator[tuple[int, str, str]]:
    """Line, key beside it and text of each comment."""
    for node in document.nodes:
        if isinstance(node, Comment):
            yield node.line, "", node.text
        elif isinstance(node, Assignment) and node.inline:
            yield node.end_line, node.key, node.inline


def _public(context: Context, key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in context.public)
