"""GGUF loaded: the same model as from safetensors, whole or in parts, dense or in blocks, looked at and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from conformance.tools.gguf_edits import edit
from conformance.tools.gguf_file import Draft, Entry, render
from conformance.tools.gguf_recipe import SMALL, SUPER, GgufRecipe
from conformance.tools.recipe import Recipe, build
from inferno_loader import analyze, check, discover, load_model, load_state_dict, open_checkpoint, plan, scale_values
from inferno_loader.errors import (
    AmbiguousWeightsError,
    CheckpointError,
    IncompleteShardsError,
    InfernoError,
    InvalidScaleError,
    NotGgufError,
    UnknownSchemeError,
)
from inferno_loader.gguf.types import BLOCK_TYPES

if TYPE_CHECKING:
    from pathlib import Path

_IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
_READ = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
_NOT_READ = sorted(BLOCK_TYPES.keys() - set(_READ))


def _gguf(directory: Path, **recipe: Any) -> Path:
    GgufRecipe(**recipe).build(directory)
    return directory


def _figures(kind: str) -> dict[str, Any]:
    return dict(SUPER if kind.endswith("_K") else SMALL)


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model in F32 as GGUF, and the same as safetensors."""
    root = tmp_path_factory.mktemp("twins")
    recipe = GgufRecipe(types=(("*", "F32"),))
    recipe.build(root / "gguf")
    build(Recipe(config=dict(recipe.config), dtype="F32"), root / "safetensors")
    return root / "gguf", root / "safetensors"


@pytest.mark.parametrize("names", ["inferno", "huggingface", "meta", "gguf"])
def test_a_dense_model_equals_that_of_safetensors(names: Any, twins: tuple[Path, Path]) -> None:
    """In every dialect all tensors have the same bits: the rows of q and k are put back."""
    mine, theirs = (load_state_dict(path, names=names) for path in twins)
    assert _same(mine, theirs)


def test_the_logits_equal_those_of_safetensors(twins: tuple[Path, Path]) -> None:
    """The configuration of the metadata makes the same model to the bit."""
    mine, theirs = (load_model(path)(_IDS) for path in twins)
    assert torch.equal(mine, theirs)


def test_mapped_and_copied_are_the_same(twins: tuple[Path, Path]) -> None:
    """With mmap=True every tensor has the same bits, those without a change of rows out of the file itself."""
    assert _same(load_state_dict(twins[0], mmap=True), load_state_dict(twins[0]))


@pytest.mark.parametrize("kind", _READ)
def test_blocks_stay_blocks_and_compute_the_same(kind: str, tmp_path: Path) -> None:
    """With dequantize=False the weights take their bytes on disk, and the logits are those of the dense model."""
    path = _gguf(tmp_path, config=_figures(kind), types=(("*", kind),))
    dense, kept = load_model(path), load_model(path, dequantize=False)
    assert torch.equal(dense(_IDS), kept(_IDS))
    blocks = plan(path, dequantize=False)
    assert blocks.weight_bytes < plan(path).weight_bytes
    assert {tensor.dtype.name for tensor in blocks.tensors} == {kind, "BF16", "F32"}


@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K"])
def test_blocks_in_the_rows_of_the_file_are_the_bytes_of_the_file(kind: str, tmp_path: Path) -> None:
    """Under the names of GGUF nothing moves: as stored are the very bytes."""
    path = _gguf(tmp_path, config=_figures(kind), types=(("*", kind),))
    kept = load_state_dict(path, names="gguf", dequantize=False)
    stored = open_checkpoint(path).tensors["blk.0.attn_k.weight"]
    data = (path / "model.gguf").read_bytes()[stored.offset : stored.offset + stored.info.nbytes]
    assert kept["blk.0.attn_k.weight"].numpy().tobytes() == data


def test_parts_are_one_checkpoint(tmp_path: Path) -> None:
    """A split file equals the whole one, by the directory and by the name of any part."""
    whole = load_state_dict(_gguf(tmp_path / "whole"))
    parts = _gguf(tmp_path / "parts", parts=3)
    for path in (parts, parts / "model-00001-of-00003.gguf", parts / "model-00003-of-00003.gguf"):
        assert _same(load_state_dict(path), whole)


def test_a_missing_part_is_told(tmp_path: Path) -> None:
    """Whichever part is missing, the others are refused."""
    for part in (1, 2, 3):
        path = _gguf(tmp_path / str(part), parts=3)
        (path / f"model-0000{part}-of-00003.gguf").unlink()
        with pytest.raises(IncompleteShardsError):
            plan(path)


def test_parts_that_disagree_are_refused(tmp_path: Path) -> None:
    """Parts swapped, of another split, or of fewer tensors than promised are refused."""
    for how in (("split.no", "u16", 2), ("split.count", "u16", 4), ("split.tensors.count", "i32", 99)):
        path = _gguf(tmp_path / how[0], parts=3, edits=(edit("pair", *how),))
        with pytest.raises(IncompleteShardsError):
            plan(path)


