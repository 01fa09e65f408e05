"""python-dotenv, as ``dotenv_values`` and ``load_dotenv(override=True)`` read: its own parser does it.

Its peculiarities: ``${X}`` and ``${X:-d}`` alone are expanded, inside single quotes too; a line that it
cannot parse is a warning and the key is dropped; the line it names is that of the blank lines before.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from exai_ops.env.model import Reading, ReadProblem

NAME = "python-dotenv"


def read(data: bytes, environ: Mapping[str, str]) -> Reading:
    """What python-dotenv makes of a file; bytes that are no UTF-8 make it refuse."""
    from dotenv.parser import parse_stream
    from dotenv.variables import Variable, parse_variables

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Reading(reader=NAME, values={}, lines={}, refused=f"line {line} is no UTF-8")
    known: dict[str, str | None] = dict(environ)
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[ReadProblem] = []
    needs: list[str] = []
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _blank_lines(binding.original.string)
        if binding.error:
            problems.append(ReadProblem(line=line, message="cannot be parsed; the key is dropped"))
        if binding.error or binding.key is None:
            continue
        if binding.value is None:
            known[binding.key] = None
            continue
        atoms = list(parse_variables(binding.value))
        needs += [
            atom.name
            for atom in atoms
            if isinstance(atom, Variable) and atom.default is None and known.get(atom.name) is None
        ]
        value = "".join(atom.resolve(known) for atom in atoms)
        known[binding.key] = values[binding.key] = value
        lines[binding.key] = line
    return Reading(reader=NAME, values=values, lines=lines, problems=tuple(problems), needs=tuple(needs))


def _blank_lines(original: str) -> int:
    return original[: len(original) - len(original.lstrip())].count("\n")
