"""Permits that leak: who holds each semaphore of a process, in our daemon and in any live Python.

``TrackedSemaphore`` is for programs that prepare for the question, and so is the pytest plugin
``exai_ops.sem.pytest_plugin``. The rest asks programs that did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exai_ops.sem.tracked import TrackedSemaphore

__all__ = ["TrackedSemaphore"]


def __getattr__(name: str) -> Any:
    """``TrackedSemaphore``, imported when it is asked for: it brings asyncio with it."""
    if name == "TrackedSemaphore":
        from exai_ops.sem.tracked import TrackedSemaphore

        return TrackedSemaphore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
