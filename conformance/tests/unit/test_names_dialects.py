"""Translation, explanation, suggestion and detection over the four dialects."""

from __future__ import annotations

import pytest

from inferno_loader.errors import NameCollisionError, TensorNameError
from inferno_loader.names import (
    Explanation,
    check_bijective,
    detect_dialect,
    explain,
    lookup,
    map_weight_name,
    suggest,
    translate,
)

pytestmark = pytest.mark.torch_free

# One tensor a line. Meta's and GGUF's columns: model.py of meta-llama/llama, tensor_mapping.py of gguf-py.
SAME = [
    ("model.embed_tokens.weight", "embed_tokens.weight", "tok_embeddings.weight", "token_embd.weight"),
    ("model.norm.weight", "norm.weight", "norm.weight", "output_norm.weight"),
    ("lm_head.weight", "lm_head.weight", "output.weight", "output.weight"),
    (
        "model.layers.9.self_attn.q_proj.weight",
        "layers.9.attention.q_proj.weight",
        "layers.9.attention.wq.weight",
        "blk.9.attn_q.weight",
    ),
    (
        "model.layers.9.self_attn.k_proj.bias",
        "layers.9.attention.k_proj.bias",
        "layers.9.attention.wk.bias",
        "blk.9.attn_k.bias",
    ),
    (
        "model.layers.9.self_attn.v_proj.weight",
        "layers.9.attention.v_proj.weight",
        "layers.9.attention.wv.weight",
        "blk.9.attn_v.weight",
    ),
    (
        "model.layers.9.self_attn.o_proj.weight",
        "layers.9.attention.o_proj.weight",
        "layers.9.attention.wo.weight",
        "blk.9.attn_output.weight",
    ),
    (
        "model.layers.9.mlp.gate_proj.weight",
        "layers.9.feed_forward.gate_proj.weight",
        "layers.9.feed_forward.w1.weight",
        "blk.9.ffn_gate.weight",
    ),
    (
        "model.layers.9.mlp.down_proj.weight",
        "layers.9.feed_forward.down_proj.weight",
        "layers.9.feed_forward.w2.weight",
        "blk.9.ffn_down.weight",
    ),
    (
        "model.layers.9.mlp.up_proj.weight",
        "layers.9.feed_forward.up_proj.weight",
        "layers.9.feed_forward.w3.weight",
        "blk.9.ffn_up.weight",
    ),
    (
        "model.layers.9.input_layernorm.weight",
        "layers.9.input_layernorm.weight",
        "layers.9.attention_norm.weight",
        "blk.9.attn_norm.weight",
    ),
    (
        "model.layers.9.post_attention_layernorm.weight",
        "layers.9.post_attention_layernorm.weight",
        "layers.9.ffn_norm.weight",
        "blk.9.ffn_norm.weight",
    ),
    (
        "model.layers.9.self_attn.rotary_emb.inv_freq",
        "layers.9.attention.rotary_emb.inv_freq",
        "layers.9.attention.inner_attention.rope.freqs",
        "blk.9.attn_rot_embd",
    ),
    ("model.rotary_emb.inv_freq", "rotary_emb.inv_freq", "rope.freqs", "rope_freqs"),
]
COLUMNS = ("huggingface", "inferno", "meta", "gguf")


@pytest.mark.parametrize("line", SAME, ids=[line[0] for line in SAME])
def test_every_dialect_has_a_name_for_the_tensor(line: tuple[str, ...]) -> None:
    """Each name of a line translates to each other one of it."""
    for source, name in zip(COLUMNS, line, strict=True):
        assert [translate(name, source, target) for target in COLUMNS] == list(line)
        assert [lookup(name, source, target) for target in COLUMNS] == list(line)


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("model.layers.0.self_attn.qkv_proj.weight", "huggingface"),
        ("model.layers.0.self_attn.q_proj", "huggingface"),
        ("model.layers.0.self_attn.k_scale.weight", "huggingface"),
        ("model.layers.0.self_attn.weight", "huggingface"),
        ("model.layers.00.mlp.up_proj.weight", "huggingface"),
        ("model.layers.0.mlp.up_proj.", "huggingface"),
        ("model.layers.0.mlp.up_proj..weight", "huggingface"),
        ("layers.0.self_attn.q_proj.weight", "huggingface"),
        ("embed_tokens.weight", "huggingface"),
        ("model.embed_tokens.weight", "inferno"),
        ("layers.0.attention.wqkv.weight", "meta"),
        ("blk.x.attn_q.weight", "gguf"),
        ("blk.0.attn_q", "gguf"),
        ("model.layers.{layer}.mlp.up_proj.weight", "huggingface"),
        ("", "gguf"),
    ],
)
def test_a_name_outside_the_table_has_no_translation(name: str, dialect: str) -> None:
    """Strict translation refuses what its table does not have, also into the same dialect."""
    for target in COLUMNS:
        assert lookup(name, dialect, target) is None
        with pytest.raises(TensorNameError) as caught:
            translate(name, dialect, target)
        assert caught.value.remedy


