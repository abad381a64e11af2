"""Keys and values of the positions seen so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from inferno_loader.errors import MemoryLimitError

if TYPE_CHECKING:
    from inferno_loader.config import LlamaConfig


class KeyValueCache:
    """Room for the keys and values of every layer, taken once; and the tokens that they belong to.

    Args:
        config: Gives layers, key-value heads and head dimension.
        batch: Sequences.
        length: The most positions it will hold.
        dtype: That of the model's activations.
        device: That of the model.

    The memory is ``2 * layers * batch * key-value heads * length * head_dim`` elements of `dtype`.

    Attributes:
        length: Positions held.
    """

    def __init__(
        self, config: LlamaConfig, *, batch: int, length: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        shape = (2, config.num_hidden_layers, batch, config.num_key_value_heads, length, config.head_dim)
        self._store = torch.empty(shape, dtype=dtype, device=device)
        self._tokens = torch.empty(batch, length, dtype=torch.int64, device=device)
        self.length = 0

    @property
    def capacity(self) -> int:
        """The most positions it holds."""
        return self._store.shape[4]

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values."""
        return self._store.nbytes

    def require_room(self, count: int) -> None:
        """Make sure that `count` more positions fit.

        Raises:
            MemoryLimitError: They do not. Nothing has changed.
        """
        end = self.length + count
        if end > self.capacity:
            raise MemoryLimitError(
                "the key-value cache is full",
                expected=f"at most {self.capacity} positions",
                actual=f"{end} positions",
                remedy="make a cache for a greater length",
            )

    def append(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the keys and values [batch, heads, new, head_dim] of one layer; all so far come back.

        The length grows with `advance`, once all layers have appended.
        """
        end = self.length + keys.shape[2]
        for place, new in enumerate((keys, values)):
            self._store[place, layer, :, :, self.length : end] = new
        return self._store[0, layer, :, :, :end], self._store[1, layer, :, :, :end]

    def advance(self, tokens: torch.Tensor) -> None:
        """Count the positions of `tokens`, int64 [batch, new], as held."""
        end = self.length + tokens.shape[1]
        self._tokens[:, self.length : end] = tokens
        self.length = end

    def restart(self) -> torch.Tensor:
        """Forget all keys and values; the tokens that they belonged to come back."""
        tokens, self.length = self._tokens[:, : self.length], 0
        return tokens
