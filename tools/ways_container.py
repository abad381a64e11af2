"""Ways to edit one safetensors file: its length word, the text of its header, its entries, its end. No loader.

Each takes the directory and the name of a file in it. What changes the header writes a new length word, and adds no
padding: a file that is edited may well be one whose header has another length modulo 8.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.tools.edits import compact, join_raw, split, split_raw
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.tools.stored import Tensor

_LENGTH = struct.Struct("<Q")


def length_word(directory: Path, file: str, value: int) -> None:
    """The length word says `value`; the rest stays."""
    path = directory / file
    path.write_bytes(_LENGTH.pack(value) + path.read_bytes()[_LENGTH.size :])


def pad_header(directory: Path, file: str, before: str, after: str) -> None:
    """The JSON has no padding but `before` it and `after` it."""
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, before.encode() + header.strip() + after.encode(), data)


def pad_header_to(directory: Path, file: str, length: int) -> None:
    """Spaces follow the JSON until the header has `length` bytes."""
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, header.strip().ljust(length), data)


def break_letter(directory: Path, file: str, word: str) -> None:
    """Where the header says `word`, which it does once, the first letter is the byte 0xFF, which UTF-8 does not have.

    Raises:
        ValueError: The header does not hold it once.
    """
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, _replaced(path, header, word.encode(), b"\xff" + word[1:].encode()), data)


def set_header(directory: Path, file: str, text: str) -> None:
    """The header is `text`, whatever that is; the data stay."""
    path = directory / file
    _, data = split_raw(path)
    join_raw(path, text.encode(), data)


def indent_header(directory: Path, file: str) -> None:
    """The JSON of the header has line feeds, and spaces before and behind its values."""
    path = directory / file
    header, data = split(path)
    join_raw(path, json.dumps(header, indent=3, separators=(" , ", " : ")).encode(), data)


def replace_text(directory: Path, file: str, old: str, new: str) -> None:
    """The text `old`, which the header holds once, is `new`.

    Raises:
        ValueError: The header does not hold it once.
    """
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, _replaced(path, header, old.encode(), new.encode()), data)


def _replaced(path: Path, header: bytes, old: bytes, new: bytes) -> bytes:
    if header.count(old) != 1:
        raise ValueError(f"{path}: {old!r} stands {header.count(old)} times in the header, not once")
    return header.replace(old, new)


def set_entry(directory: Path, file: str, tensor: str, field: str, value: str) -> None:
    """A field of a tensor's entry has another value, which is given as JSON text."""
    path = directory / file
    header, data = split(path)
    header[tensor][field] = json.loads(value)
    join_raw(path, compact(header), data)


def drop_entry_field(directory: Path, file: str, tensor: str, field: str) -> None:
    """A tensor's entry lacks a field."""
    path = directory / file
    header, data = split(path)
    del header[tensor][field]
    join_raw(path, compact(header), data)


def add_entry(directory: Path, file: str, entry: str) -> None:
    """The header has one more member at its end, which is given as JSON text: ``"name":{...}``."""
    path = directory / file
    header, data = split(path)
    text = compact(header)[:-1]
    join_raw(path, text + (b"," if header else b"") + entry.encode() + b"}", data)


def set_metadata(directory: Path, file: str, value: str | None) -> None:
    """``__metadata__`` is what the JSON text says; with None there is none."""
    path = directory / file
    header, data = split(path)
    rest: dict[str, Any] = {name: entry for name, entry in header.items() if name != "__metadata__"}
    join_raw(path, compact(rest if value is None else {"__metadata__": json.loads(value), **rest}), data)


def reverse_entries(directory: Path, file: str) -> None:
    """The entries stand in the opposite order of their data."""
    path = directory / file
    header, data = split(path)
    join_raw(path, compact(dict(reversed(header.items()))), data)


def nest(directory: Path, file: str, tensor: str, depth: int) -> None:
    """A tensor's entry has one more field, ``note``, which holds arrays in arrays, `depth` levels of them."""
    path = directory / file
    header, data = split(path)
    header[tensor]["note"] = "here"
    arrays = b"[" * depth + b"]" * depth
    join_raw(path, compact(header).replace(b'"note":"here"', b'"note":' + arrays), data)


def open_hole(directory: Path, file: str, tensor: str, count: int) -> None:
    """Before a tensor stand `count` bytes that belong to none; it and all that follow lie as much farther back."""
    path = directory / file
    header, data = split(path)
    here = header[tensor]["data_offsets"][0]
    for name, entry in header.items():
        if name != "__metadata__" and entry["data_offsets"][0] >= here:
            entry["data_offsets"] = [offset + count for offset in entry["data_offsets"]]
    join_raw(path, compact(header), data[:here] + b"\xff" * count + data[here:])


def set_bytes(directory: Path, file: str, tensor: str, digits: str) -> None:
    """The data of a tensor are the bytes that hexadecimal `digits` spell, as many as it has.

    Raises:
        ValueError: They are more or fewer.
    """
    path = directory / file
    header, data = split(path)
    start, end = header[tensor]["data_offsets"]
    new = bytes.fromhex(digits)
    if len(new) != end - start:
        raise ValueError(f"{path}: {tensor} has {end - start} bytes, got {len(new)}")
    text, _ = split_raw(path)
    join_raw(path, text, data[:start] + new + data[end:])


def _bytes_set(stored: dict[str, Tensor], _file: str, tensor: str, digits: str) -> None:
    stored[tensor] = replace(stored[tensor], data=bytes.fromhex(digits))


def append(directory: Path, file: str, text: str) -> None:
    """Bytes follow the last tensor."""
    path = directory / file
    path.write_bytes(path.read_bytes() + text.encode("latin-1"))


def cut(directory: Path, file: str, count: int) -> None:
    """The last `count` bytes of the file are missing."""
    path = directory / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - count])


def keep(directory: Path, file: str, count: int) -> None:
    """Only the first `count` bytes of the file are there."""
    path = directory / file
    path.write_bytes(path.read_bytes()[:count])


#: The ways of this module, by name.
CONTAINER_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        **{
            way.__name__: Way(way)
            for way in (
                length_word,
                pad_header,
                pad_header_to,
                break_letter,
                set_header,
                indent_header,
                replace_text,
                set_entry,
                drop_entry_field,
                add_entry,
                set_metadata,
                reverse_entries,
                nest,
                open_hole,
                append,
                cut,
                keep,
            )
        },
        "set_bytes": Way(set_bytes, _bytes_set),
    },
)
