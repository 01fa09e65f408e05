"""``docker run --env-file`` and Compose's ``format: raw``: the rest of the line, as it stands.

Quotes, comments behind a value and trailing spaces belong to the value; a bare name is taken from the
environment; white space in a name refuses the file. Source: docker/cli, ``pkg/kvfile``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from exai_ops.env.model import Reading

_SPACE: Final = " \t\n\v\f\r\x85\xa0"


def _read(data: bytes, environ: Mapping[str, str], *, name: str) -> Reading:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    needs: list[str] = []
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = raw.removesuffix(b"\r").decode().lstrip(_SPACE)
        except UnicodeDecodeError:
            return _refused(name, f"line {number} is no UTF-8")
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        if not key:
            return _refused(name, f"line {number}: no variable name")
        if any(character in _SPACE for character in key):
            return _refused(name, f"line {number}: variable '{key}' contains whitespaces")
        if equals:
            values[key], lines[key] = value, number
        elif key in environ:
            values[key], lines[key] = environ[key], number
        else:
            needs.append(key)
    return Reading(reader=name, values=values, lines=lines, needs=tuple(needs))


def _refused(name: str, why: str) -> Reading:
    return Reading(reader=name, values={}, lines={}, refused=why)


read = partial(_read, name="docker-run")
read_raw = partial(_read, name="compose-raw")
