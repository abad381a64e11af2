"""An unpickler for planted loaders that open a pickle: it executes nothing but what ends the process."""

from __future__ import annotations

import pickle
import sys
from typing import Any


class Guarded(pickle.Unpickler):
    """Knows one global only, ``sys.exit``: of a pickle that wants anything else, nothing is executed."""

    def find_class(self, module: str, name: str) -> Any:
        """The one global."""
        if (module, name) != ("sys", "exit"):
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return sys.exit
