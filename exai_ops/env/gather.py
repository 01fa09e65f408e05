"""The context of a check, from files and the process: the thin edge in front of the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exai_ops.env.config import Config
from exai_ops.env.find import Found
from exai_ops.env.load import load_document, read_text
from exai_ops.env.model import Document
from exai_ops.env.readers import READERS
from exai_ops.env.rules.table import Context
from exai_ops.env.suppression import MARK, Suppression, in_config, in_text
from exai_ops.env.tracked import Tracked, unasked
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.settings import STACK_VARIABLES, VARIABLES, shell

if TYPE_CHECKING:
    from exai_ops.compose.model import Project
    from exai_ops.env.code import CodeUse

_USUAL: Final = ("python-dotenv", "compose")
_MEND: Final = "mend it (docker compose config says the same), or name another with --compose or --env-file"


class Gathered(NamedTuple):
    """A context, and what has been said about its findings where they stand."""

    context: Context
    suppressions: tuple[Suppression, ...]


def gather(
    found: Found,
    config: Config,
    *,
    env_file: str | None = None,
    code: str | None = None,
    environ: Mapping[str, str] | None = None,
    tracked: Callable[[], Tracked] = unasked,
) -> Gathered:
    """Everything that the rules look at. Raises CouldNotLook for what is there and cannot be read.

    Args:
        env_file: What compose is run with as ``--env-file``.
        code: Folder of the code whose variables are looked for.
        environ: The shell's environment; the process's own without it.
        tracked: Gives the paths that git tracks; called last, when all files have been read.
    """
    around = dict(shell() if environ is None else environ)
    project = _project(found, env_file or _configured(config, found), around)
    use = _code(code)
    context = Context(
        example=_document(found.example),
        live=_document(found.live),
        main=_document(found.main),
        project=project,
        code=use,
        readers=readers_in_use(config, project, use),
        variables=_variables(),
        stack=tuple(variable.name for variable in STACK_VARIABLES),
        public=config.public,
        differ=config.differ,
        tracked=tracked(),
        environ=around,
    )
    return Gathered(context=context, suppressions=_suppressions(context, config))


def readers_in_use(config: Config, project: Project | None, use: CodeUse | None) -> tuple[str, ...]:
    """Names of the readers: the configured ones, else those of the compose file and of the code.

    Raises UsageError for a name that is none.
    """
    if config.readers is not None:
        strange = [name for name in config.readers if name not in READERS]
        if strange:
            raise UsageError(f"[tool.exai] readers: {strange[0]!r} is not known", hint=f"one of {_names()}")
        return config.readers
    raw = project is not None and any(e.raw for s in project.services.values() for e in s.env_files)
    places = [read for reads in use.reads.values() for read in reads] if use is not None else []
    node = any("process.env" in read.how for read in places)
    wanted = [*_USUAL, *(["compose-raw"] if raw else []), *(["node"] if node else [])]
    return tuple(name for name in wanted if name in READERS)


def _names() -> str:
    return ", ".join(READERS)


def _document(path: str | None) -> Document | None:
    return None if path is None else load_document(path)


def _project(found: Found, env_file: str | None, environ: Mapping[str, str]) -> Project | None:
    if not found.compose:
        return None
    from exai_ops.compose.project import load_project

    if env_file is not None:
        read_text(env_file)  # what Compose would take for text, and is none
    try:
        return load_project(found.compose, env_file=env_file, environ=environ, read_env=_read_env)
    except CouldNotLook as error:
        if error.hint is not None:
            raise
        raise CouldNotLook(error.message, hint=_MEND) from None


def _configured(config: Config, found: Found) -> str | None:
    """The env file that the configuration names. Raises CouldNotLook when it has yet to be made."""
    name = config.env_file
    if name is not None and found.compose and not Path(name).exists():
        make = f"cp {found.example} {name}" if found.example else f"make {name}"
        raise CouldNotLook(
            f"{name}: does not exist, and [tool.exai] env_file in pyproject.toml names it",
            hint=f"{make}, and fill it in",
        )
    return name


def _read_env(data: bytes, environ: Mapping[str, str]) -> Mapping[str, str]:
    return READERS["compose"](data, environ).values


def _code(folder: str | None) -> CodeUse | None:
    if folder is None:
        return None
    from exai_ops.env.code_scan import scan_code

    return scan_code(folder)


def _variables() -> dict[str, Any]:
    return {name: variable for variable in VARIABLES for name in variable.names}


def _suppressions(context: Context, config: Config) -> tuple[Suppression, ...]:
    found = in_config(config.ignore)
    for document in context.documents():
        found += in_text(document.path, document.text)
    for path in context.project.files if context.project is not None else ():
        text = _text(path)
        found += in_text(path, text) if MARK in text else []
    return tuple(found)


def _text(path: str) -> str:
    """The text of a compose file, which could be read a moment ago."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
