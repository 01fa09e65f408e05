"""What each pattern is called, why it loses permits, and what to write in its place."""

from __future__ import annotations

from typing import Final, NamedTuple

from exai_ops.findings import Status


class Rule(NamedTuple):
    """A pattern's row; ``title`` is the good outcome, ``message`` has a place for the receiver."""

    code: str
    severity: Status
    title: str
    message: str
    hint: str
    explanation: str


_WITH: Final = "take it with async with (with, in threads)"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "SEM101",
        Status.ERROR,
        "a permit comes back whatever happens after it was taken",
        "{} is given back only when nothing fails after its acquire",
        f"{_WITH}, or begin a try at once and release in its finally",
        "Between acquire and release stand calls or awaits. An exception or a cancellation in one of them "
        "skips the release, and the permit is lost.",
    ),
    Rule(
        "SEM102",
        Status.ERROR,
        "nothing stands between an acquire and the try that gives it back",
        "what stands between the acquire of {} and its try may fail",
        f"{_WITH}, or move what stands between into the try",
        "The finally releases only once its try has begun. What fails, or is cancelled, before that keeps "
        "the permit.",
    ),
    Rule(
        "SEM103",
        Status.ERROR,
        "a permit comes back on every way through a function",
        "{} is given back on some ways only",
        f"{_WITH}; where the permit goes on to somebody else on success, give it back under "
        "except BaseException",
        "The release stands in a branch, in a loop, or in a handler that not every failure takes: except "
        "Exception does not see a cancellation, which is a BaseException.",
    ),
    Rule(
        "SEM104",
        Status.WARNING,
        "no acquire stands within wait_for",
        "wait_for around the acquire of {}: up to Python 3.11 a cancellation in that moment is swallowed",
        "async with asyncio.timeout(...) around async with; before Python 3.11, the async_timeout package",
        "wait_for runs the acquire in a task of its own up to Python 3.11. When the caller is cancelled in "
        "the moment in which the permit has come, Python 3.8 to 3.11 swallow the cancellation and go on with "
        "the permit, Python 3.7 loses the permit. Since 3.12 neither happens. See docs/sem-acquire.md.",
    ),
    Rule(
        "SEM105",
        Status.ERROR,
        "nobody takes a permit for a caller that may be gone",
        "{} is acquired apart from its caller: cancelled meanwhile, it is taken for nobody",
        "await the acquire itself, within asyncio.timeout if it must not last",
        "create_task, gather, shield, run_in_executor and the like go on when who waits for them is "
        "cancelled. The acquire then takes a permit that nobody knows of, in every version of Python.",
    ),
    Rule(
        "SEM106",
        Status.ERROR,
        "a permit is given back only by who has it",
        "the try around the acquire of {} gives back in its finally even what it never got",
        f"{_WITH}, or put the acquire before the try",
        "When the acquire itself is cancelled or fails, the finally releases a permit that was not taken: "
        "one more than the limit is then under way, or BoundedSemaphore raises ValueError in the finally "
        "and hides the first error.",
    ),
    Rule(
        "SEM107",
        Status.ERROR,
        "an acquire that may give up is asked whether it did",
        "nobody looks whether the acquire of {} took anything",
        "if not acquire(...): return, or raise",
        "With a timeout or without blocking, acquire answers False when it took nothing. Who does not look "
        "works without a permit, and gives back one that it does not have.",
    ),
    Rule(
        "SEM108",
        Status.UNKNOWN,
        "every file could be read",
        "{}",
        "see the message",
        "A file could not be read, or is no Python of the version that exai runs on. Nothing is said of it.",
    ),
    Rule(
        "SEM109",
        Status.INFO,
        "every exai:ignore hides something, and says why",
        "{}",
        "take it away, or say why after the bracket",
        "A comment # exai:ignore[SEM101] reason hides a finding of its line. One without a reason hides "
        "nothing.",
    ),
)
BY_CODE: Final = {rule.code: rule for rule in RULES}
