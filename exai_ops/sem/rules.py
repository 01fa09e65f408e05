"""What a verdict means to the person who reads it: a code, a severity and a hint for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exai_ops.findings import Finding, Location, Status
from exai_ops.sem.model import Judgement, Scan, Semaphore, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A verdict's row. ``title`` is the good outcome; ``explanation`` says how it is come by."""

    code: str
    severity: Status
    title: str
    hint: str
    explanation: str
    verdicts: frozenset[Verdict] = frozenset()


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="SEM001",
        severity=Status.ERROR,
        title="every permit that is out can still be given back",
        hint="look at the line that takes it: release in a finally, or take it with async with",
        explanation="A permit is out, and nothing that lives can give it back: no frame inside a with block "
        "or between acquire and release, no object, callback or timer that releases. Said only "
        "when two scans at least a second apart agree. The number is the smaller of the two.",
        verdicts=frozenset({Verdict.LEAKED}),
    ),
    Rule(
        code="SEM002",
        severity=Status.ERROR,
        title="no permit is given back twice",
        hint="look for a release that runs without its acquire; BoundedSemaphore raises where it happens",
        explanation="More permits are free or held than the semaphore was made with, so the limit no longer "
        "holds. Said only when two scans agree, and never of a semaphore that began at zero, "
        "which counts or signals and has no bound.",
        verdicts=frozenset({Verdict.OVER_RELEASED}),
    ),
    Rule(
        code="SEM003",
        severity=Status.WARNING,
        title="it is clear who gives back each permit that is out",
        hint="follow it with exai sem watch PID, or look from inside with exai sem check PID --inject",
        explanation="A permit is out, and something might give it back, but nothing shows that it has it: an "
        "object that knows the semaphore, or a task that may call release on a way that need not "
        "be taken.",
        verdicts=frozenset({Verdict.SUSPECT}),
    ),
    Rule(
        code="SEM004",
        severity=Status.INFO,
        title="nothing waits for a permit",
        hint="see whether the holders get on; if they do, the limit is what slows the program",
        explanation="All permits are out, each with a holder that lives, and something waits. This is what a "
        "limit is for; it is a fault only when the holders do not get on.",
        verdicts=frozenset({Verdict.SATURATED}),
    ),
    Rule(
        code="SEM005",
        severity=Status.SKIP,
        title="the bound of every semaphore is known",
        hint="exai sem watch PID --for 60s tells a loss without it; BoundedSemaphore and "
        "TrackedSemaphore keep it",
        explanation="A plain Semaphore does not keep the number that it was made with, and the source could "
        "not say it either. So nothing is said of its permits, good or bad.",
    ),
    Rule(
        code="SEM006",
        severity=Status.UNKNOWN,
        title="every semaphore could be read",
        hint="run it again; if it stays so, exai sem check PID --inject looks from inside",
        explanation="Something could not be read, or went on changing while it was read. Nothing is said of "
        "it.",
    ),
    Rule(
        code="SEM007",
        severity=Status.WARNING,
        title="the daemon's ledger and its memory say the same",
        hint="keep the output of exai sem check --format json and report it as a defect",
        explanation="exai's own daemon keeps a ledger of its permits and answers with it. The same ledger, "
        "read from outside, says something else, three times in a row, while the answer stays the "
        "same.",
    ),
    Rule(
        code="SEM008",
        severity=Status.UNKNOWN,
        title="every process that was asked for could be read",
        hint="see the message",
        explanation="With --all or a name, a process was found and could not be looked into. Said whatever "
        "--only asks for: of that process nothing else is known.",
    ),
    Rule(
        code="SEM009",
        severity=Status.INFO,
        title="the baseline holds only what is still found",
        hint="write the baseline anew",
        explanation="--baseline FILE --write-baseline keeps what is found, by code, file and name of the "
        "semaphore; --baseline FILE then shows what is new. An entry that is no longer found is mended. Not "
        "said of a semaphore or process that could not be read.",
    ),
)

_BY_VERDICT: Final = {verdict: rule for rule in RULES for verdict in rule.verdicts}
_BY_CODE: Final = {rule.code: rule for rule in RULES}


def rule_of(code: str) -> Rule:
    """The row of a code. Raises KeyError."""
    return _BY_CODE[code]


def findings(scan: Scan, judgements: Sequence[Judgement]) -> Iterator[Finding]:
    """One for each semaphore, in their order: what is idle or busy is ``ok``."""
    for semaphore, judgement in zip(scan.semaphores, judgements, strict=True):
        yield finding(scan.pid, semaphore, judgement)


def finding(pid: int, semaphore: Semaphore, judgement: Judgement) -> Finding:
    """What a verdict on one semaphore means."""
    rule = _rule(semaphore, judgement)
    where = _location(semaphore)
    message = f"{named(semaphore)}: {said(semaphore, judgement)}"
    if rule is None:
        return Finding("SEM001", Status.OK, message, "", where)
    return Finding(rule.code, rule.severity, message, rule.hint.replace("PID", str(pid)), where)


def named(semaphore: Semaphore) -> str:
    """The name that a person knows it by."""
    name = semaphore.where[0] if semaphore.where else f"at {semaphore.address:#x}"
    return f"{name} ({semaphore.type_name or semaphore.kind})"


def said(semaphore: Semaphore, judgement: Judgement) -> str:
    """The verdict in words, with the numbers behind it."""
    number = f" {judgement.permits}" if judgement.permits else ""
    bound = "?" if semaphore.bound is None else semaphore.bound
    waiting = sum(not waiter.granted for waiter in semaphore.waiters)
    parts = [f"{judgement.verdict}{number}", f"{semaphore.value} of {bound} free", f"{semaphore.held} held"]
    if waiting:
        parts.append(f"{waiting} waiting")
    if judgement.why:
        parts.append(judgement.why)
    return ", ".join(parts)


def _rule(semaphore: Semaphore, judgement: Judgement) -> Rule | None:
    if judgement.verdict is Verdict.UNKNOWN:
        return _BY_CODE["SEM006" if semaphore.why else "SEM005"]
    return _BY_VERDICT.get(judgement.verdict)


def _location(semaphore: Semaphore) -> Location:
    name = semaphore.where[0] if semaphore.where else None
    if semaphore.built is None:
        return Location(None, None, name)
    return Location(semaphore.built.file, semaphore.built.line, name)