def test_the_refusal_says_what_was_meant() -> None:
    """The remedy of the error is the nearest name."""
    with pytest.raises(TensorNameError) as caught:
        translate("model.layers.3.self_attn.q_porj.weight", "huggingface", "meta")
    assert caught.value.remedy == "did you mean 'model.layers.3.self_attn.q_proj.weight'?"
    assert caught.value.tensor == "model.layers.3.self_attn.q_porj.weight"


def test_the_refusal_of_a_stranger_guesses_nothing() -> None:
    """Where nothing is near, the remedy names no tensor."""
    with pytest.raises(TensorNameError) as caught:
        translate("transformer.h.0.attn.c_attn.weight", "huggingface", "meta")
    assert caught.value.remedy == "rename the tensor, or leave it out"


def test_the_scaling_divisors_of_gguf_are_no_frequencies() -> None:
    """``rope_freqs.weight`` of a GGUF file holds other numbers than ``inv_freq``, so that it gets no other name."""
    with pytest.raises(TensorNameError, match="divisors of llama3 scaling") as caught:
        translate("rope_freqs.weight", "gguf", "huggingface")
    assert caught.value.tensor == "rope_freqs.weight"
    assert explain("rope_freqs.weight", "gguf", "meta").result is None
    assert detect_dialect(["rope_freqs.weight"]) == "gguf"


@pytest.mark.parametrize("call", [translate, lookup, explain])
@pytest.mark.parametrize(("source", "target"), [("hf", "inferno"), ("inferno", "Meta"), ("", "")])
def test_an_unknown_dialect_is_refused(call: object, source: str, target: str) -> None:
    """A dialect that is none is an error that lists those that are."""
    assert callable(call)
    with pytest.raises(TensorNameError) as caught:
        call("norm.weight", source, target)
    assert caught.value.expected == "huggingface, inferno, meta, gguf"
    assert caught.value.actual in {"hf", "Meta", ""}


@pytest.mark.parametrize(
    ("name", "dialect", "meant"),
    [
        ("model.layers.3.self_attn.q_porj.weight", "huggingface", "model.layers.3.self_attn.q_proj.weight"),
        ("model.layers.3.mlp.gateproj.weight_scale", "huggingface", "model.layers.3.mlp.gate_proj.weight_scale"),
        ("model.layer.3.mlp.up_proj.weight", "huggingface", "model.layers.3.mlp.up_proj.weight"),
        ("layers.3.self_attn.o_proj.bias", "huggingface", "model.layers.3.self_attn.o_proj.bias"),
        ("model.layers.3.self_attn.k_scales", "huggingface", "model.layers.3.self_attn.k_scale"),
        ("model.embed_token.weight", "huggingface", "model.embed_tokens.weight"),
        ("model.embed_tokens", "huggingface", "model.embed_tokens.weight"),
        ("embed_tokens.weight", "huggingface", "model.embed_tokens.weight"),
        ("model.lm_head.weight", "huggingface", "lm_head.weight"),
        ("blk.7.attn_q.weight", "huggingface", "model.layers.7.self_attn.q_proj.weight"),
        ("model.layers.7.mlp.down_proj.weight", "meta", "layers.7.feed_forward.w2.weight"),
        ("blk.7.atn_k.weight", "gguf", "blk.7.attn_k.weight"),
        ("module.model.norm.weight", "huggingface", "model.norm.weight"),
        ("model.language_model.layers.2.mlp.up_proj.weight", "huggingface", "model.layers.2.mlp.up_proj.weight"),
        ("model.layers.0.self_attn.q_proj.weight", "huggingface", None),
        ("transformer.h.0.attn.c_attn.weight", "huggingface", None),
        ("model.layers.0.block_sparse_moe.gate.weight", "huggingface", None),
        ("model.layers.x.mlp.up_proj.weight", "huggingface", None),
        ("model.layers.mlp.up_proj.weight", "huggingface", None),
        ("model.layers.0.self_attn.weight", "huggingface", None),
        ("score.weight", "huggingface", None),
        ("", "huggingface", None),
        ("...", "huggingface", None),
    ],
)
def test_suggestions(name: str, dialect: str, meant: str | None) -> None:
    """A misspelt, wrapped, cut-off or foreign name leads to the one that was meant; a stranger leads nowhere."""
    assert suggest(name, dialect) == meant


def test_an_endless_name_has_no_suggestion() -> None:
    """A name beyond 256 characters is not compared with the table: that would take time by the square of its length."""
    typo = "model.layers.0.self_attn.q_porj."
    assert suggest(typo + "w" * (256 - len(typo)), "huggingface") is not None
    for name in (typo + "w" * (257 - len(typo)), typo + "w" * 5_000_000, typo + "w." * 2_000_000 + "w"):
        assert suggest(name, "huggingface") is None
        assert map_weight_name(name) == name.removeprefix("model.")
        with pytest.raises(TensorNameError) as caught:
            translate(name, "huggingface", "inferno")
        assert caught.value.remedy == "rename the tensor, or leave it out"


