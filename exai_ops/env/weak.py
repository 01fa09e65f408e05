"""Why a token or password that somebody chose is too easily guessed."""

from __future__ import annotations

import re
from typing import Final

from exai_ops.env.secrets import entropy

MAKE_ONE: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
"""The command that makes a good one."""
SHORTEST: Final = 16
_BITS: Final = 44.0  # of a whole value: 16 random hexadecimal digits have 48 and more
_GUESSED: Final = (
    r"(?i)tests?|demo|dev|local(?:host)?|secrets?|passw(?:or)?d|tokens?|admin|root|users?|default|welcome|letmein|qwerty\w*"
    r"|12345\d*|abcdef\w*|redis|postgres|supabase|exai|example|hello|changeit|change|server|prod(?:uction)?|key|api|my|the"
    r"|(?:19|20)\d\d"
)
_CHOSEN: Final = frozenset({"TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "SECRET", "SALT"})
_CHOSEN_ENDS: Final = ("PASSWORD", "PASSWD", "PASSPHRASE")


def is_chosen(key: str) -> bool:
    """Whether a key is that of a secret that its owner makes up, as providers make API keys."""
    words = key.upper().split("_")
    return words[-1] in _CHOSEN or words[-1].endswith(_CHOSEN_ENDS) or words[-2:] == ["SECRET", "KEY"]


def weakness(value: str) -> str | None:
    """Why a value is weak, in words that do not give it away, or None."""
    if len(value) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if entropy(value) * len(value) < _BITS:
        return "is made of few different characters"
    if len(re.sub(r"[^A-Za-z0-9]", "", re.sub(_GUESSED, "", value))) < SHORTEST // 2:
        return "is made of words and sequences that are tried first"
    return None
