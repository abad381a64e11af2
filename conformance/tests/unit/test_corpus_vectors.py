"""Cases whose weights a real library wrote, and those in Meta's order of rows: what they hold is what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import conformance
from conformance.corpus import quant_vectors
from conformance.corpus.quant_meta import TO_META
from conformance.tools import edits
from conformance.tools.recipe import Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.truth import tensor_digest

_FILES = Path(conformance.__file__).parent / "fixtures" / "quant_vectors"
_WEIGHT = "model.layers.0.mlp.up_proj.weight"


def _recorded() -> dict[str, tuple[str, list[int], str]]:
    """Dtype, shape and bytes of the dense weight that the library made of each vector, by the slug of its case."""
    found: dict[str, tuple[str, list[int], str]] = {}
    for path in _FILES.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        for number, each in enumerate(content.get("vectors", content.get("entries", ())), 1):
            dense = each.get("dense") or each["expected_dequant"]
            dtype = {"bfloat16": "BF16"}.get(dense["dtype"], dense["dtype"])
            name = f"weights/vector-{path.stem.replace('_', '-')}-{number}"
            found[name] = (dtype, dense["shape"], dense.get("hex") or dense["hex_le"])
    return found


@pytest.mark.parametrize("case", quant_vectors.CASES, ids=lambda case: case.id)
def test_the_truth_of_a_vector_is_what_its_library_makes_of_it(case: Any) -> None:
    """Bit for bit, in the dtype that is owed where none is asked for."""
    dtype, shape, digits = _recorded()[case.id]
    assert case.recipe.dense().wanted[_WEIGHT] == (tensor_digest(dtype, shape, bytes.fromhex(digits)),)


def test_every_vector_of_a_library_is_a_case() -> None:
    """But those of GGUF, which is another container, and one in groups of columns that a recipe makes as well."""
    left = _recorded().keys() - {case.id for case in quant_vectors.CASES}
    assert {name for name in left if "gguf" not in name} == {"weights/vector-ct-int-and-naive-quantized-5"}


def test_rows_are_paired_as_meta_has_them(tmp_path: Path) -> None:
    """A dense checkpoint whose rows are moved and whose names are spelled is that of the dialect, tensor for tensor."""
    figures = {"num_hidden_layers": 1, "attention_bias": True}
    rows = (step("pair_rows", f"{each}_proj", 10) for each in "qk")
    Scenario(Recipe(config=figures), (*rows, TO_META)).build(tmp_path / "moved")
    Scenario(Recipe(config=figures, dialect="meta")).build(tmp_path / "meta")
    moved, meta = (edits.read_tensors(next((tmp_path / each).glob("*.safetensors"))) for each in ("moved", "meta"))
    assert moved == meta
