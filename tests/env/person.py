"""A new user who does what hints say, to the letter, and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from exai_ops.cli import main

Finding: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[["Person", Finding, re.Match[str]], None]


class Person:
    """Someone in the current folder; what was learnt about how to run things is in ``options``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.options: list[str] = []
        self._capsys = capsys

    def look(self, *args: str) -> list[Finding]:
        """What the check finds, skips left out."""
        main(["env", "check", "--format", "json", *self.options, *args])
        found: list[Finding] = json.loads(self._capsys.readouterr().out)["findings"]
        return [finding for finding in found if finding["status"] != "skip"]

    def follow(self, finding: Finding) -> None:
        """Do what the hint says. Fails for a hint that gives neither a line nor a command."""
        hint = finding["hint"] or ""
        for pattern, step in STEPS:
            if match := re.search(pattern, hint):
                step(self, finding, match)
                return
        pytest.fail(f"{finding['code']} does not say what to do: {hint!r}")


def _lines(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").split("\n")


def _save(file: str, lines: list[str]) -> None:
    Path(file).write_text("\n".join(lines), encoding="utf-8")


def _at(finding: Finding, change: Callable[[str], str]) -> None:
    """Change the line that the finding is at."""
    file, number = finding["where"]["file"], finding["where"]["line"]
    lines = _lines(file)
    lines[number - 1] = change(lines[number - 1])
    _save(file, lines)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _append(file: str, text: str) -> None:
    body = Path(file).read_text(encoding="utf-8")
    Path(file).write_text(f"{body}{'' if body.endswith(chr(10)) else chr(10)}{text}\n", encoding="utf-8")


def _write(person: Person, finding: Finding, match: re.Match[str]) -> None:
    _at(finding, lambda line: _indent(line) + match[1])


def _take_out(person: Person, finding: Finding, match: re.Match[str]) -> None:
    lines = _lines(finding["where"]["file"])
    del lines[finding["where"]["line"] - 1]
    _save(finding["where"]["file"], lines)


def _add(person: Person, finding: Finding, match: re.Match[str]) -> None:
    _append(match[1], match[2])


def _exai(person: Person, finding: Finding, match: re.Match[str]) -> None:
    assert main(shlex.split(match[1])[1:]) == 0
    person._capsys.readouterr()


def _shell(person: Person, finding: Finding, match: re.Match[str]) -> None:
    subprocess.run(["sh", "-c", match[1]], check=True, timeout=30)


def _made(command: str) -> str:
    done = subprocess.run(["sh", "-c", command], check=True, timeout=30, capture_output=True, text=True)
    return done.stdout.strip()


def _secret(person: Person, finding: Finding, match: re.Match[str]) -> None:
    """A value by a command, for the key that is named or that the finding is about."""
    file, key = finding["where"]["file"], match[1] or finding["where"]["name"]
    line = f"{key}={_made(match[2])}"
    there = [n for n, text in enumerate(_lines(file)) if text.startswith(f"{key}=")]
    if not there:
        return _append(file, line)
    lines = _lines(file)
    lines[there[-1]] = line
    return _save(file, lines)


def _untrack(person: Person, finding: Finding, match: re.Match[str]) -> None:
    subprocess.run(shlex.split(match[1]), check=True, timeout=30, capture_output=True)
    Path(".gitignore").touch()
    _append(".gitignore", match[2])


def _without(person: Person, finding: Finding, match: re.Match[str]) -> None:
    gone = {int(number) for number in re.findall(r"[0-9]+", match[1])}
    file = finding["where"]["file"]
    _save(file, [line for number, line in enumerate(_lines(file), 1) if number not in gone])


def _unsuppress(person: Person, finding: Finding, match: re.Match[str]) -> None:
    _at(finding, lambda line: re.sub(rf"\s*# ?{re.escape(match[1])}.*", "", line))


def _unspace(person: Person, finding: Finding, match: re.Match[str]) -> None:
    _at(finding, lambda line: re.sub(r"\s*=\s*", "=", line.strip(), count=1))


def _under_environment(person: Person, finding: Finding, match: re.Match[str]) -> None:
    """One more entry, indented like those that are there."""
    file = finding["where"]["file"]
    lines = _lines(file)
    service = next(n for n, line in enumerate(lines) if line.strip() == f"{match[1]}:")
    place = next(n for n in range(service, len(lines)) if lines[n].strip() == "environment:")
    indent = _indent(lines[place + 1])
    key = re.split(r"[=:]", match[2].removeprefix("- "))[0]
    old = [n for n in range(place + 1, len(lines)) if re.match(rf"{indent}(?:- )?{key}\b", lines[n])]
    lines[place + 1 : place + 1] = [indent + match[2]]
    for number in old[:1]:
        del lines[number + 1]
    _save(file, lines)


def _move_up(person: Person, finding: Finding, match: re.Match[str]) -> None:
    file, number, target = finding["where"]["file"], finding["where"]["line"], int(match[1])
    lines = _lines(file)
    lines.insert(target - 1, lines.pop(number - 1))
    _save(file, lines)


def _depend(person: Person, finding: Finding, match: re.Match[str]) -> None:
    """The mapping in place of the list, which ends where the finding is."""
    file, number = finding["where"]["file"], finding["where"]["line"]
    lines = _lines(file)
    start = max(n for n in range(number) if "depends_on:" in lines[n])
    indent = _indent(lines[start])
    lines[start:number] = [indent + match[1]]
    _save(file, lines)


def _add_to_service(person: Person, finding: Finding, match: re.Match[str]) -> None:
    file, number = finding["where"]["file"], finding["where"]["line"]
    entries = re.split(r", (?=(?:restart|logging|mem_limit): )", match[1])
    lines = _lines(file)
    lines[number:number] = [f"    {entry}" for entry in entries]
    _save(file, lines)


def _remember(person: Person, finding: Finding, match: re.Match[str]) -> None:
    person.options += ["--env-file", match[1]]


def _fill_in(person: Person, finding: Finding, match: re.Match[str]) -> None:
    lines = [f"{match[1]}=a-value" if line == f"{match[1]}=" else line for line in _lines(match[2])]
    _save(match[2], lines)


def _fill_in_one(person: Person, finding: Finding, match: re.Match[str]) -> None:
    value = _made(match[3])
    lines = [f"{match[1]}={value}" if line == f"{match[1]}=" else line for line in _lines(match[2])]
    _save(match[2], lines)


def _replace(old: str, new: str) -> Step:
    """Within the line: ``new`` may refer to the hint's first group as ``{0}``."""

    def step(person: Person, finding: Finding, match: re.Match[str]) -> None:
        _at(finding, lambda line: re.sub(old, lambda _: new.format(match[1]), line, count=1))

    return step


STEPS: Final[tuple[tuple[str, Step], ...]] = (
    (r"^run (exai env (?:fix|check) [^,:]+)", _exai),
    (r"or run (exai env sync[^,;]*)$", _exai),
    (r"; (exai env fix) does it$", _exai),
    (r"^run (sed .+)$", _shell),
    (r"^run (cp \S+ \S+), and fill it in", _shell),
    (r"^run docker compose --env-file (\S+) ", _remember),
    (r"^(git rm --cached (\S+)), put it into \.gitignore", _untrack),
    (r"^fill in (\w+)= in (\S+)$", _fill_in),
    (r"^fill in (\w+)= in (\S+); this makes one: (python3 -c '[^']*')", _fill_in_one),
    (r"^add to (\S+): (\S+)", _add),
    (r"^take out lines? ([0-9, and]+)", _without),
    (r"^take it out", _take_out),
    (r"^take out the white space()", _unspace),
    (r"^take out (exai:ignore\[\w+\])", _unsuppress),
    (r"^rename it to (\w+)", _replace(r"^[^=]+", "{0}")),
    (r"^(?:set (\w+)|make (?:one|another one for \w+)): (python3 -c '[^']*')", _secret),
    (r"^write # in front of it()", _replace(r"^", "# ")),
    (r"or write (\w+=) with nothing behind it", _write),
    (r"^write (\w+=[^ ;,]*)", _write),
    (r"^write double quotes()", _replace(r"'(.*)'", '"${{X}}"')),
    (r'^write (- "127\.0\.0\.1:[^"]+")', _write),
    (r"^under environment of ([\w-]+): ([^,]+)", _under_environment),
    (r"^move env_file above line ([0-9]+)", _move_up),
    (r"^write (depends_on: .*)$", _depend),
    (r"^write (\$\{\w+:\?[^}]*\})$", _replace(r"\$\{\w+:-[^}]*\}", "{0}")),
    (r"^write (\S+) in place of localhost", _replace("localhost", "{0}")),
    (r"^write (\$\{\w+\}) in its place", _replace(r"(?<=:)[^:@]+(?=@)", "{0}")),
    (r"^write \$\$ for a (\$) that is meant", _replace(r"\$", "$$")),
    (r"^add ((?:restart|logging|mem_limit): .*)$", _add_to_service),
    (r"^write a test .*: (\[.*\])$", _replace(r"\[.*\]", "{0}")),
)
