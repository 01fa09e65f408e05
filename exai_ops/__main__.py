"""``python -m exai_ops`` is ``exai``: the command line with an interrupt during its own imports seen to."""

from __future__ import annotations

import sys

_EXIT_INTERRUPTED = 130


def main() -> int:
    """Run the command line; the exit code."""
    try:
        from exai_ops.cli import main as run

        return run()
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
