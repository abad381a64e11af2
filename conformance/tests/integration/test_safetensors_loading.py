"""The six loading tests of the original plan, on checkpoints whose every byte is known from a closed form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from conformance.tools.broken import BREAKAGES
from conformance.tools.digest import digest
from conformance.tools.recipe import NAMED, build
from inferno_loader import InfernoError, load_state_dict, map_weight_name, plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.tools.recipe import Built

_NAMES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.int8: "I8"}


def tensor_digest(tensor: torch.Tensor) -> str:
    """The digest of a tensor, through its bytes."""
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return digest(_NAMES[tensor.dtype], tuple(tensor.shape), data)


def assert_dense(loaded: Mapping[str, torch.Tensor], built: Built) -> None:
    """Every parameter of the recipe is there, to the bit, and none besides; a tied head may be there once more."""
    assert built.dense
    assert {name: tensor_digest(loaded[name]) for name in built.dense} == {
        name: expected.digest for name, expected in built.dense.items()
    }
    assert loaded.keys() - built.dense.keys() <= {"lm_head.weight"}


def test_single_safetensors_direct_loading(tmp_path: Path) -> None:
    """One file: every tensor equals its closed form, and what safetensors itself reads."""
    built = build(NAMED["bf16-single"], tmp_path)
    loaded = load_state_dict(tmp_path, names="huggingface")
    assert_dense(loaded, built)
    reference = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in reference.items())
    assert loaded["lm_head.weight"] is loaded["model.embed_tokens.weight"]


@pytest.mark.parametrize("name", ["bf16-sharded", "f32", "indexless"])
@pytest.mark.parametrize("mmap", [False, True], ids=["copied", "mapped"])
def test_sharded_safetensors_loading(tmp_path: Path, name: str, mmap: bool) -> None:
    """Sharded by size, shuffled, and without an index: the same as from one file, copied or mapped."""
    built = build(NAMED[name], tmp_path)
    assert len(built.files) > 1
    assert_dense(load_state_dict(tmp_path, names="huggingface", mmap=mmap), built)


@pytest.mark.parametrize(("name", "codes"), [("w8a8", torch.int8), ("fp8", torch.float8_e4m3fn)])
def test_quantized_safetensors_dtypes(tmp_path: Path, name: str, codes: torch.dtype) -> None:
    """Dequantized, a weight has the dtype of its scale and the values of the formula; kept, it has its codes."""
    built = build(NAMED[name], tmp_path)
    assert_dense(load_state_dict(tmp_path, names="huggingface"), built)
    kept = load_state_dict(tmp_path, names="huggingface", dequantize=False)
    weight = "model.layers.0.self_attn.q_proj.weight"
    assert kept[weight].dtype == codes
    assert kept[f"{weight}_scale"].dtype == torch.bfloat16
    assert kept["model.embed_tokens.weight"].dtype == torch.bfloat16
    stored = {tensor: part for file in built.files for tensor, part in load_file(tmp_path / file).items()}
    assert kept.keys() == stored.keys()
    assert all(torch.equal(kept[tensor].view(torch.uint8), part.view(torch.uint8)) for tensor, part in stored.items())


def test_safetensors_name_mapping_integration(tmp_path: Path) -> None:
    """Names are mapped at retrieval, and the tensor behind each is the one that was stored under its old name."""
    built = build(NAMED["bf16-sharded"], tmp_path)
    loaded = load_state_dict(tmp_path)
    assert {map_weight_name(name) for name in built.dense} == loaded.keys()
    for name, expected in built.dense.items():
        assert tensor_digest(loaded[map_weight_name(name)]) == expected.digest, name


def test_safetensors_memory_efficiency(tmp_path: Path) -> None:
    """The plan predicts the bytes that the load then holds, to the byte, for every way of loading."""
    build(NAMED["w8a8"], tmp_path)
    for options in ({}, {"dequantize": False}, {"dtype": "F32"}, {"mmap": True, "dequantize": False}):
        predicted = plan(tmp_path, **options)  # type: ignore[arg-type]
        loaded = load_state_dict(tmp_path, **options)  # type: ignore[typeddict-item]
        storages = {tensor.untyped_storage().data_ptr() for tensor in loaded.values()}
        assert predicted.weight_bytes == sum(tensor.nbytes for tensor in loaded.values())
        assert options.get("mmap") or len(storages) == len(loaded)
    assert plan(tmp_path, dequantize=False).weight_bytes < plan(tmp_path).weight_bytes


@pytest.mark.parametrize("name", sorted(BREAKAGES))
def test_safetensors_error_handling(tmp_path: Path, name: str) -> None:
    """Each named breakage is refused with its own code, says where and what to do, and hands nothing out."""
    breakage = BREAKAGES[name]
    place = tmp_path / "checkpoint"
    build(NAMED[breakage.base], place)
    load_state_dict(place)  # sound before it is broken, or the refusal proves nothing
    breakage.apply(place)
    with pytest.raises(InfernoError) as caught:
        load_state_dict(place)
    problems = [caught.value, *getattr(caught.value, "problems", ())]
    assert breakage.expected_code in [problem.code for problem in problems]
    told = next(problem for problem in problems if problem.code == breakage.expected_code)
    assert told.remedy
    assert told.path
    assert told.actual is not None or told.expected is not None
    assert json.dumps(str(told))
