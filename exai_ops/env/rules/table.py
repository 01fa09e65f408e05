"""A rule is a pure function and a row: code, severity, title, hint, explanation, function.

Rooms of codes: ENV0xx between files, ENV1xx within a file, ENV2xx meaning, ENV3xx secrets, CMP0xx compose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from exai_ops.env.model import Document
from exai_ops.findings import Finding, Status

if TYPE_CHECKING:
    from exai_ops.compose.model import Project
    from exai_ops.env.code import CodeUse


class Context:
    """What the rules look at; what is None was not found or not asked for, and its rules say ``skip``.

    Attributes:
        example: The documented example.
        live: The file in use.
        main: The project's ``.env`` beside them, when it is another file than ``live``.
        project: The compose project.
        code: Which variables the code reads.
        readers: Names of the readers in use (see ``exai_ops.env.readers.READERS``).
        variables: Known variables by name (``settings.VARIABLES``), aliases included.
        stack: Names that exai's compose stack takes beside those (``settings.STACK_VARIABLES``).
        public: Patterns (fnmatch) of keys whose values may stand in the example.
        differ: Patterns of keys whose values may differ between the files.
        tracked: Paths that git tracks, relative to the project's folder, or None when there is no git.
        environ: The shell's environment, for interpolation.
        memo: What rules have worked out of this context and others may use again.
    """

    def __init__(
        self,
        *,
        example: Document | None = None,
        live: Document | None = None,
        main: Document | None = None,
        project: Project | None = None,
        code: CodeUse | None = None,
        readers: tuple[str, ...] = ("python-dotenv", "compose"),
        variables: Mapping[str, Any] | None = None,
        stack: tuple[str, ...] = (),
        public: tuple[str, ...] = (),
        differ: tuple[str, ...] = (),
        tracked: frozenset[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.example = example
        self.live = live
        self.main = main
        self.project = project
        self.code = code
        self.readers = readers
        self.variables = variables or {}
        self.stack = stack
        self.public = public
        self.differ = differ
        self.tracked = tracked
        self.environ = environ or {}
        self.memo: dict[Any, Any] = {}

    def documents(self) -> Iterable[Document]:
        """The files at hand, each once."""
        seen: set[str] = set()
        for document in (self.example, self.live, self.main):
            if document is not None and document.path not in seen:
                seen.add(document.path)
                yield document


RuleFunction: TypeAlias = Callable[[Context], Iterable[Finding]]


class Rule(NamedTuple):
    """One rule.

    Attributes:
        code: Stable; never reused for another meaning.
        severity: Of its findings, unless the function says otherwise for one.
        title: The good outcome, as linkerd's checks say it: "every key of the example is in the live file".
        hint: What to do, in general; a finding's own hint shows the mended line.
        explanation: A paragraph or two for ``--explain`` and the docs: why, for whom, what is disputed.
        elsewhere: Whether another command looks, and ``exai env check`` leaves its suppressions alone.
    """

    code: str
    severity: Status
    title: str
    hint: str
    explanation: str
    function: RuleFunction
    elsewhere: bool = False
