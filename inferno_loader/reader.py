"""Reading planned tensors: bytes from the files into tensors, all or nothing. Imports torch.

By default the bytes are copied into memory of our own: a file that is cut while, or after, it is read gives an error,
where a mapping would give SIGBUS and kill the process. ``mmap=True`` maps instead, through safetensors.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from inferno_loader.errors import (
    ChangedFileError,
    InvalidScaleError,
    SizeMismatchError,
    UnreadableFileError,
    UnsupportedDtypeError,
)
from inferno_loader.files import FileIdentity, reopen_unchanged
from inferno_loader.header import header_of_bytes
from inferno_loader.layout import move_rows
from inferno_loader.modules import is_scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from inferno_loader.checkpoint import StoredTensor
    from inferno_loader.dtypes import Dtype
    from inferno_loader.header import Header
    from inferno_loader.header_entries import TensorInfo
    from inferno_loader.load_plan import LoadPlan, PlannedTensor

#: Called with the bytes done, the bytes in all, and the tensor just read.
Progress = Callable[[int, int, str], None]

_CHUNK = 16 << 20
#: Numbers that are rounded at a time, so that what is needed for it stays small.
_PIECE = 1 << 18
_THREADS = min(4, os.cpu_count() or 1)


class _Piece(NamedTuple):
    """A run of bytes of one tensor, and where they go."""

    name: str
    offset: int
    target: memoryview


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """The torch dtype of a container dtype.

    Raises:
        UnsupportedDtypeError: This torch has none.
    """
    found = getattr(torch, dtype.torch_name, None) if dtype.torch_name else None
    if not isinstance(found, torch.dtype):
        raise UnsupportedDtypeError(
            "torch has no dtype of this layout",
            expected="a dtype of torch",
            actual=dtype,
            remedy="update torch, or read the raw bytes",
        )
    return found


def read_tensors(plan: LoadPlan, *, progress: Progress | None = None) -> dict[str, torch.Tensor]:
    """Read every tensor of `plan`, by delivered name, in its order. All or nothing.

    Args:
        plan: What to read.
        progress: Called from this thread as bytes arrive.

    Raises:
        ChangedFileError: A file changed since its header was read, or while its tensors were.
        InvalidScaleError: A scale is not finite.
        FileError: A file cannot be read.
    """
    tally = _Tally(plan.read_bytes, progress)
    delivered: dict[str, torch.Tensor] = {}
    kept = [tensor for tensor in plan.tensors if tensor.action != "alias" and not tensor.copied]
    stored = {id(part): part for tensor in kept for part in tensor.parts.values()}
    raw = _read(stored.values(), mmap=plan.mmap, tally=tally)
    for tensor in kept:
        delivered[tensor.name] = _deliver(tensor, raw, plan.device)
    del raw
    for tensor in plan.tensors:
        if tensor.copied:
            delivered[tensor.name] = _read_one(tensor, plan, tally)
    return {tensor.name: delivered[tensor.alias_of or tensor.name] for tensor in plan.tensors}


def tensors_of_bytes(data: bytes) -> dict[str, torch.Tensor]:
    """Every tensor of one safetensors file whose bytes are in memory, by name, in memory of their own.

    Args:
        data: The whole file. Nothing that is handed out refers to it.

    Raises:
        HeaderError: The header breaks a rule of the format.
        FileError: There are fewer bytes than the header says, or more, or they are something else.
        UnsupportedDtypeError: Torch has no dtype of the layout of one of the tensors.
    """
    header = header_of_bytes(data)
    return {name: _copied(data, header.data_start, info) for name, info in header.tensors.items()}


def _copied(data: bytes, start: int, info: TensorInfo) -> torch.Tensor:
    piece = bytearray(memoryview(data)[start + info.start : start + info.end])
    flat = torch.frombuffer(piece, dtype=torch.uint8) if piece else torch.empty(0, dtype=torch.uint8)
    return _shaped(flat, info, None)


def read_tensor(tensor: PlannedTensor, plan: LoadPlan) -> torch.Tensor:
    """Read one tensor of `plan` that is no alias.

    Raises:
        As `read_tensors`.
    """
    return _read_one(tensor, plan, _Tally(tensor.stored_bytes, None))


def _read_one(tensor: PlannedTensor, plan: LoadPlan, tally: _Tally) -> torch.Tensor:
    return _deliver(tensor, _read(tensor.parts.values(), mmap=plan.mmap, tally=tally), plan.device)


@dataclass
class _Tally:
    """Bytes done, told to whoever asked."""

    total: int
    progress: Progress | None
    done: int = 0

    def add(self, count: int, name: str) -> None:
        self.done += count
        if self.progress:
            self.progress(self.done, self.total, name)


def _read(parts: Iterable[StoredTensor], *, mmap: bool, tally: _Tally) -> dict[str, torch.Tensor]:
    """The tensors as stored, by stored name, shard by shard in the order of the files."""
    shards: dict[Path, list[StoredTensor]] = {}
    for part in sorted(parts, key=lambda part: (str(part.shard.path), part.offset)):
        shards.setdefault(part.shard.path, []).append(part)
    found: dict[str, torch.Tensor] = {}
    for group in shards.values():
        found.update((_map_shard if mmap else _copy_shard)(group[0].shard, group, tally))
    return found


def _copy_shard(shard: Header, parts: list[StoredTensor], tally: _Tally) -> dict[str, torch.Tensor]:
    buffers = {part.name: torch.empty(part.info.nbytes, dtype=torch.uint8) for part in parts}
    pieces = [piece for part in parts for piece in _pieces(part, buffers[part.name])]
    # Threads cost more than they bring where there is little to read, as for most quantized weights.
    small = sum(part.info.nbytes for part in parts) <= _CHUNK
    descriptor = reopen_unchanged(shard.path, shard.identity)
    try:
        with nullcontext() if small else ThreadPoolExecutor(_THREADS) as pool:
            for piece in (pool.map if pool else map)(lambda piece: _fill(descriptor, piece, shard), pieces):
                tally.add(len(piece.target), piece.name)
        _check_unchanged(descriptor, shard)
    finally:
        os.close(descriptor)
    return {part.name: _shaped(buffers[part.name], part.info, shard.path) for part in parts}


def _shaped(flat: torch.Tensor, info: TensorInfo, path: Path | None) -> torch.Tensor:
    """Bytes as the tensor that they are.

    Raises:
        SizeMismatchError: Torch cannot count in sizes as large as a tensor without elements may have.
    """
    try:
        return flat.view(torch_dtype(info.dtype)).view(info.shape)
    except (TypeError, RuntimeError) as error:
        raise SizeMismatchError(
            "torch holds no tensor of this shape",
            path=path,
            tensor=info.name,
            expected="sizes below 2**63, and strides too",
            actual=list(info.shape),
            remedy="write the tensor again without the sizes that no element needs",
        ) from error


def _pieces(part: StoredTensor, buffer: torch.Tensor) -> Iterator[_Piece]:
    size = part.info.nbytes
    # Through the address: a tensor has no buffer protocol of its own, and NumPy is no dependency.
    view = memoryview((ctypes.c_char * size).from_address(buffer.data_ptr())).cast("B") if size else memoryview(b"")
    for start in range(0, size, _CHUNK):
        yield _Piece(part.name, part.offset + start, view[start : start + _CHUNK])


def _fill(descriptor: int, piece: _Piece, shard: Header) -> _Piece:
    filled = 0
    while filled < len(piece.target):
        try:
            count = os.preadv(descriptor, [piece.target[filled:]], piece.offset + filled)
        except OSError as error:
            raise UnreadableFileError(
                "the file cannot be read",
                path=shard.path,
                tensor=piece.name,
                actual=error,
                remedy="read it again, or copy it from its source",
            ) from error
        if not count:
            raise _changed(shard, piece.name, os.fstat(descriptor).st_size)
        filled += count
    return piece


def _map_shard(shard: Header, parts: list[StoredTensor], tally: _Tally) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    os.close(reopen_unchanged(shard.path, shard.identity))
    try:
        with safe_open(shard.path, framework="pt", device="cpu") as file:
            for part in parts:
                found[part.name] = file.get_tensor(part.name)
                tally.add(part.info.nbytes, part.name)
    except (SafetensorError, OSError) as error:
        raise UnreadableFileError(
            "safetensors does not map the file",
            path=shard.path,
            actual=error,
            remedy="load without mmap=True, or write the file again",
        ) from error
    # Opened by its name twice, so that what was mapped in between is the file whose header was read.
    os.close(reopen_unchanged(shard.path, shard.identity))
    return found


def _check_unchanged(descriptor: int, shard: Header) -> None:
    now = FileIdentity.of(descriptor)
    if now != shard.identity:
        raise _changed(shard, None, now.size)


def _changed(shard: Header, name: str | None, size: int) -> ChangedFileError:
    return ChangedFileError(
        "the file changed while it was read",
        path=shard.path,
        tensor=name,
        expected=f"{shard.identity.size} bytes, unchanged",
        actual=f"{size} bytes",
        remedy="wait until nothing writes to it, then load again",
    )


def _deliver(tensor: PlannedTensor, raw: Mapping[str, torch.Tensor], device: str) -> torch.Tensor:
    """The tensor made of its parts, which `raw` holds by stored name."""
    parts = {suffix: raw[part.name] for suffix, part in tensor.parts.items()}
    _check_scales(tensor, parts)
    if device != "cpu":
        parts = {suffix: part.to(device) for suffix, part in parts.items()}
    if tensor.action == "dequantize" and tensor.quantized:
        result = tensor.quantized.family.dequantize(tensor.quantized, parts, torch_dtype(tensor.dtype))
    else:
        (stored,) = parts.values()
        result = rounded_once(stored, torch_dtype(tensor.dtype))
    return move_rows(result, tensor.move) if tensor.move else result


def rounded_once(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`values` in another floating dtype, each rounded once to the nearest, ties to even.

    Torch takes float64 to the dtypes of 16 bits through float32, which rounds twice: a number a hair beside the middle
    between two of them becomes the middle itself, and then the even one.
    """
    if values.dtype != torch.float64 or dtype.itemsize != 2:  # noqa: PLR2004 - bytes of float16 and bfloat16
        return values.to(dtype)
    flat = values.reshape(-1)
    result = torch.empty(flat.shape, dtype=dtype, device=values.device)
    for start in range(0, len(flat), _PIECE):
        result[start : start + _PIECE] = _rounded_to_odd(flat[start : start + _PIECE])
    return result.view(values.shape)


