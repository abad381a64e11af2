"""The adapter of our own loader gives exactly what the recipes ask for, reports what it does, and tells each reason."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conformance.adapters.inferno import Inferno
from conformance.adapters.inferno_report import REASONS, WITHOUT_REASON, reason_of
from conformance.engine.case import Tokens
from conformance.engine.judge import compare
from conformance.engine.performing import introduce, perform
from conformance.engine.reasons import Reason
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec
from conformance.tools.forward import logits
from conformance.tools.recipe import NAMED
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.stored import decode, dense_specs, parameter
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import Logits
from inferno_loader import errors
from inferno_loader.errors import PlanError, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Ask = Callable[..., dict[str, Any]]

_SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
_TOKENS = Tokens(5)

#: For each way to break a checkpoint, why it is to be refused.
_REASONS = {
    "missing_file": Reason.NO_WEIGHTS,
    "incomplete_file": Reason.NO_WEIGHTS,
    "only_pickles": Reason.PICKLE,
    "empty_file": Reason.TRUNCATED,
    "truncated_by_one": Reason.TRUNCATED,
    "trailing_byte": Reason.TRAILING_BYTES,
    "lfs_pointer": Reason.NOT_SAFETENSORS,
    "html_page": Reason.NOT_SAFETENSORS,
    "gguf_magic": Reason.NOT_SAFETENSORS,
    "zip_file": Reason.NOT_SAFETENSORS,
    "unfinished_download": Reason.NOT_SAFETENSORS,
    "header_length_2_62": Reason.HEADER_LENGTH,
    "header_too_large": Reason.HEADER_LENGTH,
    "bad_json_header": Reason.HEADER_JSON,
    "not_utf8_header": Reason.HEADER_JSON,
    "unknown_dtype": Reason.UNKNOWN_DTYPE,
    "shape_overflow": Reason.OVERFLOW,
    "size_mismatch": Reason.SIZE_MISMATCH,
    "hole": Reason.HOLE,
    "overlap": Reason.OVERLAP,
    "duplicate_name_in_header": Reason.DUPLICATE_KEY,
    "missing_shard": Reason.MISSING_SHARD,
    "index_promises_absent": Reason.BROKEN_PROMISE,
    "index_parent_path": Reason.PATH_ESCAPE,
    "index_absolute_path": Reason.PATH_ESCAPE,
    "bad_json_index": Reason.INDEX_INVALID,
    "ambiguous_single_and_index": Reason.AMBIGUOUS_WEIGHTS,
    "duplicate_across_shards": Reason.DUPLICATE_TENSOR,
    "shard_gap": Reason.SHARD_GAP,
    "missing_tensor": Reason.MISSING_TENSOR,
    "layer_missing": Reason.MISSING_TENSOR,
    "unexpected_tensor": Reason.UNEXPECTED_TENSOR,
    "extra_layer": Reason.UNEXPECTED_TENSOR,
    "wrong_shape": Reason.SHAPE,
    "vocab_mismatch": Reason.SHAPE,
    "wrong_dtype": Reason.DTYPE,
    "integer_weight_without_scale": Reason.MISSING_SCALE,
    "missing_scale": Reason.MISSING_SCALE,
    "unused_scale": Reason.UNUSED_SCALE,
    "nan_scale": Reason.SCALE_VALUE,
    "infinite_scale": Reason.SCALE_VALUE,
    "unknown_scheme": Reason.UNKNOWN_SCHEME,
    "unknown_rope_type": Reason.ROPE_TYPE,
    "heads_not_divisible": Reason.CONFIG_VALUE,
    "config_missing": Reason.CONFIG_MISSING,
    "config_not_json": Reason.CONFIG_INVALID,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The sound checkpoint of a named recipe, built once."""
    home = tmp_path_factory.mktemp("sound")

    def sound(name: str) -> Path:
        if not (home / name).exists():
            Scenario(NAMED[name]).build(home / name)
        return home / name

    return sound


@pytest.fixture
def ask() -> Ask:
    """Asks the adapter, as the fork of a case does."""
    adapter = Inferno()

    def ask(method: str, place: Path, **more: Any) -> dict[str, Any]:
        where = {"path" if method == "read_file" else "directory": str(place)}
        return perform(adapter, {"id": 1, "method": method, **where, **more})

    return ask


