"""Where a key of one document belongs in another: its section, then its neighbours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from exai_ops.env.model import Assignment, Comment, Document
from exai_ops.env.sections import (
    Section,
    block_above,
    commented_key,
    counterparts,
    ends_block,
    last_assignment,
    last_text,
    sections,
)

_Home: TypeAlias = tuple[str | None, str]  # title of a section of the target, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place behind a node of the target.

    Attributes:
        after: Index of that node, -1 for the start.
        rank: Order among the spots behind one node: 0, or that of the section that is opened there.
        opens: The source's section when the target lacks it and it must be opened here, else None.
        apart: Whether a blank line must come first, since the comment above is not about the key.
    """

    after: int
    rank: int = 0
    opens: Section | None = None
    apart: bool = False


class Placement:
    """Finds the spots for keys of ``source`` that ``target`` lacks; ask in the order of the source.

    Each key that was placed is a neighbour of those that follow.
    """

    def __init__(self, source: Document, target: Document) -> None:
        self._source, self._target = source, target
        self._here, self._there = sections(source), sections(target)
        self._starts = [section.start for section in self._here]
        self._title = counterparts(source, target)
        self._head = _head(target, self._there)
        self._loose = self._unsectioned()
        self._anchors = _anchors(target, self._there)
        self._anywhere = {key: places for (_, key), places in self._anchors.items()}
        self._off = _commented_out(target, self._there)
        self._opened: dict[int, int] = {}  # place of a section of the source to the index behind which it is

    def spot(self, at: int) -> Spot:
        """Where the assignment at an index of the source's nodes belongs."""
        place = bisect_right(self._starts, at) - 1
        section = self._here[place]
        if section.title in self._loose:
            title = self._head
            spot = self._commented(title, at) or self._beside_any(section, at) or self._at_end(title)
        elif section.title in self._title:
            title = self._title[section.title]
            spot = self._commented(title, at) or self._beside(title, section, at) or self._at_end(title)
        else:
            return self._opening(place)
        self._anchors.setdefault((title, self._key(at)), (spot.after, spot.after))
        self._anywhere.setdefault(self._key(at), (spot.after, spot.after))
        return spot

    def _unsectioned(self) -> frozenset[str | None]:
        """Titles of the source that name no section of keys: none at all, and that of the file itself.

        Their keys go beside their neighbours wherever these are, unless the target has such keys too.
        """
        loose: set[str | None] = set()
        if last_assignment(self._target, self._there[0]) is None:
            loose.add(None)
        first = self._here[1].title if _is_blank(self._source, self._here[0]) and self._here[1:] else None
        if self._head is not None and first not in self._title:
            loose.add(first)
        return frozenset(loose)

    def _commented(self, title: str | None, at: int) -> Spot | None:
        index = self._off.get((title, self._key(at)))
        return None if index is None else Spot(after=index)

    def _beside(self, title: str | None, section: Section, at: int) -> Spot | None:
        """Behind the nearest key above it that the target's section has, else before the nearest below."""
        for side, indexes in ((1, range(at - 1, section.start - 1, -1)), (0, range(at + 1, section.end))):
            for key in self._keys(indexes):
                if (title, key) in self._anchors:
                    return Spot(after=self._anchors[title, key][side])
        return None

    def _beside_any(self, section: Section, at: int) -> Spot | None:
        """As ``_beside``, whatever section of the target the neighbour is in."""
        for side, indexes in ((1, range(at - 1, section.start - 1, -1)), (0, range(at + 1, section.end))):
            for key in self._keys(indexes):
                if key in self._anywhere:
                    return Spot(after=self._anywhere[key][side])
        return None

    def _at_end(self, title: str | None) -> Spot:
        own = [section for section in self._there if section.title == title]
        lasts = [last for section in own if (last := last_assignment(self._target, section)) is not None]
        if lasts:
            return Spot(after=lasts[-1])
        after = last_text(self._target, own[-1])
        return Spot(after=after, apart=after >= 0 and not ends_block(self._target.nodes[after]))

    def _opening(self, place: int) -> Spot:
        """In a section that the target lacks, behind the counterpart of the one before it."""
        if place in self._opened:
            return Spot(after=self._opened[place], rank=place)
        earlier = [self._title[s.title] for s in self._here[:place] if s.title in self._title]
        ends = {section.title: last_text(self._target, section) for section in self._there}
        self._opened[place] = ends[self._head if earlier[-1] is None else earlier[-1]]
        return Spot(after=self._opened[place], rank=place, opens=self._here[place])

    def _key(self, index: int) -> str:
        node = self._source.nodes[index]
        return node.key if isinstance(node, Assignment) else ""

    def _keys(self, indexes: Iterable[int]) -> Iterable[str]:
        return filter(None, map(self._key, indexes))


def _is_blank(document: Document, section: Section) -> bool:
    """Whether a section has nothing but blank lines."""
    return last_text(document, section) < section.start


def _head(target: Document, there: Sequence[Section]) -> str | None:
    """Title of the section behind which the first keys go: that of the file itself, where it has one."""
    titled = _is_blank(target, there[0]) and len(there) > 2
    return there[1].title if titled and last_assignment(target, there[1]) is None else None


def _anchors(target: Document, there: Iterable[Section]) -> dict[_Home, tuple[int, int]]:
    """Each key to the index before its first block of comments, and that of its last assignment."""
    found: dict[_Home, tuple[int, int]] = {}
    for section in there:
        for index in range(section.start, section.end):
            node = target.nodes[index]
            if isinstance(node, Assignment):
                home = (section.title, node.key)
                before = found[home][0] if home in found else block_above(target, index) - 1
                found[home] = (before, index)
    return found


def _commented_out(target: Document, there: Iterable[Section]) -> dict[_Home, int]:
    """Each key to the index of the last comment that holds it as an assignment."""
    return {
        (section.title, key): index
        for section in there
        for index in range(section.start, section.end)
        if isinstance(target.nodes[index], Comment) and (key := commented_key(target.nodes[index]))
    }
