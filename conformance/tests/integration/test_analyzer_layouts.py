"""Every known layout of quantized weights, in files made by hand: counted logically, and told by its own word."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import edits
from conformance.tools.container import Spec, write_sparse
from conformance.tools.recipe import DEFAULT_CONFIG
from conformance.tools.stored import Tensor
from inferno_loader import analyze, load_state_dict
from inferno_loader.errors import SchemeConflictError, UnknownSchemeError

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
        ("weight.quant_state.bitsandbytes__nf4", "U8", (96,)),
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
    "torchao": lambda o, i: [("_weight_qdata", "I8", (o, i)), ("_weight_scale", "BF16", (o, 1))],
}
#: What the configuration says of each.
_TOLD: dict[str, dict[str, Any]] = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 32},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"},
    "bnb": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "bnb int8": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "fp8-block": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "modelopt": {"quant_method": "modelopt", "quant_algo": "NVFP4"},
    "hqq": {"quant_method": "hqq"},
    "quanto": {"quant_method": "quanto", "weights": "int8"},
    "torchao": {"quant_method": "torchao"},
    **{
        layout: {"config_groups": {"g": {"targets": ["Linear"], "weights": weights}}, "ignore": ["lm_head"]}
        for layout, weights in {
            "ct-pack": {"num_bits": 4, "group_size": 32, "symmetric": False},
            "ct-nvfp4": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16},
            "ct-mxfp": {"num_bits": 4, "type": "float", "group_size": 32},
        }.items()
    },
    "ct-sparse": {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}},
}

#: Layouts that are known and not read, by the word of each.
_UNREAD: dict[str, Callable[[int, int], list[tuple[str, str, tuple[int, ...]]]]] = {
    "marlin": lambda o, i: [("B", "I32", (i // 16, o * 2)), ("s", "F16", (i // 32, o)), ("workspace", "I32", (16,))],
    "marlin-24": lambda o, i: [
        ("weight_packed", "I32", (i // 32, o * 2)),
        ("scale_packed", "F16", (1, o)),
        ("meta", "I16", (i // 32, o * 2)),
    ],
    "qqq": lambda o, i: [("B", "I32", (i // 16, o * 2)), ("s_channel", "F32", (1, o)), ("s_group", "F16", (2, o))],
    "exl2": lambda o, i: [
        ("q_weight", "I32", (i // 8, o)),
        ("q_scale_max", "F16", (2,)),
        ("q_groups", "I16", (4,)),
        ("q_invperm", "I32", (i,)),
    ],
    "exl3": lambda o, i: [("trellis", "I16", (i // 16, o // 16, 64)), ("suh", "F16", (i,)), ("svh", "F16", (o,))],
    "aqlm": lambda o, i: [
        ("codes", "I16", (o, i // 8, 1)),
        ("codebooks", "F16", (1, 256, 1, 8)),
        ("scales", "F16", (o, 1, 1, 1)),
    ],
    "vptq": lambda o, i: [("centroids.weight", "F16", (1, 2048)), ("indices", "I16", (1, o, i // 8))],
    "higgs": lambda o, i: [("weight", "I16", (i // 8, o)), ("scales", "F16", (2, o)), ("tables2", "F32", (4,))],
    "spqr": lambda o, i: [("dense_weights", "I64", (o * i // 16,)), ("row_offsets", "I32", (o + 1,))],
    "eetq": lambda o, i: [("weight", "I8", (i, o)), ("weight_scales", "F16", (o,))],
    "fp_quant": lambda o, i: [
        ("qweight", "U8", (o, i // 2)),
        ("scales", "U8", (o, i // 32)),
        ("forward_hadamard_matrix", "BF16", (32, 32)),
    ],
    "torchao of 0.14": lambda o, i: [("weight:qdata", "I8", (o, i)), ("weight:scale", "F32", (o, 1))],
    "mxfp4 of gpt-oss": lambda o, i: [
        ("weight_blocks", "U8", (o, i // 32, 16)),
        ("weight_scales", "U8", (o, i // 32)),
    ],
    "AWQ gemv_fast or llm-awq": lambda o, i: [
        ("qweight", "I16", (o // 4, i)),
        ("scales", "F16", (8, o)),
        ("qzeros", "F16", (8, o)),
    ],
}


def _shape(spec: Spec) -> tuple[int, int]:
    return (96, 64) if "embed" in spec.name else _LINEARS[".".join(spec.name.split(".")[3:5])]


def _values(spec: Spec) -> list[tuple[int, bytes]]:
    """What zeros cannot stand for: shapes, states, and words in letters."""
    suffix = ".".join(spec.name.split(".")[5:])
    if suffix.startswith("weight.quant_state"):
        state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(_shape(spec))}
        return [(0, json.dumps(state).encode().ljust(spec.nbytes))]
    numbers = {"group_size": 64, "axis": 1, "nbits": 4}
    found = {"packing": b"4bit_u8"} | {name: struct.pack("<i", number) for name, number in numbers.items()}
    if suffix in ("shape", "weight_shape"):
        found[suffix] = struct.pack("<2q", *_shape(spec))
    return [(0, found[suffix])] if suffix in found else []


def _metadata(specs: list[Spec]) -> dict[str, str]:
    """What torchao says of its codes, which is nowhere else."""
    codes = [spec for spec in specs if spec.name.endswith("._weight_qdata")]
    told = [json.dumps({"_type": "Int8Tensor", "_data": {"block_size": [1, spec.shape[1]]}}) for spec in codes]
    return {spec.name.replace("_weight_qdata", "weight"): text for spec, text in zip(codes, told, strict=True)}


def _hand_made(
    parts: Callable[[int, int], list[tuple[str, str, tuple[int, ...]]]],
    directory: Path,
    block: dict[str, Any] | None,
) -> tuple[int, int]:
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
        prefix = f"model.layers.0.{module}"
        specs += [Spec(f"{prefix}.{suffix}", dtype, shape) for suffix, dtype, shape in parts(rows, columns)]
    write_sparse(directory / "model.safetensors", specs, _values, metadata=_metadata(specs))
    config = {**DEFAULT_CONFIG, **_TINY, "torch_dtype": "float16"}
    if block:
        config["quantization_config"] = block
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(specs), sum(spec.nbytes for spec in specs)


@pytest.mark.parametrize("declared", [False, True], ids=["undeclared", "declared"])
@pytest.mark.parametrize("layout", _PARTS)
def test_packed_weights_are_counted_logically(layout: str, declared: bool, tmp_path: Path) -> None:
    """Parameters are those of the model, bytes those of the file, and the scheme is told from the tensors."""
    tensors, nbytes = _hand_made(_PARTS[layout], tmp_path, _TOLD[layout] if declared else None)
    facts = analyze(tmp_path)
    assert facts.resolution.problems == []
    assert (facts.parameters, facts.tensors, facts.nbytes) == (_LOGICAL, tensors, nbytes)
    assert (facts.scheme, facts.dense_bytes) == (layout.partition(" ")[0], 2 * _LOGICAL)
    assert facts.weight_bytes(dequantize=False) == nbytes
    assert facts.weight_bytes(dtype="float32") == 4 * _LOGICAL
    assert [finding.code for finding in facts.findings] == ([] if declared else ["quant.undeclared"])


@pytest.mark.parametrize("layout", _PARTS)
def test_a_method_that_the_tensors_contradict_is_refused(layout: str, tmp_path: Path) -> None:
    """Each layout under the name of another method: what the configuration says, and what the tensors show."""
    other = "awq" if _TOLD[layout].get("quant_method") != "awq" else "gptq"
    _, nbytes = _hand_made(_PARTS[layout], tmp_path, {"quant_method": other})
    facts = analyze(tmp_path)
    assert (facts.parameters, facts.nbytes, facts.sound) == (_LOGICAL, nbytes, False)
    with pytest.raises(SchemeConflictError, match="7 of this kind") as caught:
        load_state_dict(tmp_path)
    assert other in str(caught.value.expected)
    assert "self_attn.q_proj" in str(caught.value.tensor)


@pytest.mark.parametrize("word", _UNREAD)
def test_a_layout_that_is_not_read_is_refused_by_name(word: str, tmp_path: Path) -> None:
    """It is counted all the same; a load says what it is, and what to do, once for all weights."""
    tensors, nbytes = _hand_made(_UNREAD[word], tmp_path, None)
    facts = analyze(tmp_path)
    assert (facts.parameters, facts.tensors, facts.nbytes) == (_LOGICAL, tensors, nbytes)
    assert (facts.scheme, facts.resolution.unexpected, facts.sound) == (word, [], False)
    with pytest.raises(UnknownSchemeError, match="7 of this kind") as caught:
        load_state_dict(tmp_path)
    assert str(caught.value.actual).startswith(f"{word}: ")
    assert caught.value.path == str(tmp_path / "model.safetensors")
    assert len(str(caught.value.remedy)) > 20


def test_tiles_of_an_old_release_are_refused(tmp_path: Path) -> None:
    """LLM.int8 in col32 and its kin: a format that is not 0 orders the codes for a GPU of its time."""
    _hand_made(_PARTS["bnb int8"], tmp_path, None)
    name = "model.layers.0.self_attn.k_proj.weight_format"
    edits.store(tmp_path, Tensor(Spec(name, "U8", ()), b"\x01"))
    with pytest.raises(UnknownSchemeError) as caught:
        load_state_dict(tmp_path)
    assert caught.value.tensor == name
    assert "weight_format 0" in str(caught.value.expected)


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
    _hand_made(_PARTS["awq"], tmp_path, None)
    path = tmp_path / "model.safetensors"
    kept = [tensor.spec for name, tensor in edits.read_tensors(path).items() if not name.startswith(module)]
    specs = [*kept, *(Spec(f"{module}.{suffix}", dtype, shape) for suffix, dtype, shape in parts)]
    write_sparse(path, specs, lambda _: ())
    facts = analyze(tmp_path)
    assert facts.scheme == ("awq+ct-int" if parts[0][1] == "I8" else "awq")
    assert facts.parameters == _LOGICAL
