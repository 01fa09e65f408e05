"""Which files ``exai env`` looks at, when it is not told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from exai_ops.compose.names import NAMES, default_files, there
from exai_ops.errors import CouldNotLook

EXAMPLES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
LIVE: Final = (".env.docker", ".env")
MAIN: Final = ".env"
COMPOSE_FOLDERS: Final = ("compose/", "")
COMPOSE: Final = tuple(folder + name for folder in COMPOSE_FOLDERS for name in NAMES)


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
        main=MAIN if found_live != MAIN and there(folder / MAIN) else None,
        compose=tuple(compose) or _compose(folder),
    )
    if found == Found():
        raise CouldNotLook(
            f"no environment file here; looked for {', '.join((*EXAMPLES, *LIVE, *COMPOSE))}",
            hint="go to the project's folder, or name them with --example, --live and --compose",
        )
    return found


def _first(folder: Path, names: Sequence[str]) -> str | None:
    return next((name for name in names if there(folder / name)), None)


def _compose(folder: Path) -> tuple[str, ...]:
    """What Compose takes by itself, in the first of the folders that has something."""
    for inside in COMPOSE_FOLDERS:
        if files := default_files(str(folder / inside)):
            return tuple(inside + Path(file).name for file in files)
    return ()
