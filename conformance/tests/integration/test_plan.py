"""A plan says what a load will do before one weight byte is read: dtypes, casts, bytes, and all that is wrong."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec
from conformance.tools.recipe import NAMED, Quantization, Recipe
from conformance.tools.stored import Tensor
from inferno_loader import load_state_dict, plan
from inferno_loader.errors import (
    InfernoError,
    MemoryLimitError,
    MissingScaleError,
    MissingTensorError,
    PlanError,
    ShapeMismatchError,
    UnexpectedTensorError,
    UnsupportedDtypeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built

_SMALL = {"num_hidden_layers": 2}
# The figures of a recipe, by hand: hidden 54, intermediate 75, 6 heads and 2 key-value heads of 10, 101 tokens.
_TABLE, _LINEARS, _NORMS = 101 * 54, 60 * 54 * 2 + 20 * 54 * 2 + 75 * 54 * 3, 2 * 54
_PARAMETERS = 2 * _TABLE + 2 * (_LINEARS + _NORMS) + 54


@pytest.mark.parametrize(
    ("options", "action", "dtype", "weight_bytes"),
    [
        ({}, "keep", "BF16", 2 * _PARAMETERS),
        ({"dtype": "bfloat16"}, "keep", "BF16", 2 * _PARAMETERS),
        ({"dtype": "float32"}, "cast", "F32", 4 * _PARAMETERS),
        ({"dtype": "F64"}, "cast", "F64", 8 * _PARAMETERS),
        ({"dtype": "half"}, "cast", "F16", 2 * _PARAMETERS),
    ],
    ids=["as stored", "same", "F32", "F64", "F16"],
)
def test_each_tensor_has_its_action_and_its_dtype(
    options: dict[str, Any], action: str, dtype: str, weight_bytes: int, built: Callable[[Recipe], Built]
) -> None:
    """What is kept and what is cast, to which dtype, and how many bytes that makes."""
    made = plan(built(Recipe(config=_SMALL)).directory, **options)
    assert {(tensor.action, tensor.dtype.name) for tensor in made.tensors} == {(action, dtype)}
    assert made.weight_bytes == weight_bytes
    assert made.read_bytes == 2 * _PARAMETERS
    assert made.casts == (made.tensors if action == "cast" else ())
    largest = 2 * _TABLE if action == "cast" else 0
    assert made.peak_bytes == weight_bytes + largest
    assert made.mapped_bytes == 0


@pytest.mark.parametrize(
    ("stored", "wanted", "lossy"),
    [
        ("BF16", "F32", False),
        ("F16", "F32", False),
        ("F32", "F64", False),
        ("F32", "BF16", True),
        ("F32", "F16", True),
        ("BF16", "F16", True),
        ("F16", "BF16", True),
    ],
)
def test_casts_that_may_change_a_value_are_marked(
    stored: Any, wanted: str, lossy: bool, built: Callable[[Recipe], Built]
) -> None:
    """Fewer mantissa bits or a narrower range: one warning for all; otherwise one note."""
    made = plan(built(Recipe(config=_SMALL, dtype=stored)).directory, dtype=wanted)
    (finding,) = made.findings
    assert (finding.code, finding.severity) == (("plan.lossy_cast", "warning") if lossy else ("plan.cast", "note"))
    assert f"21 tensors are cast from {stored} to {wanted}" in finding.message
    assert {tensor.lossy for tensor in made.tensors} == {lossy}


def test_mixed_dtypes_are_kept_apart(built: Callable[[Recipe], Built]) -> None:
    """Norms in F32 stay so unless asked; asked for F32, only the others are cast, and each pair is one finding."""
    recipe = Recipe(config=_SMALL, dtypes=(("*norm*", "F32"), ("*embed*", "F16")))
    directory = built(recipe).directory
    kept = plan(directory)
    assert {tensor.action for tensor in kept.tensors} == {"keep"}
    assert kept.by_name["norm.weight"].dtype.name == "F32"
    cast = plan(directory, dtype="float32")
    assert {t.source for t in cast.tensors if t.action == "keep"} == {
        "model.norm.weight",
        *(
            f"model.layers.{n}.{norm}.weight"
            for n in (0, 1)
            for norm in ("input_layernorm", "post_attention_layernorm")
        ),
    }
    assert [finding.message.split(":")[0] for finding in cast.findings] == [
        "1 tensors are cast from F16 to F32",
        "15 tensors are cast from BF16 to F32",
    ]


@pytest.mark.parametrize(
    ("dtype", "actual"),
    [
        ("int8", "I8"),
        ("F8_E4M3", "F8_E4M3"),
        ("float8_e5m2", "F8_E5M2"),
        ("F4", "F4"),
        ("bool", "BOOL"),
        ("complex64", "C64"),
        ("abacus", "abacus"),
        (16, "16"),
    ],
)
def test_a_dtype_that_holds_no_weights_is_refused(dtype: object, actual: str, built: Callable[[Recipe], Built]) -> None:
    """Casting to it would need a scale, or is no dtype at all: refused before a file is opened."""
    with pytest.raises(UnsupportedDtypeError) as caught:
        plan(built(Recipe(config=_SMALL)).directory, dtype=dtype)
    assert "BF16" in str(caught.value.expected)
    assert str(caught.value.actual) == actual


@pytest.mark.parametrize(("dequantize", "actions"), [(True, {"keep", "dequantize"}), (False, {"keep"})])
def test_quantized_weights_come_dense_or_in_parts(
    dequantize: bool, actions: set[str], built: Callable[[Recipe], Built]
) -> None:
    """Dense, a weight has its parts behind it; kept, each part is a tensor of its own."""
    made = built(Recipe(config=_SMALL, quantization=Quantization("int8", symmetric=False)))
    planned = plan(made.directory, names="huggingface", dequantize=dequantize)
    assert {tensor.action for tensor in planned.tensors} == actions
    assert planned.scheme == "ct-int"
    assert planned.by_name.keys() == (made.dense if dequantize else made.expected).keys()
    query = planned.by_name["model.layers.0.self_attn.q_proj.weight"]
    whole = {"weight", "weight_scale", "weight_zero_point"}
    assert query.parts.keys() == (whole if dequantize else {"weight"})
    assert query.stored_bytes == 60 * 54 + (60 * 2 + 60 if dequantize else 0)
    assert query.nbytes == 60 * 54 * (2 if dequantize else 1)
    assert planned.read_bytes == made.nbytes
    if dequantize:
        # The largest tensor on its way: gate, 75 x 54 codes with scale and zero point. BF16 scales need no copy.
        assert planned.peak_bytes == planned.weight_bytes + 75 * 54 + 75 * 3


def test_rows_that_move_take_a_second_copy(built: Callable[[Recipe], Built]) -> None:
    """A cast that also changes the order of rows holds the tensor twice for a while; a move alone does not."""
    directory = built(NAMED["meta"]).directory
    moved = {tensor.source: tensor for tensor in plan(directory).tensors if tensor.move}
    assert {name.rpartition(".self_attn.")[2] for name in moved} == {"q_proj.weight", "k_proj.weight"}
    assert moved["model.layers.0.self_attn.q_proj.weight"].transient_bytes == 2 * 60 * 54
    cast = plan(directory, dtype="float32").by_name["layers.0.attention.q_proj.weight"]
    assert cast.transient_bytes == 2 * 60 * 54 + 4 * 60 * 54


def test_mapped_tensors_take_no_memory_of_their_own(built: Callable[[Recipe], Built]) -> None:
    """Kept as stored they alias the file; what is made of stored tensors does not."""
    tied = built(NAMED["bf16-single"])
    mapped = plan(tied.directory, mmap=True)
    assert mapped.mapped_bytes == mapped.weight_bytes == tied.nbytes
    assert mapped.peak_bytes == 0
    cast = plan(tied.directory, mmap=True, dtype="float32")
    assert (cast.mapped_bytes, cast.peak_bytes) == (0, 2 * tied.nbytes + 2 * _TABLE)


def test_more_than_the_memory_allowed_is_refused(built: Callable[[Recipe], Built]) -> None:
    """The peak is held against the limit, to the byte, and the error says what would help."""
    directory = built(Recipe(config=_SMALL)).directory
    peak = 4 * _PARAMETERS + 2 * _TABLE
    assert plan(directory, dtype="float32", max_memory=peak).peak_bytes == peak
    with pytest.raises(MemoryLimitError) as caught:
        load_state_dict(directory, dtype="float32", max_memory=peak - 1)
    assert caught.value.path == str(directory)
    assert caught.value.expected == f"at most {peak - 1} bytes"
    assert f"{peak} bytes at the peak" in str(caught.value.actual)
    assert "mmap=True" in str(caught.value.remedy)
    assert plan(directory, mmap=True, max_memory=0).peak_bytes == 0


def test_a_plan_is_json(built: Callable[[Recipe], Built]) -> None:
    """Totals, findings, and where each tensor comes from."""
    directory = built(NAMED["bf16-single"]).directory
    facts = json.loads(json.dumps(plan(directory, dtype="float32").to_json()))
    assert {key: facts[key] for key in ("names", "device", "mmap", "dequantize", "scheme", "tied", "ignored")} == {
        "names": "inferno",
        "device": "cpu",
        "mmap": False,
        "dequantize": True,
        "scheme": "none",
        "tied": True,
        "ignored": [],
    }
    assert facts["path"] == str(directory)
    assert [finding["code"] for finding in facts["findings"]] == ["plan.cast"]
    assert facts["tensors"][0] == {
        "name": "embed_tokens.weight",
        "shape": [101, 54],
        "dtype": "F32",
        "action": "cast",
        "from": {"model.embed_tokens.weight": "model.safetensors BF16"},
    }
    assert facts["tensors"][-1] == {
        "name": "lm_head.weight",
        "shape": [101, 54],
        "dtype": "F32",
        "action": "alias",
        "from": {},
        "alias_of": "embed_tokens.weight",
    }


def _break(directory: Path, *names: str) -> None:
    for name in names:
        BREAKAGES[name].apply(directory)


def test_all_that_is_wrong_is_told_at_once(fresh: Callable[[Recipe], Path]) -> None:
    """Several kinds of trouble are one error that holds them all, each whole."""
    directory = fresh(NAMED["w8a8"])
    _break(directory, "layer_missing", "extra_layer", "wrong_shape")
    edits.remove(directory, "model.layers.2.mlp.up_proj.weight_scale")
    with pytest.raises(PlanError) as caught:
        load_state_dict(directory)
    problems = {type(problem): problem for problem in caught.value.problems}
    assert type(caught.value) is PlanError
    assert problems.keys() == {ShapeMismatchError, MissingScaleError, UnexpectedTensorError, MissingTensorError}
    assert problems[MissingScaleError].tensor == "model.layers.2.mlp.up_proj.weight"
    assert len(getattr(problems[MissingTensorError], "names", ())) == 9
    assert all(f"[{problem.code}]" in str(caught.value.actual) for problem in caught.value.problems)
    assert all(problem.remedy and problem.path for problem in caught.value.problems)


def test_one_kind_of_trouble_keeps_its_code(fresh: Callable[[Recipe], Path]) -> None:
    """Embedding and head of another vocabulary are one error of their kind, which holds both."""
    directory = fresh(NAMED["bf16-sharded"])
    _break(directory, "vocab_mismatch")
    with pytest.raises(ShapeMismatchError) as caught:
        plan(directory)
    names = ("model.embed_tokens.weight", "lm_head.weight")
    assert caught.value.names == names
    assert [problem.tensor for problem in caught.value.problems] == list(names)
    assert (caught.value.expected, caught.value.actual) == ([102, 54], "[101, 54]; likewise lm_head.weight")


def test_more_than_five_troubles_are_counted(fresh: Callable[[Recipe], Path]) -> None:
    """The message stays short; the attribute has them all."""
    directory = fresh(NAMED["bf16-sharded"])
    names = edits.names(directory)[:6]
    for name in names:
        path, _ = edits.find(directory, name)
        edits.edit_header(path, lambda header, name=name: header[name]["shape"].insert(0, 1))  # type: ignore[misc]
    edits.remove(directory, "model.norm.weight")
    with pytest.raises(PlanError) as caught:
        plan(directory)
    assert len(caught.value.problems) == 7
    assert str(caught.value.actual).endswith("; and 2 more")


def test_an_empty_shape_says_how_it_came_about(fresh: Callable[[Recipe], Path]) -> None:
    """A weight of shape [0] was saved without gathering its shards."""
    directory = fresh(NAMED["bf16-sharded"])
    edits.store(directory, Tensor(Spec("model.norm.weight", "BF16", (0,)), b""))
    with pytest.raises(ShapeMismatchError) as caught:
        plan(directory)
    assert (caught.value.expected, caught.value.actual) == ([54], [0])
    assert "without gathering" in str(caught.value.remedy)


def test_a_name_close_to_one_of_the_model_is_suggested(fresh: Callable[[Recipe], Path]) -> None:
    """A misspelt tensor is unexpected under its name and missing under the right one."""
    directory = fresh(NAMED["bf16-sharded"])
    name, wrong = "model.layers.3.mlp.gate_proj.weight", "model.layers.3.mlp.gate_prj.weight"
    _, tensor = edits.find(directory, name)
    edits.remove(directory, name)
    edits.store(directory, Tensor(Spec(wrong, tensor.spec.dtype, tensor.spec.shape), tensor.data))
    with pytest.raises(PlanError) as caught:
        plan(directory)
    unexpected, missing = caught.value.problems
    assert (unexpected.tensor, missing.tensor) == (wrong, name)
    assert name in str(unexpected.expected)


def test_planning_reads_no_weight(fresh: Callable[[Recipe], Path]) -> None:
    """With every byte of the data gone to NaN, the plan is the same."""
    directory = fresh(NAMED["bf16-single"])
    path = directory / "model.safetensors"
    before = plan(directory).to_json()
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    path.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    assert plan(directory).to_json() == before


def test_errors_of_a_plan_are_errors_of_the_package() -> None:
    """A path that is not there, and one that is no checkpoint, are ours to report."""
    for path in ("/nonexistent/model", "/proc/self/status", "/nonexistent/model.safetensors.index.json", "\0"):
        with pytest.raises(InfernoError):
            plan(path)
