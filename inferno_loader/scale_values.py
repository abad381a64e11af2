"""Values that are wrong whatever the model: scales that are not finite, flags that are neither 0 nor 1. No torch.

Only small tensors are read, in chunks, and no more than a bound in all: the weights themselves are never looked at, but
for those of GGUF, whose scales stand in their blocks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inferno_loader.errors import InvalidScaleError
from inferno_loader.files import read_exactly, reopen_unchanged
from inferno_loader.findings import Finding
from inferno_loader.gguf.scales import count_not_finite, has_scales, scales_in
from inferno_loader.gguf.types import BLOCK_TYPES
from inferno_loader.modules import is_scale, is_tolerated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from inferno_loader.checkpoint import StoredTensor

#: The most bytes that `value_findings` reads. The scales of a 405B with one scale a row take 40 MB; a model in blocks
#: of four bits has a scale in every 18 bytes, and of a large one only a part is read.
MOST_BYTES = 1 << 30

_CHUNK = 1 << 22
#: Exponent bits, all ones in NaN and in infinity (IEEE 754, and bfloat16 likewise).
_EXPONENTS: Mapping[str, int] = {"F64": 0x7FF << 52, "F32": 0xFF << 23, "BF16": 0xFF << 7, "F16": 0x1F << 10}
#: The bytes that are NaN or infinity in the one-byte dtypes (OCP 8-bit floating point, OCP microscaling formats).
_CODES: Mapping[str, bytes] = {
    "F8_E8M0": b"\xff",
    "U8": b"\xff",
    "F8_E4M3": b"\x7f\xff",
    "F8_E5M2": b"\x7c\x7d\x7e\x7f\xfc\xfd\xfe\xff",
    "F8_E4M3FNUZ": b"\x80",
    "F8_E5M2FNUZ": b"\x80",
}
_FLAGS = b"\0\1"
#: Scales that may be powers of two in plain bytes (OCP microscaling formats), of which 255 is NaN.
_BYTE_SCALES = frozenset({"weight_scale", "weight_scale_inv"})


def value_findings(tensors: Iterable[StoredTensor], *, most: int = MOST_BYTES) -> Iterator[Finding]:
    """What is wrong with the values of scales and flags among `tensors`.

    Args:
        tensors: Those of a checkpoint; weights among them are passed over, but for blocks of GGUF.
        most: Bytes to read in all. What would pass it is not looked at, and a note says so.

    Raises:
        FileError: A file changed, or cannot be read.
    """
    left, skipped = most, 0
    for stored in tensors:
        if not _of_interest(stored):
            continue
        if stored.info.nbytes > left:
            skipped += 1
            continue
        left -= stored.info.nbytes
        if bad := sum(_count_bad(chunk, stored.info.dtype.name) for chunk in _chunks(stored)):
            yield _finding(stored, bad)
    if skipped:
        text = f"the values of {skipped} scales were not looked at: no more than {most} bytes are read"
        yield Finding.note("check.not_read", text)


def _of_interest(stored: StoredTensor) -> bool:
    dtype, last = stored.info.dtype.name, stored.name.rpartition(".")[2]
    if dtype == "U8":
        return last in _BYTE_SCALES
    if has_scales(dtype):
        return True
    return dtype == "BOOL" or (is_scale(last) and (dtype in _EXPONENTS or dtype in _CODES))


def _chunks(stored: StoredTensor) -> Iterator[bytes]:
    descriptor = reopen_unchanged(stored.shard.path, stored.shard.identity)
    known = BLOCK_TYPES.get(stored.info.dtype.name)
    step = _CHUNK // known.nbytes * known.nbytes if known else _CHUNK
    try:
        for start in range(0, stored.info.nbytes, step):
            size = min(step, stored.info.nbytes - start)
            yield read_exactly(descriptor, size, stored.offset + start, stored.shard.path)
    finally:
        os.close(descriptor)


def _count_bad(data: bytes, dtype: str) -> int:
    """How many elements of `data` are NaN or infinite, of blocks how many scales; for BOOL, what is neither 0 nor 1."""
    if has_scales(dtype):
        return count_not_finite(dtype, data)
    if dtype == "BOOL":
        return len(data.translate(None, _FLAGS))
    if dtype in _CODES:
        return len(data) - len(data.translate(None, _CODES[dtype]))
    return _count_full_exponents(data, _EXPONENTS[dtype])


def _count_full_exponents(data: bytes, mask: int) -> int:
    """How many elements have every bit of `mask`: the whole of `data` is one integer, and each element a lane of it.

    The lowest bit of the mask, added to an exponent of ones, carries into the sign, which the mask has cleared.
    """
    size = mask.bit_length() // 8 + 1

    def lanes(value: int) -> int:
        return int.from_bytes(value.to_bytes(size, "little") * (len(data) // size), "little")

    exponents = int.from_bytes(data, "little") & lanes(mask)
    return ((exponents + lanes(mask & -mask)) & lanes(1 << (8 * size - 1))).bit_count()


def _finding(stored: StoredTensor, bad: int) -> Finding:
    path, name, dtype = stored.shard.path, stored.name, stored.info.dtype.name
    count = scales_in(dtype, stored.info.nbytes) if has_scales(dtype) else stored.info.elements
    if dtype == "BOOL":
        text = f"{bad} bytes of a BOOL tensor are neither 0 nor 1: readers differ in what they make of them"
        return Finding.note("data.bool", text, path=path, tensor=name)
    if is_tolerated(name):
        text = f"{bad} of {count} values are NaN or infinite, in a scale that a load leaves out"
        return Finding.warning("quant.scale", text, path=path, tensor=name)
    return Finding.from_error(
        InvalidScaleError(
            "a scale is not finite",
            path=path,
            tensor=name,
            expected="finite numbers",
            actual=f"{bad} of {count} are NaN or infinite",
            remedy="the quantization failed for this module: quantize the model again",
        )
    )
