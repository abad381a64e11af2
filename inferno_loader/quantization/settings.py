"""What the configuration says of quantization: the method, and the arguments of each module. No torch.

Only the block of compressed-tensors is read in full; of other methods the name and the number of bits. Sources:
https://github.com/vllm-project/compressed-tensors (``quantization/quant_args.py``, ``quant_config.py``,
``utils/match.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from inferno_loader.errors import ConfigValueError, UnknownSchemeError
from inferno_loader.quantization.targets import flaw, matches, rank

if TYPE_CHECKING:
    from pathlib import Path

    from inferno_loader.config import LlamaConfig

Strategy = Literal["tensor", "channel", "group", "block", "token", "tensor_group", "attn_head"]

#: Methods of which this loader, or a later version of it, knows the layout.
KNOWN_METHODS = (
    "compressed-tensors", "gptq", "awq", "bitsandbytes", "fp8", "fbgemm_fp8", "modelopt", "mxfp4", "torchao", "quanto",
    "hqq", "gguf",
)  # fmt: skip

#: Places of a transform that its writer has multiplied into the weights. Those of all others act beside the weights.
_FUSED = ("weight_input", "weight_output")

_SIDE = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class WeightArgs:
    """What the configuration says of one weight. None is silence.

    Attributes:
        method: ``quant_method`` of the block.
        bits: Bits of a code.
        type: ``int`` or ``float`` codes.
        strategy: How far one scale reaches.
        symmetric: Whether there is no zero point.
        group_size: Columns that share a scale, for the strategy ``group``.
        block: Rows and columns that share a scale, for the strategy ``block``.
    """

    method: str = "compressed-tensors"
    bits: int | None = None
    type: Literal["int", "float"] | None = None
    strategy: Strategy | None = None
    symmetric: bool | None = None
    group_size: int | None = None
    block: tuple[int, int] | None = None


def _preset(
    kind: Literal["int", "float"],
    strategy: Strategy,
    *,
    bits: int = 8,
    symmetric: bool = True,
    group_size: int | None = None,
    block: tuple[int, int] | None = None,
) -> WeightArgs:
    return WeightArgs("compressed-tensors", bits, kind, strategy, symmetric, group_size, block)


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
}


@dataclass(frozen=True, slots=True)
class _Group:
    targets: tuple[str, ...]
    args: WeightArgs | None


@dataclass(frozen=True, slots=True)
class QuantizationSettings:
    """The quantization block of a configuration.

    Attributes:
        method: ``quant_method`` in lower case.
        groups: Targets and their arguments.
        ignore: Modules left dense.
        bits: Bits of a code where one number speaks for all modules.
    """

    method: str
    groups: tuple[_Group, ...] = ()
    ignore: tuple[str, ...] = ()
    bits: int | None = None

    def args_for(self, module: str) -> WeightArgs | None:
        """What the configuration says of the Linear `module`; None where it leaves it dense.

        An exact name beats a regular expression, which beats a class name; ``ignore`` beats all.
        """
        if self.method != "compressed-tensors":
            return WeightArgs(self.method, self.bits)
        if any(matches(target, module) for target in self.ignore):
            return None
        ranked = sorted(
            (rank(target), target, number)
            for number, group in enumerate(self.groups)
            for target in group.targets
            if matches(target, module)
        )
        return self.groups[ranked[0][2]].args if ranked else None


def settings_of(config: LlamaConfig) -> QuantizationSettings | None:
    """What `config` says of quantization, None where it says nothing. See `read_settings`."""
    path, source = config.path, config.quantization_source or ""
    return read_settings(config.quantization, path.with_name(source) if path and source.endswith(".json") else path)


def read_settings(block: Mapping[str, Any] | None, path: Path | None = None) -> QuantizationSettings | None:
    """Read the quantization block of a configuration, None where there is none.

    Args:
        block: As written.
        path: The file that holds it, for messages.

    Raises:
        UnknownSchemeError: The method is not known, or asks for arithmetic that is not in the weights.
        ConfigValueError: A value has the wrong type.
    """
    return None if block is None else _Reader(path).settings(block)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one block. It carries the file for its errors."""

    path: Path | None

    def settings(self, block: Mapping[str, Any]) -> QuantizationSettings:
        method = self._method(block)
        if method not in KNOWN_METHODS:
            raise UnknownSchemeError(
                "the configuration names an unknown quantization method",
                path=self.path,
                expected=", ".join(KNOWN_METHODS),
                actual=method,
                remedy="load it with the library that wrote it, or dequantize it there",
            )
        if method != "compressed-tensors":
            return QuantizationSettings(method, bits=_bits(block))
        self._reject_unread(block)
        groups = self._mapping(block.get("config_groups") or {}, "config_groups")
        return QuantizationSettings(
            method,
            groups=tuple(self._group(name, group) for name, group in groups.items()),
            ignore=self._targets(block.get("ignore") or [], "ignore"),
        )

    def _method(self, block: Mapping[str, Any]) -> str:
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
            path=self.path,
            expected=", ".join(KNOWN_METHODS),
            actual=method,
            remedy="add quant_method, or remove the block if the weights are dense",
        )

    def _reject_unread(self, block: Mapping[str, Any]) -> None:
        """Transforms that run beside the weights, and sparse packing: the weights alone would make a wrong model."""
        sparsity = block.get("sparsity_config") or {}
        sparse = sparsity.get("format") if isinstance(sparsity, Mapping) else sparsity
        online = self._online(block.get("transform_config") or {})
        if online or sparse not in (None, "dense"):
            raise UnknownSchemeError(
                "the configuration asks for transforms or sparse packing, which this loader does not read",
                path=self.path,
                expected="dense weights with scales",
                actual=f"transform_config at {online}" if online else f"sparsity_config of format {sparse}",
                remedy="decompress the checkpoint with compressed-tensors first",
            )

    def _online(self, transforms: Any) -> str:
        """The first place at which a transform acts that is not in the weights already; empty where there is none."""
        key = "transform_config"
        groups = self._mapping(transforms, key).get("config_groups") or {}
        for group in self._mapping(groups, f"{key}.config_groups").values():
            for apply in self._sequence(self._mapping(group, key).get("apply") or [], f"{key}.apply"):
                location = self._mapping(apply, f"{key}.apply").get("location")
                if location not in _FUSED:
                    return str(location)
        return ""

    def _group(self, name: str, group: Any) -> _Group:
        key = f"config_groups.{name}"
        if isinstance(group, list):
            return _Group(self._targets(group, key), _PRESETS.get(name.upper(), WeightArgs()))
        fields = self._mapping(group, key)
        weights = fields.get("weights")
        return _Group(
            self._targets(fields.get("targets") or ["Linear"], f"{key}.targets"),
            None if weights is None else self._args(self._mapping(weights, f"{key}.weights"), key),
        )

    def _targets(self, value: Any, key: str) -> tuple[str, ...]:
        targets = tuple(map(str, self._sequence(value, key)))
        for target in targets:
            if problem := flaw(target):
                raise self._bad(key, "a regular expression behind re:", f"{target[:40]}: {problem}")
        return targets

    def _args(self, weights: Mapping[str, Any], key: str) -> WeightArgs:
        """The arguments of a weight. Absent keys have the defaults of the writer, ``QuantizationArgs``."""
        group_size = weights.get("group_size")
        strategy = weights.get("strategy")
        if strategy is None:
            strategy = "tensor" if group_size is None else "channel" if group_size == -1 else "group"
        if strategy not in get_args(Strategy):
            raise self._bad(f"{key}.weights.strategy", ", ".join(get_args(Strategy)), strategy)
        kind = weights.get("type", "int")
        if kind not in ("int", "float"):
            raise self._bad(f"{key}.weights.type", "int or float", kind)
        return WeightArgs(
            bits=self._integer(weights.get("num_bits", 8), f"{key}.weights.num_bits"),
            type=kind,
            strategy=cast("Strategy", strategy),
            symmetric=weights.get("symmetric", True) is not False,
            group_size=self._integer(group_size, f"{key}.weights.group_size") if strategy == "group" else None,
            block=self._block(weights.get("block_structure"), f"{key}.weights.block_structure"),
        )

    def _block(self, value: Any, key: str) -> tuple[int, int] | None:
        if value is None:
            return None
        sides = value.split("x") if isinstance(value, str) else value
        pair = isinstance(sides, list) and len(sides) == 2  # noqa: PLR2004 - rows and columns
        if not pair or not all(_SIDE.fullmatch(str(side)) for side in sides):
            raise self._bad(key, "two positive integers [rows, columns]", value)
        return int(sides[0]), int(sides[1])

    def _integer(self, value: Any, key: str) -> int:
        if type(value) is not int or value <= 0:
            raise self._bad(key, "a positive integer", value)
        return value

    def _mapping(self, value: Any, key: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self._bad(key, "an object", value)
        return value

    def _sequence(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._bad(key, "a list", value)
        return value

    def _bad(self, key: str, expected: str, actual: object) -> ConfigValueError:
        return ConfigValueError(
            "a value of the quantization block is wrong",
            key=f"quantization_config.{key}",
            path=self.path,
            expected=expected,
            actual=str(actual)[:80],
            remedy="correct the configuration",
        )


def _bits(block: Mapping[str, Any]) -> int | None:
    if block.get("load_in_4bit") is True:
        return 4
    if block.get("load_in_8bit") is True:
        return 8
    found = (block.get(key) for key in ("bits", "w_bit", "wbits", "nbits"))
    return next((bits for bits in found if type(bits) is int), None)
