"""Every known layout of quantized weights, in headers made by hand: counted logically, and told by its own word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.tools import edits
from conformance.tools.container import Spec, write_sparse
from conformance.tools.recipe import DEFAULT_CONFIG
from inferno_loader import analyze, load_state_dict
from inferno_loader.errors import UnknownSchemeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# One layer, hidden 64, intermediate 128, 2 heads and 1 key-value head of 32, 96 tokens, an untied head.
_TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "vocab_size": 96,
}
_LINEARS = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (128, 64),
    "mlp.up_proj": (128, 64),
    "mlp.down_proj": (64, 128),
}
_LOGICAL = 2 * 96 * 64 + 3 * 64 + sum(rows * columns for rows, columns in _LINEARS.values())

# The tensors of one Linear [o, i] in each layout: suffix, dtype, shape. Group size 32, block size 64 for bitsandbytes.
_PARTS: dict[str, Callable[[int, int], list[tuple[str, str, tuple[int, ...]]]]] = {
    "gptq": lambda o, i: [
        ("qweight", "I32", (i // 8, o)),
        ("qzeros", "I32", (i // 32, o // 8)),
        ("scales", "F16", (i // 32, o)),
        ("g_idx", "I32", (i,)),
    ],
    "awq": lambda o, i: [
        ("qweight", "I32", (i, o // 8)),
        ("qzeros", "I32", (i // 32, o // 8)),
        ("scales", "F16", (i // 32, o)),
    ],
    "ct-pack": lambda o, i: [
        ("weight_packed", "I32", (o, i // 8)),
        ("weight_scale", "BF16", (o, i // 32)),
        ("weight_zero_point", "I32", (o // 8, i // 32)),
        ("weight_shape", "I64", (2,)),
        ("weight_g_idx", "I32", (i,)),
    ],
    "ct-nvfp4": lambda o, i: [
        ("weight_packed", "U8", (o, i // 2)),
        ("weight_scale", "F8_E4M3", (o, i // 16)),
        ("weight_global_scale", "F32", (1,)),
    ],
    "ct-mxfp": lambda o, i: [("weight_packed", "U8", (o, i // 2)), ("weight_scale", "U8", (o, i // 32))],
    "ct-sparse": lambda o, i: [
        ("compressed", "BF16", (o, i // 2)),
        ("bitmask", "U8", (o, i // 8)),
        ("shape", "I64", (2, 1)),
    ],
    "bnb": lambda o, i: [
        ("weight", "U8", (o * i // 2, 1)),
        ("weight.absmax", "F32", (o * i // 64,)),
        ("weight.quant_map", "F32", (16,)),
        ("weight.quant_state.bitsandbytes__nf4", "U8", (80,)),
    ],
    "bnb int8": lambda o, i: [("weight", "I8", (o, i)), ("SCB", "F32", (o,)), ("weight_format", "U8", ())],
    "fp8-block": lambda o, i: [("weight", "F8_E4M3", (o, i)), ("weight_scale_inv", "F32", (1, 1))],
    "modelopt": lambda o, i: [
        ("weight", "U8", (o, i // 2)),
        ("weight_scale", "F8_E4M3", (o, i // 16)),
        ("weight_scale_2", "F32", ()),
    ],
    "hqq": lambda o, i: [
        ("W_q", "U8", (o * i // 2 // 64, 64)),
        ("scale", "BF16", (o * i // 64, 1)),
        ("zero", "BF16", (o * i // 64, 1)),
        ("shape", "I64", (2,)),
        ("nbits", "I32", ()),
        ("group_size", "I32", ()),
        ("axis", "I32", ()),
        ("packing", "U8", (7,)),
    ],
    "quanto": lambda o, i: [("weight._data", "I8", (o, i)), ("weight._scale", "BF16", (o, 1))],
}


def _hand_made(layout: str, directory: Path, method: str | None) -> tuple[int, int]:
    """Write a model whose Linears lie in a layout, zeros throughout; returns how many tensors and bytes it has."""
    dense = {
        "model.embed_tokens": (96, 64),
        "model.norm": (64,),
        "model.layers.0.input_layernorm": (64,),
        "model.layers.0.post_attention_layernorm": (64,),
        "lm_head": (96, 64),
    }
    specs = [Spec(f"{module}.weight", "BF16", shape) for module, shape in dense.items()]
    for module, (rows, columns) in _LINEARS.items():
        parts = _PARTS[layout](rows, columns)
        specs += [Spec(f"model.layers.0.{module}.{suffix}", dtype, shape) for suffix, dtype, shape in parts]
    write_sparse(directory / "model.safetensors", specs, lambda _: ())
    config = {**DEFAULT_CONFIG, **_TINY, "torch_dtype": "float16"}
    if method:
        config["quantization_config"] = {"quant_method": method, "bits": 4}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(specs), sum(spec.nbytes for spec in specs)


@pytest.mark.parametrize("method", [None, "gptq"], ids=["undeclared", "declared"])
@pytest.mark.parametrize("layout", _PARTS)
def test_packed_weights_are_counted_logically(layout: str, method: str | None, tmp_path: Path) -> None:
    """Parameters are those of the model, bytes those of the file, and the scheme is told from the tensors."""
    tensors, nbytes = _hand_made(layout, tmp_path, method)
    facts = analyze(tmp_path)
    scheme = layout.partition(" ")[0]
    assert (facts.parameters, facts.tensors, facts.nbytes) == (_LOGICAL, tensors, nbytes)
    assert (facts.scheme, facts.dense_bytes) == (scheme, 2 * _LOGICAL)
    assert facts.weight_bytes(dequantize=False) == nbytes
    assert facts.weight_bytes(dtype="float32") == 4 * _LOGICAL
    assert {finding.code for finding in facts.findings if finding.severity == "error"} == {"quant.unknown_scheme"}
    assert facts.resolution.unexpected == []
    with pytest.raises(UnknownSchemeError) as caught:
        load_state_dict(tmp_path)
    assert str(caught.value.actual).startswith(f"{scheme} in model.layers.0.self_attn.q_proj")


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        ("model.layers.0.mlp.up_proj", [("weight", "I8", (128, 64)), ("weight_scale", "BF16", (128, 1))]),
        ("model.layers.0.mlp.up_proj", [("weight", "BF16", (128, 64))]),
    ],
    ids=["two schemes", "one dense"],
)
def test_schemes_may_differ_from_module_to_module(
    module: str, parts: list[tuple[str, str, tuple[int, ...]]], tmp_path: Path
) -> None:
    """Each is told by its own tensors, and the words are joined."""
    _hand_made("awq", tmp_path, None)
    path = tmp_path / "model.safetensors"
    kept = [tensor.spec for name, tensor in edits.read_tensors(path).items() if not name.startswith(module)]
    specs = [*kept, *(Spec(f"{module}.{suffix}", dtype, shape) for suffix, dtype, shape in parts)]
    write_sparse(path, specs, lambda _: ())
    facts = analyze(tmp_path)
    assert facts.scheme == ("awq+ct-int" if parts[0][1] == "I8" else "awq")
    assert facts.parameters == _LOGICAL
