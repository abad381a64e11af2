"""UnifiedModelFactory: which model a directory holds, and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools.recipe import NAMED, build
from conformance.tools.twins import build_twin
from inferno_loader import InfernoLlama, UnifiedModelFactory
from inferno_loader.errors import MissingFileError, NoWeightsError
from inferno_loader.factory import Identity
from inferno_loader.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TWINS = {
    "meta-llama/Llama-3.1-8B": ("Meta Llama", "3.1", "8B", "none"),
    "meta-llama/Llama-3.2-1B": ("Meta Llama", "3.2", "1B", "none"),
    "meta-llama/Llama-2-7b-hf": ("Meta Llama", "2", "7B", "none"),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": ("TinyLlama", "", "1.1B", "none"),
    "HuggingFaceTB/SmolLM2-135M": ("SmolLM", "2", "135M", "none"),
    "codellama/CodeLlama-7b-hf": ("CodeLlama", "", "7B", "none"),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": ("Distilled", "", "70B", "none"),
    "RedHatAI/Llama-3.2-1B-Instruct-quantized.w8a8": ("Meta Llama", "3.2", "1B", "ct-int"),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic": ("Meta Llama", "3.1", "8B", "ct-float"),
}


@pytest.mark.parametrize("name", _TWINS)
def test_real_models_are_told_by_their_figures_and_their_tensors(tmp_path: Path, name: str) -> None:
    """Family, version and size follow from the figures and the name, the scheme from the tensors."""
    directory = tmp_path / name.rpartition("/")[2]
    build_twin(name, directory)
    found = UnifiedModelFactory.identify(directory)
    variant = found.variant
    family, version, size, scheme = _TWINS[name]
    assert (variant.family, variant.size, found.scheme) == (family, size, scheme)
    assert variant.version.startswith(version)
    assert variant.evidence
    assert str(found).startswith(family)
    assert str(found).endswith(size if scheme == "none" else scheme)


def test_a_model_of_nobody_is_custom_and_loads_all_the_same(tmp_path: Path) -> None:
    """Unknown figures are no reason to refuse: the factory plans and makes the model."""
    built = build(NAMED["w8a8"], tmp_path)
    found = UnifiedModelFactory.identify(tmp_path)
    assert (found.variant.family, found.scheme) == ("Custom", "ct-int")
    assert {tensor.source for tensor in UnifiedModelFactory.plan(tmp_path).tensors} == built.dense.keys()
    assert isinstance(UnifiedModelFactory.create(tmp_path), InfernoLlama)


@pytest.mark.parametrize(
    ("words", "scheme", "text"),
    [
        (("Meta Llama", "3.1", "8B"), "none", "Meta Llama 3.1 8B"),
        (("TinyLlama", "", "1.1B"), "none", "TinyLlama 1.1B"),
        (("Custom", "", "135M"), "ct-int", "Custom 135M ct-int"),
    ],
)
def test_an_identity_is_said_in_words(words: tuple[Any, str, str], scheme: str, text: str) -> None:
    """Family, version, size and scheme, as far as there are any."""
    assert str(Identity(Variant(*words, evidence=()), scheme)) == text


def test_a_distilled_model_is_told_by_the_name_of_its_directory(tmp_path: Path) -> None:
    """Figures that two models share are told apart by the name."""
    for name, family in (("Some-Distill-8B", "Distilled"), ("Some-8B", "Meta Llama")):
        build_twin("meta-llama/Llama-3.1-8B", tmp_path / name)
        assert UnifiedModelFactory.identify(tmp_path / name).variant.family == family


@pytest.mark.parametrize(
    "door",
    [UnifiedModelFactory.identify, UnifiedModelFactory.plan, UnifiedModelFactory.create],
    ids=lambda f: f.__name__,
)
def test_what_is_no_checkpoint_is_refused_at_each_door(door: Callable[[Path], object], tmp_path: Path) -> None:
    """With the error of whatever is missing."""
    with pytest.raises(NoWeightsError):
        door(tmp_path)
    with pytest.raises(MissingFileError):
        door(tmp_path / "nowhere")


def test_options_are_those_of_a_plan(tmp_path: Path) -> None:
    """The factory hands them on."""
    build(NAMED["w8a8"], tmp_path)
    planned = UnifiedModelFactory.plan(tmp_path, dequantize=False, names="huggingface")
    assert (planned.dequantize, planned.names) == (False, "huggingface")
    model = UnifiedModelFactory.create(tmp_path, dtype="float32", mmap=True)
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.float32"}
