"""A scan for a person and for a program: every semaphore with its holders, its waiters and where they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from exai_ops.findings import Finding
from exai_ops.sem.model import Holder, Judgement, Scan, Semaphore, Site, Verdict, Waiter
from exai_ops.sem.rules import finding, findings, said

SCHEMA_VERSION: Final = 1
_MOST: Final = 5
_KEPT_BY_THE_KERNEL: Final = ("threading.Lock", "threading.RLock", "multiprocessing.")
_CALM: Final = frozenset({Verdict.IDLE, Verdict.BUSY})


def as_text(scan: Scan, judgements: Sequence[Judgement], *, most: int | None = _MOST) -> str:
    """A block for each semaphore and a count at the end; at most ``most`` holders and waiters of each."""
    counted = ((scan.semaphores, "semaphore"), (scan.tasks, "task"), (scan.threads, "thread"))
    numbers = ", ".join(_number(n if isinstance(n, int) else len(n), noun) for n, noun in counted)
    python = f", Python {scan.python}" if scan.python else ""
    lines = [f"PID {scan.pid}{python}: {numbers}; read in {scan.took_s * 1000:.0f} ms"]
    lines += [f"note: {note}" for note in scan.notes]
    for semaphore, judgement in zip(scan.semaphores, judgements, strict=True):
        lines += ["", *_block(scan.pid, semaphore, judgement, most)]
    counts = Counter(judgement.verdict for judgement in judgements)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return "\n".join([*lines, "", summary or "no semaphore"]) + "\n"


def as_json(scans: Sequence[tuple[Scan, Sequence[Judgement]]], extra: Sequence[Finding] = ()) -> str:
    """``{schema_version, processes: [scan with a verdict for each semaphore], findings: [...]}``."""
    processes = [document(scan, judgements) for scan, judgements in scans]
    found = [f for scan, judgements in scans for f in findings(scan, judgements)] + list(extra)
    whole = {
        "schema_version": SCHEMA_VERSION,
        "processes": processes,
        "findings": [one._asdict() | {"where": one.where._asdict()} for one in found],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def document(scan: Scan, judgements: Sequence[Judgement]) -> dict[str, Any]:
    """A scan as plain data, each semaphore with its verdict, number and reason."""
    data = asdict(scan)
    for semaphore, judgement in zip(data["semaphores"], judgements, strict=True):
        semaphore |= {"verdict": judgement.verdict, "permits": judgement.permits, "reason": judgement.why}
        semaphore["address"] = f"{semaphore['address']:#x}"
    return data


def _block(pid: int, one: Semaphore, judgement: Judgement, most: int | None) -> Iterator[str]:
    name = one.where[0] if one.where else f"at {one.address:#x}"
    yield f"{judgement.verdict.upper()}  {name}  {one.type_name or one.kind}"
    yield f"    {said(one, judgement)}"
    yield from (f"    also {other}" for other in one.where[1:])
    if one.built is not None:
        yield f"    built at {one.built}"
    certain = [holder for holder in one.holders if holder.certain]
    possible = [holder for holder in one.holders if not holder.certain]
    yield from _listed("held by", [_holder(holder) for holder in certain], most)
    yield from _listed("might come back from", [_holder(holder) for holder in possible], most)
    yield from _listed("waits:", [_waiter(waiter) for waiter in one.waiters], most)
    if not one.value and not one.waiters and one.kind.startswith(_KEPT_BY_THE_KERNEL):
        yield f"    waits: not known of a {one.kind}: threads and processes that wait for one are in no list"
    if judgement.verdict not in _CALM:
        yield f"    hint: {finding(pid, one, judgement).hint}"


def _listed(label: str, blocks: list[list[str]], most: int | None) -> Iterator[str]:
    shown = blocks if most is None else blocks[:most]
    for first, *rest in shown:
        yield f"    {label} {first}"
        yield from (f"        {line}" for line in rest)
    if len(blocks) > len(shown):
        yield f"    {label} {len(blocks) - len(shown)} more (--verbose shows all)"


def _holder(holder: Holder) -> list[str]:
    number = (
        "" if holder.permits == 1 else " (any number)" if holder.permits is None else f" ({holder.permits})"
    )
    since = "" if holder.since_s is None else f" for {holder.since_s:.1f} s"
    return [f"{holder.name} [{holder.what}]{number}{since}", *_stack(holder.stack)]


def _waiter(waiter: Waiter) -> list[str]:
    return [f"{waiter.name}{' (granted)' if waiter.granted else ''}", *_stack(waiter.stack)]


def _stack(stack: Sequence[Site]) -> list[str]:
    return [str(site) for site in stack]


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
