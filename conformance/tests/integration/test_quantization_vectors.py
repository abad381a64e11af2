"""Tensors that the libraries of the formats wrote, dequantized by our families: the same bits as by the libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

import conformance
from conformance.tools.container import Spec, write_file
from conformance.tools.gguf_file import Draft, Entry, render
from conformance.tools.schemes.gguf_blocks import BLOCKS
from inferno_loader.checkpoint import open_checkpoint
from inferno_loader.dtypes import DTYPES
from inferno_loader.quantization.family import WeightArgs
from inferno_loader.quantization.mxfp4 import dense_of_blocks
from inferno_loader.quantization.registry import recognise
from inferno_loader.reader import torch_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inferno_loader.checkpoint import StoredTensor

_VECTORS = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_MODULE = "model.layers.0.mlp.up_proj"


def _vectors() -> Iterator[Any]:
    for path in sorted(_VECTORS.glob("*.json")):
        for number, vector in enumerate(json.loads(path.read_text(encoding="utf-8")).get("vectors", ())):
            yield pytest.param(vector, id=f"{path.stem}-{number}")


def _write(directory: Path, vector: dict[str, Any]) -> Path:
    """One file that holds the parts under their module, with the metadata that a format keeps in the header."""
    parts, metadata = vector["parts"], vector.get("metadata")
    if vector["scheme"] == "gguf":
        return _write_gguf(directory, parts["weight"])
    data = {f"{_MODULE}.{suffix}": bytes.fromhex(part["hex"]) for suffix, part in parts.items()}
    specs = [Spec(f"{_MODULE}.{suffix}", part["dtype"], tuple(part["shape"])) for suffix, part in parts.items()]
    path = directory / "model.safetensors"
    told = {f"{_MODULE}.weight": metadata} if metadata else None
    write_file(path, specs, lambda spec: [data[spec.name]], metadata=told)
    return path


def _write_gguf(directory: Path, part: dict[str, Any]) -> Path:
    """One file of GGUF that holds the blocks under their module."""
    kind, data = BLOCKS[part["dtype"]], bytes.fromhex(part["hex"])
    sizes = (part["shape"][1] // kind.nbytes * kind.elements, part["shape"][0])
    path = directory / "model.gguf"
    path.write_bytes(render(Draft([], [Entry(f"{_MODULE}.weight", kind.number, sizes, data)])))
    return path


def _tensors(path: Path, stored: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
    """The tensors of the file as they are stored, by another reader; of GGUF, whose dtypes no other has, its bytes."""
    if path.suffix == ".safetensors":
        return load_file(path)
    data = path.read_bytes()
    pieces = {name: data[each.offset : each.offset + each.info.nbytes] for name, each in stored.items()}
    return {
        name: torch.frombuffer(bytearray(piece), dtype=torch.uint8).view(stored[name].info.shape)
        for name, piece in pieces.items()
    }


def _arguments(args: dict[str, Any]) -> WeightArgs:
    return WeightArgs(**{**args, "block": tuple(args["block"]) if args.get("block") else None})


@pytest.mark.parametrize("vector", list(_vectors()))
def test_a_vector_is_exact(vector: dict[str, Any], tmp_path: Path) -> None:
    """The family is recognised, the parts fit what the configuration says, and every element has the same bits."""
    path = _write(tmp_path, vector)
    stored = open_checkpoint(path).tensors
    parts = {name.removeprefix(f"{_MODULE}."): tensor for name, tensor in stored.items()}
    found = recognise(parts)
    assert found is not None
    family, scheme = found
    dense = vector["dense"]
    planned = family.plan(_MODULE, parts, tuple(dense["shape"]), _arguments(vector["args"]), DTYPES[dense["dtype"]])
    assert (scheme, planned.dtype.name) == (vector["scheme"], dense["dtype"])
    loaded = _tensors(path, stored)
    tensors = {suffix: loaded[f"{_MODULE}.{suffix}"] for suffix in planned.parts}
    result = family.dequantize(planned, tensors, torch_dtype(planned.dtype))
    assert list(result.shape) == dense["shape"]
    assert result.contiguous().view(torch.uint8).numpy().tobytes().hex() == dense["hex"]


def test_the_blocks_of_experts_are_exact() -> None:
    """MXFP4 of gpt-oss: codes and powers of two, the power 2**-127 among them."""
    vector = json.loads((_VECTORS / "mxfp4.json").read_text(encoding="utf-8"))
    blocks, scales = (
        torch.frombuffer(bytearray.fromhex(vector[name]["hex"]), dtype=torch.uint8).view(vector[name]["shape"])
        for name in ("blocks", "scales")
    )
    result = dense_of_blocks(blocks, scales, torch.bfloat16)
    assert list(result.shape) == vector["dense"]["shape"]
    assert result.view(torch.uint8).numpy().tobytes().hex() == vector["dense"]["hex"]
