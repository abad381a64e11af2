"""Checkpoints of every scheme, whole: dense to the bit, counted, as stored, and in the row order of other names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools import edits
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.schemes.awq import Awq
from conformance.tools.schemes.bnb import Four, Int8
from conformance.tools.schemes.ct_micro import Mx, Nvfp4
from conformance.tools.schemes.ct_mixed import Mixed
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.ct_plain import Plain
from conformance.tools.schemes.ct_sparse import Sparse
from conformance.tools.schemes.fp8 import Fp8
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.schemes.hqq import Hqq
from conformance.tools.schemes.modelopt import ModelOpt
from conformance.tools.schemes.quanto import Quanto
from conformance.tools.schemes.torchao import Torchao
from conformance.tools.stored import Tensor
from inferno_loader import analyze, load_state_dict, plan
from inferno_loader.errors import QuantizationError, UnexpectedTensorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tools.recipe import Built, Expected

# Groups of 16 and of 32 columns divide these widths; 4 heads and 2 key-value heads of 16 rows.
_SIZES = {
    "num_hidden_layers": 1,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 48,
}
_QUERY, _KEY = (f"model.layers.0.self_attn.{name}_proj" for name in "qk")

#: Each scheme with its word.
_SCHEMES: dict[str, tuple[str, Any]] = {
    "packed": ("ct-pack", Packed(group_size=16)),
    "packed asymmetric": ("ct-pack", Packed(group_size=16, symmetric=False)),
    "packed unpacked zeros": ("ct-pack", Packed(group_size=16, symmetric=False, zeros="bytes", version="0.9.3")),
    "packed three bits": ("ct-pack", Packed(3, "channel", None)),
    "nvfp4": ("ct-nvfp4", Nvfp4()),
    "mxfp4": ("ct-mxfp", Mx(4)),
    "mxfp6": ("ct-mxfp", Mx(6)),
    "mxfp8": ("ct-mxfp", Mx(8)),
    "sparse 2:4": ("ct-sparse", Sparse()),
    "sparse": ("ct-sparse", Sparse(structured=False)),
    "sparse int8": ("ct-sparse", Sparse(codes=Plain())),
    "gptq": ("gptq", Gptq()),
    "gptq in order of activation": ("gptq", Gptq(symmetric=False, version=2, order=True)),
    "awq gemm": ("awq", Awq()),
    "awq gemv": ("awq", Awq("gemv")),
    "nf4": ("bnb", Four()),
    "fp4 nested in bf16": ("bnb", Four("fp4", nested=True, storage="BF16")),
    "llm.int8": ("bnb", Int8()),
    "fp8 in small blocks": ("fp8-block", Fp8(block=(8, 32))),
    "fp8 in blocks of heads": ("fp8-block", Fp8(block=(32, 32))),
    "fp8 of transformers": ("fp8-block", Fp8(block=None)),
    "autofp8": ("ct-float", Fp8(block=None, suffix="weight_scale", skip_key="ignored_layers")),
    "nvfp4 of modelopt": ("modelopt", ModelOpt()),
    "nvfp4 of modelopt, told beside": ("modelopt", ModelOpt(places=("hf_quant_config.json",))),
    "fp8 of modelopt": ("ct-float", ModelOpt("FP8")),
    "torchao": ("torchao", Torchao()),
    "torchao in groups": ("torchao", Torchao("intx", 32)),
    "quanto": ("quanto", Quanto()),
    "quanto of four bits": ("quanto", Quanto("qint4")),
    "hqq": ("hqq", Hqq(group_size=32)),
    "hqq of three bits": ("hqq", Hqq(3, group_size=32, axis=0)),
}
#: Schemes of which codes, or scales, of several rows lie together.
_STUCK = {
    "packed asymmetric",
    "sparse",
    "gptq",
    "gptq in order of activation",
    "awq gemm",
    "nf4",
    "fp4 nested in bf16",
    "fp8 in small blocks",
    "quanto of four bits",
    "hqq",
    "hqq of three bits",
}


def _recipe(name: str) -> Recipe:
    return Recipe(config=_SIZES, quantization=_SCHEMES[name][1], layout=Layout("by_count", 3))


def _interleaved(tensor: torch.Tensor) -> torch.Tensor:
    """The rows of each head of 16 as Meta and GGUF have them: 0, 8, 1, 9, ..."""
    order = [head + pair + half for head in range(0, len(tensor), 16) for pair in range(8) for half in (0, 8)]
    return tensor[order]


@pytest.mark.parametrize("name", _SCHEMES)
def test_a_checkpoint_of_each_scheme_is_dense_to_the_bit(
    name: str, built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Scheme and values are those that were written, companions in any of three shards, and nothing is odd."""
    made = built(_recipe(name))
    planned = plan(made.directory, names="huggingface")
    assert planned.scheme == _SCHEMES[name][0]
    assert [finding for finding in planned.findings if finding.severity != "note"] == []
    loaded = load_state_dict(made.directory, names="huggingface")
    assert {key: identify(tensor) for key, tensor in loaded.items()} == made.dense


