"""What the source of one file says about the variables that it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Seen(NamedTuple):
    """A variable that is read at a line (from 1), and how."""

    name: str
    line: int
    how: str


class Unsure(NamedTuple):
    """A place that reads a variable whose name cannot be told."""

    line: int
    how: str


class Asked(NamedTuple):
    """A call of a function of another file with a name as an argument: a read, if that function reads it.

    Attributes:
        module: Last word of the module that the function is imported from.
        position: Of the argument.
    """

    module: str
    function: str
    position: int
    name: str
    line: int


@dataclass(slots=True)
class Source:
    """One file.

    Attributes:
        readers: Functions at the top of the file that read the variable which an argument names, with the
            argument's position; other files may call them.
    """

    seen: list[Seen] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    readers: dict[str, int] = field(default_factory=dict)
