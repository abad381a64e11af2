"""runai-model-streamer: files from the file system, streamed by several threads."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import torch  # noqa: TC002 - here, and not once more in every fork
from runai_model_streamer import SafetensorsStreamer, list_safetensors

from conformance.adapters.messages import Rules, told
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: The words of runai-model-streamer 0.17.
_RULES: Rules = (
    # So ends whatever goes wrong while a header is read.
    ("likely truncated file", None),
    ("is truncated", Reason.TRUNCATED),
    ("extra trailing bytes", Reason.TRAILING_BYTES),
    ("exceeds limit of", Reason.HEADER_LENGTH),
    ("is not valid UTF-8", Reason.HEADER_JSON),
    ("is not valid JSON", Reason.HEADER_JSON),
    ("Corrupted Header", Reason.HEADER_ENTRY),
    ("Corrupted Offset", Reason.HEADER_ENTRY),
    ("Unsupported dtype", Reason.UNKNOWN_DTYPE),
    ("Shape claims", Reason.SIZE_MISMATCH),
    ("overlaps with next tensor", Reason.OVERLAP),
    ("Gaps between tensors", Reason.HOLE),
    ("does not start at the beginning of the data section", Reason.HOLE),
)
_DTYPES = (
    "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64",
    "F8_E4M3", "F8_E5M2", "F8_E8M0",
)  # fmt: skip


class RunaiModelStreamer:
    """``SafetensorsStreamer`` over one file, or over what its own ``list_safetensors`` finds. It reads no index."""

    name = "runai-model-streamer"
    packages = ("runai-model-streamer", "torch")
    claims = frozenset({"indexless"} | {f"dtype:{dtype}" for dtype in _DTYPES})

    def __init__(self) -> None:
        self.version = metadata.version("runai-model-streamer")

    def read_file(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of one file."""
        return _stream([str(path)])

    def read_checkpoint(self, directory: Path) -> Mapping[str, torch.Tensor]:
        """Every tensor of every file, in the order in which they arrive."""
        return _stream(list_safetensors(str(directory)))

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the loader."""
        return told(error, _RULES)


def _stream(files: Sequence[str]) -> dict[str, torch.Tensor]:
    with SafetensorsStreamer() as streamer:
        streamer.stream_files(list(files))
        return dict(streamer.get_tensors())
