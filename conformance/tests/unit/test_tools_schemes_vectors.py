"""The encoders of GPTQ, AWQ, bitsandbytes, torchao, quanto and HQQ against what the real libraries wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.tests.library_vectors import MODULE, VECTORS, vectors
from conformance.tests.words import field_of
from conformance.tools.container import Spec
from conformance.tools.encode import E4M3
from conformance.tools.schemes import mxfp4
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8, dynamic_table, table
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.stored import Tensor, decode
from conformance.tools.values import tensor_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from conformance.tools.schemes.scheme import Scheme


_FILES = ("gptq", "awq", "bnb_int8", "bnb_nf4", "bnb_fp4", "torchao", "quanto", "hqq")


def _weight(shape: tuple[int, int]) -> NDArray[np.float64]:
    return tensor_values("x", shape, seed=0).astype(np.float64).reshape(shape)


def _tensor(name: str, part: Any) -> Tensor:
    return Tensor(Spec(name, part["dtype"], tuple(part["shape"])), bytes.fromhex(part["hex"]))


def _parts(vector: Any) -> dict[str, Tensor]:
    return {suffix: _tensor(suffix, part) for suffix, part in vector["parts"].items()}


def _gptq(vector: Any) -> Gptq:
    told = vector["args"]
    version = {"gptq": 1, "gptq_v2": 2}[told["format"]]
    return Gptq(told["bits"], told["group_size"], symmetric=told["symmetric"], version=version)  # type: ignore[arg-type]


def _awq(vector: Any) -> Awq:
    return Awq(vector["args"]["format"], vector["args"]["group_size"])


def _bnb(vector: Any) -> Scheme:
    parts = vector["parts"]
    if "SCB" in parts:
        return Int8()
    kind: Any = "nf4" if "weight.quant_state.bitsandbytes__nf4" in parts else "fp4"
    return Four(kind, nested="weight.nested_absmax" in parts, storage=parts["weight"]["dtype"])


def _torchao(vector: Any) -> Torchao:
    told = json.loads(vector["metadata"])
    kind: Any = {"Int8Tensor": "int8", "Float8Tensor": "float8"}.get(told["_type"], "intx")
    size = told["_data"]["block_size"][1]
    grouped = size if size != vector["dense"]["shape"][1] else None
    return Torchao(kind, grouped, scale_dtype=vector["parts"]["_weight_scale"]["dtype"])


def _quanto(vector: Any) -> Quanto:
    kind: Any = vector["name"].split()[1]
    return Quanto(kind)


def _hqq(vector: Any) -> Hqq:
    figures = {name: int(decode(part)) for name, part in _parts(vector).items() if name in ("nbits", "axis")}
    bits: Any = figures["nbits"]
    axis: Any = figures["axis"]
    return Hqq(bits, 8, axis, books="round_zero" in vector["parts"])


def _scheme(vector: Any) -> Scheme:
    """The scheme by which a vector is written."""
    makers = {"gptq": _gptq, "awq": _awq, "bnb": _bnb, "torchao": _torchao, "quanto": _quanto, "hqq": _hqq}
    found: Scheme = makers[vector["scheme"]](vector)
    return found


@pytest.mark.parametrize("vector", list(vectors(*_FILES)))
def test_a_vector_decodes_exactly(vector: Any) -> None:
    """Tensors that a library wrote have the values that the library gives them."""
    dense = vector["dense"]
    dtype, values = _scheme(vector).decode(MODULE, _parts(vector), tuple(dense["shape"]), None, dense["dtype"])
    assert dtype == dense["dtype"]
    np.testing.assert_array_equal(values, decode(_tensor("dense", dense)))


def _codes(vector: Any, scale: NDArray[Any], zero: NDArray[Any] | float) -> NDArray[np.int64]:
    """The codes that a library chose, from its own dense values, its scales and its zeros, which broadcast to them."""
    dense = decode(_tensor("dense", vector["dense"])).reshape(np.broadcast_shapes(scale.shape, np.shape(zero)))
    return np.asarray(np.rint(dense / scale + zero), dtype=np.int64)


def _same(vector: Any, stored: tuple[Tensor, ...], *suffixes: str) -> None:
    found = {tensor.spec.name.removeprefix(f"{MODULE}."): tensor for tensor in stored}
    parts = _parts(vector)
    for suffix in suffixes or parts:
        assert (found[suffix].spec.dtype, found[suffix].spec.shape) == (
            parts[suffix].spec.dtype,
            parts[suffix].spec.shape,
        )
        assert found[suffix].data.hex() == parts[suffix].data.hex(), suffix
    assert suffixes or list(found) == list(parts)


@pytest.mark.parametrize("vector", list(vectors("gptq")))
def test_gptq_writes_the_bytes_of_the_library(vector: Any) -> None:
    """Codes and zeros of a library, packed, are its words, in both versions and with indices that are not in order."""
    scheme, parts = _gptq(vector), _parts(vector)
    bits, columns = scheme.bits, decode(parts["g_idx"]).astype(np.int64)
    held = decode(parts["qzeros"]).astype(np.int64)
    zero = np.stack([field_of(held, place, bits) for place in range(vector["dense"]["shape"][0])])
    zero = (zero + (scheme.version == 1)) % (1 << bits)
    scale = decode(parts["scales"]).T
    codes = _codes(vector, scale[:, columns], zero[:, columns])
    _same(vector, scheme.stored(MODULE, codes, zero, parts["scales"], columns), "qweight", "qzeros", "g_idx")


@pytest.mark.parametrize("vector", list(vectors("awq")))
def test_awq_writes_the_bytes_of_the_library(vector: Any) -> None:
    """Codes and zeros of a library, packed, are its words: interleaved and transposed, or padded."""
    scheme, parts = _awq(vector), _parts(vector)
    rows, columns = vector["dense"]["shape"]
    held, groups = decode(parts["qzeros"]).astype(np.int64), columns // scheme.group_size
    if scheme.form == "gemm":
        places = [8 * (row // 8) + (0, 4, 1, 5, 2, 6, 3, 7)[row % 8] for row in range(rows)]
        zero = np.stack([field_of(held, place, 4) for place in places])
        scale = decode(parts["scales"]).T
    else:
        zero = np.stack([field_of(held, place, 4) for place in range(groups)], axis=1)
        scale = decode(parts["scales"])[:, :groups]
    over = np.arange(columns) // scheme.group_size
    codes = _codes(vector, scale[:, over], zero[:, over])
    _same(vector, scheme.stored(MODULE, codes, zero, parts["scales"]), "qweight", "qzeros", "scales")


@pytest.mark.parametrize("vector", list(vectors("bnb_nf4", "bnb_fp4")))
def test_bitsandbytes_writes_the_tables_of_the_library(vector: Any) -> None:
    """Both tables and the state are the bytes of the library."""
    scheme: Any = _bnb(vector)
    parts = _parts(vector)
    np.testing.assert_array_equal(table(scheme.kind), decode(parts["weight.quant_map"]))
    values = decode(_tensor("dense", vector["dense"]))
    stored = {tensor.spec.name.removeprefix(f"{MODULE}."): tensor for tensor in scheme.encode(MODULE, values, "BF16")}
    assert list(stored) == list(parts)
    state = f"weight.quant_state.bitsandbytes__{scheme.kind}"
    assert json.loads(stored[state].data).keys() == json.loads(parts[state].data).keys()
    if scheme.nested:
        np.testing.assert_array_equal(dynamic_table(), decode(parts["weight.nested_quant_map"]))
    else:
        assert stored[state].data == parts[state].data
        assert stored["weight.absmax"].data == parts["weight.absmax"].data
        assert stored["weight"].spec == parts["weight"].spec.__class__(f"{MODULE}.weight", *_kind(parts["weight"]))


def _kind(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return tensor.spec.dtype, tensor.spec.shape


@pytest.mark.parametrize("vector", list(vectors("bnb_nf4", "bnb_fp4")))
def test_bitsandbytes_packs_the_codes_of_the_library(vector: Any) -> None:
    """The codes of a library, the first of two in the high bits, are its bytes under any dtype."""
    scheme: Any = _bnb(vector)
    part = _parts(vector)["weight"]
    digits = [int(digit, 16) for digit in part.data.hex()]
    packed = scheme.packed("weight", np.array(digits))
    assert (packed.spec, packed.data) == (part.spec, part.data)


@pytest.mark.parametrize("vector", list(vectors("bnb_int8", "torchao")))
def test_codes_of_eight_bits_come_again(vector: Any) -> None:
    """The values of a library, quantized again, have parts of its dtypes and shapes, and its codes to within a step."""
    scheme, parts = _scheme(vector), _parts(vector)
    values = decode(_tensor("dense", vector["dense"]))
    stored = {each.spec.name.rpartition(".")[2]: each for each in scheme.encode(MODULE, values, "BF16")}
    assert stored.keys() == parts.keys()
    codes = "weight" if "weight" in parts else "_weight_qdata"
    for suffix, part in parts.items():
        assert (stored[suffix].spec.dtype, stored[suffix].spec.shape) == (part.spec.dtype, part.spec.shape)
    # The dense values are rounded, and so are their scales: a code may be one off, where a scale is no power of two.
    if parts[codes].spec.dtype == "F8_E4M3":
        found, wanted = (E4M3[np.frombuffer(each.data, np.uint8)] for each in (stored[codes], parts[codes]))
        np.testing.assert_allclose(found, wanted, rtol=0.07)
    else:
        found, wanted = (np.frombuffer(each.data, np.int8).astype(int) for each in (stored[codes], parts[codes]))
        assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize("vector", list(vectors("torchao")))
def test_torchao_writes_the_metadata_of_the_library(vector: Any) -> None:
    """Type, block, dtypes and names of the parts are those of the library; the order of keys is its own."""
    scheme = _torchao(vector)
    rows, columns = vector["dense"]["shape"]
    stored = scheme.encode(MODULE, _weight((rows, columns)), "BF16")
    told = json.loads(scheme.metadata({f"{MODULE}.weight": stored})[f"{MODULE}.weight"])
    wanted = json.loads(vector["metadata"])
    assert told["_type"] == wanted["_type"]
    assert sorted(told["_tensor_data_names"]) == sorted(wanted["_tensor_data_names"])
    assert {**wanted["_data"], **told["_data"], "act_quant_kwargs": None} == {
        **wanted["_data"],
        "act_quant_kwargs": None,
    }


@pytest.mark.parametrize("vector", list(vectors("quanto")))
def test_quanto_writes_the_bytes_of_the_library(vector: Any) -> None:
    """Codes of a library, packed by the rows of the grouped weight, are its bytes, and read again are the codes."""
    scheme, parts = _quanto(vector), _parts(vector)
    if "weight._data._data" not in parts:
        _check_octets(vector, scheme)
        return
    scale, shift = decode(parts["weight._scale"]), decode(parts["weight._shift"])
    dense = decode(_tensor("dense", vector["dense"]))
    codes = np.rint((dense.reshape(len(scale), -1) + shift) / scale).astype(np.int64)
    packed = scheme.packed(codes)
    assert packed.tobytes().hex() == parts["weight._data._data"].data.hex()
    np.testing.assert_array_equal(scheme.codes(packed, len(codes)), codes)


def _check_octets(vector: Any, scheme: Quanto) -> None:
    """Eight bits: the values of the library lie on its grid, and come back to within their rounding."""
    parts, values = _parts(vector), decode(_tensor("dense", vector["dense"]))
    stored = {each.spec.name.removeprefix(f"{MODULE}."): each for each in scheme.encode(MODULE, values, "F32")}
    assert _kind(stored["weight._data"]) == _kind(parts["weight._data"])
    _, again = scheme.decode(MODULE, stored, values.shape, None, "F32")
    np.testing.assert_allclose(again, values, rtol=0.07, atol=np.abs(values).max() / 127)


@pytest.mark.parametrize("vector", list(vectors("hqq")))
def test_hqq_writes_the_bytes_of_the_library(vector: Any) -> None:
    """The codes of a library, packed by the rows of the regrouped weight, are its words, and so are all its books."""
    scheme, parts = _hqq(vector), _parts(vector)
    scale, zero = decode(parts["scale"]), decode(parts["zero"])
    sides = (-1, 8) if scheme.axis == 1 else (8, -1)
    dense = decode(_tensor("dense", vector["dense"])).reshape(sides)
    codes = np.clip(np.rint(dense / scale + zero), 0, 2**scheme.bits - 1).astype(np.int64)
    _same(
        vector, scheme.stored(MODULE, codes, (parts["scale"], parts["zero"]), tuple(vector["dense"]["shape"])), *parts
    )


def test_the_blocks_of_experts_decode_exactly() -> None:
    """MXFP4 of gpt-oss: codes and powers of two, 2**-127 among them, are worth what transformers makes of them."""
    vector = json.loads((VECTORS / "mxfp4.json").read_text(encoding="utf-8"))
    blocks, scales = (
        np.frombuffer(bytes.fromhex(vector[name]["hex"]), np.uint8).reshape(vector[name]["shape"])
        for name in ("blocks", "scales")
    )
    np.testing.assert_array_equal(mxfp4.dense(blocks, scales), decode(_tensor("dense", vector["dense"])))
