"""What "the same tensor" means: one digest over dtype, shape and canonical bytes. No loader.

Bytes alone do not tell two tensors apart: a transposed shape, or BF16 read as I16, has the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from conformance.tools.holes import data_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CHUNK = 1 << 20
#: Bytes of the blocks by which a sparse file is digested: file systems keep holes of this size.
BLOCK = 1 << 16
#: Files of up to this many bytes are never called sparse.
SMALL = 1 << 20


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


def short_key(facts: object) -> str:
    """16 hexadecimal digits that are the same for the same facts (what JSON can write), in every process."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """The SHA-256 of the bytes of a file, read piece by piece."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def sparse_digest(path: Path) -> str:
    """The SHA-256 over each block of a file that is not all zeros, its offset before it in 8 bytes, little-endian.

    So holes are not read, and it does not matter where a file system has put them. Empty for a small file, and for one
    without a block of zeros: it is like any other.
    """
    size = path.stat().st_size
    sha, count = hashlib.sha256(), 0
    if size <= SMALL:
        return ""
    with path.open("rb") as file:
        for offset in _blocks_with_data(file.fileno(), size):
            file.seek(offset)
            block = file.read(BLOCK)
            if block.count(0) < len(block):
                sha.update(offset.to_bytes(8, "little") + block)
                count += 1
    return sha.hexdigest() if count * BLOCK < size else ""


def _blocks_with_data(descriptor: int, size: int) -> Iterator[int]:
    """The offsets of the blocks that are no hole, each once."""
    position = 0
    for start, end in data_ranges(descriptor, 0, size):
        first = max(position, start // BLOCK * BLOCK)
        position = max(first, -(-end // BLOCK) * BLOCK)
        yield from range(first, position, BLOCK)


def manifest(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file below `directory`, by its relative path with forward slashes, sorted.

    Of a sparse file that of its blocks: nobody reads hundreds of gigabytes of zeros.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): sparse_digest(path) or file_digest(path) for path in files}
