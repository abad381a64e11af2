"""tinygrad: ``tinygrad.nn.state.safe_load``, on the CPU."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from conformance.adapters.messages import told_of_file
from conformance.engine.contract import RawTensor

# Before tinygrad: no cache of kernels in the home of the user, which two processes would wait for.
os.environ.update({"DEV": "CPU", "CACHELEVEL": "0"})

from tinygrad.dtype import dtypes
from tinygrad.nn.state import inverse_safe_dtypes, safe_dtypes, safe_load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.engine.reasons import Reason


class Tinygrad:
    """Its tensors lie on the disk until they are asked for; they are asked for by their bytes."""

    name = "tinygrad"
    packages = ("tinygrad",)
    claims = frozenset(f"dtype:{dtype}" for dtype in safe_dtypes)

    def __init__(self) -> None:
        self.version = metadata.version("tinygrad")

    def read_file(self, path: Path) -> Mapping[str, RawTensor]:
        """Every tensor of one file."""
        return {name: _raw(tensor) for name, tensor in safe_load(path).items()}

    def reason(self, error: Exception) -> Reason | None:
        """Its errors tell nothing but that a file is not there."""
        return told_of_file(error)


def _raw(tensor: Any) -> RawTensor:
    data = tensor.flatten().bitcast(dtypes.uint8).data() if tensor.numel() else b""
    return RawTensor(inverse_safe_dtypes[tensor.dtype], tuple(tensor.shape), data)
