"""The edits that checkpoints are broken with read and write sound files themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from conformance.tools.digest import manifest
from conformance.tools.edits import find, names, read_tensors, remove, store, weight_files
from conformance.tools.recipe import NAMED, build

if TYPE_CHECKING:
    from pathlib import Path

_QUERY = "model.layers.1.self_attn.q_proj.weight"


def test_edits_read_what_the_reference_reads(tmp_path: Path) -> None:
    """Our own reader of whole files gives the names, shapes and bytes that the safetensors library gives."""
    build(NAMED["f32"], tmp_path)
    for path in weight_files(tmp_path):
        ours, theirs = read_tensors(path), load_file(path)
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert np.array_equal(theirs[name], np.frombuffer(tensor.data, "<f4").reshape(tensor.spec.shape))


@pytest.mark.parametrize("base", ["bf16-single", "bf16-sharded"])
def test_a_tensor_that_is_removed_is_gone_from_files_and_index(base: str, tmp_path: Path) -> None:
    """Neither a file nor the index knows it any more, all others stay, and it is not found."""
    build(NAMED[base], tmp_path)
    before = names(tmp_path)
    remove(tmp_path, _QUERY)
    assert names(tmp_path) == [name for name in before if name != _QUERY]
    assert all(_QUERY.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    with pytest.raises(KeyError, match="q_proj"):
        find(tmp_path, _QUERY)


def test_a_tensor_that_is_stored_again_restores_the_file(tmp_path: Path) -> None:
    """Removed and put back, the checkpoint is the same byte for byte."""
    build(NAMED["bf16-single"], tmp_path)
    before = manifest(tmp_path)
    _, tensor = find(tmp_path, _QUERY)
    remove(tmp_path, _QUERY)
    store(tmp_path, tensor)
    assert manifest(tmp_path) == before
