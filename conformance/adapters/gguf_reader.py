"""gguf: ``GGUFReader``, the reader in Python of the project that made the format.

https://github.com/ggml-org/llama.cpp/tree/master/gguf-py. It reads one file, and hands out its tensors as they are
stored. It knows neither parameters nor the order of their rows, so what its `dequantize` gives is no level of its own:
transformers builds on it, and is judged with it.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from gguf import GGUFReader

from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The words of gguf 0.19, and of numpy where a mapped file is too short.
_RULES: Rules = (
    ("GGUF magic invalid", Reason.NOT_SAFETENSORS),
    ("Found duplicated tensor with name", Reason.DUPLICATE_KEY),
    ("cannot reshape array of size", Reason.TRUNCATED),
)


class Gguf:
    """Blocks are rows of bytes."""

    name = "gguf"
    packages = ("gguf", "numpy")
    claims = frozenset({"quant:alone", "quant:gguf"})

    def __init__(self) -> None:
        self.version = metadata.version("gguf")

    def read_checkpoint(self, directory: Path) -> Mapping[str, Any]:
        """Every tensor of the first file."""
        file = min(directory.glob("*.gguf"))
        return {tensor.name: tensor.data for tensor in GGUFReader(file).tensors}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the reader."""
        return told(error, _RULES)
