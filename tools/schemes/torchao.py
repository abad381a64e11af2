"""torchao's tensor subclasses, flattened, as a scheme: what they are stands in the metadata of the header.

``_weight_qdata`` ``[out, in]``, ``_weight_scale`` and ``_weight_zero_point`` ``[out, in / columns]`` of a module; ``w
= (qdata - zero_point) * scale`` in float32. ``__metadata__`` has, under the name of the weight, JSON with ``_type``,
``_data`` (``block_size`` among it) and ``_tensor_data_names``, and a list ``tensor_names``.
Source: https://github.com/pytorch/ao, ``torchao/prototype/safetensors`` and ``torchao/quantization`` (release 0.18).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from conformance.tools.encode import E4M3, E4M3_MAX, ROUND, encode_e4m3
from conformance.tools.schemes.parts import floats, integers, leaning, numbers, octets, rounded, whole
from conformance.tools.schemes.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.tools.encode import FloatDtype
    from conformance.tools.stored import Tensor

    Grid = NDArray[np.float32]

_CODES, _SCALE, _ZERO = "_weight_qdata", "_weight_scale", "_weight_zero_point"
#: Type, range of the codes and configuration of each kind.
_TYPES = {"int8": "Int8Tensor", "float8": "Float8Tensor", "intx": "IntxUnpackedToInt8Tensor"}
_RANGE = {"int8": (-128, 127), "intx": (-8, 7)}
_NAMES: Mapping[str, str] = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def _named(kind: str, data: Any, *, version: int | None = None) -> dict[str, Any]:
    return {"_type": kind, **({} if version is None else {"_version": version}), "_data": data}


@dataclass(frozen=True, slots=True)
class Torchao(Scheme):
    """torchao.

    Attributes:
        kind: ``int8``, ``float8``, or ``intx``: codes of four bits in bytes.
        group_size: Columns that share a scale; None for a row.
        symmetric: Whether the zero points are zeros. They are stored all the same.
        lean: Whether the weights of every other row are made positive and those of the rest negative, so that the zero
            points lie at both ends of their range.
        scale_dtype: The dtype of the scales.
        dtype: The dtype that the metadata record.
        data: Further keys of ``_data``, as pairs; they replace those that are written otherwise.
    """

    kind: Literal["int8", "float8", "intx"] = "int8"
    group_size: int | None = None
    symmetric: bool = True
    lean: bool = False
    scale_dtype: FloatDtype = "F32"
    dtype: FloatDtype = "BF16"
    data: tuple[tuple[str, Any], ...] = ()

    @property
    def feature(self) -> str:
        """See `Scheme.feature`."""
        return "torchao"

    def config(self) -> dict[str, Any]:
        """See `Scheme.config`."""
        rows = _named("PerRow", {"dim": -1}, version=1)
        how: dict[str, Any] = {"granularity": rows, "set_inductor_config": True}
        if self.kind == "intx":
            grouped = _named("PerGroup", {"group_size": self.group_size}, version=1)
            how = {"granularity": grouped if self.group_size else rows, "weight_dtype": _named("torch.dtype", "int4")}
        name = {"int8": "Int8WeightOnlyConfig", "float8": "Float8WeightOnlyConfig", "intx": "IntxWeightOnlyConfig"}
        return {
            "include_input_output_embeddings": False,
            "modules_to_not_convert": None,
            "quant_method": "torchao",
            "quant_type": {"default": _named(name[self.kind], how, version=2)},
            "untie_embedding_weights": False,
        }

    def encode(self, module: str, weight: NDArray[np.float64], dtype: FloatDtype) -> tuple[Tensor, ...]:
        """See `Scheme.encode`. The library takes its steps in the dtype of the weight."""
        values = (leaning(weight) if self.lean else weight).astype(np.float32)
        size = self.group_size or values.shape[1]
        if values.shape[1] % size:
            raise ValueError(f"{module}: groups of {size} do not divide {values.shape[1]} columns")
        scale, zero = self._grid(values.reshape(len(values), -1, size), dtype)
        nearest = ROUND["F32" if self.kind == "int8" else dtype]
        inverse = nearest(np.float32(1) / scale).repeat(size, axis=1)
        steps = values / scale.repeat(size, axis=1) if self.kind == "float8" else nearest(values * inverse)
        held = floats(f"{module}.{_SCALE}", self.scale_dtype, scale)
        if self.kind == "float8":
            return integers(f"{module}.{_CODES}", "F8_E4M3", encode_e4m3(steps)), held
        codes = np.clip(np.rint(steps) + zero.repeat(size, axis=1), *_RANGE[self.kind])
        points = integers(f"{module}.{_ZERO}", "I8", zero)
        return integers(f"{module}.{_CODES}", "I8", codes), held, points

    def _grid(self, grouped: Grid, dtype: FloatDtype) -> tuple[Grid, Grid]:
        """Scale and zero point of each group."""
        low, high = np.minimum(grouped.min(axis=2), 0), np.maximum(grouped.max(axis=2), 0)
        largest, nearest = np.maximum(-low, high), ROUND[self.scale_dtype]
        if self.kind == "float8":
            return nearest(ROUND[dtype](largest / np.float32(E4M3_MAX))), np.zeros_like(low)
        least, most = _RANGE[self.kind]
        if self.symmetric:
            return nearest(ROUND[dtype](largest / np.float32((most - least) / 2))), np.zeros_like(low)
        scale = nearest((high - low) / np.float32(most - least))
        return scale, np.clip(least - np.rint(low / scale), least, most)

    def decode(
        self,
        module: str,  # noqa: ARG002 - the tensors say all
        stored: Mapping[str, Tensor],
        shape: tuple[int, int],
        dtype: FloatDtype | None,
        fallback: FloatDtype,
    ) -> tuple[FloatDtype, NDArray[np.float64]]:
        """See `Scheme.decode`."""
        size = self.group_size or shape[1]
        codes, scale = stored[_CODES], numbers(stored[_SCALE])
        values = E4M3[octets(codes)] if codes.spec.dtype == "F8_E4M3" else whole(codes).astype(np.float32)
        if _ZERO in stored:
            values = values - whole(stored[_ZERO]).astype(np.float32).repeat(size, axis=1)
        return rounded(values * scale.repeat(size, axis=1), dtype or fallback)

    def metadata(self, parts: Mapping[str, tuple[Tensor, ...]]) -> dict[str, str]:
        """See `Scheme.metadata`."""
        told = {name: json.dumps(self._told(tensors)) for name, tensors in parts.items()}
        return {**told, "tensor_names": json.dumps(list(parts))}

    def _told(self, tensors: tuple[Tensor, ...]) -> dict[str, Any]:
        """What the metadata say of one parameter, some of whose tensors lie in the file."""
        suffixes = {tensor.spec.name.rpartition(".")[2]: tensor for tensor in tensors}
        if not any(each in suffixes for each in (_CODES, _SCALE, _ZERO)):
            return {"_type": "Tensor"}
        columns = suffixes[_CODES].spec.shape[1] if _CODES in suffixes else 0
        data: dict[str, Any] = {"block_size": [1, self.group_size or columns]}
        if self.kind == "intx":
            data |= {"target_dtype": _named("torch.dtype", "int4"), "activation_quantization": None}
        else:
            data["act_quant_kwargs"] = None
        data |= {"dtype": _named("torch.dtype", _NAMES[self.dtype]), **dict(self.data)}
        names = ["qdata", "scale", *([] if self.kind == "float8" else ["zero_point"])]
        return {**_named(_TYPES[self.kind], data), "_tensor_data_names": names}
