"""Where other loaders disagree, what this one does, one test a row of the table of policies: tensors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec
from conformance.tools.recipe import NAMED, Layout, Quantization, Recipe
from conformance.tools.schemes.ct_pack import Packed
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.stored import Tensor
from conformance.tools.values import tensor_bytes
from inferno_loader import InfernoError, load_model, load_state_dict, plan
from inferno_loader.errors import UnexpectedTensorError, UnsupportedFamilyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

    Loaded = Callable[[Path], dict[str, Expected]]

_TIED = {"num_hidden_layers": 2, "tie_word_embeddings": True}
_SINGLE = Recipe(config={"num_hidden_layers": 2})
_SHARDED = Recipe(config={"num_hidden_layers": 2}, layout=Layout("by_count", 3))
_QUERY = "model.layers.1.self_attn.q_proj"


def _codes(path: Path, **options: Any) -> list[str]:
    return [finding.code for finding in plan(path, **options).findings]


def _store(directory: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    edits.store(directory, Tensor(Spec(name, dtype, shape), tensor_bytes(name, dtype, shape)))


def _broken(name: str, fresh: Callable[[Recipe], Path]) -> Path:
    directory = fresh(NAMED[BREAKAGES[name].base])
    BREAKAGES[name].apply(directory)
    return directory


def _refusal(path: Path, **options: Any) -> InfernoError:
    with pytest.raises(InfernoError) as caught:
        load_state_dict(path, **options)
    return caught.value


def test_tied_flag_and_a_different_head(
    built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """What is stored is loaded, untied, and reported."""
    made = built(Recipe(config=_TIED, head="own"))
    assert loaded(made.directory) == made.dense
    assert _codes(made.directory) == ["tie.different_head"]


@pytest.mark.parametrize("head", ["absent", "instead"])
def test_one_of_embedding_and_head_with_the_flag(
    head: Any, built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """It serves both."""
    made = built(Recipe(config=_TIED, head=head))
    table = made.dense["model.embed_tokens.weight"]
    assert loaded(made.directory) == {**made.dense, "lm_head.weight": table}


def test_no_head_without_the_flag(built: Callable[[Recipe], Built]) -> None:
    """Rejected, unless the caller waives it."""
    directory = built(replace(_SINGLE, head="absent")).directory
    assert _refusal(directory).code == "plan.missing"
    assert plan(directory, tie="embedding").tied


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("extra_layer", "model.layers.12.*"), ("unexpected_tensor", "*.q_norm.weight")],
)
def test_layers_too_many_and_other_strangers(
    name: str,
    pattern: str,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Rejected, unless a pattern of the caller lets them be left out; then they are listed."""
    directory = _broken(name, fresh)
    refusal = _refusal(directory)
    assert isinstance(refusal, UnexpectedTensorError)
    assert loaded(directory, allow_unexpected=[pattern]) == built(NAMED["bf16-sharded"]).dense
    planned = plan(directory, allow_unexpected=["nothing.like.it", pattern])
    assert planned.ignored == refusal.names
    assert {finding.code for finding in planned.findings} == {"plan.waived"}
    assert _refusal(directory, allow_unexpected=["model.layers.99.*"]).code == "plan.unexpected"


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.rotary_emb.inv_freq",
        "model.layers.1.self_attn.k_scale",
        "model.layers.1.self_attn.v_scale",
        "model.layers.1.self_attn.kv_scale",
        "model.layers.1.self_attn.q_scale",
        "model.layers.1.self_attn.k_proj.output_scale",
        "model.layers.1.self_attn.k_zero_point",
        f"{_QUERY}.input_scale",
        f"{_QUERY}.input_zero_point",
        f"{_QUERY}.input_global_scale",
    ],
)
def test_buffers_and_scales_that_no_weight_needs(
    name: str,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Tolerated, and listed."""
    directory = fresh(_SHARDED)
    _store(directory, name, "BF16", (1,))
    assert loaded(directory) == built(_SHARDED).dense
    planned = plan(directory)
    assert planned.ignored == (name,)
    assert [(finding.code, finding.tensor) for finding in planned.findings] == [("plan.tolerated", name)]


def test_asymmetric_weight_without_a_zero_point(fresh: Callable[[Recipe], Path]) -> None:
    """Zeros, and reported: old writers dropped them."""
    directory = fresh(replace(_SINGLE, quantization=Quantization(symmetric=False)))
    edits.remove(directory, f"{_QUERY}.weight_zero_point")
    assert _codes(directory) == ["quant.no_zero_point"]
    stored = load_state_dict(directory, names="huggingface", dequantize=False)
    expected = stored[f"{_QUERY}.weight"].float() * stored[f"{_QUERY}.weight_scale"].float()
    assert torch.equal(load_state_dict(directory, names="huggingface", dtype="F32")[f"{_QUERY}.weight"], expected)


@pytest.mark.parametrize(
    ("scheme", "width"),
    [(Packed(symmetric=False, zeros="floats"), 48), (Gptq(group_size=40, symmetric=False), 64)],
    ids=["zero points as floats", "a short last group"],
)
def test_oddities_of_writers_that_are_read(
    scheme: Any,
    width: int,
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Floats are subtracted as they are, and a last group has the columns that are left: exact."""
    sizes = {"num_hidden_layers": 2, "hidden_size": width, "intermediate_size": 2 * width, "head_dim": 8}
    made = built(Recipe(config=sizes, quantization=scheme))
    assert loaded(made.directory) == made.dense


def test_zeros_of_gptq_that_are_not_packed(fresh: Callable[[Recipe], Path]) -> None:
    """Rejected, and named, where each would be read as eight others."""
    sizes = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128, "head_dim": 8}
    directory = fresh(Recipe(config=sizes, quantization=Gptq()))
    _, stored = edits.find(directory, f"{_QUERY}.scales")
    _store(directory, f"{_QUERY}.qzeros", "F16", stored.spec.shape)
    error = _refusal(directory)
    assert (error.code, error.tensor, str(error.actual)) == ("quant.scale", f"{_QUERY}.qzeros", "F16")


