"""``python -m exai_ops`` is ``exai``."""

import sys

from exai_ops.cli import main

if __name__ == "__main__":
    sys.exit(main())
