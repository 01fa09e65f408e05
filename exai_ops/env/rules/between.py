"""ENV001 to ENV005: the keys and values of the example and the live file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from exai_ops.env.find import EXAMPLES, LIVE, quoted
from exai_ops.env.model import Assignment, Comment, Document
from exai_ops.env.removed import removed
from exai_ops.env.rules.reading import groups, readings, seen
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.shown import may_differ
from exai_ops.findings import Finding, Location, Status

PAIR: Final = "needs an example and a live file"


def pair(context: Context) -> tuple[Document, Document] | None:
    """The example and the live file, when both are at hand."""
    if context.example is None or context.live is None:
        return None
    return context.example, context.live


def skip(code: str) -> Finding:
    """What a rule says that has only one file, or none."""
    return Finding(code, Status.SKIP, PAIR, "name them with --example and --live")


def at(document: Document, assignment: Assignment) -> Location:
    """Where an assignment stands."""
    return Location(document.path, assignment.line, assignment.key)


def missing_in_live(context: Context) -> Iterator[Finding]:
    """Keys of the example that the live file lacks."""
    both = pair(context)
    if both is None:
        yield skip("ENV001")
        return
    example, live = both
    off = _commented(live)
    for key in (key for key in example.index if key not in live.index):
        there = example.index[key][-1]
        status, why = _weight(context, key)
        if key in off:
            status, why = Status.INFO, f", where line {off[key]} has it as a comment"
        message = f"{key} is not in {live.path}{why}"
        yield Finding(
            "ENV001", status, message, f"add to {live.path}: {_line(context, there)}", at(example, there)
        )


def missing_in_example(context: Context) -> Iterator[Finding]:
    """Keys of the live file that the example lacks."""
    both = pair(context)
    if both is None:
        yield skip("ENV002")
        return
    example, live = both
    off = _commented(example)
    for key in (key for key in live.index if key not in example.index):
        there = live.index[key][-1]
        status, why = Status.WARNING, ""
        if key in off:
            status, why = Status.INFO, f", where line {off[key]} has it as a comment"
        message = f"{key} is not in {example.path}{why}"
        hint = f"add it to {example.path} with a placeholder, or run exai env sync{_named(example, live)}"
        if removed(key):
            hint = "take it out here, as ENV202 says"
        yield Finding("ENV002", status, message, hint, at(live, there))


def _named(example: Document, live: Document) -> str:
    """The options that name two files, where a command would not find them by itself."""
    options = (("--example", example.path, EXAMPLES), ("--live", live.path, LIVE))
    return "".join(f" {option} {quoted(path)}" for option, path, found in options if path not in found)


def duplicates(context: Context) -> Iterator[Finding]:
    """Keys that a file assigns more than once, unless the last one is empty."""
    for document, key, all_of in _repeated(context):
        if not _emptied(all_of):
            lines = _lines(all_of)
            same = "" if len({_written(a) for a in all_of}) > 1 else ", with the same value"
            message = f"{key} is assigned at {lines}{same}; {_winners(context, document, key)}"
            first = _listed([str(a.line) for a in all_of[:-1]])
            hint = f"take out line {first}" + (
                "" if same else ", or the last one if that is not what you mean"
            )
            status = Status.INFO if same else Status.WARNING
            yield Finding("ENV003", status, message, hint, at(document, all_of[-1]))


def emptied(context: Context) -> Iterator[Finding]:
    """Keys that have a value until a later, empty assignment takes it away."""
    for document, key, all_of in _repeated(context):
        if _emptied(all_of):
            first = next(a for a in all_of if a.value)
            message = (
                f"{key} is set at line {first.line} and emptied here; {_winners(context, document, key)}"
            )
            hint = f"take out line {all_of[-1].line}"
            yield Finding("ENV004", Status.ERROR, message, hint, at(document, all_of[-1]))


def values_differ(context: Context) -> Iterator[Finding]:
    """Keys with other values in the two files, where they have no reason to differ."""
    both = pair(context)
    if both is None:
        yield skip("ENV005")
        return
    example, live = both
    for key in (key for key in example.index if key in live.index):
        documented, used = example.index[key][-1], live.index[key][-1]
        if documented.value == used.value or any(fnmatchcase(key, p) for p in context.differ):
            continue
        if may_differ(key, documented.value, used.value) is None:
            values = f"{seen(context, key, documented.value)} here and {seen(context, key, used.value)}"
            message = f"{key} is {values} in {live.path}:{used.line}"
            right = _line(context, used)
            hint = f"write {right} here if {live.path} is right, else mend that"
            hint += f'; or list "{key}" in [tool.exai] differ'
            yield Finding("ENV005", Status.WARNING, message, hint, at(example, documented))


def _weight(context: Context, key: str) -> tuple[Status, str]:
    """How bad it is that the live file lacks a key: little, where a default of ours takes its place."""
    variable = context.variables.get(key)
    default = getattr(variable, "default", None)
    if variable is not None and default not in (None, ""):
        return Status.INFO, "; its default applies"
    return Status.WARNING, ""


def _line(context: Context, assignment: Assignment) -> str:
    """An assignment as a hint may show it."""
    value = seen(context, assignment.key, assignment.value)
    plain = {"nothing": "", "***": "..."}.get(value, assignment.written)
    return (
        f"{assignment.key}={plain}" if len(plain) <= 60 and plain.isprintable() else f"{assignment.key}=..."
    )


def _commented(document: Document) -> dict[str, int]:
    """Keys that stand in comments as assignments that are switched off, with their lines."""
    found: dict[str, int] = {}
    for node in document.nodes:
        if isinstance(node, Comment) and (key := off(node.text)):
            found.setdefault(key, node.line)
    return found


def off(text: str) -> str | None:
    """The key of an assignment that a comment holds, or None."""
    key, equals, _ = text.removeprefix("export ").partition("=")
    good = equals and key.isascii() and key.isidentifier() and key.isupper()
    return key if good else None


def _repeated(context: Context) -> Iterator[tuple[Document, str, Sequence[Assignment]]]:
    for document in context.documents():
        for key, all_of in document.index.items():
            if len(all_of) > 1:
                yield document, key, all_of


def _emptied(all_of: Sequence[Assignment]) -> bool:
    return not all_of[-1].value and any(a.value for a in all_of)


def _written(a: Assignment) -> str:
    """The value; the comment where nothing else is there, since a reader may take it for the value."""
    return a.value or (a.inline or "" if not a.written and "=" in a.separator else "")


def _lines(all_of: Iterable[Assignment]) -> str:
    return f"lines {_listed([str(a.line) for a in all_of])}"


def _listed(numbers: Sequence[str]) -> str:
    """``1, 2 and 3``."""
    return " and ".join(part for part in (", ".join(numbers[:-1]), numbers[-1]) if part)


def _winners(context: Context, document: Document, key: str) -> str:
    """Which line wins, for which reader."""
    lines = {name: reading.lines.get(key) for name, reading in readings(context, document).items()}
    winners = [
        f"line {line} wins for {' and '.join(names)}" if line else f"{' and '.join(names)} drops it"
        for line, names in groups(lines).items()
    ]
    return ", ".join(winners)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV001",
        severity=Status.WARNING,
        title="every key of the example is in the live file",
        hint="add the key to the live file, or take it out of the example",
        explanation="What the example documents, a person expects to be set. A key that is missing is read as"
        " unset: the program falls back to a default, or fails later. It is info where exai itself has a"
        " default for the key, and where the live file has the assignment as a comment.",
        function=missing_in_live,
    ),
    Rule(
        code="ENV002",
        severity=Status.WARNING,
        title="every key of the live file is in the example",
        hint="add the key to the example with a placeholder; exai env sync does it",
        explanation="The next person starts from a copy of the example. A key that it lacks is"
        " found out about when something breaks. It is info where the example has the assignment as"
        " a comment.",
        function=missing_in_example,
    ),
    Rule(
        code="ENV003",
        severity=Status.WARNING,
        title="every key is assigned once",
        hint="take out the assignments that you do not mean",
        explanation="Readers take the last assignment, some tools and most people the first one they see. The"
        " finding says which line wins for each reader in use. It is info when all have the same value.",
        function=duplicates,
    ),
    Rule(
        code="ENV004",
        severity=Status.ERROR,
        title="no later empty assignment takes a value away",
        hint="take out the empty assignment",
        explanation="A block of empty assignments that was pasted below a filled-in one wins over"
        " it: the value that is plain to see in the file reaches nobody. It counts apart from other"
        " duplicates because it is never meant.",
        function=emptied,
    ),
    Rule(
        code="ENV005",
        severity=Status.WARNING,
        title="values that have no reason to differ are the same in both files",
        hint="take the right value into both files, or list the key in [tool.exai] differ",
        explanation="An example with values that nobody runs is documentation that is wrong. Not"
        " reported are values that rightly differ: hosts and addresses (also URLs that differ in"
        " the host alone), absolute paths, secrets, placeholders and empty values of the example,"
        " and the keys that [tool.exai] differ lists. An empty value of the live file is reported."
        " The last assignment counts, without its quotes.",
        function=values_differ,
    ),
)
