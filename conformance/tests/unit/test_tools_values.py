"""Closed-form values: independent of each other, bound to name, index and seed, and encoded as the container asks."""

from __future__ import annotations

import hashlib
import math
import struct
from fractions import Fraction

import numpy as np
import pytest
import torch

from conformance.tools.container import DTYPE_BITS
from conformance.tools.values import encode_values, splitmix64, tensor_bytes, tensor_values, unit_values

_MASK = (1 << 64) - 1


def _draw(name: str, index: int, seed: int) -> int:
    """The 64 bits of one element, in Python integers."""
    start = int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "little")
    mixed = (start + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


def test_splitmix64_gives_the_published_draws() -> None:
    """The generator is splitmix64: from state 1234567 come the numbers that other implementations give."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix64(1234567, 4).tolist() == published
    assert splitmix64(1234567, 2, first=2).tolist() == published[2:]


@pytest.mark.parametrize("index", [0, 1, 63, 2**33 + 5], ids=str)
def test_an_element_depends_on_name_index_and_seed_alone(index: int) -> None:
    """The value of an element is the one that integers of Python give, also beyond 2**32 elements."""
    expected = Fraction(_draw("model.norm.weight", index, 7) >> 11, 2**52) - 1
    assert Fraction(unit_values("model.norm.weight", 1, seed=7, first=index).item()) == expected


def test_values_lie_in_the_unit_interval_and_never_repeat() -> None:
    """A million elements lie in [-1, 1), no two are equal, and their mean and variance are those of that interval."""
    values = unit_values("w", 1_000_000)
    assert values.min() >= -1.0
    assert values.max() < 1.0
    assert np.unique(values).size == values.size
    assert abs(values.mean()) < 0.005
    assert abs(values.var() - 1 / 3) < 0.005


def test_names_seeds_and_transposition_show() -> None:
    """Another name or seed changes every element, and a square matrix is not its own transpose."""
    here = unit_values("a.weight", 64)
    assert not np.any(here == unit_values("b.weight", 64))
    assert not np.any(here == unit_values("a.weight", 64, seed=1))
    square = here.reshape(8, 8)
    assert np.count_nonzero(square == square.T) == 8


@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_a_slice_equals_the_slice_of_the_whole(dtype: str) -> None:
    """Any flat range of a tensor can be made without the rest, in every dtype."""
    whole = tensor_bytes("layers.0.w.weight", dtype, (8, 16), seed=3)
    part = tensor_bytes("layers.0.w.weight", dtype, (8, 16), seed=3, first=32, count=64)
    assert len(whole) * 64 == len(part) * 128
    assert part == whole[len(whole) // 4 : len(whole) // 4 * 3]


@pytest.mark.parametrize(
    ("name", "shape", "low", "high"),
    [
        ("model.norm.weight", (4096,), 0.75, 1.25),
        ("model.layers.0.input_layernorm.weight", (4096,), 0.75, 1.25),
        ("model.layers.0.self_attn.q_proj.bias", (4096,), -0.02, 0.02),
        ("model.embed_tokens.weight", (64, 64), -1.0, 1.0),
        ("model.layers.0.mlp.down_proj.weight", (64, 48), -0.25, 0.25),
        ("model.layers.0.mlp.down_proj.weight_scale", (4096, 1), 0.75 / 2048, 1.25 / 2048),
    ],
    ids=["norm", "layernorm", "bias", "embedding", "projection", "scale"],
)
def test_the_role_sets_the_range(name: str, shape: tuple[int, ...], low: float, high: float) -> None:
    """Each role fills its documented range: the extremes of 3000 elements and more come within 1 % of its ends."""
    values = tensor_values(name, shape)
    assert low <= values.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < values.max() <= high


def test_inverse_frequencies_are_about_those_of_base_10000() -> None:
    """A stored `inv_freq` of head size 128 falls from about 1 to about 10000 ** (-126 / 128)."""
    values = tensor_values("model.layers.0.self_attn.rotary_emb.inv_freq", (64,))
    assert values[0] == pytest.approx(1.0, rel=0.001)
    assert values[63] == pytest.approx(10000 ** (-126 / 128), rel=0.001)
    assert np.all(np.diff(values) < 0)


def test_bfloat16_equals_torch_on_every_upper_half() -> None:
    """Every bfloat16, its neighbours and the ties between round as torch rounds them from float32."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    bits = (upper[:, None] | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], dtype=np.uint32)).ravel()
    singles = bits.view(np.float32)
    singles = singles[~np.isnan(singles)]
    expected = torch.from_numpy(singles.copy()).to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    assert encode_values(singles.astype(np.float64), "BF16") == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1 + 2**-8 + 2**-40, 0x3F81),
        (1 + 2**-8, 0x3F80),
        (1 + 2**-8 - 2**-40, 0x3F80),
        (-(1 + 2**-8 + 2**-40), 0xBF81),
        (1e300, 0x7F80),
        (-1e300, 0xFF80),
        (math.nan, 0x7FC0),
        (2.0**-133, 0x0001),
        (2.0**-134, 0x0000),
        (2.0**-134 + 2.0**-160, 0x0001),
    ],
    ids=["above", "tie", "below", "negative", "overflow", "-overflow", "nan", "tiny", "tiny-tie", "tiny-above"],
)
def test_bfloat16_is_rounded_once(value: float, code: int) -> None:
    """A float64 is rounded once: one just above a tie goes up, where a float32 on the way would make it a tie."""
    assert encode_values(np.array([value]), "BF16") == struct.pack("<H", code)


