"""Planted loaders: one bug each in the dtype of a parameter, and in what a cast makes of its values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_types import FLOATS, TORCH, Entry

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan


class Saturated(Right):
    """A value beyond the range of a dtype becomes its largest number.

    What was left of other memory, 1e37 and more, would have shown as infinite. D08,
    https://github.com/huggingface/transformers/pull/28073
    """

    name = "saturated"
    clause = "weights.overflow"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Clamps."""
        most = torch.finfo(dtype).max
        return super().cast(tensor, dtype).clamp(-most, most)


class LargestAsInfinity(Right):
    """Whatever is larger than the largest number is infinite, also where it rounds down to it.

    The bound of a range was tested before the value was rounded. D11,
    https://github.com/vllm-project/compressed-tensors/pull/630
    """

    name = "largest-as-infinity"
    clause = "weights.overflow"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Tests first."""
        result = super().cast(tensor, dtype)
        beyond = tensor.double().abs() > torch.finfo(dtype).max
        return torch.where(beyond, torch.copysign(torch.tensor(torch.inf, dtype=dtype), result), result)


class SubnormalsFlushed(Right):
    """Numbers too small for a full fraction become zero, as some devices have it.

    An offload that went through another dtype lost such values. D15, https://github.com/huggingface/accelerate/pull/460
    """

    name = "subnormals-flushed"
    clause = "weights.special-values"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Flushes."""
        result = super().cast(tensor, dtype)
        return torch.where(result.abs() < torch.finfo(dtype).tiny, torch.zeros_like(result), result)


class SignOfZeroLost(Right):
    """Zeros lose their sign: something is added to every value on the way.

    A wrongly converted dtype shows only in values that nobody looks at. D15,
    https://github.com/huggingface/accelerate/pull/460
    """

    name = "sign-of-zero-lost"
    clause = "weights.special-values"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Adds nothing."""
        return super().cast(tensor, dtype) + 0


class NumbersForNone(Right):
    """What is no number is made zero, so that nothing that comes later fails.

    A perplexity of NaN was found long after the conversion. F15, https://github.com/ModelCloud/GPTQModel/issues/2350
    """

    name = "numbers-for-none"
    clause = "weights.special-values"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Makes them zero."""
        result = super().cast(tensor, dtype)
        return torch.where(result.isnan(), torch.zeros_like(result), result)


class NoNumbersUnified(Right):
    """Every value goes through arithmetic on its way, which has one NaN for all.

    Weights went through F32 where a library had no BF16. D15, https://github.com/huggingface/accelerate/pull/460
    """

    name = "no-numbers-unified"
    clause = "weights.special-values"
    level = Level.WEIGHTS

    def parameter(self, name: str, plan: Plan, asked: torch.dtype | None) -> torch.Tensor:
        """Gives each NaN the same bits."""
        tensor = super().parameter(name, plan, asked)
        return torch.where(tensor.isnan(), torch.full_like(tensor, torch.nan), tensor)


class HalvesAwayFromZero(Right):
    """A cast to BF16 adds half a step and cuts: ties go away from zero, and not to the even number.

    One step of a conversion rounded in its own way. D11, https://github.com/vllm-project/compressed-tensors/pull/630
    """

    name = "halves-away-from-zero"
    clause = "weights.rounding"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Adds half."""
        if dtype != torch.bfloat16 or tensor.dtype != torch.float32:
            return super().cast(tensor, dtype)
        finite = tensor.isfinite()
        half = (tensor.view(torch.int32) + 0x8000) & ~0xFFFF
        return torch.where(finite, half.view(torch.float32), tensor).to(torch.bfloat16)


class ThroughSingle(Right):
    """F64 goes to the dtypes of 16 bits through F32, and is rounded twice.

    torch does so, and with it whatever is built on it. D15, https://github.com/huggingface/accelerate/pull/460
    """

    name = "through-single"
    clause = "weights.rounding"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Leaves it to torch."""
        return tensor.to(dtype)


