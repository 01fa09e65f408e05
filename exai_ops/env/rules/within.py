"""ENV101 to ENV111: how a file is written, whatever is in the other one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from exai_ops.env.find import quoted
from exai_ops.env.lines import has_tail
from exai_ops.env.masking import key_shown
from exai_ops.env.model import BARE, Assignment, Document, Unparsable
from exai_ops.env.rules.between import at
from exai_ops.env.rules.table import Context, Rule
from exai_ops.findings import Finding, Location, Status

_LITERAL: Final = {"docker-run": "docker run --env-file", "compose-raw": "Compose with format: raw"}
_LINE_END: Final = re.compile(r"\r\n|\n")
_SPLITTERS: Final = frozenset({"python-dotenv", "compose", "node"})
"""Readers to which a closing quote ends the value."""
_GOOD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def byte_order_mark(context: Context) -> Iterator[Finding]:
    """Files that begin with a byte order mark."""
    for document in context.documents():
        if document.bom:
            message = "begins with a byte order mark, which some readers take for part of the first line"
            yield _whole(document, "ENV101", Status.WARNING, message, _fix(document), line=1)


def carriage_returns(context: Context) -> Iterator[Finding]:
    """Files whose lines end with CR LF, all of them."""
    for document in context.documents():
        ends = _line_ends(document)
        if set(ends) == {"\r\n"}:
            message = "lines end with CR LF, and some readers keep the CR in the value"
            hint = f"run sed -i 's/\\r$//' {quoted(document.path)}"
            yield _whole(document, "ENV102", Status.WARNING, message, hint, line=1)


def mixed_line_ends(context: Context) -> Iterator[Finding]:
    """Files that end some lines with CR LF and some with LF."""
    for document in context.documents():
        ends = _line_ends(document)
        if len(ends) > 1:
            few = min(ends, key=lambda end: len(ends[end]))
            name = {"\r\n": "CR LF", "\n": "LF", "\r": "CR"}[few]
            message = f"some lines end with {name}, {len(ends[few])} in all, and the others do not"
            hint = _fix(document) if _ends_differ(document) else "save the lines within the quotes anew"
            yield _whole(document, "ENV103", Status.WARNING, message, hint, line=ends[few][0])


def trailing_space(context: Context) -> Iterator[Finding]:
    """Assignments with white space at the end of the line."""
    for document in context.documents():
        for a in document.assignments:
            line = a.raw.rstrip("\r\n")
            if line != line.rstrip(" \t"):
                keeps = _keeps_space(a, line, context.readers)
                message = f"{a.key} has white space at the end of its line"
                if keeps is None:
                    hint = f"{_fix(document)}: docker run --env-file makes it part of the value"
                    yield Finding("ENV105", Status.INFO, message, hint, at(document, a))
                else:
                    hint = f"take it out: {keeps} makes it part of the value"
                    yield Finding("ENV105", Status.WARNING, message, hint, at(document, a))


def _keeps_space(a: Assignment, line: str, readers: Collection[str]) -> str | None:
    """The reader in use to which the space at the end of an assignment belongs to its value."""
    if a.inline is not None:
        return None
    for name, said in _LITERAL.items():
        if name in readers:
            return said
    tab = "\t" in line[len(line.rstrip(" \t")) :]
    return "Node" if tab and "node" in readers and not a.quote else None


def unclosed_quote(context: Context) -> Iterator[Finding]:
    """Quotes that never end."""
    for document, node in _unparsable(context):
        if "quote" in node.problem:
            yield _broken("ENV106", document, node, 'close the quote: KEY="value"')


def unparsable(context: Context) -> Iterator[Finding]:
    """Lines that are neither assignment nor comment."""
    for document, node in _unparsable(context):
        if "quote" not in node.problem and node.problem != BARE:
            yield _broken("ENV107", document, node, "write # in front of it, or KEY=value in its place")
    if _SPLITTERS.isdisjoint(context.readers):
        return
    for document in context.documents():
        for a in document.assignments:
            if a.quote in ("'", '"') and has_tail(a):  # ` is no quote to those two
                message = (
                    f"{key_shown(a.key)} has more behind its closing quote ({a.quote}), which is not shown"
                )
                message += ": python-dotenv drops the line, Compose takes the rest for another one"
                yield Finding("ENV107", Status.ERROR, message, _requoted(a), at(document, a))


def bad_name(context: Context) -> Iterator[Finding]:
    """Names that not every reader takes, and lower-case ones."""
    for document in context.documents():
        for a in document.assignments:
            if _GOOD_NAME.fullmatch(a.key) is None:
                better = re.sub(r"[^A-Za-z0-9_]", "_", a.key).upper()
                better = f"_{better}" if better[:1].isdigit() else better
                message = f"{a.key} is no name for a variable in a shell: {_fault(a.key)}"
                hint = f"rename it to {better}, here and where it is read"
                yield Finding("ENV108", Status.WARNING, message, hint, at(document, a))
            elif a.key != a.key.upper():
                message, hint = (
                    f"{a.key} is not in capitals",
                    f"rename it to {a.key.upper()} where it is read too",
                )
                yield Finding("ENV108", Status.INFO, message, hint, at(document, a))


def not_utf8(context: Context) -> Iterator[Finding]:
    """Files with bytes that are no UTF-8."""
    for document in context.documents():
        if document.encoding_error is not None:
            message = "holds bytes that are not UTF-8; some readers refuse the file, others change the value"
            yield _whole(
                document, "ENV111", Status.ERROR, message, "save it as UTF-8", line=document.encoding_error
            )


def spaced(context: Context) -> Iterator[Finding]:
    """Assignments with white space in front of the key or around the separator."""
    for document in context.documents():
        for a in document.assignments:
            before = a.separator != a.separator.lstrip()
            around = before or (bool(a.written) and a.separator != a.separator.rstrip())
            if around or a.raw[:1] in {" ", "\t"}:
                places = f"around its {a.separator.strip()}" if around else "in front of it"
                hint = f"take out the white space: {a.key}= at the start of the line, its value right behind"
                message = f"{a.key} has white space {places}"
                yield Finding("ENV114", Status.INFO, message, hint, at(document, a))


def bare_key(context: Context) -> Iterator[Finding]:
    """Keys without a separator."""
    for document in context.documents():
        for a in document.assignments:
            if not a.separator:
                message = f"{a.key} has no =: Compose takes its value from the shell, others leave it unset"
                hint = f"write {a.key}= with its value, or say in [tool.exai] ignore that it is meant"
                yield Finding("ENV116", Status.INFO, message, hint, at(document, a))
    for document, node in _unparsable(context):
        if node.problem == BARE:
            yield _broken("ENV116", document, node, "write KEY=, or put a blank line above it", Status.INFO)


def no_last_newline(context: Context) -> Iterator[Finding]:
    """Files whose last line has no end."""
    for document in context.documents():
        if document.nodes and not document.nodes[-1].raw.endswith(("\n", "\r")):
            last = document.nodes[-1]
            line = last.end_line if isinstance(last, Assignment) else last.line
            message = "the last line has no end, so what is appended continues it"
            yield _whole(document, "ENV115", Status.INFO, message, _fix(document), line=line)


def _line_ends(document: Document) -> dict[str, list[int]]:
    """The line ends that are in use, with the lines that have them; none where all are LF."""
    found: dict[str, list[int]] = {}
    if not any("\r" in node.raw for node in document.nodes):
        return found
    for node in document.nodes:
        for offset, end in enumerate(_LINE_END.findall(node.raw)):
            found.setdefault(end, []).append(node.line + offset)
    return found


def _ends_differ(document: Document) -> bool:
    """Whether the lines differ outside of quotes too, where the line end is no part of a value."""
    texts = (node.raw for node in document.nodes)
    return len({raw[len(raw.rstrip("\r\n")) :] for raw in texts} - {""}) > 1


def _unparsable(context: Context) -> Iterator[tuple[Document, Unparsable]]:
    for document in context.documents():
        for node in document.nodes:
            if isinstance(node, Unparsable):
                yield document, node


def _broken(
    code: str, document: Document, node: Unparsable, hint: str, status: Status = Status.ERROR
) -> Finding:
    return Finding(code, status, node.problem, hint, Location(document.path, node.line))


def _requoted(a: Assignment) -> str:
    other = next((quote for quote in "\"'" if quote not in a.value), None)
    if other is None:
        return "choose a value without quotes in it"
    return f"write all of it in the other quotes: {key_shown(a.key)}={other}...{other}"


def _fix(document: Document) -> str:
    return f"run exai env fix {quoted(document.path)}"


def _fault(key: str) -> str:
    if key[:1].isdigit():
        return "it begins with a digit, and no shell can set or expand it"
    return "it has " + " and ".join(repr(c) for c in sorted(set(re.sub(r"[A-Za-z0-9_]", "", key)))[:3])


def _whole(
    document: Document, code: str, status: Status, message: str, hint: str, *, line: int | None
) -> Finding:
    return Finding(code, status, message, hint, Location(document.path, line))


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV101",
        severity=Status.WARNING,
        title="no byte order mark",
        hint="run exai env fix",
        explanation="Compose and python-dotenv strip it, Node makes it part of the first key, bash"
        " tries to run the first line. One linter stops at it and reports nothing else.",
        function=byte_order_mark,
    ),
    Rule(
        code="ENV102",
        severity=Status.WARNING,
        title="lines end with LF",
        hint=r"run sed -i 's/\r$//' FILE",
        explanation="bash keeps the CR at the end of every value: a host of `redis\\r` is not found, and the"
        " message that says so looks right.",
        function=carriage_returns,
    ),
    Rule(
        code="ENV103",
        severity=Status.WARNING,
        title="all lines end alike",
        hint="run exai env fix",
        explanation="A file edited on two systems. What ENV102 says of CR LF is true of some of its lines.",
        function=mixed_line_ends,
    ),
    Rule(
        code="ENV105",
        severity=Status.INFO,
        title="no white space at the end of an assignment",
        hint="run exai env fix",
        explanation="docker run --env-file and Compose with `format: raw` make it part of the"
        " value, the others strip it, but for Node a tab; so it is a warning, and yours to take out, when"
        " one of those is in use. Nobody can see it.",
        function=trailing_space,
    ),
    Rule(
        code="ENV106",
        severity=Status.ERROR,
        title="every quote is closed",
        hint="close the quote",
        explanation="Compose refuses the file. python-dotenv drops the line, or swallows all that"
        " follows up to the next quote, with a warning that few programs show.",
        function=unclosed_quote,
    ),
    Rule(
        code="ENV107",
        severity=Status.ERROR,
        title="every line is an assignment or a comment",
        hint="write # in front of it, or KEY=value in its place",
        explanation="Compose and docker run refuse the file, python-dotenv drops the line, bash runs it."
        " A quote that closes early makes two of one line: of `'it's-so` the value is `it` to Compose, and"
        " the rest another line. What may be the rest of a secret is not shown: that, and a bare word"
        " directly below a secret's value or in a file with a quote that never ends.",
        function=unparsable,
    ),
    Rule(
        code="ENV108",
        severity=Status.WARNING,
        title="names are capitals, digits and underscores, and begin with a letter",
        hint="rename the key here and where it is read",
        explanation="A shell cannot set or expand a name with a dash or a dot, or one that begins with"
        " a digit, and systemd drops it; Compose hands it on. Lower case works everywhere but on"
        " Windows, where names have no case: it is info.",
        function=bad_name,
    ),
    Rule(
        code="ENV111",
        severity=Status.ERROR,
        title="files are UTF-8",
        hint="save the file as UTF-8",
        explanation="python-dotenv stops with an exception, Compose hands the bytes on, Node replaces them.",
        function=not_utf8,
    ),
    Rule(
        code="ENV114",
        severity=Status.INFO,
        title="no white space in front of a key or around its separator",
        hint="write KEY=value",
        explanation="python-dotenv, Compose and Node strip it. bash takes the key for a command,"
        " and docker run refuses the file for a key with white space.",
        function=spaced,
    ),
    Rule(
        code="ENV115",
        severity=Status.INFO,
        title="the last line has an end",
        hint="run exai env fix",
        explanation="`echo KEY=value >> .env` otherwise makes one line of two.",
        function=no_last_newline,
    ),
    Rule(
        code="ENV116",
        severity=Status.INFO,
        title="every key has a value, if an empty one",
        hint="write KEY=value",
        explanation="A bare key is a request to Compose and docker run: take it from the shell. It is None to"
        " python-dotenv and nothing at all to the others.",
        function=bare_key,
    ),
)
