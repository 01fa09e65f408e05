"""The files that Compose takes by itself; kept apart, since to look for them needs none of the rest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""In Compose's order, which is compose-go's ``DefaultFileNames``."""
OVERRIDES: Final = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


def default_files(folder: str = "") -> tuple[str, ...]:
    """What Compose takes without ``-f``: the first of its names in a folder and of those of an override.

    The two need not be named alike: ``compose.override.yml`` also goes over ``docker-compose.yml``.
    """
    first = _first(folder, NAMES)
    return (*first, *_first(folder, OVERRIDES)) if first else ()


def there(path: Path) -> bool:
    """Whether anything has this name: a folder or a FIFO too, so that it is refused and not passed over."""
    try:
        return path.exists()
    except OSError:
        return True


def _first(folder: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(path) for name in names if there(path := Path(folder, name)))[:1]
