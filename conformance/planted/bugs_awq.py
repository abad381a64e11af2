"""Planted loaders: one bug each in how AWQ is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from conformance.engine.claims import Level
from conformance.planted.right_libraries import RightLibraries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_library_parts import Library, Parts


class FieldsInSequence(RightLibraries):
    """The fields of a word of gemm are taken for columns in sequence, as those of GPTQ are.

    Loaders scrambled the columns of every word. F16, https://github.com/vllm-project/llm-compressor/pull/2440
    """

    name = "fields-in-sequence"
    clause = "weights.awq-order"
    level = Level.WEIGHTS

    def awq_order(self, fields: torch.Tensor) -> torch.Tensor:
        """Keeps them as they lie."""
        return fields


class OrderTheOtherWay(RightLibraries):
    """The order of gemm is applied the wrong way round: column i is looked for in field 2i, and not the reverse.

    Both permutations have the same name. F16, https://github.com/vllm-project/vllm/pull/48552
    """

    name = "order-the-other-way"
    clause = "weights.awq-order"
    level = Level.WEIGHTS

    def awq_order(self, fields: torch.Tensor) -> torch.Tensor:
        """Takes fields 0, 2, 4, 6, 1, 3, 5, 7."""
        eights = fields.reshape(len(fields), -1, 8)
        return eights[:, :, [0, 2, 4, 6, 1, 3, 5, 7]].reshape(len(fields), -1)


class GemvAsGemm(RightLibraries):
    """Words of gemv are put into the order of gemm.

    Engines know one layout of AWQ, whatever the configuration says. F16,
    https://github.com/vllm-project/vllm/pull/48552
    """

    name = "gemv-as-gemm"
    clause = "weights.awq-order"
    level = Level.WEIGHTS

    def of_gemv(self, planned: Library, stored: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Knows one order."""
        codes = self.awq_order(self.awq_fields(stored["qweight"]))
        packed = stored.get("qzeros")
        zeros = None if packed is None else self.awq_fields(packed)
        return self.by_groups(codes, zeros, stored["scales"].float(), planned)


class OneForAwq(RightLibraries):
    """One is added to the zeros of AWQ, as version 1 of GPTQ wants it.

    A conversion took one away, and 0 became 15. F15, https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "one-for-awq"
    clause = "weights.awq-zeros"
    level = Level.WEIGHTS

    def awq_zero(self, zeros: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """Adds one to those that are stored."""
        return super().awq_zero(None if zeros is None else zeros + 1, like)


class NoneForNoZero(RightLibraries):
    """Without stored zeros the zero is 0, and not the middle: no weight is negative.

    Converters put 8 in its place. F37,
    https://github.com/vllm-project/compressed-tensors
    """

    name = "none-for-no-zero"
    clause = "weights.awq-zeros"
    level = Level.WEIGHTS

    def awq_zero(self, zeros: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """Subtracts nothing."""
        return torch.zeros(like.shape, dtype=torch.int64) if zeros is None else super().awq_zero(zeros, like)


class ZerosInSequence(RightLibraries):
    """The codes of gemm are put in order, and the zeros are not.

    The order holds on both axes. F16, https://github.com/vllm-project/llm-compressor/pull/2440
    """

    name = "zeros-in-sequence"
    clause = "weights.awq-zeros"
    level = Level.WEIGHTS

    def awq_zero_order(self, fields: torch.Tensor) -> torch.Tensor:
        """Keeps them as they lie."""
        return fields


class GroupsFromShapes(RightLibraries):
    """The size of a group is the quotient of columns and scales, whatever the configuration says.

    It was 344 where the configuration said 128. F01,
    https://github.com/vllm-project/vllm/issues/1258
    """

    name = "groups-from-shapes"
    clause = "weights.awq-groups"
    level = Level.WEIGHTS

    def awq(self, module: str, parts: Parts, shape: tuple[int, int], settings: Mapping[str, Any]) -> Library:
        """Divides, where the scales lie by groups."""
        if settings.get("version") != "gemm" or "scales" not in parts:
            return super().awq(module, parts, shape, settings)
        size = shape[1] // parts["scales"].shape[0]
        return super().awq(module, parts, shape, {**settings, "group_size": size})
