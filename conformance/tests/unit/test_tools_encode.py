"""The encoders give the bits that the real producer gives, and the formula gives back what it gives back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import conformance
from conformance.tools.encode import (
    E4M3,
    ROUND,
    FloatDtype,
    Quantized,
    dequantize,
    encode_e4m3,
    quantize_fp8,
    quantize_int8,
    round_bf16,
    round_f16,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_VECTORS = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_STRUCTS = {"bfloat16": "<u2", "int8": "<i1", "float8_e4m3fn": "<u1"}


def _entries() -> list[Any]:
    return [
        pytest.param(entry, id=f"{path.stem}-{number}")
        for path in (_VECTORS / "ct_int_and_naive_quantized.json", _VECTORS / "ct_float_quantized.json")
        for number, entry in enumerate(json.loads(path.read_text(encoding="utf-8"))["entries"])
    ]


def _bits(tensor: dict[str, Any]) -> NDArray[Any]:
    """The stored elements of a vector, as raw integers of its width."""
    return np.frombuffer(bytes.fromhex(tensor["hex_le"]), _STRUCTS[tensor["dtype"]]).reshape(tensor["shape"])


def _numbers(tensor: dict[str, Any]) -> NDArray[np.float32]:
    """The values of a BF16 vector."""
    return (_bits(tensor).astype(np.uint32) << 16).view(np.float32)


def _as_bf16_hex(values: NDArray[np.float32]) -> str:
    return (values.view(np.uint32) >> 16).astype("<u2").tobytes().hex()


def _quantize(entry: dict[str, Any]) -> Quantized:
    scheme, weight = entry["scheme"]["weights"], _numbers(entry["input_weight"])
    if scheme["type"] == "float":
        block = tuple(scheme["block_structure"]) if "block_structure" in scheme else None
        return quantize_fp8(weight, strategy=scheme["strategy"], block=block)
    size = scheme.get("group_size")
    return quantize_int8(weight, strategy=scheme["strategy"], symmetric=scheme["symmetric"], group_size=size)


@pytest.mark.parametrize("entry", _entries())
def test_codes_scales_and_zero_points_are_those_of_compressed_tensors(entry: dict[str, Any]) -> None:
    """From the same weight come the stored bytes of compressed-tensors 0.20, in every strategy."""
    made, stored = _quantize(entry), entry["tensors_on_disk"]
    assert made.codes.tobytes().hex() == stored["weight"]["hex_le"]
    assert _as_bf16_hex(made.scale) == stored["weight_scale"]["hex_le"]
    assert list(made.scale.shape) == stored["weight_scale"]["shape"]
    zero_point = stored.get("weight_zero_point")
    assert (made.zero_point is None) == (zero_point is None)
    if made.zero_point is not None:
        assert made.zero_point.tobytes().hex() == zero_point["hex_le"]
        assert list(made.zero_point.shape) == zero_point["shape"]


@pytest.mark.parametrize("entry", _entries())
def test_stored_codes_dequantize_to_the_expected_bits(entry: dict[str, Any]) -> None:
    """From the stored bytes, not from ours, the formula gives the expected weight bit for bit."""
    stored = entry["tensors_on_disk"]
    zero_point = stored.get("weight_zero_point")
    taken = Quantized(
        codes=_bits(stored["weight"]),
        scale=_numbers(stored["weight_scale"]),
        scale_dtype="BF16",
        zero_point=None if zero_point is None else _bits(zero_point),
        block=_quantize(entry).block,
    )
    assert _as_bf16_hex(dequantize(taken)) == entry["expected_dequant"]["hex_le"]


def test_the_table_of_e4m3_is_that_of_torch() -> None:
    """All 256 bytes have the values that torch gives them, NaN at 0x7F and 0xFF."""
    theirs = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    assert np.array_equal(E4M3, theirs, equal_nan=True)


def test_encoding_to_e4m3_rounds_as_torch_does() -> None:
    """Every BF16 number within +-448, every midpoint of two codes and its neighbours get the byte that torch gives."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).float()
    finite = torch.from_numpy(E4M3[:127].copy())
    middle = (finite[1:] + finite[:-1]) / 2
    near = torch.cat([middle, middle.nextafter(torch.tensor(0.0)), middle.nextafter(torch.tensor(448.0))])
    numbers = torch.cat([every[every.abs() <= 448], near, -near])
    assert np.array_equal(encode_e4m3(numbers.numpy()), numbers.to(torch.float8_e4m3fn).view(torch.uint8).numpy())


