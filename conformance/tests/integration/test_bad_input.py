"""Every way to break a checkpoint: the error that is owed, with where and what, and nothing handed out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import inferno_loader.loader
from conformance.tools import edits
from conformance.tools.broken import BREAKAGES
from conformance.tools.container import Spec, write_file
from conformance.tools.recipe import NAMED, Recipe
from inferno_loader import InfernoError, WeightAnalyzer, load_model, load_state_dict, plan
from inferno_loader.errors import ConfigValueError, MissingFileError, NoWeightsError, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The breakages that an analysis reports as findings: the files are sound, and the tensors do not make the model.
_FOUND_BY_ANALYSIS = {
    "missing_tensor",
    "layer_missing",
    "unexpected_tensor",
    "extra_layer",
    "wrong_shape",
    "vocab_mismatch",
    "wrong_dtype",
    "integer_weight_without_scale",
    "missing_scale",
    "unused_scale",
}
#: Those that only the values of a scale show.
_FOUND_BY_READING = {"nan_scale", "infinite_scale"}

#: Those whose fault lies in one tensor, which the error names; for the others, the file or directory says it all.
_TENSOR = "model.layers.1.self_attn.q_proj.weight"
_TENSORS = {
    "index_promises_absent": _TENSOR,
    "missing_tensor": _TENSOR,
    "layer_missing": "model.layers.5.self_attn.q_proj.weight",
    "unexpected_tensor": "model.layers.1.self_attn.q_norm.weight",
    "wrong_shape": _TENSOR,
    "vocab_mismatch": "model.embed_tokens.weight",
    "wrong_dtype": _TENSOR,
    "integer_weight_without_scale": _TENSOR,
    "missing_scale": _TENSOR,
    "unused_scale": f"{_TENSOR}_scale",
    "nan_scale": f"{_TENSOR}_scale",
    "infinite_scale": f"{_TENSOR}_scale",
}

#: Takes away the rights to a path, loads as somebody who needs them, and prints code, path and remedy of the error.
_LOCKED_OUT = """
import os, sys
from pathlib import Path
from inferno_loader import InfernoError, load_state_dict

directory, *places = map(Path, sys.argv[1:])
load_state_dict(directory)  # imports, from places where nobody may not go, all that a load needs
root = os.geteuid() == 0
for place in places:
    place.chmod(0)
    if root:
        os.seteuid(65534)
    try:
        load_state_dict(directory)
    except InfernoError as error:
        print(error.code, error.path, bool(error.remedy))
    if root:
        os.seteuid(0)
    place.chmod(0o755)
"""


@pytest.fixture
def broken(fresh: Callable[[Recipe], Path]) -> Callable[[str], Path]:
    """Breaks a copy of the checkpoint that a breakage names."""

    def breaking(name: str) -> Path:
        directory = fresh(NAMED[BREAKAGES[name].base])
        BREAKAGES[name].apply(directory)
        return directory

    return breaking


@pytest.mark.parametrize("name", BREAKAGES)
@pytest.mark.parametrize("load", [load_state_dict, load_model], ids=["state_dict", "model"])
@pytest.mark.parametrize("mmap", [False, True], ids=["copied", "mapped"])
def test_every_breakage_has_its_error(name: str, load: Any, mmap: bool, broken: Callable[[str], Path]) -> None:
    """The code is the one owed; path, tensor, what was expected, what was found and the remedy are attributes."""
    directory = broken(name)
    with pytest.raises(InfernoError) as caught:
        load(directory, mmap=mmap)
    error = caught.value
    assert error.code == BREAKAGES[name].expected_code
    assert error.path is not None
    assert error.path.startswith(str(directory))
    assert (error.expected is not None, error.actual is not None, bool(error.remedy)) == (True, True, True)
    if name in _TENSORS:
        assert error.tensor == _TENSORS[name]
    if isinstance(error, ConfigValueError):
        assert error.key


@pytest.mark.parametrize("name", sorted(BREAKAGES.keys() - _FOUND_BY_READING))
def test_no_breakage_comes_as_far_as_a_weight(
    name: str, broken: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What headers and configuration can tell is told before anything is read."""

    def never(*_: object, **__: object) -> None:
        pytest.fail("the reader was called")

    directory = broken(name)
    monkeypatch.setattr(inferno_loader.loader, "read_tensors", never)
    with pytest.raises(InfernoError):
        load_model(directory)


