"""What a base will hold, without building it: its files, and the tensors in each. What edits are drawn for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from conformance.tools.building import shard_plan
from conformance.tools.container import header_bytes
from conformance.tools.recipe import DEFAULT_CONFIG, Recipe
from conformance.tools.shardplan import shard_names
from conformance.tools.stored import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.tools.container import Spec
    from conformance.tools.tensor_file import TensorFile

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a base.

    Attributes:
        files: The tensors of each weight file, in no special order.
        headers: The header of each, as it will be written, without padding.
        others: The other files.
        keys: The keys of the configuration.
    """

    files: Mapping[str, tuple[Spec, ...]]
    headers: Mapping[str, str]
    others: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors."""
        return tuple(spec.name for specs in self.files.values() for spec in specs)

    def entries(self, file: str) -> dict[str, str]:
        """The text of each entry of a file, by the name of its tensor, as it stands in the header."""
        header = json.loads(self.headers[file])
        return {name: _text(name, entry) for name, entry in header.items() if name != "__metadata__"}


def _text(name: str, entry: object) -> str:
    return json.dumps({name: entry}, ensure_ascii=False, separators=(",", ":"))[1:-1]


@lru_cache(maxsize=64)
def _of_recipe(key: str, recipe: Recipe) -> Place:  # noqa: ARG001 - the key stands for the recipe, which has no hash
    specs = [tensor.spec for each in parameters(recipe) for tensor in each.stored]
    plan = shard_plan(recipe, specs)
    files = ["consolidated.safetensors"] if recipe.dialect == "meta" else shard_names(len(plan))
    indexed = len(plan) > 1 and recipe.layout.kind != "indexless"
    return Place(
        {file: tuple(part) for file, part in zip(files, plan, strict=True)},
        {file: header_bytes(part, recipe.rule).decode().strip() for file, part in zip(files, plan, strict=True)},
        ("config.json", "generation_config.json", *([INDEX] if indexed else [])),
        tuple(DEFAULT_CONFIG),
    )


def place_of(base: Recipe | TensorFile) -> Place:
    """What a base will hold."""
    if isinstance(base, Recipe):
        return _of_recipe(base.key(), base)
    metadata = None if base.metadata is None else dict(base.metadata)
    header = header_bytes(base.specs, base.rule, metadata).decode().strip()
    return Place({base.name: base.specs}, {base.name: header}, (), ())
