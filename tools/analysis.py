"""The facts that an analysis may state of a checkpoint, from the recipe alone. No loader, no torch.

``parameters`` are logical elements, a tied head and an identical stored copy of it once, no buffers, scales and zero
points. ``tensors``, ``bytes``, ``dtypes`` and ``shards`` are of those that a load uses. ``dense_bytes`` is the size of
what a dense load in the checkpoint's own dtypes returns.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.tools.building import shard_plan
from conformance.tools.schemes.scheme import Scheme
from conformance.tools.stored import parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.tools.recipe import Recipe
    from conformance.tools.stored import Parameter

_SCHEMES = {"int8": "ct-int", "fp8": "ct-float"}


def facts_of(recipe: Recipe, held: Iterable[Parameter], cast: str | None = None) -> dict[str, Any]:
    """Every fact.

    Args:
        recipe: What the checkpoint was built from.
        held: Its parameters, without buffers.
        cast: The dtype to which a load casts dense weights of which no dtype was asked; None for as stored.
    """
    held = list(held)
    used = [tensor.spec for each in held for tensor in each.stored if _uses(recipe, each, tensor.spec.name)]
    dtypes: Counter[str] = Counter()
    for spec in used:
        dtypes[spec.dtype] += spec.nbytes
    own_head = any(each.dense.spec.name == "lm_head.weight" for each in held) and recipe.head != "copy"
    counted = [each for each in held if _counts(recipe, each)]
    return {
        "parameters": sum(math.prod(each.dense.spec.shape) for each in counted),
        "tensors": len(used),
        "bytes": sum(dtypes.values()),
        "shards": _files(recipe, {spec.name for spec in used}),
        "scheme": _scheme(recipe),
        "tied": bool(recipe.figures["tie_word_embeddings"]) and not own_head,
        "dtypes": dict(dtypes),
        "dense_bytes": sum(_dense_bytes(each, cast) for each in counted),
    }


def _scheme(recipe: Recipe) -> str:
    how = recipe.quantization
    if how is None:
        return "none"
    return how.feature if isinstance(how, Scheme) else _SCHEMES[how.kind]


def _uses(recipe: Recipe, each: Parameter, name: str) -> bool:
    """Whether a load needs a stored tensor of a parameter."""
    if isinstance(recipe.quantization, Scheme) and len(each.stored) > 1:
        return recipe.quantization.uses(name.removeprefix(each.dense.spec.name.removesuffix("weight")))
    return not name.endswith("input_scale")


def _files(recipe: Recipe, used: set[str]) -> int:
    """How many files hold a tensor that a load uses. Buffers count where the files are cut, and not here."""
    stored = [tensor.spec for each in parameters(recipe) for tensor in each.stored]
    return sum(any(spec.name in used for spec in shard) for shard in shard_plan(recipe, stored))


def _dense_bytes(each: Parameter, cast: str | None) -> int:
    spec, quantized = each.dense.spec, len(each.stored) > 1
    return spec.nbytes if cast is None or quantized else replace(spec, dtype=cast).nbytes


def _counts(recipe: Recipe, each: Parameter) -> bool:
    """Whether a parameter counts: a stored copy of the embedding does not."""
    return not (recipe.head == "copy" and each.dense.spec.name == "lm_head.weight")
