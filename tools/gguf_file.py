"""GGUF files, written from their parts: metadata, an entry a tensor, data. No loader, no torch.

A `Draft` is a file that can still be changed, in the ways of `gguf_edits` for instance: what `render` makes of it may
break any rule. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The types of the metadata by the words used here: the number in a file, and the letter of `struct` for numbers.
KINDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "u8": (0, "B"),
        "i8": (1, "b"),
        "u16": (2, "H"),
        "i16": (3, "h"),
        "u32": (4, "I"),
        "i32": (5, "i"),
        "f32": (6, "f"),
        "bool": (7, "B"),
        "string": (8, ""),
        "array": (9, ""),
        "u64": (10, "Q"),
        "i64": (11, "q"),
        "f64": (12, "d"),
    },
)
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of the metadata.

    Attributes:
        key: Its name.
        kind: A word of `KINDS`.
        value: A number, a boolean or a string; of an array a tuple ``(kind, values)``. Bytes are written as they are,
            behind the type.
    """

    key: str
    kind: str
    value: Any


@dataclass(slots=True)
class Entry:
    """One tensor.

    Attributes:
        name: Its name.
        kind: The number of its type.
        sizes: As a file has them, the row first.
        data: Its bytes.
        offset: Where its data is said to lie; None for where it lies.
    """

    name: str
    kind: int
    sizes: tuple[int, ...]
    data: bytes
    offset: int | None = None


@dataclass(slots=True)
class Draft:
    """A file that is not written yet.

    Attributes:
        pairs: The metadata.
        entries: The tensors, in order.
        magic: The first four bytes.
        version: The version.
        big_endian: Whether numbers are written the other way round.
        alignment: Of the data, in bytes.
        tensor_count: What the header says; None for what is true.
        pair_count: Likewise.
        tail: Bytes behind the last tensor.
        cut: Bytes to keep; None for all, a negative number for all but as many.
    """

    pairs: list[Pair]
    entries: list[Entry] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    big_endian: bool = False
    alignment: int = ALIGNMENT
    tensor_count: int | None = None
    pair_count: int | None = None
    tail: bytes = b""
    cut: int | None = None


def render(draft: Draft) -> bytes:
    """The bytes of the file."""
    order = ">" if draft.big_endian else "<"
    tensors = len(draft.entries) if draft.tensor_count is None else draft.tensor_count
    pairs = len(draft.pairs) if draft.pair_count is None else draft.pair_count
    head = draft.magic + struct.pack(f"{order}IQQ", draft.version, tensors, pairs)
    head += b"".join(_pair(pair, order) for pair in draft.pairs)
    data, entries = b"", b""
    for entry in draft.entries:
        offset = len(data) if entry.offset is None else entry.offset
        sizes = struct.pack(f"{order}I{len(entry.sizes)}Q", len(entry.sizes), *entry.sizes)
        entries += _text(entry.name, order) + sizes + struct.pack(f"{order}IQ", entry.kind, offset)
        data += _padded(entry.data, draft.alignment)
    whole = _padded(head + entries, draft.alignment) + data + draft.tail
    return whole if draft.cut is None else whole[: draft.cut]


def _padded(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)


def _text(text: str, order: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return struct.pack(f"{order}Q", len(encoded)) + encoded


def _pair(pair: Pair, order: str) -> bytes:
    return _text(pair.key, order) + struct.pack(f"{order}I", KINDS[pair.kind][0]) + _value(pair.kind, pair.value, order)


def _value(kind: str, value: Any, order: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if kind == "string":
        return _text(value, order)
    if kind == "array":
        inner, values = value
        return struct.pack(f"{order}IQ", KINDS[inner][0], len(values)) + _values(inner, values, order)
    return struct.pack(f"{order}{KINDS[kind][1]}", value)


def _values(kind: str, values: Sequence[Any], order: str) -> bytes:
    return b"".join(_value(kind, value, order) for value in values)
