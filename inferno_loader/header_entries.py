"""One entry of a header: its fields, held against the format and against each other. No torch.

Source: https://github.com/safetensors/safetensors, README ("Format") and ``safetensors/src/tensor.rs`` (release 0.8.0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any

from inferno_loader.dtypes import DTYPES, Dtype
from inferno_loader.errors import DuplicateNameError, HeaderEntryError, SizeMismatchError, UnknownDtypeError
from inferno_loader.findings import Finding
from inferno_loader.strict_json import JsonObject, depth

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAX_U64 = 2**64 - 1
_MAX_I64 = 2**63 - 1
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
#: serde_json, which the reference uses, stops at 128 levels.
_REFERENCE_DEPTH = 128


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a header.

    Attributes:
        name: As stored.
        dtype: Dtype of the container.
        shape: Logical shape; ``()`` is a scalar.
        start: First byte, counted from the start of the data section.
        end: First byte behind it.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements: the product of the shape, 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes on disk: the span of the offsets."""
        return self.end - self.start


def parse_entry(name: str, entry: Any, path: Path, findings: list[Finding]) -> TensorInfo:
    """The tensor that an entry of a header describes.

    Args:
        name: As stored.
        entry: What the header holds under this name.
        path: The file, for messages.
        findings: What is odd and allowed is added here.

    Raises:
        HeaderError: A field is missing, repeated, of the wrong type or out of range, or sizes contradict each other.
    """
    if not isinstance(entry, JsonObject):
        raise _bad_entry(name, path, "an object", type(entry).__name__)
    if entry.duplicates:
        raise DuplicateNameError(
            "an entry of the header repeats a field",
            path=path,
            tensor=name,
            expected="each field once",
            actual=", ".join(map(repr, entry.duplicates[:5])),
            remedy="write the file again",
        )
    if missing := _FIELDS - entry.keys():
        raise _bad_entry(name, path, "dtype, shape and data_offsets", f"no {', '.join(sorted(missing))}")
    if extra := entry.keys() - _FIELDS:
        _note_extra(name, entry, extra, path, findings)
    dtype = _parse_dtype(name, entry["dtype"], path)
    shape = _parse_integers(name, "shape", entry["shape"], path)
    offsets = _parse_integers(name, "data_offsets", entry["data_offsets"], path)
    if len(offsets) != 2 or offsets[0] > offsets[1]:  # noqa: PLR2004 - a start and an end
        raise _bad_entry(name, path, "data_offsets [start, end] with start <= end", short_repr(list(offsets)))
    info = TensorInfo(name, dtype, shape, *offsets)
    _check_size(info, path, findings)
    return info


def _bad_entry(name: str, path: Path, expected: object, actual: object) -> HeaderEntryError:
    return HeaderEntryError(
        "an entry of the header is malformed",
        path=path,
        tensor=name,
        expected=expected,
        actual=actual,
        remedy="the file is damaged, or its writer is wrong: write it again",
    )


def _note_extra(name: str, entry: JsonObject, extra: set[str], path: Path, findings: list[Finding]) -> None:
    deep = any(depth(entry[field]) >= _REFERENCE_DEPTH - 2 for field in extra)
    code = "header.deep_field" if deep else "header.unknown_field"
    what = ", ".join(sorted(extra)[:5])
    text = (
        f"an entry has a field that nests deeper than other readers go: {what}"
        if deep
        else f"an entry has unknown fields: {what}"
    )
    findings.append(Finding.note(code, text, path=path, tensor=name))


def _parse_dtype(name: str, value: Any, path: Path) -> Dtype:
    dtype = DTYPES.get(value) if isinstance(value, str) else None
    if dtype is None:
        raise UnknownDtypeError(
            "the dtype is not one of the format",
            path=path,
            tensor=name,
            expected=" ".join(DTYPES),
            actual=short_repr(value),
            remedy="the file was written by a newer or a wrong writer: update inferno_loader, or write it again",
        )
    return dtype


def _parse_integers(name: str, field: str, value: Any, path: Path) -> tuple[int, ...]:
    # bool is an int in Python, and True would pass for 1.
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= _MAX_U64 for item in value):
        raise _bad_entry(name, path, f"{field}: a list of integers from 0 to 2^64-1", short_repr(value))
    return tuple(value)


def _check_size(info: TensorInfo, path: Path, findings: list[Finding]) -> None:
    bits = _checked_product((*info.shape, info.dtype.bits))
    if bits is None or bits % 8:
        raise SizeMismatchError(
            "shape times dtype overflows 64 bits" if bits is None else "the elements do not fill whole bytes",
            path=path,
            tensor=info.name,
            expected="less than 2^64 bits"
            if bits is None
            else f"a multiple of 8 bits at {info.dtype.bits} bits an element",
            actual=f"shape {short_repr(list(info.shape))}, dtype {info.dtype}",
            remedy="the file is damaged, or made to attack its reader",
        )
    if bits // 8 != info.nbytes:
        raise SizeMismatchError(
            "the offsets span another size than shape times dtype",
            path=path,
            tensor=info.name,
            expected=f"{bits // 8} bytes for shape {short_repr(list(info.shape))} of {info.dtype}",
            actual=f"{info.nbytes} bytes, offsets [{info.start}, {info.end}]",
            remedy="the file is damaged, or its writer is wrong: write it again",
        )
    if bits == 0 and (_checked_product(filter(None, info.shape)) or _MAX_U64) > _MAX_I64:
        text = "an empty tensor has sizes whose product, zeros left out, passes 2^63: other readers overflow"
        findings.append(Finding.note("header.huge_empty", text, path=path, tensor=info.name))


def _checked_product(factors: Iterable[int]) -> int | None:
    """The product from left to right, None once it passes 64 bits: the order in which the reference multiplies."""
    product = 1
    for factor in factors:
        product *= factor
        if product > _MAX_U64:
            return None
    return product