def test_beside_safetensors_the_caller_chooses(twins: tuple[Path, Path], tmp_path: Path) -> None:
    """Both sets in one directory are ambiguous; weights= takes either, and notes the other."""
    side = Recipe(config=dict(SMALL), dtype="F32", seed=7)
    path = _gguf(tmp_path, types=(("*", "F32"),), beside=side)
    with pytest.raises(AmbiguousWeightsError, match='weights="gguf"'):
        plan(path)
    assert _same(load_state_dict(path, weights="gguf"), load_state_dict(twins[0]))
    single = plan(path, weights="single")
    assert single.checkpoint.shards.keys() == {"model.safetensors"}
    assert any(finding.code == "checkpoint.ignored_file" for finding in single.findings)
    assert _same(load_state_dict(path / "model.gguf"), load_state_dict(twins[0]))


def test_several_files_are_ambiguous(tmp_path: Path) -> None:
    """One model in two types: the caller names the file. Without any, there is nothing to choose."""
    for kind in ("Q4_0", "Q8_0"):
        _gguf(tmp_path, types=(("*", kind),), name=f"model-{kind}")
    for weights in (None, "gguf"):
        with pytest.raises(AmbiguousWeightsError, match="name the file"):
            plan(tmp_path, weights=weights)
    assert plan(tmp_path / "model-Q8_0.gguf").scheme == "gguf"
    with pytest.raises(CheckpointError):
        plan(_gguf(tmp_path / "other"), weights="single")


