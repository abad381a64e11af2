"""safetensors, the reference reader: a file by its name."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from safetensors.torch import load, load_file

from conformance.adapters.messages import SAFETENSORS, told, told_of_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from conformance.engine.reasons import Reason

#: Those of the format of which torch has a dtype.
DTYPES = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64",
    "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F4",
)  # fmt: skip


class SafetensorsFile:
    """``safetensors.torch.load_file``."""

    name = "safetensors"
    packages = ("safetensors", "torch")
    claims = frozenset({"bytes", *(f"dtype:{dtype}" for dtype in DTYPES)})

    def __init__(self) -> None:
        self.version = metadata.version("safetensors")

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        return load_file(path)

    def read_bytes(self, data: bytes) -> Mapping[str, torch.Tensor]:
        """Every tensor of a file whose bytes are in memory."""
        return load(data)

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the reader."""
        return told_of_file(error) or told(error, SAFETENSORS)
