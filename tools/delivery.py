"""What a loader hands out for a parameter: the dense tensor after the steps, in each dtype, every right rounding once.

The formula of a quantized weight is that of `encode`; what it is applied to are the stored tensors as the steps left
them, from the closed form and not read from a file. No loader, no torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.encode import Quantized, dequantize
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.stored import Parameter, Tensor, decode, dequantized
from conformance.tools.truth import tensor_digest
from conformance.tools.values import encode_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.tools.encode import FloatDtype
    from conformance.tools.recipe import Quantization, Recipe
    from conformance.tools.truth import TensorDigest

#: Of each float dtype, as integers: the dtype of its bits, the bits of infinity, and the sign.
_BITS = {"F32": ("<u4", 0x7F800000, 1 << 31), "F16": ("<u2", 0x7C00, 1 << 15), "BF16": ("<u2", 0x7F80, 1 << 15)}


def restated(recipe: Recipe, each: Parameter, stored: Mapping[str, Tensor]) -> Parameter | None:
    """A parameter once the steps have changed what is stored; None where nothing of it is left.

    Args:
        recipe: What it is part of.
        each: As the recipe has it.
        stored: The stored tensors after the steps, by name.

    Raises:
        KeyError: A quantized weight has no codes or no scale left: it has no value.
        ValueError: The steps changed a tensor in the row order of another dialect.
    """
    left = _left(recipe, each, stored)
    if left == each.stored:
        return each
    if not left:
        return None
    if len(each.stored) > 1:
        return Parameter(_dequantized(recipe, each.dense, left, None), left)
    if recipe.dialect != "huggingface":
        raise ValueError(f"{each.dense.spec.name}: what a changed tensor of the dialect {recipe.dialect} is worth")
    name = each.dense.spec.name
    return Parameter(replace(left[0], spec=replace(left[0].spec, name=name)), left)


def digests(recipe: Recipe, each: Parameter, dtype: str | None) -> tuple[TensorDigest, ...]:
    """The digests of which a parameter that is handed out must have one.

    Args:
        recipe: What it is part of.
        each: The parameter.
        dtype: The dtype asked for; None for that of the checkpoint. A quantized weight may be rounded to the dtype of
            its scale first and then once more: both are right.
    """
    dense = each.dense
    if dtype is None or dtype == dense.spec.dtype:
        encoded = [dense.data]
    else:
        with np.errstate(invalid="ignore"):  # of a NaN that signals
            encoded = [
                encode_values(values.reshape(-1), dtype) for values in map(decode, _results(recipe, each, dtype))
            ]
    wanted = dtype or dense.spec.dtype
    if len(each.stored) == 1 and wanted == dense.spec.dtype:
        # Nothing is computed: the bits of a NaN are those that are stored.
        return (tensor_digest(wanted, dense.spec.shape, dense.data),)
    spelled = [data for each_data in encoded for data in _spellings(each_data, wanted)]
    return tuple(dict.fromkeys(tensor_digest(wanted, dense.spec.shape, data) for data in spelled))


def _left(recipe: Recipe, each: Parameter, stored: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """What the steps left of a parameter: its tensors, and of a quantized Linear also those that came to it."""
    names = [tensor.spec.name for tensor in each.stored]
    if isinstance(recipe.quantization, Scheme) and len(names) > 1:
        module = each.dense.spec.name.removesuffix("weight")
        come = (name for name in stored if name.startswith(module) and name != f"{module}bias")
        names += [name for name in come if name not in names]
    return tuple(stored[name] for name in names if name in stored)


def _results(recipe: Recipe, each: Parameter, dtype: str) -> list[Tensor]:
    """The dense tensor from which a result in another dtype is rounded: one, or two for a quantized weight."""
    if len(each.stored) == 1:
        return [each.dense]
    asked: Any = dtype
    if isinstance(recipe.quantization, Scheme):
        return [_dequantized(recipe, each.dense, each.stored, rounded) for rounded in (asked, None)]
    scale_dtype: Any = _by_leaf(each.stored)["weight_scale"].spec.dtype
    return [_dequantized(recipe, each.dense, each.stored, rounded) for rounded in (asked, scale_dtype)]


def _dequantized(recipe: Recipe, dense: Tensor, stored: tuple[Tensor, ...], dtype: FloatDtype | None) -> Tensor:
    """The dense tensor of codes, scale and zero point, rounded to a dtype; None for that which it has anyway."""
    how = recipe.quantization
    if how is None:
        raise ValueError(f"{dense.spec.name}: stored in {len(stored)} tensors, and the recipe quantizes nothing")
    if isinstance(how, Scheme):
        return dequantized(how, dense.spec, stored, dtype, recipe.dtype)
    rounded: Any = dtype or dense.spec.dtype
    values = dequantize(_quantized(how, stored), rounded).astype(np.float64)
    return Tensor(replace(dense.spec, dtype=rounded), encode_values(values.reshape(-1), rounded))


def _quantized(how: Quantization, stored: tuple[Tensor, ...]) -> Quantized:
    parts = _by_leaf(stored)
    codes, scale, zero_point = parts["weight"], parts["weight_scale"], parts.get("weight_zero_point")
    scale_dtype: Any = scale.spec.dtype
    numbers: Any = np.frombuffer(codes.data, np.int8 if how.kind == "int8" else np.uint8)
    return Quantized(
        numbers.reshape(codes.spec.shape),
        decode(scale).astype(np.float32),
        scale_dtype,
        None if zero_point is None else np.frombuffer(zero_point.data, np.int8).reshape(zero_point.spec.shape),
        _covered(how, *codes.spec.shape),
    )


def _covered(how: Quantization, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns that one scale covers."""
    if how.block is not None:
        return how.block
    return (rows, columns) if how.strategy == "tensor" else (1, how.group_size or columns)


def _by_leaf(stored: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {tensor.spec.name.rpartition(".")[2]: tensor for tensor in stored}


def _spellings(data: bytes, dtype: str) -> list[bytes]:
    """The bytes; where they hold NaN, also as other processors write it: either sign, one bit of it set or all."""
    if dtype not in _BITS:
        return [data]
    kind, infinity, sign = _BITS[dtype]
    bits = np.frombuffer(data, kind)
    nan = (bits & (sign - 1)) > infinity
    if not nan.any():
        return [data]
    quiet = infinity | (infinity & -infinity) >> 1
    known = (quiet, sign | quiet, sign - 1, 2 * sign - 1)
    return [np.where(nan, spelling, bits).astype(kind).tobytes() for spelling in known]
