"""Text made fit to be shown or copied: the values of secrets, wherever they stand in it, become ``***``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from exai_ops.env.lines import whole
from exai_ops.env.model import Document
from exai_ops.env.shown import MASK, closes_early, is_secret_key, looks_secret, shown

_PREFIX: Final = 4  # shorter values are too common to be searched for in prose
# Patterns are text, which ``re`` compiles when it is first tried: a check needs none of them.
_WORDLIKE: Final = r"(?i)[+-]?[0-9.]{1,5}|true|false|none|null"
_USERINFO: Final = r"//(?:[^/\s:@]*:)?([^/\s]+)@|//[^/\s:@]*:(?![0-9]{1,5}/)([^\s@]+)@"
_NAMED: Final = r"([A-Za-z][A-Za-z0-9_.-]*)(\s*[=:]\s*)([^\s'\"`]+|['\"`][^'\"`]*['\"`]?)"
_PROJECT: Final = r"\b[a-z]{20}(?=\.supabase\.)"
_SPLIT: Final = r"(\s+)"
_CONTROL: Final = r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def placeholder(key: str) -> str:
    """What stands for a value that a person must fill in: ``your-redis-password-here``."""
    return f"your-{re.sub(r'[^a-z0-9]+', '-', key.lower()).strip('-')}-here"


def hidden(key: str, value: str) -> bool:
    """Whether a value may be a secret, told by its key and its shape."""
    if not value.strip() or value == placeholder(key):
        return False
    return shown(key, value) == MASK or looks_secret(value)


def is_stray(key: str) -> bool:
    """Whether a key is likely no name but a piece of a secret: a line of a private key that ends in ``=``."""
    return not key.isupper() and looks_secret(key)


def key_shown(key: str) -> str:
    """A key as it may be shown."""
    return MASK if is_stray(key) else printable(key)


def has_credentials(value: str) -> bool:
    """Whether a value holds a URL with a user or a password in it."""
    return re.search(_USERINFO, value) is not None


def printable(text: str) -> str:
    """A text without what a terminal obeys and an output cannot encode."""
    if text.isprintable():
        return text
    return re.sub(_CONTROL, _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # what stands for a byte that is no UTF-8
    return f"\\x{byte:02x}"


class Mask:
    """Hides the secrets of some documents, and of an environment, in any text; and what has the shape of one.

    A search looks only where the first characters of a secret stand, so it is linear in the text.
    """

    def __init__(self, *documents: Document, environ: Mapping[str, str] | None = None) -> None:
        self._by_prefix: dict[str, list[str]] = {}
        self._sorted = True  # the longest first
        self._keys = frozenset(key for document in documents for key in document.index)
        pairs = dict.fromkeys(
            (a.key, v) for document in documents for a in document.assignments for v in (a.value, whole(a))
        )
        for key, value in [*pairs, *(environ or {}).items()]:
            self.learn(key, value)

    def learn(self, key: str, value: str) -> None:
        """Take in the value of a key, if it may be a secret."""
        if len(value) < _PREFIX or not hidden(key, value):
            return
        for secret in set(_forms(value)):
            if len(secret) >= _PREFIX and not re.fullmatch(_WORDLIKE, secret):
                known = self._by_prefix.setdefault(secret[:_PREFIX], [])
                if secret not in known:
                    known.append(secret)
                    self._sorted = False

    def is_piece(self, key: str) -> bool:
        """Whether a key of a reading is none of the documents': what a value that is broken in two left."""
        return bool(self._keys) and key not in self._keys

    def value(self, key: str, value: str) -> str:
        """A value as it may be shown, or ``***``."""
        if hidden(key, value) or self.holds(value):
            return MASK
        return printable(value)

    def holds(self, text: str) -> bool:
        """Whether a secret of the documents stands in a text."""
        return self.without(text) != text

    def comment(self, text: str) -> str:
        """A comment as it may be copied: secrets of the documents, and what looks like one, masked."""
        from exai_ops.env.spoken import masked

        text = re.sub(_PROJECT, MASK, self.without(text))
        text = masked(re.sub(_NAMED, _masked_name, text))
        return "".join(_masked_word(word) for word in re.split(_SPLIT, text))

    def without(self, text: str) -> str:
        """A text without the secrets of the documents."""
        parts, done = [], 0
        for start, end in self._places(text):
            parts += [text[done:start], MASK]
            done = end
        return "".join([*parts, text[done:]]) if parts else text

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        if not self._sorted:
            for secrets in self._by_prefix.values():
                secrets.sort(key=len, reverse=True)
            self._sorted = True
        at = 0
        while at < len(text):
            known = self._by_prefix.get(text[at : at + _PREFIX], ())
            secret = next((s for s in known if text.startswith(s, at)), "")
            if secret:
                yield at, at + len(secret)
            at += len(secret) or 1


def _forms(value: str) -> Iterable[str]:
    """What may stand elsewhere for a value: itself, its lines, the password of a URL, decoded too."""
    yield value
    yield value.strip()
    yield from (line.strip() for line in value.splitlines())
    if closes_early(value):
        yield from value.split(value[0])
    for match in re.finditer(_USERINFO, value):
        yield match[1] or match[2]
        yield unquote(match[1] or match[2])


def _masked_name(match: re.Match[str]) -> str:
    """``password: xyz`` and ``KEY=xyz`` without the value, when the name is a secret's.

    After a colon a word in the middle of a sentence is prose: ``the token: see below``.
    """
    name, sign, value = match.groups()
    last = not match.string[match.end() :].strip()
    prose = "=" not in sign and value.isalpha() and not last
    rule = not any(c.isalnum() for c in value)  # of a heading: ``# === Secrets ===``
    return match[0] if not is_secret_key(name) or prose or rule else f"{name}{sign}{MASK}"


def _masked_word(word: str) -> str:
    if MASK in word or not any(c.isalnum() for c in word):
        return word
    parts = word.split("=")
    return MASK if any(looks_secret(part) for part in parts) else word
