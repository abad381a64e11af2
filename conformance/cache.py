"""Where everything lies that is made once and kept: built checkpoints, real models, the environments of loaders."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """``$INFERNO_CACHE_DIR``, or ``~/.cache/inferno-loader`` where it is not set; absolute."""
    chosen = os.environ.get("INFERNO_CACHE_DIR")
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".cache" / "inferno-loader"
