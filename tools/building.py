"""Builds the directory of a recipe, and the digests that any loader is judged by. No loader, no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.tools.container import PT_METADATA, write_file
from conformance.tools.digest import digest
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.shardplan import by_count, by_size, index_text, shard_names, shuffled
from conformance.tools.stored import decode, dense_specs, parameter, parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from conformance.tools.container import Spec
    from conformance.tools.encode import FloatDtype
    from conformance.tools.recipe import Recipe
    from conformance.tools.stored import Parameter, Tensor

_META_FILE = "consolidated.safetensors"
_INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a tensor must be: its dtype in the container's words, its shape, and `digest.digest` over all of it."""

    dtype: str
    shape: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Built:
    """A checkpoint that has been built, and what is known of it.

    Attributes:
        directory: Where it lies.
        recipe: What it was built from.
        config: The contents of ``config.json``.
        files: The names of the files that hold tensors, in order.
        nbytes: Bytes of tensor data.
        expected: Every tensor as stored, by its stored name.
        dense: Every parameter as a loader must hand it out, by its Hugging Face name: dequantized, rows in the half
            layout. Not here: a head that is not stored, and stored ``inv_freq`` buffers, which are no parameters.
    """

    directory: Path
    recipe: Recipe
    config: Mapping[str, Any]
    files: tuple[str, ...]
    nbytes: int
    expected: Mapping[str, Expected]
    dense: Mapping[str, Expected]

    def values(self, name: str, dtype: FloatDtype | None = None) -> NDArray[np.float64]:
        """The values of a dense parameter, by its Hugging Face name, computed anew from the recipe.

        Args:
            name: A key of `dense`.
            dtype: What a quantized weight is rounded to when it is dequantized; None as in `dense`. A loader that was
                asked for float32 owes the values of ``F32``, or those of `dense` widened.

        Raises:
            KeyError: There is no such parameter.
        """
        specs = {spec.name: spec for spec in dense_specs(self.recipe)}
        return decode(parameter(self.recipe, specs[name], dtype).dense)


def build(recipe: Recipe, directory: Path) -> Built:
    """Builds `recipe` in `directory`, the same bytes every time.

    The tensors are held in memory whole while the files are written: recipes are small.

    Args:
        recipe: What to build.
        directory: Where; it and its parents are made. It should be empty, for nothing in it is removed.

    Raises:
        ValueError: The sizes do not fit the layout or the quantization.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held = list(parameters(recipe))
    stored = {tensor.spec.name: tensor for each in held for tensor in each.stored}
    dense: dict[str, Expected] = {}
    for each in held:
        if not each.dense.spec.name.endswith(".inv_freq"):
            dense[each.dense.spec.name] = _expected(each.dense)
    files = _write_weights(recipe, directory, held)
    _write_json(directory / "config.json", recipe.config_json())
    _write_json(directory / "generation_config.json", _generation(recipe))
    for name, content in _beside(recipe, held).items():
        _write_json(directory / name, content)
    expected = {name: _expected(tensor) for name, tensor in stored.items()}
    nbytes = sum(len(tensor.data) for tensor in stored.values())
    return Built(directory, recipe, recipe.config_json(), files, nbytes, expected, dense)


def _write_weights(recipe: Recipe, directory: Path, held: Sequence[Parameter]) -> tuple[str, ...]:
    stored = {tensor.spec.name: tensor for each in held for tensor in each.stored}
    plan = shard_plan(recipe, [tensor.spec for tensor in stored.values()])
    names = [_META_FILE] if recipe.dialect == "meta" else shard_names(len(plan))
    for name, specs in zip(names, plan, strict=True):
        data = {spec.name: stored[spec.name].data for spec in specs}
        write_file(directory / name, specs, data, rule=recipe.rule, metadata=_metadata(recipe, held, data))
    if len(plan) > 1 and recipe.layout.kind != "indexless":
        (directory / _INDEX_FILE).write_text(index_text(plan, names), encoding="utf-8")
    return tuple(names)


def _metadata(recipe: Recipe, held: Sequence[Parameter], data: Collection[str]) -> Mapping[str, str]:
    """What the header of the file that holds the tensors `data` says beside them."""
    if not isinstance(recipe.quantization, Scheme):
        return PT_METADATA
    parts = {each.dense.spec.name: tuple(part for part in each.stored if part.spec.name in data) for each in held}
    return {**PT_METADATA, **recipe.quantization.metadata({name: part for name, part in parts.items() if part})}


def _beside(recipe: Recipe, held: Sequence[Parameter]) -> dict[str, Any]:
    if not isinstance(recipe.quantization, Scheme):
        return {}
    quantized = (each.dense.spec.name.removesuffix(".weight") for each in held if len(each.stored) > 1)
    return recipe.quantization.beside(tuple(quantized))


def shard_plan(recipe: Recipe, specs: Sequence[Spec]) -> list[list[Spec]]:
    """The tensors of each file, as the layout of the recipe cuts them."""
    kind, number = recipe.layout.kind, recipe.layout.number
    if kind == "by_size":
        return by_size(specs, number)
    if kind == "shuffled":
        return shuffled(specs, number, recipe.seed)
    return by_count(specs, 1 if kind == "single" else number)


def _generation(recipe: Recipe) -> dict[str, Any]:
    figures = recipe.figures
    return {
        "_from_model_config": True,
        "bos_token_id": figures["bos_token_id"],
        "eos_token_id": figures["eos_token_id"],
        "transformers_version": "5.23.0",
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _expected(tensor: Tensor) -> Expected:
    return Expected(tensor.spec.dtype, tensor.spec.shape, digest(tensor.spec.dtype, tensor.spec.shape, tensor.data))
