"""Planted loaders: one bug each in how HQQ is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from conformance.engine.claims import Level
from conformance.planted.bugs_bnb import evaluated
from conformance.planted.right_libraries import RightLibraries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry


class FirstRowsLowest(RightLibraries):
    """The first rows are looked for in the lowest bits, as quanto has them.

    The two libraries pack alike but for that. F30,
    https://github.com/mobiusml/hqq
    """

    name = "first-rows-lowest"
    clause = "weights.hqq-packing"
    level = Level.WEIGHTS

    def hqq_rows(self, words: torch.Tensor, bits: int, rows: int) -> torch.Tensor:
        """Begins at the other end."""
        count = 10 if bits == 3 else 8 // bits  # noqa: PLR2004 - the packing of its own
        return torch.cat([self.unsigned(words) >> bits * place & (1 << bits) - 1 for place in range(count)])[:rows]


class AlwaysAlongRows(RightLibraries):
    """The axis is not read: groups are the rows of the regrouped weight, whatever the layer says.

    Most recipes have axis 1. F16,
    https://github.com/mobiusml/hqq
    """

    name = "always-along-rows"
    clause = "weights.hqq-axis"
    level = Level.WEIGHTS

    def hqq_axis(self, module: str, parts: Mapping[str, Entry]) -> int:
        """Assumes."""
        super().hqq_axis(module, parts)
        return 1


class ZeroBehindTheScale(RightLibraries):
    """The zero of HQQ is subtracted once the scale has multiplied, as quanto's shift is.

    Both are floats. F37,
    https://github.com/mobiusml/hqq
    """

    name = "zero-behind-the-scale"
    clause = "weights.hqq-values"
    level = Level.WEIGHTS

    def hqq_value(self, codes: torch.Tensor, zero: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Multiplies first."""
        return codes.to(scale.dtype) * scale - zero


class WholeZeros(RightLibraries):
    """The zero of HQQ is rounded to a whole number, as other formats have it.

    F38, https://github.com/mobiusml/hqq
    """

    name = "whole-zeros"
    clause = "weights.hqq-values"
    level = Level.WEIGHTS

    def hqq_value(self, codes: torch.Tensor, zero: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Rounds."""
        return super().hqq_value(codes, zero.round(), scale)


class HqqEvaluated(RightLibraries):
    """The dtype of a layer is evaluated as Python: whoever wrote the file runs what he likes.

    The library does so. J06,
    https://github.com/mobiusml/hqq/blob/master/hqq/core/quantize.py
    """

    name = "hqq-evaluated"
    clause = "weights.hqq-books"
    level = Level.WEIGHTS

    def hqq_dtype(self, module: str, told: str) -> str:
        """Evaluates, as far as a test may."""
        return super().hqq_dtype(module, evaluated(told))


class FiguresBelieved(RightLibraries):
    """The shape that a layer records is not held against the model.

    It is the only place where the shape stands. F49,
    https://github.com/mobiusml/hqq
    """

    name = "figures-believed"
    clause = "weights.hqq-books"
    level = Level.WEIGHTS

    def check_figures(self, module: str, parts: Mapping[str, Entry], shape: tuple[int, int]) -> None:
        """Looks at nothing."""
