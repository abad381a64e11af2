"""MappedVarBuilder: tensors by the names of a model, shapes held before a byte is read, and what nobody asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import inferno_loader.reader
from conformance.tools.recipe import NAMED, Quantization, Recipe
from inferno_loader import MappedVarBuilder, load_state_dict, plan
from inferno_loader.errors import (
    ChangedFileError,
    DtypeMismatchError,
    MissingTensorError,
    ShapeMismatchError,
    UnsupportedDtypeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

_QUANTIZED = Recipe(config={"num_hidden_layers": 2}, quantization=Quantization("int8", symmetric=False))


def test_prefixes_add_up(built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]) -> None:
    """Each step down puts a word in front; layers may be numbers."""
    made = built(NAMED["bf16-sharded"])
    root = MappedVarBuilder.open(made.directory)
    attention = root.pp("layers").pp(3).pp("attention")
    assert (root.prefix, attention.prefix) == ("", "layers.3.attention")
    weight = attention.get((60, 54), "q_proj.weight")
    assert identify(weight) == made.dense["model.layers.3.self_attn.q_proj.weight"]
    assert torch.equal(weight, root.get([60, 54], "layers.3.attention.q_proj.weight"))


def test_names_are_those_under_the_prefix(built: Callable[[Recipe], Built]) -> None:
    """Listed without the prefix; `contains` asks the same question of one."""
    root = MappedVarBuilder.open(built(NAMED["bf16-sharded"]).directory)
    norms = ["input_layernorm.weight", "post_attention_layernorm.weight"]
    linears = [f"attention.{name}_proj.weight" for name in "qkvo"]
    linears += [f"feed_forward.{name}_proj.weight" for name in ("gate", "up", "down")]
    layer = root.pp("layers.1")
    assert sorted(layer.names()) == sorted([*norms, *linears])
    assert layer.contains("attention.q_proj.weight")
    assert not layer.contains("attention.q_proj")
    assert not layer.contains("embed_tokens.weight")
    # Layer 1 is not layer 11.
    assert len(root.pp("layers").names()) == 12 * 9
    assert len(root.names()) == 12 * 9 + 3


def test_a_shape_is_told_without_asking(built: Callable[[Recipe], Built]) -> None:
    """It is known from the header, and does not count as asked for."""
    layer = MappedVarBuilder.open(built(NAMED["bf16-single"]).directory).pp("layers.0")
    assert layer.get_shape("feed_forward.up_proj.weight") == (75, 54)
    assert "layers.0.feed_forward.up_proj.weight" in layer.unused()
    with pytest.raises(MissingTensorError):
        layer.get_shape("up_proj.weight")


@pytest.mark.parametrize("names", ["inferno", "huggingface", "meta", "gguf"])
def test_what_is_got_is_what_is_loaded(names: object, built: Callable[[Recipe], Built]) -> None:
    """One by one the tensors are those of a whole load, in every dialect, moved rows among them."""
    directory = built(NAMED["meta"]).directory
    builder = MappedVarBuilder.open(directory, names=names)  # type: ignore[arg-type]
    for name, tensor in load_state_dict(directory, names=names).items():  # type: ignore[arg-type]
        assert torch.equal(builder.get(tensor.shape, name), tensor)
    assert builder.unused() == []


def test_what_nobody_asked_for_is_known(built: Callable[[Recipe], Built]) -> None:
    """Builders made from one another share what was asked for."""
    made = built(Recipe(config={"num_hidden_layers": 1}))
    root = MappedVarBuilder.open(made.directory)
    assert len(root.unused()) == 12
    layer = root.pp("layers").pp("0")
    for name, tensor in load_state_dict(made.directory).items():
        if name.startswith("layers.0."):
            layer.get(tensor.shape, name.removeprefix("layers.0."))
    assert root.unused() == layer.unused() == ["embed_tokens.weight", "norm.weight", "lm_head.weight"]


def test_a_wrong_shape_is_told_before_a_byte_is_read(
    built: Callable[[Recipe], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the file, the stored name and both shapes."""

    def never(*_: object, **__: object) -> None:
        pytest.fail("the reader was called")

    monkeypatch.setattr(inferno_loader.reader, "read_tensor", never)
    made = built(NAMED["bf16-single"])
    builder = MappedVarBuilder.open(made.directory)
    with pytest.raises(ShapeMismatchError) as caught:
        builder.pp("layers.0.attention").get((54, 60), "q_proj.weight")
    assert caught.value.path == str(made.directory / "model.safetensors")
    assert caught.value.tensor == "model.layers.0.self_attn.q_proj.weight"
    assert (caught.value.expected, caught.value.actual) == ([54, 60], [60, 54])
    assert "layers.0.attention.q_proj.weight" in builder.unused()
    with pytest.raises(ShapeMismatchError) as caught:
        builder.get((1,), "lm_head.weight")
    assert (caught.value.path, caught.value.tensor) == (None, "lm_head.weight")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("layers.0.attention.q_prj.weight", "did you mean layers.0.attention.q_proj.weight?"), ("#", "look at names()")],
)
def test_a_name_that_is_not_there(asked: str, hint: str, built: Callable[[Recipe], Built]) -> None:
    """The remedy is the closest name, or the list."""
    directory = built(NAMED["bf16-sharded"]).directory
    with pytest.raises(MissingTensorError) as caught:
        MappedVarBuilder.open(directory).get((1,), asked)
    assert (caught.value.tensor, caught.value.names) == (asked, (asked,))
    assert caught.value.remedy == hint
    assert caught.value.path == str(directory)


