"""Tells secrets from other values: by shape, by entropy, by the name of the key. Values are not kept.

Three questions, three ears. An assignment of a dotenv file: any real value under a secret's name counts.
A line of configuration: a value under a secret's name counts when it is dense, as random characters are. A
line of code or prose: the same in quotes alone. Shapes count everywhere. What is plainly made up (a
placeholder, a reference, a test word, a sequence, one letter over and over) never does.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from exai_ops.env.secret_shapes import API_KEY, BEARER, JWT, MARKS, PRIVATE_KEY, URL, Shape, matches
from exai_ops.env.shown import is_placeholder, is_secret_key

Manner: TypeAlias = Literal["dotenv", "config", "code"]

NAMED: Final = "a value under the name of a secret"
_SALT: Final = os.urandom(16)
_MADE_UP_LETTERS: Final = frozenset({
    "testing", "sample", "dummy", "redacted", "masked", "hidden", "secret", "secrets", "password", "passwd",
    "token", "undefined", "foobar", "default", "invalid", "wrong", "canary",
})  # fmt: skip
"""Words that count when no other letter is beside them."""
_MADE_UP_WORDS: Final = frozenset({
    "test", "tests", "fake", "mock", "demo", "none", "null", "foo", "todo", "unset", "dev", "local", "my",
    "not", "some",
})  # fmt: skip
"""Words that count when no other letter or digit is beside them."""
_MADE_UP_PARTS: Final = (
    "example", "12345", "23456", "abcdef", "qwert", "asdfg", "00000", "11111", "xxxx", "***", "...", "\u2026",
)  # fmt: skip
"""What counts anywhere."""
_REFERENCE: Final = r"\{\{|%\(|%s|<[^<>]*>|\{[^{}]*\}|^(?:os|process|env|self|settings|config)\.|^!"
_DEFAULTED: Final = r"\$\{[A-Za-z_][A-Za-z0-9_]*:?[-=+]([^{}]*)\}"
_VARIABLE: Final = r"\$\{[^{}]*\}?|\$\(.*|\$\$?([A-Za-z_][A-Za-z0-9_]*)"
_HARMLESS: Final = r"(?i)[+-]?[0-9.,:]{1,15}|true|false|yes|no|on|off|[a-z][a-z0-9+.-]*://[^@]*"
_PATH: Final = r"(?:\.{0,2}|~|[A-Za-z]:)[/\\].*"
_PUBLIC: Final = r"(?i)PUBLIC[_-]?KEY|(?<![A-Za-z])SITE[_-]?KEY|PUBLISHABLE|WebSocket-Key"
_DATA_KEYS: Final = frozenset({
    "primarykey", "foreignkey", "partitionkey", "sortkey", "rangekey", "rowkey", "cachekey", "idempotencykey",
    "uniquekey", "dedupkey", "routingkey", "objectkey",
})  # fmt: skip
_UUID: Final = r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME: Final = r"(?<![A-Za-z0-9_.-])(?P<key>[A-Za-z_][A-Za-z0-9_.-]{0,80})"
_QUOTED: Final = (
    _NAME + r"[\"']?\]?\s*(?::(?:[A-Za-z.\[\] |]{1,60}=)?|=|:=|=>)\s*[a-z]{0,2}"
    r"(?P<q>[\"'`])(?P<value>[^\"'`\s]{8,})(?P=q)"
)
_BARE: Final = (
    _NAME + r"\s*[=:]\s*(?:\$\{[A-Za-z_][A-Za-z0-9_]*:?[-=])?(?P<value>(?!\?)[^\s\"'`#,;(){}\[\]]{8,})"
)
_SPACED: Final = r"(?i)(?:^\s*ENV\s+(?P<key>[A-Z_][A-Z0-9_]*)|(?:^|\s)password)\s+(?P<value>[^\s\"'=]{8,})"
_DEFINED: Final = r"define\(\s*[\"'](?P<key>\w+)[\"']\s*,\s*(?P<q>[\"'])(?P<value>[^\"'\s]{8,})(?P=q)"
_BEFORE: Final = r"([A-Za-z_][A-Za-z0-9_.-]*)[\"']?\]?\s*(?:=|:|:=|=>)\s*[\"'`]?$"
_DOTENV: Final = r"\s*(?:export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)\s*[=:]\s*(?P<value>.*)"
WORDS: Final = (
    "key", "token", "secret", "pass", "pwd", "cred", "_pat", "auth", "jwt", "salt", "cookie", "signature",
    "webhook", "dsn", "private", "_pw", "dbpw", "pin", "psk", "_sk", "bearer", "unseal", "mnemonic", "seed",
    "apprise",
    "phrase", "recovery", "backup",
)  # fmt: skip
"""One of them is in every name of a secret, in lower case."""
_LONGEST: Final = 20_000  # characters of a line: beyond it are bundles and data


class Hit(NamedTuple):
    """One secret.

    Attributes:
        key: Its name, or empty when it stands alone.
        what: Its kind, in words.
        sure: Whether it is one without much doubt, and harmful.
        digest: The same for the same value in this process; says nothing of it.
    """

    key: str
    what: str
    sure: bool
    digest: bytes


class _Found(NamedTuple):
    """A secret and where in the line its value stands."""

    hit: Hit
    start: int
    end: int


def of_assignment(key: str, value: str) -> Hit | None:
    """The secret that a dotenv file's assignment holds, or None."""
    shape = next(_shapes(key, value), None)
    if shape is not None:
        return shape.hit
    if not _is_named(key) or not is_real(value):
        return None
    return _hit(key, NAMED, value, sure=is_dense(value))


