"""ENV104, ENV109, ENV110, ENV112, ENV113: what readers make of a file, and where they disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from exai_ops.env.lines import has_tail, whole
from exai_ops.env.model import Assignment, Document, Reading, Unparsable
from exai_ops.env.readers import READERS
from exai_ops.env.rules.between import at
from exai_ops.env.rules.reading import groups, readings, seen
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.shown import MASK, may_name
from exai_ops.findings import Finding, Location, Status

_BRACED: Final = re.compile(r"\$\{")
_REFERENCE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def comment_as_value(context: Context) -> Iterator[Finding]:
    """``KEY= # comment``: empty to some readers, the comment to others."""
    for document in context.documents():
        for a in document.assignments:
            if _is_comment(a):
                takers = [n for n, r in readings(context, document).items() if _takes(context, n, r, a)]
                who = " and ".join(takers) or "Compose"
                take = "take" if len(takers) > 1 else "takes"
                message = (
                    f"{a.key} is empty with a comment behind it, and {who} {take} the comment for its value"
                )
                hint = f"put the comment on a line of its own above, and write {a.key}=; exai env fix does it"
                yield Finding("ENV104", Status.ERROR, message, hint, at(document, a))


def undefined(context: Context) -> Iterator[Finding]:
    """Names that a value refers to and that nothing sets."""
    for document in context.documents():
        readers: dict[str, list[str]] = {}
        for name, reading in readings(context, document).items():
            for need in dict.fromkeys(reading.needs):
                readers.setdefault(need, []).append(name)
        users = _users(document) if readers else {}
        for need, who in readers.items():
            if need not in users:  # a bare key, which ENV116 names, or what stands behind a closing quote
                continue
            a = users[need]
            secret = seen(context, a.key, a.value) == MASK
            told = need if not secret or may_name(need, a.value, secret=True) else "a variable"
            message = f"{a.key} refers to {told}, which nothing sets for {' and '.join(who)}"
            set_it = (
                f"add {need}=... above, or a default: ${{{need}:-...}}" if told == need else "set it above"
            )
            hint = f"{set_it}; a $ as it is goes in single quotes"
            yield Finding("ENV109", Status.WARNING, message, hint, at(document, a))


def expanded_in_single_quotes(context: Context) -> Iterator[Finding]:
    """``'${X}'``, which is literal to all but python-dotenv."""
    if "python-dotenv" not in context.readers:
        return
    for document in context.documents():
        for a in document.assignments:
            if _single(a):
                message = f"{a.key} has ${{...}} in single quotes, and python-dotenv expands it all the same"
                hint = (
                    "write double quotes if it should expand; python-dotenv has no way to write it as it is"
                )
                yield Finding("ENV110", Status.WARNING, message, hint, at(document, a))


def readers_differ(context: Context) -> Iterator[Finding]:
    """Keys that are not the same to every reader in use, for another reason than a rule of its own."""
    if len(context.readers) < 2:
        yield Finding("ENV112", Status.SKIP, "needs two readers in use", "name them in [tool.exai] readers")
        return
    for document in context.documents():
        by_reader = {n: r for n, r in readings(context, document).items() if r.refused is None}
        first = next(iter(by_reader.values()), None)
        if first is None or all(reading.values == first.values for reading in by_reader.values()):
            continue
        keys = dict.fromkeys(key for reading in by_reader.values() for key in reading.values)
        for key in keys:
            values = {name: reading.values.get(key) for name, reading in by_reader.items()}
            line = next((r.lines[key] for r in by_reader.values() if key in r.lines), None)
            a = _assignment(document, key, line)
            if len(set(values.values())) > 1 and a is not None and not _has_own_rule(document, a):
                message = f"{key} is {_views(context, a, values)}"
                yield Finding("ENV112", Status.WARNING, message, _cure(a), at(document, a))


def refused(context: Context) -> Iterator[Finding]:
    """Files that a reader in use refuses, for another reason than a line that nobody can parse."""
    for document in context.documents():
        if any(isinstance(node, Unparsable) for node in document.nodes):
            continue
        by_reader = {n: _refusal(r) for n, r in readings(context, document).items() if r.refused is not None}
        for (reason, line), names in groups(by_reader).items():
            message = f"{' and '.join(names)} refuses the file: {reason}"
            yield Finding(
                "ENV113",
                Status.ERROR,
                message,
                "write that line so that it can read it",
                Location(document.path, line, _key_at(document, line)),
            )


def _refusal(reading: Reading) -> tuple[str, int | None]:
    """Why a reader refuses a file, and at which line, where it says."""
    return reading.refused or "", reading.problems[-1].line if reading.problems else None


def _key_at(document: Document, line: int | None) -> str | None:
    around = (a.key for a in document.assignments if line is not None and a.line <= line <= a.end_line)
    return next(around, None)


