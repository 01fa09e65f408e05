"""What a variable is, and how its text becomes a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_SHOWN: Final = 40  # characters of a refused value that a message repeats

_WORDS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "url": "an http:// or https:// URL",
    "list": "names separated by commas",
    "path": "a path",
    "secret": "visible ASCII characters without spaces",
}
_UNITS: Final = {"s": " of seconds", "bytes": " of bytes"}


class Secret:
    """A value that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the place that sends it."""
        return self._value

    def matches(self, other: str) -> bool:
        """Whether ``other`` is the same value, in constant time; any text may be asked about."""
        import hmac  # OpenSSL comes with it

        return hmac.compare_digest(_octets(self._value), _octets(other))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON can carry a lone surrogate


class BadValue(ValueError):
    """A text that is not a value of its variable; ``code`` names the kind of problem."""

    def __init__(self, problem: str, *, code: str = "SET001") -> None:
        super().__init__(problem)
        self.code = code


class Variable(NamedTuple):
    """What is known of one variable.

    Attributes:
        kind: ``str``, ``int``, ``float``, ``bool``, ``secret``, ``path``, ``url`` or ``list``.
        unit: ``s``, ``bytes`` or None.
        aliases: Other names that are read when ``name`` is unset or empty, in this order.
    """

    name: str
    field: str
    kind: str
    default: Any
    section: str
    comment: str
    unit: str | None = None
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is read for it, the first that is set wins."""
        return (self.name, *self.aliases)

    def allowed(self) -> str:
        """The values that it takes, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return _WORDS.get(self.kind, "text") + _UNITS.get(self.unit or "", "") + self._range()

    def _range(self) -> str:
        low, high = (None if n is None else plain(n) for n in (self.minimum, self.maximum))
        if low is not None and high is not None:
            return f" from {low} to {high}"
        return f", at least {low}" if low is not None else ""

    def parse(self, raw: str) -> Any:
        """The value that a text stands for. Raises BadValue, which never repeats a secret."""
        if raw.startswith("#"):
            raise BadValue("holds a comment in place of a value (put the comment on a line of its own)")
        value = _PARSERS[self.kind](raw)
        return self._chosen(value) if self.choices else self.check(value)

    def check(self, value: Any) -> Any:
        """A value that is a number already, or any other, in range. Raises BadValue."""
        if self.kind in ("int", "float"):
            self._check_range(value)
        return value

    def _chosen(self, value: str) -> str:
        if value.lower() not in self.choices:
            raise BadValue(f"{_shown(value)} is not known", code="SET003")
        return value.lower()

    def _check_range(self, value: float) -> None:
        low, high = self.minimum, self.maximum
        if not ((low is None or value >= low) and (high is None or value <= high)):
            raise BadValue(f"{_shown_number(value)} is out of range", code="SET002")

    def show(self, value: Any) -> str:
        """A value as an assignment would hold it; a secret that is set becomes ``***``."""
        if self.kind == "secret":
            return "***" if value else ""
        if self.kind == "bool":
            return "true" if value else "false"
        if self.kind == "float":
            return plain(value)
        return ",".join(value) if self.kind == "list" else str(value)


class Declaration:
    """What a field of ``Settings`` says of its variable, until the class knows the field's name."""

    def __init__(self, **said: Any) -> None:
        self._said = said

    def variable(self, field: str) -> Variable:
        """The variable of a field."""
        return Variable(field=field, **self._said)


def declare(
    name: str,
    default: Any,
    section: str,
    comment: str,
    *,
    kind: str | None = None,
    unit: str | None = None,
    aliases: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """The declaration of a variable, as a field's default; the kind follows from its own unless given."""
    kinds = {bool: "bool", int: "int", float: "float", str: "str", Secret: "secret", tuple: "list"}
    return Declaration(
        name=name,
        kind=kind or kinds[type(default)],
        default=default,
        section=section,
        comment=comment,
        unit=unit,
        aliases=aliases,
        minimum=low,
        maximum=high,
        choices=choices,
    )


def plain(number: float) -> str:
    """A number without a needless fraction."""
    return str(int(number)) if number == int(number) else str(number)


def _shown(raw: str) -> str:
    return repr(raw if len(raw) <= _SHOWN else raw[:_SHOWN] + "...")


def _shown_number(value: float) -> str:
    return str(value) if abs(value) < 10**_SHOWN else "a number that large"


def _text(raw: str) -> str:
    if any(not c.isprintable() for c in raw):
        raise BadValue("holds control characters")
    return raw


def secret_of(raw: str) -> Secret:
    """A secret that a header can carry. Raises BadValue, which does not repeat it."""
    if not re.fullmatch(r"[!-~]+", raw):  # what a header can carry as one word
        raise BadValue("holds white space, control characters or other than ASCII")
    return Secret(raw)


def _bool(raw: str) -> bool:
    if raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise BadValue(f"{_shown(raw)} is neither true nor false")


def _int(raw: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", raw):
        raise BadValue(f"{_shown(raw)} is not a whole number")
    return int(raw)


def _float(raw: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", raw):
        raise BadValue(f"{_shown(raw)} is not a number")
    value = float(raw)
    if not math.isfinite(value):
        raise BadValue(f"{_shown(raw)} is not a finite number")
    return value


def _url(raw: str) -> str:
    try:
        parts = urlsplit(_text(raw))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in raw:
        raise BadValue("is not an http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise BadValue("carries credentials, which belong in the key's own variable")
    if parts.query or parts.fragment:
        raise BadValue("carries a query or a fragment, and paths are appended to it")
    return raw.rstrip("/")


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "secret": secret_of,
    "path": lambda raw: Path(_text(raw)).expanduser(),
    "url": _url,
    "list": lambda raw: tuple(part.strip() for part in _text(raw).split(",") if part.strip()),
}
