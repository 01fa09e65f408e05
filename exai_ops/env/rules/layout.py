"""ENV006 to ENV011: sections, order and comments of the example and the live file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from exai_ops.env.model import Assignment, Document
from exai_ops.env.order import moves
from exai_ops.env.outline import Block, Matched, blocks, match, says, sections
from exai_ops.env.rules.between import at, off, pair, skip
from exai_ops.env.rules.reading import worded
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.suppression import MARK
from exai_ops.findings import Finding, Location, Status

_Differences: TypeAlias = list[tuple[Assignment, Assignment, list[tuple[str, bool]]]]
_Free: TypeAlias = tuple[Block, dict[str, str]]
_BY_HAND: Final = "decide which file is right, and mend the other by hand"


def other_section(context: Context) -> Iterator[Finding]:
    """Keys that stand in another section of the live file."""
    both = pair(context)
    if both is None:
        yield skip("ENV006")
        return
    example, live = both
    matched = _matched(context, example, live)
    for key in _common(example, live):
        if _strays(key, example, live, matched):
            one, two = example.index[key][-1], live.index[key][-1]
            message = (
                f"{key} is in {_named(context, one.section)} here"
                f" and in {_named(context, two.section)} in {_place(live, two)}"
            )
            yield Finding("ENV006", Status.INFO, message, _BY_HAND, at(example, one))


def other_order(context: Context) -> Iterator[Finding]:
    """Keys that stand elsewhere within their section: the fewest that one would have to move."""
    both = pair(context)
    if both is None:
        yield skip("ENV007")
        return
    example, live = both
    for keys in _by_section(context, example, live).values():
        want = sorted(keys, key=lambda key: live.index[key][-1].line)
        places = {key: place for place, key in enumerate(want)}
        for key in moves(keys, want):
            place = places[key]
            where = f"after {want[place - 1]}" if place else f"before {want[1]}"
            message = f"{key} stands {where} in {live.path}:{live.index[key][-1].line}"
            yield Finding("ENV007", Status.INFO, message, _BY_HAND, at(example, example.index[key][-1]))


def section_on_one_side(context: Context) -> Iterator[Finding]:
    """Sections that one file has alone, or under another title."""
    both = pair(context)
    if both is None:
        yield skip("ENV008")
        return
    example, live = both
    matched = _matched(context, example, live)
    for document, other, only in ((example, live, matched.only_example), (live, example, matched.only_live)):
        for title, line in only.items():
            message = f"section {worded(context, title)!r} is not in {other.path}"
            yield Finding("ENV008", Status.INFO, message, _BY_HAND, Location(document.path, line))
    lines, titles = sections(example), sections(live)
    for two, one in matched.renamed.items():
        message = f"section {worded(context, one)!r} is titled {worded(context, two)!r}"
        message += f" in {live.path}:{titles[two]}"
        yield Finding("ENV008", Status.INFO, message, _BY_HAND, Location(example.path, lines[one]))


def section_order(context: Context) -> Iterator[Finding]:
    """Sections that stand elsewhere: the fewest that one would have to move."""
    both = pair(context)
    if both is None:
        yield skip("ENV011")
        return
    example, live = both
    renamed = _matched(context, example, live).renamed
    lines = sections(example)
    there = [renamed.get(title, title) for title in sections(live)]
    want = [title for title in there if title in lines]
    known = set(want)
    for title in moves([title for title in lines if title in known], want):
        place = want.index(title)
        where = (
            f"after {worded(context, want[place - 1])!r}" if place else f"before {worded(context, want[1])!r}"
        )
        message = f"section {worded(context, title)!r} stands {where} in {live.path}"
        yield Finding("ENV011", Status.INFO, message, _BY_HAND, Location(example.path, lines[title]))


def comment_on_one_side(context: Context) -> Iterator[Finding]:
    """Comments that one file has alone: of a key, or standing by themselves."""
    both = pair(context)
    if both is None:
        yield skip("ENV009")
        return
    example, live = both
    for one, two, kinds in _differences(context, example, live):
        if all(alone for _, alone in kinds):
            document, a = (example, one) if any(_comments(one)) else (live, two)
            other = live if document is example else example
            message = f"{a.key} has {_listed(kinds)} that it lacks in {other.path}"
            yield Finding("ENV009", Status.INFO, message, _BY_HAND, at(document, a))
    ours, theirs = _free(context, example), _free(context, live)
    pairs = _counterparts(ours, theirs)
    paired = {number for number, _ in pairs}, {number for _, number in pairs}
    lone = [free for number, free in enumerate(ours) if number not in paired[0]]
    lone_there = [free for number, free in enumerate(theirs) if number not in paired[1]]
    yield from _lone_blocks(context, example, live, lone)
    yield from _lone_blocks(context, live, example, lone_there)


def comment_drift(context: Context) -> Iterator[Finding]:
    """Keys whose comments say something else in the two files, and blocks that do."""
    both = pair(context)
    if both is None:
        yield skip("ENV010")
        return
    example, live = both
    for one, two, kinds in _differences(context, example, live):
        if not all(alone for _, alone in kinds):
            message = f"{one.key} has another {_listed(kinds, article=False)} in {live.path}:{two.line}"
            yield Finding("ENV010", Status.INFO, message, _BY_HAND, at(example, one))
    ours, theirs = _free(context, example), _free(context, live)
    for number, other in _counterparts(ours, theirs):
        (block, lines), (there, lines_there) = ours[number], theirs[other]
        if lines.keys() != lines_there.keys():
            first = next((text for line, text in lines.items() if line not in lines_there), block.lines[0])
            message = f"the comment {worded(context, first)!r} and its block are other"
            message += f" in {live.path}:{there.line}"
            where = Location(example.path, block.line + block.lines.index(first))
            yield Finding("ENV010", Status.INFO, message, _BY_HAND, where)


def _matched(context: Context, example: Document, live: Document) -> Matched:
    if "sections" not in context.memo:
        context.memo["sections"] = match(example, live)
    found: Matched = context.memo["sections"]
    return found


def _common(example: Document, live: Document) -> list[str]:
    return [key for key in example.index if key in live.index]


def _strays(key: str, example: Document, live: Document, matched: Matched) -> bool:
    """Whether none of a key's sections in one file is one of its sections in the other."""
    ours = {a.section for a in example.index[key]}
    theirs = {matched.renamed.get(a.section or "", a.section) for a in live.index[key]}
    return ours.isdisjoint(theirs)


