"""Our own daemon: its ledger when it answers, its memory when it does not, both when they disagree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exai_ops.commands.page import State, page
from exai_ops.errors import CouldNotLook, ExaiError
from exai_ops.findings import Finding, Location, Status
from exai_ops.settings import Settings, environment, load

if TYPE_CHECKING:
    from exai_ops.sem.model import Judgement, Scan

_LOOKS: Final = 3


def look_at_daemon(
    port: int | None, env_file: Path | None, extra: list[Finding]
) -> tuple[Scan, list[Judgement]]:
    """The daemon's permits with their verdicts. Raises CouldNotLook when none runs.

    Args:
        port: In place of EXAI_WS_PORT.
        env_file: Beneath the environment.
        extra: Takes a finding for each disagreement, and one when the memory could not be read.
    """
    settings = load(environment(env_file), overrides={} if port is None else {"ws_port": port})
    from exai_ops.sem.ledger import judgements

    try:
        scan, status = _ledger(settings)
    except CouldNotLook as error:
        return _from_memory(settings, error)
    extra += _compared(settings, scan)
    return scan, judgements(scan, status)


def _ledger(settings: Settings) -> tuple[Scan, dict[str, Any]]:
    from exai_ops.sem.ledger import scan_of

    began_s = time.monotonic()
    status = page(settings, "/status", State)[0]
    now_s = time.monotonic()
    try:
        return scan_of(status, at_s=now_s, took_s=now_s - began_s), status
    except ValueError as error:
        raise CouldNotLook(
            f"what answers at port {settings.ws_port} is no exai daemon of this version: {error}",
            hint="exai sem check PID reads it from its memory",
        ) from error


def _from_memory(settings: Settings, error: CouldNotLook) -> tuple[Scan, list[Judgement]]:
    """The passive way, for a daemon that lives and does not answer."""
    from exai_ops.daemon import runstate
    from exai_ops.sem.check import look
    from exai_ops.sem.passive.daemon import DaemonScanner

    state = runstate.read(settings, settings.ws_port)
    if state is None or not state.alive():
        raise error
    with DaemonScanner(state.pid) as scanner:
        scan, said = look(scanner)
    return _noted(scan, f"the daemon does not answer ({error.message}): read from its memory"), said


def _noted(scan: Scan, note: str) -> Scan:
    from dataclasses import replace

    return replace(scan, notes=(note, *scan.notes))


def _compared(settings: Settings, scan: Scan) -> list[Finding]:
    """What the ledger and the memory disagree on, every time that it is looked at."""
    from exai_ops.sem.ledger import disagreements
    from exai_ops.sem.passive.daemon import DaemonScanner
    from exai_ops.sem.rules import rule_of

    rule = rule_of("SEM007")
    before = scan.semaphores
    lines: dict[str, str] = {}
    try:
        with DaemonScanner(scan.pid) as scanner:
            for number in range(_LOOKS):
                memory = scanner.ledgers()
                after = _ledger(settings)[0].semaphores
                found = disagreements(before, memory, after)
                lines = {name: line for name, line in found.items() if not number or name in lines}
                if not lines:
                    return []
                before = after
    except ExaiError as error:
        message = f"the ledger was not compared with the memory: {error.message}"
        return [Finding(rule.code, Status.SKIP, message, error.hint or "", Location())]
    return [Finding(rule.code, rule.severity, line, rule.hint, Location()) for line in lines.values()]