def built(scenario: Scenario, directory: Path) -> Path:
    """The directory in which a scenario has been built."""
    scenario.build(directory)
    return directory


def logits_in_float32(name: str, input_ids: list[list[int]]) -> Logits:
    """The logits of a named recipe, its quantized weights dequantized to float32 and not rounded further."""
    recipe = NAMED[name]
    dense = {spec.name: decode(parameter(recipe, spec, "F32").dense) for spec in dense_specs(recipe)}
    tied = "lm_head.weight" not in dense
    return Logits(logits(recipe.figures, dense.__getitem__, np.array(input_ids), tied=tied))


def codes(root: type[errors.InfernoError] = errors.InfernoError) -> set[str]:
    """The code of every error in the tree."""
    return {root.code}.union(*map(codes, root.__subclasses__()))


def test_hello_is_what_the_loader_does() -> None:
    """It offers every level but slices, tells reasons, reports, and claims no dtype of which torch has no tensors."""
    hello = introduce(Inferno())
    assert hello["levels"] == ["container", "checkpoint", "weights", "model", "analysis"]
    assert (hello["reasons"], hello["reports"]) == (True, True)
    assert not {"dtype:F4", "dtype:F6_E2M3", "dtype:F6_E3M2", "parallel:quantized"} & set(hello["claims"])
    assert {"quant:ct-int", "quant:ct-float", "rope:longrope", "indexless"} <= set(hello["claims"])


@pytest.mark.parametrize("name", NAMED)
def test_every_level_is_exact(name: str, sound: Callable[[str], Path], ask: Ask) -> None:
    """Stored tensors, weights in two dtypes, logits and facts of each recipe are those of its closed form."""
    scenario, directory = Scenario(NAMED[name]), sound(name)
    ids = scenario.input_ids(_TOKENS).tolist()
    pairs = (
        (scenario.stored(), ask("read_checkpoint", directory)),
        (scenario.dense(), ask("load_weights", directory, dtype=None)),
        (scenario.dense("F32"), ask("load_weights", directory, dtype="F32")),
        (logits_in_float32(name, ids), ask("logits", directory, input_ids=ids)),
        (scenario.facts(), ask("describe", directory)),
    )
    assert [compare(truth, answer) for truth, answer in pairs] == [""] * len(pairs)


def test_every_claimed_dtype_is_read(tmp_path: Path, ask: Ask) -> None:
    """A file with a matrix, a scalar and an empty tensor of each dtype that is claimed comes back as it is."""
    dtypes = sorted(claim.removeprefix("dtype:") for claim in Inferno.claims if claim.startswith("dtype:"))
    shapes = {"matrix": (3, 5), "scalar": (), "empty": (4, 0)}
    specs = tuple(Spec(f"{dtype}.{name}", dtype, shape) for dtype in dtypes for name, shape in shapes.items())
    scenario = Scenario(TensorFile(specs))
    path = built(scenario, tmp_path / "it") / "model.safetensors"
    assert len(dtypes) == 19
    assert compare(scenario.stored(), ask("read_file", path)) == ""


def test_every_way_to_break_has_its_reason_here() -> None:
    """No way is left out of the table of this test."""
    assert _REASONS.keys() == BREAKAGES.keys()


@pytest.mark.parametrize(("name", "reason"), _REASONS.items(), ids=_REASONS)
def test_a_broken_checkpoint_is_refused_for_its_reason(
    name: str, reason: Reason, sound: Callable[[str], Path], tmp_path: Path, ask: Ask
) -> None:
    """Loading weights refuses each broken checkpoint, and the error tells the suite's reason."""
    broken = shutil.copytree(sound(BREAKAGES[name].base), tmp_path / "broken")
    BREAKAGES[name].apply(broken)
    assert ask("load_weights", broken, dtype=None).get("error", {}).get("reason") == reason


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (step("set_metadata", "model.safetensors", '{"format": 1}'), Reason.METADATA),
        (step("set_entry", "model.safetensors", "a", "shape", "[-1]"), Reason.HEADER_ENTRY),
    ],
    ids=["metadata", "entry"],
)
def test_an_entry_and_the_metadata_are_two_reasons(way: Any, reason: Reason, tmp_path: Path, ask: Ask) -> None:
    """One code of the loader stands for two reasons, told apart by what it names."""
    scenario = Scenario(TensorFile((Spec("a", "F32", (2,)),)), (way,))
    answer = ask("read_file", built(scenario, tmp_path / "it") / "model.safetensors")
    assert answer["error"]["reason"] == reason


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.safetensors", Reason.MISSING_FILE),
        ("model.safetensors.index.json", Reason.INDEX_INVALID),
        ("config.json", Reason.CONFIG_INVALID),
        (None, Reason.MISSING_FILE),
    ],
)
def test_what_cannot_be_read_is_told_by_its_file(file: str | None, reason: Reason) -> None:
    """A path that is no file is a missing file, an index or a configuration, by its name."""
    assert reason_of(UnreadableFileError("no regular file", path=file)) == reason