def test_encoding_to_e4m3_clamps_and_keeps_nan() -> None:
    """Beyond 448 the largest code of the sign stands, infinity too; NaN is 0x7F, and zero keeps its sign."""
    values = [449.0, -1e9, np.inf, -np.inf, np.nan, 0.0, -0.0]
    assert encode_e4m3(values).tolist() == [0x7E, 0xFE, 0x7E, 0xFE, 0x7F, 0x00, 0x80]


@pytest.mark.parametrize(
    ("rounded", "dtype"),
    [(round_bf16, torch.bfloat16), (round_f16, torch.float16)],
    ids=["bf16", "f16"],
)
def test_rounding_is_that_of_torch(rounded: Callable[[Any], NDArray[np.float32]], dtype: torch.dtype) -> None:
    """Random bits of float32 (subnormals, infinities and ties among them) round as torch rounds them."""
    bits = np.random.default_rng(3).integers(0, 2**32, 200_000, dtype=np.uint32)
    bits[::2] &= np.uint32(0xFFFF8000)
    numbers = bits.view(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    theirs = torch.from_numpy(numbers).to(dtype).float().numpy()
    assert np.array_equal(rounded(numbers).view(np.uint32), theirs.view(np.uint32))


def test_float64_is_rounded_once() -> None:
    """A number just above a tie goes up, though rounding to float32 first would hide on which side it lies."""
    assert round_bf16(1 + 2.0**-8 + 2.0**-40).item() == 1 + 2.0**-7
    assert round_f16(1 + 2.0**-11 + 2.0**-40).item() == 1 + 2.0**-10
    assert np.isnan(round_bf16(np.nan))


@pytest.mark.parametrize(("dtype", "scale"), [("BF16", 2.0**-7), ("F16", 2.0**-10), ("F32", 2.0**-23)])
def test_a_row_of_zeros_has_the_machine_epsilon_as_scale(dtype: FloatDtype, scale: float) -> None:
    """A row of zeros does not divide by zero: its scale is the epsilon of the dtype, its codes are zero."""
    made = quantize_int8(np.array([[0.0, 0.0], [1.0, -1.0]]), strategy="channel", scale_dtype=dtype)
    assert made.scale[0, 0] == scale
    assert made.codes[0].tolist() == [0, 0]
    assert quantize_fp8(np.zeros((1, 2)), strategy="channel", scale_dtype=dtype).scale.item() == scale


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_zero_survives_an_asymmetric_round_trip(dtype: FloatDtype) -> None:
    """Zero lies at the zero point, also where all other values have one sign."""
    weight = [[0.0, 0.75, 0.25], [-0.5, 0.0, -0.125]]
    made = quantize_int8(weight, strategy="channel", symmetric=False, scale_dtype=dtype)
    assert dequantize(made)[[0, 1], [0, 1]].tolist() == [0.0, 0.0]


def test_the_zero_point_is_where_the_minimum_lies_at_the_lowest_code() -> None:
    """Over -51 to 204 the scale is 1 and the zero point -128 + 51; a range of one sign is widened to hold zero."""
    weight = [[-51.0, 0.0, 204.0], [1.0, 127.5, 32.0], [-1.0, -127.5, -32.0]]
    made = quantize_int8(weight, strategy="channel", symmetric=False, scale_dtype="F32")
    assert made.scale.tolist() == [[1.0], [0.5], [0.5]]
    assert made.zero_point is not None
    assert made.zero_point.tolist() == [[-77], [-128], [127]]
    assert made.codes.tolist() == [[-128, -77, 127], [-126, 127, -64], [125, -128, 63]]


@pytest.mark.parametrize(("name", "dtype"), [("BF16", torch.bfloat16), ("F16", torch.float16)])
def test_every_step_is_rounded_as_torch_rounds_in_that_dtype(name: FloatDtype, dtype: torch.dtype) -> None:
    """Range, scale, zero point and codes of random rows are those that torch computes in BF16 or F16 throughout."""
    weight = torch.from_numpy(np.random.default_rng(9).normal(size=(64, 48))).to(dtype)
    low, high = weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)
    scale = (high - low) / 255
    zero = (-128 - low / scale).clamp(-128, 127).round()
    codes = (weight / scale + zero).round().clamp(-128, 127)
    made = quantize_int8(weight.double().numpy(), strategy="channel", symmetric=False, scale_dtype=name)
    assert made.zero_point is not None
    assert np.array_equal(made.scale, scale.float().numpy())
    assert np.array_equal(made.zero_point, zero.to(torch.int8).numpy())
    assert np.array_equal(made.codes, codes.to(torch.int8).numpy())


