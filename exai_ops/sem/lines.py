"""Names of others in lines of ours: what a program may have called anything stays within its line."""

from __future__ import annotations

_COMMANDS = ("::", "##[")  # what a CI server takes for an order, at the beginning of a line or within


def one_line(text: str) -> str:
    """A text without control characters, breaks of lines and characters that turn the writing round.

    What a CI server would execute when it reads it in a log is taken apart by an escape.
    """
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    for command in _COMMANDS:
        plain = plain.replace(command, "".join(f"\\x{ord(c):02x}" for c in command))
    return plain
