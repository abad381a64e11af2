"""Planted loaders: one bug each in what becomes a parameter of the model, and in which dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from conformance.engine.claims import Level
from conformance.planted.right import Right
from conformance.planted.right_names import EMBEDDING, HEAD
from conformance.planted.right_types import TORCH, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.planted.right_config import Config
    from conformance.planted.right_parameters import Plan


class MissingAsRandom(Right):
    """A parameter that is nowhere is left as it was initialised: random numbers, with a warning that nobody reads.

    transformers does that to this day, mlx-rs did it without the warning. C02,
    https://github.com/oxiglade/mlx-rs/issues/304
    """

    name = "missing-as-random"
    clause = "weights.missing"
    level = Level.WEIGHTS

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Draws it."""
        return (torch.randn(shape) * 0.02).to(TORCH[config.dtype])


class MissingAsZeros(Right):
    """A parameter that is nowhere is zeros, as fresh memory is.

    An empty load passes in several libraries. L01, https://github.com/facebookresearch/sam3/issues/606
    """

    name = "missing-as-zeros"
    clause = "weights.missing"
    level = Level.WEIGHTS

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Leaves it empty."""
        return torch.zeros(shape, dtype=TORCH[config.dtype])


class UnexpectedDropped(Right):
    """Tensors that the model has no place for are dropped without a word: whole layers, or a misspelt name.

    mlx-lm ignored misspelt and misshapen tensors of adapters. C11, C23,
    https://github.com/ml-explore/mlx-lm/pull/1727
    """

    name = "unexpected-dropped"
    clause = "weights.unexpected"
    level = Level.WEIGHTS

    def unexpected(self, names: list[str]) -> None:
        """Says nothing."""


class ShapeUnchecked(Right):
    """A tensor of another shape takes the place of a parameter.

    accelerate and tinygrad had no check for years: [2, 2] stood for [50257, 768]. D10,
    https://github.com/huggingface/accelerate/pull/1731, https://github.com/tinygrad/tinygrad/pull/7772
    """

    name = "shape-unchecked"
    clause = "weights.shape"
    level = Level.WEIGHTS

    def fitted(self, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:  # noqa: ARG002 - the bug
        """Looks at nothing."""
        return tensor


class TransposedAccepted(Right):
    """A matrix whose axes are exchanged is turned round: its shape is guessed to be of another convention.

    unsloth guessed the orientation from which side was longer. C16, https://github.com/unslothai/unsloth-zoo/pull/779
    """

    name = "transposed-accepted"
    clause = "weights.elements"
    level = Level.WEIGHTS

    def fitted(self, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Turns what fits the other way round."""
        return super().fitted(name, tensor.T if tuple(tensor.shape) == shape[::-1] else tensor, shape)


