"""mlx: ``mlx.core.load``, on the CPU."""

from __future__ import annotations

from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from conformance.adapters.messages import Rules, told
from conformance.engine.contract import RawTensor
from conformance.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAMES: Mapping[Any, str] = MappingProxyType(
    {
        mx.bool_: "BOOL", mx.uint8: "U8", mx.int8: "I8", mx.uint16: "U16", mx.int16: "I16", mx.uint32: "U32",
        mx.int32: "I32", mx.uint64: "U64", mx.int64: "I64", mx.float16: "F16", mx.bfloat16: "BF16", mx.float32: "F32",
        mx.float64: "F64", mx.complex64: "C64",
    },
)  # fmt: skip

#: The words of mlx 0.32.
RULES: Rules = (
    ("[load_safetensors] Failed to open", Reason.MISSING_FILE),
    ("Invalid json header length", Reason.HEADER_LENGTH),
    ("[json.exception.parse_error", Reason.HEADER_JSON),
    ("Invalid json metadata", Reason.HEADER_JSON),
    ("exceeding the size of the file", Reason.TRUNCATED),
    ("invalid data offsets", Reason.SIZE_MISMATCH),
    ("[safetensor] unsupported dtype", Reason.UNKNOWN_DTYPE),
)


class Mlx:
    """Its arrays are read from the file when they are asked for."""

    name = "mlx"
    packages = ("mlx", "mlx-cpu")
    # It has F64, and neither writes nor reads it in this format.
    claims = frozenset(f"dtype:{dtype}" for dtype in _NAMES.values() if dtype != "F64")

    def __init__(self) -> None:
        self.version = metadata.version("mlx")

    def read_file(self, path: Path) -> Mapping[str, RawTensor]:
        """Every tensor of one file."""
        return {name: raw(array) for name, array in mx.load(str(path)).items()}

    def reason(self, error: Exception) -> Reason | None:
        """By the words of the reader."""
        return told(error, RULES)


def raw(array: Any) -> RawTensor:
    """An array as bytes: those that mlx holds, for a copy would be laid to it."""
    data = memoryview(array.reshape(-1).view(mx.uint8)) if array.size else b""
    return RawTensor(_NAMES[array.dtype], tuple(array.shape), data)
