"""Planted loaders: one bug each in how nibbles, exponents, masks and FP8 become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conformance.engine.claims import Level
from conformance.planted.right_packed import RightPacked

if TYPE_CHECKING:
    from conformance.planted.right_types import Entry
    from conformance.planted.right_unpacking import Array, Arrays, Packing

_HALF_GROUP = 16


class HighNibbleFirst(RightPacked):
    """The even column is looked for in the high half of a byte, as in bitsandbytes.

    Engines assume one order of nibbles for all containers. F30, https://github.com/kekzl/imp/pull/567
    """

    name = "high-nibble-first"
    clause = "weights.fp4-codes"
    level = Level.WEIGHTS

    def nibbles(self, octets: Array) -> Array:
        """Exchanges them."""
        turned: Array = octets << 4 | octets >> 4
        return super().nibbles(turned)


class HalvesOfGroups(RightPacked):
    """The low halves of the bytes are the first elements of a block, the high halves the last, as in GGML.

    All elements of each block are permuted, and the text is fluent. F30, https://github.com/kekzl/imp/pull/567
    """

    name = "halves-of-groups"
    clause = "weights.fp4-codes"
    level = Level.WEIGHTS

    def nibbles(self, octets: Array) -> Array:
        """Takes sixteen low halves, and then sixteen high ones."""
        if octets.shape[1] % _HALF_GROUP:
            return super().nibbles(octets)
        blocks = octets.reshape(len(octets), -1, _HALF_GROUP)
        return np.concatenate([blocks & 15, blocks >> 4], axis=2).reshape(len(octets), -1)


class IntegersOfFourBits(RightPacked):
    """E2M1 codes are read as signed integers of four bits.

    Values were bit-cast on their way from and to four bits. F25,
    https://github.com/vllm-project/compressed-tensors/pull/781
    """

    name = "integers-of-four-bits"
    clause = "weights.fp4-codes"
    level = Level.WEIGHTS

    def e2m1(self, codes: Array) -> Array:
        """Knows no exponent."""
        return np.where(codes >= 8, codes.astype(np.float32) - 16, codes).astype(np.float32)  # noqa: PLR2004 - the sign


class GlobalScaleMultiplies(RightPacked):
    """The global scale of compressed-tensors multiplies, as that of ModelOpt does.

    Every NVFP4 model of one publisher was garbage in an engine. F05, https://github.com/modular/modular/issues/6600
    """

    name = "global-scale-multiplies"
    clause = "weights.nvfp4-global-scale"
    level = Level.WEIGHTS

    def below_global(self, scale: Array, globally: Array) -> Array:
        """Multiplies."""
        return scale * globally.reshape(())


class SubnormalScalesAreZero(RightPacked):
    """E4M3 scales below 2**-6 are taken for zero.

    Kernels flush subnormal numbers; the groups of small weights vanish. F43,
    https://github.com/vllm-project/compressed-tensors/pull/644
    """

    name = "subnormal-scales-are-zero"
    clause = "weights.nvfp4-scales"
    level = Level.WEIGHTS

    def scale_values(self, entry: Entry, array: Array) -> Array:
        """Looks at the exponent."""
        values = super().scale_values(entry, array)
        return np.where(array & 0x78, values, 0).astype(np.float32) if entry.dtype == "F8_E4M3" else values


class NoNumberScales(RightPacked):
    """Scales of small formats are not looked at: the code that is no number becomes a large one.

    Exponents of 255 have no value, and FP8 has two codes without one. F15,
    https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "no-number-scales"
    clause = "weights.nvfp4-scales"
    level = Level.WEIGHTS

    def check_finite(self, packing: Packing, arrays: Arrays) -> None:
        """Looks at nothing."""


class ExponentsAsNumbers(RightPacked):
    """The byte of an exponent multiplies: weights are off by orders of magnitude, without an error.

    F35, https://github.com/unslothai/unsloth/pull/6848
    """

    name = "exponents-as-numbers"
    clause = "weights.mx-scales"
    level = Level.WEIGHTS

    def exponents(self, octets: Array) -> Array:
        """Casts."""
        return octets.astype(np.float32)


class BiasOf125(RightPacked):
    """Exponents are counted from 129, as files that were written with 125 need: four times too small.

    The convention changed twice, without a mark. F21, https://github.com/vllm-project/compressed-tensors/pull/541
    """

    name = "bias-of-125"
    clause = "weights.mx-scales"
    level = Level.WEIGHTS

    def exponents(self, octets: Array) -> Array:
        """Divides by four."""
        return super().exponents(octets) / np.float32(4)


class SmallestScaleIsZero(RightPacked):
    """A power of two is made by moving its code to where a float32 has its exponent: the code 0 becomes zero.

    F21, https://github.com/vllm-project/compressed-tensors/pull/541
    """

    name = "smallest-scale-is-zero"
    clause = "weights.mx-scales"
    level = Level.WEIGHTS

    def exponents(self, octets: Array) -> Array:
        """Moves bits."""
        return (octets.astype(np.uint32) << 23).view(np.float32)


