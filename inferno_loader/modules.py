"""The tensors of a checkpoint, sorted into the modules of a Llama. No torch.

Every stored name is translated to Hugging Face's; what belongs to a module stands there by its suffix, and what belongs
to none is kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.errors import NameCollisionError
from inferno_loader.names import detect_dialect, lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inferno_loader.checkpoint import Checkpoint, StoredTensor
    from inferno_loader.names import Dialect

#: Tensors that no weight needs: buffers that are computed, and scales of activations and of the key-value cache.
TOLERATED_SUFFIXES = frozenset(
    {
        "inv_freq", "input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point",
        "activation_scale", "input_scale_ub",
        "k_scale", "v_scale", "q_scale", "kv_scale", "k_zero_point", "v_zero_point", "q_zero_point",
    },
)  # fmt: skip

#: Dots in the longest suffix, and one to spare: names of a million dots are looked at no longer than others.
_MOST_DOTS = 4

#: Parts of a suffix that mark a tensor as the scale of something.
_SCALE_WORDS = ("scale", "zero_point", "absmax", "qzeros", "g_idx", "SCB", "quant_map", "quant_state")
#: Whole last parts that do: zero points of HQQ and of quanto.
_ZERO_WORDS = frozenset({"zero", "_shift"})


@dataclass(frozen=True, slots=True)
class Modules:
    """A checkpoint by module.

    Attributes:
        dialect: How the names are stored.
        parts: The tensors of each known module, by suffix.
        tolerated: Tensors that no weight needs and that do no harm.
        strangers: Tensors that belong to no module of the model.
        suffixes: What the name of each tensor has behind its module, by stored name; none for strangers.
    """

    dialect: Dialect
    parts: Mapping[str, Mapping[str, StoredTensor]]
    tolerated: tuple[StoredTensor, ...]
    strangers: tuple[StoredTensor, ...]
    suffixes: Mapping[str, str]


def sort_modules(checkpoint: Checkpoint, known: Iterable[str]) -> Modules:
    """Sort the tensors of `checkpoint` into the modules of the `known` parameters, Hugging Face names.

    Raises:
        NameCollisionError: Two stored tensors have one name in Hugging Face's terms.
        TensorNameError: No stored name belongs to any dialect.
    """
    dialect = detect_dialect(checkpoint.tensors)
    modules = {name.rpartition(".")[0] for name in known}
    parts: dict[str, dict[str, StoredTensor]] = {}
    tolerated: list[StoredTensor] = []
    strangers: list[StoredTensor] = []
    suffixes: dict[str, str] = {}
    for stored in checkpoint.tensors.values():
        name = _huggingface(stored.name, dialect)
        module, suffix = split_name(name, modules)
        if is_tolerated(name):
            tolerated.append(stored)
            continue
        if module is None:
            strangers.append(stored)
            continue
        suffixes[stored.name] = suffix
        if (other := parts.setdefault(module, {}).setdefault(suffix, stored)) is not stored:
            raise _collision(other, stored, name)
    return Modules(dialect, parts, tuple(tolerated), tuple(strangers), suffixes)


def is_tolerated(name: str) -> bool:
    """Whether a tensor of this name is needed by no weight, and does no harm."""
    return name.rpartition(".")[2] in TOLERATED_SUFFIXES or name == "rope_freqs.weight"


def is_scale(suffix: str) -> bool:
    """Whether a tensor of this suffix is the scale, or a companion, of something quantized."""
    return suffix.rpartition(".")[2] in _ZERO_WORDS or any(word in suffix for word in _SCALE_WORDS)


def split_name(name: str, modules: set[str]) -> tuple[str | None, str]:
    """The module among `modules` to which `name` belongs, and the rest; None where there is none.

    A suffix may hold dots itself: ``weight.quant_state.bitsandbytes__nf4``.
    """
    cut = len(name)
    for _ in range(_MOST_DOTS):
        cut = name.rfind(".", 0, cut)
        if cut > 0 and name[:cut] in modules:
            return name[:cut], name[cut + 1 :]
    return None, name


def _huggingface(name: str, dialect: Dialect) -> str:
    """The name in Hugging Face's terms; a name outside the table stays, and belongs to no module."""
    if dialect == "huggingface":
        return name
    return lookup(name, dialect, "huggingface") or name


def _collision(first: StoredTensor, second: StoredTensor, name: str) -> NameCollisionError:
    return NameCollisionError(
        "two stored tensors map to one name",
        path=second.shard.path,
        tensor=second.name,
        expected=f"one tensor for {name}",
        actual=f"{first.name} and {second.name}",
        remedy="the checkpoint mixes two layouts: remove one of them",
    )
