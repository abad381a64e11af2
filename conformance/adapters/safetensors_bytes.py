"""safetensors, the reference reader: the bytes of a file that has been read already, as from an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors.torch import load

from conformance.adapters.safetensors_file import SafetensorsFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch


class SafetensorsBytes(SafetensorsFile):
    """``safetensors.torch.load``. It has the same documentation as ``load_file``, and so the same claims."""

    name = "safetensors-bytes"

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        return load(path.read_bytes())
