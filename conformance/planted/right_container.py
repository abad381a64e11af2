"""The right loader, first part: one file, held against every rule of the format before a byte is handed out.

Written from the format alone (https://github.com/safetensors/safetensors, README, "Format"): 8 bytes of length, a JSON
header, and the data, which the tensors tile. Every step is a small method, so that a planted loader gets one wrong.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.contract import RawTensor
from conformance.engine.reasons import Reason
from conformance.planted.right_types import BITS, TORCH, Entry, Object, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The longest header, in bytes (``MAX_HEADER_SIZE`` of the reference implementation).
MAX_HEADER = 100_000_000
MAX_U64 = 2**64 - 1
METADATA = "__metadata__"
_WORD = 8
_WHITE = " \t\r\n"
#: What a message names where there is no file.
_IN_MEMORY = Path("<bytes>")
#: How files begin that are something else: a pointer of Git LFS, a page of a server, GGUF, a zip archive.
_STRANGERS = (b"version ", b"<!DOCTYP", b"<!doctyp", b"<html", b"GGUF", b"PK\x03\x04")


class Container:
    """Reads one file."""

    def __init__(self) -> None:
        self.said: dict[str, list[str]] = {}

    def read_file(self, path: Path) -> Mapping[str, Any]:
        """Every tensor of one file, as stored."""
        self.begin()
        return {entry.name: self.read(entry) for entry in self.entries_of(path)}

    def begin(self) -> None:
        """Forgets what the last load reported."""
        self.said = {}

    def say(self, category: str, name: str) -> None:
        """Notes a name for the report of this load."""
        self.said.setdefault(category, []).append(name)

    def read_bytes(self, data: bytes) -> Mapping[str, Any]:
        """Every tensor of a file whose bytes are in memory, as stored."""
        self.begin()
        length = self.header_length(data[:_WORD], len(data), _IN_MEMORY)
        entries = self.entries_in(data[_WORD : _WORD + length], len(data), _IN_MEMORY)
        return {entry.name: self.as_tensor(self.piece_of(data, entry), entry) for entry in entries}

    def piece_of(self, data: bytes, entry: Entry) -> bytearray:
        """The bytes of a tensor, out of those of the file."""
        return bytearray(memoryview(data)[entry.at : entry.at + entry.nbytes])

    def entries_of(self, path: Path) -> list[Entry]:
        """The tensors of a file whose header is sound, in the order of the header."""
        header, size = self.header_of(path)
        return self.entries_in(header, size, path)

    def entries_in(self, header: bytes, size: int, path: Path) -> list[Entry]:
        """The tensors of which a header tells, if it is sound for a file of this size."""
        root = self.parse(self.header_text(header, path), path)
        self.check_repeated(root, path)
        tensors = self.without_metadata(root, path)
        entries = [self.entry(name, fields, path) for name, fields in tensors.items()]
        self.check_tiling(entries, size - _WORD - len(header), path)
        return self.placed(entries, header)

    def header_of(self, path: Path) -> tuple[bytes, int]:
        """The bytes of the header, and the size of the file."""
        # Opening a pipe waits for its other end, and a device need not end at all.
        if not path.is_file():
            refuse(Reason.MISSING_FILE, f"{path}: there is no such file, or it is no regular one")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = self.header_length(file.read(_WORD), size, path)
            return file.read(length), size

    def header_length(self, word: bytes, size: int, path: Path) -> int:
        """The length word, held against the file and the limit before anything is allocated for it."""
        if word.startswith(_STRANGERS):
            refuse(Reason.NOT_SAFETENSORS, f"{path}: begins with {word!r}, which is another format")
        if len(word) < _WORD:
            refuse(Reason.TRUNCATED, f"{path}: {size} bytes hold no length of a header")
        length = int.from_bytes(word, "little")
        if length > MAX_HEADER or length > size - _WORD:
            refuse(Reason.HEADER_LENGTH, f"{path}: a header of {length} bytes in a file of {size}")
        return length

    def header_text(self, header: bytes, path: Path) -> str:
        """The header as text: white space, an object, white space."""
        try:
            text = header.decode("utf-8")
        except UnicodeDecodeError as error:
            refuse(Reason.HEADER_JSON, f"{path}: the header is no UTF-8: {error}")
        self.check_start(text, path)
        return text

    def check_start(self, text: str, path: Path) -> None:
        """The object may stand behind white space: the reference implementation reads that since 0.8."""
        if not text.lstrip(_WHITE).startswith("{"):
            refuse(Reason.HEADER_JSON, f"{path}: the header begins with {text[:10]!r}, which is no object")

    def parse(self, text: str, path: Path) -> Object:
        """The object of the header."""
        try:
            root = json.loads(text, object_pairs_hook=self.json_object, parse_constant=self.no_constant)
            for name in root:
                name.encode()
        except (ValueError, RecursionError) as error:
            refuse(Reason.HEADER_JSON, f"{path}: the header is no JSON: {error}")
        return root  # type: ignore[no-any-return] # it begins with a brace

    def json_object(self, pairs: list[tuple[str, Any]]) -> Object:
        """One object of the header, from its members in order."""
        return Object(pairs)

    def no_constant(self, word: str) -> float:
        """NaN and Infinity, which Python reads and JSON does not have."""
        raise ValueError(f"{word} is no JSON")

    def check_repeated(self, root: Object, path: Path) -> None:
        """Each name stands there once."""
        if root.repeated:
            refuse(Reason.DUPLICATE_KEY, f"{path}: the header names {', '.join(root.repeated)} twice")

    def without_metadata(self, root: Object, path: Path) -> dict[str, Any]:
        """The entries of tensors."""
        if METADATA in root:
            self.check_metadata(root[METADATA], path)
        return {name: fields for name, fields in root.items() if name != METADATA}

    def check_metadata(self, metadata: Any, path: Path) -> None:
        """A map of strings to strings; null is as good as none, and a key twice as good as once."""
        if metadata is not None and not (
            isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
        ):
            refuse(Reason.METADATA, f"{path}: {METADATA} is no map of strings: {metadata!r}")

    def entry(self, name: str, fields: Any, path: Path) -> Entry:
        """One tensor, whose size is that of its offsets."""
        if not isinstance(fields, Object) or not {"dtype", "shape", "data_offsets"} <= fields.keys():
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: expected dtype, shape and data_offsets, found {fields!r}")
        if fields.repeated:
            refuse(Reason.DUPLICATE_KEY, f"{path}: {name}: {', '.join(fields.repeated)} stands there twice")
        self.check_fields(fields, name, path)
        dtype = self.dtype(fields["dtype"], name, path)
        shape = self.numbers(fields["shape"], name, path)
        offsets = self.numbers(fields["data_offsets"], name, path)
        if len(offsets) != 2 or offsets[0] > offsets[1]:  # noqa: PLR2004 - a beginning and an end
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: data_offsets are {list(offsets)}")
        entry = Entry(name, dtype, shape, *offsets, path)
        self.check_size(entry)
        return entry

    def check_fields(self, fields: Object, name: str, path: Path) -> None:
        """A field that is not known is ignored."""

    def dtype(self, word: Any, name: str, path: Path) -> str:
        """The dtype of a tensor."""
        if not isinstance(word, str):
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: the dtype is {word!r}")
        if word not in BITS:
            refuse(Reason.UNKNOWN_DTYPE, f"{path}: {name}: no dtype is called {word!r}")
        return word

    def numbers(self, values: Any, name: str, path: Path) -> tuple[int, ...]:
        """A list of sizes or offsets."""
        if not isinstance(values, list):
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: expected a list of numbers, found {values!r}")
        return tuple(self.whole_number(value, name, path) for value in values)

    def whole_number(self, value: Any, name: str, path: Path) -> int:
        """A size or an offset: digits, and no more than 64 bits of them."""
        if type(value) is not int or value < 0:
            refuse(Reason.HEADER_ENTRY, f"{path}: {name}: expected a whole number, found {value!r}")
        if value > MAX_U64:
            refuse(Reason.OVERFLOW, f"{path}: {name}: {value} does not fit 64 bits")
        return value

    def elements(self, shape: tuple[int, ...]) -> int:
        """The elements of a shape; a scalar has one."""
        return math.prod(shape)

    def bits(self, dtype: str, shape: tuple[int, ...], name: str) -> int:
        """The bits of a tensor, which must be countable in 64 bits."""
        bits = self.elements(shape) * BITS[dtype]
        if bits // 8 > MAX_U64:
            refuse(Reason.OVERFLOW, f"{name}: {list(shape)} of {dtype} do not fit 64 bits")
        return bits

    def check_size(self, entry: Entry) -> None:
        """Shape and dtype ask for as many bytes as the offsets span."""
        bits = self.bits(entry.dtype, entry.shape, entry.name)
        if bits != 8 * entry.nbytes:
            what = f"{list(entry.shape)} of {entry.dtype} are {bits / 8} bytes, the offsets span {entry.nbytes}"
            refuse(Reason.SIZE_MISMATCH, f"{entry.path}: {entry.name}: {what}")

    def check_tiling(self, entries: Iterable[Entry], available: int, path: Path) -> None:
        """The tensors follow each other from the first byte of the data to the last."""
        reached = 0
        for entry in sorted(entries, key=lambda each: (each.start, each.end)):
            if entry.start > reached:
                self.hole(entry, entry.start - reached)
            if entry.start < reached:
                self.overlap(entry, reached - entry.start)
            reached = max(reached, entry.end)
        if reached > available:
            self.truncated(path, reached - available)
        if reached < available:
            self.trailing(path, available - reached)

    def hole(self, entry: Entry, count: int) -> None:
        """Bytes before a tensor belong to none."""
        refuse(Reason.HOLE, f"{entry.path}: {count} bytes before {entry.name} belong to no tensor")

    def overlap(self, entry: Entry, count: int) -> None:
        """A tensor begins before another one has ended."""
        refuse(Reason.OVERLAP, f"{entry.path}: {entry.name} shares {count} bytes with another tensor")

    def truncated(self, path: Path, count: int) -> None:
        """The file ends too early."""
        refuse(Reason.TRUNCATED, f"{path}: the last {count} bytes are not there")

    def trailing(self, path: Path, count: int) -> None:
        """The file goes on behind the last tensor."""
        refuse(Reason.TRAILING_BYTES, f"{path}: {count} bytes follow the last tensor")

    def placed(self, entries: list[Entry], header: bytes) -> list[Entry]:
        """The tensors with their place in the file: the data begin behind the header, wherever that is."""
        start = _WORD + len(header)
        return [replace(entry, at=start + entry.start) for entry in entries]

    def read(self, entry: Entry) -> Any:
        """One tensor."""
        return self.as_tensor(self.bytes_of(entry), entry)

    def bytes_of(self, entry: Entry) -> bytearray:
        """The bytes of a tensor, in memory of its own: the only copy."""
        data = bytearray(entry.nbytes)
        with entry.path.open("rb", buffering=0) as file:
            file.seek(entry.at)
            rest = memoryview(data)
            while rest and (count := file.readinto(rest)):
                rest = rest[count:]
        if rest:
            self.truncated(entry.path, len(rest))
        return data

    def as_tensor(self, data: bytearray, entry: Entry) -> Any:
        """The bytes as a tensor; raw where torch has no such shape: a size of 2^63 beside one of 0."""
        shape = (len(data),) if BITS[entry.dtype] < 8 else entry.shape  # noqa: PLR2004 - bits of a byte
        dtype = self.torch_dtype(entry)
        try:
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            return flat.reshape(shape)
        except (RuntimeError, TypeError):
            return RawTensor(entry.dtype, entry.shape, memoryview(data))

    def torch_dtype(self, entry: Entry) -> torch.dtype:
        """Torch's dtype of a tensor."""
        return TORCH[entry.dtype]
