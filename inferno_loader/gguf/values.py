"""The values of a GGUF header, read one after the other from the file, and never past its end. No torch.

A count or a length in the file is held against the bytes that are left before anything is made of it. Arrays are walked
over and not kept: a vocabulary has a hundred thousand strings that no weight needs.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from reprlib import repr as short_repr
from types import MappingProxyType
from typing import TYPE_CHECKING

from inferno_loader.errors import HeaderEntryError, HeaderTooLargeError, TruncatedFileError
from inferno_loader.files import read_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The largest header that is read, in bytes. That of Llama 3, its vocabulary and merges in it, has 8 MB.
MAX_HEADER_BYTES = 1 << 26
#: Elements of an array that are kept: a number for each layer, as some writers have it. Longer ones are counted.
MOST_KEPT = 1 << 14

_BATCH = 1 << 20
#: Decimal digits that tell every number of 32 bits from its neighbours.
_DIGITS = 9
#: Arrays in arrays that are followed: levels, and how many in one header. Known files have none.
_DEEPEST, _MOST_NESTED = 8, 1 << 16
_BOOL, _STRING, _ARRAY = 7, 8, 9
#: Numbers by their type: the letter of `struct`.
_NUMBERS: Mapping[int, str] = MappingProxyType(
    {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"},
)
#: Bytes of the smallest value of each type.
_LEAST = {_BOOL: 1, _STRING: 8, _ARRAY: 12, **{kind: struct.calcsize(f"<{code}") for kind, code in _NUMBERS.items()}}


@dataclass(frozen=True, slots=True)
class Array:
    """An array of the metadata.

    Attributes:
        kind: The type of its elements, by its number in a file.
        count: How many there are.
        values: They themselves, where they are numbers and at most `MOST_KEPT`; else empty.
    """

    kind: int
    count: int
    values: tuple[int | float, ...] = ()


Value = int | float | bool | str | Array


class Cursor:
    """A place in the header of a file, and the bytes up to it.

    Args:
        descriptor: The open file.
        size: Its bytes.
        path: Its name, for messages.
    """

    def __init__(self, descriptor: int, size: int, path: Path) -> None:
        self._descriptor, self.size, self.path = descriptor, size, path
        self._bytes = bytearray()
        self.place = 0
        self._nested = 0

    @property
    def left(self) -> int:
        """Bytes of the file behind the place."""
        return self.size - self.place

    def need(self, count: int, what: str, tensor: str | None = None) -> None:
        """Make sure that `count` bytes follow, and have them at hand.

        Raises:
            TruncatedFileError: The file ends first.
            HeaderTooLargeError: The header would pass `MAX_HEADER_BYTES`.
        """
        end = self.place + count
        if end <= len(self._bytes):
            return
        if end > self.size:
            raise self._ends(count, what, tensor)
        if end > MAX_HEADER_BYTES:
            raise HeaderTooLargeError(
                "the header passes the limit of this reader",
                path=self.path,
                expected=f"at most {MAX_HEADER_BYTES} bytes",
                actual=f"at least {end} bytes, with {what}",
                remedy="the file is damaged: download it again",
            )
        more = min(max(end, len(self._bytes) + _BATCH), self.size) - len(self._bytes)
        self._bytes += read_exactly(self._descriptor, more, len(self._bytes), self.path)

    def _ends(self, count: int, what: str, tensor: str | None) -> TruncatedFileError:
        return TruncatedFileError(
            f"the file ends inside {what}",
            path=self.path,
            tensor=tensor,
            expected=f"{count} bytes from byte {self.place} on",
            actual=f"{self.left} bytes",
            remedy="the download is incomplete, or a length in the header lies: fetch the file again",
        )

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, or as many as there are. The place stays."""
        there = min(count, self.left)
        self.need(there, "its first bytes")
        return bytes(self._bytes[self.place : self.place + there])

    def numbers(self, codes: str, what: str) -> tuple[int | float, ...]:
        """Little-endian numbers by the letters of `struct`."""
        layout = struct.Struct(f"<{codes}")
        self.need(layout.size, what)
        found = layout.unpack_from(self._bytes, self.place)
        self.place += layout.size
        return found

    def whole(self, code: str, what: str) -> int:
        """One whole number."""
        return int(self.numbers(code, what)[0])

    def count(self, least: int, what: str) -> int:
        """A count of things that take at least `least` bytes each, held against the bytes that are left.

        Raises:
            TruncatedFileError: There cannot be as many.
        """
        found = self.whole("Q", f"the number of {what}")
        if found > self.left // least:
            raise self._ends(found * least, what, None)
        return found

    def text(self, what: str, most: int) -> str:
        """A string: its length, then UTF-8.

        Raises:
            HeaderEntryError: It is longer than `most` bytes, or no UTF-8.
        """
        length = self.count(1, f"bytes of {what}")
        if length > most:
            raise self.malformed(f"{what} is too long", f"at most {most} bytes", f"{length} bytes")
        self.need(length, what)
        data = bytes(self._bytes[self.place : self.place + length])
        self.place += length
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.malformed(f"{what} is no UTF-8", "UTF-8", short_repr(data)) from error

    def malformed(self, problem: str, expected: object, actual: object, tensor: str | None = None) -> HeaderEntryError:
        """The error of an entry that breaks a rule."""
        return HeaderEntryError(
            problem,
            path=self.path,
            tensor=tensor,
            expected=expected,
            actual=actual,
            remedy="the file is damaged, or its writer is wrong: download or write it again",
        )

    def value(self, kind: int, key: str) -> Value:
        """One value of the metadata.

        Raises:
            HeaderEntryError: There is no such type, a boolean is neither 0 nor 1, or arrays nest too deeply.
        """
        if kind in _NUMBERS:
            (number,) = self.numbers(_NUMBERS[kind], f"the value of {key}")
            return _as_written(number) if kind == 6 else number  # noqa: PLR2004 - a float of 32 bits
        if kind == _STRING:
            return self.text(f"the value of {key}", MAX_HEADER_BYTES)
        if kind == _ARRAY:
            return self._array(key, 1)
        if kind != _BOOL:
            raise self._no_type(key, kind)
        flag = self.whole("B", f"the value of {key}")
        if flag > 1:
            raise self.malformed(f"the value of {key} is no boolean", "0 or 1", flag)
        return flag == 1

    def _no_type(self, key: str, kind: int) -> HeaderEntryError:
        return self.malformed(f"the value of {key} has a type that does not exist", "a type from 0 to 12", kind)

    def _array(self, key: str, depth: int) -> Array:
        kind = self.whole("I", f"the type of {key}")
        if kind not in _LEAST:
            raise self._no_type(key, kind)
        self._nested += depth > 1
        if depth > _DEEPEST or self._nested > _MOST_NESTED:
            most = f"at most {_DEEPEST} levels, and {_MOST_NESTED} arrays within others"
            raise self.malformed(f"the value of {key} nests arrays beyond measure", most, "more")
        count = self.count(_LEAST[kind], f"elements of {key}")
        if kind in _NUMBERS and count <= MOST_KEPT:
            return Array(kind, count, self.numbers(f"{count}{_NUMBERS[kind]}", f"the value of {key}"))
        if kind == _STRING:
            self._pass_strings(count, key)
        elif kind == _ARRAY:
            for _ in range(count):
                self._array(key, depth + 1)
        else:
            self.need(count * _LEAST[kind], f"the value of {key}")
            self.place += count * _LEAST[kind]
        return Array(kind, count)

    def _pass_strings(self, count: int, key: str) -> None:
        """Walk over strings. A vocabulary is long: the bytes are looked at where they lie."""
        what, unpack = f"the value of {key}", struct.Struct("<Q").unpack_from
        for _ in range(count):
            if self.place + 8 > len(self._bytes):
                self.need(8, what)
            (length,) = unpack(self._bytes, self.place)
            self.place += 8
            if self.place + length > len(self._bytes):
                self.need(length, what)
            self.place += length


def _as_written(number: float) -> float:
    """The shortest decimal that has the same 32 bits: 1e-05 for the float of 32 bits nearest to it.

    A converter casts 1e-05 of a config.json to 32 bits; the reader of the same model from safetensors has the decimal.
    """
    if not math.isfinite(number):
        return number
    bits = struct.pack("<f", number)
    for digits in range(1, _DIGITS):
        short = float(f"{number:.{digits}g}")
        try:
            if struct.pack("<f", short) == bits:
                return short
        except OverflowError:
            continue
    return float(f"{number:.{_DIGITS}g}")
