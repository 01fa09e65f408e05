"""What the log says when a provider is asked again: plain words in place of stamina's own line."""

from __future__ import annotations

from typing import Final

from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from exai_ops.errors import ProviderError
from exai_ops.logs import get_logger

_LOG: Final = get_logger("exai.providers")


def log_retries() -> None:
    """Let retries be logged by ``tell``, in this process."""
    set_on_retry_hooks([tell])


def tell(details: RetryDetails) -> None:
    """One line for a retry that was scheduled."""
    cause = details.caused_by
    _LOG.warning(
        "provider is asked again",
        provider=cause.provider if isinstance(cause, ProviderError) else None,
        why=str(cause),
        retry=details.retry_num,
        wait_s=round(details.wait_for, 3),
    )
