"""What goes over when one file follows another: freely from the example, with care from the live file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from exai_ops.env.lines import fitted, whole, with_value
from exai_ops.env.masking import Mask, hidden, placeholder
from exai_ops.env.model import Assignment, Comment, Document
from exai_ops.env.publish import Policy
from exai_ops.env.sections import commented_key
from exai_ops.env.shown import MASK, is_placeholder, is_secret_key


class Side(Protocol):
    """How the source's lines are written into the target.

    Attributes:
        marks: Whether a value that a person must fill in gets a comment that says so.
    """

    marks: bool

    def value(self, source: Assignment) -> str:
        """The value as written, for a key that the target lacks."""

    def inline(self, source: Assignment) -> str | None:
        """The comment behind it."""

    def comment(self, source: Comment) -> str:
        """A comment above it, without line end."""

    def to_fill(self, source: Assignment) -> bool:
        """Whether a person must fill in the value in the target."""

    def followed(self, source: Document, target: Document) -> Iterator[tuple[int, str]]:
        """Index of each assignment of the target that gets another value, and its new raw text."""


class Reverse:
    """From the example to the live file: as it is written, and no value of the live file is touched."""

    marks = True

    def value(self, source: Assignment) -> str:
        """The example's."""
        return source.written

    def inline(self, source: Assignment) -> str | None:
        """The example's."""
        return source.inline

    def comment(self, source: Comment) -> str:
        """As it is."""
        return source.raw.rstrip()

    def to_fill(self, source: Assignment) -> bool:
        """For a placeholder, and for a secret that is empty."""
        return is_placeholder(source.value) and bool(source.value or is_secret_key(source.key))

    def followed(self, source: Document, target: Document) -> Iterator[tuple[int, str]]:  # noqa: ARG002
        """None."""
        return iter(())


class Forward:
    """From the live file to the example: nothing that might be a secret goes over."""

    marks = False

    def __init__(self, live: Document, policy: Policy) -> None:
        self._mask, self._policy = Mask(live), policy

    def value(self, source: Assignment) -> str:
        """The live one where it is public, else a placeholder."""
        return source.written if self._public(source) else placeholder(source.key)

    def inline(self, source: Assignment) -> str | None:
        """The live one, masked."""
        return None if source.inline is None else self._mask.comment(source.inline)

    def comment(self, source: Comment) -> str:
        """The live one, masked; an assignment in it without its value."""
        key = commented_key(source)
        return self._mask.comment(source.raw.rstrip()) if key is None else f"# {key}={MASK}"

    def to_fill(self, source: Assignment) -> bool:
        """For a value that did not go over, under no secret's name: somebody must say what to show."""
        return not self._public(source) and not is_secret_key(source.key)

    def followed(self, source: Document, target: Document) -> Iterator[tuple[int, str]]:
        """Public values that differ for no reason, and secrets of the live file that the example holds."""
        for index, node in enumerate(target.nodes):
            live = source.last_of(node.key) if isinstance(node, Assignment) else None
            if live is not None and isinstance(node, Assignment) and live.separator and node.separator:
                last = node is target.last_of(node.key)
                if last and self._policy.follows(node, live, self._mask):
                    yield index, with_value(node, fitted(live, node.quote), target.newline)
                elif self._leaked(node, live):
                    yield index, with_value(node, placeholder(node.key), target.newline)

    def _public(self, source: Assignment) -> bool:
        return self._policy.publishable(source, self._mask)

    def _leaked(self, example: Assignment, live: Assignment) -> bool:
        """Whether the example holds the live file's secret."""
        secret = hidden(live.key, whole(live)) and not is_placeholder(live.value)
        return secret and whole(example) == whole(live) and not self._public(live)
