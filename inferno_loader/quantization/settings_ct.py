"""The block of compressed-tensors: groups, their targets and arguments, what is left dense, and what is refused.

Sources: https://github.com/vllm-project/compressed-tensors (``quantization/quant_args.py``, ``quant_config.py``,
``quant_scheme.py``, ``utils/match.py``). No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from inferno_loader.errors import UnknownSchemeError
from inferno_loader.quantization.agreement import FORMATS
from inferno_loader.quantization.family import Strategy, WeightArgs
from inferno_loader.quantization.refused import refused_format
from inferno_loader.quantization.targets import matches, rank

if TYPE_CHECKING:
    from inferno_loader.quantization.block import BlockReader

METHOD = "compressed-tensors"
#: Places of a transform that its writer has multiplied into the weights. Those of all others act beside the weights.
_FUSED = ("weight_input", "weight_output")
#: The sparsity formats that are read.
_SPARSE = ("sparse-24-bitmask", "sparse-bitmask")


def _preset(
    kind: Literal["int", "float"],
    strategy: Strategy,
    *,
    bits: int = 8,
    symmetric: bool = True,
    group_size: int | None = None,
    block: tuple[int, int] | None = None,
) -> WeightArgs:
    return WeightArgs(METHOD, bits, kind, strategy, symmetric, group_size, block)


_NVFP4 = _preset("float", "tensor_group", bits=4, group_size=16)
_MXFP4 = _preset("float", "group", bits=4, group_size=32)
#: Presets that a config group may name instead of spelling out its arguments (``quantization/quant_scheme.py``).
_PRESETS: Mapping[str, WeightArgs] = {
    "W8A8": _preset("int", "channel"),
    "INT8": _preset("int", "channel"),
    "W8A16": _preset("int", "channel"),
    "FP8": _preset("float", "tensor"),
    "FP8_DYNAMIC": _preset("float", "channel"),
    "FP8_BLOCK": _preset("float", "block", block=(128, 128)),
    "W4A16": _preset("int", "group", bits=4, group_size=128),
    "W4A16_ASYM": _preset("int", "group", bits=4, group_size=128, symmetric=False),
    "NVFP4": _NVFP4,
    "NVFP4A16": _NVFP4,
    "MXFP4": _MXFP4,
    "MXFP4A16": _MXFP4,
    "MXFP8": _preset("float", "group", group_size=32),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Targets, and what is said of the weights that they hit; None leaves these alone."""

    targets: tuple[str, ...]
    args: WeightArgs | None


@dataclass(frozen=True, slots=True)
class Groups:
    """A block of compressed-tensors.

    Attributes:
        groups: Targets and their arguments.
        ignore: Modules left dense.
        sparse: Whether weights may be stored as what is kept, and a mask.
    """

    groups: tuple[Group, ...] = ()
    ignore: tuple[str, ...] = ()
    sparse: bool = False

    def args_for(self, module: str) -> WeightArgs | None:
        """An exact name beats a regular expression, which beats a class name; ``ignore`` beats all."""
        if any(matches(target, module) for target in self.ignore):
            return None
        ranked = sorted(
            (rank(target), target, number)
            for number, group in enumerate(self.groups)
            for target in group.targets
            if matches(target, module)
        )
        return self.groups[ranked[0][2]].args if ranked else None


def read_groups(reader: BlockReader, block: Mapping[str, Any]) -> Groups:
    """Read a block.

    Raises:
        UnknownSchemeError: A format that is not read, or arithmetic that is not in the weights.
        ConfigValueError: A value has the wrong type.
    """
    sparse = _sparse(reader, block)
    if online := _online(reader, block.get("transform_config") or {}):
        raise _beside(reader, f"transform_config at {online}")
    form = _format(reader, block.get("format"), "format")
    version = block.get("version")
    common = WeightArgs(
        format=None if form == "mixed-precision" else form, version=version if isinstance(version, str) else None
    )
    groups = reader.mapping(block.get("config_groups") or {}, "config_groups")
    return Groups(
        tuple(_group(reader, name, group, common) for name, group in groups.items()),
        reader.targets(block.get("ignore") or [], "ignore"),
        sparse,
    )


