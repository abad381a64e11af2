"""The stored tensors of a scheme, made and read: integers, floats, bytes. Pure NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.encode import ROUND
from conformance.tools.stored import Tensor, decode
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from conformance.tools.encode import FloatDtype

_INTEGERS = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
#: Dtypes of the container of which one byte is one code.
_OCTETS = ("U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0")
#: The dtypes of scales that say what a loader hands out when nothing is asked for.
_TELLING: tuple[FloatDtype, ...] = ("BF16", "F16")


def integers(name: str, dtype: str, values: ArrayLike) -> Tensor:
    """A tensor of integers, or of single bytes of any dtype, in the shape of `values`; they must fit the dtype."""
    array = np.asarray(values)
    kind = _INTEGERS.get(dtype, "<u1")
    return Tensor(Spec(name, dtype, array.shape), array.astype(kind).tobytes())


def floats(name: str, dtype: str, values: ArrayLike) -> Tensor:
    """A tensor of floats in the shape of `values`, each rounded once."""
    array = np.asarray(values, dtype=np.float64)
    return Tensor(Spec(name, dtype, array.shape), encode_values(array.reshape(-1), dtype))


def octets(tensor: Tensor) -> NDArray[np.uint8]:
    """The bytes of a tensor of single bytes, uint8 in its shape.

    Raises:
        ValueError: Its elements are of another size.
    """
    if tensor.spec.dtype not in _OCTETS:
        raise ValueError(f"{tensor.spec.name} is stored as {tensor.spec.dtype}, and bytes are wanted")
    return np.frombuffer(tensor.data, np.uint8).reshape(tensor.spec.shape)


def whole(tensor: Tensor) -> NDArray[np.int64]:
    """The values of a tensor of integers, int64 in its shape."""
    return np.frombuffer(tensor.data, _INTEGERS[tensor.spec.dtype]).astype(np.int64).reshape(tensor.spec.shape)


def numbers(tensor: Tensor) -> NDArray[np.float32]:
    """The values of a tensor of floats or of E4M3 codes, float32 in its shape."""
    return decode(tensor).astype(np.float32)


def told_dtype(scale: Tensor, dtype: FloatDtype | None, fallback: FloatDtype) -> FloatDtype:
    """The dtype of a dense weight: the one asked for, else that of a 16-bit scale, else that of the model."""
    telling = [each for each in _TELLING if each == scale.spec.dtype]
    return dtype or (telling[0] if telling else fallback)


def rounded(values: NDArray[Any], dtype: FloatDtype) -> tuple[FloatDtype, NDArray[np.float64]]:
    """Values of float32 rounded once to a dtype, as `scheme.Scheme.decode` gives them."""
    return dtype, ROUND[dtype](values).astype(np.float64)


def leaning(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of even rows made positive, and those of odd rows negative: zero points at both ends of a range."""
    signs = np.where(np.arange(len(weight)) % 2 == 0, 1.0, -1.0)
    return np.asarray(np.abs(weight) * signs[:, None])
