"""ENV201 to ENV204: keys that nobody knows, that are gone, that nobody documents, that nobody reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from exai_ops.env.model import Comment, Document
from exai_ops.env.nearest import Names
from exai_ops.env.others import compose_reads, image_reads, platform_reads
from exai_ops.env.removed import removed
from exai_ops.env.rules.between import at, off
from exai_ops.env.rules.meaning_values import names
from exai_ops.env.rules.table import Context
from exai_ops.findings import Finding, Location, Status

if TYPE_CHECKING:
    from exai_ops.env.code import CodeUse, Read

_OURS: Final = "EXAI_"
_NEEDS_CODE: Final = "needs the code that reads the variables"
_WEAK: Final = frozenset({"shell", "Dockerfile"})


def unknown(context: Context) -> Iterator[Finding]:
    """Keys like a known name, but for a letter or two, and keys of exai that it does not have."""
    if not context.variables and context.code is None:
        yield Finding(
            "ENV201", Status.SKIP, "needs settings or code that say what is known", "name it with --code"
        )
        return
    known = _known(context)
    for document in context.documents():
        for key in names(document):
            if key in known or removed(key) or _read_elsewhere(context, key):
                continue
            near = known.nearest(key)
            if near is not None or (key.startswith(_OURS) and context.variables):
                yield _unknown(key, near, known, at(document, document.index[key][-1]))


def _unknown(key: str, near: str | None, known: Names, where: Location) -> Finding:
    if near is not None:
        return Finding(
            "ENV201", Status.WARNING, f"{key} is not known; {near} is", f"rename it to {near}", where
        )
    import difflib  # for the few that are left: it costs more than the rest of the rule

    like = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    hint = (
        f"rename it to {like[0]}, if that is meant"
        if like
        else "take it out; exai settings example lists what is read"
    )
    return Finding("ENV201", Status.WARNING, f"{key} is not a variable of exai", hint, where)


def gone(context: Context) -> Iterator[Finding]:
    """Keys that are declared as removed and that no code reads."""
    for document in context.documents():
        for key in names(document):
            entry = removed(key)
            if entry is not None and not _is_read(context, key):
                instead = _instead(document, entry.instead)
                message = f"{key} is not read since {entry.since}: {entry.why}"
                yield Finding(
                    "ENV202", Status.WARNING, message, instead, at(document, document.index[key][-1])
                )


def _instead(document: Document, name: str) -> str:
    """What to do about a key that is gone, where another may do its work."""
    if not name:
        return "take it out"
    there = document.last_of(name)
    if there is not None:
        return f"take it out: {name} at line {there.line} is what is read"
    return f"take it out, and set {name} instead"


def undocumented(context: Context) -> Iterator[Finding]:
    """Variables that code reads and no file has, not even as a comment."""
    if context.code is None:
        yield Finding("ENV203", Status.SKIP, _NEEDS_CODE, "name its folder with --code")
        return
    if not any(True for _ in context.documents()):
        return
    documented = {
        key for document in context.documents() for key in (*document.index, *_commented(document.nodes))
    }
    aliases = {
        name for key in documented if (v := context.variables.get(key)) is not None for name in v.names
    }
    target = next(iter(context.documents())).path
    for key, reads in context.code.reads.items():
        if key not in documented | aliases and not platform_reads(key) and not _by_compose(context, key):
            yield from _undocumented(key, reads, target)


def _undocumented(key: str, reads: Sequence[Read], target: str) -> Iterator[Finding]:
    first = min(reads, key=lambda read: (read.how in _WEAK, _in_tests(read.file), read.file, read.line))
    if first.how == "Dockerfile":  # it sets what it names
        return
    weak = first.how in _WEAK or _in_tests(first.file)
    more = f" and {len(reads) - 1} more" if len(reads) > 1 else ""
    message = f"{key} is read here ({first.how}){more}, and no environment file has it"
    hint = f"add to {target}: {key}= with a comment above it that says what it does"
    yield Finding(
        "ENV203",
        Status.INFO if weak else Status.WARNING,
        message,
        hint,
        Location(first.file, first.line, key),
    )


def unread(context: Context) -> Iterator[Finding]:
    """Keys that no code reads, nor anything else that is known of."""
    code = context.code
    if code is None or code.stopped is not None:
        reason = (
            _NEEDS_CODE
            if code is None
            else f"the code of {code.root} was not read to the end: {code.stopped}"
        )
        yield Finding("ENV204", Status.SKIP, reason, "name its folder with --code")
        return
    doubt = _doubt(code)
    known = _known(context)
    for document in context.documents():
        for key in names(document):
            if not _is_read(context, key) and not removed(key) and not _misspelt(context, key, known):
                message = f"{key} is read by no code in {code.root}{doubt}"
                status = Status.INFO if doubt else Status.WARNING
                yield Finding(
                    "ENV204",
                    status,
                    message,
                    "take it out, or read it",
                    at(document, document.index[key][-1]),
                )


def _doubt(code: CodeUse) -> str:
    """Why what was not found might be there."""
    if code.dynamic:
        first = code.dynamic[0]
        return f", as far as can be told: {first.file}:{first.line} reads a name that is made up as it runs"
    if code.unreadable:
        return f", as far as can be told: {next(iter(code.unreadable))} could not be parsed"
    return ""


def _misspelt(context: Context, key: str, known: Names) -> bool:
    """Whether ``unknown`` says what is wrong with a key."""
    return known.nearest(key) is not None or (key.startswith(_OURS) and bool(context.variables))


def _is_read(context: Context, key: str) -> bool:
    code = context.code
    return (
        (code is not None and key in code.reads) or _read_elsewhere(context, key) or key in _settings(context)
    )


def _settings(context: Context) -> Collection[str]:
    """The settings, as far as they are read: when the code is at hand, it says what it reads."""
    return context.variables if context.code is None else ()


def _known(context: Context) -> Names:
    if "known names" not in context.memo:
        code = context.code.reads if context.code is not None else ()
        context.memo["known names"] = Names((*context.variables, *context.stack, *code, *_compose(context)))
    found: Names = context.memo["known names"]
    return found


def _read_elsewhere(context: Context, key: str) -> bool:
    return platform_reads(key) or _by_compose(context, key)


def _by_compose(context: Context, key: str) -> bool:
    return key in _compose(context) or image_reads(context.project, key)


def _compose(context: Context) -> frozenset[str]:
    if "compose reads" not in context.memo:
        context.memo["compose reads"] = compose_reads(context.project)
    found: frozenset[str] = context.memo["compose reads"]
    return found


def _in_tests(file: str) -> bool:
    parts = file.replace("\\", "/").split("/")
    return any(part in ("test", "tests", "__tests__") for part in parts) or parts[-1].startswith("test_")


def _commented(nodes: Sequence[object]) -> Iterator[str]:
    return (key for node in nodes if isinstance(node, Comment) and (key := off(node.text)))
