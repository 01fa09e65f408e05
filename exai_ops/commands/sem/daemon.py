"""Our own daemon: its ledger when it answers, its memory when it does not, both when they disagree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exai_ops.commands.control import get_page
from exai_ops.errors import CouldNotLook, ExaiError
from exai_ops.findings import Finding, Location, Status
from exai_ops.settings import Settings, environment, load

if TYPE_CHECKING:
    from exai_ops.sem.model import Judgement, Scan


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
    status, health = get_page(settings, "/status"), get_page(settings, "/health")
    now_s = time.monotonic()
    return scan_of(health, status, at_s=now_s, took_s=now_s - began_s), status


def _from_memory(settings: Settings, error: CouldNotLook) -> tuple[Scan, list[Judgement]]:
    """The passive way, for a daemon that lives and does not answer."""
    from exai_ops.daemon import runstate
    from exai_ops.sem.check import look
    from exai_ops.sem.passive.scanner import PassiveScanner

    state = runstate.read(settings, settings.ws_port)
    if state is None or not state.alive():
        raise error
    with PassiveScanner(state.pid) as scanner:
        scan, said = look(scanner)
    return _noted(scan, f"the daemon does not answer ({error.message}): read from its memory"), said


def _noted(scan: Scan, note: str) -> Scan:
    from dataclasses import replace

    return replace(scan, notes=(note, *scan.notes))


def _compared(settings: Settings, scan: Scan) -> list[Finding]:
    """What the ledger and the memory disagree on, twice."""
    from exai_ops.sem.ledger import disagreements
    from exai_ops.sem.rules import rule_of
    from exai_ops.sem.passive.scanner import PassiveScanner

    rule = rule_of("SEM007")
    try:
        with PassiveScanner(scan.pid) as scanner:
            lines = set(disagreements(scan, scanner.scan()))
            if lines:
                again, _ = _ledger(settings)
                lines = {line.partition(":")[0] for line in lines}
                second = disagreements(again, scanner.scan())
                return [
                    Finding(rule.code, rule.severity, line, rule.hint, Location())
                    for line in second
                    if line.partition(":")[0] in lines
                ]
    except ExaiError as error:
        message = f"the ledger was not compared with the memory: {error.message}"
        return [Finding(rule.code, Status.SKIP, message, error.hint or "", Location())]
    return []
