"""A writer of safetensors files that follows the published writers byte for byte. Imports no other writer.

Source of the rules: the format (https://github.com/huggingface/safetensors, README) and its reference writer
(``safetensors/src/tensor.rs``, ``prepare``, release 0.8.0); the files of spring 2023 follow the older rule.
"""

from __future__ import annotations

import json
import math
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: ``dtype-name-padded``: the writer since mid 2023. ``name-unpadded``: the writer before it, which sorts by name alone
#: and leaves the data unaligned. ``given``: the order given, padded.
Rule = Literal["dtype-name-padded", "name-unpadded", "given"]

#: Bits of one element, by dtype, in the order of the enum ``Dtype`` of the reference writer, which sorts by it.
DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BOOL": 8,
        "F4": 4,
        "F6_E2M3": 6,
        "F6_E3M2": 6,
        "U8": 8,
        "I8": 8,
        "F8_E5M2": 8,
        "F8_E4M3": 8,
        "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8,
        "I16": 16,
        "U16": 16,
        "F16": 16,
        "BF16": 16,
        "I32": 32,
        "U32": 32,
        "F32": 32,
        "C64": 64,
        "F64": 64,
        "I64": 64,
        "U64": 64,
    },
)
_RANK: Mapping[str, int] = MappingProxyType({dtype: rank for rank, dtype in enumerate(DTYPE_BITS)})

#: What transformers and ``safetensors.torch`` callers write as ``__metadata__``.
PT_METADATA: Mapping[str, str] = MappingProxyType({"format": "pt"})


@dataclass(frozen=True, slots=True)
class Spec:
    """One tensor of a file: what its header says of it, without the offsets.

    Attributes:
        name: The name in the header.
        dtype: A dtype of the container, a key of `DTYPE_BITS`.
        shape: The logical shape; ``()`` for a scalar.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of logical elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the data.

        Raises:
            ValueError: Sub-byte elements do not fill whole bytes.
        """
        bits = self.elements * DTYPE_BITS[self.dtype]
        if bits % 8:
            raise ValueError(f"{self.name}: {self.elements} elements of {self.dtype} do not fill whole bytes")
        return bits // 8


def ordered(specs: Iterable[Spec], rule: Rule = "dtype-name-padded") -> list[Spec]:
    """`specs` in the order in which a writer that follows `rule` lays them down."""
    if rule == "given":
        return list(specs)
    by_name = sorted(specs, key=lambda spec: spec.name.encode())
    return by_name if rule == "name-unpadded" else sorted(by_name, key=lambda spec: -_RANK[spec.dtype])


def header_bytes(
    specs: Iterable[Spec],
    rule: Rule = "dtype-name-padded",
    metadata: Mapping[str, str] | None = PT_METADATA,
) -> bytes:
    """The header of a file, without the eight bytes of its length before it.

    Compact JSON in UTF-8: ``__metadata__`` first unless `metadata` is None, then the tensors in the order of their
    data, without gaps. Padded with spaces to a multiple of 8, but for ``name-unpadded``.
    """
    entries: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    offset = 0
    for spec in ordered(specs, rule):
        end = offset + spec.nbytes
        entries[spec.name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    return text if rule == "name-unpadded" else text + b" " * (-len(text) % 8)


def write_file(
    path: Path,
    specs: Sequence[Spec],
    data: Callable[[Spec], Iterable[bytes]] | Mapping[str, bytes],
    *,
    rule: Rule = "dtype-name-padded",
    metadata: Mapping[str, str] | None = PT_METADATA,
) -> None:
    """Write a whole file, which appears under its name only when it is complete.

    Args:
        path: Where; an existing file is replaced.
        specs: The tensors; their order counts only under the rule ``given``.
        data: The bytes of each tensor, by name, or as pieces from a function, so that no tensor need be held whole.
        rule: The writer to follow.
        metadata: The strings of ``__metadata__``; None leaves the entry out.

    Raises:
        ValueError: The bytes of a tensor are not as many as its shape and dtype ask for.
    """
    with _replacing(path) as file:
        _write_header(file, specs, rule, metadata)
        for spec in ordered(specs, rule):
            pieces = data(spec) if callable(data) else (data[spec.name],)
            written = sum(file.write(piece) for piece in pieces)
            if written != spec.nbytes:
                raise ValueError(f"{path}: {spec.name} needs {spec.nbytes} bytes, got {written}")


def write_sparse(
    path: Path,
    specs: Sequence[Spec],
    probe: Callable[[Spec], Iterable[tuple[int, bytes]]],
    *,
    rule: Rule = "dtype-name-padded",
    metadata: Mapping[str, str] | None = PT_METADATA,
) -> None:
    """Write a file of full size that holds zeros but for a few pieces, and takes disk for those alone.

    Args:
        path: Where; an existing file is replaced.
        specs: The tensors; their order counts only under the rule ``given``.
        probe: The pieces of a tensor, each with its byte offset in the tensor.
        rule: The writer to follow.
        metadata: The strings of ``__metadata__``; None leaves the entry out.

    Raises:
        ValueError: A piece does not lie within its tensor.
    """
    with _replacing(path) as file:
        start = _write_header(file, specs, rule, metadata)
        for spec in ordered(specs, rule):
            for offset, piece in probe(spec):
                if offset < 0 or offset + len(piece) > spec.nbytes:
                    raise ValueError(f"{path}: {spec.name} has {spec.nbytes} bytes, a piece ends elsewhere")
                file.seek(start + offset)
                file.write(piece)
            start += spec.nbytes
        file.truncate(start)


def _write_header(file: BinaryIO, specs: Sequence[Spec], rule: Rule, metadata: Mapping[str, str] | None) -> int:
    """Write length and header; return the offset at which the data start."""
    header = header_bytes(specs, rule, metadata)
    return file.write(struct.pack("<Q", len(header)) + header)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, renamed to it at the end, and removed on an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