def _by_section(context: Context, example: Document, live: Document) -> dict[str | None, list[str]]:
    """Keys that both files assign once, in the same section, in the example's order."""
    matched = _matched(context, example, live)
    found: dict[str | None, list[str]] = {}
    for key in _common(example, live):
        once = len(example.index[key]) == len(live.index[key]) == 1
        if once and not _strays(key, example, live, matched):
            found.setdefault(example.index[key][0].section, []).append(key)
    return found


def _place(document: Document, assignment: Assignment) -> str:
    return f"{document.path}:{assignment.line}"


def _named(context: Context, section: str | None) -> str:
    return "no section" if section is None else f"section {worded(context, section)!r}"


def _comments(assignment: Assignment) -> tuple[str, str]:
    """The inline comment and the comment above, without what is addressed to us and what is switched off."""
    inline = (assignment.inline or "").lstrip("#")
    inline = "" if MARK in inline and inline.lstrip().startswith(MARK) else inline.partition(f"# {MARK}")[0]
    return " ".join(inline.split()), _joined(assignment.above)


def _joined(lines: Iterable[str]) -> str:
    kept = (" ".join(line.split()) for line in lines if MARK not in line and off(line) is None)
    return "\n".join(line for line in kept if says(line))


def _differences(context: Context, example: Document, live: Document) -> _Differences:
    """Keys whose comments differ, with which of them, and whether one side has none."""
    if "comments" not in context.memo:
        found: _Differences = []
        for key in _common(example, live):
            one, two = example.index[key][-1], live.index[key][-1]
            if (one.inline, one.above) == (two.inline, two.above):
                continue  # as most are: cleaning them up to compare them is most of the work
            kinds = list(_kinds(_comments(one), _comments(two)))
            if kinds:
                found.append((one, two, kinds))
        context.memo["comments"] = found
    known: _Differences = context.memo["comments"]
    return known


def _kinds(ours: tuple[str, str], theirs: tuple[str, str]) -> Iterator[tuple[str, bool]]:
    """Which comments of a key differ, and whether one side has none; behind or above is no difference."""
    if ours == theirs or _words(ours) == _words(theirs):
        return
    for kind, mine, other in zip(("comment behind it", "comment above it"), ours, theirs, strict=True):
        if mine != other:
            yield kind, not mine or not other


def _words(comments: tuple[str, str]) -> list[str]:
    return sorted(line for text in comments for line in text.split("\n") if line)