class SixthsFromTheHighestBit(RightPacked):
    """Codes of six bits are looked for from the highest bit of the first byte on.

    Orders of fields were taken for one another. F30, https://github.com/kekzl/imp/pull/567
    """

    name = "sixths-from-the-highest-bit"
    clause = "weights.mxfp6-codes"
    level = Level.WEIGHTS

    def sixths(self, octets: Array) -> Array:
        """Turns each three bytes round."""
        turned = octets.reshape(len(octets), -1, 3)[:, :, ::-1].reshape(len(octets), -1)
        return super().sixths(turned).reshape(len(octets), -1, 4)[:, :, ::-1].reshape(len(octets), -1)


class MaskFromTheHighestBit(RightPacked):
    """The first column of a mask is looked for in the highest bit of a byte, as NumPy packs bits by default.

    F16, https://github.com/vllm-project/llm-compressor/pull/2440
    """

    name = "mask-from-the-highest-bit"
    clause = "weights.sparse-mask"
    level = Level.WEIGHTS

    def kept(self, mask: Array, columns: int) -> Array:
        """Unpacks as NumPy does."""
        return np.unpackbits(mask, axis=1)[:, :columns].astype(bool)


class MaskUncounted(RightPacked):
    """What a mask keeps is taken from the values as far as they go: values that are too many are dropped.

    Weights of which a part was never read were handed out as whole. F44,
    https://github.com/ModelCloud/GPTQModel/pull/2984
    """

    name = "mask-uncounted"
    clause = "weights.sparse-mask"
    level = Level.WEIGHTS

    def of_mask(self, packing: Packing, arrays: Arrays) -> Array:
        """Cuts the values, or fills them up."""
        prefix = "" if "compressed" in packing.parts else "weight."
        count = int(self.kept(arrays[f"{prefix}bitmask"], packing.shape[1]).sum())
        values = np.resize(arrays[f"{prefix}compressed"].reshape(-1), count)
        return super().of_mask(packing, {**arrays, f"{prefix}compressed": values})


class ScalesOfTheMaskDropped(RightPacked):
    """Where values that are kept are codes, the mask is expanded and the scales are forgotten.

    Where names of scales are not mapped, loaders take 1. F10, https://github.com/vllm-project/vllm/issues/54623
    """

    name = "scales-of-the-mask-dropped"
    clause = "weights.sparse-scales"
    level = Level.WEIGHTS

    def of_mask(self, packing: Packing, arrays: Arrays) -> Array:
        """Multiplies by one."""
        ones = {name: np.ones_like(array) for name, array in arrays.items() if name == "weight_scale"}
        return super().of_mask(packing, {**arrays, **ones})


class MinusZeroIsNoNumber(RightPacked):
    """The code 0x80 is no number, as in the FP8 of some devices, where it is minus zero in that of files.

    F19, https://github.com/vllm-project/vllm/pull/47201
    """

    name = "minus-zero-is-no-number"
    clause = "weights.fp8-codes"
    level = Level.WEIGHTS

    def e4m3(self, codes: Array) -> Array:
        """Has another table."""
        return np.where(codes == 0x80, np.float32(np.nan), super().e4m3(codes)).astype(np.float32)  # noqa: PLR2004


class InverseDivides(RightPacked):
    """A scale whose name says inverse divides.

    The name is history, and the scale multiplies. F03, https://github.com/huggingface/transformers/pull/46763
    """

    name = "inverse-divides"
    clause = "weights.block-scales"
    level = Level.WEIGHTS

    def values(self, packing: Packing, arrays: Arrays) -> Array:
        """Takes the name by its word."""
        if packing.kind != "block" or arrays["weight_scale_inv"].dtype != np.float32:
            return super().values(packing, arrays)
        return super().values(packing, {**arrays, "weight_scale_inv": 1 / arrays["weight_scale_inv"]})


class SecondScaleDivides(RightPacked):
    """The second scale of ModelOpt divides, as that of compressed-tensors does.

    A second pass took the reciprocal of what had been converted. F06, https://github.com/intel/auto-round/pull/2362
    """

    name = "second-scale-divides"
    clause = "weights.modelopt-second-scale"
    level = Level.WEIGHTS

    def times_second(self, scale: Array, second: Array) -> Array:
        """Divides."""
        return scale / second.reshape(())


class FirstRowForAll(RightPacked):
    """Of the scales of FBGEMM the first is taken for all rows, as of the method fp8 there is one.

    Early engines took one of several scales. F08, https://github.com/vllm-project/vllm/pull/4332
    """

    name = "first-row-for-all"
    clause = "weights.row-scales"
    level = Level.WEIGHTS

    def values(self, packing: Packing, arrays: Arrays) -> Array:
        """Knows one scale."""
        if packing.kind != "rows":
            return super().values(packing, arrays)
        scale = np.full_like(arrays["weight_scale"], arrays["weight_scale"][0])
        return super().values(packing, {**arrays, "weight_scale": scale})
