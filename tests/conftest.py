"""What every test may rely on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Undo an ignored SIGINT, which a shell gives to what it starts in the background and children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
