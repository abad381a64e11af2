"""Three models by name: the real ones where they are, else their twins, and the report says which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from conformance.tests.real_models.conftest import THREE
from conformance.tests.real_models.spans import spans
from conformance.tools.twins import probe
from inferno_loader import analyze, load_model, load_state_dict, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tests.real_models.conftest import Checkpoint

_EDGE = 64
_EACH = pytest.mark.parametrize("checkpoint", THREE, indirect=True)
_SMALL = pytest.mark.parametrize("checkpoint", [name for name in THREE if "8B" not in name], indirect=True)


@_EACH
def test_parameters_are_the_published_ones(checkpoint: Checkpoint) -> None:
    """The analyzer counts the parameters of the model: no scale, and a tied head once."""
    assert analyze(checkpoint.directory).parameters == checkpoint.figures["parameters"]


@_EACH
def test_bytes_are_those_of_the_headers(checkpoint: Checkpoint) -> None:
    """The analyzer's bytes are the sum over the headers, less a head that is tied; those of a twin are on record."""
    stored = {name: span.nbytes for name, span in spans(checkpoint.directory).items()}
    assert checkpoint.real or sum(stored.values()) == checkpoint.figures["payload_bytes"]
    tied = json.loads((checkpoint.directory / "config.json").read_text())["tie_word_embeddings"]
    used = {name: nbytes for name, nbytes in stored.items() if not (tied and name == "lm_head.weight")}
    assert analyze(checkpoint.directory).nbytes == sum(used.values())


@_EACH
def test_planned_memory_is_two_bytes_a_parameter(checkpoint: Checkpoint) -> None:
    """A load as BF16 is planned to take two bytes a parameter, exactly."""
    assert plan(checkpoint.directory, dtype="bfloat16").weight_bytes == 2 * checkpoint.figures["parameters"]


@_EACH
def test_mapped_model_is_whole_and_takes_no_memory(
    checkpoint: Checkpoint, directory_of: Callable[[str], Path], grown: Callable[..., int]
) -> None:
    """A mapped load fills every parameter, and costs next to no memory as long as no weight is touched."""
    model = load_model(checkpoint.directory, mmap=True, dequantize=False)
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    warm_up = directory_of("w8a8")
    assert grown(checkpoint.directory, warm_up=warm_up, touched=False, mmap=True, dequantize=False) < 64 << 20


@_SMALL
def test_resident_memory_is_as_predicted(
    checkpoint: Checkpoint, directory_of: Callable[[str], Path], grown: Callable[..., int]
) -> None:
    """The growth of a process whose weights have all been touched is the predicted one, within 2 %."""
    predicted = analyze(checkpoint.directory).weight_bytes(dequantize=False)
    measured = grown(checkpoint.directory, warm_up=directory_of("w8a8"), dequantize=False)
    assert measured == pytest.approx(predicted, rel=0.02)


@_EACH
def test_both_ends_of_every_tensor_are_those_of_the_file(checkpoint: Checkpoint) -> None:
    """The first and last elements of every tensor are the bytes at their offsets, beyond 4 GiB too."""
    loaded = load_state_dict(checkpoint.directory, names="huggingface", mmap=True, dequantize=False)
    stored = spans(checkpoint.directory)
    assert loaded.keys() >= stored.keys()
    different = [
        name
        for name, span in stored.items()
        if _bytes(loaded[name], 0, _EDGE) != span.read(0, min(_EDGE, span.elements))
        or _bytes(loaded[name], -_EDGE, None) != span.read(max(0, span.elements - _EDGE), _EDGE)
    ]
    assert different == []


@pytest.mark.parametrize("name", THREE)
def test_both_ends_of_every_tensor_are_those_of_the_recipe(name: str, twin_of: Callable[[str], Checkpoint]) -> None:
    """A twin's tensors have at both ends the values of their closed form, whatever the offsets say."""
    twin = twin_of(name)
    loaded = load_state_dict(twin.directory, names="huggingface", mmap=True, dequantize=False)
    different = [
        tensor
        for tensor in spans(twin.directory)
        for first, piece in probe(twin.model, tensor)
        if _bytes(loaded[tensor], first, first + len(piece) // loaded[tensor].element_size()) != piece
    ]
    assert different == []


def _bytes(tensor: torch.Tensor, first: int, end: int | None) -> bytes:
    return tensor.reshape(-1)[first:end].contiguous().view(torch.uint8).numpy().tobytes()
