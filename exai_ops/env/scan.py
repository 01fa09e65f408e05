"""Secrets in tracked files and in what the history added: which, where, since when; values are not kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Final, NamedTuple

from exai_ops.env.git import Added
from exai_ops.env.masking import key_shown
from exai_ops.env.rules.secrets import HISTORY, TRACKED
from exai_ops.env.secrets import Hit, Manner, in_line, may_hold
from exai_ops.env.suppression import MARK, Suppression, in_text
from exai_ops.findings import Finding, Location, Status

MOST: Final = 10_000  # secrets of one history: more are a data set
_DOTENV: Final = re.compile(r"(?:^|\.)env(?:$|[.-])")
_CONFIG: Final = frozenset({
    ".yml", ".yaml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".sh", ".bash", ".tf", ".tfvars",
    ".service", ".config", ".npmrc", ".netrc", ".pypirc", ".envrc",
})  # fmt: skip
_PROSE: Final = frozenset({".py", ".md", ".rst", ".ts", ".js"})


class Spot(NamedTuple):
    """One secret and where it stands; ``hidden`` is whether its commit says that it is meant to."""

    file: str
    line: int
    hit: Hit
    hidden: bool = False


class Known(NamedTuple):
    """What tells a secret from others: its file, its kind and what its value is alike to."""

    file: str
    what: str
    digest: bytes


def known(spot: Spot) -> Known:
    """What tells this one from others, whatever its line."""
    return Known(spot.file, spot.hit.what, spot.hit.digest)


def manner_of(path: str) -> Manner:
    """How the lines of a file are read, by its name."""
    name, suffix = PurePath(path).name, PurePath(path).suffix
    if _DOTENV.search(name) and suffix not in _PROSE:
        return "dotenv"
    return (
        "config"
        if suffix in _CONFIG or name in _CONFIG or name.startswith(("Dockerfile", "Containerfile"))
        else "code"
    )


def in_file(path: str, text: str) -> Iterator[Spot]:
    """The secrets of a file's text."""
    if not may_hold(text):
        return
    manner = manner_of(path)
    for number, line in enumerate(text.split("\n"), 1):
        if may_hold(line):
            for hit in in_line(line, manner):
                yield Spot(path, number, hit)


def in_history(lines: Iterable[Added]) -> Iterator[tuple[str, Spot]]:
    """Commit and place of each secret when it first came."""
    seen: set[Known] = set()
    manners: dict[str, Manner] = {}
    meant = _Meant()
    for added in lines:
        hidden = meant.hides(added)
        if "\0" in added.text or not may_hold(added.text):  # of a file that is no text
            continue
        if added.file not in manners:
            manners[added.file] = manner_of(added.file)
        for hit in in_line(added.text, manners[added.file]):
            spot = Spot(added.file, added.line, hit, hidden)
            if known(spot) not in seen and len(seen) < MOST:
                seen.add(known(spot))
                yield added.commit, spot


class _Meant:
    """What the added lines say, with a reason, about the secrets on them, below them or in their file."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._next: tuple[str, str, int] | None = None  # commit, file and line below a comment that says so

    def hides(self, added: Added) -> bool:
        """Whether a secret of this line is meant to be there; asked of every line, in order."""
        hidden = self._next is not None and self._next == (added.commit, added.file, added.line)
        if MARK in added.text:
            said = [s for s in _said(added.file, added.text) if s.reason]
            self._files.update(added.file for s in said if s.first is None)
            hidden = hidden or any(s.first is not None for s in said)
        if hidden:
            comment = added.text.lstrip().startswith("#")
            self._next = (added.commit, added.file, added.line + 1) if comment else None
        return hidden or added.file in self._files


def said_of_secrets(file: str, text: str) -> list[Suppression]:
    """The suppressions of a file's text that are about its secrets.

    ENV311 of a line is left out: it counts in the commit that added the line.
    """
    return [s for s in _said(file, text) if s.code == TRACKED or s.first is None or not s.reason]


def _said(file: str, text: str) -> list[Suppression]:
    return [s for s in in_text(file, text) if s.code in (TRACKED, HISTORY)]


def of_tracked(spot: Spot, commit: str | None) -> Finding:
    """The finding for a secret that is in a tracked file now."""
    since = f", since commit {commit[:12]}" if commit else ""
    hint = "take it out, and make a new one where it was issued: the history keeps this one"
    return Finding(TRACKED, _status(spot), f"{_name(spot)}{spot.hit.what}{since}", hint, _where(spot))


def of_history(spot: Spot, commit: str) -> Finding:
    """The finding for a secret that was in a tracked file once."""
    message = f"{_name(spot)}{spot.hit.what}, added by commit {commit[:12]}"
    hint = "make a new one where it was issued: every clone has this one"
    return Finding(HISTORY, _status(spot), message, hint, _where(spot))


def _status(spot: Spot) -> Status:
    return Status.ERROR if spot.hit.sure else Status.WARNING


def _name(spot: Spot) -> str:
    return f"{key_shown(spot.hit.key)} is " if spot.hit.key else "holds "


def _where(spot: Spot) -> Location:
    return Location(spot.file, spot.line, key_shown(spot.hit.key) if spot.hit.key else None)
