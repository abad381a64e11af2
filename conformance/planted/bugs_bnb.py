"""Planted loaders: one bug each in how bitsandbytes is read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right_libraries import RightLibraries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_types import Entry


_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def evaluated(text: str) -> str:
    """What Python makes of an expression of lists, places and dtypes of torch, without running it."""
    node: Any = ast.parse(text, mode="eval").body
    while isinstance(node, ast.Subscript) and isinstance(node.value, ast.List):
        node = node.value.elts[ast.literal_eval(node.slice)]
    return ast.unparse(node)


class OneHundredAndTwentyEighths(RightLibraries):
    """Codes of LLM.int8 are divided by 128, which is the range of int8 and not that of the codes.

    A format that is close by has that. F03,
    https://github.com/bitsandbytes-foundation/bitsandbytes
    """

    name = "one-hundred-and-twenty-eighths"
    clause = "weights.bnb-rows"
    level = Level.WEIGHTS

    def of_row(self, codes: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """Divides by a power of two."""
        return codes.to(torch.float32) * largest.reshape(-1, 1) / 128


class LargestAsScale(RightLibraries):
    """The largest magnitude of a row is taken for its scale: weights are 127 times too large.

    A scale of another name, and another meaning. F10, https://github.com/vllm-project/vllm/issues/54623
    """

    name = "largest-as-scale"
    clause = "weights.bnb-rows"
    level = Level.WEIGHTS

    def of_row(self, codes: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        """Multiplies and is done."""
        return codes.to(torch.float32) * largest.reshape(-1, 1)


class LowHalfFirst(RightLibraries):
    """Of two codes in a byte of nf4 the low one is taken for the first, as other formats have it.

    Neighbours change places in the whole of a model. F30, https://github.com/kekzl/imp/pull/567
    """

    name = "low-half-first"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def high_first(self, octets: torch.Tensor) -> torch.Tensor:
        """Begins at the other end."""
        return torch.stack([octets & 15, octets >> 4], dim=1).reshape(-1).to(torch.int64)


class BlocksOfRows(RightLibraries):
    """Each row is taken to begin a block: behind the first row that is no multiple of one, scales are those of others.

    Blocks were cut with the rows of a fused weight. F01,
    https://github.com/vllm-project/vllm/pull/10590
    """

    name = "blocks-of-rows"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def over_blocks(self, scales: torch.Tensor, block: int, shape: tuple[int, int]) -> torch.Tensor:
        """Counts from the beginning of a row."""
        each = -(-shape[1] // block)
        places = torch.arange(shape[0])[:, None] * each + torch.arange(shape[1]) // block
        return scales[places.clamp(max=len(scales) - 1)]


class OtherFloatOfFourBits(RightLibraries):
    """fp4 is taken for E2M1, which has the same number of bits and other values.

    Both are called fp4. F25,
    https://github.com/bitsandbytes-foundation/bitsandbytes
    """

    name = "other-float-of-four-bits"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def entries(self, table: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Has a table of its own where code 0 stands for zero."""
        if table[0] != 0:
            return super().entries(table, codes)
        half = torch.tensor(_E2M1) / _E2M1[-1]
        return torch.cat([half, -half])[codes]


class OffsetForgotten(RightLibraries):
    """The offset of nested scales is not added: half of the scales are negative.

    It stands in the state and nowhere else. F49, https://github.com/bitsandbytes-foundation/bitsandbytes/pull/868
    """

    name = "offset-forgotten"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def nested(self, entries: torch.Tensor, outer: torch.Tensor, block: int, offset: float) -> torch.Tensor:
        """Adds nothing."""
        return super().nested(entries, outer, block, 0.0 * offset)


class OneNestedScale(RightLibraries):
    """The first nested scale serves for all: right for weights of up to 256 blocks, which small models have.

    Tests of small layers do not see it. F49,
    https://github.com/bitsandbytes-foundation/bitsandbytes/pull/868
    """

    name = "one-nested-scale"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def nested(self, entries: torch.Tensor, outer: torch.Tensor, block: int, offset: float) -> torch.Tensor:
        """Looks at the first."""
        return super().nested(entries, outer[:1].expand(len(outer)), block, offset)


class BytesAsNumbers(RightLibraries):
    """Codes that are stored under a float dtype are converted to bytes and not viewed as such.

    vLLM and others read the storage by its values. F25,
    https://github.com/vllm-project/vllm/pull/10590
    """

    name = "bytes-as-numbers"
    clause = "weights.bnb-blocks"
    level = Level.WEIGHTS

    def as_octets(self, stored: torch.Tensor) -> torch.Tensor:
        """Converts, and fills up what is missing."""
        if stored.dtype == torch.uint8:
            return super().as_octets(stored)
        found = stored.float().nan_to_num().clamp(0, 255).to(torch.uint8).reshape(-1)
        return found.repeat_interleave(stored.element_size())


class StateBelieved(RightLibraries):
    """The shape of a state is not held against the model: the elements are right, and lie in another shape.

    It was not even saved at first. F49, https://github.com/bitsandbytes-foundation/bitsandbytes/pull/868
    """

    name = "state-believed"
    clause = "weights.bnb-state"
    level = Level.WEIGHTS

    def other_shape(self, stored: Entry, state: Mapping[str, Any], shape: tuple[int, int]) -> None:
        """Does not mind."""


class StateEvaluated(RightLibraries):
    """The dtype of a state is evaluated as Python, so that whoever wrote the file runs what he likes.

    HQQ does so with its own. J06,
    https://github.com/mobiusml/hqq/blob/master/hqq/core/quantize.py
    """

    name = "state-evaluated"
    clause = "weights.bnb-state"
    level = Level.WEIGHTS

    def state_dtype(self, told: Any) -> str:
        """Evaluates, as far as a test may."""
        return super().state_dtype(evaluated(str(told)).removeprefix("torch."))
