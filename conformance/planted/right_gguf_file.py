"""The right loader: one file of GGUF, held against every rule of the format.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from conformance.engine.reasons import Reason
from conformance.planted.right_gguf_blocks import BLOCKS, Blocks
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAGIC, _VERSIONS = b"GGUF", (2, 3)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_BOOL, _STRING, _ARRAY = 7, 8, 9
PLAIN = {0: ("F32", 4), 1: ("F16", 2), 30: ("BF16", 2)}
_LEVELS, _AXES, _NAME = 4, 4, 64


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: its type, its logical shape, and where its bytes lie, at last from the file's start on."""

    name: str
    kind: int
    shape: tuple[int, ...]
    start: int
    nbytes: int
    path: Path


@dataclass(slots=True)
class Tape:
    """The bytes of a file, and how far they have been read."""

    data: bytes
    place: int = 0
    pairs: dict[str, Any] = field(default_factory=dict)

    def take(self, count: int) -> bytes:
        """The next bytes, which must be there."""
        if count > len(self.data) - self.place:
            refuse(Reason.TRUNCATED, f"{count} bytes from {self.place} on, and the file has {len(self.data)}")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, code: str) -> Any:
        """One number."""
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]


class GgufFile(Blocks):
    """Reads one file."""

    def read_gguf(self, path: Path) -> tuple[dict[str, Any], list[Stored]]:
        """One file: its metadata and its tensors."""
        tape = Tape(path.read_bytes())
        self.check_version(tape)
        tensors, count = tape.number("Q"), tape.number("Q")
        if max(tensors, count) > len(tape.data):
            refuse(Reason.TRUNCATED, f"{path}: {tensors} tensors and {count} pairs in {len(tape.data)} bytes")
        for _ in range(count):
            key = self.text(tape)
            self.check_key(key, tape)
            tape.pairs[key] = self.value(tape, tape.number("I"), 0)
        alignment = self.alignment(tape.pairs)
        entries = [self.entry_of(tape, alignment, path) for _ in range(tensors)]
        self.check_names([each.name for each in entries])
        self.check_places(entries, self.aligned(tape.place, alignment), alignment, len(tape.data))
        start = self.data_start(tape.place, alignment)
        return tape.pairs, [replace(each, start=start + each.start) for each in entries]

    def check_version(self, tape: Tape) -> None:
        """The magic, and a version that is read."""
        if tape.take(4) != _MAGIC:
            refuse(Reason.NOT_SAFETENSORS, "the file does not begin with GGUF")
        version = tape.number("I")
        if version not in _VERSIONS:
            refuse(Reason.HEADER_ENTRY, f"version {version}, or the other byte order")

    def check_key(self, key: str, tape: Tape) -> None:
        """Each key stands once."""
        if key in tape.pairs:
            refuse(Reason.DUPLICATE_KEY, f"{key} stands twice")

    def check_names(self, names: list[str]) -> None:
        """Each tensor stands once."""
        if len(set(names)) < len(names):
            refuse(Reason.DUPLICATE_KEY, "a tensor stands twice")

    def text(self, tape: Tape) -> str:
        """A string."""
        try:
            return tape.take(tape.number("Q")).decode("utf-8")
        except UnicodeDecodeError:
            refuse(Reason.HEADER_ENTRY, "a string is no UTF-8")

    def value(self, tape: Tape, kind: int, level: int) -> Any:
        """One value of the metadata."""
        if kind in _NUMBERS:
            return tape.number(_NUMBERS[kind])
        if kind == _STRING:
            return self.text(tape)
        if kind == _ARRAY:
            inner, count = tape.number("I"), tape.number("Q")
            if level > _LEVELS or count > len(tape.data) or inner not in (*_NUMBERS, _BOOL, _STRING, _ARRAY):
                refuse(Reason.HEADER_ENTRY, f"an array of {count} elements of type {inner}, {level} levels deep")
            return [self.value(tape, inner, level + 1) for _ in range(count)]
        flag = tape.number("B")
        if kind != _BOOL or flag > 1:
            refuse(Reason.HEADER_ENTRY, f"a value of type {kind}, or a boolean that is {flag}")
        return bool(flag)

    def alignment(self, pairs: Mapping[str, Any]) -> int:
        """The alignment, 32 where the file is silent."""
        value = pairs.get("general.alignment", 32)
        if type(value) is not int or value <= 0 or value % 8:
            refuse(Reason.HEADER_ENTRY, f"general.alignment is {value!r}")
        return value

    def data_start(self, place: int, alignment: int) -> int:
        """Where the data begins, from which the offsets of tensors count."""
        return self.aligned(place, alignment)

    def aligned(self, place: int, alignment: int) -> int:
        """The next multiple."""
        return -(-place // alignment) * alignment

    def entry_of(self, tape: Tape, alignment: int, path: Path) -> Stored:
        """One entry."""
        name, axes = self.text(tape), tape.number("I")
        if axes > _AXES or not 0 < len(name.encode()) <= _NAME:
            refuse(Reason.HEADER_ENTRY, f"{name!r} has {axes} axes")
        sizes = [tape.number("Q") for _ in range(axes)]
        kind, start = tape.number("I"), tape.number("Q")
        if start % alignment:
            refuse(Reason.HEADER_ENTRY, f"{name} lies at {start}, which {alignment} does not divide")
        elements, nbytes = (
            (BLOCKS[kind].elements, BLOCKS[kind].nbytes) if kind in BLOCKS else (1, self.width(kind, name))
        )
        if not all(sizes) or (sizes and sizes[0] % elements):
            refuse(Reason.SIZE_MISMATCH, f"{name} has the sizes {sizes}, and blocks of {elements}")
        return Stored(name, kind, tuple(reversed(sizes)), start, math.prod(sizes) // elements * nbytes, path)

    def width(self, kind: int, name: str) -> int:
        """Bytes of an element of a type without blocks."""
        if kind not in PLAIN:
            refuse(Reason.UNKNOWN_DTYPE, f"{name} is of type {kind}")
        return PLAIN[kind][1]

    def check_places(self, entries: list[Stored], start: int, alignment: int, size: int) -> None:
        """Tensors follow each other, and the file ends behind the last one."""
        place, end = 0, 0
        for each in sorted(entries, key=lambda each: each.start):
            if each.start != place:
                refuse(Reason.OVERLAP if each.start < place else Reason.HOLE, f"{each.name} is at {each.start}")
            end = place + each.nbytes
            place = self.aligned(end, alignment)
        self.check_end(start + end, size)
        if size > start + place:
            refuse(Reason.TRAILING_BYTES, f"{size} bytes, and {start + place} are accounted for")

    def check_end(self, least: int, size: int) -> None:
        """Every byte of the tensors is there."""
        if size < least:
            refuse(Reason.TRUNCATED, f"{size} bytes, and {least} are promised")
