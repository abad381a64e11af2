"""UnifiedModelFactory: which model a directory holds, and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.tools.recipe import NAMED, build
from conformance.tools.twins import build_twin
from inferno_loader import InfernoLlama, UnifiedModelFactory

if TYPE_CHECKING:
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
