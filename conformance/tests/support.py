"""Safetensors bytes written by hand, and one way to hold an error against what its reader needs. Imports no loader."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferno_loader.errors import InfernoError

    Error = TypeVar("Error", bound=InfernoError)

#: Bits of one element, by dtype: the 22 of the format, from its specification.
BITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
        **dict.fromkeys(("F32", "I32", "U32"), 32),
        **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
        **dict.fromkeys(("I8", "U8", "BOOL"), 8),
        **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"), 8),
        **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
        "F4": 4,
    },
)

_BLOCK = bytes((position * 37 + position // 256 + 11) % 256 for position in range(4099))

#: The user that owns nothing.
_NOBODY = 65534


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    """One tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def tiled(*tensors: tuple[str, str, list[int]]) -> dict[str, Any]:
    """A header whose tensors (name, dtype, shape) lie back to back in the order given."""
    header, start = {}, 0
    for name, dtype, shape in tensors:
        end = start + prod(shape) * BITS[dtype] // 8
        header[name] = entry(dtype, shape, start, end)
        start = end
    return header


def payload(nbytes: int) -> bytes:
    """Bytes that differ from their neighbours and repeat after a prime number of them, so that a shift shows."""
    return (_BLOCK * (nbytes // len(_BLOCK) + 1))[:nbytes]


def pack(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a file: length word, header, data.

    Args:
        header: The bytes of the header, or what they spell in JSON.
        data: The data section.
        length: The length word, where it is not the truth.
    """
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def write(path: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Path:
    """Write a file of those bytes, and return its path."""
    path.write_bytes(pack(header, data, length=length))
    return path


def write_tiled(path: Path, *tensors: tuple[str, str, list[int]]) -> Path:
    """Write a sound file of those tensors, and return its path."""
    header = tiled(*tensors)
    return write(path, header, payload(max((fields["data_offsets"][1] for fields in header.values()), default=0)))


def write_sparse(path: Path, size: int, first: bytes) -> Path:
    """Write a file of `size` bytes that begins with `first` and takes no more of the disk, and return its path."""
    path.write_bytes(first)
    os.truncate(path, size)
    return path


def write_index(directory: Path, weight_map: object, **metadata: object) -> Path:
    """Write an index, and return its path."""
    path = directory / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": metadata, "weight_map": weight_map}), encoding="utf-8")
    return path


def refused(
    call: Callable[[], object],
    kind: type[Error],
    *,
    code: str,
    path: Path | None,
    tensor: str | None = None,
    expected: str | None,
    actual: str | None,
    remedy: str,
) -> Error:
    """The error that `call` raises, held against what its reader needs.

    Args:
        call: What must fail.
        kind: The class of the error, exactly.
        code: Its code.
        path: The file at fault.
        tensor: The tensor at fault.
        expected: A part of what the error says is expected; None where it may say nothing.
        actual: A part of what it says was found; None where it may say nothing.
        remedy: A part of its remedy.
    """
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.path, error.tensor) == (code, None if path is None else str(path), tensor)
    for wanted, found in ((expected, error.expected), (actual, error.actual)):
        assert (found is None) if wanted is None else (found is not None and wanted in str(found)), (wanted, found)
    assert error.problem
    assert error.remedy is not None
    assert remedy in error.remedy
    return error


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A directory that everybody may read, in the shoes of a user who is not root."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    user = os.geteuid()
    try:
        yield directory
    finally:
        os.seteuid(user)
        for child in directory.iterdir():
            child.chmod(0o700)
        shutil.rmtree(directory)


def become_nobody() -> None:
    """Give up root, until `unprivileged` ends. Who is not root has nothing to give up."""
    if os.geteuid() == 0:
        os.seteuid(_NOBODY)
