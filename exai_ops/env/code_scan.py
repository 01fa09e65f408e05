"""Which variables the code below a folder reads: its files are parsed, never run, in bounded time."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from exai_ops.env.code import CodeUse, Read
from exai_ops.env.code_found import Asked, Source
from exai_ops.env.code_javascript import read_javascript
from exai_ops.env.code_shell import read_dockerfile, read_shell
from exai_ops.env.load import read_file
from exai_ops.errors import CouldNotLook

MAX_FILES: Final = 50_000
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_S: Final = 30.0
_LEFT_OUT: Final = frozenset({
    ".eggs", ".git", ".hg", ".hypothesis", ".mypy_cache", ".next", ".nox", ".nuxt", ".pytest_cache",
    ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__", "bower_components", "dist", "node_modules",
    "site-packages", "venv",
})  # fmt: skip
_SCRIPTS: Final = frozenset({".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx", ".vue", ".svelte"})
_PYTHON_WORDS: Final = re.compile(rb"environ|getenv|BaseSettings|decouple|_var\(|StackVariable\(")
_SCRIPT_WORDS: Final = re.compile(rb"\benv\b")


def scan_code(root: str | Path, *, max_files: int = MAX_FILES, max_s: float = MAX_S) -> CodeUse:
    """What the code below a folder, or one file, reads. Raises CouldNotLook when it cannot be read."""
    top = Path(root)
    hint = "name the folder of the code with --code"
    try:
        mode = top.stat().st_mode
        if stat.S_ISDIR(mode):
            next(top.iterdir(), None)
    except FileNotFoundError as error:
        raise CouldNotLook(f"{root}: does not exist", hint=hint) from error
    except OSError as error:
        raise CouldNotLook(f"{root}: {error.strerror}", hint=hint) from error
    if not stat.S_ISDIR(mode):
        read_file(root)
    scan = _Scan(top, time.monotonic() + max_s)
    scan.first_pass(max_files)
    scan.second_pass()
    return scan.use()


class _Scan:
    def __init__(self, root: Path, deadline: float) -> None:
        self._root, self._deadline = root, deadline
        self._sources: dict[str, Source] = {}
        self._unreadable: dict[str, str] = {}
        self._later: list[str] = []  # Python files that read nothing by themselves
        self._stopped: str | None = None

    def first_pass(self, max_files: int) -> None:
        """Every file that reads variables by itself."""
        for count, path in enumerate(_files(self._root, self._unreadable)):
            if count >= max_files:
                self._stopped = f"it has more than {max_files} files"
            if self._late() or self._stopped:
                return
            self._look(path)

    def second_pass(self) -> None:
        """Python files that call a function of the first pass which reads what an argument names."""
        helping = {name for source in self._sources.values() for name in source.readers}
        if not helping:
            return
        words = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(helping)).encode())
        for path in self._later:
            if self._late():
                return
            data = self._read(path)
            if data is not None and words.search(data):
                self._parse(path, data)

    def use(self) -> CodeUse:
        reads: dict[str, list[Read]] = {}
        for name, read in self._reads():
            reads.setdefault(name, []).append(read)
        return CodeUse(
            root=str(self._root),
            reads={name: tuple(dict.fromkeys(reads[name])) for name in sorted(reads)},
            dynamic=tuple(
                Read(file=path, line=unsure.line, how=unsure.how)
                for path, source in self._sources.items()
                for unsure in source.unsure
            ),
            unreadable=self._unreadable,
            stopped=self._stopped,
        )

    def _reads(self) -> Iterator[tuple[str, Read]]:
        helping = {
            (Path(path).stem if Path(path).stem != "__init__" else Path(path).parent.name, name): position
            for path, source in self._sources.items()
            for name, position in source.readers.items()
        }
        names = {name for _, name in helping}
        for path, source in self._sources.items():
            for seen in source.seen:
                yield seen.name, Read(file=path, line=seen.line, how=seen.how)
            for asked in source.asked:
                if asked.function in names and _answers(asked, helping):
                    yield asked.name, Read(file=path, line=asked.line, how=f"{asked.function}()")

    def _late(self) -> bool:
        if self._stopped is None and time.monotonic() > self._deadline:
            self._stopped = "it took too long"
        return self._stopped is not None

    def _look(self, path: str) -> None:
        data = self._read(path)
        if data is None:
            return
        suffix = os.path.splitext(path)[1]  # noqa: PTH122 - a tenth of the time of a Path
        words = _PYTHON_WORDS if suffix == ".py" else _SCRIPT_WORDS if suffix in _SCRIPTS else None
        if words is None or words.search(data):
            self._parse(path, data)
        elif suffix == ".py":
            self._later.append(path)

    def _read(self, path: str) -> bytes | None:
        try:
            data = read_file(path)
        except CouldNotLook as error:
            self._unreadable[path] = error.message.removeprefix(f"{path}: ")
            return None
        if len(data) > MAX_FILE_BYTES:
            self._unreadable[path] = f"has more than {MAX_FILE_BYTES} bytes"
            return None
        return data

    def _parse(self, path: str, data: bytes) -> None:
        try:
            self._sources[path] = _reader(path)(data.decode("utf-8-sig", "replace"))
        except SyntaxError as error:
            self._unreadable[path] = f"is no Python that this interpreter reads (line {error.lineno or 1})"
        except (ValueError, RecursionError, MemoryError) as error:
            self._unreadable[path] = f"cannot be parsed ({type(error).__name__})"


def _answers(asked: Asked, helping: Mapping[tuple[str, str], int]) -> bool:
    """Whether the function that is called reads this argument; a package may only hand it on."""
    exact = helping.get((asked.module, asked.function))
    if exact is not None:
        return exact == asked.position
    return any(
        name == asked.function and position == asked.position for (_, name), position in helping.items()
    )


def _files(root: Path, unreadable: dict[str, str]) -> Iterator[str]:
    """Paths of the files with code below a folder, in order; symbolic links are not followed."""
    if not root.is_dir():
        yield str(root)
        return

    def report(error: OSError) -> None:
        unreadable[str(error.filename)] = error.strerror or "cannot be read"

    for folder, folders, files in os.walk(root, onerror=report):
        folders[:] = sorted(name for name in folders if not _left_out(folder, name))
        for name in sorted(files):
            path = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - as it is shown
            if _has_code(name) and not os.path.islink(path):  # noqa: PTH114
                yield path


def _left_out(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)  # noqa: PTH118
    return name in _LEFT_OUT or os.path.lexists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH118


def _has_code(name: str) -> bool:
    suffix = os.path.splitext(name)[1]  # noqa: PTH122
    script = suffix in _SCRIPTS and not name.endswith((".min.js", ".d.ts"))
    return suffix in (".py", ".sh", ".bash") or script or _is_dockerfile(name)


def _is_dockerfile(name: str) -> bool:
    return (
        name in ("Dockerfile", "Containerfile")
        or name.startswith("Dockerfile.")
        or name.endswith(".dockerfile")
    )


def _reader(path: str) -> Callable[[str], Source]:
    name = os.path.basename(path)  # noqa: PTH119
    if _is_dockerfile(name):
        return read_dockerfile
    suffix = os.path.splitext(name)[1]  # noqa: PTH122
    if suffix in _SCRIPTS:
        return read_javascript
    if suffix in (".sh", ".bash"):
        return read_shell
    from exai_ops.env.code_python import read_python

    return read_python
