"""Ways to edit what a parameter is made of: a tensor of another form, a scale that is no number. No loader."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.edits import find, store
from conformance.tools.stored import Tensor
from conformance.tools.values import encode_values, tensor_bytes
from conformance.tools.way import Way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def reform_tensor(directory: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    """A tensor is stored in its place with another dtype or shape, and with values of its own.

    Raises:
        KeyError: There is no such tensor.
    """
    find(directory, name)
    store(directory, _closed_form(name, dtype, shape))


def _reformed(stored: dict[str, Tensor], name: str, dtype: str, shape: tuple[int, ...]) -> None:
    stored[name] = _closed_form(name, dtype, shape)


def spoil_scale(directory: Path, name: str, value: str) -> None:
    """The first element of a scale is ``nan`` or ``inf``; the others stay.

    Raises:
        KeyError: There is no such tensor.
        ValueError: `value` is no number in Python's words.
    """
    store(directory, _spoilt(find(directory, name)[1], value))


def _scale_spoilt(stored: dict[str, Tensor], name: str, value: str) -> None:
    stored[name] = _spoilt(stored[name], value)


def _spoilt(scale: Tensor, value: str) -> Tensor:
    first = encode_values(np.array([float(value)]), scale.spec.dtype)
    return replace(scale, data=first + scale.data[len(first) :])


def _closed_form(name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(Spec(name, dtype, tuple(shape)), tensor_bytes(name, dtype, tuple(shape)))


#: The ways of this module, by name.
MODEL_WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "reform_tensor": Way(reform_tensor, _reformed),
        "spoil_scale": Way(spoil_scale, _scale_spoilt),
    },
)
