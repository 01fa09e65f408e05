"""One environment file made to follow another, with all that is in it kept.

Forward, the example follows the live file: keys that it lacks come in where the live file has them, public
values are taken over, any other value becomes a placeholder. In reverse the live file gets the keys of the
example that it lacks, and keeps every value that it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from exai_ops.env.document import parse
from exai_ops.env.lines import Entry, line_of
from exai_ops.env.masking import is_stray
from exai_ops.env.model import Assignment, Blank, Comment, Document, Node, Unparsable
from exai_ops.env.placement import Placement, Spot
from exai_ops.env.publish import Policy
from exai_ops.env.removed import removed as is_removed
from exai_ops.env.sections import Section, comments_above
from exai_ops.env.side import Forward, Reverse, Side
from exai_ops.env.suppression import MARK, Decided
from exai_ops.errors import CouldNotLook

_LOCAL: Final = r"(?:^|//|@)(?:localhost|127\.0\.0\.1)(?:[:/]|$)"
_VALUES: Final = ("ENV005", "ENV301")  # what is found of a value of the example


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """The new document, and what was done to it, by key in order.

    Attributes:
        fill: Keys whose value a person must fill in.
        gone: Keys that were added although they are declared as removed.
        local: Keys that were added with a value that names localhost.
        passed: Lines of the source that were passed over: no assignment, or likely a piece of a secret.
    """

    document: Document
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    fill: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    passed: tuple[int, ...] = ()


def sync(
    source: Document,
    target: Document,
    policy: Policy,
    *,
    reverse: bool = False,
    prune: bool = False,
    decided: Decided | None = None,
) -> Synced:
    """The target with the keys of the source; ``prune`` takes out those that the source lacks.

    Nothing else of the target is lost: comments, sections, blank lines, duplicates, order, line ends.
    ``decided`` tells which findings of ``check`` are to stay as they are, so that no key of them changes.
    Raises CouldNotLook when a quote of the target that never ends would swallow what is added.
    """
    side: Side = Reverse() if reverse else Forward(source, policy)
    lacking, extra = ("ENV001", "ENV002") if reverse else ("ENV002", "ENV001")
    there, here = _Kept(decided, source.path), _Kept(decided, target.path)
    followed = side.followed(source, target)
    changed = {i: raw for i, raw in followed if not any(here(code, target.nodes[i]) for code in _VALUES)}
    extras = [key for key in target.index if key not in source.index] if prune else []
    removed = [key for key in extras if not any(here(extra, a) for a in target.index[key])]
    insertions = list(_insertions(source, target, side, lambda node: there(lacking, node)))
    _refuse_within(target, insertions)
    text = _render(target, changed, set(removed), insertions)
    document = parse(text.encode("utf-8", "surrogateescape"), target.path)
    entries = [entry for _, entry in insertions]
    added = tuple(entry.key for entry in entries)
    _prove(target, document, added, removed)
    return Synced(
        document=document,
        added=added,
        changed=_keys(target, changed),
        removed=tuple(removed),
        fill=tuple(entry.key for entry in entries if entry.fill),
        gone=tuple(key for key in added if is_removed(key)),
        local=tuple(key for key in added if re.search(_LOCAL, document.index[key][-1].value)),
        passed=tuple(node.line for node in source.nodes if isinstance(node, Unparsable) or _is_stray(node)),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """Whether somebody has decided to leave what a rule finds at an assignment of one file."""

    decided: Decided | None
    path: str

    def __call__(self, code: str, node: Node) -> bool:
        if self.decided is None or not isinstance(node, Assignment):
            return False
        return self.decided(code, self.path, node.line, node.key)


def _is_stray(node: Node) -> bool:
    return isinstance(node, Assignment) and is_stray(node.key)


def _keys(target: Document, indexes: Iterable[int]) -> tuple[str, ...]:
    nodes = [target.nodes[index] for index in indexes]
    return tuple(dict.fromkeys(node.key for node in nodes if isinstance(node, Assignment)))


# --- what is added -----------------------------------------------------------------------------


def _insertions(
    source: Document, target: Document, side: Side, left: Callable[[Node], bool]
) -> Iterator[tuple[Spot, Entry]]:
    """The keys that the target lacks, each with its place; not those that are to be ``left``."""
    placement = Placement(source, target)
    have = {node.text for node in target.nodes if isinstance(node, Comment)}
    for index, node in enumerate(source.nodes):
        if not isinstance(node, Assignment) or is_stray(node.key) or node.key in target.index:
            continue
        if node is source.last_of(node.key) and not left(node):
            spot = placement.spot(index)
            banner = _banner(source, spot.opens, index, side) if spot.opens else []
            above = _comments(source, index, have, side)
            have.update(comment.text for comment in comments_above(source, index))
            yield spot, _entry(source, index, node, side, [*banner, *above])


def _entry(source: Document, index: int, node: Assignment, side: Side, above: Sequence[str]) -> Entry:
    written = side.value(node)
    inline = None if MARK in (node.inline or "") else side.inline(node)  # it is said of the source alone
    fill = side.to_fill(node)
    mark = [f"# fill in: {node.key}"] if fill and side.marks else []
    first = index - len(comments_above(source, index))
    return Entry(
        key=node.key,
        lines=(*above, *mark, *line_of(node, written, inline)),
        fill=fill,
        blank_before=_is_blank(source, first - 1),
        blank_after=_is_blank(source, index + 1),
    )


def _is_blank(document: Document, index: int) -> bool:
    return 0 <= index < len(document.nodes) and isinstance(document.nodes[index], Blank)


def _comments(source: Document, index: int, have: set[str], side: Side) -> list[str]:
    """The comments above a key, as they go over; none when the target has every line of them."""
    block = [comment for comment in comments_above(source, index) if MARK not in comment.raw]
    if all(not comment.text or comment.text in have for comment in block):
        return []
    return [side.comment(comment) for comment in block]


def _banner(source: Document, section: Section, index: int, side: Side) -> list[str]:
    """The heading of a section with its rules, and the comments right below that belong to no key."""
    end = section.heading
    while end < section.end and isinstance(source.nodes[end], Comment):
        end += 1
    if end < section.end and isinstance(source.nodes[end], Assignment):
        end = section.heading
    nodes = source.nodes[section.start : min(end, index)]
    return [side.comment(node) for node in nodes if isinstance(node, Comment)]


# --- the new text ------------------------------------------------------------------------------


def _render(
    target: Document, changed: Mapping[int, str], removed: set[str], insertions: Sequence[tuple[Spot, Entry]]
) -> str:
    at: dict[int, list[tuple[Spot, Entry]]] = {}
    for spot, entry in insertions:
        at.setdefault(spot.after, []).append((spot, entry))
    parts: list[str] = []
    for index in range(-1, len(target.nodes)):
        if index >= 0:
            parts += _kept(target.nodes[index], changed.get(index), removed)
        if index in at:
            entries = sorted(at[index], key=lambda item: item[0].rank)
            parts += _added(parts, entries, _next(target, index), target.newline)
    return ("\ufeff" if target.bom else "") + "".join(parts)


def _kept(node: Node, changed: str | None, removed: set[str]) -> list[str]:
    if isinstance(node, Assignment) and node.key in removed:
        return []
    return [node.raw if changed is None else changed]


def _next(target: Document, index: int) -> Node | None:
    return target.nodes[index + 1] if index + 1 < len(target.nodes) else None


def _added(
    before: Sequence[str], entries: Sequence[tuple[Spot, Entry]], following: Node | None, newline: str
) -> Iterator[str]:
    last = before[-1] if before else ""
    if last and not last.endswith(("\n", "\r")):
        yield newline
    if _is_continued(last):
        yield newline  # bash and systemd would take the next line for the rest of the value
    open_line = bool(last.strip())
    for spot, entry in entries:
        if open_line and (entry.blank_before or spot.apart or spot.opens):
            yield newline
        yield from (line + newline for line in entry.lines)
        open_line = True
    closes = entries[-1][1].blank_after or entries[-1][0].rank
    if closes and following is not None and not isinstance(following, Blank):
        yield newline


def _is_continued(raw: str) -> bool:
    line = raw.rstrip("\r\n")
    return not line.lstrip().startswith("#") and (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _refuse_within(target: Document, insertions: Iterable[tuple[Spot, Entry]]) -> None:
    """Raises CouldNotLook where something would come between a line and the one that continues it."""
    for spot, _ in insertions:
        node, following = target.nodes[spot.after] if spot.after >= 0 else None, _next(target, spot.after)
        if node and following and not isinstance(following, Blank) and _is_continued(node.raw):
            raise CouldNotLook(
                f"{target.path}:{node.line}: ends in a backslash, so some readers go on below",
                hint="quote the value or take out the backslash, then run it again",
            )


def _prove(target: Document, document: Document, added: Iterable[str], removed: Iterable[str]) -> None:
    """Raises CouldNotLook unless the new document has exactly the keys that it should have."""
    gone = set(removed)
    wanted = {key: len(found) for key, found in target.index.items() if key not in gone}
    wanted |= dict.fromkeys(added, 1)
    if {key: len(found) for key, found in document.index.items()} != wanted:
        broken = next((node for node in target.nodes if isinstance(node, Unparsable)), None)
        where = f"{target.path}:{broken.line}" if broken else target.path
        raise CouldNotLook(
            f"{where}: a quote that never ends swallows the lines below it",
            hint="close the quote, then run it again",
        )
