"""The dtype table: held against the format's own list, against torch, and against what a cast really does."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from inferno_loader.dtypes import DTYPES, Dtype, parse_dtype
from inferno_loader.errors import UnsupportedDtypeError

# Bits of each dtype, as `Dtype::bitsize` of safetensors 0.8.0 has them.
BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
DENSE = ("F64", "F32", "F16", "BF16")
SMALL_FLOATS = ("F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0")
IN_TORCH = tuple(dtype for dtype in DTYPES.values() if dtype.torch_name)


@pytest.fixture(scope="module")
def torch() -> Any:
    """The torch module. The other half of these tests runs where there is none."""
    return importlib.import_module("torch")


@pytest.mark.torch_free
def test_table_holds_the_dtypes_of_the_format() -> None:
    """The table has each dtype of the format, with its size in bits, and no other."""
    assert {name: dtype.bits for name, dtype in DTYPES.items()} == BITS


@pytest.mark.torch_free
@pytest.mark.parametrize("name", BITS)
def test_dense_are_the_floats_of_16_bits_and_more(name: str) -> None:
    """Only F64, F32, F16 and BF16 are weights by themselves: all others need a scale."""
    assert DTYPES[name].dense is (name in DENSE)


@pytest.mark.torch_free
@pytest.mark.parametrize(
    "dtype", [dtype for dtype in DTYPES.values() if dtype.exponent and dtype.name != "C64"], ids=str
)
def test_parts_of_a_float_fill_its_bits(dtype: Dtype) -> None:
    """Sign, exponent and mantissa make up the bits of a float; E8M0 alone has no sign."""
    sign = 0 if dtype.name == "F8_E8M0" else 1
    assert sign + dtype.exponent + dtype.mantissa == dtype.bits


@pytest.mark.torch_free
@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("BF16", "BF16"),
        ("bf16", "BF16"),
        ("bfloat16", "BF16"),
        ("torch.bfloat16", "BF16"),
        ("half", "F16"),
        ("fp16", "F16"),
        ("float", "F32"),
        ("FP32", "F32"),
        ("double", "F64"),
        ("F8_E4M3", "F8_E4M3"),
        ("float8_e4m3fn", "F8_E4M3"),
        ("torch.float8_e5m2", "F8_E5M2"),
        ("int8", "I8"),
        ("bool", "BOOL"),
        ("F4", "F4"),
    ],
)
def test_parse_knows_each_way_of_saying_it(said: str, name: str) -> None:
    """Header names, torch names and the usual short names are read, in any case."""
    assert parse_dtype(said) is DTYPES[name]


@pytest.mark.torch_free
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_parse_reads_back_what_it_gives(dtype: Dtype) -> None:
    """A dtype is read from itself, and from its text, which is its name in a header."""
    assert parse_dtype(dtype) is dtype
    assert parse_dtype(str(dtype)) is dtype


@pytest.mark.torch_free
@pytest.mark.parametrize("said", ["", "BF17", "torch.", "bf16 ", None, 16, ["BF16"]], ids=repr)
def test_parse_refuses_what_is_no_dtype(said: object) -> None:
    """Anything else is an error that shows what was said and lists what there is."""
    with pytest.raises(UnsupportedDtypeError) as caught:
        parse_dtype(said)
    assert caught.value.actual == said
    assert str(caught.value.expected).split(", ") == list(DTYPES)
    assert repr(said) in caught.value.problem
    assert "listed" in str(caught.value.remedy)


@pytest.mark.torch_free
def test_table_cannot_be_changed() -> None:
    """Neither the table nor a row of it can be written to."""
    with pytest.raises(TypeError, match="item assignment"):
        DTYPES["F32"] = DTYPES["F16"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        DTYPES["F32"].bits = 16  # type: ignore[misc]


@pytest.mark.parametrize("dtype", IN_TORCH, ids=str)
def test_torch_has_the_dtype_with_that_size(dtype: Dtype, torch: Any) -> None:
    """The torch dtype named exists, has that size, and is a float or an integer as the table says."""
    found = getattr(torch, str(dtype.torch_name))
    assert found.itemsize * 8 == dtype.bits
    assert found.is_floating_point is (dtype.kind in {"float", "float8", "scale"})
    assert found.is_complex is (dtype.kind == "complex")


@pytest.mark.parametrize("dtype", IN_TORCH, ids=str)
def test_parse_takes_the_torch_dtype_itself(dtype: Dtype, torch: Any) -> None:
    """A torch dtype is read as the container dtype of the same layout."""
    assert parse_dtype(getattr(torch, str(dtype.torch_name))) is dtype


@pytest.mark.parametrize("name", [*DENSE, "F8_E4M3", "F8_E5M2"])
def test_mantissa_is_that_of_torch(name: str, torch: Any) -> None:
    """The distance from 1 to the next number is two to the minus mantissa bits."""
    assert torch.finfo(getattr(torch, str(DTYPES[name].torch_name))).eps == 2.0 ** -DTYPES[name].mantissa


def every_value(torch: Any, name: str) -> Any:
    """Every number that a dtype of at most 16 bits can hold, without infinities and NaN."""
    bits = DTYPES[name].bits
    codes = torch.arange(2**bits, dtype=torch.int64).to(torch.uint8 if bits == 8 else torch.uint16)
    values = codes.view(getattr(torch, str(DTYPES[name].torch_name)))
    return values[torch.isfinite(values.to(torch.float64))]


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SMALL_FLOATS, DENSE)))
def test_loss_is_what_a_cast_really_loses(source: str, target: str, torch: Any) -> None:
    """A cast to a dense dtype is called lossy where some value of the source does not come through it."""
    values = every_value(torch, source)
    cast = values.to(getattr(torch, str(DTYPES[target].torch_name)))
    changes = bool((cast.to(torch.float64) != values.to(torch.float64)).any())
    assert DTYPES[source].loses_to(DTYPES[target]) is changes


@pytest.mark.torch_free
@pytest.mark.parametrize(
    ("source", "target", "loses"),
    [
        ("F64", "F64", False),
        ("F64", "F32", True),
        ("F64", "BF16", True),
        ("F32", "F64", False),
        ("F32", "F32", False),
        ("F32", "F16", True),
        ("F32", "BF16", True),
    ],
)
def test_loss_between_wide_floats(source: str, target: str, loses: bool) -> None:
    """A wider float holds every narrower one; the other way loses."""
    assert DTYPES[source].loses_to(DTYPES[target]) is loses
