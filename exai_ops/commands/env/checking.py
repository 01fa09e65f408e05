"""``exai env check`` without typer: its options as values, what it does with them, the quick way to them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exai_ops.env.tracked import asking
from exai_ops.errors import UsageError
from exai_ops.findings import exit_code, parse_fail_on

if TYPE_CHECKING:
    from exai_ops.env.rules.table import Rule
    from exai_ops.env.tracked import Tracked
    from exai_ops.findings import Finding


class Options(NamedTuple):
    """The options of the command, under their names there; those that may be repeated are tuples."""

    example: str | None = None
    live: str | None = None
    compose: tuple[str, ...] = ()
    env_file: str | None = None
    code: str | None = None
    format: str = "text"
    fail_on: str = "error"
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    list_rules: bool = False
    explain: str | None = None
    baseline: str | None = None
    write_baseline: bool = False


def quickly(args: Sequence[str]) -> int | None:
    """Run the command, or None when its arguments are for typer: help, a mistake, or anything unusual."""
    options = parse(args)
    if options is None:
        return None
    gc.disable()  # nothing here is cyclic garbage worth the tenth of the time that looking for it takes
    try:
        return run(options)
    finally:
        gc.freeze()  # nor the 4 ms of a last look at all of it when the process ends
        gc.enable()


def parse(args: Sequence[str]) -> Options | None:
    """Options from plain arguments, ``--name value`` and ``--name=value``; None for any other."""
    names = {f"--{name.replace('_', '-')}": name for name in Options._fields}
    given: dict[str, Any] = {}
    left = list(reversed(args))
    while left:
        option, equals, value = left.pop().partition("=")
        name = names.get(option)
        if name is None:
            return None
        default = Options._field_defaults[name]
        if default is False:
            if equals:
                return None
            given[name] = True
            continue
        value = value if equals else left.pop() if left else "-"
        if not equals and value.startswith("-"):
            return None
        given[name] = (*given.get(name, ()), value) if default == () else value
    return Options(**given)


def run(options: Options) -> int:
    """Do it, and the exit code."""
    if options.list_rules or options.explain is not None:
        return _tell(options)
    with asking(Path()) as tracked:  # git is at work while the rules are imported and the files are read
        return _judge(options, tracked)


def _tell(options: Options) -> int:
    from exai_ops.env.rules import RULES
    from exai_ops.env.rules.listing import explained, listed
    from exai_ops.env.runner import rule_of

    chosen, code = _chosen(options), options.explain
    print(listed(chosen) if code is None else explained(rule_of(RULES, code)), end="")
    return 0


def _chosen(options: Options) -> Sequence[Rule]:
    from exai_ops.env.rules import RULES
    from exai_ops.env.runner import select

    return select(RULES, only=_split(options.only), skip=_split(options.skip))


def _judge(options: Options, tracked: Callable[[], Tracked]) -> int:
    from exai_ops.env import baseline
    from exai_ops.env.config import read_config
    from exai_ops.env.find import find
    from exai_ops.env.gather import gather
    from exai_ops.env.rules import RULES
    from exai_ops.env.runner import Leave, run
    from exai_ops.render import renderer
    from exai_ops.settings import shell

    chosen = _chosen(options)
    render, least = renderer(options.format), parse_fail_on(options.fail_on)
    base = None if options.baseline is None else Path(options.baseline)
    if options.write_baseline and base is None:
        raise UsageError("--write-baseline needs --baseline FILE", hint="name the file to write")
    here = Path()
    found = find(here, example=options.example, live=options.live, compose=options.compose, environ=shell())
    seen = gather(found, read_config(here), env_file=options.env_file, code=options.code, tracked=tracked)
    leave = Leave(
        suppressions=seen.suppressions,
        known=None if base is None or options.write_baseline else baseline.read(base),
        baseline=str(base),
        codes=frozenset(rule.code for rule in RULES),
    )
    findings = run(chosen, seen.context, leave)
    if options.write_baseline and base is not None:
        keep(base, findings)
        return 0
    print(render(findings), end="")
    return exit_code(findings, fail_on=least)


def keep(base: Path, findings: Sequence[Finding]) -> None:
    """Write a baseline, and say on stderr how many findings it holds. Raises CouldNotLook."""
    from exai_ops.env import baseline

    count = baseline.write(base, findings)
    print(f"exai: {base}: written, with {count} finding{'' if count == 1 else 's'}", file=sys.stderr)


def _split(texts: Sequence[str]) -> list[str]:
    """Codes, each option one or several with commas between."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
