"""Permits of live processes: who holds them, and which are lost. ``TrackedSemaphore`` counts in yours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exai_ops.sem.tracked import TrackedSemaphore

__all__ = ["TrackedSemaphore"]


def __getattr__(name: str) -> Any:
    """Import asyncio only for who asks."""
    if name == "TrackedSemaphore":
        from exai_ops.sem.tracked import TrackedSemaphore

        return TrackedSemaphore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
