"""Reading planned tensors: bytes from the files into tensors, all or nothing. Imports torch.

By default the bytes are copied into memory of our own: a file that is cut while, or after, it is read gives an error,
where a mapping would give SIGBUS and kill the process. ``mmap=True`` maps instead, through safetensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from inferno_loader.errors import InvalidScaleError
from inferno_loader.header import header_of_bytes
from inferno_loader.layout import move_rows
from inferno_loader.modules import is_scale
from inferno_loader.rounding import rounded_once
from inferno_loader.stored_bytes import Progress, Room, Tally, read_stored, room_for, shaped, torch_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.header_entries import TensorInfo
    from inferno_loader.load_plan import LoadPlan, PlannedTensor

#: Numbers that are looked at at a time, so that what is needed for it stays small.
_PIECE = 1 << 18
#: Suffixes of scales that are exponents where they are bytes, and the byte that is no number (OCP MX 1.0, E8M0).
_EXPONENTS = ("weight_scale", "weight_scale_inv")
_NAN_EXPONENT = 255
#: Scales by names that do not say so: HQQ's zero, and quanto's shift.
_MORE_SCALES = ("zero", "weight._shift")
#: Scales that divide.
_DIVISORS = ("weight_global_scale",)

__all__ = ["Progress", "read_tensor", "read_tensors", "tensors_of_bytes", "torch_dtype"]


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
    tally = Tally(plan.read_bytes, progress)
    delivered: dict[str, torch.Tensor] = {}
    kept = [tensor for tensor in plan.tensors if tensor.action != "alias" and not tensor.copied]
    stored = {id(part): part for tensor in kept for part in tensor.parts.values()}
    raw = read_stored(stored.values(), mmap=plan.mmap, tally=tally)
    for tensor in kept:
        delivered[tensor.name] = _deliver(tensor, raw, plan.device)
    del raw
    copied = [tensor for tensor in plan.tensors if tensor.copied]
    for tensor in copied:
        if tensor.action != "dequantize":
            delivered[tensor.name] = _read_one(tensor, plan, tally)
    quantized = [tensor for tensor in copied if tensor.action == "dequantize"]
    room = Room(0 if plan.mmap else max((room_for(tensor.parts.values()) for tensor in quantized), default=0))
    for tensor in quantized:
        delivered[tensor.name] = _read_one(tensor, plan, tally, room)
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
    return shaped(flat, info, None)


def read_tensor(tensor: PlannedTensor, plan: LoadPlan) -> torch.Tensor:
    """Read one tensor of `plan` that is no alias.

    Raises:
        As `read_tensors`.
    """
    return _read_one(tensor, plan, Tally(tensor.stored_bytes, None))


def _read_one(tensor: PlannedTensor, plan: LoadPlan, tally: Tally, room: Room | None = None) -> torch.Tensor:
    if room is None:
        return _deliver(tensor, read_stored(tensor.parts.values(), mmap=plan.mmap, tally=tally), plan.device)
    room.clear()
    raw = read_stored(tensor.parts.values(), mmap=plan.mmap, tally=tally, room=room)
    result = _deliver(tensor, raw, plan.device)
    return result.clone() if room.holds(result) else result


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


def _check_scales(tensor: PlannedTensor, parts: Mapping[str, torch.Tensor]) -> None:
    """NaN or infinity in a scale makes a whole channel so: nothing of the kind is handed out."""
    for suffix, values in parts.items():
        if bad := _not_finite(suffix, values):
            stored = tensor.parts[suffix]
            raise InvalidScaleError(
                "a scale or zero point is not finite",
                path=stored.shard.path,
                tensor=stored.name,
                expected="finite numbers",
                actual=f"{bad} of {values.numel()} are NaN or infinite",
                remedy="the quantization failed for this module: quantize the model again",
            )


def _not_finite(suffix: str, values: torch.Tensor) -> int:
    """How many numbers of a scale, zero point or shift are NaN or infinite, or make what they divide so."""
    if suffix in _EXPONENTS and values.dtype == torch.uint8:
        return int((values == _NAN_EXPONENT).sum())
    if not values.is_floating_point() or not (is_scale(suffix) or suffix in _MORE_SCALES):
        return 0
    flat = values.reshape(-1)
    pieces = (flat[start : start + _PIECE].float() for start in range(0, len(flat), _PIECE))
    return sum(_count_wrong(piece, divides=suffix in _DIVISORS) for piece in pieces)


def _count_wrong(numbers: torch.Tensor, *, divides: bool) -> int:
    # The sum is finite only where all of them are: one pass instead of several, where nothing is wrong.
    if not divides and bool(torch.isfinite(numbers.sum())):
        return 0
    return int((~torch.isfinite(numbers) | (numbers == 0 if divides else False)).sum())
