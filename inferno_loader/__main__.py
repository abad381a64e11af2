"""``python -m inferno_loader`` is the command ``inferno-loader``."""

from __future__ import annotations

import sys

from inferno_loader.cli import main

if __name__ == "__main__":
    sys.exit(main())
