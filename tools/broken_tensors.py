"""Ways to break what the files of a checkpoint say together: shards, index, tensors, scales, configuration. No loader.

Each function breaks a sound directory in place, in one way only; `broken` lists them with the error that they call for.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.tools.container import Spec
from conformance.tools.edits import (
    INDEX_FILE,
    edit_header,
    edit_json,
    find,
    names,
    read_tensors,
    remove,
    store,
    weight_files,
    write_tensors,
)
from conformance.tools.stored import Tensor
from conformance.tools.values import encode_values, tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_QUERY = "model.layers.1.self_attn.q_proj"
_CONFIG = "config.json"


def missing_shard(directory: Path) -> None:
    """A shard that the index names is not there."""
    weight_files(directory)[1].unlink()


def shard_gap(directory: Path) -> None:
    """Of the shards without an index, one in the middle is not there."""
    weight_files(directory)[1].unlink()


def ambiguous_single_and_index(directory: Path) -> None:
    """Beside the index and its shards there is a whole ``model.safetensors``."""
    merged: dict[str, Tensor] = {}
    for path in weight_files(directory):
        merged.update(read_tensors(path))
    write_tensors(directory / "model.safetensors", merged)


def duplicate_across_shards(directory: Path) -> None:
    """Two shards without an index hold a tensor of the same name, with other values."""
    first, second = weight_files(directory)[:2]
    name, tensor = next(iter(read_tensors(first).items()))
    rotated = replace(tensor, data=tensor.data[2:] + tensor.data[:2])
    write_tensors(second, {**read_tensors(second), name: rotated})


def index_promises_absent(directory: Path) -> None:
    """The index says that a tensor lies in a shard that does not hold it."""

    def change(index: dict[str, Any]) -> None:
        placed = index["weight_map"]
        placed[f"{_QUERY}.weight"] = next(
            shard for _, shard in sorted(placed.items()) if shard != placed[f"{_QUERY}.weight"]
        )

    edit_json(directory / INDEX_FILE, change)


def index_parent_path(directory: Path) -> None:
    """The index names a shard in the parent directory."""
    _prefix_shard(directory, "../")


def index_absolute_path(directory: Path) -> None:
    """The index names a shard by an absolute path."""
    _prefix_shard(directory, "/")


def bad_json_index(directory: Path) -> None:
    """The text of the index ends half-way."""
    path = directory / INDEX_FILE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def missing_tensor(directory: Path) -> None:
    """One weight is nowhere."""
    remove(directory, f"{_QUERY}.weight")


def unexpected_tensor(directory: Path) -> None:
    """A tensor is stored that Llama has no place for."""
    name = "model.layers.1.self_attn.q_norm.weight"
    store(directory, Tensor(Spec(name, "BF16", (10,)), tensor_bytes(name, "BF16", (10,))))


def layer_missing(directory: Path) -> None:
    """A layer in the middle is nowhere."""
    remove(directory, *(name for name in names(directory) if name.startswith("model.layers.5.")))


def extra_layer(directory: Path) -> None:
    """There is one layer more than the configuration says: a copy of the last one."""
    count = json.loads((directory / _CONFIG).read_text(encoding="utf-8"))["num_hidden_layers"]
    last, extra = f"model.layers.{count - 1}.", f"model.layers.{count}."
    copied = [find(directory, name)[1] for name in names(directory) if name.startswith(last)]
    renamed = [replace(copy, spec=replace(copy.spec, name=copy.spec.name.replace(last, extra))) for copy in copied]
    store(directory, *renamed)


def wrong_shape(directory: Path) -> None:
    """A matrix is stored with its axes exchanged."""
    path, _ = find(directory, f"{_QUERY}.weight")
    edit_header(path, lambda header: header[f"{_QUERY}.weight"]["shape"].reverse())


def wrong_dtype(directory: Path) -> None:
    """A dense weight is stored as I32."""
    _restore_as(directory, "I32")


def integer_weight_without_scale(directory: Path) -> None:
    """A weight is stored as I8 in a dense checkpoint, without a scale."""
    _restore_as(directory, "I8")


def missing_scale(directory: Path) -> None:
    """A quantized weight has no scale."""
    remove(directory, f"{_QUERY}.weight_scale")


def unused_scale(directory: Path) -> None:
    """A scale stands beside a dense weight."""
    _, weight = find(directory, f"{_QUERY}.weight")
    name, shape = f"{_QUERY}.weight_scale", (weight.spec.shape[0], 1)
    store(directory, Tensor(Spec(name, "BF16", shape), tensor_bytes(name, "BF16", shape)))


def nan_scale(directory: Path) -> None:
    """The first element of a scale is not a number."""
    _poison_scale(directory, math.nan)


def infinite_scale(directory: Path) -> None:
    """The first element of a scale is infinite."""
    _poison_scale(directory, math.inf)


def unknown_scheme(directory: Path) -> None:
    """The configuration names a method of quantization that does not exist."""
    _edit_config(directory, lambda config: config["quantization_config"].update(quant_method="abacus"))


def unknown_rope_type(directory: Path) -> None:
    """The configuration names a rope type that does not exist."""
    _edit_config(directory, lambda config: config.update(rope_scaling={"rope_type": "spiral", "factor": 2.0}))


def vocab_mismatch(directory: Path) -> None:
    """The configuration has one token more than the embedding has rows."""
    _edit_config(directory, lambda config: config.update(vocab_size=config["vocab_size"] + 1))


def heads_not_divisible(directory: Path) -> None:
    """The key-value heads do not divide the heads."""
    _edit_config(directory, lambda config: config.update(num_key_value_heads=config["num_attention_heads"] - 1))


def config_missing(directory: Path) -> None:
    """There is no configuration."""
    (directory / _CONFIG).unlink()


def config_not_json(directory: Path) -> None:
    """The text of the configuration ends half-way."""
    path = directory / _CONFIG
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _edit_config(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    edit_json(directory / _CONFIG, change)


def _prefix_shard(directory: Path, prefix: str) -> None:
    shard = weight_files(directory)[0].name

    def change(index: dict[str, Any]) -> None:
        placed = index["weight_map"]
        placed.update({name: prefix + shard for name, where in placed.items() if where == shard})

    edit_json(directory / INDEX_FILE, change)


def _restore_as(directory: Path, dtype: str) -> None:
    _, weight = find(directory, f"{_QUERY}.weight")
    spec = replace(weight.spec, dtype=dtype)
    store(directory, Tensor(spec, tensor_bytes(spec.name, spec.dtype, spec.shape)))


def _poison_scale(directory: Path, value: float) -> None:
    _, scale = find(directory, f"{_QUERY}.weight_scale")
    poison = encode_values(np.array([value]), scale.spec.dtype)
    store(directory, replace(scale, data=poison + scale.data[len(poison) :]))
