"""The page's files, as they are served: type, body, compressed body, ETag.

``vendor/chart.js`` is Chart.js, put there by ``make charts`` and by the build of the image. Where it is
missing, the page says so and shows tables.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).with_name("static")
CHARTS: Final = "vendor/chart.js"
PAGE: Final = "index.html"
LOGIN: Final = "login.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_WORTH_COMPRESSING: Final = 1000
"""Bytes."""
_MISSING: Final = b'<meta name="charts" content="no">'
_PRESENT: Final = b'<meta name="charts" content="yes">'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file.

    Attributes:
        compressed: The body by gzip, None where that saves nothing.
        etag: Of the body, in its quotes.
    """

    media_type: str
    body: bytes
    compressed: bytes | None
    etag: str


def load(folder: Path = STATIC) -> Mapping[str, Asset]:
    """The files by their path below the folder, with slashes. Reads and compresses: about 20 ms."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    return {name: _asset(path.suffix, _body(name, path, CHARTS in found)) for name, path in found.items()}


def _body(name: str, path: Path, charts: bool) -> bytes:
    """The file's bytes; the page is told whether there is Chart.js, so that it asks for nothing in vain."""
    body = path.read_bytes()
    return body.replace(_MISSING, _PRESENT) if charts and name == PAGE else body


def _asset(suffix: str, body: bytes) -> Asset:
    small = gzip.compress(body, 6, mtime=0) if len(body) >= _WORTH_COMPRESSING else body
    return Asset(
        media_type=_TYPES[suffix],
        body=body,
        compressed=small if len(small) < len(body) else None,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    )
