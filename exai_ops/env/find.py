"""Which files ``exai env`` looks at, when it is not told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    folder: Path,
    *,
    example: str | None = None,
    live: str | None = None,
    compose: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Found:
    """The files that were named, and of the others the first of their usual names that is there.

    ``COMPOSE_FILE`` names compose files too, in ``environ`` (the shell's) or else in the folder's ``.env``.
    Raises CouldNotLook when nothing was named and nothing is there: it says which names were looked for.
    """
    found_live = live or _first(folder, LIVE)
    found = Found(
        example=example or _first(folder, EXAMPLES),
        live=found_live,
        main=MAIN if found_live != MAIN and _there(folder / MAIN) else None,
        compose=tuple(compose) or _told(folder, environ or {}) or _compose(folder),
    )
    if found == Found():
        raise CouldNotLook(
            f"no environment file here; looked for {', '.join((*EXAMPLES, *LIVE, *COMPOSE))}",
            hint="go to the project's folder, or name them with --example, --live and --compose",
        )
    return found


def quoted(path: str) -> str:
    """A path as it stands in a command that a hint gives."""
    if path and all(c.isalnum() or c in "_@%+=:./-" for c in path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"


def _first(folder: Path, names: Sequence[str]) -> str | None:
    return next((name for name in names if _there(folder / name)), None)


def _there(path: Path) -> bool:
    """Whether anything has this name, if only a link to nothing: it is refused, and not passed over."""
    return there(path) or path.is_symlink()


def _told(folder: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What ``COMPOSE_FILE`` names, the shell's winning over that of the file, as for Compose."""
    values = environ
    if "COMPOSE_FILE" not in environ:
        values = {**_read_main(folder, environ), **environ}
    names = values.get("COMPOSE_FILE", "").split(values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)
    return tuple(name for name in names if name)


def _read_main(folder: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """What Compose reads from the folder's ``.env``, if that has something to say about compose files."""
    if environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "t", "true"):
        return {}
    try:
        data = (folder / MAIN).read_bytes() if (folder / MAIN).is_file() else b""
    except OSError:
        return {}
    if b"COMPOSE_FILE" not in data:
        return {}
    from exai_ops.env.readers import READERS

    return READERS["compose"](data, environ).values


def _compose(folder: Path) -> tuple[str, ...]:
    """What Compose takes by itself, in the first of the folders that has something."""
    for inside in COMPOSE_FOLDERS:
        if files := default_files(str(folder / inside)):
            return tuple(inside + Path(file).name for file in files)
    return ()
