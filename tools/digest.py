"""What "the same tensor" means: one digest over dtype, shape and canonical bytes. No loader.

Bytes alone do not tell two tensors apart: a transposed shape, or BF16 read as I16, has the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CHUNK = 1 << 20


def digest(dtype: str, shape: Sequence[int], data: bytes | memoryview) -> str:
    """The SHA-256 of a tensor, over its dtype, its shape and its bytes: two tensors are the same only if all three are.

    Args:
        dtype: The name in a safetensors header: ``BF16``, ``I8``.
        shape: The sizes of the axes; empty for a scalar.
        data: The elements in row-major order, little-endian.

    Returns:
        64 hexadecimal digits.
    """
    sha = hashlib.sha256(f"{dtype} {list(shape)}\n".encode())
    sha.update(data)
    return sha.hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of the bytes of a file, read piece by piece."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def manifest(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file below `directory`, by its relative path with forward slashes, sorted."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): file_digest(path) for path in files}
