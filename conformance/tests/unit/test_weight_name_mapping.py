"""The map from Hugging Face names to Inferno names, by hand, over whole real checkpoints, and pinned for every dialect.

The plan's performance test lies in ``benchmarks/test_weight_name_mapping.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from inferno_loader.errors import NameCollisionError, TensorNameError
from inferno_loader.names import DIALECTS, check_bijective, explain, layout_change, map_weight_name, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syrupy.assertion import SnapshotAssertion
    from syrupy.location import PyTestLocation

pytestmark = pytest.mark.torch_free

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROJECTIONS = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)
NORMS = ("input_layernorm", "post_attention_layernorm")


def facts_of(model: str) -> dict[str, Any]:
    """The figures of a real checkpoint, by the stem of its file in ``fixtures/models``."""
    facts: dict[str, Any] = json.loads((FIXTURES / "models" / f"{model}.json").read_text(encoding="utf-8"))
    return facts


def stored_names(
    layers: int,
    *,
    head: bool = True,
    inv_freq: bool = False,
    suffixes: Sequence[str] = ("weight",),
    beside: Sequence[str] = (),
) -> list[str]:
    """The names of a Llama checkpoint: `suffixes` at each projection, and the tensors `beside` them in each layer."""
    names = ["model.embed_tokens.weight", "model.norm.weight", *(["lm_head.weight"] if head else [])]
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        names += [f"{prefix}.{projection}.{suffix}" for projection in PROJECTIONS for suffix in suffixes]
        names += [f"{prefix}.{norm}.weight" for norm in NORMS]
        names += [f"{prefix}.{name}" for name in beside]
        names += [f"{prefix}.self_attn.rotary_emb.inv_freq"] if inv_freq else []
    return names


def by_replacement(name: str) -> str:
    """The Inferno name by another way: what the three rules in words say, as text replacement."""
    return name.removeprefix("model.").replace(".self_attn.", ".attention.").replace(".mlp.", ".feed_forward.")


DENSE = sorted(path.stem for path in (FIXTURES / "models").glob("*.json") if "config" in facts_of(path.stem))


@pytest.mark.parametrize(
    ("name", "inferno"),
    [
        ("model.embed_tokens.weight", "embed_tokens.weight"),
        ("model.norm.weight", "norm.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("lm_head.bias", "lm_head.bias"),
        ("model.layers.0.self_attn.q_proj.weight", "layers.0.attention.q_proj.weight"),
        ("model.rotary_emb.inv_freq", "rotary_emb.inv_freq"),
    ],
)
def test_basic_weight_name_mapping(name: str, inferno: str) -> None:
    """The prefix is dropped, and the tensors outside the layers keep the rest of their names."""
    assert map_weight_name(name) == inferno


@pytest.mark.parametrize("suffix", ["weight", "bias"])
@pytest.mark.parametrize("projection", ["q_proj", "k_proj", "v_proj", "o_proj"])
def test_attention_weight_name_mapping(projection: str, suffix: str) -> None:
    """The projections of ``self_attn`` are those of ``attention``."""
    name = f"model.layers.7.self_attn.{projection}.{suffix}"
    assert map_weight_name(name) == f"layers.7.attention.{projection}.{suffix}"


@pytest.mark.parametrize("suffix", ["weight", "bias"])
@pytest.mark.parametrize("projection", ["gate_proj", "up_proj", "down_proj"])
def test_mlp_weight_name_mapping(projection: str, suffix: str) -> None:
    """The projections of ``mlp`` are those of ``feed_forward``."""
    name = f"model.layers.31.mlp.{projection}.{suffix}"
    assert map_weight_name(name) == f"layers.31.feed_forward.{projection}.{suffix}"


def test_normalization_weight_name_mapping() -> None:
    """The norms keep their names."""
    assert map_weight_name("model.layers.12.input_layernorm.weight") == "layers.12.input_layernorm.weight"
    post = "layers.12.post_attention_layernorm.weight"
    assert map_weight_name(f"model.{post}") == post
    assert map_weight_name("model.norm.weight") == "norm.weight"


@pytest.mark.parametrize(
    "suffix",
    [
        "weight_scale",
        "weight_zero_point",
        "input_scale",
        "weight_packed",
        "weight_shape",
        "weight_global_scale",
        "qweight",
        "qzeros",
        "scales",
        "g_idx",
        "SCB",
        "weight.absmax",
        "weight.quant_state.bitsandbytes__nf4",
        "a_suffix_of.tomorrow",
    ],
)
def test_quantized_scales_weight_name_mapping(suffix: str) -> None:
    """What stands beside a quantized weight follows its module, with the suffix untouched."""
    assert map_weight_name(f"model.layers.3.mlp.up_proj.{suffix}") == f"layers.3.feed_forward.up_proj.{suffix}"
    assert map_weight_name(f"lm_head.{suffix}") == f"lm_head.{suffix}"


@pytest.mark.parametrize("scale", ["k_scale", "v_scale", "q_scale", "kv_scale", "k_zero_point", "v_zero_point"])
def test_quantized_scales_of_the_cache_hang_on_the_attention(scale: str) -> None:
    """A scale of the key-value cache is renamed with the attention itself."""
    assert map_weight_name(f"model.layers.3.self_attn.{scale}") == f"layers.3.attention.{scale}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "model",
        "model.",
        "model.layers",
        "model.layers.",
        "model.layers.0",
        "model.layers.0.",
        "model.layers.0.self_attn",
        "model.layers.0.self_attn.",
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.self_attn.rotary_emb",
        "model.layers.0.attention.q_proj",
        "model.embed_tokens",
        "model.norm",
        "lm_head",
        "layers.0.attention",
        "model..norm.weight",
        "model.layers.0..weight",
        "model.layers.x.self_attn.q_proj.weight",
        "model.layers.-1.self_attn.q_proj.weight",
        "model.layers.+1.self_attn.q_proj.weight",
        "model.layers.1_0.self_attn.q_proj.weight",
        "model.layers. 1.self_attn.q_proj.weight",
        "model.layers.1e1.self_attn.q_proj.weight",
        "model.layers.\u0967.self_attn.q_proj.weight",
        "model.layers.\u00b2.self_attn.q_proj.weight",
        "model.layers.07.self_attn.q_proj.weight",
        "model.layers.1234567890.self_attn.q_proj.weight",
        "model.layers." + "9" * 5000 + ".self_attn.q_proj.weight",
        "model.layers.125lm_head.weight",
        "layers.x.attention.q_proj.weight",
        "model.layers.x.unknown",
    ],
    ids=lambda name: name if len(name) < 60 else "five thousand digits",
)
def test_edge_cases_weight_name_mapping(name: str) -> None:
    """An empty or cut-off name, and a layer index that is no plain number, are errors that carry the name."""
    with pytest.raises(TensorNameError) as caught:
        map_weight_name(name)
    assert caught.value.tensor == (name or None)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("model.layers.0.self_attn.qkv_proj.weight", "layers.0.self_attn.qkv_proj.weight"),
        ("model.layers.0.block_sparse_moe.gate.weight", "layers.0.block_sparse_moe.gate.weight"),
        ("model.model_norm.weight", "model_norm.weight"),
        ("score.weight", "score.weight"),
        ("vision.model.mlp.weight", "vision.model.mlp.weight"),
        ("layers.4.attention.q_proj.weight", "layers.4.attention.q_proj.weight"),
        ("model.my_mlp.self_attn_x.weight", "my_mlp.self_attn_x.weight"),
    ],
)
def test_edge_cases_outside_the_table_pass(name: str, passed: str) -> None:
    """A name outside the table passes with ``model.`` dropped, and nothing else is replaced inside it."""
    assert map_weight_name(name) == passed


def test_complete_layer_weight_name_mapping() -> None:
    """The nine tensors of a layer map to nine names."""
    assert [map_weight_name(name) for name in stored_names(1, head=False)[2:]] == [
        "layers.0.attention.q_proj.weight",
        "layers.0.attention.k_proj.weight",
        "layers.0.attention.v_proj.weight",
        "layers.0.attention.o_proj.weight",
        "layers.0.feed_forward.gate_proj.weight",
        "layers.0.feed_forward.up_proj.weight",
        "layers.0.feed_forward.down_proj.weight",
        "layers.0.input_layernorm.weight",
        "layers.0.post_attention_layernorm.weight",
    ]


def test_index_consistency_weight_name_mapping() -> None:
    """The layer index is carried over unchanged, whatever its number of digits."""
    for layer in (*range(1201), 99_999, 999_999_999):
        for module, inferno in (("mlp.up_proj", "feed_forward.up_proj"), ("input_layernorm", "input_layernorm")):
            assert map_weight_name(f"model.layers.{layer}.{module}.weight") == f"layers.{layer}.{inferno}.weight"


@pytest.mark.parametrize("model", DENSE)
def test_reversibility_weight_name_mapping(model: str) -> None:
    """Every name of a real checkpoint comes back from every dialect by way of every other, and none is shared."""
    names = names_of(model)
    for source in DIALECTS:
        there = check_bijective(names, "huggingface", source)
        for target in DIALECTS:
            across = check_bijective(there.values(), source, target)
            assert len(set(across.values())) == len(names)
            assert [translate(name, target, "huggingface") for name in across.values()] == names


def names_of(model: str) -> list[str]:
    """Every tensor of a real dense checkpoint, from its figures."""
    facts = facts_of(model)
    twin = facts.get("twin", {})
    return stored_names(
        facts["config"]["num_hidden_layers"],
        head=twin.get("lm_head_stored", True),
        inv_freq=bool(twin.get("inv_freq")),
    )


@pytest.mark.parametrize("model", DENSE)
def test_real_model_patterns(model: str) -> None:
    """Every tensor of a real dense checkpoint maps by the three rules, and its names are as many as were published."""
    names = names_of(model)
    published = facts_of(model).get("twin", {}).get("tensors", len(names))
    mapped = check_bijective(names, "huggingface", "inferno")
    assert mapped == {name: by_replacement(name) for name in names}
    assert len(mapped) == published
    assert [map_weight_name(name) for name in mapped.values()] == list(mapped.values())


# The tensor counts are those of the published files of these repositories on the Hugging Face Hub.
QUANTIZED = {
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic": (515, 32, ("weight", "weight_scale"), ()),
    "nm-testing/Meta-Llama-3.1-8B-Instruct-FP8-hf": (739, 32, ("weight", "weight_scale", "input_scale"), ()),
    "RedHatAI/Llama-3.2-1B-Instruct-FP8": (371, 16, ("weight", "weight_scale", "input_scale"), ()),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16": (
        *(1187, 32),
        ("qweight", "qzeros", "scales", "g_idx", "bias"),
        (),
    ),
    "RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16": (
        *(2403, 80),
        ("weight_packed", "weight_scale", "weight_shape", "weight_g_idx"),
        (),
    ),
    "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4": (739, 32, ("qweight", "qzeros", "scales"), ()),
    "jeevanchaps/Llama-3.1-8B-Instruct-bnb-int8": (739, 32, ("weight", "SCB", "weight_format"), ()),
    "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit": (
        *(1411, 32),
        (
            "weight",
            *("weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map"),
            "weight.quant_state.bitsandbytes__nf4",
        ),
        (),
    ),
    "nvidia/Llama-3.1-8B-Instruct-FP4": (
        *(1027, 32),
        ("weight", "weight_scale", "weight_scale_2", "input_scale"),
        ("self_attn.k_proj.k_scale", "self_attn.v_proj.v_scale"),
    ),
}


@pytest.mark.parametrize("model", QUANTIZED)
def test_real_model_patterns_quantized(model: str) -> None:
    """Every tensor of a real quantized checkpoint maps by the three rules, and comes back from every dialect."""
    published, layers, suffixes, beside = QUANTIZED[model]
    names = stored_names(layers, suffixes=suffixes, beside=beside)
    mapped = check_bijective(names, "huggingface", "inferno")
    assert mapped == {name: by_replacement(name) for name in names}
    assert len(mapped) == published
    for dialect in DIALECTS:
        there = check_bijective(names, "huggingface", dialect)
        assert [translate(name, dialect, "huggingface") for name in there.values()] == names


def test_two_names_for_one_tensor_collide() -> None:
    """Names that map to one name are refused, and both are named."""
    names = ["model.embed_tokens.weight", "model.norm.weight", "embed_tokens.weight"]
    with pytest.raises(NameCollisionError, match=r"'model\.embed_tokens\.weight' and 'embed_tokens\.weight'") as caught:
        check_bijective(names, "huggingface", "inferno")
    assert caught.value.tensor == "embed_tokens.weight"
    assert caught.value.actual == "embed_tokens.weight"


class NameMaps(JSONSnapshotExtension):
    """Snapshots below ``fixtures/name_maps``, one file for each dialect."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """Where the maps lie. Syrupy wants a folder named after the test's file."""
        return str(FIXTURES / "name_maps" / test_location.basename)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_map_of_dialect(dialect: str, snapshot: SnapshotAssertion) -> None:
    """The names of Llama-3.1-8B, of the scales and buffers beside a layer, and the layout changes stay as they are."""
    cache = ("q_scale", "k_scale", "v_scale", "kv_scale", "q_zero_point", "k_zero_point", "v_zero_point")
    beside = [*(f"model.layers.0.self_attn.{name}" for name in cache), "model.rotary_emb.inv_freq"]
    beside.append("model.layers.0.self_attn.rotary_emb.inv_freq")
    modules = [f"model.layers.{{layer}}.{name}" for name in (*PROJECTIONS, *NORMS)]
    changes = {module: layout_change(module, "huggingface", dialect) for module in modules}
    pinned = {
        "model": {name: translate(name, "huggingface", dialect) for name in names_of("meta-llama__Llama-3.1-8B")},
        "beside": {name: translate(name, "huggingface", dialect) for name in beside},
        "layout": {module: f"{change.word} {change.heads}".strip() for module, change in changes.items()},
    }
    assert pinned == snapshot(extension_class=NameMaps)


def test_the_rule_that_fired_is_explained() -> None:
    """An explanation gives the row, the layer, the suffix and the layout change."""
    found = explain("model.layers.3.self_attn.k_proj.weight", "huggingface", "meta")
    assert found.result == "layers.3.attention.wk.weight"
    assert found.rule == "model.layers.{layer}.self_attn.k_proj -> layers.{layer}.attention.wk"
    assert (found.layer, found.suffix) == (3, "weight")
    assert (found.layout, found.heads) == ("rotary-half->rotary-interleaved", "kv")
    assert found.suggestion is None