@pytest.mark.parametrize("dtype", [None, "bfloat16", torch.float32, "F16", "F64"])
def test_a_dtype_asked_for_is_that_of_a_load(dtype: object, built: Callable[[Recipe], Built]) -> None:
    """A cast of a dense tensor, and of one that is dequantized on the way, is what a load in that dtype gives."""
    directory = built(_QUANTIZED).directory
    builder, loaded = MappedVarBuilder.open(directory), load_state_dict(directory, dtype=dtype)
    for name in ("norm.weight", "layers.1.attention.k_proj.weight", "lm_head.weight"):
        found = builder.get(loaded[name].shape, name, dtype=dtype)
        assert (found.dtype, torch.equal(found, loaded[name])) == (loaded[name].dtype, True)


def test_a_plan_that_casts_is_cast_from_what_is_stored(built: Callable[[Recipe], Built]) -> None:
    """A dtype asked for replaces that of the plan: nothing is rounded twice."""
    directory = built(NAMED["f32"]).directory
    builder = MappedVarBuilder(plan(directory, dtype="bfloat16"))
    stored = load_state_dict(directory)["norm.weight"]
    assert torch.equal(builder.get((54,), "norm.weight"), stored.bfloat16())
    assert torch.equal(builder.get((54,), "norm.weight", dtype="float32"), stored)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "told"),
    [
        ("layers.0.attention.q_proj.weight", (60, 54), "float32", "I8"),
        ("norm.weight", (54,), "int8", "BF16"),
    ],
    ids=["codes", "to codes"],
)
def test_codes_are_not_cast(
    name: str, shape: tuple[int, ...], dtype: str, told: str, built: Callable[[Recipe], Built]
) -> None:
    """Kept as stored, a quantized weight is codes: numbers only beside their scale."""
    builder = MappedVarBuilder.open(built(_QUANTIZED).directory, dequantize=False)
    with pytest.raises(DtypeMismatchError) as caught:
        builder.get(shape, name, dtype=dtype)
    assert (caught.value.tensor, str(caught.value.expected)) == (name, told)
    assert builder.get(shape, name).dtype == {"I8": torch.int8, "BF16": torch.bfloat16}[told]


def test_an_unknown_dtype_is_refused(built: Callable[[Recipe], Built]) -> None:
    """The error is that of every other place."""
    with pytest.raises(UnsupportedDtypeError):
        MappedVarBuilder.open(built(NAMED["f32"]).directory).get((54,), "norm.weight", dtype="abacus")


def test_a_tied_head_is_the_embedding(built: Callable[[Recipe], Built]) -> None:
    """Asked for by either name, in any dtype."""
    builder = MappedVarBuilder.open(built(NAMED["bf16-single"]).directory)
    head, embedding = (builder.get((101, 54), name) for name in ("lm_head.weight", "embed_tokens.weight"))
    assert torch.equal(head, embedding)
    assert torch.equal(builder.get((101, 54), "lm_head.weight", dtype="float32"), embedding.float())


def test_a_file_that_changed_is_an_error_when_asked(fresh: Callable[[Recipe], Path]) -> None:
    """What was planned holds until it is read."""
    directory = fresh(NAMED["bf16-single"])
    builder = MappedVarBuilder.open(directory)
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ChangedFileError):
        builder.get((54,), "norm.weight")
