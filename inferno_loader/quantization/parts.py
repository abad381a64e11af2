"""The parts of a quantized weight held against each other: shapes, dtypes, small values that say more. No torch."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from inferno_loader.errors import (
    InvalidScaleError,
    MissingScaleError,
    QuantizationError,
    SchemeConflictError,
    UnknownSchemeError,
)
from inferno_loader.files import read_exactly, reopen_unchanged
from inferno_loader.modules import is_scale

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.quantization.family import WeightArgs

#: Bytes of the largest tensor whose values are looked at while a load is planned.
MOST_BYTES = 1 << 26

_DAMAGED = "the file is damaged, or of a newer layout: write it again"
_ELSEWHERE = "load it with the library that wrote it, or dequantize it there"
_STRUCT = {"I64": "q", "I32": "i", "U8": "B", "I8": "b", "F32": "f"}


def need(parts: Mapping[str, StoredTensor], suffix: str, beside: StoredTensor) -> StoredTensor:
    """A part that must be there.

    Raises:
        MissingScaleError: It is not, and it is a scale or a companion of one.
        QuantizationError: It is not, and it is anything else.
    """
    found = parts.get(suffix)
    if found is None:
        kind = MissingScaleError if is_scale(suffix) else QuantizationError
        raise kind(
            "a quantized weight lacks a part of itself",
            path=beside.shard.path,
            tensor=beside.name,
            expected=f"{suffix} beside it",
            actual=", ".join(sorted(parts)),
            remedy="the checkpoint is incomplete: fetch the shard that holds it, or write it again",
        )
    return found


def need_dtype(part: StoredTensor, *names: str) -> None:
    """A part has one of some dtypes.

    Raises:
        InvalidScaleError: It has another one.
    """
    if part.info.dtype.name not in names:
        raise misfit(part, f"a dtype of {', '.join(names)}", part.info.dtype)


def need_shape(part: StoredTensor, *shapes: tuple[int, ...]) -> None:
    """A part has one of some shapes.

    Raises:
        InvalidScaleError: It has another one.
    """
    if part.info.shape not in shapes:
        raise misfit(part, " or ".join(str(list(shape)) for shape in dict.fromkeys(shapes)), list(part.info.shape))


def misfit(part: StoredTensor, expected: object, actual: object) -> InvalidScaleError:
    """The error of a part that does not fit its weight."""
    return InvalidScaleError(
        "a part of a quantized weight does not fit it",
        path=part.shard.path,
        tensor=part.name,
        expected=expected,
        actual=actual,
        remedy=_DAMAGED,
    )


def conflict(part: StoredTensor, expected: object, actual: object) -> SchemeConflictError:
    """The error of a configuration that tells of another scheme than the tensors."""
    return SchemeConflictError(
        "the configuration and the tensors tell of different schemes",
        path=part.shard.path,
        tensor=part.name,
        expected=expected,
        actual=actual,
        remedy="the configuration belongs to another checkpoint: fetch the right one",
    )


def unread(part: StoredTensor, expected: str, actual: object) -> UnknownSchemeError:
    """The error of a layout that is known and not read."""
    return UnknownSchemeError(
        "the weights are quantized in a layout that is not read",
        path=part.shard.path,
        tensor=part.name,
        expected=expected,
        actual=actual,
        remedy=_ELSEWHERE,
    )


def method_among(part: StoredTensor, args: WeightArgs | None, *methods: str) -> None:
    """The configuration is silent, or names one of the methods that write this layout.

    Raises:
        SchemeConflictError: It names another one.
    """
    if args is not None and args.method not in methods:
        raise conflict(part, f"the layout of {args.method}, by the configuration", f"that of {methods[0]}")


def format_among(part: StoredTensor, args: WeightArgs | None, *formats: str) -> None:
    """The configuration is silent, or names one of the formats that have this layout.

    Raises:
        SchemeConflictError: It names another one.
    """
    if args is not None and args.format is not None and args.format not in formats:
        raise conflict(part, f"the format {args.format}, by the configuration", f"that of {formats[0]}")


def check_finite(part: StoredTensor, scale: torch.Tensor) -> None:
    """What the codes are multiplied by is finite, whatever small format it comes from, and whatever divides it.

    Args:
        part: The stored scale, for the error.
        scale: Its values in float32.

    Raises:
        InvalidScaleError: One of them is NaN or infinite.
    """
    import torch  # noqa: PLC0415 - planning never imports it

    if not bool(torch.isfinite(scale).all()):
        bad = int((~torch.isfinite(scale)).sum())
        raise InvalidScaleError(
            "a scale is not finite",
            path=part.shard.path,
            tensor=part.name,
            expected="finite numbers",
            actual=f"{bad} of {scale.numel()} are NaN or infinite",
            remedy="the quantization failed for this module: quantize the model again",
        )


def values_of(part: StoredTensor) -> tuple[int | float, ...]:
    """The values of a small tensor of I64, I32, I8, U8 or F32.

    Raises:
        InvalidScaleError: It is larger than `MOST_BYTES`, or of another dtype.
        FileError: The file changed, or cannot be read.
    """
    need_dtype(part, *_STRUCT)
    data = bytes_of(part)
    return struct.unpack(f"<{part.info.elements}{_STRUCT[part.info.dtype.name]}", data)


def bytes_of(part: StoredTensor) -> bytes:
    """The bytes of a small tensor, read while a load is planned.

    Raises:
        InvalidScaleError: It is larger than `MOST_BYTES`.
        FileError: The file changed, or cannot be read.
    """
    if part.info.nbytes > MOST_BYTES:
        raise misfit(part, f"at most {MOST_BYTES} bytes", f"{part.info.nbytes} bytes")
    descriptor = reopen_unchanged(part.shard.path, part.shard.identity)
    try:
        return read_exactly(descriptor, part.info.nbytes, part.offset, part.shard.path)
    finally:
        os.close(descriptor)