def may_hold(text: str) -> bool:
    """Whether it is worth asking about the lines of a text: quick, and False for most of them."""
    for mark in MARKS:
        if mark in text:
            return True
    low = text.lower()
    for word in WORDS:
        if word in low:
            return _assigns(text, low)
    return False


def _assigns(text: str, low: str) -> bool:
    """Whether something in a line may be an assignment: ``=``, ``:``, ``ENV A b``, ``define('A', 'b')``."""
    if "=" in text or ":" in text or "define(" in text:
        return True
    return "password " in low or low.lstrip().startswith("env ")


def in_line(text: str, manner: Manner) -> list[Hit]:
    """The secrets of a line, each once. For ``dotenv``, comments are read as ``config``."""
    if not may_hold(text):
        return []
    text = text[:_LONGEST]
    found: dict[bytes, _Found] = {}
    taken = bytearray(len(text))
    for one in (*_shapes("", text), *_named(text, manner)):
        if manner == "code" and one.hit.what == URL.what and not one.hit.sure:
            continue  # a service's well-known password on the author's own machine
        before = found.get(one.hit.digest)
        if before is None and not any(taken[one.start : one.end]):
            found[one.hit.digest] = one
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
        elif before is not None and one.hit.what == NAMED:
            found[one.hit.digest] = before._replace(hit=before.hit._replace(key=one.hit.key))
    return [one.hit for one in sorted(found.values(), key=lambda one: one.start)]


def _is_named(key: str) -> bool:
    return is_secret_key(key) and re.search(_PUBLIC, key) is None


def _is_of_data(key: str, value: str) -> bool:
    """Whether a name in code is that of a key of a table, or a value only tells one thing from others."""
    name = re.sub(r"[^a-z]", "", key.lower())
    return name in _DATA_KEYS or (name in ("key", "keys") and re.fullmatch(_UUID, value) is not None)


def is_real(value: str) -> bool:
    """Whether a value is one that a person chose or a machine made: not made up, referred to or harmless."""
    if len(value) < 6 or is_placeholder(value) or re.fullmatch(_HARMLESS, value):
        return False
    return not is_made_up(value) and (is_dense(value) or not re.fullmatch(_PATH, value))


def without_references(value: str) -> str:
    """A value without the variables that it refers to, and with the defaults that stand for them.

    ``$x9DL7F`` is no name that somebody gave to a variable: small and capital letters and digits are mixed.
    """
    value = re.sub(_DEFAULTED, r"\1", value)
    if re.fullmatch(_VARIABLE, value) and not is_dense(value):
        return ""
    return re.sub(_VARIABLE, lambda found: found[0] if _is_random(found[1] or "") else "", value)


def _is_random(name: str) -> bool:
    kinds = (str.isdigit, str.islower, str.isupper)
    return all(any(map(kind, name)) for kind in kinds)


