"""An independent checker of GGUF: what the reader accepted must obey the rules that the bytes themselves state."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conformance.fuzz.gguf_bytes import SIZES, bytes_of, taken_apart
from conformance.fuzz.tiling import demand
from inferno_loader.gguf.values import Array

if TYPE_CHECKING:
    from conformance.fuzz.gguf_bytes import Parts
    from conformance.tools.gguf_file import Entry, Pair
    from inferno_loader.gguf.container import GgufHeader


def check_gguf(data: bytes, header: GgufHeader) -> None:
    """Hold the accepted `header` against the bytes of its file.

    Raises:
        DisagreementError: A key or a name occurs twice, a tensor is not as its entry says, tensors leave a hole,
            overlap or pass the end, or the metadata tells of another value.
    """
    try:
        parts = taken_apart(data)
    except ValueError as error:
        demand(condition=False, rule=f"the bytes can be taken apart: {error}")
        raise
    draft = parts.draft
    demand((draft.version, header.version) in {(2, 2), (3, 3)}, "the version is 2 or 3")
    keys, names = [pair.key for pair in draft.pairs], [entry.name for entry in draft.entries]
    demand(len(set(keys)) == len(keys) and len(set(names)) == len(names), "each key and each name occurs once")
    demand(keys == list(header.values) and names == list(header.tensors), "keys and names are those of the bytes")
    for pair in draft.pairs:
        demand(_same_value(pair, header), f"{pair.key} has the value of the bytes")
    demand(header.alignment == draft.alignment, "the alignment is that of the bytes")
    _check_places(data, header, parts)


def _same_value(pair: Pair, header: GgufHeader) -> bool:
    """Whether the value is that of the bytes. A float may be another decimal of the same bits."""
    found = header.values[pair.key]
    if pair.kind == "array":
        return isinstance(found, Array) and found.count == len(pair.value[1])
    if pair.kind in ("f32", "f64"):
        code = "<f" if pair.kind == "f32" else "<d"
        return isinstance(found, float) and struct.pack(code, found) == struct.pack(code, pair.value)
    return bool(found == pair.value)


def _check_places(data: bytes, header: GgufHeader, parts: Parts) -> None:
    alignment, entries = parts.draft.alignment, parts.draft.entries
    start = -(-parts.header_bytes // alignment) * alignment
    demand(header.data_start == start or not entries, "the data begin at the next multiple behind the header")
    position = 0
    for entry in sorted(entries, key=lambda entry: entry.offset or 0):
        _check_entry(entry, header)
        demand(entry.offset == position, "no hole and no overlap")
        end = header.tensors[entry.name].end
        demand(start + end <= len(data), "every byte of a tensor is there")
        position = -(-end // alignment) * alignment


def _check_entry(entry: Entry, header: GgufHeader) -> None:
    info = header.tensors[entry.name]
    demand(all(size > 0 for size in entry.sizes), f"{entry.name}: no size is 0")
    demand(info.shape[:-1] == entry.sizes[:0:-1], f"{entry.name}: the axes are those of the bytes, the other way round")
    if entry.kind in SIZES:
        demand(info.nbytes == bytes_of(entry), f"{entry.name}: the span is that of whole blocks")