@pytest.mark.parametrize(("dtype", "code"), [("F64", "<d"), ("F32", "<f"), ("F16", "<e")])
def test_floats_are_little_endian_and_rounded_to_even(dtype: str, code: str) -> None:
    """F64, F32 and F16 bytes are those of `struct`, which rounds to nearest even."""
    values = [0.0, -0.0, 1.0, -2.5, 1 / 3, 1 + 2**-11, 1 + 3 * 2**-11, 6e-8, 65504.0, math.inf]
    assert encode_values(np.array(values), dtype) == b"".join(struct.pack(code, value) for value in values)


def test_too_large_for_the_dtype_is_infinity() -> None:
    """A value beyond the range of F16 becomes infinity, without a warning."""
    assert encode_values(np.array([1e6, -1e6]), "F16") == struct.pack("<ee", math.inf, -math.inf)


def test_integers_fill_their_range_and_clip() -> None:
    """[-1, 1) is spread over the range of the integer, rounding down, and values beyond it are clipped."""
    values = np.array([-1.0, -1 / 256, 0.0, 0.999, 5.0, -5.0])
    assert encode_values(values, "I8") == struct.pack("<6b", -128, -1, 0, 127, 127, -128)
    assert encode_values(values, "U8") == struct.pack("<6B", 0, 127, 128, 255, 255, 0)
    assert encode_values(values[[0, 4]], "I64") == struct.pack("<2q", -(2**63), 2**63 - 1024)
    assert encode_values(values[[0, 4]], "U32") == struct.pack("<2I", 0, 2**32 - 1)


@pytest.mark.parametrize("dtype", ["I64", "U64"])
def test_long_integers_need_more_than_a_double(dtype: str) -> None:
    """Integers of 64 bits are whole draws, so a way through float64 loses low bits of almost all of them."""
    data = tensor_bytes("w", dtype, (256,))
    assert data == b"".join(_draw("w", index, 0).to_bytes(8, "little") for index in range(256))
    numbers = np.frombuffer(data, "<i8")
    assert np.count_nonzero(numbers.astype(np.float64).astype(object) != numbers.astype(object)) > 200


@pytest.mark.parametrize(
    ("dtype", "torch_dtype", "codes"),
    [
        ("F8_E4M3", torch.float8_e4m3fn, 254),
        ("F8_E5M2", torch.float8_e5m2, 248),
        ("F8_E4M3FNUZ", torch.float8_e4m3fnuz, 255),
        ("F8_E5M2FNUZ", torch.float8_e5m2fnuz, 255),
        ("F8_E8M0", torch.float8_e8m0fnu, 255),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_float8_codes_are_the_finite_ones(dtype: str, torch_dtype: torch.dtype, codes: int) -> None:
    """Exactly the codes that torch reads as finite numbers occur, all of them in 10,000 elements."""
    raw = np.frombuffer(tensor_bytes("w", dtype, (10_000,)), np.uint8)
    every = torch.arange(256, dtype=torch.uint8)
    finite = every[torch.isfinite(every.view(torch_dtype).to(torch.float32))]
    assert np.unique(raw).tolist() == finite.tolist()
    assert len(finite) == codes


def test_sub_byte_codes_are_packed_low_bits_first() -> None:
    """F4 puts two codes in a byte and F6 four in three, the first one in the lowest bits."""
    assert encode_values(np.array([-1.0, 0.99, -0.8, 0.0]), "F4") == bytes([0xF0, 0x81])
    codes = [0, 63, 1, 32]
    values = np.array([(code + 0.5) / 32 - 1 for code in codes])
    packed = sum(code << 6 * place for place, code in enumerate(codes))
    assert encode_values(values, "F6_E2M3") == packed.to_bytes(3, "little")


def test_complex_and_boolean_elements() -> None:
    """C64 takes two values an element, real part first; BOOL is one byte, 0 or 1."""
    assert encode_values(np.array([0.5, -0.25]), "C64") == struct.pack("<ff", 0.5, -0.25)
    assert encode_values(np.array([-0.5, 0.0, 0.5]), "BOOL") == b"\x00\x01\x01"
    assert set(tensor_bytes("w", "BOOL", (100,))) == {0, 1}


@pytest.mark.parametrize(("dtype", "count"), [("F4", 3), ("F6_E3M2", 6), ("bfloat16", 4)])
def test_what_cannot_be_encoded_is_refused(dtype: str, count: int) -> None:
    """Sub-byte elements that leave a byte half full, and dtypes that the container lacks, are errors."""
    with pytest.raises(ValueError, match=dtype):
        encode_values(np.zeros(count), dtype)


def test_the_values_of_a_release_are_pinned() -> None:
    """The bytes of one tensor never change: digests in manifests rest on them."""
    data = tensor_bytes("model.layers.0.self_attn.q_proj.weight", "BF16", (64, 64))
    assert hashlib.sha256(data).hexdigest() == "af8f88242aa3bdd923ceaa1a1d3ba1924d754eb4c378e7675aaa8a217e515f0e"