@pytest.mark.parametrize("name", ["nan_scale", "infinite_scale"])
def test_scales_that_are_not_finite(name: str, fresh: Callable[[Recipe], Path]) -> None:
    """Rejected."""
    assert _refusal(_broken(name, fresh)).code == "quant.scale"


def test_scales_whose_sum_is_not_finite(fresh: Callable[[Recipe], Path]) -> None:
    """Loaded: each of them is the largest power of two that there is, and a number."""
    directory = fresh(Recipe(config={"num_hidden_layers": 2}, quantization=Quantization("int8", "channel")))
    name = f"{_QUERY}.weight_scale"
    _, stored = edits.find(directory, name)
    largest = {"F32": b"\0\0\0\x7f", "BF16": b"\0\x7f"}[stored.spec.dtype]
    edits.store(directory, replace(stored, data=largest * stored.spec.elements))
    assert load_state_dict(directory, names="huggingface")[f"{_QUERY}.weight"].abs().max() >= 2.0**127


@pytest.mark.parametrize(
    ("change", "family"),
    [
        ({"model_type": "mistral", "sliding_window": None, "architectures": ["MistralForCausalLM"]}, "mistral"),
        ({}, "llama"),
    ],
    ids=["mistral", "llama"],
)
def test_families_of_the_same_layout(
    change: dict[str, Any],
    family: str,
    fresh: Callable[[Recipe], Path],
    built: Callable[[Recipe], Built],
    loaded: Callable[..., dict[str, Expected]],
) -> None:
    """Loaded by name."""
    directory = fresh(_SINGLE)
    edits.edit_json(directory / "config.json", lambda config: config.update(change))
    assert loaded(directory) == built(_SINGLE).dense
    assert load_model(directory).config.model_type == family


def test_a_llama_under_text_config(
    fresh: Callable[[Recipe], Path], built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """The language model of a wrapper whose inner configuration is a Llama is read from there."""
    directory = fresh(_SINGLE)
    inner = built(_SINGLE).config
    wrapped = {"model_type": "wrapper", "architectures": ["WrapperForGeneration"], "text_config": dict(inner)}
    (directory / "config.json").write_text(json.dumps(wrapped), encoding="utf-8")
    assert loaded(directory) == built(_SINGLE).dense


@pytest.mark.parametrize("family", ["qwen2", "gemma", "mixtral"])
def test_other_families(family: str, fresh: Callable[[Recipe], Path]) -> None:
    """Rejected by name."""
    directory = fresh(_SINGLE)
    edits.edit_json(directory / "config.json", lambda config: config.update(model_type=family, architectures=["X"]))
    refusal = _refusal(directory)
    assert isinstance(refusal, UnsupportedFamilyError)
    assert family in str(refusal)


def test_dtypes_are_kept_unless_asked(
    built: Callable[[Recipe], Built], loaded: Callable[..., dict[str, Expected]]
) -> None:
    """Each tensor has the dtype it was stored in, whatever the configuration says; each cast is in the plan."""
    made = built(
        replace(
            _SINGLE, dtypes=(("*norm*", "F32"), ("*_proj*", "F16")), config={**_SINGLE.config, "torch_dtype": "float32"}
        )
    )
    assert loaded(made.directory) == made.dense
    assert {expected.dtype for expected in made.dense.values()} == {"BF16", "F16", "F32"}
    assert not plan(made.directory).casts
    assert len(plan(made.directory, dtype="float32").casts) == 16


@pytest.mark.parametrize("dtype", ["I8", "F8_E4M3", "I32", "U8", "I64", "BOOL", "F8_E5M2", "F8_E8M0", "C64"])
def test_a_dtype_that_is_no_weight(dtype: str, fresh: Callable[[Recipe], Path]) -> None:
    """Rejected, and never cast as it is: codes lack their scale, anything else has no place."""
    directory = fresh(_SHARDED)
    _store(directory, f"{_QUERY}.weight", dtype, (60, 54))
    refusal = _refusal(directory, dtype="float32")
    assert refusal.code == ("quant.undeclared_codes" if dtype in ("I8", "F8_E4M3") else "plan.dtype")
    assert (refusal.tensor, str(refusal.actual).split()[0]) == (f"{_QUERY}.weight", dtype)


@pytest.mark.parametrize("suffix", ["weight_scale", "weight_scale_inv", "weight_zero_point", "scales", "SCB"])
def test_a_scale_that_nothing_uses(suffix: str, fresh: Callable[[Recipe], Path]) -> None:
    """Rejected: the weight beside it was written over, or its layout is not read."""
    directory = fresh(_SHARDED)
    _store(directory, f"{_QUERY}.{suffix}", "F32", (60, 1))
    refusal = _refusal(directory)
    assert (refusal.code, refusal.tensor) == ("quant.unused_scale", f"{_QUERY}.{suffix}")
