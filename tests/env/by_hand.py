"""The two real pairs counted by a few lines of plain Python that know nothing of what they judge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"
PAIRS = {"2025-10-18": ".env.docker.template", "2025-11-16": ".env.docker"}
OCTOBER, NOVEMBER = PAIRS


@dataclass
class Plain:
    """A file as lines: (line, key, value without comment, rest of the line) of each assignment."""

    bom: bool
    lines: list[str]
    rows: list[tuple[int, str, str, str]] = field(default_factory=list)

    def values(self) -> dict[str, str]:
        return {key: value for _, key, value, _ in self.rows}

    def lines_of(self, key: str) -> list[int]:
        return [line for line, k, _, _ in self.rows if k == key]

    def sections(self) -> dict[str, set[str]]:
        """The titles above each key."""
        found: dict[str, set[str]] = {}
        titles, title = set(self.titles()), ""
        for line in self.lines:
            text = line.lstrip("# ")
            if line.startswith("#") and text in titles:
                title = text
            elif match := re.match(r"([A-Z][A-Z0-9_]*)=", line):
                found.setdefault(match[1], set()).add(title)
        return found

    def comments(self) -> dict[str, tuple[str, str]]:
        """The comment behind the last assignment of each key, and the lines right above it."""
        found, titles, above = {}, set(self.titles()), ""
        for line in self.lines:
            text = " ".join(line.lstrip("# ").split())
            if match := re.match(r"([A-Z][A-Z0-9_]*)=(.*)", line):
                behind = re.search(r"(?:^|\s)#(.*)", match[2])
                found[match[1]] = (" ".join(behind[1].split()) if behind else "", above)
            banner = line.lstrip("# ") in titles or not re.search(r"\w", line.replace("#", "", 1))
            held = line.startswith("#") and (not banner or line.strip() == "#")
            above = f"{above}{text}\n" if held and text else above if held else ""
        return found

    def titles(self) -> list[str]:
        """Comments between two rules."""
        rule = [bool(re.fullmatch(r"# ?[=-]{10,}", line)) for line in self.lines]
        inner = range(1, len(self.lines) - 1)
        return [
            self.lines[i].lstrip("# ")
            for i in inner
            if rule[i - 1] and rule[i + 1] and not rule[i] and self.lines[i].startswith("#")
        ]


def plain(path: Path) -> Plain:
    text = path.read_text(encoding="utf-8")
    found = Plain(text.startswith("\ufeff"), text.lstrip("\ufeff").split("\n"))
    for number, line in enumerate(found.lines, 1):
        if match := re.match(r"([A-Z][A-Z0-9_]*)=(.*)", line):
            rest = match[2]
            found.rows.append((number, match[1], re.sub(r"(^|\s)\s*#.*", "", rest).strip(), rest))
    return found


# --- compose files -----------------------------------------------------------------------------


class Services:
    """The services of a compose file as plain values, and the line (from 1) of each thing in them."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        self.bodies: Mapping[str, Any] = yaml.safe_load(text)["services"]
        self.text = text
        whole = yaml.compose(text, Loader=yaml.SafeLoader)
        assert whole is not None
        self._lines = dict(_lines(whole, ()))

    def line(self, *path: object) -> int:
        return self._lines[("services", *path)]


def _lines(node: yaml.Node, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _lines(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index))
