"""What the configuration says of quantization: the method, and the arguments of each module. No torch.

Only the block of compressed-tensors is read in full; of other methods the name and the number of bits. Sources:
https://github.com/vllm-project/compressed-tensors (``quantization/quant_args.py``, ``quant_config.py``,
``utils/match.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from inferno_loader.errors import ConfigValueError, UnknownSchemeError

Strategy = Literal["tensor", "channel", "group", "block", "token", "tensor_group", "attn_head"]

#: Methods of which this loader, or a later version of it, knows the layout.
KNOWN_METHODS = (
    "compressed-tensors", "gptq", "awq", "bitsandbytes", "fp8", "fbgemm_fp8", "modelopt", "mxfp4", "torchao", "quanto",
    "hqq", "gguf",
)  # fmt: skip

#: Presets that a config group may name instead of spelling out its arguments: bits, type and strategy of the weights.
_PRESETS: Mapping[str, tuple[int, Literal["int", "float"], Strategy]] = {
    "W8A8": (8, "int", "channel"),
    "INT8": (8, "int", "channel"),
    "W8A16": (8, "int", "channel"),
    "FP8": (8, "float", "tensor"),
    "FP8_DYNAMIC": (8, "float", "channel"),
    "FP8_BLOCK": (8, "float", "block"),
    "W4A16": (4, "int", "group"),
}


@dataclass(frozen=True, slots=True)
class WeightArgs:
    """What the configuration says of one weight. None is silence.

    Attributes:
        bits: Bits of a code.
        type: ``int`` or ``float`` codes.
        strategy: How far one scale reaches.
        symmetric: Whether there is no zero point.
        group_size: Columns that share a scale, for the strategy ``group``.
        block: Rows and columns that share a scale, for the strategy ``block``.
    """

    bits: int | None = None
    type: Literal["int", "float"] | None = None
    strategy: Strategy | None = None
    symmetric: bool | None = None
    group_size: int | None = None
    block: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    targets: tuple[str, ...]
    args: WeightArgs | None


@dataclass(frozen=True, slots=True)
class QuantizationSettings:
    """The quantization block of a configuration.

    Attributes:
        method: ``quant_method`` in lower case.
        format: The format that compressed-tensors names, or None.
        groups: Targets and their arguments.
        ignore: Modules left dense.
        bits: Bits of a code where one number speaks for all modules.
    """

    method: str
    format: str | None = None
    groups: tuple[_Group, ...] = ()
    ignore: tuple[str, ...] = ()
    bits: int | None = None

    def args_for(self, module: str) -> WeightArgs | None:
        """What the configuration says of the Linear `module`; None where it leaves it dense.

        An exact name beats a regular expression, which beats a class name; ``ignore`` beats all.
        """
        if self.method != "compressed-tensors":
            return WeightArgs(bits=self.bits)
        if any(_matches(target, module) for target in self.ignore):
            return None
        ranked = sorted(
            (_rank(target), target, number)
            for number, group in enumerate(self.groups)
            for target in group.targets
            if _matches(target, module)
        )
        return self.groups[ranked[0][2]].args if ranked else None


def _rank(target: str) -> int:
    return 1 if target.startswith("re:") else 2 if target == "Linear" else 0


def _matches(target: str, module: str) -> bool:
    """A full module name, ``re:`` and an expression anchored at the start only, or the class name Linear."""
    if target.startswith("re:"):
        return re.match(target[3:], module) is not None
    return target in (module, "Linear")


def read_settings(block: Mapping[str, Any] | None) -> QuantizationSettings | None:
    """Read the quantization block of a configuration, None where there is none.

    Raises:
        UnknownSchemeError: The method is not known, or asks for arithmetic that is not in the weights.
        ConfigValueError: A value has the wrong type.
    """
    if block is None:
        return None
    method = _method(block)
    if method not in KNOWN_METHODS:
        raise UnknownSchemeError(
            "the configuration names an unknown quantization method",
            expected=", ".join(KNOWN_METHODS),
            actual=method,
            remedy="load it with the library that wrote it, or dequantize it there",
        )
    if method != "compressed-tensors":
        return QuantizationSettings(method, bits=_bits(block))
    _reject_unread(block)
    groups = _mapping(block.get("config_groups") or {}, "config_groups")
    form = block.get("format")
    return QuantizationSettings(
        method,
        format=form if isinstance(form, str) else None,
        groups=tuple(_group(name, group) for name, group in groups.items()),
        ignore=tuple(str(name) for name in _sequence(block.get("ignore") or [], "ignore")),
    )


def _method(block: Mapping[str, Any]) -> str:
    method = block.get("quant_method")
    if isinstance(method, str):
        return "compressed-tensors" if method.lower() in ("compressed_tensors", "sparseml") else method.lower()
    if block.get("load_in_8bit") or block.get("load_in_4bit"):
        return "bitsandbytes"
    if "config_groups" in block:
        return "compressed-tensors"
    raise ConfigValueError(
        "the quantization block names no method",
        key="quantization_config.quant_method",
        expected=", ".join(KNOWN_METHODS),
        actual=method,
        remedy="add quant_method, or remove the block if the weights are dense",
    )


def _bits(block: Mapping[str, Any]) -> int | None:
    if block.get("load_in_4bit") is True:
        return 4
    if block.get("load_in_8bit") is True:
        return 8
    found = (block.get(key) for key in ("bits", "w_bit", "wbits", "nbits"))
    return next((bits for bits in found if type(bits) is int), None)


def _reject_unread(block: Mapping[str, Any]) -> None:
    """Transforms that run beside the weights, and sparse packing: the weights alone would make a wrong model."""
    transforms = block.get("transform_config") or {}
    sparsity = block.get("sparsity_config") or {}
    sparse = sparsity.get("format") if isinstance(sparsity, Mapping) else sparsity
    online = transforms.get("config_groups") if isinstance(transforms, Mapping) else transforms
    if online or sparse not in (None, "dense"):
        raise UnknownSchemeError(
            "the configuration asks for transforms or sparse packing, which this loader does not read",
            expected="dense weights with scales",
            actual="transform_config" if online else f"sparsity_config of format {sparse}",
            remedy="decompress the checkpoint with compressed-tensors first",
        )


def _group(name: str, group: Any) -> _Group:
    key = f"config_groups.{name}"
    if isinstance(group, list):
        preset = _PRESETS.get(name.upper())
        args = WeightArgs(*preset) if preset else WeightArgs()
        return _Group(tuple(map(str, group)), args)
    fields = _mapping(group, key)
    targets = _sequence(fields.get("targets") or ["Linear"], f"{key}.targets")
    for target in targets:
        _check_target(str(target), f"{key}.targets")
    weights = fields.get("weights")
    return _Group(
        tuple(map(str, targets)), None if weights is None else _args(_mapping(weights, f"{key}.weights"), key)
    )


def _check_target(target: str, key: str) -> None:
    if target.startswith("re:"):
        try:
            re.compile(target[3:])
        except re.error as error:
            raise _bad(key, "a regular expression behind re:", f"{target}: {error}") from error


def _args(weights: Mapping[str, Any], key: str) -> WeightArgs:
    """The arguments of a weight. Absent keys have the defaults of the writer, ``QuantizationArgs``."""
    group_size = weights.get("group_size")
    strategy = weights.get("strategy")
    if strategy is None:
        strategy = "tensor" if group_size is None else "channel" if group_size == -1 else "group"
    if strategy not in get_args(Strategy):
        raise _bad(f"{key}.weights.strategy", ", ".join(get_args(Strategy)), strategy)
    kind = weights.get("type", "int")
    if kind not in ("int", "float"):
        raise _bad(f"{key}.weights.type", "int or float", kind)
    return WeightArgs(
        bits=_integer(weights.get("num_bits", 8), f"{key}.weights.num_bits"),
        type=kind,
        strategy=cast("Strategy", strategy),
        symmetric=weights.get("symmetric", True) is not False,
        group_size=_integer(group_size, f"{key}.weights.group_size") if strategy == "group" else None,
        block=_block(weights.get("block_structure"), f"{key}.weights.block_structure"),
    )


def _block(value: Any, key: str) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = value.split("x") if isinstance(value, str) else value
    pair = isinstance(sides, list) and len(sides) == 2  # noqa: PLR2004 - rows and columns
    if not pair or not all(str(side).isdecimal() and int(side) > 0 for side in sides):
        raise _bad(key, "two positive integers [rows, columns]", value)
    return int(sides[0]), int(sides[1])


def _integer(value: Any, key: str) -> int:
    if type(value) is not int or value <= 0:
        raise _bad(key, "a positive integer", value)
    return value


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _bad(key, "an object", value)
    return value


def _sequence(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _bad(key, "a list", value)
    return value


def _bad(key: str, expected: str, actual: object) -> ConfigValueError:
    return ConfigValueError(
        "a value of the quantization block is wrong",
        key=f"quantization_config.{key}",
        expected=expected,
        actual=str(actual)[:80],
        remedy="correct the configuration",
    )
