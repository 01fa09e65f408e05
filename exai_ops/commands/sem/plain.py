"""``exai sem check PID`` without typer, whose import takes as long as the look at a small process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import NamedTuple


class Options(NamedTuple):
    """The process, and of the command's options those that a plain call has."""

    pid: int
    format: str = "text"
    fail_on: str = "error"


def quickly(args: Sequence[str]) -> int | None:
    """Run the command, or None when its arguments are for typer: help, a mistake, or any other option."""
    options = parse(args)
    if options is None:
        return None
    gc.disable()  # there is next to no cyclic garbage, and looking for it takes a twentieth of the time
    try:
        return _run(options)
    finally:
        gc.freeze()  # nor is there a use in a last look when the process ends
        gc.enable()


def parse(args: Sequence[str]) -> Options | None:
    """Options from a number and ``--format`` and ``--fail-on`` with their values; None for anything else."""
    given: dict[str, str] = {}
    pids: list[str] = []
    left = list(reversed(args))
    while left:
        word = left.pop()
        option, equals, value = word.partition("=")
        if option in {"--format", "--fail-on"}:
            value = value if equals else left.pop() if left else "-"
            if value.startswith("-"):
                return None
            given[option[2:].replace("-", "_")] = value
        else:
            pids.append(word)
    plain = len(pids) == 1 and pids[0].isascii() and pids[0].isdecimal()
    return Options(int(pids[0]), **given) if plain else None


def _run(options: Options) -> int:
    from exai_ops.commands.terminal import visible
    from exai_ops.findings import exit_code, parse_fail_on
    from exai_ops.render import renderer
    from exai_ops.sem import report
    from exai_ops.sem.check import look
    from exai_ops.sem.passive.whole import WholeScanner
    from exai_ops.sem.rules import findings

    render, least = renderer(options.format), parse_fail_on(options.fail_on)
    with WholeScanner(options.pid) as scanner:
        scan, said = look(scanner)
    found = list(findings(scan, said))
    if options.format == "text":
        text = visible(report.as_text(scan, said))
    else:
        text = report.as_json([(scan, said)]) if options.format == "json" else render(found)
    sys.stdout.write(text)
    return exit_code(found, fail_on=least)
