"""Lines that read like a key and may be a piece of a secret: what follows a value that is broken in two.

A bare word is a key of its own to Compose (take it from the shell), but directly below the value of a
secret, or in a file with a quote that never ends, it may as well be the rest of that value: it is no key
then, so that nothing shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from exai_ops.env.lines import has_tail
from exai_ops.env.model import BARE, Assignment, Node, Unparsable
from exai_ops.env.shown import is_placeholder, is_secret_key, looks_secret

REST: Final = "is no assignment, and may be the rest of the value above"
_NAME: Final = r"[A-Z_][A-Z0-9_]*"
_PLAUSIBLE: Final = r"[A-Za-z_][A-Za-z0-9_.-]*"


def without_strays(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes of a file, with what may be a piece of a secret as ``Unparsable``."""
    broken = any(isinstance(node, Unparsable) and "quote" in node.problem for node in nodes)
    behind, opened = False, False  # directly below a secret; below a quote that never ends
    for node in nodes:
        if not isinstance(node, Assignment):
            behind = isinstance(node, Unparsable)
            opened = opened or (behind and broken)
            yield node
            continue
        bare = not node.separator
        if (
            (bare and (behind or broken))
            or (behind and _ends_base64(node))
            or (opened and re.fullmatch(_PLAUSIBLE, node.key) is None)
        ):
            problem = BARE if bare and re.fullmatch(_NAME, node.key) else REST
            yield Unparsable(raw=node.raw, line=node.line, problem=problem)
            behind = True
        else:
            behind = _holds_secret(node)
            yield node


def _ends_base64(node: Assignment) -> bool:
    """Whether a line may be the end of a text in base64: ``Zx9w8Qk==``."""
    if re.fullmatch(r"[A-Za-z0-9+/]+={1,2}", node.raw.strip()) is None:
        return False
    return node.value == "=" or not (node.key.isupper() or node.key.islower())


def _holds_secret(node: Assignment) -> bool:
    if is_placeholder(node.value):
        return False
    return is_secret_key(node.key) or looks_secret(node.value) or has_tail(node)
