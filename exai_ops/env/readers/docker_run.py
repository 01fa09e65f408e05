"""``docker run --env-file``, which is also Compose's ``format: raw``: the literal rest of each line.

Quotes, comments behind a value and trailing spaces belong to the value. A bare key takes the value of the
shell. White space in a name, bytes that are no UTF-8 and a line of 64 KiB refuse the file (docker/cli,
``pkg/kvfile``).
"""

from __future__ import annotations

from collections.abc import Mapping

from exai_ops.env.model import Reading
from exai_ops.env.readers._reading import BOM, GO_SPACE, Gathering, Refused, decode, first_bad_line

_MAX_LINE_BYTES = 64 * 1024  # Go's bufio.MaxScanTokenSize, the line feed included


def read(data: bytes, environ: Mapping[str, str], *, reader: str = "docker-run") -> Reading:
    """What it sets."""
    gathering = Gathering(reader)
    try:
        _read(data, environ, gathering)
    except Refused as refused:
        return gathering.refuse(refused)
    return gathering.done()


def read_raw(data: bytes, environ: Mapping[str, str]) -> Reading:
    """The same for an ``env_file`` entry with ``format: raw``."""
    return read(data, environ, reader="compose-raw")


def _read(data: bytes, environ: Mapping[str, str], gathering: Gathering) -> None:
    bad = first_bad_line(data)
    lines = data.split(b"\n")
    for number, raw in enumerate(lines, start=1):
        if len(raw) >= _MAX_LINE_BYTES:
            raise Refused(f"line {number}: longer than {_MAX_LINE_BYTES} bytes", number)
        if number == bad:
            raise Refused(f"line {number}: bytes that are no UTF-8", number)
        text = decode(raw.removesuffix(b"\r"))
        _line(text.removeprefix(BOM) if number == 1 else text, number, environ, gathering)


def _line(text: str, number: int, environ: Mapping[str, str], gathering: Gathering) -> None:
    line = text.lstrip(GO_SPACE)
    if not line or line[0] == "#":
        return
    key, equals, value = line.partition("=")
    if not key:
        raise Refused(f"line {number}: no variable name", number)
    if " " in key or "\t" in key:
        raise Refused(f"line {number}: the variable's name contains white space", number)
    if equals:
        gathering.set(key, value, number)
    elif key in environ:
        gathering.set(key, environ[key], number)
    else:
        gathering.need(key)
        gathering.problem(number, "a bare name that the environment does not give is left unset")
