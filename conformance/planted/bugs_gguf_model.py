"""Planted loaders: one bug each in what the metadata of GGUF makes of a model, and in the scales of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.engine.claims import Level
from conformance.planted.right_gguf import RightGguf

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from conformance.planted.right_gguf_file import Stored


class GgufBaseOfItsOwn(RightGguf):
    """The base of the rotation is 10000, whatever the file says.

    G04, as of a config.json that was restated; here https://github.com/ggml-org/llama.cpp/pull/3401
    """

    name = "gguf-base-of-its-own"
    clause = "gguf.rotation"
    level = Level.MODEL

    def base_in(self, pairs: Mapping[str, Any]) -> float:  # noqa: ARG002 - the bug
        """That of the first Llama."""
        return 10000.0


class GgufDivisorsPassedOver(RightGguf):
    """``rope_freqs.weight`` is taken for a remnant, and passed over.

    C19: the rotation is then that of a converter that never wrote them, https://github.com/ggml-org/llama.cpp/pull/8676
    """

    name = "gguf-divisors-passed-over"
    clause = "gguf.rotation"
    level = Level.MODEL

    def divisors_in(self, stored: Mapping[str, Stored]) -> dict[str, Any] | None:  # noqa: ARG002 - the bug
        """None."""
        return None


class GgufDivisorsMultiply(RightGguf):
    """The numbers of ``rope_freqs.weight`` multiply the frequencies that they should divide.

    They are called factors where they are written, https://github.com/ggml-org/llama.cpp/pull/8676. Nearest among the
    real ones are factors that were never written, C19.
    """

    name = "gguf-divisors-multiply"
    clause = "gguf.rotation"
    level = Level.MODEL

    def divisors_in(self, stored: Mapping[str, Stored]) -> dict[str, Any] | None:
        """The other way round."""
        found = super().divisors_in(stored)
        if found is None:
            return None
        factors = [1 / divisor for divisor in found["short_factor"]]
        return {**found, "short_factor": factors, "long_factor": factors}


class GgufScalingPassedOver(RightGguf):
    """The scaling of the metadata is not read: long texts turn as short ones do.

    G01 tells of loaders that knew the base alone: https://github.com/lablup/mlxcel/issues/1355
    """

    name = "gguf-scaling-passed-over"
    clause = "gguf.rotation"
    level = Level.MODEL

    def scaling_in(self, pairs: Mapping[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002 - the bug
        """None."""
        return None


class GgufEpsilonOfItsOwn(RightGguf):
    """The epsilon of the norms is a constant.

    Figures are forgotten on the way in other formats too, G04; here https://github.com/huggingface/candle/pull/565
    """

    name = "gguf-epsilon-of-its-own"
    clause = "gguf.metadata"
    level = Level.MODEL

    def epsilon_in(self, pairs: Mapping[str, Any]) -> float:  # noqa: ARG002 - the bug
        """That of Llama 2."""
        return 1e-5


class GgufScalesUnseen(RightGguf):
    """A scale is multiplied by, whatever it is: a block of NaN is handed out.

    Nearest among the real ones are zero points that were mangled, and made NaN of all, F15. Written they were here:
    https://github.com/intel/auto-round/issues/1908
    """

    name = "gguf-scales-unseen"
    clause = "gguf.scales"
    level = Level.WEIGHTS

    def finite(self, values: torch.Tensor, each: Stored) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Does not look."""
        return values