@pytest.mark.parametrize("kind", _NOT_READ)
def test_types_that_are_not_read_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    """The file can be looked at; a load names the tensor and the type, and says what to do."""
    path = _gguf(tmp_path, config=dict(SUPER), types=(("*", "F16"),))
    known = BLOCK_TYPES[kind]
    (draft,) = GgufRecipe(config=dict(SUPER), types=(("*", "F16"),)).drafts()
    entry = next(each for each in draft.entries if each.name == "blk.0.ffn_up.weight")
    entry.kind, entry.data = known.number, bytes(512 * 256 // known.elements * known.nbytes)
    (path / "model.gguf").write_bytes(render(draft))
    assert not analyze(path).sound
    with pytest.raises(UnknownSchemeError, match=f"blocks of {kind}") as caught:
        plan(path)
    assert caught.value.tensor == "blk.0.ffn_up.weight"
    assert caught.value.remedy


@pytest.mark.parametrize("kind", _READ)
@pytest.mark.parametrize("half", ["007e", "007c", "00fc"])
def test_a_scale_that_is_not_finite_is_refused(kind: str, half: str, tmp_path: Path) -> None:
    """NaN and both infinities in the scale of one block: no weight is handed out, and the tensor is named."""
    place = 208 if kind == "Q6_K" else 0
    how = edit("poke", "blk.0.ffn_up.weight", place, half)
    path = _gguf(tmp_path, config=_figures(kind), types=(("*", kind),), edits=(how,))
    with pytest.raises(InvalidScaleError) as caught:
        load_state_dict(path)
    assert caught.value.tensor == "blk.0.ffn_up.weight"


@pytest.mark.parametrize("kind", _READ)
def test_a_check_looks_at_the_scales_in_blocks(kind: str, tmp_path: Path) -> None:
    """It says how many of how many are not finite, of scales and minima, in the first block and in the last."""
    known = BLOCK_TYPES[kind]
    places = {"Q6_K": (208,), "Q4_0": (0,), "Q5_0": (0,), "Q8_0": (0,)}.get(kind, (0, 2))
    figures = _figures(kind)
    blocks = figures["hidden_size"] * figures["intermediate_size"] // known.elements
    last = (blocks - 1) * known.nbytes
    wrong = [edit("poke", "blk.0.ffn_up.weight", place, "007e") for place in (places[0], last + places[-1])]
    path = _gguf(tmp_path / "wrong", config=figures, types=(("*", kind),), edits=tuple(wrong))
    (found,) = check(path).findings
    assert (found.code, found.tensor) == ("quant.scale", "blk.0.ffn_up.weight")
    assert found.actual == f"2 of {blocks * len(places)} are NaN or infinite"
    largest = edit("poke", "blk.0.ffn_up.weight", places[0], "ff7b")
    assert check(_gguf(tmp_path / "right", config=figures, types=(("*", kind),), edits=(largest,))).clean


def test_a_check_reads_blocks_in_whole_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the pieces, none begins within a block; beyond the bound it says what it has not seen."""
    how = (edit("poke", "blk.0.ffn_up.weight", 18 * 7, "007e"), edit("poke", "blk.1.ffn_up.weight", 0, "007e"))
    path = _gguf(tmp_path, types=(("*", "Q4_0"),), edits=how)
    monkeypatch.setattr(scale_values, "_CHUNK", 50)
    stored = open_checkpoint(path).tensors
    found = list(scale_values.value_findings(stored.values()))
    assert [each.tensor for each in found] == ["blk.0.ffn_up.weight", "blk.1.ffn_up.weight"]
    most = sum(each.info.nbytes for name, each in stored.items() if name.startswith(("token_embd", "blk.0.attn")))
    (unread,) = scale_values.value_findings(stored.values(), most=most)
    assert unread.code == "check.not_read"


def test_an_analysis_counts_logically_and_physically(tmp_path: Path) -> None:
    """Parameters are those of the model, bytes those of the blocks; the scheme is gguf."""
    found = analyze(_gguf(tmp_path, types=(("*", "Q4_0"), ("lm_head.weight", "F16"))))
    dense = GgufRecipe().base
    assert found.parameters == sum(tensor.numel() for tensor in load_state_dict(tmp_path).values())
    assert (found.scheme, found.tied, found.sound) == ("gguf", False, True)
    assert {use.dtype for use in found.dtypes} == {"Q4_0", "F16", "F32"}
    assert found.config.num_attention_heads == dense.figures["num_attention_heads"]
    assert found.to_json()["dialect"] == "gguf"


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    """A sound file is clean; of a cut one the cut is told, and no missing configuration beside it."""
    assert check(_gguf(tmp_path / "sound")).clean
    report = check(_gguf(tmp_path / "cut", edits=(edit("set", "cut", 500),)))
    assert [finding.code for finding in report.findings] == ["file.truncated"]
    report = check(_gguf(tmp_path / "other", edits=(edit("pair", "general.architecture", "string", "gemma"),)))
    assert [finding.code for finding in report.findings if finding.severity == "error"] == ["config.family"]


def test_a_file_called_gguf_that_is_none(tmp_path: Path) -> None:
    """A web page under the name of a model is told for what it is."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(NotGgufError, match="web page"):
        plan(path)


def test_discover_finds_gguf(tmp_path: Path) -> None:
    """A directory with a GGUF file is a checkpoint that can be loaded."""
    _gguf(tmp_path / "here", parts=2)
    (found,) = discover(tmp_path)
    assert (found.layout, found.files, found.problem) == ("shards", 2, None)


def test_a_tied_head_is_one_memory(tmp_path: Path) -> None:
    """Without output.weight the embedding serves, also where it is quantized."""
    path = _gguf(tmp_path, config={**SMALL, "tie_word_embeddings": True})
    loaded = load_state_dict(path)
    assert loaded["lm_head.weight"].data_ptr() == loaded["embed_tokens.weight"].data_ptr()
    assert analyze(path).tied


def test_divisors_turn_the_heads_as_llama3_does(tmp_path: Path) -> None:
    """Logits of a file with rope_freqs.weight are those of safetensors with the rope of llama3, within 32 bits."""
    figures = {**SMALL, "rope_theta": 500000.0, "max_position_embeddings": 131072}
    wave = [2 * np.pi * 500000.0 ** (i / 16) for i in range(0, 16, 2)]
    smooth = [min(max((8192 / length - 1) / 3, 0.0), 1.0) for length in wave]
    divisors = tuple(float(np.float32(1 / ((1 - each) / 8 + each))) for each in smooth)
    gguf = load_model(_gguf(tmp_path / "gguf", config=figures, types=(("*", "F32"),), divisors=divisors))
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    build(Recipe(config={**figures, "rope_scaling": scaling}, dtype="F32"), tmp_path / "safetensors")
    plain = Recipe(config=figures, dtype="F32")
    build(plain, tmp_path / "unscaled")
    expected, unscaled = (load_model(tmp_path / name)(_IDS) for name in ("safetensors", "unscaled"))
    assert torch.equal(gguf(_IDS), expected)
    assert not torch.equal(gguf(_IDS), unscaled)


def test_a_file_cut_anywhere_never_loads(tmp_path: Path) -> None:
    """Cut at many places of header and data, a whole model gives an error of ours and nothing else."""
    recipe = GgufRecipe(config={**SMALL, "num_hidden_layers": 1, "vocab_size": 3})
    (draft,) = recipe.drafts()
    data = render(draft)
    path = tmp_path / "model.gguf"
    for size in [*range(0, 3000, 29), *range(3000, len(data) - 32, 1777)]:
        path.write_bytes(data[:size])
        with pytest.raises(InfernoError):
            plan(path)


def test_a_draft_of_one_tensor_is_no_model(tmp_path: Path) -> None:
    """Without metadata nothing is guessed: the architecture is missing."""
    (tmp_path / "model.gguf").write_bytes(render(Draft([], [Entry("output_norm.weight", 0, (4,), bytes(16))])))
    with pytest.raises(InfernoError, match=r"general\.architecture"):
        plan(tmp_path)
