"""Quantized checkpoints whose books lie, in JSON, letters and numbers: held against the model, and never evaluated."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.quantized_parts import KEY, MISFIT, SCHEMES, SIZES, STATE, key_part, refused
from conformance.tools import edits
from conformance.tools.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Copier = Callable[[Recipe], Path]


# What a state says, and a number or a text that is not the truth.
@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [64, 32]},
        {"shape": [32, 65]},
        {"shape": [2048]},
        {"shape": [1 << 62, 1 << 62]},
        {"shape": [-32, -64]},
        {"shape": ["32", 64]},
        {"shape": None},
        {"shape": "[32, 64]"},
        {"shape": {"0": 32}},
        {"dtype": "__import__('os').system('touch evaluated')"},
        {"dtype": "torch.bfloat16"},
        {"dtype": "float8"},
        {"dtype": None},
        {"dtype": ["bfloat16"]},
        {"blocksize": 0},
        {"blocksize": -64},
        {"blocksize": 1 << 62},
        {"blocksize": 63},
        {"blocksize": 128},
        {"blocksize": "64"},
        {"blocksize": 64.0},
        {"quant_type": "fp4"},
        {"quant_type": "abacus"},
        {"quant_type": 4},
    ],
    ids=str,
)
def test_a_state_that_lies(changes: dict[str, Any], fresh: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shape, dtype and blocks of bitsandbytes stand in JSON: held against model and tensors, and never evaluated."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["nf4"]))
    monkeypatch.chdir(directory)
    _, stored = edits.find(directory, f"{KEY}.{STATE}")
    data = json.dumps({**json.loads(stored.data), **changes}).encode()
    edits.store(directory, key_part(STATE, "U8", (len(data),), data))
    assert refused(directory).code in {"quant.scale", "plan.shape"}
    assert not (directory / "evaluated").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[]", b"nf4", b"{", b"null", b'{"quant_type": NaN}', b"[" * 4000, b"{}" + b" " * 5000],
    ids=["empty", "no text", "list", "word", "open", "null", "NaN", "deep", "long"],
)
def test_a_state_that_is_none(data: bytes, fresh: Copier) -> None:
    """What is no JSON object of a sensible length is refused, whatever it is."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["nf4"]))
    edits.store(directory, key_part(STATE, "U8", (len(data),), data))
    assert refused(directory).code == "quant.scale"


@pytest.mark.parametrize("changes", [{"nested_blocksize": 0}, {"nested_offset": "0.1"}, {"nested_offset": None}])
def test_a_nested_state_that_lies(changes: dict[str, Any], fresh: Copier) -> None:
    """The scales of the scales have a block and an offset, both numbers."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["nested"]))
    _, stored = edits.find(directory, f"{KEY}.{STATE}")
    data = json.dumps({**json.loads(stored.data), **changes}).encode()
    edits.store(directory, key_part(STATE, "U8", (len(data),), data))
    assert refused(directory).code == "quant.scale"


@pytest.mark.parametrize(
    ("scheme", "suffix", "dtype", "data"),
    [
        ("packed", "weight_shape", "I64", struct.pack("<2q", 64, 32)),
        ("packed", "weight_shape", "I64", struct.pack("<2q", -32, -64)),
        ("packed", "weight_shape", "I64", struct.pack("<2q", 1 << 62, 1 << 62)),
        ("packed", "weight_shape", "I64", struct.pack("<3q", 32, 64, 1)),
        ("packed", "weight_shape", "F32", struct.pack("<2f", 32, 64)),
        ("hqq", "shape", "I64", struct.pack("<2q", 64, 32)),
        ("hqq", "shape", "I64", struct.pack("<2q", 1 << 62, 1 << 62)),
        ("hqq", "group_size", "I32", struct.pack("<i", 0)),
        ("hqq", "group_size", "I32", struct.pack("<i", -32)),
        ("hqq", "group_size", "I32", struct.pack("<i", 33)),
        ("hqq", "group_size", "I32", struct.pack("<i", 2**31 - 1)),
        ("hqq", "axis", "I32", struct.pack("<i", 2)),
        ("hqq", "packing", "U8", b"__import__('os').system('touch evaluated')"),
        ("hqq", "packing", "U8", b"8bit_u8"),
        ("hqq", "compute_dtype", "U8", b"__import__('os').system('touch evaluated')"),
        ("hqq", "compute_dtype", "U8", b"torch.int8"),
        ("hqq", "compute_dtype", "U8", b"t" * 100_000),
    ],
    ids=lambda value: value[:24].hex() if isinstance(value, bytes) else str(value),
)
def test_books_that_lie(
    scheme: str, suffix: str, dtype: str, data: bytes, fresh: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes, groups and words that stand in tensors of their own are held against the model, and never evaluated."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES[scheme]))
    monkeypatch.chdir(directory)
    size = {"I64": 8, "I32": 4, "F32": 4, "U8": 1}[dtype]
    edits.store(directory, key_part(suffix, dtype, (len(data) // size,), data))
    assert refused(directory).code in MISFIT
    assert not (directory / "evaluated").exists()


@pytest.mark.parametrize(
    "lie",
    [
        None,
        "",
        "[]",
        "{",
        "[" * 4000,
        '{"_type": "Int8Tensor"}',
        '{"_type": "Int4TilePackedTo4dTensor", "_data": {}}',
        '{"_type": "__import__(\'os\')", "_data": {}}',
        '{"_type": ["Int8Tensor"], "_data": {}}',
        '{"_type": "Int8Tensor", "_data": {"block_size": [1, 63]}}',
        '{"_type": "Int8Tensor", "_data": {"block_size": [0, 64]}}',
        '{"_type": "Int8Tensor", "_data": {"block_size": [1, -64]}}',
        '{"_type": "Int8Tensor", "_data": {"block_size": [1, 4611686018427387904]}}',
        '{"_type": "Float8Tensor", "_data": {"block_size": [1, 64]}}',
    ],
    ids=lambda text: str(text)[:50],
)
def test_metadata_that_lie(lie: str | None, fresh: Copier) -> None:
    """Tensors of torchao cannot be told without their metadata: JSON like any other, by which no class is looked up."""
    directory = fresh(Recipe(config=SIZES, quantization=SCHEMES["torchao"]))

    def edit(header: dict[str, Any]) -> None:
        told = header["__metadata__"]
        assert f"{KEY}.weight" in told
        told.pop(f"{KEY}.weight") if lie is None else told.update({f"{KEY}.weight": lie})

    path = directory / "model.safetensors"
    header, data = edits.split(path)
    edit(header)
    edits.join(path, edits.compact(header), data)
    assert refused(directory).code in MISFIT