def _sparse(reader: BlockReader, block: Mapping[str, Any]) -> bool:
    sparsity = block.get("sparsity_config") or {}
    form = sparsity.get("format") if isinstance(sparsity, Mapping) else sparsity
    if form in (None, "dense", ""):
        return False
    if form not in _SPARSE:
        raise _beside(reader, f"sparsity_config of format {str(form)[:80]}")
    return True


def _beside(reader: BlockReader, actual: str) -> UnknownSchemeError:
    return UnknownSchemeError(
        "the configuration asks for transforms or sparse packing, which this loader does not read",
        path=reader.path,
        expected=f"dense weights with scales, or {' or '.join(_SPARSE)}",
        actual=actual,
        remedy="decompress the checkpoint with compressed-tensors first",
    )


def _online(reader: BlockReader, transforms: Any) -> str:
    """The first place at which a transform acts that is not in the weights already; empty where there is none."""
    key = "transform_config"
    groups = reader.mapping(transforms, key).get("config_groups") or {}
    for group in reader.mapping(groups, f"{key}.config_groups").values():
        for apply in reader.sequence(reader.mapping(group, key).get("apply") or [], f"{key}.apply"):
            location = reader.mapping(apply, f"{key}.apply").get("location")
            if location not in _FUSED:
                return str(location)
    return ""


def _format(reader: BlockReader, value: Any, key: str) -> str | None:
    """The word of a layout, held against those that are known; None for none."""
    form = reader.word(value, key)
    if form is None or form in FORMATS or (form == "mixed-precision" and key == "format"):
        return form
    if error := refused_format(form, reader.path):
        raise error
    raise reader.unread(", ".join(FORMATS), f"format {form[:80]}", "load it with compressed-tensors, and save it dense")


def _group(reader: BlockReader, name: str, group: Any, common: WeightArgs) -> Group:
    key = f"config_groups.{name}"
    if isinstance(group, list):
        args = _PRESETS.get(name.upper(), WeightArgs())
        return Group(reader.targets(group, key), replace(args, format=common.format, version=common.version))
    fields = reader.mapping(group, key)
    weights = fields.get("weights")
    form = _format(reader, fields.get("format"), f"{key}.format") or common.format
    return Group(
        reader.targets(fields.get("targets") or ["Linear"], f"{key}.targets"),
        None
        if weights is None
        else replace(
            _args(reader, reader.mapping(weights, f"{key}.weights"), f"{key}.weights"),
            format=form,
            version=common.version,
        ),
    )


def _args(reader: BlockReader, weights: Mapping[str, Any], key: str) -> WeightArgs:
    """The arguments of a weight. Absent keys have the defaults of the writer, ``QuantizationArgs``."""
    group_size = weights.get("group_size")
    strategy = weights.get("strategy")
    if strategy is None:
        strategy = "tensor" if group_size is None else "channel" if group_size == -1 else "group"
    if strategy not in get_args(Strategy):
        raise reader.bad(f"{key}.strategy", ", ".join(get_args(Strategy)), strategy)
    kind = weights.get("type", "int")
    if kind not in ("int", "float"):
        raise reader.bad(f"{key}.type", "int or float", kind)
    sized = strategy == "group" or (strategy == "tensor_group" and group_size is not None)
    return WeightArgs(
        bits=reader.integer(weights.get("num_bits", 8), f"{key}.num_bits"),
        type=kind,
        strategy=cast("Strategy", strategy),
        symmetric=weights.get("symmetric", True) is not False,
        group_size=reader.integer(group_size, f"{key}.group_size") if sized else None,
        block=reader.block(weights.get("block_structure"), f"{key}.block_structure"),
    )
