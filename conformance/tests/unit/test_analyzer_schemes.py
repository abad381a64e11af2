"""What an analysis says of quantized weights: counted logically, bytes as stored, and memory as they are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.tests.support import payload
from conformance.tests.tiny_llama import PARAMETERS, Tensor, build, tensors
from inferno_loader.analyzer import DtypeUse, SchemeUse, analyze

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.torch_free

_SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
        }
    },
}


def _elements(tensor: Tensor) -> int:
    return tensor.shape[0] * (tensor.shape[1] if len(tensor.shape) > 1 else 1)


def _as(dtype: str, nbytes: int, tensor: Tensor) -> Tensor:
    return Tensor(dtype, tensor.shape, payload(nbytes * _elements(tensor)))


def _quantized() -> dict[str, Tensor]:
    """The seven Linears of the layer as codes of a byte, with a scale of two bytes a row."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors().items():
        linear = name.endswith("_proj.weight")
        stored[name] = _as("I8", 1, tensor) if linear else tensor
        if linear:
            stored[f"{name}_scale"] = Tensor("BF16", [tensor.shape[0], 1], b"\x80\x3f" * tensor.shape[0])
    return stored


def test_quantized_weights_are_counted_logically(tmp_path: Path) -> None:
    """120 codes of one byte, 28 scales and 52 other elements of two; dense again they are 172 elements of two."""
    found = analyze(build(tmp_path, _quantized(), quantization_config=_SCHEME))
    assert (found.sound, found.scheme, found.parameters, found.tensors) == (True, "ct-int", PARAMETERS, 19)
    assert (found.nbytes, found.dense_bytes) == (280, 344)
    assert found.weight_bytes("F32") == 688
    assert found.dtypes == (DtypeUse("BF16", 12, 80, 160), DtypeUse("I8", 7, 120, 120))


def test_memory_of_what_becomes_dense(tmp_path: Path) -> None:
    """The gate stands beside the weights while it is made: 24 codes, and six scales of two bytes.

    Scales of BF16 need no floats of four bytes: the product of two numbers of BF16 is rounded once.
    """
    needed = analyze(build(tmp_path, _quantized(), quantization_config=_SCHEME)).memory()
    assert (needed.weights, needed.transient, needed.activations) == (344, 24 + 12, 1280)


def test_memory_of_what_becomes_dense_in_another_dtype(tmp_path: Path) -> None:
    """Asked for F16, the product is made in 24 floats of four bytes, and then rounded."""
    needed = analyze(build(tmp_path, _quantized(), quantization_config=_SCHEME)).memory(dtype="F16")
    assert (needed.weights, needed.transient) == (344, 24 + 12 + 96)


def test_memory_of_what_stays_quantized(tmp_path: Path) -> None:
    """The largest of 24 elements becomes dense for its product, in the two bytes of its scale."""
    needed = analyze(build(tmp_path, _quantized(), quantization_config=_SCHEME)).memory(dequantize=False)
    assert (needed.weights, needed.transient, needed.activations) == (280, 0, 1280 + 24 * 2)


def test_what_has_which_scheme_is_told(tmp_path: Path) -> None:
    """Seven Linears of 120 codes of a byte, 28 scales of two; the other 52 elements of two are dense."""
    found = analyze(build(tmp_path, _quantized(), quantization_config=_SCHEME))
    assert found.schemes == (SchemeUse("ct-int", 7, 120, 176, "0"), SchemeUse("none", 5, 52, 104, "0"))
    assert [use.bits_per_weight for use in found.schemes] == [8 * 176 / 120, 16]
    assert found.bits_per_weight == 8 * 280 / 172
    assert found.dense_matrices == ("model.embed_tokens.weight", "lm_head.weight")
    (first, _) = found.to_json()["schemes"]
    assert first == {
        "scheme": "ct-int", "weights": 7, "parameters": 120, "nbytes": 176, "layers": "0",
        "bits_per_weight": 8 * 176 / 120,
    }  # fmt: skip


def test_nothing_is_dense_by_exception_in_a_dense_model(tmp_path: Path) -> None:
    """Where no scheme is, no matrix is left out of it."""
    found = analyze(build(tmp_path))
    assert (found.schemes, found.dense_matrices) == ((SchemeUse("none", 12, 172, 344, "0"),), ())


def test_quantized_models_are_not_told_to_quantize(tmp_path: Path) -> None:
    """A dense model that does not fit may be quantized; one that is already is told something else."""
    for directory, stored, scheme in (("dense", None, None), ("int8", _quantized(), _SCHEME)):
        found = analyze(build(tmp_path / directory, stored, quantization_config=scheme))
        needed = found.memory()
        assert found.recommendations(needed, needed.total)[0].startswith("fits")
        told = " ".join(found.recommendations(needed, needed.total - 1))
        assert ("8 bits" in told) is (directory == "dense")