@pytest.mark.parametrize("name", _SCHEMES)
def test_each_scheme_is_counted(name: str, built: Callable[[Recipe], Built]) -> None:
    """Parameters as if dense, bytes as stored; what of it is quantized, at how many bits, and what is not."""
    made = built(_recipe(name))
    facts = analyze(made.directory)
    rows = 64 * 64 * 2 + 2 * 32 * 64 + 3 * 96 * 64
    # Two norms of the layer and the last one, table and head.
    dense = 3 * 64 + 2 * 48 * 64
    assert facts.parameters == rows + dense
    use = {each.scheme: each for each in facts.schemes}
    word = _SCHEMES[name][0]
    assert use.keys() == {word, "none"}
    assert (use[word].weights, use[word].parameters, use[word].layers) == (7, rows, "0")
    assert (use["none"].weights, use["none"].parameters, use["none"].layers) == (5, dense, "0")
    assert use[word].nbytes + use["none"].nbytes == facts.nbytes
    assert use[word].bits_per_weight == pytest.approx(8 * use[word].nbytes / rows)
    assert use[word].bits_per_weight < 16
    assert facts.dense_matrices == ("model.embed_tokens.weight", "lm_head.weight")
    loaded = load_state_dict(made.directory)
    assert facts.dense_bytes == sum(tensor.nbytes for tensor in loaded.values())
    kept = load_state_dict(made.directory, dequantize=False)
    assert facts.weight_bytes(dequantize=False) == sum(tensor.nbytes for tensor in kept.values()) <= facts.nbytes


@pytest.mark.parametrize("name", _SCHEMES)
def test_dense_the_rows_have_the_order_of_the_names(name: str, built: Callable[[Recipe], Built]) -> None:
    """Query and key are dequantized first, and then put in the order of Meta and GGUF, within each of their heads."""
    directory = built(_recipe(name)).directory
    halves = load_state_dict(directory, names="huggingface")
    by_meta, by_gguf = load_state_dict(directory, names="meta"), load_state_dict(directory, names="gguf")
    for part, module in (("q", _QUERY), ("k", _KEY)):
        dense = halves[f"{module}.weight"]
        for moved in (by_meta[f"layers.0.attention.w{part}.weight"], by_gguf[f"blk.0.attn_{part}.weight"]):
            assert torch.equal(moved, _interleaved(dense))
            assert not torch.equal(moved, dense)


@pytest.mark.parametrize("name", [name for name in _SCHEMES if name not in _STUCK])
def test_as_stored_whole_rows_have_the_order_of_the_names(name: str, built: Callable[[Recipe], Built]) -> None:
    """Codes and scales with a row for each output move with it; what speaks of all outputs stays."""
    directory = built(_recipe(name)).directory
    halves = load_state_dict(directory, names="huggingface", dequantize=False)
    moved = load_state_dict(directory, names="gguf", dequantize=False)
    sources = [each.source for each in plan(directory, dequantize=False).tensors if each.source.startswith(_KEY)]
    assert len(sources) > 1
    for suffix in (source.removeprefix(f"{_KEY}.") for source in sources):
        whole, found = halves[f"{_KEY}.{suffix}"], moved[f"blk.0.attn_k.{suffix}"]
        stays = whole.ndim == 0 or len(whole) != 32
        assert torch.equal(_bytes(found), _bytes(whole if stays else _interleaved(whole)))


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.uint8) if tensor.ndim else tensor.reshape(1).view(torch.uint8)


