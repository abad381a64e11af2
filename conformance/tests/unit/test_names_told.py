"""What an error about a tensor name says: which name, what was expected, what was found."""

from __future__ import annotations

import pytest

from inferno_loader.errors import ConfigValueError, NameCollisionError, TensorNameError
from inferno_loader.names import RowPermutation, check_bijective, explain, map_weight_name, translate

pytestmark = pytest.mark.torch_free


@pytest.mark.parametrize(
    ("name", "problem", "expected", "actual"),
    [
        ("model..norm.weight", "empty part", "none of them empty", None),
        ("model.norm.", "empty part", "none of them empty", None),
        ("model.layers.07.mlp.up_proj.weight", "plain digits", "model.layers.N", "07"),
        ("model.layers.0.self_attn", "cut off", "more after 'model.layers.{layer}.self_attn'", None),
        ("model.layers.0.mlp.up_proj", "cut off", ".weight", None),
    ],
    ids=["empty part", "dot at the end", "leading zero", "no tensor", "no suffix"],
)
def test_a_malformed_name_is_told_with_what_is_well_formed(
    name: str, problem: str, expected: str, actual: str | None
) -> None:
    """Strict and lenient translation both say what is wrong with the name, and what it should be."""
    with pytest.raises(TensorNameError) as strict:
        translate(name, "huggingface", "meta")
    with pytest.raises(TensorNameError) as lenient:
        map_weight_name(name)
    for error in (strict.value, lenient.value):
        assert problem in error.problem
        assert expected in str(error.expected)
        assert (error.tensor, error.actual) == (name, actual)


def test_nine_digits_are_a_layer_and_ten_are_none() -> None:
    """An index stays below 10^9, and the error says so."""
    assert (
        map_weight_name("model.layers.123456789.mlp.up_proj.weight") == "layers.123456789.feed_forward.up_proj.weight"
    )
    with pytest.raises(TensorNameError) as caught:
        map_weight_name("model.layers.1234567890.mlp.up_proj.weight")
    assert "at most 9" in str(caught.value.expected)


def test_a_name_of_no_table_is_told_with_its_dialect() -> None:
    """The dialect that was searched is what was expected."""
    with pytest.raises(TensorNameError) as caught:
        translate("transformer.h.0.attn.c_attn.weight", "gguf", "meta")
    assert caught.value.expected == "a name of the gguf dialect"


def test_a_collision_is_told_with_its_rule() -> None:
    """Both names are told, the one that they share, and that each tensor must have its own."""
    with pytest.raises(NameCollisionError) as caught:
        check_bijective(["blk.0.attn_q.weight", "blk.0.attn_q.weight"], "gguf", "meta")
    error = caught.value
    assert (error.tensor, error.actual) == ("blk.0.attn_q.weight", "layers.0.attention.wq.weight")
    assert "of its own" in str(error.expected)


@pytest.mark.parametrize(
    ("heads", "head_dim", "key", "actual", "expected"),
    [(0, 8, "num_attention_heads", 0, "at least 1"), (2, 7, "head_dim", 7, "an even number")],
)
def test_figures_that_cannot_turn_are_told(heads: int, head_dim: int, key: str, actual: int, expected: str) -> None:
    """The key at fault, its value, and what it should be."""
    with pytest.raises(ConfigValueError) as caught:
        RowPermutation(heads, head_dim)
    assert (caught.value.key, caught.value.actual) == (key, actual)
    assert expected in str(caught.value.expected)


def test_a_tensor_that_no_other_dialect_has_is_explained() -> None:
    """The rule is the reason why it has no other name, and not that it was not found."""
    told = explain("rope_freqs.weight", "gguf", "meta")
    assert told.result is None
    assert "divisors of llama3 scaling" in told.rule