def _is_comment(a: Assignment) -> bool:
    return a.inline is not None and not a.written and "=" in a.separator


def _takes(context: Context, name: str, reading: Reading, a: Assignment) -> bool:
    """Whether a reader takes a comment for the value of a key; asked anew where a later line hides it."""
    if reading.lines.get(a.key) != a.line:
        data = a.raw.encode("utf-8", "surrogateescape")
        reading = READERS[name](data, dict(context.environ))
    return reading.values.get(a.key, "").lstrip().startswith("#")


def _single(a: Assignment) -> bool:
    return a.quote == "'" and _BRACED.search(a.value) is not None


def _has_own_rule(document: Document, a: Assignment) -> bool:
    """Whether the reason for a disagreement is a finding already."""
    digit = a.key[:1].isdigit()
    first = document.bom and next(document.assignments, None) is a and document.nodes[0] is a
    return _is_comment(a) or _single(a) or digit or first or not a.separator or has_tail(a)


def _assignment(document: Document, key: str, line: int | None) -> Assignment | None:
    found = document.all_of(key)
    return next((a for a in found if a.line == line), found[-1] if found else None)


def _users(document: Document) -> dict[str, Assignment]:
    """The first assignment that refers to each name."""
    users: dict[str, Assignment] = {}
    for assignment in document.assignments:
        if "$" in assignment.value:
            for name in _REFERENCE.findall(assignment.value):
                users.setdefault(name, assignment)
    return users


def _views(context: Context, a: Assignment, values: Mapping[str, str | None]) -> str:
    """Who sees what; secrets are told apart without being shown."""
    parts = []
    masked = 0
    holds = seen(context, a.key, whole(a)) == MASK
    for value, names in groups(values).items():
        said = "unset" if value is None else MASK if value and holds else seen(context, a.key, value)
        if said == MASK:
            masked += 1
            said = "another value that is masked" if masked > 1 else "a value that is masked"
        parts.append(f"{said} for {' and '.join(names)}")
    return ", ".join(parts)


def _cure(a: Assignment) -> str:
    if "$" in a.value:
        return "single quotes keep $ as it is, but for python-dotenv's ${...}; better a value without $"
    if a.inline is not None or "#" in a.raw:
        return "put the comment on a line of its own above, and quote a value with # in it"
    if "\\" in a.value:
        return "write it in single quotes, or without backslashes"
    return f'write it without what needs quoting, or as {a.key}="..."'


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV104",
        severity=Status.ERROR,
        title="no empty value with a comment behind it",
        hint="put the comment on a line of its own above; exai env fix does it",
        explanation="`KEY=  # comment` is empty to python-dotenv, Node and bash. Compose trims the"
        " value first and then cuts it at a space and a hash: there is no such space any more, so"
        " the value is the text `# comment`. Every check for `is it set` then says yes: API keys,"
        " passwords and URLs that are comments. docker run and systemd take the rest of the line in"
        " any case. It is an error whichever reader is in use, since copying the example into a"
        " container's environment file is all it takes.",
        function=comment_as_value,
    ),
    Rule(
        code="ENV109",
        severity=Status.WARNING,
        title="every ${X} is set somewhere",
        hint="set it above, or give a default",
        explanation="What nothing sets becomes empty, with a warning at most. The shell that exai"
        " runs in counts, since the readers look there too. A password with a $ in it is the usual"
        " cause: to Compose the rest of it is a name.",
        function=undefined,
    ),
    Rule(
        code="ENV110",
        severity=Status.WARNING,
        title="no ${X} within single quotes",
        hint="write double quotes if it should expand",
        explanation="Single quotes mean `as it is` to a shell, Compose, Node and systemd."
        " python-dotenv expands ${X} in them as it does everywhere, so that the value depends on"
        " the reader.",
        function=expanded_in_single_quotes,
    ),
    Rule(
        code="ENV112",
        severity=Status.WARNING,
        title="every reader in use sees the same value",
        hint="write the value so that all read it alike",
        explanation="The readers in use are those that [tool.exai] readers names, or else those of"
        " the compose file and of the code. The same bytes are another value to each: inline"
        " comments, escapes, `$`, quotes within the value. Not counted again: ENV104, ENV110, a key"
        " that begins with a digit, a bare key, a value with more behind its closing quote (ENV107),"
        " and the first key behind a byte order mark.",
        function=readers_differ,
    ),
    Rule(
        code="ENV113",
        severity=Status.ERROR,
        title="no reader in use refuses a file",
        hint="mend the line that it names",
        explanation="A reader that refuses a file gives none of its values. Lines that nobody can parse are"
        " ENV106 and ENV107.",
        function=refused,
    ),
)
