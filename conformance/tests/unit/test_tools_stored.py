"""How a recipe stores its tensors: names and rows of the Meta dialect, heads, dtypes, and the values behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conformance.tools import stored
from conformance.tools.recipe import Built, Layout, Quantization, Recipe, build

if TYPE_CHECKING:
    from pathlib import Path

_ONE_LAYER = {"num_hidden_layers": 1, "vocab_size": 7}


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A checkpoint of two layers in the Meta dialect."""
    return build(Recipe(dialect="meta", config={"num_hidden_layers": 2}), tmp_path_factory.mktemp("meta"))


def test_the_meta_dialect_has_its_names(meta: Built) -> None:
    """Every name of a layer and of the top is one of Meta's, in consolidated.safetensors."""
    assert meta.files == ("consolidated.safetensors",)
    layer = {name.removeprefix("layers.1.") for name in meta.expected if name.startswith("layers.1.")}
    attention = {f"attention.{part}.weight" for part in ("wq", "wk", "wv", "wo")}
    rest = {"feed_forward.w1.weight", "feed_forward.w2.weight", "feed_forward.w3.weight"}
    assert layer == attention | rest | {"attention_norm.weight", "ffn_norm.weight"}
    top = {name for name in meta.expected if not name.startswith("layers.")}
    assert top == {"tok_embeddings.weight", "norm.weight", "output.weight"}


@pytest.mark.parametrize(
    ("theirs", "ours", "heads"),
    [
        ("wq.weight", "q_proj.weight", 6),
        ("wk.weight", "k_proj.weight", 2),
        ("wq.bias", "q_proj.bias", 6),
        ("wk.bias", "k_proj.bias", 2),
    ],
)
def test_the_meta_dialect_interleaves_the_rows_of_queries_and_keys(
    theirs: str, ours: str, heads: int, tmp_path: Path
) -> None:
    """In each head of ten the Hugging Face rows 0 5 1 6 2 7 3 8 4 9 stand in Meta's order, of weights and biases."""
    built = build(Recipe(dialect="meta", config=_ONE_LAYER | {"attention_bias": True}), tmp_path)
    stored = load_file(tmp_path / "consolidated.safetensors")[f"layers.0.attention.{theirs}"]
    order = [10 * head + row for head in range(heads) for row in (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)]
    assert np.array_equal(stored.double().numpy(), built.values(f"model.layers.0.self_attn.{ours}")[order])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("tok_embeddings.weight", "model.embed_tokens.weight"),
        ("norm.weight", "model.norm.weight"),
        ("output.weight", "lm_head.weight"),
        ("layers.1.attention.wv.weight", "model.layers.1.self_attn.v_proj.weight"),
        ("layers.1.attention.wo.weight", "model.layers.1.self_attn.o_proj.weight"),
        ("layers.1.feed_forward.w1.weight", "model.layers.1.mlp.gate_proj.weight"),
        ("layers.1.feed_forward.w2.weight", "model.layers.1.mlp.down_proj.weight"),
        ("layers.1.feed_forward.w3.weight", "model.layers.1.mlp.up_proj.weight"),
        ("layers.1.attention_norm.weight", "model.layers.1.input_layernorm.weight"),
        ("layers.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight"),
    ],
)
def test_the_meta_dialect_leaves_every_other_tensor_as_it_is(theirs: str, ours: str, meta: Built) -> None:
    """Gate is w1, down is w2, up is w3; these tensors have the same bytes under both names."""
    assert meta.expected[theirs] == meta.dense[ours]


@pytest.mark.parametrize(
    ("head", "tied", "stored", "same"),
    [
        ("auto", False, {"embed", "head"}, False),
        ("auto", True, {"embed"}, False),
        ("own", True, {"embed", "head"}, False),
        ("copy", True, {"embed", "head"}, True),
        ("absent", False, {"embed"}, False),
    ],
)
def test_the_head_is_stored_as_asked(head: Any, tied: bool, stored: set[str], same: bool, tmp_path: Path) -> None:
    """A head of its own, a copy of the embedding, or none: stored and dense tensors agree about it."""
    built = build(Recipe(head=head, config=_ONE_LAYER | {"tie_word_embeddings": tied}), tmp_path)
    names = {"embed": "model.embed_tokens.weight", "head": "lm_head.weight"}
    for tensors in (built.expected, built.dense):
        assert {word for word, name in names.items() if name in tensors} == stored
        if "head" in stored:
            assert (tensors[names["embed"]] == tensors[names["head"]]) == same


def test_the_embedding_may_be_stored_under_the_name_of_the_head(tmp_path: Path) -> None:
    """With head="instead" only lm_head.weight is stored, and it is the embedding."""
    tied = _ONE_LAYER | {"tie_word_embeddings": True}
    moved = build(Recipe(head="instead", config=tied), tmp_path / "moved")
    plain = build(Recipe(config=tied), tmp_path / "plain")
    assert "model.embed_tokens.weight" not in moved.expected
    assert moved.expected["lm_head.weight"] == plain.expected["model.embed_tokens.weight"]
    assert moved.dense == plain.dense


def test_exceptions_of_dtype_follow_patterns_and_the_last_one_counts(tmp_path: Path) -> None:
    """Norms in F32 and one of them in F16, everything else in BF16."""
    exceptions = (("*norm.weight", "F32"), ("model.norm.weight", "F16"))
    built = build(Recipe(config=_ONE_LAYER, dtypes=exceptions), tmp_path)
    dtypes = {name: each.dtype for name, each in built.expected.items()}
    assert dtypes.pop("model.norm.weight") == "F16"
    assert {name for name, dtype in dtypes.items() if dtype == "F32"} == {
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
    }
    assert set(dtypes.values()) == {"F32", "BF16"}


