"""The facts of small checkpoints, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.scenario import Scenario

#: One layer: hidden size 4, two heads of 2, one key-value head, 6 wide inside, 5 tokens.
_FIGURES = {
    "head_dim": 2,
    "hidden_size": 4,
    "intermediate_size": 6,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "num_key_value_heads": 1,
    "vocab_size": 5,
}


def _facts(cast: str | None = None, config: dict[str, Any] | None = None, **recipe: Any) -> dict[str, Any]:
    scenario = Scenario(Recipe(config={**_FIGURES, **(config or {})}, **recipe))
    return dict(replace(scenario, cast=cast).facts().values)


def test_one_file() -> None:
    """172 parameters in twelve tensors, two bytes each.

    Embedding and head have 5 x 4, q and o 4 x 4, k and v 2 x 4, gate, up and down 6 x 4 each, three norms 4 each.
    """
    assert _facts() == {
        "parameters": 172,
        "tensors": 12,
        "bytes": 344,
        "shards": 1,
        "scheme": "none",
        "tied": False,
        "dtypes": {"BF16": 344},
        "dense_bytes": 344,
    }


@pytest.mark.parametrize("head", ["absent", "instead"])
def test_a_tied_head_counts_once(head: Any) -> None:
    """Whichever of the two names is stored: 20 parameters less, and one tensor."""
    facts = _facts(head=head, config={"tie_word_embeddings": True})
    assert (facts["parameters"], facts["tensors"], facts["bytes"]) == (152, 11, 304)
    assert (facts["tied"], facts["dense_bytes"]) == (True, 304)


def test_a_copy_of_a_tied_head_is_stored_and_no_parameter() -> None:
    """Twelve tensors, and 152 parameters; a dense load has the head once."""
    facts = _facts(head="copy", config={"tie_word_embeddings": True})
    assert (facts["parameters"], facts["tensors"], facts["bytes"]) == (152, 12, 344)
    assert (facts["tied"], facts["dense_bytes"]) == (True, 304)


def test_another_head_than_the_tied_one_is_a_parameter() -> None:
    """The flag ties, and what is stored says otherwise."""
    facts = _facts(head="own", config={"tie_word_embeddings": True})
    assert (facts["parameters"], facts["tied"]) == (172, False)


def test_biases_count() -> None:
    """There are 28 more in seven tensors more: q 4, k and v 2, o 4; gate and up 6, down 4."""
    facts = _facts(dtype="F16", config={"attention_bias": True, "mlp_bias": True})
    assert (facts["parameters"], facts["tensors"], facts["dtypes"]) == (200, 19, {"F16": 400})


def test_zero_points_and_scales_are_bytes_and_no_parameters() -> None:
    """Seven weights of 120 codes; 28 rows have a scale of two bytes and a zero point of one. The rest is 52 of BF16."""
    facts = _facts(quantization=Quantization("int8", symmetric=False))
    assert facts["parameters"] == 172
    assert facts["tensors"] == 12 + 7 + 7
    assert facts["dtypes"] == {"BF16": 2 * 52 + 2 * 28, "I8": 120 + 28}
    assert (facts["bytes"], facts["dense_bytes"]) == (2 * 52 + 2 * 28 + 148, 344)
    assert facts["scheme"] == "ct-int"


def test_scales_of_activations_are_not_used() -> None:
    """FP8 with one scale a weight, seven of them; the seven static ones beside them count nowhere."""
    facts = _facts(quantization=Quantization("fp8", "tensor", activations="static"))
    assert (facts["tensors"], facts["scheme"]) == (12 + 7, "ct-float")
    assert facts["dtypes"] == {"BF16": 2 * 52 + 2 * 7, "F8_E4M3": 120}


def test_buffers_count_nowhere() -> None:
    """The stored frequencies of the rotary embedding change no fact."""
    assert _facts(inv_freq="F32") == _facts()


def test_a_file_that_holds_buffers_alone_is_no_shard() -> None:
    """Of thirteen files with a tensor each, one has the frequencies, and twelve are used."""
    facts = _facts(inv_freq="F32", layout=Layout("by_count", 13))
    assert facts["shards"] == 12


def test_mixed_dtypes() -> None:
    """Three norms of four elements are F32; a load that casts has two bytes for them, and stores what it stores."""
    norms = (("*norm*", "F32"),)
    kept, cast = _facts(dtypes=norms), _facts(dtypes=norms, cast="BF16")
    assert kept["dtypes"] == {"BF16": 320, "F32": 48}
    assert (kept["bytes"], kept["dense_bytes"]) == (368, 368)
    assert cast == {**kept, "dense_bytes": 344}


def test_a_cast_leaves_quantized_weights_to_their_rule() -> None:
    """F16 scales make F16 weights: 120 of them and 52 of what is cast to F32."""
    facts = _facts(quantization=Quantization("int8"), dtype="F16", cast="F32")
    assert facts["dense_bytes"] == 2 * 120 + 4 * 52
