"""The bytes of a GGUF file taken apart, for the mutator and for the checker. It shares no code with the loader.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the sizes of blocks: ``ggml/src/ggml-common.h`` of
https://github.com/ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.tools.gguf_file import ALIGNMENT, KINDS, Draft, Entry, Pair

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Elements and bytes of a block of the types that are drawn: those without blocks, and those that a Llama ships in.
SIZES: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        0: (1, 4), 1: (1, 2), 24: (1, 1), 26: (1, 4), 28: (1, 8), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22),
        7: (32, 24), 8: (32, 34), 10: (256, 84), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    },
)  # fmt: skip
_WORDS = {number: word for word, (number, _) in KINDS.items()}
#: Arrays in arrays beyond which a text is no longer taken apart.
_DEEPEST = 16


class Parts(NamedTuple):
    """A file taken apart.

    Attributes:
        draft: Metadata and tensors; data where an offset leads to some, and the offsets as they are written.
        header_bytes: Where the header ends, before any padding.
    """

    draft: Draft
    header_bytes: int


class _Tape:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise ValueError("the text ends")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(code)))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "surrogateescape")

    def value(self, kind: int, depth: int = 0) -> Any:
        word = _WORDS.get(kind)
        if word is None or depth > _DEEPEST:
            raise ValueError("no such type, or too deep")
        if word == "string":
            return self.text()
        if word != "array":
            return self.number(KINDS[word][1])
        inner, count = self.number("I"), self.number("Q")
        if inner not in _WORDS or count > len(self.data):
            raise ValueError("no such array")
        return _WORDS[inner], tuple(self.value(inner, depth + 1) for _ in range(count))


def taken_apart(data: bytes) -> Parts:
    """The parts of a little-endian file.

    Raises:
        ValueError: It does not begin as one, or ends too early, or has types that do not exist.
    """
    tape = _Tape(data)
    magic, version, tensors, pairs = tape.take(4), tape.number("I"), tape.number("Q"), tape.number("Q")
    if magic != b"GGUF" or max(tensors, pairs) > len(data):
        raise ValueError("no GGUF")
    found = []
    for _ in range(pairs):
        key, kind = tape.text(), tape.number("I")
        found.append(Pair(key, _WORDS.get(kind, ""), tape.value(kind)))
    entries = [_entry(tape) for _ in range(tensors)]
    alignment = next((pair.value for pair in found if pair.key == "general.alignment"), ALIGNMENT)
    alignment = alignment if isinstance(alignment, int) and alignment > 0 else ALIGNMENT
    start = -(-tape.place // alignment) * alignment
    for entry in entries:
        first = start + (entry.offset or 0)
        entry.data = data[first : first + (bytes_of(entry) or 0)]
    return Parts(Draft(found, entries, version=version, alignment=alignment), tape.place)


def _entry(tape: _Tape) -> Entry:
    name, axes = tape.text(), tape.number("I")
    if axes > len(tape.data):
        raise ValueError("more axes than bytes")
    sizes = tuple(tape.number("Q") for _ in range(axes))
    return Entry(name, tape.number("I"), sizes, b"", tape.number("Q"))


def bytes_of(entry: Entry) -> int | None:
    """The bytes that a tensor takes by its type and its sizes; None where they make no sense, or type is not known."""
    if entry.kind not in SIZES or 0 in entry.sizes:
        return None
    elements, nbytes = SIZES[entry.kind]
    row = entry.sizes[0] if entry.sizes else 1
    return None if row % elements else math.prod(entry.sizes) // elements * nbytes