class RowsCut(Right):
    """An embedding with more rows than the vocabulary is cut, and the tokens that were added are gone.

    Resized fine-tunes have 32002 rows for 32000. G22, https://github.com/unslothai/unsloth/issues/237
    """

    name = "rows-cut"
    clause = "weights.vocabulary"
    level = Level.WEIGHTS

    def fitted(self, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Cuts the rows that are too many."""
        return super().fitted(name, tensor[: shape[0]], shape)


class BiasesDropped(Right):
    """The model has no biases, so those that are stored are ignored.

    mlc-llm dropped 420 biases of a Llama with ``attention_bias``. G09, https://github.com/mlc-ai/mlc-llm/pull/3494
    """

    name = "biases-dropped"
    clause = "weights.biases"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Keeps the weights."""
        return {name: tensor for name, tensor in super().weights(plan, dtype).items() if not name.endswith(".bias")}


class RandomHead(Right):
    """The head of a tied model stays as it was initialised, for no head is stored.

    vLLM's Nemotron-Parse wrote garbage so, without a warning. E01, https://github.com/vllm-project/vllm/pull/53020
    """

    name = "random-head"
    clause = "weights.tied"
    level = Level.WEIGHTS

    def served(self, tensor: torch.Tensor) -> torch.Tensor:
        """Draws a new one."""
        return torch.randn(tensor.shape).to(tensor.dtype)


class TieOverStored(Right):
    """The configuration ties the head, and so the head that is stored is overwritten by the embedding.

    transformers did that from 4.54 on. E03, https://github.com/huggingface/transformers/pull/42612
    """

    name = "tie-over-stored"
    clause = "weights.two-heads"
    level = Level.WEIGHTS

    def shared(self, config: Config, located: Mapping[str, Entry]) -> dict[str, str]:
        """Ties whatever is stored."""
        if config.tied and EMBEDDING in located:
            return {HEAD: EMBEDDING}
        return super().shared(config, located)


class DrawnHead(Right):
    """A head that is nowhere, and that nothing ties, is drawn: only for the other parameters somebody looks.

    transformers' Mistral3 did not find the flag under ``text_config``, and left the head random. E02,
    https://github.com/huggingface/transformers/pull/43429
    """

    name = "drawn-head"
    clause = "weights.made-up-head"
    level = Level.WEIGHTS

    def missing(self, name: str, shape: tuple[int, ...], config: Config) -> torch.Tensor:
        """Draws the head."""
        if name != HEAD:
            return super().missing(name, shape, config)
        return (torch.randn(shape) * 0.02).to(TORCH[config.dtype])


class HeadForEmbedding(Right):
    """Only a missing head is made of the embedding: a file that stores the tied tensor as the head is refused.

    transformers left the other name empty. E06, https://github.com/huggingface/transformers/issues/38870
    """

    name = "head-for-embedding"
    clause = "weights.tied"
    level = Level.WEIGHTS

    def shared(self, config: Config, located: Mapping[str, Entry]) -> dict[str, str]:
        """Knows one direction."""
        return {} if EMBEDDING not in located else super().shared(config, located)


class RedundantHeadRefused(Right):
    """A tied model that stores its head as well is refused: the tied model has no such parameter.

    vLLM raised ``KeyError: 'lm_head.weight'`` for fine-tuned Llama 3.2. E10,
    https://github.com/vllm-project/vllm/pull/6758
    """

    name = "redundant-head-refused"
    clause = "weights.tied"
    level = Level.WEIGHTS

    def expected(self, config: Config) -> dict[str, tuple[int, ...]]:
        """Leaves the head out."""
        wanted = super().expected(config)
        if config.tied:
            del wanted[HEAD]
        return wanted


class NormsCast(Right):
    """Every tensor is cast to the dtype of the configuration: F32 norms become BF16 without a word.

    NeMo restored dtypes per tensor to keep such parameters, transformers casts. D04,
    https://github.com/NVIDIA-NeMo/Automodel/pull/2419
    """

    name = "norms-cast"
    clause = "weights.mixed-dtypes"
    level = Level.WEIGHTS

    def weights(self, plan: Plan, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
        """Casts, and reports nothing."""
        wanted = dtype or TORCH[plan.config.dtype]
        return {name: self.cast(tensor, wanted) for name, tensor in super().weights(plan, dtype).items()}


class AskedDtypeIgnored(Right):
    """The dtype that the caller asks for is dropped on the way: the weights come in the stored one.

    transformers ignored it for every composite checkpoint loaded through its Auto class. D12,
    https://github.com/huggingface/transformers/issues/46459
    """

    name = "asked-dtype-ignored"
    clause = "weights.cast"
    level = Level.WEIGHTS

    def dense_dtype(self, entry: Entry, config: Config, asked: torch.dtype | None) -> torch.dtype:  # noqa: ARG002 - the bug
        """Keeps what is stored."""
        return super().dense_dtype(entry, config, None)


class TruncatingCast(Right):
    """A cast to BF16 drops the low half of the word instead of rounding: every weight shrinks a little.

    Truncation in place of rounding was found in the MX scales of compressed-tensors. D11,
    https://github.com/vllm-project/compressed-tensors/pull/630
    """

    name = "truncating-cast"
    clause = "weights.rounding"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Takes the high half."""
        if dtype != torch.bfloat16 or tensor.dtype != torch.float32:
            return super().cast(tensor, dtype)
        return tensor.contiguous().view(torch.bfloat16)[..., 1::2]


class TwiceRounded(Right):
    """A cast goes through another dtype on its way, and rounds twice.

    The first offload of accelerate took BF16 through F32, for numpy has no BF16; the other way it costs bits. D15,
    https://github.com/huggingface/accelerate/pull/460
    """

    name = "twice-rounded"
    clause = "weights.rounding"
    level = Level.WEIGHTS

    def cast(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Goes through the other dtype of 16 bits."""
        step = torch.float16 if dtype == torch.bfloat16 else torch.bfloat16
        return tensor.to(step).to(dtype)
