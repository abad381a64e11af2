"""What an analysis says of a model of 172 parameters that is counted by hand. Only looking: no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tests.support import payload
from conformance.tests.tiny_llama import CONFIG, PARAMETERS, Tensor, build, tensors
from inferno_loader.analyzer import DtypeUse, WeightAnalyzer, analyze
from inferno_loader.architecture import expected_tensors
from inferno_loader.config import LlamaConfig
from inferno_loader.errors import UnsupportedDtypeError

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.torch_free


def _elements(tensor: Tensor) -> int:
    return tensor.shape[0] * (tensor.shape[1] if len(tensor.shape) > 1 else 1)


def _as(dtype: str, nbytes: int, tensor: Tensor) -> Tensor:
    return Tensor(dtype, tensor.shape, payload(nbytes * _elements(tensor)))


def test_a_sound_model_is_counted(tmp_path: Path) -> None:
    """Twelve tensors, 172 parameters of two bytes, one layer that is whole, and nothing to say about it."""
    found = analyze(str(build(tmp_path)))
    assert (found.parameters, found.tensors, found.nbytes, found.dense_bytes) == (PARAMETERS, 12, 344, 344)
    assert (found.scheme, found.tied, found.sound, found.findings) == ("none", False, True, ())
    assert (found.layers, found.incomplete_layers) == ("0", "")
    assert found.dtypes == (DtypeUse("BF16", 12, 172, 344),)
    assert (found.path, found.compute_dtype.name) == (tmp_path, "BF16")


def test_dtypes_are_told_the_most_bytes_first(tmp_path: Path) -> None:
    """An embedding of 20 elements in BF16, which is stored first, and 152 of the others in F32."""
    stored = {name: tensor if "embed" in name else _as("F32", 4, tensor) for name, tensor in tensors().items()}
    found = analyze(build(tmp_path, stored))
    assert found.dtypes == (DtypeUse("F32", 11, 152, 608), DtypeUse("BF16", 1, 20, 40))
    assert (found.nbytes, found.dense_bytes) == (648, 648)


def test_a_tied_head_is_counted_once(tmp_path: Path) -> None:
    """Without a head of its own, the model has 20 parameters less, and as much less to load."""
    stored = {name: tensor for name, tensor in tensors().items() if name != "lm_head.weight"}
    found = analyze(build(tmp_path, stored, tie_word_embeddings=True))
    assert (found.parameters, found.tensors, found.nbytes, found.dense_bytes) == (152, 11, 304, 304)
    assert (found.tied, found.sound) == (True, True)


def test_a_copy_of_a_tied_head_is_not_counted(tmp_path: Path) -> None:
    """A head that is stored beside the embedding and equal to it is the same 20 parameters."""
    found = analyze(build(tmp_path, tie_word_embeddings=True))
    assert (found.parameters, found.dense_bytes, found.weight_bytes("F32")) == (152, 304, 608)


def test_each_file_is_told_with_its_layers(tmp_path: Path) -> None:
    """One tensor a file: that of the embedding has no layer, the next one has the first."""
    found = analyze(build(tmp_path, shards=12))
    assert [shard.name for shard in found.shards] == [f"model-{n:05}-of-00012.safetensors" for n in range(1, 13)]
    assert [shard.layers for shard in found.shards] == ["", *["0"] * 9, "", ""]
    for shard in found.shards:
        content = (tmp_path / shard.name).read_bytes()
        assert (shard.file_bytes, shard.tensors) == (len(content), 1)
        assert shard.header_bytes == int.from_bytes(content[:8], "little")


def test_a_layer_that_lacks_a_tensor_is_told(tmp_path: Path) -> None:
    """Of two layers the second is incomplete; a missing norm of the model belongs to no layer."""
    stored = tensors()
    for name in list(stored):
        if name.startswith("model.layers.0."):
            stored[name.replace(".0.", ".1.")] = stored[name]
    del stored["model.layers.1.mlp.up_proj.weight"], stored["model.norm.weight"]
    found = analyze(build(tmp_path, stored, num_hidden_layers=2))
    assert (found.layers, found.incomplete_layers, found.sound) == ("0-1", "1", False)
    assert [finding.code for finding in found.findings if finding.severity == "error"] == ["plan.missing"]


def test_everything_odd_is_told(tmp_path: Path) -> None:
    """What stops a load first, then what is odd about the files, the configuration, and how they fit."""
    stored = {**tensors(), "model.layers.0.self_attn.rotary_emb.inv_freq": Tensor("F32", [1], bytes(4))}
    del stored["model.norm.weight"]
    build(tmp_path, stored, eos_token_id=9)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")
    found = [finding.code for finding in analyze(tmp_path).findings]
    assert found[:2] == ["plan.missing", "checkpoint.file_name"]
    assert found[2].startswith("config.")
    assert found[3:] == ["plan.tolerated"]


@pytest.mark.parametrize(("dtype", "nbytes"), [(None, 344), ("BF16", 344), ("float32", 688), ("F64", 1376)])
def test_weights_take_their_elements_times_the_dtype(tmp_path: Path, dtype: str | None, nbytes: int) -> None:
    """172 elements of two, four or eight bytes."""
    assert analyze(build(tmp_path)).weight_bytes(dtype) == nbytes


def test_memory_of_what_is_loaded_as_it_is_stored(tmp_path: Path) -> None:
    """Nothing beside the weights while they are loaded; the cache and the activations of all sixteen positions.

    The cache: 2 * 1 layer * 1 head * 2 dimensions * 16 positions * 2 bytes. Activations: the rotation of q holds the
    most, 12 elements of 2 bytes and 4 in three copies of 4 bytes, with 8 bytes for the token.
    """
    needed = analyze(build(tmp_path)).memory()
    assert (needed.weights, needed.transient, needed.kv_cache, needed.activations) == (344, 0, 128, 16 * 80)
    assert (needed.batch, needed.length, needed.dtype) == (1, 16, "BF16")
    assert needed.total == 344 + 128 + 1280


def test_memory_of_what_is_converted(tmp_path: Path) -> None:
    """The largest weight as stored, 24 elements of two bytes, stands beside the weights while it is converted.

    The cache: 2 * 1 * 1 * 2 * 2 sequences * 3 positions * 4 bytes. Activations: the feed-forward holds the most, 30
    elements of 4 bytes, with 8 bytes for the token.
    """
    needed = analyze(build(tmp_path)).memory(dtype="F32", batch=2, length=3)
    assert (needed.weights, needed.transient, needed.kv_cache, needed.activations) == (688, 48, 96, 6 * 128)
    assert (needed.batch, needed.length, needed.dtype) == (2, 3, "F32")


def test_memory_of_what_has_the_dtype_already(tmp_path: Path) -> None:
    """Asking for the dtype that is stored converts nothing."""
    assert analyze(build(tmp_path)).memory(dtype="BF16").transient == 0


def test_no_dtype_is_no_memory(tmp_path: Path) -> None:
    """What is no dtype is refused, and not taken for the stored one."""
    with pytest.raises(UnsupportedDtypeError):
        analyze(build(tmp_path)).weight_bytes("BF17")


def test_the_dtype_of_activations_is_the_configurations(tmp_path: Path) -> None:
    """Where the configuration has none, they are BF16."""
    assert analyze(build(tmp_path / "one", torch_dtype="float16")).compute_dtype.name == "F16"
    assert analyze(build(tmp_path / "two", torch_dtype=None)).compute_dtype.name == "BF16"


@pytest.mark.parametrize(("name", "family"), [("my-Distil-llama", "Distilled"), ("my-llama", "Custom")])
def test_the_name_of_the_directory_is_a_hint(tmp_path: Path, name: str, family: str) -> None:
    """Where figures cannot tell which model it is, the name of its directory does, through a link as well."""
    (tmp_path / "link").symlink_to(build(tmp_path / name))
    assert analyze(tmp_path / name).variant.family == family
    assert analyze(tmp_path / "link").variant.family == family


def test_a_set_can_be_chosen(tmp_path: Path) -> None:
    """A directory with an index and a single file is read as the caller says."""
    build(tmp_path, shards=2)
    build(tmp_path)
    layouts = [WeightAnalyzer(tmp_path, weights=word).analyze().checkpoint.layout for word in ("index", "single")]
    assert layouts == ["index", "single"]
    assert analyze(tmp_path, weights="index").checkpoint.layout == "index"


def test_an_analysis_is_json(tmp_path: Path) -> None:
    """Every fact by its word, counted by hand, and nothing that JSON does not have."""
    found: dict[str, Any] = json.loads(json.dumps(analyze(build(tmp_path, shards=2)).to_json()))
    machine, advice = found.pop("machine"), found.pop("recommendations")
    assert machine["device"] == "cpu"
    assert advice[0].startswith("fits")
    variant = found.pop("variant")
    assert (variant["family"], variant["size"]) == ("Custom", "172")
    sizes = [(tmp_path / f"model-0000{n}-of-00002.safetensors").read_bytes() for n in (1, 2)]
    assert found == {
        "path": str(tmp_path),
        "layout": "index",
        "dialect": "huggingface",
        "scheme": "none",
        "schemes": [
            {
                "scheme": "none", "weights": 12, "parameters": 172, "nbytes": 344, "layers": "0",
                "bits_per_weight": 16.0,
            }
        ],
        "dense_matrices": [],
        "bits_per_weight": 16.0,
        "tied": False,
        "parameters": 172,
        "tensors": 12,
        "bytes": 344,
        "dense_bytes": 344,
        "dtypes": {"BF16": {"tensors": 12, "elements": 172, "bytes": 344}},
        "shards": [
            {
                "name": f"model-0000{n}-of-00002.safetensors",
                "file_bytes": len(content),
                "header_bytes": int.from_bytes(content[:8], "little"),
                "tensors": 6,
                "layers": "0",
            }
            for n, content in enumerate(sizes, 1)
        ],
        "layers": "0",
        "incomplete_layers": "",
        "memory": {
            "weights": 344, "transient": 0, "kv_cache": 128, "activations": 1280, "batch": 1, "length": 16,
            "dtype": "BF16", "total": 1752,
        },
        "sound": True,
        "findings": [],
    }  # fmt: skip


def test_findings_of_an_analysis_are_json(tmp_path: Path) -> None:
    """A missing tensor is an error that says so, under its code."""
    stored = tensors()
    del stored["model.norm.weight"]
    (finding,) = analyze(build(tmp_path, stored)).to_json()["findings"]
    assert (finding["code"], finding["severity"]) == ("plan.missing", "error")


def test_the_tensors_of_a_model_are_those_that_it_has() -> None:
    """The names and shapes of the model that is written by hand, in no other number."""
    expected = expected_tensors(LlamaConfig.from_dict(dict(CONFIG)))
    assert expected == {name: tuple(tensor.shape) for name, tensor in tensors().items()}


@pytest.mark.parametrize(
    ("key", "half", "biases"),
    [
        ("attention_bias", "self_attn", {"q_proj": 4, "k_proj": 2, "v_proj": 2, "o_proj": 4}),
        ("mlp_bias", "mlp", {"gate_proj": 6, "up_proj": 6, "down_proj": 4}),
    ],
)
def test_biases_belong_to_the_half_that_the_configuration_names(key: str, half: str, biases: dict[str, int]) -> None:
    """A bias for each output of the Linears of attention, or of those behind it, and never of both."""
    expected = expected_tensors(LlamaConfig.from_dict({**CONFIG, key: True}))
    found = {name: shape for name, shape in expected.items() if name.endswith(".bias")}
    assert found == {f"model.layers.0.{half}.{module}.bias": (rows,) for module, rows in biases.items()}


def test_a_checkpoint_without_a_weight_takes_nothing(tmp_path: Path) -> None:
    """Where only a buffer is stored nothing is loaded, nor stands beside it; a pass takes what it takes."""
    stored = {"model.layers.0.self_attn.rotary_emb.inv_freq": Tensor("F32", [1], bytes(4))}
    found = analyze(build(tmp_path, stored))
    assert (found.parameters, found.tensors, found.nbytes, found.dtypes, found.sound) == (0, 0, 0, (), False)
    for needed in (found.memory(), found.memory(dequantize=False)):
        assert (needed.weights, needed.transient, needed.activations) == (0, 0, 1280)
