"""Whole checkpoints of real shape, from their directory to a model: on twins, whose every tensor has known ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conformance.tools.facts import dense_models, facts
from conformance.tools.twins import EDGE, plan_twin, probe
from inferno_loader import analyze, load_model, load_state_dict, plan
from inferno_loader.model.layers import QuantizedLinear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conformance.tools.container import Spec

_LLAMA_8B = "meta-llama/Llama-3.1-8B"
_W8A8 = "RedHatAI/Llama-3.2-1B-Instruct-quantized.w8a8"
_TINYLLAMA = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

_DTYPES = {"BF16": torch.bfloat16, "I8": torch.int8}
_HEAD, _EMBEDDING = "lm_head.weight", "embed_tokens.weight"
#: What a load that copies nothing may take: objects, not weights.
_OBJECTS = 64 << 20


def _inferno(name: str) -> str:
    """The name in the inferno dialect, by the rule of the plan."""
    return name.removeprefix("model.").replace("self_attn", "attention").replace("mlp", "feed_forward")


def _raw(values: torch.Tensor) -> bytes:
    return values.contiguous().view(torch.uint8).numpy().tobytes()


def _expected(model: str, spec: Spec) -> Iterator[tuple[int, bytes]]:
    """What stands at which flat index: the values at both ends, and the zeros next to them."""
    pieces = probe(model, spec.name)
    yield from pieces
    if len(pieces) > 1:
        zeros = bytes(len(pieces[0][1]))
        yield EDGE, zeros
        yield spec.elements - 2 * EDGE, zeros


def _differing(model: str, loaded: Mapping[str, torch.Tensor]) -> list[str]:
    """Tensors of a twin that are not there, or have another dtype or shape, or other values at their ends."""

    def same(spec: Spec) -> bool:
        found = loaded.get(_inferno(spec.name))
        if found is None or (found.dtype, tuple(found.shape)) != (_DTYPES[spec.dtype], spec.shape):
            return False
        flat, width = found.reshape(-1), found.element_size()
        return all(_raw(flat[at : at + len(piece) // width]) == piece for at, piece in _expected(model, spec))

    return [spec.name for spec in plan_twin(model).specs if not same(spec)]


def test_load_meta_llama_31_8b_complete(twin_of: Callable[[str], Path], anonymous: Callable[[], int]) -> None:
    """Llama-3.1-8B, in four shards: looked at, planned, mapped and built, and every tensor is right at both ends.

    16 GB of weights cost no memory: they are mapped. Three shards end behind 4 GiB.
    """
    directory = twin_of(_LLAMA_8B)
    analysis = analyze(directory)
    assert str(analysis.variant) == "Meta Llama 3.1 8B"
    assert (analysis.tensors, analysis.parameters, analysis.nbytes) == (291, 8_030_261_248, 16_060_522_496)
    assert (len(analysis.shards), analysis.layers, analysis.incomplete_layers) == (4, "0-31", "")
    assert (analysis.scheme, analysis.tied, analysis.findings) == ("none", False, ())
    assert sum(shard.file_bytes > 1 << 32 for shard in analysis.shards) == 3

    planned = plan(directory, mmap=True)
    assert (len(planned.tensors), planned.weight_bytes, planned.peak_bytes) == (291, 16_060_522_496, 0)
    assert {tensor.action for tensor in planned.tensors} == {"keep"}

    before = anonymous()
    weights = load_state_dict(directory, mmap=True)
    assert list(weights) == [_inferno(spec.name) for spec in plan_twin(_LLAMA_8B).specs]
    assert _differing(_LLAMA_8B, weights) == []

    model = load_model(directory, mmap=True)
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_030_261_248
    assert model.state_dict().keys() == weights.keys()
    assert _differing(_LLAMA_8B, model.state_dict()) == []
    assert anonymous() - before < _OBJECTS


def test_load_quantized_w8a8_complete(twin_of: Callable[[str], Path]) -> None:
    """Llama-3.2-1B in W8A8: told from its tensors, kept byte for byte, and made dense by the formula of its scales."""
    directory = twin_of(_W8A8)
    analysis = analyze(directory)
    assert (analysis.scheme, analysis.tied, analysis.layers, analysis.sound) == ("ct-int", True, "0-15", True)
    assert len(analysis.checkpoint.tensors) == 259
    assert [finding.code for finding in analysis.findings] == ["tie.redundant"]
    assert analysis.parameters == 1_235_814_400
    # What is stored but for the second copy of the embedding, 128,256 times 2,048 of two bytes; and two bytes each.
    assert analysis.memory(dequantize=False).weights == 2_024_640_512 - 128_256 * 2048 * 2
    assert analysis.memory().weights == 2 * 1_235_814_400

    kept = load_state_dict(directory, dequantize=False)
    assert _differing(_W8A8, kept) == []
    stored = load_file(directory / "model.safetensors")
    assert kept.keys() == {_inferno(name) for name in stored}
    assert [name for name, tensor in stored.items() if not torch.equal(kept[_inferno(name)], tensor)] == []
    assert kept[_HEAD].data_ptr() == kept[_EMBEDDING].data_ptr()
    del kept, stored

    dense = load_state_dict(directory)
    assert sum(tensor.numel() for name, tensor in dense.items() if name != _HEAD) == 1_235_814_400
    assert {tensor.dtype for tensor in dense.values()} == {torch.bfloat16}
    codes = [spec for spec in plan_twin(_W8A8).specs if spec.dtype == "I8"]
    assert len(codes) == 112
    assert [spec.name for spec in codes if not _is_product(dense[_inferno(spec.name)], spec)] == []


def _is_product(dense: torch.Tensor, spec: Spec) -> bool:
    """Whether a weight is code times scale of its channel, rounded once to BF16: at both ends, and zero in between."""
    ((_, scales),) = probe(_W8A8, f"{spec.name}_scale")
    channels = torch.frombuffer(bytearray(scales), dtype=torch.bfloat16).float().numpy()
    flat = dense.reshape(-1)
    for first, piece in probe(_W8A8, spec.name):
        product = np.frombuffer(piece, dtype=np.int8).astype(np.float32) * channels[first // spec.shape[1]]
        if not torch.equal(flat[first : first + EDGE], torch.from_numpy(product).to(torch.bfloat16)):
            return False
    return tuple(dense.shape) == spec.shape and not bool(torch.count_nonzero(flat[EDGE:-EDGE]))


def test_quantized_modules_compute_what_dense_ones_do(twin_of: Callable[[str], Path]) -> None:
    """A W8A8 model that keeps its codes has a quantized module for each, and the logits of the one made dense."""
    directory = twin_of(_W8A8)
    tokens = torch.tensor([[0, 128_255, 1, 128_254]])
    kept = load_model(directory, dequantize=False, mmap=True)
    assert sum(isinstance(module, QuantizedLinear) for module in kept.modules()) == 112
    with torch.inference_mode():
        found = kept(tokens)
        expected = load_model(directory, mmap=True)(tokens)
    assert tuple(found.shape) == (1, 4, 128_256)
    assert bool(found.isfinite().all())
    assert bool(found.any())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_load_tinyllama_complete(twin_of: Callable[[str], Path]) -> None:
    """TinyLlama, in memory of its own: 201 tensors, all equal to what safetensors reads, and a model made of them."""
    directory = twin_of(_TINYLLAMA)
    analysis = analyze(directory)
    assert str(analysis.variant) == "TinyLlama 1.1B"
    assert (analysis.tensors, analysis.parameters, analysis.nbytes) == (201, 1_100_048_384, 2_200_096_768)
    assert (len(analysis.shards), analysis.layers, analysis.findings) == (1, "0-21", ())

    model = load_model(directory)
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_100_048_384
    weights = model.state_dict()
    assert _differing(_TINYLLAMA, weights) == []
    stored = load_file(directory / "model.safetensors")
    assert weights.keys() == {_inferno(name) for name in stored}
    assert [name for name, tensor in stored.items() if not torch.equal(weights[_inferno(name)], tensor)] == []
    with torch.inference_mode():
        logits = model(torch.tensor([[0, 31_999, 1]]))
    assert tuple(logits.shape) == (1, 3, 32_000)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", [*dense_models(), _W8A8])
def test_parameter_count_validation(name: str, twin_of: Callable[[str], Path]) -> None:
    """The analyzer counts the parameters that are on record, up to the 405B; inverse frequencies of rope are none."""
    known = facts(name)
    layout = known.get("twin") or known["quantized_twin"]
    buffers = sum(spec.elements for spec in plan_twin(name).specs if spec.name.endswith("rotary_emb.inv_freq"))
    assert (buffers > 0) == (layout["inv_freq"] is not None)
    assert analyze(twin_of(name)).parameters == layout["parameters"] - buffers


@pytest.mark.parametrize(
    ("model", "options"),
    [
        pytest.param(_TINYLLAMA, {}, id="TinyLlama, copied"),
        pytest.param(_TINYLLAMA, {"mmap": True}, id="TinyLlama, mapped"),
        pytest.param(_W8A8, {}, id="W8A8, dequantized"),
        pytest.param(_W8A8, {"dequantize": False}, id="W8A8, kept"),
    ],
)
def test_memory_usage_validation(
    model: str, options: dict[str, bool], twin_of: Callable[[str], Path], grown: Callable[..., int]
) -> None:
    """The growth of a process whose weights have all been touched is the predicted one, within 2 %."""
    directory = twin_of(model)
    predicted = analyze(directory).memory(dequantize=options.get("dequantize", True)).weights
    assert grown(directory, **options) == pytest.approx(predicted, rel=0.02)
