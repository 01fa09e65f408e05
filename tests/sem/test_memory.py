from __future__ import annotations

import ctypes
import mmap
import os
import resource
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.sem import pagemap
from exai_ops.sem.maps import Mapping, base_of, parse_maps
from exai_ops.sem.memory import PAGE, Memory
from exai_ops.sem.search import Search

from .targets import PYTHONS, running

HOLE = """
import ctypes, mmap
area = mmap.mmap(-1, 8 * mmap.PAGESIZE)
area[:] = bytes(range(256)) * (len(area) // 256)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
tell(start=start)
for line in sys.stdin:
    area[: len(line) - 1] = line[:-1].encode()
    tell(done=True)
"""
MARK = 0x1122_3344_5566_7788

words = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "7f00-8f00 rw-p 00001000 08:01 12 /usr/lib/a b.so",
            Mapping(0x7F00, 0x8F00, "rw-p", 0x1000, "/usr/lib/a b.so"),
        ),
        ("7f00-8f00 r--p 00000000 00:00 0", Mapping(0x7F00, 0x8F00, "r--p", 0, "")),
        ("7f00-8f00 rw-p 00000000 00:00 0 [heap]", Mapping(0x7F00, 0x8F00, "rw-p", 0, "[heap]")),
        ("7f00 rw-p", None),
        ("", None),
        ("zz-yy rw-p 0 0 0", None),
    ],
)
def test_maps(line: str, wanted: Mapping | None) -> None:
    assert parse_maps(line) == ([wanted] if wanted else [])


def test_the_base_of_an_image_is_where_its_first_byte_would_be() -> None:
    maps = parse_maps(
        "5000-6000 r--p 00001000 0:0 1 /lib/x.so (deleted)\n6000-7000 rw-p 00002000 0:0 1 /lib/x.so"
    )
    assert base_of(maps, "x.so") == 0x4000
    assert base_of(maps, "y.so") is None


@given(st.lists(words, max_size=300), st.sets(words, max_size=40), st.data())
def test_search_finds_what_is_there(array: list[int], wanted: set[int], data: st.DataObject) -> None:
    if array:
        wanted |= data.draw(st.sets(st.sampled_from(array), max_size=20))
    search = Search(wanted)
    held = np.array(array, dtype=np.uint64)
    assert search.hits(held).tolist() == [i for i, word in enumerate(array) if word in wanted]
    assert search.member(held).tolist() == [word in wanted for word in array]


@pytest.mark.parametrize("python", PYTHONS[:1])
def test_reads_what_is_mapped_and_nothing_else(python: str) -> None:
    with running(python, HOLE) as (child, known), Memory(child.pid) as memory:
        start = known["start"]
        assert memory.read(start + 1, 3) == b"\1\2\3"
        assert memory.read(start + PAGE - 2, 4) == b"\xfe\xff\0\1"
        assert memory.u64(start) == 0x0706_0504_0302_0100
        assert memory.i32(start + 252) == -0x0001_0204
        assert memory.i64(start + 248) < 0
        assert memory.u8(start + 200) == 200
        assert memory.words(start, 2) == [0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908]
        for address in (0, 8, -8, 1 << 47, 1 << 63, 1 << 70):
            assert memory.read(address, 8) is None
            assert (
                memory.u64(address) == memory.i64(address) == memory.i32(address) == memory.u8(address) == 0
            )
            assert memory.words(address, 3) == []
        assert memory.read(start, 0) is None
        assert memory.words(start, 1 << 40) == []


@pytest.mark.parametrize("python", PYTHONS[:1])
def test_pages_are_kept_until_they_are_dropped(python: str) -> None:
    with running(python, HOLE) as (child, known), Memory(child.pid) as memory:
        start = known["start"]
        before = memory.read(start, 4)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("WXYZ\n")
        child.stdin.flush()
        child.stdout.readline()
        assert memory.read(start, 4) == before
        assert memory.peek(start, 4) == b"WXYZ"
        memory.live = True
        assert memory.read(start, 4) == b"WXYZ"
        memory.live = False
        memory.refresh()
        assert memory.read(start, 4) == b"WXYZ"


def test_find_gives_each_place_once_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    area = mmap.mmap(-1, 16 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    places = [start, start + PAGE - 8, start + PAGE, start + 9 * PAGE + 16, start + 16 * PAGE - 8]
    for place in places:
        ctypes.c_uint64.from_address(place).value = MARK
    monkeypatch.setattr("exai_ops.sem.memory.WINDOW", 2 * PAGE)
    monkeypatch.setattr(Memory, "maps", lambda _: [Mapping(start, start + 16 * PAGE, "rw-p", 0, "")])
    with Memory(os.getpid()) as memory:
        assert memory.find({MARK, MARK + 1}) == {MARK: places, MARK + 1: []}
        covered = [(w.start + 8 * w.first, w.start + 8 * w.last) for w in memory.windows()]
    assert covered[0][0] == start
    assert covered[-1][1] == start + 16 * PAGE
    assert all(one[1] == two[0] for one, two in pairwise(covered))


def test_a_sparse_mapping_is_read_where_it_was_touched() -> None:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    area = mmap.mmap(-1, 100 << 30, flags=flags)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for offset in (0, 5 << 30, (5 << 30) + PAGE, 50 << 30):
        area[offset] = 1
    wanted = [(0, PAGE), (5 << 30, (5 << 30) + 2 * PAGE), (50 << 30, (50 << 30) + PAGE)]
    found = [
        (low - start, high - start) for low, high in pagemap.touched(os.getpid(), start, start + (100 << 30))
    ]
    assert found == wanted


def test_both_ways_to_ask_which_pages_were_touched_agree() -> None:
    area = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for page in (*range(0, 40, 3), 4000, 16383):
        area[page * PAGE] = 1
    file = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        read = list(pagemap._joined(pagemap._read(file, start, start + (64 << 20))))
    finally:
        os.close(file)
    assert read == list(pagemap.touched(os.getpid(), start, start + (64 << 20)))


@pytest.mark.parametrize("python", PYTHONS[:1])
def test_a_process_that_ended_reads_as_nothing(python: str) -> None:
    with running(python, HOLE) as (child, known), Memory(child.pid) as memory:
        memory.maps()
        child.kill()
        child.wait()
        assert memory.read(known["start"], 8) is None
        assert memory.find({MARK}) == {MARK: []}
        memory.refresh()
        assert memory.find({MARK}) == {MARK: []}


BIG = """
import mmap
area = mmap.mmap(-1, 600 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for offset in range(0, len(area), mmap.PAGESIZE):
    area[offset] = 1
tell(size=len(area))
sys.stdin.read()
"""


@pytest.mark.parametrize("python", PYTHONS[:1])
def test_the_reader_of_a_large_process_stays_small(python: str) -> None:
    with running(python, BIG) as (child, known), Memory(child.pid) as memory:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory.find({MARK})
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert known["size"] > 500 << 20
    assert grown < 100 << 10  # kilobytes