@pytest.mark.parametrize("name", BREAKAGES)
def test_an_analysis_says_what_a_load_would(name: str, broken: Callable[[str], Path]) -> None:
    """Where the files are sound, the analysis stands, and has the error among its findings; otherwise it raises it."""
    directory, code = broken(name), BREAKAGES[name].expected_code
    analyzer = WeightAnalyzer(directory)
    if name in _FOUND_BY_READING:
        assert analyzer.analyze().sound
    elif name in _FOUND_BY_ANALYSIS:
        analysis = analyzer.analyze()
        assert not analysis.sound
        assert code in {finding.code for finding in analysis.findings if finding.severity == "error"}
        assert json.dumps(analysis.to_json())
    else:
        with pytest.raises(InfernoError) as caught:
            analyzer.analyze()
        assert caught.value.code == code


def test_a_scale_that_is_not_finite_leaves_nothing_behind(broken: Callable[[str], Path]) -> None:
    """Half of the tensors have been read when it shows: none of them is handed out."""
    directory = broken("nan_scale")
    calls: list[str] = []
    state: dict[str, Any] = {}
    with pytest.raises(InfernoError):
        state.update(load_state_dict(directory, progress=lambda *call: calls.append(call[2])))
    assert calls
    assert not state


def test_what_may_not_be_read_is_refused(fresh: Callable[[Recipe], Path]) -> None:
    """Permissions are an error with the path at fault, for a directory and what is above it as for a file in it."""
    directory = fresh(NAMED["bf16-single"])
    for parent in (directory, *directory.parents):
        if "pytest-of-" in str(parent):  # those of pytest are its user's alone; what is above them is not ours
            parent.chmod(0o755)
    places = [directory.parent, directory, directory / "model.safetensors", directory / "config.json"]
    run = subprocess.run(
        [sys.executable, "-c", _LOCKED_OUT, str(directory), *map(str, places)],
        capture_output=True,
        text=True,
        check=True,
    )
    # What lies below a directory that may not be searched cannot be told from what it is.
    named = [directory, *places[1:]]
    assert run.stdout.splitlines() == [f"file.unreadable {place} True" for place in named]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, MissingFileError),  # noqa: ARG005
        (lambda path: path.mkdir(), NoWeightsError),
        (lambda path: path.symlink_to("nowhere"), MissingFileError),
        (os.mkfifo, UnreadableFileError),
    ],
    ids=["nothing", "empty directory", "dangling link", "fifo"],
)
def test_a_path_that_leads_to_no_checkpoint(
    make: Callable[[Path], None], error: type[InfernoError], tmp_path: Path
) -> None:
    """Missing, empty, dangling, or something that would block for ever: an error at once."""
    path = tmp_path / "model"
    make(path)
    with pytest.raises(error) as caught:
        load_model(path)
    assert caught.value.path == str(path)


def test_a_shard_that_is_a_fifo_does_not_block(fresh: Callable[[Recipe], Path]) -> None:
    """A shard must be a regular file."""
    directory = fresh(NAMED["bf16-sharded"])
    shard = edits.weight_files(directory)[1]
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(UnreadableFileError) as caught:
        load_state_dict(directory)
    assert caught.value.path == str(shard)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 10**9), ("vocab_size", 2**62), ("hidden_size", 10**12), ("num_attention_heads", 2**40)],
)
def test_sizes_of_the_configuration_allocate_nothing(key: str, value: int, fresh: Callable[[Recipe], Path]) -> None:
    """A number in the configuration is held against the tensors, or refused, before anything is made of it."""
    directory = fresh(NAMED["bf16-single"])
    edits.edit_json(directory / "config.json", lambda config: config.update({key: value}))
    with pytest.raises(InfernoError):
        load_model(directory)


def test_one_tensor_alone_is_no_model(tmp_path: Path) -> None:
    """What is missing is counted and named, in the words of layers, whatever the size of the model."""
    write_file(tmp_path / "model.safetensors", [Spec("model.norm.weight", "BF16", (54,))], lambda _: [bytes(108)])
    (tmp_path / "config.json").write_text(json.dumps(NAMED["bf16-single"].config_json()), encoding="utf-8")
    with pytest.raises(InfernoError) as caught:
        plan(tmp_path)
    assert caught.value.code == "plan.missing"
    # 12 layers of 9, the embedding, and the head that it would serve as.
    assert "110 tensors" in caught.value.problem
    assert "model.layers.{0-11}.self_attn.q_proj.weight" in str(caught.value.expected)
    assert caught.value.actual == "not stored"
