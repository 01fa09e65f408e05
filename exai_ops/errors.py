"""The exception tree: each class says whose fault it is, and so what happens next.

::

    ExaiError                        one line for the person, a hint that says what to do
    ├── UsageError                   the caller's command line or arguments            exit 2
    │   └── SettingsError            a variable of the environment                     exit 2
    ├── CouldNotLook                 what should be judged could not be reached        exit 3
    ├── TimeRanOut                   what the caller gave it a time for took longer    exit 124
    ├── ToolError                    the arguments or the name of a tool
    │   ├── ToolNotFound
    │   └── InvalidArguments         names the field
    ├── OverCapacity                 no permit in time; ``retry_after_s`` says when to ask again
    ├── StorageError                 the store refused or is away
    └── ProviderError                the remote side of a completion; ``provider``, ``status``, ``code``
        ├── ProviderUnavailable      connect, DNS, TLS, 5xx, a stall, a cut stream
        │   ├── ProviderTimeout      no answer within the deadline
        │   └── BreakerOpen          not asked at all: it failed too often just now
        ├── ProviderRateLimited      429 by frequency or concurrency; ``retry_after_s`` or None
        ├── ProviderQuotaExhausted   no balance, daily cap, quota until a reset
        ├── ProviderAuthError        the key is missing, wrong or not allowed
        ├── ModelNotFound            no such model, here or there
        └── ProviderRejected         the request itself: too long, refused content, bad parameters

The message never holds a secret: names of variables, never their values. Anything that is not an
``ExaiError`` is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class ExaiError(Exception):
    """A failure with a one-line message and, where one is known, a hint that says what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ExaiError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


class SettingsError(UsageError):
    """One or more variables hold a value that is not allowed.

    Attributes:
        problems: One line per problem, in the order of the variables.
    """

    def __init__(self, problems: list[str], *, hint: str | None = None) -> None:
        super().__init__("; ".join(problems), hint=hint)
        self.problems = problems


class CouldNotLook(ExaiError):
    """What was asked about could not be reached, so nothing can be said of it."""

    exit_code = 3


class TimeRanOut(ExaiError):
    """It was not done within the time that the caller gave it."""

    exit_code = 124


class ToolError(ExaiError):
    """A tool could not be run as asked."""


class ToolNotFound(ToolError):
    """No tool has this name."""


class InvalidArguments(ToolError):
    """The arguments do not fit the tool's schema; the message names the field."""


class OverCapacity(ExaiError):
    """No permit was free in time.

    Attributes:
        retry_after_s: When asking again is worth it, in seconds.
    """

    def __init__(self, message: str, *, retry_after_s: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class StorageError(ExaiError):
    """The store refused an operation or cannot be reached."""


class ProviderError(ExaiError):
    """A completion failed on the provider's side of the wire.

    Attributes:
        provider: ``kimi``, ``glm`` or ``simulator``.
        status: HTTP status, or None when there was no answer.
        code: The provider's own code or type, or None.
        retry_after_s: Seconds the provider asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class ProviderUnavailable(ProviderError):
    """No usable answer: connect, DNS, TLS, 5xx, a stall or a cut stream."""


class ProviderTimeout(ProviderUnavailable):
    """No answer within the deadline."""


class BreakerOpen(ProviderUnavailable):
    """The circuit breaker is open: the provider was not asked."""


class ProviderRateLimited(ProviderError):
    """Too many or too many at once; ``retry_after_s`` when the provider said so."""


class ProviderQuotaExhausted(ProviderError):
    """No balance, a daily cap or a quota that resets later: retrying does not help."""


class ProviderAuthError(ProviderError):
    """The key is missing, wrong or lacks the right."""


class ModelNotFound(ProviderError):
    """No such model."""


class ProviderRejected(ProviderError):
    """The request itself was refused: too long, content, parameters."""