def _listed(kinds: Sequence[tuple[str, bool]], *, article: bool = True) -> str:
    return " and ".join(f"a {kind}" if article else kind for kind, _ in kinds)


def _blocks(context: Context, document: Document) -> list[Block]:
    key = ("blocks", id(document))
    if key not in context.memo:
        context.memo[key] = blocks(document)
    found: list[Block] = context.memo[key]
    return found


def _free(context: Context, document: Document) -> list[_Free]:
    """Blocks that belong to no key, with their lines as they are compared and as they are written."""
    key = ("free", id(document))
    if key not in context.memo:
        lines = [
            (block, {line: text for text in block.lines if (line := _joined([text]))})
            for block in _blocks(context, document)
            if block.below is None
        ]
        context.memo[key] = [(block, texts) for block, texts in lines if texts]
    found: list[_Free] = context.memo[key]
    return found


def _counterparts(ours: Sequence[_Free], theirs: Sequence[_Free]) -> list[tuple[int, int]]:
    """Which free block of the example is which of the live file: the first that shares a line with it."""
    at_line: dict[str, int] = {}
    for number, (_, lines) in enumerate(theirs):
        for line in lines:
            at_line.setdefault(line, number)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for number, (_, lines) in enumerate(ours):
        there = sorted({at_line[line] for line in lines if line in at_line} - taken)
        if there:
            taken.add(there[0])
            pairs.append((number, there[0]))
    return pairs


def _lone_blocks(
    context: Context, document: Document, other: Document, free: Sequence[_Free]
) -> Iterator[Finding]:
    """Of free blocks without a counterpart, those with lines that the other file has nowhere."""
    known = {_joined([line]) for block in _blocks(context, other) for line in block.lines} if free else set()
    for block, lines in free:
        strange = [text for line, text in lines.items() if line not in known]
        if strange:
            what = f"the comment {worded(context, strange[0])!r} is"
            if len(strange) > 1:
                what = f"{len(strange)} comment lines from {worded(context, strange[0])!r} on are"
            where = Location(document.path, block.line + block.lines.index(strange[0]))
            yield Finding("ENV009", Status.INFO, f"{what} not in {other.path}", _BY_HAND, where)


_BLOCKS: Final = (
    " Keys are grouped in blocks on purpose, so the grouping is compared, not the alphabet. Which"
    " file is right is for a person to say: exai env sync brings missing keys, and moves none."
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV006",
        severity=Status.INFO,
        title="every key is in the same section in both files",
        hint="move the key",
        explanation="A person looks a key up by its section. Sections are matched by their titles, and those"
        " with other titles by the keys that they share: a renamed section is one finding (ENV008)."
        + _BLOCKS,
        function=other_section,
    ),
    Rule(
        code="ENV007",
        severity=Status.INFO,
        title="keys stand in the same order in both files",
        hint="move the keys",
        explanation="Within each section that both files have, the fewest keys that one would have"
        " to move (all but a longest increasing subsequence). Keys that are assigned twice or stand"
        " in another section are not counted again." + _BLOCKS,
        function=other_order,
    ),
    Rule(
        code="ENV008",
        severity=Status.INFO,
        title="both files have the same sections",
        hint="add or rename the section",
        explanation="A section on one side only is a feature that the other file does not know of,"
        " or no longer exists. One that shares most of its keys with a section of another title"
        " counts as renamed.",
        function=section_on_one_side,
    ),
    Rule(
        code="ENV009",
        severity=Status.INFO,
        title="every comment is in both files",
        hint="take the comment over",
        explanation="Comments hold what was learnt: why a ping interval is 30 s is worth nothing in"
        " the file that nobody tracks. Reported once for each key, and once for each block that"
        " belongs to no key. The comments of keys that the other file lacks, and assignments in"
        " comments, are reported with their keys (ENV001, ENV002).",
        function=comment_on_one_side,
    ),
    Rule(
        code="ENV010",
        severity=Status.INFO,
        title="the comments of a key say the same in both files",
        hint="decide which comment is right",
        explanation="Two explanations of one key: at most one of them is true. White space is not compared,"
        " nor whether a comment stands above or behind."
        " Blocks of comments that belong to no key are compared too, when they share a line.",
        function=comment_drift,
    ),
    Rule(
        code="ENV011",
        severity=Status.INFO,
        title="sections stand in the same order in both files",
        hint="move the section",
        explanation="The fewest sections that one would have to move." + _BLOCKS,
        function=section_order,
    ),
)
