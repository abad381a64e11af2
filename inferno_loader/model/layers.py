"""The modules of a Llama that hold weights. Each is made empty, and nothing is ever initialised at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """A Linear that keeps its weight as stored, in any family, and dequantizes it each time it is used.

    Memory at rest is that of the codes and scales; one dense weight exists while a product is computed. It is that of a
    dense load to the bit, and so is the product.

    Args:
        weight: As planned; its family does the arithmetic.
        shapes: Of the stored parts, by suffix. A suffix may hold dots (``weight.absmax``): each is a buffer.
        dtype: Of the dense weight; that of the activations where not given.
        bias: Whether there is one.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        weight: QuantizedWeight,
        shapes: Mapping[str, tuple[int, ...]],
        *,
        dtype: torch.dtype | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.planned, self.dtype = weight, dtype
        self.bias = empty(weight.shape[0]) if bias else None
        # register_buffer takes no name with a dot: so are named the buffers of submodules, of which there are none.
        self._buffers.update({suffix: torch.empty(shape, device="meta") for suffix, shape in shapes.items()})

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., in features] to [..., out features], in the dtype of `values`."""
        return _product(values, self.dense_weight(self.dtype or values.dtype), self.bias)

    def dense_weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight [out features, in features], made anew."""
        parts = {suffix: part for suffix, part in self._buffers.items() if part is not None}
        return self.planned.family.dequantize(self.planned, parts, dtype)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],  # noqa: ARG002 - the signature is that of torch
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take the tensors themselves, as ``assign=True`` does elsewhere; `nn.Module` takes no name with a dot."""
        own = {**self._parameters, **self._buffers}
        held = {f"{prefix}{name}": tensor for name, tensor in own.items() if tensor is not None}
        for name, empty_one in held.items():
            given = state_dict.get(name, empty_one)
            if given.shape != empty_one.shape:
                error_msgs.append(f"size mismatch for {name}: {list(given.shape)}, and not {list(empty_one.shape)}")
            elif name == f"{prefix}bias":
                self.bias = nn.Parameter(given, requires_grad=False)
            else:
                self._buffers[name.removeprefix(prefix)] = given
        if strict:
            missing_keys.extend(name for name in held if name not in state_dict)
            unexpected_keys.extend(name for name in state_dict if name.startswith(prefix) and name not in held)


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
