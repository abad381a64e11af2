"""Planted loaders: one bug each that shows only at an edge, as in large exponents, single words and rare dtypes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.planted.right import Right
from conformance.planted.right_libraries import RightLibraries
from conformance.planted.right_packed import RightPacked
from conformance.planted.right_types import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from conformance.planted.right_library_parts import Library, Parts
    from conformance.planted.right_types import Entry
    from conformance.planted.right_unpacking import Packing

    Array = NDArray[Any]


class OneWordIsNoColumn(RightPacked):
    """Zero points that are one word high are not read: transposed, they are no view of bytes.

    Release 0.20.0 of the library fails so over its own files. F38,
    https://github.com/vllm-project/compressed-tensors/blob/main/src/compressed_tensors/compressors/pack_quantized/helpers.py
    """

    name = "one-word-is-no-column"
    clause = "weights.packed-zero-points"
    level = Level.WEIGHTS

    def zero_points(self, packing: Packing, stored: Array, grid: Array) -> Array:
        """Has no stride for one row."""
        if len(stored) == 1 < stored.shape[-1]:
            refuse(Reason.SHAPE, "self.stride(-1) must be 1 to view Int as Byte")
        return super().zero_points(packing, stored, grid)


class ShapesOfOneDtype(RightPacked):
    """A shape that is stored in 32 bits is not read, though the text of the format has it so.

    Readers assert the dtype that their own writer has. F43,
    https://github.com/vllm-project/compressed-tensors/pull/644
    """

    name = "shapes-of-one-dtype"
    clause = "weights.packed-shape"
    level = Level.WEIGHTS

    def check_told_shape(self, entry: Entry, shape: tuple[int, int]) -> None:
        """Knows I64."""
        self.check_dtype(entry, "I64")
        super().check_told_shape(entry, shape)


class ExponentsInHalf(RightPacked):
    """Powers of two are made in F16: those from 2**16 on are infinite, and those below 2**-24 zero.

    A scale that is cast to the dtype of the activations loses its range. F35,
    https://github.com/unslothai/unsloth/pull/6848
    """

    name = "exponents-in-half"
    clause = "weights.mx-scales"
    level = Level.WEIGHTS

    def exponents(self, octets: Array) -> Array:
        """Has five bits for an exponent."""
        with np.errstate(over="ignore"):
            found: Array = super().exponents(octets).astype(np.float16).astype(np.float32)
        return found


class BlocksInNumbersAlone(Right):
    """The size of a block must be a list: a text, as older writers have it, is refused.

    F43, https://github.com/vllm-project/compressed-tensors/pull/644
    """

    name = "blocks-in-numbers-alone"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def declared_block(self, arguments: Mapping[str, Any]) -> tuple[int, int] | None:
        """Reads no text."""
        if isinstance(sides := arguments.get("block_structure"), str):
            refuse(Reason.CONFIG_VALUE, f"a block of {sides!r}")
        return super().declared_block(arguments)


class ZerosOfWholeWords(RightLibraries):
    """The zeros of GPTQ are taken to fill whole words: where 32 outputs do not divide the rows, there is one too few.

    Buffers were made by a division that rounds down. F44, https://github.com/ModelCloud/GPTQModel/pull/2984
    """

    name = "zeros-of-whole-words"
    clause = "weights.gptq-zeros"
    level = Level.WEIGHTS

    def gptq(self, module: str, parts: Parts, shape: tuple[int, int], settings: Mapping[str, Any]) -> Library:
        """Rounds down."""
        planned = super().gptq(module, parts, shape, settings)
        self.of_shape(parts["qzeros"], (parts["scales"].shape[0], shape[0] // 32 * planned.facts["bits"]))
        return planned


class GroupsWithoutPadding(RightLibraries):
    """gemv of AWQ is taken to have a scale for each group and no more: padded ones are refused.

    gemm has none to spare. F16, https://github.com/casper-hansen/AutoAWQ/blob/main/awq/modules/linear/gemv.py
    """

    name = "groups-without-padding"
    clause = "weights.awq-order"
    level = Level.WEIGHTS

    def awq_shapes(self, form: str, parts: Parts, shape: tuple[int, int], groups: int) -> None:
        """Counts."""
        super().awq_shapes(form, parts, shape, groups)
        if form == "gemv":
            self.of_shape(parts["scales"], (shape[0], groups))


class TilesUnread(RightLibraries):
    """The format of LLM.int8 is not read: codes in tiles are taken for rows, each in another place.

    Current releases refuse them. F23,
    https://github.com/bitsandbytes-foundation/bitsandbytes/blob/main/bitsandbytes/nn/modules.py
    """

    name = "tiles-unread"
    clause = "weights.unread-layouts"
    level = Level.WEIGHTS

    def bnb_rows(self, module: str, parts: Parts, shape: tuple[int, int]) -> Library:
        """Forgets the format."""
        planned = super().bnb_rows(module, {each: parts[each] for each in parts if each != "weight_format"}, shape)
        return replace(
            planned, parts={each: parts[each] for each in parts if each in (*planned.parts, "weight_format")}
        )


class BooksOfScalesUnread(RightLibraries):
    """Flags that say that the scales of HQQ are quantized themselves are not read.

    What stands beside the codes was only ever written. F27, https://github.com/mobiusml/hqq
    """

    name = "books-of-scales-unread"
    clause = "weights.unread-layouts"
    level = Level.WEIGHTS

    def check_figures(self, module: str, parts: Parts, shape: tuple[int, int]) -> None:
        """Looks at the shape."""
        dropped = ("quant_scale", "quant_zero")
        super().check_figures(module, {each: part for each, part in parts.items() if each not in dropped}, shape)
