"""The arithmetic that the families share: code less zero point, times scale, rounded once. Imports torch when it runs.

Where the scales are BF16 or F16 and that is the dtype asked for, the product of two numbers of that dtype is rounded
once by torch: no float32 copy is needed (codes of up to 8 bits are exact in both).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from inferno_loader.pages import new_tensor
from inferno_loader.quantization.family import STEP_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import torch


class Grid(NamedTuple):
    """Which numbers share a scale.

    Attributes:
        shape: Of the weight, [rows, columns].
        block: Rows and columns of a block; the last one may be cut.
        groups: int64 [columns], the column of the grid for each column of the weight; None where blocks follow each
            other.
    """

    shape: tuple[int, int]
    block: tuple[int, int]
    groups: torch.Tensor | None = None

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the grid of scales."""
        return math.ceil(self.shape[0] / self.block[0]), math.ceil(self.shape[1] / self.block[1])

    def meetings(
        self, values: torch.Tensor, cells: torch.Tensor, first: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Views of `values`, the rows from `first` on, each with the part of `cells` that it meets by broadcasting."""
        import torch  # noqa: PLC0415 - planning never imports it

        height, width = self.block
        if len(cells) > 1:
            rows = torch.arange(first, first + len(values), device=cells.device) // height
            cells = cells[first : first + len(values)] if height == 1 else cells[rows]
        if self.groups is not None:
            yield values, cells[:, self.groups]
            return
        whole = values.shape[1] // width
        yield values[:, : whole * width].view(len(values), whole, width), cells[:, :whole, None]
        if whole < cells.shape[1]:
            yield values[:, whole * width :], cells[:, whole:]


def row_steps(shape: tuple[int, ...], unit: int = 1) -> Iterator[tuple[int, int]]:
    """First and last row of pieces of at most `STEP_ELEMENTS` elements, each a multiple of `unit` rows but the last."""
    rows, columns = shape
    step = max(unit, STEP_ELEMENTS // max(columns, 1) // unit * unit)
    yield from ((first, min(first + step, rows)) for first in range(0, rows, step))


def packed_runs(
    words: torch.Tensor, shifts: Sequence[int], bits: int, rows: int
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Codes that are packed by equal parts of the rows, a run of rows at a time.

    Args:
        words: Integers [packed rows, columns]; each holds one code of every part.
        shifts: For each part in turn, how far its codes stand from the lowest bit.
        bits: Bits of a code, at most 8.
        rows: Rows of codes; what the words hold beyond is cut off.

    Yields:
        First and last row, and the codes of the rows from the first to before the last, uint8 or as `words`.
    """
    for part, shift in enumerate(shifts):
        for first, last in row_steps(tuple(words.shape)):
            begin, end = part * len(words) + first, min(part * len(words) + last, rows)
            if begin < end:
                yield begin, end, (words[first : first + end - begin] >> shift).bitwise_and_((1 << bits) - 1)


def scaled(
    codes: Callable[[int, int], torch.Tensor],
    grid: Grid,
    scale: torch.Tensor,
    dtype: torch.dtype,
    *,
    zero_point: torch.Tensor | float | None = None,
    unit: int = 1,
) -> torch.Tensor:
    """The dense weight.

    Args:
        codes: Gives the codes of the rows from the first to before the last, as numbers of any dtype [rows, columns].
        grid: Which of them share a scale.
        scale: Reshaped to the cells of the grid, in the dtype of the format.
        dtype: Of the result.
        zero_point: Likewise, or one number for all; None for none.
        unit: Rows that `codes` can only give together.
    """
    import torch  # noqa: PLC0415

    work = dtype if scale.dtype == dtype and dtype in (torch.bfloat16, torch.float16) else torch.float32
    cells = scale.to(work).reshape(grid.cells)
    zeros = zero_point.to(work).reshape(grid.cells) if isinstance(zero_point, torch.Tensor) else None
    result = new_tensor(grid.shape, dtype, scale.device)
    steps = list(row_steps(grid.shape, unit))
    most = max((last - first for first, last in steps), default=0)
    room = None if work == dtype else new_tensor((most, grid.shape[1]), work, scale.device)
    for first, last in steps:
        values = result[first:last] if room is None else room[: last - first]
        values.copy_(codes(first, last))
        if zeros is not None:
            _change(torch.Tensor.sub_, grid.meetings(values, zeros, first))
        elif zero_point is not None:
            values.sub_(zero_point)
        _change(torch.Tensor.mul_, grid.meetings(values, cells, first))
        if room is not None:
            result[first:last] = values
    return result


def _change(
    change: Callable[[torch.Tensor, torch.Tensor], object], meetings: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> None:
    """Change values by what they meet. A call of its own: of what is made for it, nothing is there in the next step."""
    for place, cells in meetings:
        change(place, cells)
