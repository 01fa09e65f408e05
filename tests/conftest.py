"""What every test may rely on."""

from __future__ import annotations

import signal
from typing import Final

import pytest

LONGEST: Final = ("tests/sem/test_corpus_verdicts.py", "tests/sem/", "tests/e2e/")
"""What the workers begin with, so that none is left with it in the end."""


def pytest_configure() -> None:
    """Undo an ignored SIGINT: a shell gives it to background jobs, and their children inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files keep their order, but for the longest."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((n for n, path in enumerate(LONGEST) if item.nodeid.startswith(path)), len(LONGEST))
