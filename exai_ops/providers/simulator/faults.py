"""The grammar of faults: what a request may ask to go wrong, and how.

A fault is written ``name=value; name=value``, as in ``latency=0.2; status=429; retry-after=1``, in the
header ``X-Exai-Fault`` (that request alone), in an option of the server, or as a JSON object with the
same names. A name without a value is a switch: ``reset``. Times are seconds. ``Fault`` is the one
table of the names, their types and ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from exai_ops.errors import UsageError

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=600)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
ErrorStatus: TypeAlias = Annotated[int, msgspec.Meta(ge=400, le=599)]
UNKNOWN: Final = "is not known"
Word: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class FaultError(UsageError):
    """A fault that cannot be understood.

    Attributes:
        field: The name in the grammar that is wrong.
        problem: What is wrong with it, without the name.
    """

    def __init__(self, field: str, problem: str) -> None:
        known = "known: " + ", ".join(NAMES)
        super().__init__(f"fault {field}: {problem}", hint=known if problem == UNKNOWN else None)
        self.field = field
        self.problem = problem


class Fault(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="kebab", forbid_unknown_fields=True
):
    """What goes wrong with a request, and the shape of its stream; the default is nothing at all.

    A piece is one delta of a stream that carries text or reasoning.

    Attributes:
        latency: Wait before the answer begins.
        jitter: Upper bound of a random wait on top of ``latency``, from the server's seed.
        status: Answer with this error status, in the vendor's shape.
        code: GLM's inner code or Kimi's error type; brings its own status when ``status`` is not given.
        retry_after: Value of the header Retry-After on the error; fractions are sent as they are.
        reset: Reset the connection (RST) before a byte of answer.
        stall: Send nothing for so long, at ``at``.
        at: Where ``stall``, ``malformed`` and a streamed ``status`` or ``code`` happen: after so many
            pieces; 0 is before the headers (``malformed``: before the first piece).
        cut: Close the connection after so many pieces, without ``[DONE]``; an unstreamed answer is
            closed in the middle of its body.
        malformed: Send a data line that is not JSON; an unstreamed answer is not JSON.
        truncate: End an unstreamed JSON body in its middle, with HTTP's framing intact.
        no_done: End a stream cleanly, but without ``[DONE]``.
        pace: Wait between two pieces.
        chunks: Number of text pieces in a stream.
        size: Length of the answer in characters.
        search_round: Kimi asks for ``$web_search`` by a tool call first, as the real one does;
            ``search-round=0`` lets it answer at once.
        first: Only the first so many requests go wrong, then all is well.
        counter: Name of the counter that ``first`` counts in; without it each fault has its own.
    """

    latency: Seconds = 0.0
    jitter: Seconds = 0.0
    status: ErrorStatus | None = None
    code: Word | None = None
    retry_after: Seconds | None = None
    reset: bool = False
    stall: Seconds = 0.0
    at: Count = 0
    cut: Count | None = None
    malformed: bool = False
    truncate: bool = False
    no_done: bool = False
    pace: Seconds | None = None
    chunks: Positive | None = None
    size: Count | None = None
    search_round: bool = True
    first: Count | None = None
    counter: Word | None = None

    @property
    def is_error(self) -> bool:
        """Whether the vendor's error is the answer, or a part of it."""
        return self.status is not None or self.code is not None

    @property
    def spoils(self) -> bool:
        """Whether the answer comes back other than whole and good; delays alone do not spoil it."""
        return (
            self.is_error
            or self.reset
            or self.cut is not None
            or self.malformed
            or self.truncate
            or self.no_done
        )

    def healed(self) -> Fault:
        """The same shape of answer, and nothing wrong with it."""
        return Fault(pace=self.pace, chunks=self.chunks, size=self.size, search_round=self.search_round)

    def as_text(self) -> str:
        """In the grammar, so that ``parse_fault`` gives an equal fault."""
        return "; ".join(f"{name}={_text(value)}" for name, value in msgspec.to_builtins(self).items())


NO_FAULT: Final = Fault()
NAMES: Final = tuple(field.encode_name for field in msgspec.structs.fields(Fault))


def parse_fault(text: str) -> Fault:
    """The fault that the grammar spells. Raises FaultError, which names the field."""
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = part.partition("=")
        name = name.strip().lower().replace("_", "-")
        if name in values:
            raise FaultError(name, "is given twice")
        values[name] = value.strip() or "1"
    return fault_of(values)


def fault_of(values: Mapping[str, Any]) -> Fault:
    """The fault of an object with the grammar's names. Raises FaultError, which names the field."""
    for name in values:
        if name not in NAMES:
            raise FaultError(str(name)[:64], UNKNOWN)
    try:
        return msgspec.convert(dict(values), Fault, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise FaultError(path.rstrip("`") or "fault", problem) from None


def _text(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)
