"""Text of others on a terminal: what could drive it is shown, not sent."""

from __future__ import annotations


def visible(text: str, *, keep: str = "\n\t") -> str:
    """A text with control characters, but for those to ``keep``, as escapes."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
