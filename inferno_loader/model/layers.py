"""The modules of a Llama that hold weights. Each is made empty, and nothing is ever initialised at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferno_loader.quantization import QuantizedWeight


def empty(*shape: int, dtype: torch.dtype | None = None) -> nn.Parameter:
    """A parameter without memory, on ``meta``, to be replaced by a loaded tensor."""
    return nn.Parameter(torch.empty(*shape, device="meta", dtype=dtype), requires_grad=False)


class Linear(nn.Module):
    """``y = x @ weight.T + bias``; weight [out features, in features]."""

    bias: nn.Parameter | None

    def __init__(self, features: tuple[int, int], *, bias: bool = False) -> None:
        super().__init__()
        self.weight = empty(*features)
        self.bias = empty(features[0]) if bias else None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., in features] to [..., out features], in the dtype of `values`; the product is in that of the weight."""
        return _product(values, self.weight, self.bias)


def _product(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """A checkpoint may hold its weights in several dtypes, and each is kept as stored."""
    bias = None if bias is None else bias.to(weight.dtype)
    return nn.functional.linear(values.to(weight.dtype), weight, bias).to(values.dtype)


class QuantizedLinear(nn.Module):
    """A Linear that keeps its weight as stored, and dequantizes it each time it is used.

    Memory at rest is that of the codes and scales; one dense weight exists while a product is computed.
    """

    bias: nn.Parameter | None

    def __init__(self, weight: QuantizedWeight, shapes: Mapping[str, tuple[int, ...]], *, bias: bool = False) -> None:
        super().__init__()
        self.planned = weight
        self.suffixes = tuple(shapes)
        for suffix, shape in shapes.items():
            self.register_buffer(suffix, torch.empty(shape, device="meta"))
        self.bias = empty(weight.shape[0]) if bias else None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., in features] to [..., out features], in the dtype of `values`."""
        parts = {suffix: self.get_buffer(suffix) for suffix in self.suffixes}
        weight = self.planned.family.dequantize(self.planned, parts, values.dtype)
        return _product(values, weight, self.bias)


class Embedding(nn.Module):
    """A row of the table [vocabulary, hidden] for each token."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.weight = empty(vocabulary, hidden)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 [batch, positions] to [batch, positions, hidden]."""
        return nn.functional.embedding(tokens, self.weight)


class RMSNorm(nn.Module):
    """Root mean square norm (arXiv 1910.07467): the square in float32, the weight behind the cast, as Llama has it."""

    def __init__(self, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.weight = empty(hidden)
        self.epsilon = epsilon

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., hidden] to the same shape and dtype."""
        wide = values.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return (self.weight * wide.to(values.dtype)).to(values.dtype)
