"""The rules of ``exai monitor analyze``, and how they are run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exai_ops.errors import UsageError
from exai_ops.findings import Status
from exai_ops.monitor.analysis import find_durations, find_failures, find_recording
from exai_ops.monitor.analysis.model import Judged, Rule, View, judged

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "MON001",
        Status.ERROR,
        "errors come no more often than else",
        "exai monitor tail --errors shows them as they come",
        "A scan over windows of all lengths, for each type: errors among the events of a window against "
        "the share "
        "outside of it, by the likelihood ratio of Poisson counts, divided by how much more than "
        "Poisson's the counts "
        "vary. At least 10 errors, 3 times what is usual, 2 % of the window's events. Rate limits are "
        "MON005's.",
        find_failures.error_bursts,
    ),
    Rule(
        "MON002",
        Status.WARNING,
        "less than a tenth of a type's events are errors",
        "exai monitor tail --errors shows them as they come",
        "Where errors are there all along, no window stands out: this is said by their share, from 20 "
        "errors on, "
        "if they are in a third and more of the times at which there was traffic. Not where a filter "
        "chose events.",
        find_failures.errors_all_along,
    ),
    Rule(
        "MON003",
        Status.WARNING,
        "response times keep their level",
        "exai monitor tail --slower 1s shows the slow ones",
        "Medians of successive windows with at least 20 events each; the stretch of windows whose ranks "
        "differ most "
        "from the rest. It is said when its median is 1.5 times that of the rest and 2 ms more, far "
        "outside of the "
        "windows' own scatter, when single events differ too, and when neither a curve over time nor "
        "the load "
        "explains it nearly as well. From 200 timed events of a function on; failures are left aside.",
        find_durations.latency_shifts,
    ),
    Rule(
        "MON004",
        Status.WARNING,
        "no function's p99 is far from its median",
        "exai monitor trace REQUEST shows where a slow call's time went",
        "p99 of at least 100 ms and 25 times the median, from 500 timed events of a function on, 8 of "
        "which lie "
        "beyond. Where MON003 says that the level has changed, that is the reason, and no tail is named.",
        find_durations.slow_tails,
    ),
    Rule(
        "MON005",
        Status.WARNING,
        "no other side refuses by rate limits",
        "fewer calls at once, or a higher limit at the provider",
        "Events of direction rate_limit, and those whose metadata has status 429: at least 6, and 2 % "
        "of what was "
        "sent, or a burst as MON001 finds them. The advised wait is the median of retry_after_s.",
        find_failures.throttling,
    ),
    Rule(
        "MON006",
        Status.ERROR,
        "connections are not lost and made again all at once",
        "exai monitor tail --direction connect,disconnect shows them",
        "A window with at least 20 connects, 4 times what is usual and far outside of chance, and half as "
        "many disconnects around it; half of these by an error, or less than a call beyond the usual for two "
        "connects: scripts that connect, call and leave are no storm. Where half of the connections that "
        "ended had lived equally long, within 5 %, a timer is the suspect: the ping's, or an idle limit "
        "between client and daemon.",
        find_recording.reconnect_storms,
    ),
    Rule(
        "MON007",
        Status.WARNING,
        "connections do not all end at one age",
        "compare EXAI_WS_PING_INTERVAL and EXAI_WS_PING_TIMEOUT with the idle limit of what is between",
        "Half of at least 20 connections that ended had lived equally long, within 5 %, and at least 5 s "
        "(duration_s of the disconnect).",
        find_recording.same_age,
    ),
    Rule(
        "MON008",
        Status.WARNING,
        "completions are had at the first attempt",
        "exai monitor tail --errors shows why the first fail",
        "Requests whose metadata has an attempt above 1: at least 10, and 15 % of all requests, or a "
        "burst of them "
        "with that share.",
        find_failures.retries,
    ),
    Rule(
        "MON009",
        Status.WARNING,
        "waits for permits do not keep growing",
        "exai sem check says who holds permits",
        "permit_wait_ms and queue_wait_ms, as the 75th percentile of successive windows: a trend by the "
        "test of Mann "
        "and Kendall, three times as long in the last third as in the first, and 100 ms at least.",
        find_durations.waits_grow,
    ),
    Rule(
        "MON010",
        Status.ERROR,
        "no permit leaks",
        "exai sem check says who took it",
        "Events of the function permit_leak: the daemon has seen that nothing can give the permit back.",
        find_durations.permit_leaks,
    ),
    Rule(
        "MON011",
        Status.WARNING,
        "a steady stream has no holes",
        "see whether the daemon or the recorder was down, or blocked: exai status",
        "The longest time without any event, if chance cannot have made it by how rare empty times are "
        "else, if it is "
        "5 times as long as the next longest, and if at least 30 events are usual in as much time "
        "beside it. Not "
        "where a filter chose events.",
        find_recording.holes,
    ),
    Rule(
        "MON012",
        Status.WARNING,
        "the recorded tail missed nothing",
        "a tail that writes to a file keeps up better than one on a terminal; exai monitor export reads "
        "what is kept",
        "Lines that exai monitor tail writes where events are missing: dropped, gap.",
        find_recording.missed,
    ),
    Rule(
        "MON013",
        Status.WARNING,
        "the clock was not set back",
        "let NTP slew the clock, not step it",
        "A timestamp more than 1 s before the one recorded before it. A recording of which more than 5 "
        "% goes back is "
        "not in order, and is left alone.",
        find_recording.clock_steps,
    ),
    Rule(
        "MON014",
        Status.WARNING,
        "every line is an event",
        "see that line: it is damaged, or another program's",
        "Lines that hold no JSON, no event, or numbers that no event has are skipped and counted.",
        find_recording.unread_lines,
    ),
    Rule(
        "MON015",
        Status.UNKNOWN,
        "every file could be read to its end",
        "copy it anew, or leave it out",
        "A compressed file that breaks off, JSON without events, a file that is no recording. What was "
        "read before "
        "is counted.",
        find_recording.broken_files,
    ),
)


def judge(rules: Sequence[Rule], view: View) -> list[Judged]:
    """What the rules find, in their order."""
    return [judged(rule, found) for rule in rules for found in rule.function(view)]


def select(only: Sequence[str] = (), skip: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules asked for, by codes or how they begin. Raises UsageError where none does."""
    for option, codes in (("--only", only), ("--skip", skip)):
        for code in codes:
            if not any(rule.code.startswith(code.upper()) for rule in RULES):
                raise UsageError(
                    f"{option}: no rule has the code {code}", hint="--list-rules shows every code"
                )

    def fits(rule: Rule, codes: Sequence[str]) -> bool:
        return any(rule.code.startswith(code.upper()) for code in codes)

    return tuple(rule for rule in RULES if (not only or fits(rule, only)) and not fits(rule, skip))


def explained(code: str) -> str:
    """A rule in full. Raises UsageError for no rule's code."""
    import textwrap

    for rule in RULES:
        if rule.code == code.strip().upper():
            parts = (f"{rule.code} ({rule.severity}): {rule.title}", rule.explanation, f"Hint: {rule.hint}")
            return "\n\n".join(textwrap.fill(part, 100) for part in parts) + "\n"
    raise UsageError(f"no rule has the code {code}", hint="--list-rules shows every code")
