"""The bound of a plain semaphore, from the source of a program that made it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exai_ops.sem.passive.scanner import PassiveScanner

OWN = "class C:\n    def __init__(self): self.sem = {}\nKEEP = C()\nfound = KEEP.sem"
PASSED = "class C:\n    def __init__(self, n): self.sem = Semaphore(n)\n"
CASES: dict[str, tuple[str, int | None]] = {
    "constant": (OWN.format("Semaphore(5)"), 5),
    "no argument": (OWN.format("Semaphore()"), 1),
    "keyword": ("KEEP = Semaphore(value=6)\nfound = KEEP", 6),
    "module constant": ("LIMIT = 7\nKEEP = Semaphore(LIMIT)\nfound = KEEP", 7),
    "sum of constants": ("LIMIT = 7\nKEEP = Semaphore(2 * LIMIT + 1)\nfound = KEEP", 15),
    "least of two": ("LIMIT = 7\nKEEP = Semaphore(min(LIMIT, 4))\nfound = KEEP", 4),
    "read at run time": ("KEEP = Semaphore(int(sys.argv[0] == '') + 3)\nfound = KEEP", None),
    "kept attribute": (
        ("class C:\n    def __init__(self, n):\n        self.limit = n\n        self.sem = Semaphore(n)\n"
        "KEEP = C(int('8'))\nfound = KEEP.sem"), 8,
    ),
    "attribute of self": (
        ("class C:\n    def __init__(self, n):\n"
        "        self.limit = n\n        self.sem = Semaphore(self.limit)\n"
        "KEEP = C(int('8'))\nfound = KEEP.sem"), 8,
    ),
    "attribute of the class": (
        ("class C:\n    LIMIT = 3\n    def __init__(self): self.sem = Semaphore(self.LIMIT)\n"
        "KEEP = C()\nfound = KEEP.sem"), 3,
    ),
    "parameter by default": (
        "class C:\n    def __init__(self, n=9): self.sem = Semaphore(n)\nKEEP = C()\nfound = KEEP.sem", 9,
    ),
    "callers agree": (
        PASSED + "KEEP = [C(4), C(4)]\nfound = KEEP[0].sem", 4,
    ),
    "callers differ": (
        PASSED + "KEEP = [C(4), C(5)]\nfound = KEEP[0].sem", None,
    ),
    "length of what is passed": (
        ("class C:\n    def __init__(self, keys): self.sem = Semaphore(len(keys))\n"
        "KEEP = C(['a', 'b', 'c'])\nfound = KEEP.sem"), 3,
    ),
    "in a dict": ("KEEP = {}\nKEEP['a'] = Semaphore(2)\nfound = KEEP['a']", 2),
    "by setdefault": ("KEEP = {}\nKEEP.setdefault('a', Semaphore(2))\nfound = KEEP['a']", 2),
    "in a defaultdict": ("KEEP = collections.defaultdict(lambda: Semaphore(6))\nfound = KEEP['a']", 6),
    "field of a dataclass": (
        ("@dataclasses.dataclass\nclass C:\n"
        "    sem: Semaphore = dataclasses.field(default_factory=lambda: Semaphore(4))\n"
        "KEEP = C()\nfound = KEEP.sem"), 4,
    ),
    "default of a parameter": ("def KEEP(sem=Semaphore(7)): pass\nfound = KEEP.__defaults__[0]", 7),
    "closure": (
        ("def limiter():\n    sem = Semaphore(3)\n    def inner(): return sem\n    return inner\n"
        "def other():\n    sem = Semaphore(5)\n    return sem\nKEEP = limiter()\nfound = KEEP()"), 3,
    ),
    "made by the class above": (
        ("class Base:\n    def __init__(self): self.sem = Semaphore(5)\nclass C(Base):\n    pass\n"
        "KEEP = C()\nfound = KEEP.sem"), 5,
    ),
    "another class of that name": (
        ("def one():\n    class C:\n        def __init__(self): self.sem = Semaphore(2)\n"
        "        def use(self): return self.sem\n    return C()\n"
        "def two():\n    class C:\n        def __init__(self): self.sem = Semaphore(3)\n"
        "        def use(self): return self.sem\n    return C()\n"
        "KEEP = (one(), two())\nfound = KEEP[1].sem"), 3,
    ),
    "subclass of a semaphore": ("class Slots(Semaphore): pass\nKEEP = Slots(6)\nfound = KEEP", 6),
    "two assignments that differ": (
        ("class C:\n    def __init__(self, big=False):\n"
        "        if big: self.sem = Semaphore(9)\n        else: self.sem = Semaphore(2)\n"
        "KEEP = C()\nfound = KEEP.sem"), None,
    ),
}  # fmt: skip
FIRST = "import collections, dataclasses, json, sys\nfrom asyncio import Semaphore\n"
LAST = "\nprint(json.dumps(id(found)), flush=True)\ndel found\ndef main(): sys.stdin.read()\nmain()\n"


def bound_in(folder: Path, source: str) -> int | None:
    file = folder / "program.py"
    file.write_text(FIRST + source + LAST, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        with PassiveScanner(process.pid) as scanner:
            found = {one.address: one.bound for one in scanner.scan().semaphores}
        process.communicate("")
    return found[address]


@pytest.mark.parametrize(("source", "expected"), CASES.values(), ids=CASES)
def test_the_bound_is_read_where_the_source_says_it(
    tmp_path: Path, source: str, expected: int | None
) -> None:
    assert bound_in(tmp_path, source) == expected
