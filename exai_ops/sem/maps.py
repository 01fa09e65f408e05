"""The memory map of a process: what is mapped where, and which parts may hold objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of ``/proc/PID/maps``; ``end`` is exclusive, ``file`` is empty for anonymous memory."""

    start: int
    end: int
    rights: str
    offset: int
    file: str

    @property
    def size(self) -> int:
        """Bytes, touched or not."""
        return self.end - self.start

    @property
    def is_writable_private(self) -> bool:
        """Whether Python objects may lie here."""
        return self.rights.startswith("rw") and self.rights.endswith("p") and not self.file.startswith("[v")


def parse_maps(text: str) -> list[Mapping]:
    """The mappings in the order of their addresses; lines that cannot be read are left out."""
    found = []
    for line in text.splitlines():
        parts = line.split(None, 5)
        try:
            low, high = (int(part, 16) for part in parts[0].split("-"))
            file = parts[5].strip() if len(parts) > 5 else ""
            found.append(Mapping(low, high, parts[1], int(parts[2], 16), file))
        except (ValueError, IndexError):
            continue
    return found


def read_maps(pid: int) -> list[Mapping]:
    """The mappings of a process; raises OSError without the right, and gives none for one that has ended."""
    return parse_maps(Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="surrogateescape"))


def base_of(mappings: list[Mapping], image: str) -> int | None:
    """Where a file with this base name is mapped first."""
    for one in mappings:
        if one.file.removesuffix(" (deleted)").rsplit("/", 1)[-1] == image:
            return one.start - one.offset
    return None