@pytest.mark.parametrize("name", sorted(_STUCK))
def test_as_stored_rows_that_lie_together_cannot_move(name: str, built: Callable[[Recipe], Built]) -> None:
    """Names with another row order are refused for such codes, with what to do; the names of transformers are not."""
    directory = built(_recipe(name)).directory
    assert plan(directory, names="huggingface", dequantize=False).scheme == _SCHEMES[name][0]
    with pytest.raises(QuantizationError, match="row order") as caught:
        load_state_dict(directory, names="meta", dequantize=False)
    assert Path(str(caught.value.path)).parent == directory
    assert "self_attn.q_proj" in str(caught.value.tensor)
    assert "dequantize=True" in str(caught.value.remedy)


def test_each_group_of_a_mixed_checkpoint_has_its_own_scheme(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """FP8 in the feed-forward, packed codes in the attention: told apart layer by layer."""
    mixed = Mixed(((("re:.*mlp.*",), Plain("fp8")), (("Linear",), Packed(group_size=16))))
    made = built(Recipe(config=_SIZES, quantization=mixed))
    facts = analyze(made.directory)
    assert facts.scheme == "ct-float+ct-pack"
    assert [(use.scheme, use.weights) for use in facts.schemes] == [("ct-float", 3), ("ct-pack", 4), ("none", 5)]
    loaded = load_state_dict(made.directory, names="huggingface")
    assert {key: identify(tensor) for key, tensor in loaded.items()} == made.dense


def _store(directory: Path, name: str, dtype: str, shape: tuple[int, ...], data: bytes) -> None:
    edits.store(directory, Tensor(Spec(name, dtype, shape), data))


@pytest.mark.parametrize("name", ["gptq", "packed"])
def test_a_bias_of_zeros_beside_codes_is_left_out(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """AutoGPTQ wrote one for every Linear: zeros of either sign change nothing, any other number does."""
    directory = fresh(_recipe(name))
    _store(directory, f"{_KEY}.bias", "F16", (32,), b"\0\0\0\x80" * 16)
    planned = plan(directory)
    assert planned.ignored == (f"{_KEY}.bias",)
    assert f"{_KEY}.bias" in {finding.tensor for finding in planned.findings if finding.code == "plan.tolerated"}
    _store(directory, f"{_KEY}.bias", "F16", (32,), b"\0\0\x01\x80" * 16)
    with pytest.raises(UnexpectedTensorError):
        plan(directory)


@pytest.mark.parametrize(("shape", "module"), [((16,), _KEY), ((32, 1), _KEY), ((64,), "model.norm")])
def test_a_bias_of_zeros_elsewhere_is_unexpected(
    shape: tuple[int, ...], module: str, fresh: Callable[[Recipe], Path]
) -> None:
    """It must have a number for each output, and stand beside codes."""
    directory = fresh(_recipe("gptq"))
    count = shape[0]
    _store(directory, f"{module}.bias", "F16", shape, bytes(2 * count))
    with pytest.raises(UnexpectedTensorError):
        plan(directory)


@pytest.mark.parametrize("name", ["packed", "gptq", "llm.int8", "fp8 of transformers", "nvfp4 of modelopt"])
def test_scales_of_the_cache_and_of_activations_are_tolerated(
    name: str, fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., Any]
) -> None:
    """Whatever the spelling, they are no part of the weights: left out, and listed."""
    recipe = _recipe(name)
    directory = fresh(recipe)
    attention = "model.layers.0.self_attn"
    names = {
        *(f"{attention}.{each}" for each in ("k_scale", "v_scale", "q_scale", "kv_scale", "k_proj.k_scale")),
        *(f"{attention}.{each}" for each in ("v_proj.v_scale", "k_proj.output_scale", "q_proj.activation_scale")),
        *(f"{attention}.{each}" for each in ("q_proj.input_scale_ub", "qkv_proj.k_scale")),
    }
    for each in sorted(names):
        _store(directory, each, "F32", (1,), b"\0\0\x80\x3f")
    assert names <= set(plan(directory).ignored)
    assert loaded(directory) == built(recipe).dense
