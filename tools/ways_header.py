"""Ways to edit one safetensors file letter by letter: values spelled as given, bytes that are no text. No loader.

What a writer of JSON would not write is given as raw text here: ``7e0``, ``NaN``, half a surrogate pair, a name twice.
As in `ways_container`, a header that is edited has no padding but what it is given.
"""

from __future__ import annotations

import os
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.tools.edits import compact, join_raw, split, split_raw
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
#: Stands where raw text goes; no header of a case holds it.
_MARK = "<here>"
#: What opens and closes a level of nesting, by kind.
_LEVELS: Mapping[str, tuple[str, str]] = MappingProxyType({"arrays": ("[", "]"), "objects": ('{"":', "}")})


def _filled(header: object, text: str) -> bytes:
    """A header as compact JSON, with raw text where the mark stands as a value."""
    marked = compact(header)  # type: ignore[arg-type] # a header is an object
    return marked.replace(f'"{_MARK}"'.encode(), text.encode("utf-8", errors="surrogatepass"))


def spell_entry(directory: Path, file: str, tensor: str, text: str) -> None:
    """The entry of a tensor is `text`, whatever that is."""
    path = directory / file
    header, data = split(path)
    header[tensor] = _MARK
    join_raw(path, _filled(header, text), data)


def spell_field(directory: Path, file: str, tensor: str, field: str, text: str) -> None:
    """A field of a tensor's entry is `text`, whatever that is."""
    path = directory / file
    header, data = split(path)
    header[tensor][field] = _MARK
    join_raw(path, _filled(header, text), data)


def add_member(directory: Path, file: str, tensor: str, member: str) -> None:
    """A tensor's entry has one more member at its end, which is given as JSON text: ``"dtype":"F32"``."""
    path = directory / file
    header, data = split(path)
    header[tensor][_MARK] = 0
    join_raw(path, compact(header).replace(f'"{_MARK}":0'.encode(), member.encode()), data)


def spell_metadata(directory: Path, file: str, text: str) -> None:
    """``__metadata__`` is `text`, whatever that is."""
    path = directory / file
    header, data = split(path)
    header.pop(_METADATA, None)
    join_raw(path, _filled({_METADATA: _MARK, **header}, text), data)


def move_metadata(directory: Path, file: str, place: int) -> None:
    """``__metadata__`` stands behind the first `place` entries of tensors."""
    path = directory / file
    header, data = split(path)
    members = [member for member in header.items() if member[0] != _METADATA]
    members.insert(place, (_METADATA, header[_METADATA]))
    join_raw(path, compact(dict(members)), data)


def put_bytes(directory: Path, file: str, old: str, digits: str) -> None:
    """Where the header says `old`, which it does once, are the bytes that hexadecimal `digits` spell.

    Raises:
        ValueError: The header does not hold it once.
    """
    path = directory / file
    header, data = split_raw(path)
    if header.count(old.encode()) != 1:
        raise ValueError(f"{path}: {old!r} stands {header.count(old.encode())} times in the header, not once")
    join_raw(path, header.replace(old.encode(), bytes.fromhex(digits)), data)


def recode_header(directory: Path, file: str, encoding: str) -> None:
    """The text of the header is in another encoding than UTF-8."""
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, header.decode().encode(encoding), data)


def pad_to_remainder(directory: Path, file: str, remainder: int) -> None:
    """One to eight spaces follow the JSON, so that the length of the header is `remainder` modulo 8."""
    path = directory / file
    header, data = split_raw(path)
    text = header.strip()
    join_raw(path, text + b" " * ((remainder - len(text) - 1) % 8 + 1), data)


def nest_at(directory: Path, file: str, place: str, depth: int, kind: str) -> None:
    """Arrays or objects lie in each other, `depth` levels of them.

    Args:
        directory: The directory.
        file: The file.
        place: A tensor, whose entry they are; ``__metadata__``, of which they are a value; or ``""`` for the header.
        depth: How many.
        kind: ``arrays`` or ``objects``.
    """
    path = directory / file
    header, data = split(path)
    opening, closing = _LEVELS[kind]
    nested = opening * depth + '""' + closing * depth
    header[place] = {"note": _MARK} if place == _METADATA else _MARK
    join_raw(path, _filled(header, nested) if place else nested.encode(), data)


def close_up(directory: Path, file: str, tensor: str, count: int) -> None:
    """A tensor and all that follow begin `count` bytes earlier, over the end of the one before; the file is shorter."""
    path = directory / file
    header, data = split(path)
    here = header[tensor]["data_offsets"][0]
    for name, entry in header.items():
        if name != _METADATA and entry["data_offsets"][0] >= here:
            entry["data_offsets"] = [offset - count for offset in entry["data_offsets"]]
    join_raw(path, compact(header), data[: here - count] + data[here:])


def keep_of_header(directory: Path, file: str, count: int) -> None:
    """The file ends behind the first `count` bytes of its header; of a negative count, that many before its end."""
    path = directory / file
    header, _ = split_raw(path)
    path.write_bytes(_LENGTH.pack(len(header)) + header[:count])


def keep_data(directory: Path, file: str, count: int) -> None:
    """The file ends behind the first `count` bytes of its data."""
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, header, data[:count])


def blank_header(directory: Path, file: str) -> None:
    """Every byte of the header is NUL; the length word and the data stay."""
    path = directory / file
    header, data = split_raw(path)
    join_raw(path, bytes(len(header)), data)


def name_again(directory: Path, file: str, tensor: str, count: int) -> None:
    """As many more names have the entry of a tensor, with a number behind them."""
    path = directory / file
    header, data = split(path)
    header.update({f"{tensor}.{number}": header[tensor] for number in range(count)})
    join_raw(path, compact(header), data)


def resize(directory: Path, file: str, change: int) -> None:
    """The file is `change` bytes longer, of zeros, or shorter; it may be of any size, for nothing of it is read."""
    path = directory / file
    os.truncate(path, path.stat().st_size + change)


#: The ways of this module, by name.
HEADER_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        way.__name__: Way(way)
        for way in (
            spell_entry,
            spell_field,
            add_member,
            spell_metadata,
            move_metadata,
            put_bytes,
            recode_header,
            pad_to_remainder,
            nest_at,
            close_up,
            keep_of_header,
            keep_data,
            blank_header,
            name_again,
            resize,
        )
    },
)