def test_frequencies_are_stored_and_are_no_parameters(tmp_path: Path) -> None:
    """Stored inv_freq buffers are expected as stored, and not among the dense parameters."""
    built = build(Recipe(config=_ONE_LAYER, inv_freq="F32"), tmp_path)
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    assert (built.expected[name].dtype, built.expected[name].shape) == ("F32", (5,))
    assert name not in built.dense


def test_a_head_dim_that_is_left_out_follows_from_the_sizes(tmp_path: Path) -> None:
    """Without head_dim the projections and Meta's rows follow hidden_size / num_attention_heads."""
    figures = _ONE_LAYER | {"head_dim": None, "hidden_size": 48}
    built = build(Recipe(dialect="meta", config=figures, omit=("head_dim",)), tmp_path)
    assert built.expected["layers.0.attention.wq.weight"].shape == (48, 48)
    stored = load_file(tmp_path / "consolidated.safetensors")["layers.0.attention.wk.weight"].double().numpy()
    order = [8 * head + row for head in range(2) for row in (0, 4, 1, 5, 2, 6, 3, 7)]
    assert np.array_equal(stored, built.values("model.layers.0.self_attn.k_proj.weight")[order])


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_values_are_those_of_the_dense_parameter(dtype: Any, tmp_path: Path) -> None:
    """`values` has the shape of the parameter and the numbers that torch reads from the file."""
    built = build(Recipe(config=_ONE_LAYER | {"mlp_bias": True}, dtype=dtype), tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    for name in ("model.embed_tokens.weight", "model.layers.0.mlp.down_proj.bias", "lm_head.weight"):
        assert np.array_equal(built.values(name), stored[name].double().numpy())
        assert built.values(name).shape == built.dense[name].shape


def test_values_of_a_head_that_is_tied_are_refused(tmp_path: Path) -> None:
    """A parameter that the checkpoint does not have is a KeyError."""
    built = build(Recipe(config=_ONE_LAYER | {"tie_word_embeddings": True}), tmp_path)
    with pytest.raises(KeyError, match="lm_head"):
        built.values("lm_head.weight")


def test_integers_in_place_of_a_weight_have_values_too(tmp_path: Path) -> None:
    """An I32 weight in a dense checkpoint, which a loader must refuse, is built all the same."""
    name = "model.norm.weight"
    built = build(Recipe(config=_ONE_LAYER, dtypes=((name, "I32"),)), tmp_path)
    stored = load_file(tmp_path / "model.safetensors")[name]
    assert stored.dtype == torch.int32
    assert np.array_equal(built.values(name), stored.double().numpy())


def test_values_of_a_dtype_without_numbers_are_refused(tmp_path: Path) -> None:
    """No formula is known here for E8M0 as a weight."""
    built = build(Recipe(config=_ONE_LAYER, dtypes=(("model.norm.weight", "F8_E8M0"),)), tmp_path)
    with pytest.raises(ValueError, match="F8_E8M0"):
        built.values("model.norm.weight")


@pytest.mark.parametrize(
    "fields",
    [{"quantization": Quantization()}, {"layout": Layout("by_count", 2)}, {"inv_freq": "F32"}],
    ids=["quantized", "sharded", "inv_freq"],
)
def test_the_meta_dialect_is_dense_and_in_one_file(fields: dict[str, Any]) -> None:
    """A Meta checkpoint in shards, quantized or with frequencies is refused."""
    with pytest.raises(ValueError, match="consolidated"):
        Recipe(dialect="meta", **fields)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipe of each parameter that is computed, where nothing is at hand yet."""
    recipes: list[Recipe] = []
    compute = stored.parameter

    def parameter(recipe: Recipe, *arguments: Any) -> stored.Parameter:
        recipes.append(recipe)
        return compute(recipe, *arguments)

    monkeypatch.setattr(stored, "_HELD", {})
    monkeypatch.setattr(stored, "parameter", parameter)
    return recipes


def test_the_parameters_of_a_recipe_are_computed_once(computed: list[Recipe]) -> None:
    """An equal recipe gets those that are at hand, and another one, be it by a seed or by a scheme, its own."""
    recipe = Recipe(config=_ONE_LAYER)
    others = [Recipe(config=_ONE_LAYER, seed=1), Recipe(config=_ONE_LAYER, quantization=Quantization())]
    first, *different = (list(stored.parameters(each)) for each in (recipe, *others))
    count = len(computed)
    assert list(stored.parameters(Recipe(config=dict(_ONE_LAYER)))) == first
    assert len(computed) == count == 3 * len(first)
    assert first not in different


def test_few_and_small_recipes_are_at_hand(computed: list[Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has been kept longest goes when there are too many, and a large one is not kept."""
    recipes = [Recipe(config=_ONE_LAYER, seed=seed) for seed in range(stored._MOST_HELD + 1)]
    for recipe in recipes:
        list(stored.parameters(recipe))
    assert [*stored._HELD] == [recipe.key() for recipe in recipes[1:]]
    count = len(computed)
    monkeypatch.setattr(stored, "_LARGEST_HELD", 100)
    for _ in range(2):
        list(stored.parameters(recipes[0]))
    assert len(computed) == count + 2 * count // len(recipes)
