"""Tensors that the libraries of the formats wrote (`fixtures/quant_vectors`): as a file, as planned, as tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import conformance
from conformance.tools.container import Spec, write_file
from conformance.tools.gguf_file import Draft, Entry, render
from conformance.tools.schemes.gguf_blocks import BLOCKS
from inferno_loader.checkpoint import open_checkpoint
from inferno_loader.dtypes import DTYPES
from inferno_loader.quantization.family import WeightArgs
from inferno_loader.quantization.registry import recognise
from inferno_loader.reader import torch_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inferno_loader.quantization.family import QuantizedWeight

VECTORS = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
MODULE = "model.layers.0.mlp.up_proj"


def vectors(*files: str, without: tuple[str, ...] = ()) -> Iterator[Any]:
    """A parameter of a test for each vector of some files by their stem, of all but some where none is named."""
    named = (path for path in sorted(VECTORS.glob("*.json")) if path.stem not in without)
    for path in (path for path in named if not files or path.stem in files):
        for number, vector in enumerate(json.loads(path.read_text(encoding="utf-8")).get("vectors", ())):
            yield pytest.param(vector, id=f"{path.stem}-{number}")


def write_vector(directory: Path, vector: Mapping[str, Any]) -> Path:
    """One file that holds the parts under their module, with the metadata that a format keeps in the header."""
    parts, metadata = vector["parts"], vector.get("metadata")
    if vector["scheme"] == "gguf":
        return _write_gguf(directory, parts["weight"])
    data = {f"{MODULE}.{suffix}": bytes.fromhex(part["hex"]) for suffix, part in parts.items()}
    specs = [Spec(f"{MODULE}.{suffix}", part["dtype"], tuple(part["shape"])) for suffix, part in parts.items()]
    path = directory / "model.safetensors"
    told = {f"{MODULE}.weight": metadata} if metadata else None
    write_file(path, specs, lambda spec: [data[spec.name]], metadata=told)
    return path


def _write_gguf(directory: Path, part: Mapping[str, Any]) -> Path:
    kind, data = BLOCKS[part["dtype"]], bytes.fromhex(part["hex"])
    sizes = (part["shape"][1] // kind.nbytes * kind.elements, part["shape"][0])
    path = directory / "model.gguf"
    path.write_bytes(render(Draft([], [Entry(f"{MODULE}.weight", kind.number, sizes, data)])))
    return path


def planned_vector(directory: Path, vector: Mapping[str, Any]) -> QuantizedWeight:
    """The weight of a vector as its family plans it, from the file that holds its parts."""
    stored = open_checkpoint(write_vector(directory, vector)).tensors
    parts = {name.removeprefix(f"{MODULE}."): part for name, part in stored.items()}
    found = recognise(parts)
    assert found is not None
    family, scheme = found
    args = {**vector["args"], "block": tuple(vector["args"].get("block") or ()) or None}
    dense = vector["dense"]
    planned = family.plan(MODULE, parts, tuple(dense["shape"]), WeightArgs(**args), DTYPES[dense["dtype"]])
    assert planned.scheme == scheme
    return planned


def tensors_of(vector: Mapping[str, Any], planned: QuantizedWeight) -> dict[str, torch.Tensor]:
    """The parts that the arithmetic needs, from the bytes of the vector: no reader has a hand in them.

    Blocks of GGUF, whose dtypes torch has not, are rows of bytes.
    """
    return {suffix: _tensor(vector["parts"][suffix]) for suffix in planned.parts}


def _tensor(part: Mapping[str, Any]) -> torch.Tensor:
    octets = torch.frombuffer(bytearray.fromhex(part["hex"]), dtype=torch.uint8)
    known = DTYPES.get(part["dtype"])
    return octets.view(torch_dtype(known) if known else torch.uint8).view(part["shape"])


def hexadecimal(tensor: torch.Tensor) -> str:
    """The bytes of a tensor, as the vectors spell them."""
    return tensor.contiguous().view(torch.uint8).numpy().tobytes().hex()
