"""Steps that change the parts of quantized weights: bytes that are spelled out, parts of what is stored, its rows."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.edits import find, names, store
from conformance.tools.stored import Tensor
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def put_tensor(directory: Path, name: str, dtype: str, shape: tuple[int, ...], digits: str) -> None:
    """Stores a tensor of given bytes, in hexadecimal digits; fewer than it needs are repeated."""
    store(directory, _spelled(name, dtype, shape, digits))


def _put(stored: dict[str, Tensor], name: str, dtype: str, shape: tuple[int, ...], digits: str) -> None:
    stored[name] = _spelled(name, dtype, shape, digits)


def poke_tensor(directory: Path, name: str, place: int, digits: str) -> None:
    """Replaces bytes of a stored tensor from a place on."""
    store(directory, _poked(find(directory, name)[1], place, digits))


def _poke(stored: dict[str, Tensor], name: str, place: int, digits: str) -> None:
    stored[name] = _poked(stored[name], place, digits)


def crop_tensor(directory: Path, name: str, shape: tuple[int, ...]) -> None:
    """Keeps the first rows and columns of a stored tensor."""
    store(directory, _cropped(find(directory, name)[1], shape))


def _crop(stored: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> None:
    stored[name] = _cropped(stored[name], shape)


def pair_rows(directory: Path, module: str, head_dim: int) -> None:
    """The rows of all parts of a projection lie as Meta has them: i and i + head_dim / 2 of a head are 2i and 2i + 1.

    Parts without a row for each of the weight, as one scale for the whole or a shape, stay. What a loader hands out
    stays as well: it puts the rows back.

    Args:
        directory: The checkpoint.
        module: The last word of the name of the projection, in every layer.
        head_dim: Rows of a head.
    """
    found = [name for name in names(directory) if f".{module}." in name]
    tensors = [find(directory, name)[1] for name in found]
    rows = [each for each in tensors if each.spec.shape and each.spec.shape[0] % head_dim == 0]
    store(directory, *(_paired(each, head_dim) for each in rows))


def _paired(tensor: Tensor, head_dim: int) -> Tensor:
    halves = np.frombuffer(tensor.data, np.uint8).reshape(tensor.spec.shape[0] // head_dim, 2, head_dim // 2, -1)
    return replace(tensor, data=halves.swapaxes(1, 2).tobytes())


def _spelled(name: str, dtype: str, shape: tuple[int, ...], digits: str) -> Tensor:
    spec, pattern = Spec(name, dtype, tuple(shape)), bytes.fromhex(digits)
    return Tensor(spec, (pattern * -(-spec.nbytes // len(pattern)))[: spec.nbytes])


def _poked(tensor: Tensor, place: int, digits: str) -> Tensor:
    new = bytes.fromhex(digits)
    return replace(tensor, data=tensor.data[:place] + new + tensor.data[place + len(new) :])


def _cropped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    size = len(tensor.data) // tensor.spec.elements
    cells = np.frombuffer(tensor.data, np.uint8).reshape(*tensor.spec.shape, size)
    kept = cells[tuple(slice(side) for side in shape)]
    return Tensor(replace(tensor.spec, shape=tuple(shape)), kept.tobytes())


QUANTIZED_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "put_tensor": Way(put_tensor, _put),
        "poke_tensor": Way(poke_tensor, _poke),
        "crop_tensor": Way(crop_tensor, _crop),
        "pair_rows": Way(pair_rows),
    },
)