def _rounded_to_odd(values: torch.Tensor) -> torch.Tensor:
    """Float64 in float32, of two neighbours the odd one: the next rounding then meets no tie that is none.

    Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on Computers 57 (2008).
    """
    narrow = values.to(torch.float32)
    again = narrow.to(torch.float64)
    inexact = torch.isfinite(narrow) & (again != values)
    bits = narrow.view(torch.int32)
    towards_zero = bits - (again.abs() > values.abs()).to(torch.int32)
    return torch.where(inexact, towards_zero | 1, bits).view(torch.float32)


def _check_scales(tensor: PlannedTensor, parts: Mapping[str, torch.Tensor]) -> None:
    """NaN or infinity in a scale makes a whole channel so: nothing of the kind is handed out."""
    for suffix, values in parts.items():
        if is_scale(suffix) and values.is_floating_point() and not bool(torch.isfinite(values.float()).all()):
            stored = tensor.parts[suffix]
            bad = int((~torch.isfinite(values.float())).sum())
            raise InvalidScaleError(
                "a scale or zero point is not finite",
                path=stored.shard.path,
                tensor=stored.name,
                expected="finite numbers",
                actual=f"{bad} of {values.numel()} are NaN or infinite",
                remedy="the quantization failed for this module: quantize the model again",
            )
