"""Memory as it is predicted, against what loads deliver and what processes take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools.recipe import DEFAULT_CONFIG, NAMED, Layout, Quantization, Recipe
from inferno_loader import analyze, load_state_dict, plan
from inferno_loader.config import LlamaConfig
from inferno_loader.errors import UnsupportedDtypeError
from inferno_loader.memory import activation_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from conformance.tools.recipe import Built

_TIED_COPY = Recipe(config={"tie_word_embeddings": True}, head="copy")
_INT8 = Recipe(quantization=Quantization("int8", "channel", symmetric=False, activations="static"))
_FP8 = Recipe(
    quantization=Quantization("fp8", "block", block=(16, 16), scale_dtype="F32"), layout=Layout("by_count", 3)
)
_RECIPES = {
    **NAMED,
    "tied copy": _TIED_COPY,
    "buffers": Recipe(inv_freq="F32"),
    "mixed": Recipe(dtypes=(("*norm*", "F32"), ("*embed*", "F16"))),
    "int8 static": _INT8,
    "fp8 blocks": _FP8,
}


def _storages(tensors: dict[str, torch.Tensor]) -> int:
    unique = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    return sum(unique.values())


@pytest.mark.parametrize("dtype", [None, "F32", "BF16", "F16", "F64"])
@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("name", [*NAMED, "tied copy", "mixed", "int8 static", "fp8 blocks"])
def test_predicted_weights_are_what_a_load_delivers(
    name: str, dequantize: bool, dtype: Any, built: Callable[[Recipe], Built]
) -> None:
    """Bytes of all memory behind the loaded tensors, shared memory once; the plan and the analysis say the same."""
    directory = built(_RECIPES[name]).directory
    facts = analyze(directory)
    loaded = load_state_dict(directory, dtype=dtype, dequantize=dequantize)
    assert facts.weight_bytes(dtype, dequantize=dequantize) == _storages(loaded)
    planned = plan(directory, dtype=dtype, dequantize=dequantize, names="huggingface")
    needed = facts.memory(dtype=dtype, dequantize=dequantize, length=1)
    assert needed.weights == planned.weight_bytes
    if name != "meta":
        assert needed.weights + needed.transient == planned.peak_bytes


def test_memory_follows_batch_length_and_dtype(built: Callable[[Recipe], Built]) -> None:
    """The length is the configuration's unless asked; cache and activations grow with batch times length."""
    facts = analyze(built(NAMED["bf16-single"]).directory)
    needed, doubled, wide = facts.memory(), facts.memory(batch=2, length=100), facts.memory(dtype="F32", length=100)
    assert (needed.batch, needed.length, needed.dtype) == (1, 512, "BF16")
    # 2 * 12 layers * 2 key-value heads * 10 dimensions * 2 bytes
    assert needed.kv_cache == 960 * 512
    assert doubled.kv_cache == 960 * 200
    assert wide.kv_cache == 1920 * 100
    assert doubled.activations * 512 == needed.activations * 200
    assert (doubled.weights, wide.weights) == (needed.weights, 2 * needed.weights)
    assert (needed.transient, wide.transient) == (0, 2 * 101 * 54)
    with pytest.raises(UnsupportedDtypeError):
        facts.memory(dtype="abacus")


@pytest.mark.parametrize(("omit", "dtype"), [((), "F32"), (("torch_dtype",), "BF16")], ids=["named", "not named"])
def test_activations_are_computed_in_the_dtype_of_the_configuration(
    omit: tuple[str, ...], dtype: str, built: Callable[[Recipe], Built]
) -> None:
    """BF16 where it names none, whatever the weights are."""
    assert analyze(built(replace(NAMED["f32"], omit=omit)).directory).compute_dtype.name == dtype


# 310 MB in BF16 over one layer. Embedding, head and the feed-forward are large enough to be blocks of their own. The
# head is made last, and takes the most where it is cast: the plan adds the most that one takes to all that is loaded.
_LARGE = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 1, "vocab_size": 24576, "head_dim": 128}


