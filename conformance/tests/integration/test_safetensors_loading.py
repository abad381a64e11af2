"""Every tensor of a checkpoint comes out as the recipe that made it says: dtype, shape and bytes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from conformance.tools.broken import BREAKAGES
from conformance.tools.recipe import NAMED, Layout, Quantization, Recipe
from inferno_loader import InfernoError, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

_TIED = {"tie_word_embeddings": True}
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"

# 243 MB in BF16. The embedding and the head are the largest tensors.
_LARGE = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 1, "vocab_size": 16384, "head_dim": 128}
_LARGEST = 2 * 16384 * 2048


def _dense(built: Built) -> dict[str, Expected]:
    """Every parameter as a loader must hand it out, a tied head among them."""
    shared = {_HEAD: built.dense[_EMBEDDING]} if built.config["tie_word_embeddings"] else {}
    return {**shared, **built.dense}


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("config", [{}, _TIED, {"attention_bias": True, "mlp_bias": True}], ids=["own", "tied", "bias"])
def test_single_safetensors_direct_loading(
    dtype: Any, config: dict[str, Any], built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """One file gives every parameter of its model, whether the directory or the file is named; so does safetensors."""
    made = built(Recipe(config=config, dtype=dtype))
    reference = load_file(made.directory / "model.safetensors")
    for path in (made.directory, made.directory / "model.safetensors"):
        loaded = load_state_dict(path, names="huggingface")
        assert {name: identify(tensor) for name, tensor in loaded.items()} == _dense(made)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in reference.items())


@pytest.mark.parametrize(
    "layout",
    [Layout("by_size", 200_000), Layout("by_count", 4), Layout("shuffled", 5), Layout("indexless", 3)],
    ids=lambda layout: layout.kind,
)
@pytest.mark.parametrize("cached", [False, True], ids=["files", "links"])
@pytest.mark.parametrize("mmap", [False, True], ids=["copied", "mapped"])
def test_sharded_safetensors_loading(
    layout: Layout,
    cached: bool,
    mmap: bool,
    tmp_path: Path,
    built: Callable[[Recipe], Built],
    identify: Callable[[torch.Tensor], Expected],
) -> None:
    """Shards give the same, however they are cut, and through the links of the Hugging Face cache."""
    made = built(Recipe(layout=layout))
    assert len(made.files) >= 3
    directory = _as_cache(made.directory, tmp_path) if cached else made.directory
    loaded = load_state_dict(directory, names="huggingface", mmap=mmap)
    assert {name: identify(tensor) for name, tensor in loaded.items()} == _dense(made)


def _as_cache(source: Path, root: Path) -> Path:
    """The files of `source` as `huggingface_hub` keeps them: ``snapshots/<commit>/name -> ../../blobs/<hash>``."""
    blobs, snapshot = root / "blobs", root / "snapshots" / "0123abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(source.iterdir())):
        shutil.copy(path, blobs / f"{number:040x}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:040x}")
    return snapshot


@pytest.mark.parametrize(
    ("quantization", "codes"),
    [(Quantization("int8"), "I8"), (Quantization("fp8"), "F8_E4M3")],
    ids=["int8", "fp8"],
)
def test_quantized_safetensors_dtypes(
    quantization: Quantization,
    codes: str,
    built: Callable[[Recipe], Built],
    identify: Callable[[torch.Tensor], Expected],
) -> None:
    """Quantized weights come dense in the dtype of their scales, or as stored: codes and scales, nothing changed."""
    made = built(Recipe(layout=Layout("by_size", 200_000), quantization=quantization))
    dense = load_state_dict(made.directory, names="huggingface")
    assert {name: identify(tensor) for name, tensor in dense.items()} == made.dense
    stored = load_state_dict(made.directory, names="huggingface", dequantize=False)
    assert {name: identify(tensor) for name, tensor in stored.items()} == made.expected
    dtypes = {name: identify(tensor).dtype for name, tensor in stored.items()}
    assert dtypes["model.layers.0.self_attn.q_proj.weight"] == codes
    assert dtypes["model.layers.0.self_attn.q_proj.weight_scale"] == "BF16"
    assert dtypes[_HEAD] == dtypes[_EMBEDDING] == "BF16"


def test_safetensors_name_mapping_integration(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """By default the names are those of the inferno dialect, in the order of the model, and the values stay."""
    made = built(NAMED["bf16-sharded"])
    renamed = {
        name.removeprefix("model.").replace("self_attn", "attention").replace("mlp", "feed_forward"): expected
        for name, expected in made.dense.items()
    }
    loaded = load_state_dict(made.directory)
    assert {name: identify(tensor) for name, tensor in loaded.items()} == renamed
    order = list(loaded)
    assert (order[0], order[-2:]) == ("embed_tokens.weight", ["norm.weight", "lm_head.weight"])
    layers = [int(name.split(".")[1]) for name in order if name.startswith("layers.")]
    assert layers == sorted(layers)


def test_safetensors_memory_efficiency(sparse: Callable[..., Path], measure: Callable[..., Any]) -> None:
    """A load takes one copy of the weights in the dtype asked for, none where they are mapped, and little beside it."""
    directory, warm = sparse(_LARGE), sparse({"num_hidden_layers": 1})
    nbytes = (directory / "model.safetensors").stat().st_size
    assert nbytes > 240_000_000
    ways: list[dict[str, Any]] = [{}, {"mmap": True}, {"dtype": "float32"}]
    kept, mapped, cast = measure(
        "inferno_loader.load_state_dict(warm, **options)",
        "loaded = inferno_loader.load_state_dict(path, **options)",
        [{"path": str(directory), "warm": str(warm), "options": options} for options in ways],
    )
    slack = 0.02 * nbytes + 2_000_000
    assert abs(kept["end"] - nbytes) < slack
    assert kept["peak"] < nbytes + slack
    assert abs(mapped["end"]) < slack
    assert mapped["peak"] - mapped["mapped"] < slack
    assert abs(cast["end"] - 2 * nbytes) < slack
    assert cast["peak"] < 2 * nbytes + _LARGEST + slack


@pytest.mark.parametrize("name", ["missing_file", "truncated_by_one", "hole", "missing_shard", "missing_tensor"])
def test_safetensors_error_handling(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """A broken checkpoint gives an error that says what, where and what to do, before a weight is read."""
    breakage = BREAKAGES[name]
    directory = fresh(NAMED[breakage.base])
    breakage.apply(directory)
    calls: list[tuple[int, int, str]] = []
    with pytest.raises(InfernoError) as caught:
        load_state_dict(directory, progress=lambda *call: calls.append(call))
    assert caught.value.code == breakage.expected_code
    assert str(directory) in str(caught.value.path)
    assert caught.value.remedy
    assert f"[{breakage.expected_code}]" in str(caught.value)
    assert not calls


def test_the_same_directory_loads_twice_apart(
    built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """What is done to the tensors of one load does not show in those of another, nor in the file."""
    made = built(replace(NAMED["f32"], seed=3))
    first = load_state_dict(made.directory, names="huggingface")
    second = load_state_dict(made.directory, names="huggingface")
    for tensor in first.values():
        tensor.zero_()
    third = load_state_dict(made.directory, names="huggingface")
    for loaded in (second, third):
        assert {name: identify(tensor) for name, tensor in loaded.items()} == made.dense
