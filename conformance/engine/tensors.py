"""Tensors of any library as what the judge compares: dtype, shape, and the SHA-256 of the canonical bytes.

Torch is used only where an adapter hands out torch tensors: an adapter of another library needs none.
"""

from __future__ import annotations

import hashlib
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from conformance.engine.contract import RawTensor

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Torch's word for each dtype of the container.
TORCH_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
        "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
        "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz",
        "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu", "F4": "float4_e2m1fn_x2",
    },
)  # fmt: skip
_CONTAINER_NAMES: Mapping[str, str] = MappingProxyType({name: dtype for dtype, name in TORCH_NAMES.items()})


class BrokenContractError(Exception):
    """What an adapter gave is not what the contract asks for: a defect of the adapter, not of its loader."""


def canonical(tensor: object) -> RawTensor:
    """The tensor as dtype, shape and bytes in row-major order, little-endian.

    Args:
        tensor: A torch tensor on the CPU, a numpy array, or a `RawTensor`.

    Raises:
        BrokenContractError: It is something else, lies on a device, or has a dtype that the container lacks.
    """
    if isinstance(tensor, RawTensor):
        return tensor
    kind = type(tensor).__module__.partition(".")[0]
    if hasattr(tensor, "untyped_storage"):
        return _of_torch(tensor)
    if kind == "numpy" or hasattr(tensor, "__array_interface__"):
        return _of_numpy(tensor)
    raise BrokenContractError(f"expected a torch tensor, a numpy array or a RawTensor, got {type(tensor).__qualname__}")


def digest_of(tensor: object) -> dict[str, Any]:
    """What an answer says of a tensor: ``dtype``, ``shape`` and ``sha256``.

    Raises:
        BrokenContractError: As `canonical`.
    """
    raw = canonical(tensor)
    return {"dtype": raw.dtype, "shape": list(raw.shape), "sha256": hashlib.sha256(raw.data).hexdigest()}


def _of_torch(tensor: Any) -> RawTensor:
    import torch  # noqa: PLC0415 - an adapter that hands out torch tensors has imported it

    if tensor.device.type != "cpu":
        raise BrokenContractError(f"expected a tensor on the CPU, got one on {tensor.device}")
    if tensor.layout is not torch.strided:
        raise BrokenContractError(f"expected a strided tensor, got layout {tensor.layout}")
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _CONTAINER_NAMES:
        raise BrokenContractError(f"no dtype of the container is torch's {name}")
    flat = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b""
    return RawTensor(_CONTAINER_NAMES[name], tuple(tensor.shape), data)


def _of_numpy(array: Any) -> RawTensor:
    name = array.dtype.name
    # ml_dtypes, which jax and mlx use, has the names of torch for these.
    if name not in _CONTAINER_NAMES:
        raise BrokenContractError(f"no dtype of the container is numpy's {name}")
    little = array.astype(array.dtype.newbyteorder("<")) if sys.byteorder == "big" else array
    if array.dtype.byteorder == ">":
        little = array.astype(array.dtype.newbyteorder("<"))
    return RawTensor(_CONTAINER_NAMES[name], tuple(array.shape), little.tobytes())
