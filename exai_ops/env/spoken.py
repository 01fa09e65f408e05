"""Secrets that a sentence says: ``password is ...``, ``mysql -p...``, ``curl -u user:...``.

A word behind the name of a password is masked when it looks chosen: letters mixed with digits or signs, a
number of four digits or more, any word behind ``is`` or a colon that begins no phrase. Prose keeps its words.
"""

from __future__ import annotations

import re
from typing import Final

from exai_ops.env.shown import MASK, is_secret_key

# Patterns are text, which ``re`` compiles when it is first tried: a check needs none of them.
_PASSWORDS: Final = frozenset({
    "password", "passwords", "passwd", "pass", "pw", "pws", "pwd", "passphrase", "passcode", "pin", "psk",
    "secret", "secrets", "credential", "credentials", "creds", "cred", "login", "logins", "mnemonic",
    "bearer", "otp",
})  # fmt: skip
_KEYS: Final = frozenset(
    {"key", "apikey", "auth", "dsn", "jwt", "salt", "cookie", "signature", "user", "seed"}
)
"""What prose speaks of as well: only what stands right behind, or behind ``is``, is theirs."""
_COPULA: Final = frozenset({"is", "was", "=", "==", ":", "->", "=>", "are", "were", "now", "still"})
_PROSE: Final = frozenset(
    """a an the this that these those it its not no none never always only also still now then if when where
    which who with without for from of to in into on at by as and or but be been being set unset read given
    taken used needed required optional empty generated issued made kept stored shared passed sent checked
    hashed encrypted masked hidden ignored missing wrong invalid valid the same different here there below
    above behind see in one any each all both same per your our their my is are was were must may can should
    will would has have had do does via via""".split()  # noqa: SIM905
)
_OPTION: Final = (
    r"(?<!\S)(?P<option>--?(?:password|passwd|passphrase|pass|requirepass|masterauth|token|secret|user|auth|pw"
    r"|api-?key)(?:=|[ \t]+)|-u[ \t]+(?=\S*:)(?![0-9]*:[0-9]*(?:\s|$))|(?<=redis-cli )-a[ \t]+"
    r"|-p[ \t]+(?![0-9.:]+(?:\s|$)|[/.~])|-p(?=\S*[^a-z\s-])(?![0-9.:]+(?:\s|$)))"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|\S+)"
)
_INITIALS: Final = tuple("paurmts")  # of the options
_PIECES: Final = r"(\s+)"
_COUNTED: Final = frozenset({"rfc", "port", "line", "page", "chapter", "issue"})
_EDGES: Final = "\"'`()[]{}<>.,;"
_CALL: Final = r"[a-z_(]+\.[a-z_]+\(.*"
_VERSION: Final = r"(?i)v?[0-9]+(?:\.[0-9]+)+|[0-9]{1,3}(?:[a-z]{1,3}|%)?|[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?"


def masked(text: str) -> str:
    """A comment or title without the secrets that it says."""
    parts = re.split(_PIECES, without_options(text))
    names = [part.strip(_EDGES + ":=#*-").lower() for part in parts]
    for at in range(len(parts)):
        if names[at] in _PASSWORDS or names[at] in _KEYS or _is_name(names[at]):
            _mask_behind(parts, names, at)
    return "".join(parts)


def without_options(text: str) -> str:
    """A text without the passwords that the options of commands in it give."""
    if any(word[:1] == "-" and word.lstrip("-")[:1] in _INITIALS for word in text.split()):
        return re.sub(_OPTION, _masked_option, text)
    return text


def _is_name(word: str) -> bool:
    return "_" in word and is_secret_key(word)


def _masked_option(match: re.Match[str]) -> str:
    return match[0] if match["value"].startswith("$") else f"{match['option']}{MASK}"


def _mask_behind(parts: list[str], names: list[str], at: int) -> None:
    """Mask what stands behind the name of a secret: up to eight words on, of a weak name the next one."""
    strong = names[at] in _PASSWORDS or _is_name(names[at])
    told, left = parts[at].endswith((":", "=")), 8 if strong else 1
    for place in range(at + 2, len(parts), 2):
        if parts[place].strip(_EDGES).lower() in _COPULA:
            told = True
            continue
        counted = names[place - 2] in _COUNTED and names[place].isdigit()
        if (_is_chosen(parts[place]) and not counted) or (told and strong and _is_word(names[place])):
            parts[place] = MASK
        told, left = False, left - 1
        if not left:
            return


def _is_chosen(word: str) -> bool:
    """Whether a word is likely a password: mixed, or a long number; no version, date or amount."""
    body = word.strip(_EDGES)
    if (
        MASK in body
        or "://" in body
        or re.fullmatch(f"{_VERSION}|{_CALL}", body)
        or body.startswith(("$", "--"))
    ):
        return False
    digits = sum(c.isdigit() for c in body)
    letters = any(c.isalpha() for c in body)
    signs = any(c in "!@$%^&*~+?|" for c in body.rstrip("!?:*"))
    return (
        (digits > 0 and letters and len(body) >= 5) or (digits >= 4) or (signs and letters and len(body) >= 5)
    )


def _is_word(name: str) -> bool:
    """Whether a word behind ``is`` or a colon may be the secret itself."""
    return len(name) >= 3 and name not in _PROSE and not name.endswith(("ed", "ing")) and MASK not in name
