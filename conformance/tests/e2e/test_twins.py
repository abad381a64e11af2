"""Twins: the published sizes, headers and indexes of real checkpoints to the byte, and the values at their ends."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors
import safetensors.torch
import torch

from conformance.tools.facts import dense_models, facts, quantized_models
from conformance.tools.twins import build_twin, plan_twin, probe

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOP = Path(__file__).parents[3]
_W8A8 = "RedHatAI/Llama-3.2-1B-Instruct-quantized.w8a8"
_FP8 = "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic"
_TINY = "hf-internal-testing/tiny-random-LlamaForCausalLM"


def _layout(name: str) -> Mapping[str, Any]:
    known = facts(name)
    found: Mapping[str, Any] = known.get("twin") or known["quantized_twin"]
    return found


def _disk(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())


def _digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def _unit(name: str, index: int) -> float:
    """The unit value of one element, in Python integers."""
    mask = (1 << 64) - 1
    start = int.from_bytes(hashlib.blake2b(f"0\0{name}".encode(), digest_size=8).digest(), "little")
    mixed = (start + (index + 1) * 0x9E3779B97F4A7C15) & mask
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & mask
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & mask
    return ((mixed ^ mixed >> 31) >> 11) / 2**52 - 1


def _raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _read(rows: Any, first: int, nbytes: int) -> bytes:
    """The bytes from flat index `first` on, of which only the rows needed are read."""
    width = math.prod(rows.get_shape()[1:])
    count = nbytes // rows[:1].element_size()
    top = first // width
    flat = rows[top : -(-(first + count) // width)].flatten()
    return _raw(flat[first - top * width :][:count])


def test_the_checkpoints_with_published_sizes_are_all_here() -> None:
    """The twenty dense checkpoints whose file sizes are published have a twin each, and so have the two quantized."""
    published = [name for name in dense_models() if _layout(name)["sizes_published"]]
    assert len(published) == 20
    assert quantized_models() == [_W8A8, _FP8]


@pytest.mark.parametrize("name", [*dense_models(), *quantized_models()])
def test_files_have_the_sizes_and_headers_of_the_original(name: str) -> None:
    """Each file of the layout has the known name, size, header length and number of tensors."""
    twin = plan_twin(name)
    files = [
        {"name": file.name, "bytes": file.nbytes, "header_bytes": len(file.header), "tensors": len(file.specs)}
        for file in twin.files
    ]
    assert files == _layout(name)["files"]


@pytest.mark.parametrize("name", [*dense_models(), *quantized_models()])
def test_totals_are_those_of_the_original(name: str) -> None:
    """Elements, tensors, bytes of data and bytes of files add up to the known totals."""
    twin, layout = plan_twin(name), _layout(name)
    specs = list(twin.specs)
    assert twin.elements == layout.get("elements", layout["parameters"])
    assert len({spec.name for spec in specs}) == len(specs) == layout["tensors"]
    assert sum(spec.nbytes for spec in specs) == layout["payload_bytes"]
    assert sum(file.nbytes for file in twin.files) == layout["file_bytes"]


@pytest.mark.parametrize("name", [name for name in dense_models() if _layout(name)["index_sha256"]])
def test_the_index_is_the_original_text(name: str) -> None:
    """The text of the index has the SHA-256 of the index of the real checkpoint."""
    index = plan_twin(name).index
    assert index is not None
    assert hashlib.sha256(index.encode()).hexdigest() == _layout(name)["index_sha256"]


@pytest.mark.parametrize("name", [name for name in dense_models() if _layout(name)["sizes_published"]])
def test_files_on_disk_have_the_published_sizes(tmp_path: Path, name: str) -> None:
    """Built on disk, each file has the published size, and its first eight bytes hold the known header length."""
    build_twin(name, tmp_path)
    for file in _layout(name)["files"]:
        path = tmp_path / file["name"]
        assert path.stat().st_size == file["bytes"]
        with path.open("rb") as opened:
            assert struct.unpack("<Q", opened.read(8)) == (file["header_bytes"],)


@pytest.mark.parametrize(
    ("name", "files", "apparent"),
    [("meta-llama/Llama-3.1-405B", 191, 811_706_916_800), ("meta-llama/Llama-3.1-70B", 30, 141_107_497_872)],
    ids=["405B", "70B"],
)
def test_the_largest_twins_lie_on_disk_in_a_few_megabytes(tmp_path: Path, name: str, files: int, apparent: int) -> None:
    """All shards are there in full size, with an index and a configuration, and take less than 8 MiB of disk."""
    build_twin(name, tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert [(path.name, path.stat().st_size) for path in shards] == [
        (file["name"], file["bytes"]) for file in _layout(name)["files"]
    ]
    assert (len(shards), sum(path.stat().st_size for path in shards)) == (files, apparent)
    assert _disk(tmp_path) < 8 * 2**20
    assert sorted(path.name for path in tmp_path.iterdir() if path not in shards) == [
        "config.json",
        "model.safetensors.index.json",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.1-70B",
        "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T",
        "meta-llama/Llama-2-7b-hf",
        "huggyllama/llama-7b",
        _W8A8,
        _FP8,
    ],
)
def test_safetensors_reads_every_tensor_and_its_ends(tmp_path: Path, name: str) -> None:
    """The safetensors library finds every tensor with its dtype and shape, and at its ends the bytes of `probe`."""
    for file in build_twin(name, tmp_path).files:
        with safetensors.safe_open(tmp_path / file.name, framework="pt") as opened:
            assert set(opened.keys()) == {spec.name for spec in file.specs}
            for spec in file.specs:
                rows = opened.get_slice(spec.name)
                assert (rows.get_dtype(), tuple(rows.get_shape())) == (spec.dtype, spec.shape)
                for first, piece in probe(name, spec.name):
                    assert _read(rows, first, len(piece)) == piece


def test_a_value_beyond_four_gibibytes_is_the_closed_form(tmp_path: Path) -> None:
    """The last element of the second shard of the 8B, at byte 4,999,802,718, is the value of its name and index."""
    build_twin("meta-llama/Llama-3.1-8B", tmp_path)
    with (tmp_path / "model-00002-of-00004.safetensors").open("rb") as file:
        file.seek(4_999_802_718)
        found = file.read()
    unit = _unit("model.layers.9.self_attn.v_proj.weight", 1024 * 4096 - 1)
    assert found == _raw(torch.tensor([unit * math.sqrt(3 / 4096)], dtype=torch.float64).to(torch.bfloat16))


def test_all_between_the_ends_is_zero(tmp_path: Path) -> None:
    """A tensor of a twin has values in its first and last 64 elements, and zeros everywhere else."""
    build_twin(_TINY, tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    flat = tensors["model.layers.1.mlp.up_proj.weight"].flatten()
    assert torch.count_nonzero(flat[:64]) == torch.count_nonzero(flat[-64:]) == 64
    assert torch.count_nonzero(flat) == 128
    assert torch.count_nonzero(tensors["model.norm.weight"]) == tensors["model.norm.weight"].numel()


def test_a_seed_gives_the_same_bytes_again_and_another_seed_others(tmp_path: Path) -> None:
    """Two builds from one seed are equal in every byte of every file; another seed changes the weights alone."""
    for directory, seed in (("first", 0), ("again", 0), ("other", 1)):
        build_twin(_TINY, tmp_path / directory, seed=seed)
    first, again, other = (_digests(tmp_path / directory) for directory in ("first", "again", "other"))
    assert first == again
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}
    assert probe(_TINY, "lm_head.weight") != probe(_TINY, "lm_head.weight", seed=1)


@pytest.mark.parametrize("name", [_W8A8, _FP8])
def test_scales_of_a_quantized_twin_are_whole_and_positive(tmp_path: Path, name: str) -> None:
    """Every scale of a quantized twin is positive in all of its elements, one for each output channel."""
    scales = 0
    for file in build_twin(name, tmp_path).files:
        with safetensors.safe_open(tmp_path / file.name, framework="pt") as opened:
            found = [opened.get_tensor(key) for key in opened.keys() if key.endswith("_scale")]  # noqa: SIM118
        assert all(bool((scale > 0).all()) and scale.shape[1] == 1 for scale in found)
        scales += len(found)
    assert scales == 7 * plan_twin(name).config["num_hidden_layers"]


def test_a_head_that_is_stored_although_tied_is_a_copy(tmp_path: Path) -> None:
    """The W8A8 twin stores the head beside a tied embedding, as its published siblings do: the same bytes."""
    assert build_twin(_W8A8, tmp_path).config["tie_word_embeddings"] is True
    with safetensors.safe_open(tmp_path / "model.safetensors", framework="pt") as opened:
        head, embedding = (opened.get_slice(key) for key in ("lm_head.weight", "model.embed_tokens.weight"))
        assert torch.equal(head[:1], embedding[:1])
        assert torch.equal(head[128255:], embedding[128255:])
    assert probe(_W8A8, "lm_head.weight") == probe(_W8A8, "model.embed_tokens.weight")


def test_the_configuration_is_that_of_the_figures(tmp_path: Path) -> None:
    """`config.json` holds the restated figures; a quantized twin has those of its base, and its own block."""
    build_twin(_TINY, tmp_path / "dense")
    build_twin(_FP8, tmp_path / "quantized")
    dense, quantized = (json.loads((tmp_path / kind / "config.json").read_text()) for kind in ("dense", "quantized"))
    assert dense == facts(_TINY)["config"]
    block = quantized.pop("quantization_config")
    assert quantized == facts("meta-llama/Llama-3.1-8B-Instruct")["config"]
    assert (block["quant_method"], block["ignore"]) == ("compressed-tensors", ["lm_head"])
    assert not (tmp_path / "dense" / "model.safetensors.index.json").exists()


def test_unknown_names_are_refused() -> None:
    """A checkpoint without facts, one without a known layout, and a tensor that is not there are errors by name."""
    with pytest.raises(ValueError, match="no facts of 'meta-llama/Llama-9'"):
        plan_twin("meta-llama/Llama-9")
    with pytest.raises(ValueError, match="layout of TheBloke/Llama-2-13B-chat-GPTQ is not known"):
        plan_twin("TheBloke/Llama-2-13B-chat-GPTQ")
    with pytest.raises(ValueError, match="no tensor 'lm_head'"):
        probe(_TINY, "lm_head")


def test_the_command_lists_and_builds(tmp_path: Path) -> None:
    """`python tools/twins.py` lists what it can build, says which sizes are published, and builds a directory."""
    script = [sys.executable, str(_TOP / "tools" / "twins.py")]
    listed = subprocess.run([*script, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(listed) == len(dense_models()) + len(quantized_models())
    assert "meta-llama/Llama-3.1-8B: 4 files, 16060556376 bytes (published), 291 tensors" in listed
    assert f"{_W8A8}: 1 files, 2024670536 bytes (predicted), 259 tensors" in listed
    subprocess.run([*script, _TINY, str(tmp_path / "tiny")], capture_output=True, check=True)
    assert (tmp_path / "tiny" / "model.safetensors").stat().st_size == 4_131_280
    refused = subprocess.run([*script, _TINY], capture_output=True, text=True, check=False)
    assert (refused.returncode, "NAME and DIR are needed" in refused.stderr) == (2, True)
