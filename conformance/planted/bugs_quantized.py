"""Planted loaders: one bug each in how codes become weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_ways import RightLenient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_config import Config
    from conformance.planted.right_quantized import Codes
    from conformance.planted.right_types import Entry


class CodesAsWeights(Right):
    """Codes without a scale are cast as they are: weights a hundred times too large, without an error.

    transformers and accelerate do that; sglang fell back to a scale of 1.0. F10,
    https://github.com/sgl-project/sglang/issues/39942
    """

    name = "codes-as-weights"
    clause = "weights.not-dense"
    level = Level.WEIGHTS

    def not_dense(self, entry: Entry, config: Config) -> None:
        """Takes them for weights."""


class ScaleDropped(Right):
    """The scale is read, and not used: each weight is its code.

    Where names of scales are not mapped, loaders fall back to 1.0. F10, https://github.com/vllm-project/vllm/issues/54623
    """

    name = "scale-dropped"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def scaled(self, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Forgets the scale."""
        return values


class ScaleDivides(Right):
    """The stored scale is taken for its reciprocal, which other producers store.

    Engines confuse the two conventions of NVFP4 in both directions. F05, F06,
    https://github.com/modular/modular/issues/6600
    """

    name = "scale-divides"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def scaled(self, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Divides."""
        return values / scales


class RoundedScale(Right):
    """An F32 scale is rounded to the dtype of the model before it multiplies.

    transformers rounded a scale and not what had been made with it: values up to twice as large. F03,
    https://github.com/huggingface/transformers/pull/46763
    """

    name = "rounded-scale"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def widened(self, scale: torch.Tensor) -> torch.Tensor:
        """Goes through BF16."""
        return scale.to(torch.bfloat16).to(torch.float32)


class ZeroPointIgnored(Right):
    """The zero point is not subtracted: every weight of a group is off by the same amount.

    A kernel that knows symmetric weights only got the tensor and failed; one that ignores it does not fail. F37,
    https://github.com/vllm-project/vllm/pull/21066
    """

    name = "zero-point-ignored"
    clause = "weights.zero-points"
    level = Level.WEIGHTS

    def centred(self, values: torch.Tensor, zero_points: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Forgets the zero point."""
        return values


class ZeroPointOffByOne(Right):
    """One is added to the zero point, as the first layout of GPTQ wants it, and this one does not.

    The layouts were confused in both directions: output "!!!!". F12, F13,
    https://github.com/vllm-project/vllm/pull/26092
    """

    name = "zero-point-off-by-one"
    clause = "weights.zero-points"
    level = Level.WEIGHTS

    def centred(self, values: torch.Tensor, zero_points: torch.Tensor) -> torch.Tensor:
        """Adds one."""
        return values - (zero_points + 1)


class ScaleOfNothing(Right):
    """A scale that is NaN or infinite is multiplied in like any other.

    Underflowing zero points gave a perplexity of NaN, found long after the conversion. F15,
    https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "scale-of-nothing"
    clause = "weights.finite-scales"
    level = Level.WEIGHTS

    def check_scale(self, scale: torch.Tensor, entry: Entry) -> None:
        """Looks at nothing."""


class UnusedScaleDropped(Right):
    """A scale beside a dense weight is dropped: it may be the weight that is wrong.

    sglang dropped scales under spellings that it did not know. F10, https://github.com/sgl-project/sglang/issues/39942
    """

    name = "unused-scale-dropped"
    clause = "weights.unused-scale"
    level = Level.WEIGHTS

    def unused_scales(self, names: list[str]) -> None:
        """Says nothing."""


class BlockFromShapes(Right):
    """The size of a block is the size of the weight over that of its grid: wrong wherever the last block is cut.

    A weight of 1000 rows in blocks of 128 has 8 of them, and 1000 / 8 is 125. F01,
    https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1115
    """

    name = "block-from-shapes"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def block(self, entry: Entry, scale: Entry, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Divides the shapes."""
        block = super().block(entry, scale, arguments)
        if len(scale.shape) < 2:  # noqa: PLR2004 - a grid has rows and columns
            return block
        return -(-entry.shape[0] // scale.shape[0]), -(-entry.shape[1] // scale.shape[1])


class ScaleInSameFile(Right):
    """A scale is looked for in the shard of its weight only.

    GPTQModel's dequantizer did not find the ones in the next shard. F45,
    https://github.com/ModelCloud/GPTQModel/pull/2875
    """

    name = "scale-in-same-file"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def scale_entry(self, entry: Entry, located: Mapping[str, Entry]) -> Entry | None:
        """Does not look into other files."""
        found = super().scale_entry(entry, located)
        return found if found and found.path == entry.path else None


class UnsignedCodes(Right):
    """Codes are read as unsigned bytes: every negative weight becomes a large positive one.

    Signed and offset codes were confused when GPTQModel remapped symmetric ones. F23,
    https://github.com/ModelCloud/GPTQModel/pull/2541
    """

    name = "unsigned-codes"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def dequantized(self, codes: torch.Tensor, *rest: Any) -> torch.Tensor:
        """Forgets the sign."""
        return super().dequantized(codes.view(torch.uint8) if codes.dtype == torch.int8 else codes, *rest)


class OtherFloatOfEightBits(Right):
    """E4M3 codes are read as E4M3FNUZ, which the device knows: every weight is half of what it was.

    The conversion was missing for some schemes on such devices. F19, https://github.com/vllm-project/vllm/pull/47201
    """

    name = "other-float-of-eight-bits"
    clause = "weights.dequantized"
    level = Level.WEIGHTS

    def dequantized(self, codes: torch.Tensor, *rest: Any) -> torch.Tensor:
        """Has another bias."""
        other = codes.view(torch.float8_e4m3fnuz) if codes.dtype == torch.float8_e4m3fn else codes
        return super().dequantized(other, *rest)


class ScaleOfOne(Right):
    """Where a scale is not found, it is taken for one: each weight is its code.

    Names of scales that are not mapped end so. F10, https://github.com/sgl-project/sglang/issues/39942
    """

    name = "scale-of-one"
    clause = "weights.missing-scale"
    level = Level.WEIGHTS

    def not_dense(self, entry: Entry, config: Config) -> None:
        """Takes a code for a weight, if the configuration says that it is one."""
        if self.arguments(entry.name.rpartition(".")[0], config) is None:
            super().not_dense(entry, config)


class IgnoredByParts(Right):
    """A module is ignored where the last word of its name is one of an ignored module: others lose their scales' use.

    The list was matched by parts of names. F41, https://github.com/ModelCloud/GPTQModel/pull/2889
    """

    name = "ignored-by-parts"
    clause = "weights.dense-modules"
    level = Level.WEIGHTS

    def matches(self, module: str, pattern: str) -> bool:
        """Compares the last words."""
        return super().matches(module, pattern) or module.rpartition(".")[2] == pattern.rpartition(".")[2]


class UndeclaredAsCodes(RightLenient):
    """Without a word in the configuration codes are weights, and their scales are left over.

    The same codes under no label were off in every weight. F14, https://github.com/vllm-project/vllm/pull/38966
    """

    name = "undeclared-as-codes"
    clause = "weights.undeclared-codes"
    level = Level.WEIGHTS

    def decoded(self, entry: Entry, codes: Codes, config: Config, asked: torch.dtype | None) -> torch.Tensor:
        """Multiplies where the configuration says so."""
        if config.quantization is not None:
            return super().decoded(entry, codes, config, asked)
        stored: torch.Tensor = self.read(entry)
        return stored.to(asked or self.decoded_dtype(codes.scale, config))


class GridUnchecked(Right):
    """A grid of scales is spread over the weight by the size of a block, whatever size the grid has.

    The size of a block was taken for something else than the configuration says. F34,
    https://github.com/NVIDIA/TensorRT-Model-Connect/pull/1115
    """

    name = "grid-unchecked"
    clause = "weights.scales"
    level = Level.WEIGHTS

    def block(self, entry: Entry, scale: Entry, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Looks at the configuration, and not at the grid."""
        return self.declared_block(arguments) or super().block(entry, scale, arguments)