def is_made_up(value: str) -> bool:
    """Whether a value only shows where one belongs, or what one looks like."""
    if "$" in value and (rest := without_references(value)) != value:
        return not is_dense(rest) or is_made_up(rest)
    body = re.sub(r"[^A-Za-z0-9]", "", value)
    few = len(set(body)) < (6 if len(body) < 32 else 8)
    return few or _says_made_up(value.lower()) or re.search(_REFERENCE, value) is not None


def _says_made_up(low: str) -> bool:
    """Whether a value in lower case holds a word of samples. Sets: one pattern would take 1 ms to compile."""
    return (
        any(part in low for part in _MADE_UP_PARTS)
        or not _MADE_UP_LETTERS.isdisjoint(re.findall(r"[a-z]+", low))
        or not _MADE_UP_WORDS.isdisjoint(re.findall(r"[a-z0-9]+", low))
    )


def is_dense(value: str) -> bool:
    """Whether a value holds a run of random characters: 12 or more, letters and digits mixed."""
    return any(
        len(chunk) >= 12
        and any(c.isdigit() for c in chunk)
        and any(c.isalpha() for c in chunk)
        and entropy(chunk) >= 3.0
        for chunk in re.findall(r"[A-Za-z0-9+/=]+", value)
    )


def entropy(text: str) -> float:
    """Shannon's, in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


def _shapes(key: str, text: str) -> Iterator[_Found]:
    if not any(mark in text for mark in MARKS):
        return
    for shape, match in matches(text):
        value = match["value"] or match[0]
        if _is_credential(shape, value):
            start, end = match.span("value" if match["value"] else 0)
            yield _Found(_kind(key or _name_before(text, match.start()), shape, value), start, end)


def _is_credential(shape: Shape, value: str) -> bool:
    """Whether what has the shape of a credential is one."""
    if shape is PRIVATE_KEY and value.startswith("-----"):
        return True  # the key itself is on the lines below
    if is_made_up(value) or (shape is API_KEY and not is_dense(value[3:])):
        return False
    if shape is BEARER:
        return is_dense(value)
    return shape is not URL or (len(value) >= 6 and not is_placeholder(value))


def _kind(key: str, shape: Shape, value: str) -> Hit:
    """A hit of a shape; a token's role is read from it: that of ``anon`` is made for the public."""
    role = _role(value) if shape is JWT else ""
    named = f"{shape.what} with the role {role}" if role else shape.what
    return _hit(key, named, value, sure=role != "anon" and (shape is not URL or is_dense(value)))


def _role(token: str) -> str:
    """The role that a token claims, when it is a known one: a claim is text from the token."""
    import base64
    import json

    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return ""
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if role in ("anon", "service_role", "authenticated") else ""


def _named(text: str, manner: Manner) -> Iterator[_Found]:
    """Values under the names of secrets."""
    low = text.lower()
    if not any(word in low for word in WORDS) or not _assigns(text, low):
        return
    whole = re.match(_DOTENV, text) if manner == "dotenv" and not text.lstrip().startswith("#") else None
    if whole is not None:
        hit = of_assignment(whole["key"], _unquoted(whole["value"]))
        if hit is not None:
            yield _Found(hit, *whole.span("value"))
        return
    for pattern in (_QUOTED, _DEFINED) if manner == "code" else (_QUOTED, _BARE, _SPACED):
        if pattern is _DEFINED and "define(" not in text:
            continue
        for match in re.finditer(pattern, text):
            key, value = match["key"] or match[0].split()[0], match["value"]
            if _is_named(key) and is_real(value) and is_dense(value) and not _is_of_data(key, value):
                yield _Found(_hit(key, NAMED, value, sure=True), *match.span("value"))


def _unquoted(written: str) -> str:
    """The value of a line of a dotenv file: without its quotes or the comment behind it."""
    text = written.strip()
    if text[:1] in ("'", '"', "`") and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()


def _name_before(text: str, at: int) -> str:
    """The name that a value behind it is assigned to, or empty."""
    match = re.search(_BEFORE, text[max(0, at - 200) : at])
    return match[1] if match else ""


def _hit(key: str, what: str, value: str, *, sure: bool) -> Hit:
    import hashlib  # its libraries are not worth loading where nothing is found

    return Hit(key, what, sure, hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=_SALT).digest())
