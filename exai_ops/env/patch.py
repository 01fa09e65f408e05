"""A unified diff of two states of a file that shows no secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exai_ops.env.lines import whole
from exai_ops.env.masking import Mask, is_stray, printable
from exai_ops.env.matching import Hunk, hunks
from exai_ops.env.model import Assignment, Comment, Document, Node, Unparsable
from exai_ops.env.shown import MASK


def patch(before: Document, after: Document, *secrets: Document) -> str:
    """What changes, in unified form; the secrets of both and of ``secrets`` are masked, also in comments.

    Lines are compared as they are and shown masked, so a line may go and come with the same look.
    """
    mask = Mask(before, after, *secrets)
    old, new = _split(before.text), _split(after.text)
    shown_old, shown_new = list(_shown(before, mask)), list(_shown(after, mask))
    out = [f"--- {printable(before.path)}", f"+++ {printable(after.path)}"]
    for hunk in hunks(old, new):
        out += [_heading(hunk), *_body(hunk, shown_old, shown_new)]
    return "".join(f"{line}\n" for line in out) if len(out) > 2 else ""


def _split(text: str) -> list[str]:
    """Lines with their ends; only ``\\n`` ends one, as for the numbers in findings."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _shown(document: Document, mask: Mask) -> Iterator[str]:
    """The lines of the text, masked, without their ends."""
    text = "".join(_masked(node, mask) for node in document.nodes)
    first = "<BOM>" if document.bom else ""
    for line in _split(first + text):
        yield printable(line.removesuffix("\n")) + _ending(line)


def _ending(line: str) -> str:
    return "" if line.endswith("\n") else "  (no newline at the end)"


def _masked(node: Node, mask: Mask) -> str:
    """The text of a node with as many lines as before."""
    if isinstance(node, Assignment):
        return _assignment(node, mask)
    if isinstance(node, Comment):
        return mask.comment(node.raw)
    return _every_line(node.raw) if isinstance(node, Unparsable) else node.raw


def _assignment(node: Assignment, mask: Mask) -> str:
    start = node.column - 1 + len(node.key) + len(node.separator)
    head, tail = node.raw[:start], node.raw[start + len(node.written) :]
    if is_stray(node.key):
        return _every_line(node.raw)
    masked = mask.value(node.key, whole(node)) == MASK
    written = _every_line(node.written) if masked else node.written
    return head + written + mask.comment(tail)


def _every_line(text: str) -> str:
    ends = (line[len(line.rstrip("\r\n")) :] for line in _split(text))
    return "".join(MASK + end for end in ends)


def _heading(hunk: Hunk) -> str:
    first, last = hunk[0], hunk[-1]
    return f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"


def _range(start: int, stop: int) -> str:
    length = stop - start
    return f"{start + (length > 0)}" if length == 1 else f"{start + (length > 0)},{length}"


def _body(hunk: Hunk, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for tag, old_start, old_stop, new_start, new_stop in hunk:
        if tag == "equal":
            yield from (f" {line}" for line in old[old_start:old_stop])
            continue
        yield from (f"-{line}" for line in old[old_start:old_stop])
        yield from (f"+{line}" for line in new[new_start:new_stop])
