"""Which files ``exai env`` looks at, when it is not told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.errors import CouldNotLook

EXAMPLES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
LIVE: Final = (".env.docker", ".env")
MAIN: Final = ".env"
_COMPOSE_NAMES: Final = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
COMPOSE: Final = (*(f"compose/{name}" for name in _COMPOSE_NAMES), *_COMPOSE_NAMES)


class Found(NamedTuple):
    """The files, as paths relative to the folder; None where there is none.

    Attributes:
        main: The ``.env`` beside them, when it is another file than ``live``.
    """

    example: str | None = None
    live: str | None = None
    main: str | None = None
    compose: tuple[str, ...] = ()


def find(
    folder: Path, *, example: str | None = None, live: str | None = None, compose: Sequence[str] = ()
) -> Found:
    """The files that were named, and of the others the first of their usual names that is there.

    Raises CouldNotLook when nothing was named and nothing is there: it says which names were looked for.
    """
    found_live = live or _first(folder, LIVE)
    found = Found(
        example=example or _first(folder, EXAMPLES),
        live=found_live,
        main=MAIN if found_live != MAIN and _there(folder / MAIN) else None,
        compose=tuple(compose) or _one(_first(folder, COMPOSE)),
    )
    if found == Found():
        raise CouldNotLook(
            f"no environment file here; looked for {', '.join((*EXAMPLES, *LIVE, *COMPOSE))}",
            hint="go to the project's folder, or name them with --example, --live and --compose",
        )
    return found


def _first(folder: Path, names: Sequence[str]) -> str | None:
    return next((name for name in names if _there(folder / name)), None)


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _there(path: Path) -> bool:
    try:
        return (
            path.exists()
        )  # also a folder or a FIFO of this name, so that it is refused and not passed over
    except OSError:
        return True
