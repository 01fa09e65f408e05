"""Compares a scan of the twin with what the twin knows of itself."""

from __future__ import annotations

from typing import Any

from exai_ops.sem.layout import Layout
from exai_ops.sem.memory import Memory


def differences(memory: Memory, layout: Layout, truth: list[Any]) -> list[str]:
    """What a scan says otherwise than the twin; none when they agree."""
    return []