def test_several_problems_tell_the_first() -> None:
    """An error that sums up others tells the reason of the first that it names."""
    found = [errors.ShapeMismatchError("shape"), errors.MissingTensorError("missing")]
    assert reason_of(PlanError("two things are wrong", problems=found)) == Reason.SHAPE


def test_other_errors_tell_no_reason() -> None:
    """What is no error of the loader tells nothing, and neither do those that speak of the machine."""
    assert reason_of(OSError("disk")) is None
    assert reason_of(errors.UnsupportedDtypeError("F4")) is None


def test_every_code_has_a_reason_or_none() -> None:
    """Each code of the error tree is mapped or listed as telling no reason, none is both, and no code is made up."""
    assert REASONS.keys() | WITHOUT_REASON == codes()
    assert not REASONS.keys() & WITHOUT_REASON


def test_a_stale_copy_is_reported(tmp_path: Path, ask: Ask) -> None:
    """The copy that the index does not name is not read, and is told as ignored and as a conflict."""
    name = "model.norm.weight"
    scenario = Scenario(NAMED["bf16-sharded"], (step("stale_copy", name, _SHARDS[0]),))
    directory = built(scenario, tmp_path / "it")
    for method, truth in (("read_checkpoint", scenario.stored()), ("load_weights", scenario.dense())):
        answer = ask(method, directory, dtype=None)
        assert compare(truth, answer) == ""
        assert answer["report"] == {"ignored": [name], "conflicting": [name]}


def test_a_cast_is_reported(sound: Callable[[str], Path], ask: Ask) -> None:
    """Each tensor that changes its dtype is named; a load that changes none names none."""
    asked, kept = (ask("load_weights", sound("bf16-sharded"), dtype=dtype) for dtype in ("F16", None))
    assert asked["report"]["cast"] == sorted(asked["tensors"])
    assert kept["report"] == {}


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (step("add_unindexed", _SHARDS[1], "model.stranger", "BF16", (2,)), {"ignored": ["model.stranger"]}),
        (step("write_text", "consolidated.safetensors", "x"), {"ignored": ["consolidated.safetensors"]}),
        (step("set_index_metadata", '{"total_size": 1}'), {"conflicting": ["model.safetensors.index.json"]}),
        (
            step("drop_config", "tie_word_embeddings"),
            {"defaulted": ["tie_word_embeddings is missing: false is taken"]},
        ),
        (step("set_config", "tie_word_embeddings", "true"), {"conflicting": ["lm_head.weight"]}),
    ],
    ids=["omitted", "bystander", "total-size", "default", "different-head"],
)
def test_what_is_odd_is_reported(way: Any, expected: Mapping[str, list[str]], tmp_path: Path, ask: Ask) -> None:
    """What a load leaves out, takes by default or finds in conflict is named: a tensor, a file, or in a sentence."""
    directory = built(Scenario(NAMED["bf16-sharded"], (way,)), tmp_path / "it")
    assert ask("load_weights", directory, dtype=None)["report"] == expected


def test_facts_are_those_of_a_sound_checkpoint_only(tmp_path: Path, ask: Ask) -> None:
    """An analysis that calls the checkpoint unsound is a refusal, with the reason of a load."""
    scenario = Scenario(NAMED["bf16-sharded"], (step("remove_tensor", "model.norm.weight"),))
    answer = ask("describe", built(scenario, tmp_path / "it"))
    assert answer["error"]["reason"] == Reason.MISSING_TENSOR
