"""The right loader: weights of 8 bits in the layout of compressed-tensors (int-, naive- and float-quantized).

``weight`` holds codes ``[out, in]``; ``weight_scale`` is ``[1]`` (tensor), ``[out, 1]`` (channel), ``[out, groups]`` or
a grid of blocks; ``weight_zero_point`` has its shape. ``w = (code - zero point) * scale``. Source:
https://github.com/vllm-project/compressed-tensors, release 0.20.0 (``quantization/lifecycle/forward_helpers.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.reasons import Reason
from conformance.planted.right_config import Config, Configured
from conformance.planted.right_types import TORCH, Entry, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {"I8": "int", "F8_E4M3": "float"}
_FORMATS = ("int-quantized", "naive-quantized", "float-quantized")
_SCALES = ("F32", "BF16", "F16")
_BITS = 8
#: Elements of a strip: bounds what the arithmetic needs beside the result.
_STRIP = 1 << 22


@dataclass(frozen=True, slots=True)
class Codes:
    """How the codes of one weight are read.

    Attributes:
        scale: The stored scale.
        zero_point: The stored zero point; None for zeros.
        block: Rows and columns that one scale covers.
    """

    scale: Entry
    zero_point: Entry | None
    block: tuple[int, int]


class Coded(Configured):
    """Reads quantized weights."""

    def codes(self, entry: Entry, located: Mapping[str, Entry], config: Config) -> Codes | None:
        """How a weight is read; None where it is dense, or a scale is not there."""
        module = entry.name.rpartition(".")[0]
        arguments = self.arguments(module, config)
        scale = self.scale_entry(entry, located)
        if entry.dtype not in _KINDS or scale is None:
            return None
        self.check_arguments(entry, scale, arguments)
        zero_point = located.get(f"{module}.weight_zero_point")
        self.check_zero_point(entry, scale, zero_point, arguments)
        return Codes(scale, zero_point, self.block(entry, scale, arguments or {}))

    def scale_entry(self, entry: Entry, located: Mapping[str, Entry]) -> Entry | None:
        """The scale of a weight, in whatever file it lies."""
        return located.get(f"{entry.name.rpartition('.')[0]}.weight_scale")

    def arguments(self, module: str, config: Config) -> Mapping[str, Any] | None:
        """What the configuration says of the weight of a module; None where it says nothing."""
        settings = config.quantization
        if settings is None:
            return None
        self.check_method(settings)
        if any(self.matches(module, pattern) for pattern in settings.get("ignore") or ()):
            return None
        for group in (settings.get("config_groups") or {}).values():
            if any(self.matches(module, target) for target in group.get("targets") or ()):
                self.check_format(group.get("format") or settings.get("format"))
                weights = group.get("weights")
                return weights if isinstance(weights, dict) else None
        return None

    def check_method(self, settings: Any) -> None:
        """The method is compressed-tensors: other ones give the same names another meaning."""
        if not isinstance(settings, dict) or settings.get("quant_method") != "compressed-tensors":
            refuse(Reason.UNKNOWN_SCHEME, f"this method of quantization is not read: {settings!r}"[:300])

    def matches(self, module: str, pattern: str) -> bool:
        """Whether a pattern means a module: its whole name, a regular expression from its start, or its class."""
        if pattern.startswith("re:"):
            return re.match(pattern.removeprefix("re:"), module) is not None
        linear = module.endswith("_proj") or module == "lm_head"
        return pattern == module or (pattern == "Linear" and linear)

    def check_format(self, form: Any) -> None:
        """A format that stores one byte for each weight."""
        if form not in _FORMATS:
            refuse(Reason.UNKNOWN_SCHEME, f"the format {form!r} is not one of {', '.join(_FORMATS)}")

    def check_arguments(self, entry: Entry, scale: Entry, arguments: Mapping[str, Any] | None) -> None:
        """The tensors are what the configuration says."""
        if arguments is None:
            self.undeclared(entry)
        elif (arguments.get("type", "int"), arguments.get("num_bits", _BITS)) != (_KINDS[entry.dtype], _BITS):
            what = f"{entry.name} holds {entry.dtype}, the configuration says {arguments!r}"
            refuse(Reason.SCHEME_CONFLICT, what[:300])
        if scale.dtype not in _SCALES:
            refuse(Reason.SCALE_VALUE, f"{scale.name} is stored as {scale.dtype}")

    def undeclared(self, entry: Entry) -> None:
        """Codes and a scale of which the configuration says nothing."""
        refuse(Reason.DTYPE, f"{entry.name} holds {entry.dtype}, and nothing says that it is quantized")

    def check_zero_point(
        self, entry: Entry, scale: Entry, zero_point: Entry | None, arguments: Mapping[str, Any] | None
    ) -> None:
        """A zero point fits its scale. Where an asymmetric weight has none, old writers dropped zeros."""
        if zero_point is None:
            if (arguments or {}).get("symmetric") is False:
                self.say("defaulted", f"{entry.name}_zero_point")
        elif zero_point.shape != scale.shape:
            refuse(Reason.SHAPE, f"{zero_point.name} is {list(zero_point.shape)}, its scale {list(scale.shape)}")
        elif zero_point.dtype != entry.dtype:
            refuse(Reason.DTYPE, f"{zero_point.name} is stored as {zero_point.dtype}")

    def block(self, entry: Entry, scale: Entry, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Rows and columns that one scale covers: the size is the configuration's, never a quotient of shapes."""
        rows, columns = entry.shape
        whole = scale.shape in ((), (1,), (1, 1))
        block = self.declared_block(arguments) or ((rows, columns) if whole else (1, columns))
        grid = (-(-rows // block[0]), -(-columns // block[1]))
        if scale.shape != grid and not (whole and grid == (1, 1)):
            refuse(Reason.SHAPE, f"{scale.name} is {list(scale.shape)}, blocks of {list(block)} need {list(grid)}")
        return block

    def declared_block(self, arguments: Mapping[str, Any]) -> tuple[int, int] | None:
        """The block that the configuration tells the size of."""
        size, sides = arguments.get("group_size"), arguments.get("block_structure")
        if sides:
            rows, columns = sides.split("x") if isinstance(sides, str) else sides
            return int(rows), int(columns)
        return (1, size) if isinstance(size, int) and size > 0 else None

    def decoded(self, entry: Entry, codes: Codes, config: Config, asked: torch.dtype | None) -> torch.Tensor:
        """A weight, dense, from what is stored."""
        scale = self.read(codes.scale)
        self.check_scale(scale, codes.scale)
        zero_point = None if codes.zero_point is None else self.read(codes.zero_point)
        dtype = asked or self.decoded_dtype(codes.scale, config)
        return self.dequantized(self.read(entry), scale, zero_point, codes.block, dtype)

    def check_scale(self, scale: torch.Tensor, entry: Entry) -> None:
        """Every scale is a finite number."""
        if not torch.isfinite(scale).all():
            refuse(Reason.SCALE_VALUE, f"{entry.name} holds what is no finite number")

    def decoded_dtype(self, scale: Entry, config: Config) -> torch.dtype:
        """The dtype of a dense weight of which no other is asked: that of a 16-bit scale, else the configuration's."""
        return TORCH[config.dtype if scale.dtype == "F32" else scale.dtype]

    def dequantized(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor | None,
        block: tuple[int, int],
        dtype: torch.dtype,
    ) -> torch.Tensor:
        """``(code - zero point) * scale`` in float32, rounded once; a strip of rows at a time."""
        result = torch.empty(codes.shape, dtype=dtype)
        step = max(1, _STRIP // codes.shape[1])
        for first in range(0, codes.shape[0], step):
            rows = slice(first, first + step)
            values = codes[rows].to(torch.float32)
            if zero_point is not None:
                values = self.centred(values, self.spread(zero_point, block, rows, values.shape))
            result[rows] = self.scaled(values, self.spread(self.widened(scale), block, rows, values.shape)).to(dtype)
        return result

    def widened(self, scale: torch.Tensor) -> torch.Tensor:
        """The scale in float32, which holds every value of its dtype."""
        return scale.to(torch.float32)

    def spread(self, grid: torch.Tensor, block: tuple[int, int], rows: slice, shape: tuple[int, ...]) -> torch.Tensor:
        """The part of a grid that covers some rows, one value for each element; blocks at the end may be cut."""
        cells = grid.to(torch.float32).reshape(-1, grid.shape[-1] if grid.dim() > 1 else 1)
        down = (rows.start + torch.arange(shape[0])) // block[0]
        across = torch.arange(shape[1]) // block[1]
        return cells[down][:, across]

    def centred(self, values: torch.Tensor, zero_points: torch.Tensor) -> torch.Tensor:
        """The codes, counted from the zero point."""
        return values - zero_points

    def scaled(self, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """The codes times the scale: in every layout of this family the stored scale multiplies."""
        return values * scales