@pytest.mark.parametrize(
    ("names", "dialect"),
    [
        (["model.layers.0.self_attn.q_proj.weight"], "huggingface"),
        (["layers.0.attention.q_proj.weight", "norm.weight"], "inferno"),
        (["layers.0.attention.wq.weight", "norm.weight", "output.weight"], "meta"),
        (["blk.0.attn_q.weight", "output.weight"], "gguf"),
        (["model.norm.weight", "model.vision_tower.weight", "score.weight"], "huggingface"),
        (["blk.0.attn_q.weight", "model.norm.weight", "model.embed_tokens.weight"], "huggingface"),
        (["", ".", "layers.x.attention.wq.weight", "tok_embeddings.weight"], "meta"),
    ],
)
def test_the_dialect_is_told_by_the_most_names(names: list[str], dialect: str) -> None:
    """The table that matches the most names wins; strangers and broken names are no evidence."""
    assert detect_dialect(names) == dialect
    assert detect_dialect(reversed(names)) == dialect


@pytest.mark.parametrize(
    ("names", "dialect"),
    [
        (["lm_head.weight"], "huggingface"),
        (["norm.weight"], "inferno"),
        (["output.weight"], "meta"),
        (["blk.0.attn_q.weight", "model.norm.weight"], "huggingface"),
    ],
)
def test_a_tie_goes_to_the_first_dialect(names: list[str], dialect: str) -> None:
    """Names that two tables share are settled in the documented order."""
    assert detect_dialect(names) == dialect


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], "no names"), (["transformer.wte.weight", "a", "b", "c"], "transformer.wte.weight, a, b")],
    ids=["none", "strangers"],
)
def test_no_dialect_is_an_error(names: list[str], shown: str) -> None:
    """Where no table matches anything, the error shows what was found."""
    with pytest.raises(TensorNameError) as caught:
        detect_dialect(names)
    assert caught.value.actual == shown


def test_a_name_that_occurs_twice_collides() -> None:
    """One name for two tensors is a collision in every dialect."""
    with pytest.raises(NameCollisionError):
        check_bijective(["blk.0.attn_q.weight", "blk.0.attn_q.weight"], "gguf", "meta")


def test_a_collision_through_a_name_outside_the_table_is_seen() -> None:
    """A name that only loses its prefix may land on the place of a mapped one."""
    names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.attention.q_proj.weight"]
    with pytest.raises(NameCollisionError) as caught:
        check_bijective(names, "huggingface", "inferno")
    assert caught.value.actual == "layers.0.attention.q_proj.weight"


def test_names_of_the_map_keep_their_order() -> None:
    """The map lists the names as they came."""
    names = ["output.weight", "blk.1.attn_q.weight", "blk.0.attn_q.weight"]
    assert list(check_bijective(names, "gguf", "huggingface")) == names


def test_explanations_of_names_without_a_row() -> None:
    """A name outside the table is explained with what becomes of it, and with what was probably meant."""
    typo = "model.layers.3.self_attn.q_porj.weight"
    assert explain(typo) == Explanation(
        name=typo,
        result="layers.3.self_attn.q_porj.weight",
        rule="in no row of the huggingface table: it passes, with `model.` dropped",
        suggestion="model.layers.3.self_attn.q_proj.weight",
    )
    assert explain(typo, "huggingface", "meta").result is None
    assert explain("score.weight").rule == "in no row of the huggingface table: it passes"
    kept = explain("layers.3.attention.q_proj.weight")
    assert (kept.result, kept.rule) == (kept.name, "an inferno name stays as it is")
    assert (kept.layer, kept.suffix, kept.suggestion) == (3, "weight", None)


def test_explanations_say_what_becomes_of_the_rows() -> None:
    """The layout is that of tensors with outputs: not of norms, nor of a scale of the inputs."""
    prefix = "blk.5"
    assert explain(f"{prefix}.attn_q.weight", "gguf", "inferno").layout == "rotary-interleaved->rotary-half"
    assert explain(f"{prefix}.attn_q.weight", "gguf", "inferno").heads == "q"
    for name in (f"{prefix}.attn_q.input_scale", f"{prefix}.attn_v.weight", f"{prefix}.attn_norm.weight"):
        assert (explain(name, "gguf", "inferno").layout, explain(name, "gguf", "inferno").heads) == ("", "")
    assert explain(f"{prefix}.attn_q.weight", "gguf", "meta").layout == ""
    assert explain("token_embd.weight", "gguf", "meta").layer is None


@pytest.mark.parametrize("target", COLUMNS)
def test_a_malformed_name_is_not_explained(target: str) -> None:
    """A name that is none is an error here too."""
    for name in ("", "model.layers.0", "model.layers.x.mlp.up_proj.weight"):
        with pytest.raises(TensorNameError):
            explain(name, "huggingface", target)
