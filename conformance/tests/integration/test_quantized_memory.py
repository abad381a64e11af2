"""Memory of quantized models as the plan tells it, dense and as stored, against what processes take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.tools.architecture import llama_specs
from conformance.tools.container import Spec, write_sparse
from conformance.tools.recipe import NAMED, Recipe
from conformance.tools.schemes.ct_micro import Nvfp4
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.gptq import Gptq
from inferno_loader import load_state_dict, plan
from inferno_loader.errors import MemoryLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.tools.recipe import Built

#: One layer of 1B shape, and little around it: 61 M codes, 122 MB of BF16.
_SHAPE = {
    "num_hidden_layers": 1,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 512,
}
_GROUP = 128
#: What threads and small blocks of a process take beside tensors, in bytes.
_NOISE = 4_000_000


@dataclass(frozen=True)
class _Form:
    """A family with 4 bits a code: what a recipe calls it, and its tensors by suffix, given rows and columns."""

    scheme: Any
    parts: Callable[[int, int], dict[str, tuple[str, tuple[int, ...]]]]


_FORMS = {
    "ct-pack": _Form(
        Packed(bits=4, strategy="group", group_size=_GROUP),
        lambda rows, columns: {
            "weight_packed": ("I32", (rows, columns // 8)),
            "weight_scale": ("BF16", (rows, columns // _GROUP)),
            "weight_shape": ("I64", (2,)),
        },
    ),
    "gptq": _Form(
        Gptq(bits=4, group_size=_GROUP),
        lambda rows, columns: {
            "qweight": ("I32", (columns // 8, rows)),
            "qzeros": ("I32", (columns // _GROUP, rows // 8)),
            "scales": ("F16", (columns // _GROUP, rows)),
        },
    ),
    "ct-nvfp4": _Form(
        Nvfp4(),
        lambda rows, columns: {
            "weight_packed": ("U8", (rows, columns // 2)),
            "weight_scale": ("F8_E4M3", (rows, columns // 16)),
            "weight_global_scale": ("F32", (1,)),
        },
    ),
}


def _probe(spec: Spec, shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[int, bytes]]:
    """Zeros but for what a plan looks at, and for what divides."""
    if spec.name.endswith("weight_shape"):
        yield 0, np.array(shapes[spec.name.removesuffix("_shape")], "<i8").tobytes()
    if spec.name.endswith("global_scale"):
        yield 0, np.ones(1, "<f4").tobytes()


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each form, large and without disk."""
    made = {}
    for name, form in _FORMS.items():
        recipe = Recipe(config=_SHAPE, quantization=form.scheme)
        dense = llama_specs(recipe.figures, "BF16")
        shapes = {spec.name: spec.shape for spec in dense}
        specs: list[Spec] = []
        for spec in dense:
            module = spec.name.removesuffix(".weight")
            rows, columns = (*spec.shape, 0)[:2]
            parts = form.parts(rows, columns) if module.endswith("_proj") else None
            specs += [Spec(f"{module}.{each}", *part) for each, part in parts.items()] if parts else [spec]
        made[name] = tmp_path_factory.mktemp(name)
        write_sparse(made[name] / "model.safetensors", specs, partial(_probe, shapes=shapes))
        (made[name] / "config.json").write_text(json.dumps(recipe.config_json()), encoding="utf-8")
    return made


@pytest.mark.parametrize("form", _FORMS)
def test_a_model_of_four_bits_takes_a_quarter_as_stored(form: str, directories: dict[str, Path]) -> None:
    """Its Linears take 0.25 of their dense bytes, and their scales and zero points at most 0.035 more."""
    dense, kept = (plan(directories[form], dequantize=mode) for mode in (True, False))
    assert (dense.scheme, kept.scheme) == (form, form)
    linears = sum(tensor.nbytes for tensor in dense.tensors if tensor.action == "dequantize")
    parts = sum(tensor.nbytes for tensor in kept.tensors if tensor.quantized)
    assert linears > 120_000_000
    assert 0.25 < parts / linears < 0.285
    assert dense.weight_bytes - linears == kept.weight_bytes - parts
    assert kept.peak_bytes == kept.weight_bytes


def test_memory_of_a_load_is_as_planned(
    directories: dict[str, Path], built: Callable[[Recipe], Built], measure: Callable[..., Any]
) -> None:
    """Memory of its own that a process takes, at the end within 3 %; at its peak no more, and not much less.

    The plan counts a step of the largest weight beside all results, and the largest need not be the last.
    """
    ways: list[tuple[str, dict[str, Any]]] = [(form, {"dequantize": mode}) for form in _FORMS for mode in (True, False)]
    warm = str(built(NAMED["w8a8"]).directory)
    figures = measure(
        "inferno_loader.load_state_dict(warm, **options)",
        "loaded = inferno_loader.load_state_dict(path, **options)",
        [{"path": str(directories[form]), "warm": warm, "options": options} for form, options in ways],
    )
    for (form, options), grown in zip(ways, figures, strict=True):
        planned = plan(directories[form], **options)
        assert grown["end"] == pytest.approx(planned.weight_bytes, rel=0.03, abs=_NOISE), (form, options)
        assert 0.85 * planned.peak_bytes < grown["peak"] < 1.03 * planned.peak_bytes + _NOISE, (form, options)


@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("form", _FORMS)
def test_a_limit_below_the_peak_is_told_before_anything_is_read(
    form: str, dequantize: bool, directories: dict[str, Path]
) -> None:
    """The peak itself is allowed, and one byte less is refused."""
    peak = plan(directories[form], dequantize=dequantize).peak_bytes
    assert plan(directories[form], dequantize=dequantize, max_memory=peak).peak_bytes == peak
    with pytest.raises(MemoryLimitError):
        load_state_dict(directories[form], dequantize=dequantize, max_memory=peak - 1)
