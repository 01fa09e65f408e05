"""The memory of another process: read from ``/proc/PID/mem``, never written, never stopped.

Everything is tolerant: what is not mapped reads as None or 0, also when it was mapped a moment ago.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from exai_ops.sem.executable import SUDO, NotReadable, ProcessGone
from exai_ops.sem.maps import Mapping, read_maps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

PAGE: Final = 4096
WINDOW: Final = 1 << 21  # small enough to stay in a cache between reading and searching
MARGIN: Final = 256  # bytes that a window repeats of its neighbours, for what lies about a hit
_CACHED_PAGES: Final = 16384
_SPARSE: Final = 1 << 20  # mappings beyond this are looked up in the page map first
_LARGE: Final = 1 << 16  # reads beyond this are not kept
_LIMIT: Final = 1 << 47

_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_I32: Final = struct.Struct("<i")


class Window(NamedTuple):
    """A piece of memory: ``words[first:last]`` is this piece, the rest overlaps with its neighbours.

    Attributes:
        start: Address of ``words[0]``.
    """

    start: int
    words: Words
    first: int
    last: int


class Memory:
    """Reads of one process. Pages read once are kept until :meth:`refresh`, unless ``live`` is set.

    Raises:
        ProcessGone: There is no such process any more.
        NotReadable: It may not be read.

    Attributes:
        live: Whether reads bypass the kept pages.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.live = False
        try:
            self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            raise NotReadable(f"no right to read process {pid}", hint=SUDO.format(pid)) from None
        except OSError:
            raise ProcessGone(f"process {pid} ended just now") from None
        self._pages: dict[int, bytes] = {}
        self._maps: list[Mapping] | None = None
        self._ranges: dict[str, list[tuple[int, int]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process; later reads give nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def refresh(self) -> None:
        """Forget every page, so that the next reads see the process as it is then."""
        self._pages.clear()
        self._ranges.clear()
        self._maps = None

    def renew(self) -> bool:
        """Read every page that is kept again, all within about a millisecond; whether one has changed."""
        numbers = sorted(self._pages)
        if len(numbers) > _CACHED_PAGES // 2:
            self.refresh()
            return True
        kept: dict[int, bytes] = {}
        for first, count in _runs(numbers):
            data = self._direct(first << 12, count * PAGE)
            if data is not None:
                kept.update((first + n, data[n * PAGE : (n + 1) * PAGE]) for n in range(count))
        changed = kept != self._pages
        self._pages = kept
        return changed

    def maps(self) -> list[Mapping]:
        """The memory map, none when the process has ended."""
        if self._maps is None:
            try:
                self._maps = read_maps(self.pid)
            except OSError:
                self._maps = []
        return self._maps

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes, or None when a part of them is not mapped."""
        if address < PAGE or size <= 0 or address + size > _LIMIT:
            return None
        if self.live or size > _LARGE:
            return self._direct(address, size)
        offset = address & (PAGE - 1)
        if offset + size <= PAGE:
            page = self._page(address >> 12)
            return None if page is None else page[offset : offset + size]
        parts = [self._page(number) for number in range(address >> 12, (address + size - 1 >> 12) + 1)]
        if any(part is None for part in parts):
            return None
        return b"".join(part for part in parts if part is not None)[offset : offset + size]

    def peek(self, address: int, size: int) -> bytes | None:
        """Like :meth:`read`, from the process as it is now."""
        return self._direct(address, size) if address >= PAGE and 0 < size < _LIMIT - address else None

    def u64(self, address: int) -> int:
        """An unsigned word, 0 when unmapped."""
        data = self.read(address, 8)
        return int(_U64.unpack(data)[0]) if data else 0

    def i64(self, address: int) -> int:
        """A signed word, 0 when unmapped."""
        data = self.read(address, 8)
        return int(_I64.unpack(data)[0]) if data else 0

    def i32(self, address: int) -> int:
        """A signed half word, 0 when unmapped."""
        data = self.read(address, 4)
        return int(_I32.unpack(data)[0]) if data else 0

    def u8(self, address: int) -> int:
        """A byte, 0 when unmapped."""
        data = self.read(address, 1)
        return data[0] if data else 0

    def words(self, address: int, count: int) -> list[int]:
        """``count`` words from an address, none when a part is unmapped."""
        data = self.read(address, 8 * count) if 0 < count <= 1 << 24 else None
        return list(struct.unpack(f"<{count}Q", data)) if data else []

    def text(self, address: int, limit: int = 200) -> str | None:
        """A C string in UTF-8, at most ``limit`` bytes of it."""
        data = self.read(address, limit) or self.read(address, min(limit, PAGE - (address & (PAGE - 1))))
        return None if data is None else data.split(b"\0", 1)[0].decode("utf-8", "replace")

    def find(self, words: Collection[int], ranges: str = "heap") -> dict[int, list[int]]:
        """Addresses of the aligned words equal to each of the given, in one pass.

        Args:
            words: What to look for.
            ranges: ``heap`` for the writable private mappings, ``all`` for every readable one.
        """
        from exai_ops.sem.search import Search

        wanted = Search(words)
        found: dict[int, list[int]] = {word: [] for word in words}
        for window in self.windows(ranges):
            inner = window.words[window.first : window.last]
            for index in wanted.hits(inner).tolist():
                found[int(inner[index])].append(window.start + 8 * (window.first + index))
        return found

    def windows(self, ranges: str = "heap") -> Iterator[Window]:
        """The memory there is, piece by piece; each piece uses the array again, so copy what is to stay."""
        import numpy as np

        buffer = bytearray(WINDOW + 2 * MARGIN)
        view = memoryview(buffer)
        for low, high in self._resident(ranges):
            position = low
            while position < high:
                start = position - MARGIN if position > low else position
                end = min(position + WINDOW, high)
                got = self._into(start, view[: min(end + MARGIN, high) - start])
                if start + got <= position:
                    position += PAGE  # a hole: unmapped since the map was read
                    continue
                end = min(end, start + got & ~7)
                words = np.frombuffer(buffer, dtype=np.uint64, count=got // 8)
                yield Window(start, words, (position - start) // 8, (end - start) // 8)
                position = max(end, position + 8)

    def _resident(self, ranges: str) -> list[tuple[int, int]]:
        known = self._ranges.get(ranges)
        if known is None:
            known = self._ranges[ranges] = [
                part for one in self.maps() if _is_wanted(one, ranges) for part in self._touched(one)
            ]
        return known

    def _touched(self, one: Mapping) -> list[tuple[int, int]]:
        if one.size <= _SPARSE:
            return [(one.start, one.end)]
        from exai_ops.sem.pagemap import touched

        try:
            return list(touched(self.pid, one.start, one.end))
        except OSError:  # no page map: read it all
            return [(one.start, one.end)]

    def _page(self, number: int) -> bytes | None:
        page = self._pages.get(number)
        if page is None:
            page = self._direct(number << 12, PAGE)
            if page is not None:
                if len(self._pages) >= _CACHED_PAGES:
                    self._pages.clear()
                self._pages[number] = page
        return page

    def _direct(self, address: int, size: int) -> bytes | None:
        try:
            data = os.pread(self._file, size, address)
        except (OSError, OverflowError, ValueError):
            return None
        return data if len(data) == size else None

    def _into(self, address: int, view: memoryview) -> int:
        try:
            return os.preadv(self._file, [view], address)
        except (OSError, OverflowError, ValueError):
            return -1


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(first, how many) of numbers in order that follow each other."""
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], at - start
            start = at


def _is_wanted(one: Mapping, ranges: str) -> bool:
    if ranges == "heap":
        return one.is_writable_private
    return one.rights.startswith("r") and one.file not in {"[vvar]", "[vvar_vclock]", "[vsyscall]"}
