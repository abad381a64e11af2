"""MappedVarBuilder: tensors by the name that a model uses, held to their shape before a byte is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch

from conformance.tools.recipe import NAMED
from inferno_loader import MappedVarBuilder
from inferno_loader.errors import DtypeMismatchError, InfernoError, MissingTensorError, ShapeMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected, Recipe


@pytest.fixture
def checkpoint(built: Callable[[Recipe], Built]) -> Built:
    """A sharded BF16 Llama."""
    return built(NAMED["bf16-sharded"])


@pytest.fixture
def builder(checkpoint: Built) -> MappedVarBuilder:
    """A builder over it, at the top."""
    return MappedVarBuilder.open(checkpoint.directory)


def test_every_tensor_is_had_under_its_mapped_name(
    checkpoint: Built, builder: MappedVarBuilder, identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Step by step down to a name, the tensor is the one of the recipe; and nothing is left unasked at the end."""
    assert builder.names()
    for stored, expected in checkpoint.dense.items():
        module, _, leaf = stored.removeprefix("model.").rpartition(".")
        below = builder
        for step in module.replace("self_attn", "attention").replace("mlp", "feed_forward").split("."):
            below = below.pp(step)
        assert below.contains(leaf)
        assert identify(below.get(expected.shape, leaf)) == expected
    assert builder.unused() == []


def test_what_was_never_asked_for_is_known(builder: MappedVarBuilder) -> None:
    """A name counts as asked for however deep the builder was that asked, and only once it was had."""
    layer = builder.pp("layers").pp(0)
    assert layer.prefix == "layers.0"
    asked = "layers.0.input_layernorm.weight"
    before = builder.unused()
    assert asked in before
    with pytest.raises(ShapeMismatchError):
        layer.get((1,), "input_layernorm.weight")
    assert builder.unused() == before
    hidden = builder.pp("norm").get(layer.get_shape("input_layernorm.weight"), "weight")
    layer.get(hidden.shape, "input_layernorm.weight")
    assert set(before) - set(builder.unused()) == {asked, "norm.weight"}


def test_a_wrong_shape_is_told_before_a_byte_is_read(
    builder: MappedVarBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the stored tensor, its file and both shapes, though reading is made impossible."""
    monkeypatch.setattr(os, "preadv", lambda *_: pytest.fail("a byte was read"))
    with pytest.raises(ShapeMismatchError) as caught:
        builder.pp("layers.0.attention").get((3, 5), "q_proj.weight")
    error = caught.value
    assert error.tensor == "model.layers.0.self_attn.q_proj.weight"
    assert error.path
    assert error.path.endswith(".safetensors")
    assert error.expected == [3, 5]
    assert error.actual != error.expected


def test_a_name_that_is_not_there_is_answered_with_the_one_that_is(builder: MappedVarBuilder) -> None:
    """A slip of the pen is told with what was meant; a name far from all with where to look."""
    assert not builder.contains("layers.0.attention.q_porj.weight")
    with pytest.raises(MissingTensorError) as caught:
        builder.get((1,), "layers.0.attention.q_porj.weight")
    assert "layers.0.attention.q_proj.weight" in str(caught.value.remedy)
    with pytest.raises(MissingTensorError, match="names"):
        builder.get((1,), "?")


def test_a_cast_is_made_where_the_caller_names_a_dtype(builder: MappedVarBuilder) -> None:
    """Another dense dtype casts this one tensor; the same one changes nothing."""
    shape = builder.pp("norm").get_shape("weight")
    stored = builder.get(shape, "norm.weight")
    assert torch.equal(builder.get(shape, "norm.weight", dtype="F32"), stored.float())
    assert torch.equal(builder.get(shape, "norm.weight", dtype=torch.bfloat16), stored)


def test_codes_are_not_cast(built: Callable[[Recipe], Built]) -> None:
    """Codes of a weight that stays quantized are numbers of a scale: as another dtype they would be wrong weights."""
    builder = MappedVarBuilder.open(built(NAMED["w8a8"]).directory, dequantize=False).pp("layers.0.attention.q_proj")
    shape = builder.get_shape("weight")
    assert builder.get(shape, "weight").dtype == torch.int8
    with pytest.raises(DtypeMismatchError):
        builder.get(shape, "weight", dtype="BF16")


def test_a_tied_head_is_had_under_both_names(built: Callable[[Recipe], Built]) -> None:
    """Asking for the head of a tied model gives the embedding, cast where a cast is asked for."""
    builder = MappedVarBuilder.open(built(NAMED["bf16-single"]).directory)
    shape = builder.get_shape("embed_tokens.weight")
    embedding = builder.get(shape, "embed_tokens.weight")
    assert torch.equal(builder.get(shape, "lm_head.weight"), embedding)
    assert torch.equal(builder.get(shape, "lm_head.weight", dtype="F32"), embedding.float())


def test_a_broken_checkpoint_has_no_builder(tmp_path: Path) -> None:
    """What the plan refuses is refused before there is anything to ask."""
    with pytest.raises(InfernoError):
        MappedVarBuilder.open(tmp_path)