def test_each_group_has_a_scale_and_ties_go_to_the_even_code() -> None:
    """Six columns in groups of two have three scales: the largest magnitude of each group over 127.5."""
    weight = [[51.0, 127.5, -255.0, 65.0, 63.75, -0.25]]
    made = quantize_int8(weight, strategy="group", group_size=2)
    assert made.scale.tolist() == [[1.0, 2.0, 0.5]]
    # The quotients are 51 and 127.5 (to 128, clamped), -127.5 (to -128) and 32.5 (to 32), 127.5 and -0.5 (to 0).
    assert made.codes.tolist() == [[51, 127, -128, 32, 127, 0]]


def test_blocks_at_the_ends_may_be_smaller() -> None:
    """Three rows and three columns in blocks of two by two have four scales, cut at the ends: magnitude over 448."""
    weight = [[448.0, 1.0, -896.0], [0.0, -2.0, 0.0], [224.0, 7.0, 112.0]]
    made = quantize_fp8(weight, strategy="block", block=(2, 2))
    assert made.scale.tolist() == [[1.0, 2.0], [0.5, 0.25]]
    assert dequantize(made).tolist() == weight


def test_the_caller_may_choose_the_dtype_of_the_result() -> None:
    """The product is rounded once, to the dtype asked for: 3 * (1 + 2^-7) is exact in F16 and F32, and not in BF16."""
    scale = np.array([1 + 2.0**-7], dtype=np.float32)
    made = Quantized(np.array([[3]], dtype=np.int8), scale, "BF16", None, (1, 1))
    assert dequantize(made, "F32").item() == 3.0234375
    assert dequantize(made, "F16").item() == 3.0234375
    # Between 2 and 4 the step of BF16 is 2^-6, and 3.0234375 is half-way between 3.015625 and 3.03125.
    assert dequantize(made).item() == 3.03125


@pytest.mark.parametrize("dtype", list(ROUND))
def test_a_scale_is_exact_in_its_dtype(dtype: FloatDtype) -> None:
    """What is stored as scale is what the codes were made with."""
    weight = np.random.default_rng(5).normal(size=(7, 11))
    for made in (
        quantize_int8(weight, strategy="channel", scale_dtype=dtype),
        quantize_fp8(weight, strategy="block", block=(3, 4), scale_dtype=dtype),
    ):
        assert np.array_equal(ROUND[dtype](made.scale), made.scale)
        assert np.abs(dequantize(made) - weight).max() < 0.08


@pytest.mark.parametrize(
    "call",
    [
        lambda: quantize_int8(np.ones(4), strategy="tensor"),
        lambda: quantize_int8(np.ones((2, 2)), strategy="group"),
        lambda: quantize_int8(np.ones((2, 2)), strategy="channel", group_size=2),
        lambda: quantize_int8(np.ones((2, 5)), strategy="group", group_size=2),
        lambda: quantize_fp8(np.ones((2, 2)), strategy="block"),
        lambda: quantize_fp8(np.ones((2, 2)), strategy="tensor", block=(1, 1)),
    ],
    ids=[
        "vector",
        "group-without-size",
        "channel-with-size",
        "group-of-no-divisor",
        "block-without-size",
        "tensor-with-block",
    ],
)
def test_sizes_that_do_not_fit_the_strategy_are_refused(call: Callable[[], Quantized]) -> None:
    """A weight that is no matrix, or a size without its strategy, is an error of the caller."""
    with pytest.raises(ValueError, match=r"shape|only group and block|does not divide"):
        call()
