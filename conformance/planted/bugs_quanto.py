"""Planted loaders: one bug each in how quanto is read."""

from __future__ import annotations

import torch

from conformance.engine.claims import Level
from conformance.planted.right_libraries import RightLibraries


class UnsignedQuanto(RightLibraries):
    """Codes of quanto are read as unsigned bytes: every negative weight becomes a large positive one.

    Signed and offset codes were confused before. F23, https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "unsigned-quanto"
    clause = "weights.quanto-codes"
    level = Level.WEIGHTS

    def scaled(self, codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Forgets the sign."""
        return super().scaled(codes.view(torch.uint8) if codes.dtype == torch.int8 else codes, scale)


class FirstRowsHighest(RightLibraries):
    """The first rows are looked for in the highest bits, as HQQ has them.

    The two libraries pack alike but for that. F30,
    https://github.com/huggingface/optimum-quanto
    """

    name = "first-rows-highest"
    clause = "weights.quanto-packed"
    level = Level.WEIGHTS

    def quanto_rows(self, octets: torch.Tensor, bits: int, rows: int) -> torch.Tensor:
        """Begins at the other end."""
        parts = [octets >> shift & (1 << bits) - 1 for shift in reversed(range(0, 8, bits))]
        return torch.cat(parts)[:rows]


class NeighbouringRows(RightLibraries):
    """Rows that share a byte are taken for neighbours, and not for parts of the weight.

    Most formats pack neighbours. F30,
    https://github.com/huggingface/optimum-quanto
    """

    name = "neighbouring-rows"
    clause = "weights.quanto-packed"
    level = Level.WEIGHTS

    def quanto_rows(self, octets: torch.Tensor, bits: int, rows: int) -> torch.Tensor:
        """Takes a byte apart before the next."""
        parts = [octets >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)]
        return torch.stack(parts, dim=1).reshape(-1, octets.shape[1])[:rows]


class ShiftFirst(RightLibraries):
    """A shift of floats is subtracted before the scale multiplies, as a zero point is.

    It is the zero point times the scale. F37,
    https://github.com/huggingface/optimum-quanto
    """

    name = "shift-first"
    clause = "weights.quanto-shifts"
    level = Level.WEIGHTS

    def shifted(self, codes: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Treats both alike."""
        return (codes.to(scale.dtype) - shift.to(scale.dtype)) * scale


class ShiftRoundedOnce(RightLibraries):
    """Product and difference are computed in float32 and rounded once: more exact, and not what the library computes.

    Logits differ between engines by that. F03,
    https://github.com/huggingface/optimum-quanto
    """

    name = "shift-rounded-once"
    clause = "weights.quanto-shifts"
    level = Level.WEIGHTS

    def shifted(self, codes: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Widens first."""
        wide = shift.float() if shift.is_floating_point() else shift
        return super().shifted(codes, scale.float(), wide).to(scale.dtype)
