"""Where the fields of CPython's objects lie, in one build of it: what the twin finds, as a value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

SCHEMA: Final = 5  # of the cached form; another number is not read

TESTED: Final = (3, 13)  # the newest version that the tests run on


@dataclass(frozen=True)
class Opcodes:
    """The instructions of one version.

    Attributes:
        names: By number.
        caches: Inline cache entries (2 bytes each) that follow an instruction, by number.
        base: Number of a specialised or instrumented instruction -> of the one it stands for.
        jrel, jabs: Instructions whose argument is a relative or absolute jump.
    """

    names: tuple[str, ...]
    caches: tuple[int, ...]
    base: dict[int, int]
    have_argument: int
    jrel: frozenset[int]
    jabs: frozenset[int]

    @cached_property
    def lined(self) -> int:
        """The instruction that a tracer of lines puts in place of others, -1 before 3.12."""
        return self.names.index("INSTRUMENTED_LINE") if "INSTRUMENTED_LINE" in self.names else -1


@dataclass(frozen=True)
class Layout:
    """Offsets in bytes from an object's address, unless said otherwise.

    Attributes:
        version: Major, minor, micro.
        image: Base name of the file that holds the interpreter's static types.
        static_types: Name -> offset from where the image is mapped.
        offsets: Name of a field -> offset; see ``twin_script.py``. -1 or absent: there is none.
        sizes: Name of a type outside the image -> its basic size.
        opcodes: What the bytecode means.
        verified: False for a version that the tests have not run on; its twin agreed all the same.
    """

    version: tuple[int, int, int]
    release: str
    image: str
    static_types: dict[str, int]
    offsets: dict[str, int]
    sizes: dict[str, int]
    opcodes: Opcodes = field(repr=False)
    verified: bool = True

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor."""
        return self.version[:2]

    def __getitem__(self, name: str) -> int:
        """The offset of a field; raises KeyError when this build has none."""
        return self.offsets[name]

    def get(self, name: str, default: int = -1) -> int:
        """The offset of a field, ``default`` when this build has none."""
        return self.offsets.get(name, default)


def from_twin(found: dict[str, Any]) -> Layout:
    """The layout in what the twin wrote; raises KeyError or ValueError when it is not one."""
    codes = found["opcodes"]
    version = (int(found["version"][0]), int(found["version"][1]), int(found["version"][2]))
    return Layout(
        version=version,
        verified=version[:2] <= TESTED,
        release=str(found["release"]),
        image=str(found["image"]),
        static_types={str(k): int(v) for k, v in found["static_types"].items()},
        offsets={k: v for k, v in found.items() if type(v) is int},
        sizes={str(k): int(v) for k, v in found["sizes"].items()},
        opcodes=Opcodes(
            names=tuple(codes["names"]),
            caches=tuple(int(n) for n in codes["caches"]),
            base={int(k): int(v) for k, v in codes["base"].items()},
            have_argument=int(codes["have_argument"]),
            jrel=frozenset(codes["jrel"]),
            jabs=frozenset(codes["jabs"]),
        ),
    )


def to_text(layout: Layout, build: str) -> str:
    """A line with a digest and one of JSON, which :func:`from_text` reads.

    Args:
        build: Of the interpreter that it is the layout of.
    """
    plain = asdict(layout)
    plain["opcodes"]["jrel"] = sorted(layout.opcodes.jrel)
    plain["opcodes"]["jabs"] = sorted(layout.opcodes.jabs)
    said = json.dumps({"schema": SCHEMA, "layout": plain})
    return f"{_digest(said, build)}\n{said}\n"


def from_text(text: str, build: str) -> Layout | None:
    """The layout in a cached file, None when that is damaged, of another build or of another schema.

    An offset that is a little off would read other memory and find nothing wrong there: what is not exactly
    what was written is not used at all.
    """
    digest, _, said = text.partition("\n")
    said = said.removesuffix("\n")
    if digest != _digest(said, build):
        return None
    try:
        data = json.loads(said)
        if data["schema"] != SCHEMA:
            return None
        plain = data["layout"]
        return from_twin({**plain["offsets"], **plain})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def _digest(said: str, build: str) -> str:
    return hashlib.sha256(f"{build}\n{said}".encode("utf-8", "replace")).hexdigest()
