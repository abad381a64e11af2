"""Each form of the model is what it should be: by its digests, its figures, and to the loader.

To what the quantized ones are dequantized is tested in ``test_quantized_producers.py``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from conformance.tests.real_models.spans import header_length, spans
from conformance.tools.real_models import FORMS, sha256_of
from inferno_loader import analyze, load_state_dict, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_EACH = pytest.mark.parametrize("form", FORMS)
_DENSE = pytest.mark.parametrize("form", [name for name, form in FORMS.items() if form.scheme is None])
_QUANTIZED = pytest.mark.parametrize("form", [name for name, form in FORMS.items() if form.scheme])


@_EACH
def test_files_are_those_on_record(form: str, directory_of: Callable[[str], Path], known: Mapping[str, Any]) -> None:
    """Weights, index and tokenizer have the sizes and digests that were recorded."""
    recorded = known["files"][form]
    directory = directory_of(form)
    found = {
        name: {"bytes": (directory / name).stat().st_size, "sha256": sha256_of(directory / name)} for name in recorded
    }
    assert found == recorded
    assert {"config.json", "generation_config.json", "manifest.json"} <= {path.name for path in directory.iterdir()}


@_EACH
def test_manifest_tells_licence_and_producers(form: str, directory_of: Callable[[str], Path]) -> None:
    """The manifest names the model, its licence, and the versions of what made the form."""
    manifest = json.loads((directory_of(form) / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["model"], manifest["license"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0")
    producer = {"llmcompressor", "compressed-tensors"} if form in {"w8a8", "fp8-dynamic"} else {"gguf"}
    assert manifest["versions"].keys() >= {"python", "torch", "transformers", "safetensors"} | producer


def test_layout_of_bf16_is_the_published_one(directory_of: Callable[[str], Path], known: Mapping[str, Any]) -> None:
    """File size, header length and tensor count of the BF16 form equal the published ones of the original."""
    file, published = directory_of("bf16") / "model.safetensors", known["published"]
    assert file.stat().st_size == published["file_bytes"]
    assert header_length(file) == published["header_bytes"]
    stored = spans(file.parent)
    assert len(stored) == published["tensors"]
    assert sum(span.elements for span in stored.values()) == published["parameters"]


@_EACH
def test_parameter_count_is_the_published_one(
    form: str, directory_of: Callable[[str], Path], known: Mapping[str, Any]
) -> None:
    """The analyzer counts 134,515,008 parameters in every form: scales are none, and the tied head is no second one."""
    assert analyze(directory_of(form)).parameters == known["published"]["parameters"]


@_EACH
def test_predicted_bytes_are_exact(form: str, directory_of: Callable[[str], Path]) -> None:
    """The analyzer's bytes are those of the headers, and the plan's those of the tensors that a load delivers."""
    directory = directory_of(form)
    assert analyze(directory).nbytes == sum(span.nbytes for span in spans(directory).values())
    delivered = load_state_dict(directory)
    storages = {tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in delivered.values()}
    assert plan(directory).weight_bytes == sum(storages.values())


@_DENSE
def test_dense_tensors_are_those_of_the_files(form: str, directory_of: Callable[[str], Path]) -> None:
    """Every tensor of a dense form, sharded or not, has the dtype and the bytes that safetensors itself reads."""
    directory = directory_of(form)
    expected = {name: tensor for file in directory.glob("*.safetensors") for name, tensor in load_file(file).items()}
    loaded = load_state_dict(directory, names="huggingface")
    assert loaded.keys() - expected.keys() == {"lm_head.weight"}
    assert loaded["lm_head.weight"].data_ptr() == loaded["model.embed_tokens.weight"].data_ptr()
    different = [name for name, tensor in expected.items() if not _same(loaded[name], tensor)]
    assert different == []


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one.view(torch.uint8), other.view(torch.uint8))


@_QUANTIZED
def test_quantized_codes_are_those_of_the_file(form: str, directory_of: Callable[[str], Path]) -> None:
    """Without dequantization, codes and scales are delivered as safetensors itself reads them."""
    expected = load_file(directory_of(form) / "model.safetensors")
    loaded = load_state_dict(directory_of(form), names="huggingface", dequantize=False)
    assert loaded.keys() - expected.keys() == {"lm_head.weight"}
    different = [name for name, tensor in expected.items() if not _same(loaded[name], tensor)]
    assert different == []
