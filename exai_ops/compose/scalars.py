"""Scalars of YAML as values, typed as Compose types them, and as the text of an environment.

That is YAML 1.2 with the octal, binary and underscored integers of 1.1; ``yes`` and ``on`` are strings.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

ScalarValue: TypeAlias = str | int | float | bool | None

_WORDS: Final[dict[str, ScalarValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGERS: Final = (
    (re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})"), 10, re.compile("_")),
    (re.compile(r"[-+]?0o?[0-7_]{1,30}"), 8, re.compile("_|(?<=0)o")),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]{1,30}"), 16, re.compile("_")),
    (re.compile(r"[-+]?0b[01_]{1,70}"), 2, re.compile("_")),
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def typed(text: str, tag: str | None = None, *, plain: bool = True) -> ScalarValue:
    """The value of a scalar; one in quotes or of a block (not ``plain``) is a string."""
    if not plain or tag in ("tag:yaml.org,2002:str", "!"):
        return text
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in "+-.0123456789" else text


def _number(text: str) -> ScalarValue:
    for pattern, base, noise in _INTEGERS:
        if pattern.fullmatch(text):
            try:
                return int(noise.sub("", text), base)
            except ValueError:
                return text
    return float(text.replace("_", "")) if _FLOAT.fullmatch(text) else text


def as_text(value: ScalarValue) -> str:
    """A scalar as Compose writes it into an environment: ``true``, ``511`` for 0777, ``1.1`` for 1.10."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float_text(value) if isinstance(value, float) else str(value)


def _float_text(value: float) -> str:
    """As Go's ``%v`` does: the shortest digits, with an exponent from 1e+06 on and below 1e-04."""
    text = repr(value)
    if text in _GO_WORDS or "e" in text:
        return _GO_WORDS.get(text, text)
    whole, _, fraction = text.removesuffix(".0").partition(".")
    if abs(value) < 1e6:
        return f"{whole}.{fraction}" if fraction else whole
    sign, digits = ("-" if value < 0 else ""), whole.lstrip("-")
    mantissa = (digits + fraction).rstrip("0")
    rest = f".{mantissa[1:]}" if mantissa[1:] else ""
    return f"{sign}{mantissa[0]}{rest}e+{len(digits) - 1:02d}"


_GO_WORDS: Final = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
