"""Files and folders of Python, and what is found in them."""

from __future__ import annotations

import ast
import os
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.errors import CouldNotLook
from exai_ops.findings import Finding, Location, Status
from exai_ops.sem.lint.functions import Problem, problems
from exai_ops.sem.lint.receivers import Receivers
from exai_ops.sem.lint.rules import BY_CODE

MAX_BYTES: Final = 5_000_000
"""A larger file was written by a program."""
LEFT_OUT: Final = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
_IGNORE: Final = re.compile(r"#\s*exai:ignore\[([^\]]*)\][ \t]*(.*)")


class Seen(NamedTuple):
    """What was looked at: its findings, and how many files they are of."""

    findings: list[Finding]
    files: int


def look(places: Sequence[Path]) -> Seen:
    """Every Python file that is named, or lies in a folder that is. Raises CouldNotLook where there is none.

    Of a folder, hidden ones and virtual environments are left out, and links to folders not followed.
    """
    found: list[Finding] = []
    count = 0
    for path in dict.fromkeys(_files(places)):
        count += 1
        found += _of_file(path)
    if not count:
        names = ", ".join(map(str, places))
        raise CouldNotLook(f"there is no Python file in {names}", hint="name a .py file, or a folder of them")
    return Seen(found, count)


def of_source(source: bytes, name: str) -> list[Finding]:
    """What is found in one source. Raises SyntaxError, ValueError or RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the source's own escapes
        tree = ast.parse(source, name)
    receivers = Receivers(tree)
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    said = [problem for function in functions for problem in problems(function, receivers)]
    if b"exai:ignore" not in source:
        return [_finding(problem, name) for problem in sorted(said, key=lambda one: one.line)]
    return list(_undecided(sorted(said, key=lambda one: one.line), source, name))


def _of_file(path: Path) -> list[Finding]:
    name = str(path)
    try:
        with path.open("rb") as stream:
            source = stream.read(MAX_BYTES + 1)
        if len(source) > MAX_BYTES:
            return [_unread(name, f"is larger than {MAX_BYTES:,} bytes")]
        return of_source(source, name)
    except SyntaxError as error:
        return [_unread(name, f"is no Python of this version: {error.msg}", error.lineno)]
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        why = "is nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
        return [_unread(name, f"cannot be read: {why}")]


def _files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from _within(place)
        elif place.exists():
            yield place
        else:
            raise CouldNotLook(f"there is no {place}", hint="name a .py file, or a folder of them")


def _within(folder: Path) -> Iterator[Path]:
    def unread(error: OSError) -> None:
        raise CouldNotLook(f"{error.filename} cannot be read: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=unread):
        inside = Path(name)
        folders[:] = sorted(
            one
            for one in folders
            if not one.startswith(".") and one not in LEFT_OUT and not (inside / one / "pyvenv.cfg").exists()
        )
        yield from (inside / one for one in sorted(files) if one.endswith((".py", ".pyi", ".pyw")))


def _finding(problem: Problem, name: str) -> Finding:
    rule = BY_CODE[problem.code]
    message = rule.message.format(problem.receiver)
    return Finding(
        rule.code, rule.severity, message, rule.hint, Location(name, problem.line, problem.receiver)
    )


def _unread(name: str, why: str, line: int | None = None) -> Finding:
    return Finding("SEM108", Status.UNKNOWN, f"{name} {why}", BY_CODE["SEM108"].hint, Location(name, line))


def _undecided(said: Sequence[Problem], source: bytes, name: str) -> Iterator[Finding]:
    """Those that no comment hides, and a finding for each comment that hides none."""
    decisions = dict(_decisions(source))
    used = set()
    for problem in said:
        codes, reason = decisions.get(problem.line, (frozenset(), ""))
        if problem.code in codes and reason:
            used.add((problem.line, problem.code))
        else:
            yield _finding(problem, name)
    for line, (codes, reason) in decisions.items():
        for code in sorted(codes & BY_CODE.keys()):
            if not reason:
                yield _comment(name, line, f"exai:ignore[{code}] gives no reason, so it hides nothing")
            elif (line, code) not in used:
                yield _comment(name, line, f"exai:ignore[{code}] hides nothing")


def _comment(name: str, line: int, message: str) -> Finding:
    return Finding("SEM109", Status.INFO, message, BY_CODE["SEM109"].hint, Location(name, line))


def _decisions(source: bytes) -> Iterator[tuple[int, tuple[frozenset[str], str]]]:
    """(line, (codes, reason)) of each comment that decides something."""
    for token in tokenize.tokenize(BytesIO(source).readline):
        if token.type == tokenize.COMMENT and (found := _IGNORE.search(token.string)):
            codes = frozenset(code.strip().upper() for code in found[1].split(","))
            yield token.start[0], (codes, found[2].strip())