def test_the_peak_of_a_load_is_as_planned(sparse: Callable[..., Path], measure: Callable[..., Any]) -> None:
    """Memory of its own that a process takes, at its peak and at the end, within 3 %; pages of the file aside."""
    ways: list[tuple[Any, dict[str, Any]]] = [
        (None, {"dtype": "float32"}),
        (None, {"dtype": "float32", "mmap": True}),
        ("int8-channel", {}),
        ("fp8-tensor", {"dtype": "float32"}),
        # In the dtype of the scales no copy is made, but codes of FP8 are looked up in steps.
        ("fp8-tensor", {}),
    ]
    large = {scheme: sparse(_LARGE, scheme) for scheme, _ in ways}
    small = {scheme: sparse({"num_hidden_layers": 1}, scheme) for scheme, _ in ways}
    figures = measure(
        "inferno_loader.load_state_dict(warm, **options)",
        "loaded = inferno_loader.load_state_dict(path, **options)",
        [{"path": str(large[scheme]), "warm": str(small[scheme]), "options": options} for scheme, options in ways],
    )
    for (scheme, options), grown in zip(ways, figures, strict=True):
        planned = plan(large[scheme], **options)
        assert planned.weight_bytes > 240_000_000
        assert grown["end"] == pytest.approx(planned.weight_bytes, rel=0.03)
        if options.get("mmap"):
            # The kernel counts mapped pages with the peak: those of a tensor are there while it is cast.
            assert grown["peak"] < planned.peak_bytes + planned.read_bytes
        else:
            assert grown["peak"] == pytest.approx(planned.peak_bytes, rel=0.03)


#: A model on empty weights, and one pass over tokens whose logits nobody looks at but the process.
_BUILD = """
from inferno_loader.config import LlamaConfig
from inferno_loader.model import InfernoLlama
dtype = getattr(torch, dtype)
model = InfernoLlama(LlamaConfig.from_dict(config))
for name, parameter in list(model.named_parameters()):
    module, _, leaf = name.rpartition(".")
    filled = torch.nn.Parameter(torch.full(parameter.shape, 0.01, dtype=dtype), requires_grad=False)
    setattr(model.get_submodule(module), leaf, filled)
tokens = torch.zeros(2, 2048, dtype=torch.int64)
with torch.inference_mode():
    model(tokens[:, :8])
"""
_FORWARD = """
with torch.inference_mode():
    logits = model(tokens)
"""
# In each, another stage holds the most.
_STAGES: dict[str, dict[str, int]] = {
    "feed-forward": {"intermediate_size": 4096},
    "logits": {"vocab_size": 8192},
    "attention": {"num_attention_heads": 16, "num_key_value_heads": 16},
    "rotation": {"num_attention_heads": 16, "num_key_value_heads": 2},
    "norm": {"hidden_size": 1024, "intermediate_size": 256, "num_attention_heads": 1, "num_key_value_heads": 1},
}


def test_activations_are_as_predicted(measure: Callable[..., Any]) -> None:
    """The growth of a process over one forward pass, at its peak, is within 12 % of the prediction."""
    small = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1, "vocab_size": 320, "head_dim": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8192}
    cases: list[dict[str, Any]] = [
        {"config": {**DEFAULT_CONFIG, **small, **heads, **changes}, "dtype": dtype}
        for changes in _STAGES.values()
        for dtype in ("float32", "bfloat16")
    ]
    for case, grown in zip(cases, measure(_BUILD, _FORWARD, cases), strict=True):
        element = 4 if case["dtype"] == "float32" else 2
        predicted = activation_bytes(LlamaConfig.from_dict(case["config"]), 2, 2048, element)
        assert predicted > 30_000_000
        assert grown["peak"] == pytest.approx(predicted, rel=0.12), case


def test_a_weight_that_stays_quantized_is_unpacked_for_its_product(
    sparse: Callable[..., Path], measure: Callable[..., Any]
) -> None:
    """One dense weight stands beside the activations, and no copy of it: within 12 %."""
    directory = sparse(_LARGE, "int8-channel")
    load = "model = inferno_loader.load_model(path, dequantize=False); model(torch.zeros(1, 1, dtype=int))"
    forward = "logits = model(torch.zeros(1, 64, dtype=int))"
    (grown,) = measure(load, forward, [{"path": str(directory)}])
    needed = analyze(directory).memory(dequantize=False, length=64)
    # up_proj: 8192 x 2048 in BF16.
    assert needed.activations > 2 * 8192 * 2048
    assert grown["peak"] == pytest.approx(needed.activations, rel=0.12)