class FirstForAll(Right):
    """The dtype of the first tensor is that of all.

    transformers takes the first one where the configuration is silent. D18,
    https://github.com/huggingface/transformers/issues/36567
    """

    name = "first-for-all"
    clause = "weights.mixed-dtypes"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Casts, and reports nothing."""
        found = super().weights(plan, dtype)
        first = next(iter(found.values())).dtype
        return {name: tensor if tensor.dtype == first else self.cast(tensor, first) for name, tensor in found.items()}


class DeclaredForStored(Right):
    """A file of one dtype is cast to that of the configuration, and nobody is told.

    transformers does so. D18, https://github.com/huggingface/transformers/issues/36567
    """

    name = "declared-for-stored"
    clause = "weights.dtype"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Casts all, if all are of one dtype."""
        found = super().weights(plan, dtype)
        wanted = TORCH[plan.config.dtype]
        if dtype is not None or len({tensor.dtype for tensor in found.values()}) > 1:
            return found
        return {name: self.cast(tensor, wanted) for name, tensor in found.items()}


class AskedForMatrices(Right):
    """The dtype that is asked for is that of the matrices; the norms keep theirs.

    A part of a model did not follow the dtype that was asked for. D12,
    https://github.com/huggingface/transformers/issues/46459
    """

    name = "asked-for-matrices"
    clause = "weights.cast"
    level = Level.WEIGHTS

    def dense_dtype(self, entry: Entry, config: Config, asked: torch.dtype | None) -> torch.dtype:
        """Passes over vectors."""
        return super().dense_dtype(entry, config, asked if len(entry.shape) > 1 else None)


class IntegersAsNumbers(Right):
    """Integers and booleans are cast to the dtype of the model, whatever they were.

    accelerate did it to codes and masks. D06, https://github.com/huggingface/accelerate/pull/2116
    """

    name = "integers-as-numbers"
    clause = "weights.not-dense"
    level = Level.WEIGHTS

    def not_dense(self, entry: Entry, config: Config) -> None:
        """Takes them for weights, unless they are floats of eight bits or fewer."""
        if entry.dtype.startswith("F"):
            super().not_dense(entry, config)


class EightBitsAsNumbers(Right):
    """FP8 without a scale is taken at its face value.

    Readers that came to know the dtype widened it. D13, https://github.com/huggingface/candle/issues/2875
    """

    name = "eight-bits-as-numbers"
    clause = "weights.not-dense"
    level = Level.WEIGHTS

    def not_dense(self, entry: Entry, config: Config) -> None:
        """Takes it for a weight."""
        if not entry.dtype.startswith("F8") or entry.dtype in FLOATS:
            super().not_dense(entry, config)


class WordsAsDense(Right):
    """Integers of 16 bits are the bits of BF16, which some libraries have no word for.

    The first offload of BF16 stored words of 16 bits. D15, https://github.com/huggingface/accelerate/pull/461
    """

    name = "words-as-dense"
    clause = "weights.not-dense"
    level = Level.WEIGHTS

    def located(self, directory: Path) -> dict[str, Entry]:
        """Takes words for BF16."""
        found = super().located(directory)
        words = {name: replace(entry, dtype="BF16") for name, entry in found.items() if entry.dtype in ("U16", "I16")}
        return {**found, **words}


class AskedRemembered(Right):
    """What is read once is kept, in the dtype that was asked for then.

    tinygrad kept what it knew of a file by its name. B25, https://github.com/tinygrad/tinygrad/issues/6294
    """

    name = "asked-remembered"
    clause = "weights.cast"
    level = Level.WEIGHTS

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, torch.Tensor]] = {}

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Looks there first."""
        paths = sorted({str(source.entry.path) for source in plan.sources.values()})
        key = (" ".join(paths), str(plan.config.rope))
        return self._known.setdefault(key, super().weights(plan, dtype))
