"""fastsafetensors: files into memory of the CPU, without GPUDirect Storage."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import torch  # noqa: TC002 - here, and not once more in every fork
from fastsafetensors import fastsafe_open

from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The words of fastsafetensors 0.5.
_RULES: Rules = (
    ("HeaderTooSmall", Reason.HEADER_LENGTH),
    ("HeaderTooLarge", Reason.HEADER_LENGTH),
    ("InvalidHeaderLength", Reason.HEADER_LENGTH),
    ("TensorInvalidInfo", Reason.SIZE_MISMATCH),
    ("MetadataIncompleteBuffer", Reason.TRUNCATED),
    # A hole and an overlap have the same words.
    ("InvalidOffset", None),
    ("must be unique among files", Reason.DUPLICATE_TENSOR),
    ("is not a valid DType", Reason.UNKNOWN_DTYPE),
)
_DTYPES = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2",
    "F8_E8M0",
)  # fmt: skip


class Fastsafetensors:
    """``fastsafe_open`` over one file. It takes a list of files: what a directory holds is for its caller to decide."""

    name = "fastsafetensors"
    packages = ("fastsafetensors", "torch")
    claims = frozenset(f"dtype:{dtype}" for dtype in _DTYPES)

    def __init__(self) -> None:
        self.version = metadata.version("fastsafetensors")

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        with fastsafe_open([str(path)], device="cpu", nogds=True) as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader."""
        return told(error, _RULES)
