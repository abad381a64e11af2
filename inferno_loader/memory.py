"""How much memory a Llama takes: weights, key-value cache, activations; and what to do where that is too much."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inferno_loader.architecture import linear_shapes

if TYPE_CHECKING:
    from inferno_loader.config import LlamaConfig

_FLOAT32 = 4
_TOKEN_BYTES = 8


@dataclass(frozen=True, slots=True)
class MemoryRequirements:
    """Memory of a model in use, in bytes.

    Attributes:
        weights: Weights as loaded.
        transient: Beside them while loading, at the most.
        kv_cache: Keys and values for `batch` sequences of `length` positions.
        activations: The most that one forward pass over `batch` times `length` tokens holds, logits of all included.
        batch: Sequences.
        length: Positions of each.
        dtype: Dtype of activations and cache.
    """

    weights: int
    transient: int
    kv_cache: int
    activations: int
    batch: int
    length: int
    dtype: str

    @property
    def total(self) -> int:
        """Weights, cache and activations: what inference needs at once."""
        return self.weights + self.kv_cache + self.activations

    def to_json(self) -> dict[str, Any]:
        """The requirements as a JSON object."""
        return {**asdict(self), "total": self.total}


def kv_cache_bytes(config: LlamaConfig, batch: int, length: int, element_bytes: int) -> int:
    """Bytes of `KeyValueCache`: 2 * layers * batch * key-value heads * length * head_dim elements."""
    per_position = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    return per_position * batch * length * element_bytes


def activation_bytes(config: LlamaConfig, batch: int, length: int, element_bytes: int) -> int:
    """The most that one forward pass of `InfernoLlama` holds at once, without a cache, in bytes.

    The largest of these stages. Attention and feed-forward hold their input beside the residual stream, the second norm
    and the feed-forward also the stream as it was in front of the layer.

    * Rotation of q, or of k beside the rotated q: it is computed in float32, in halves.
    * Attention: q, k, v, the mixture of values by heads and by positions, and the output.
    * Norm: two copies in float32.
    * Feed-forward: silu of gate, up, and their product; or the output and the new stream.
    * Logits: themselves, and the states that they are made of.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.query_width, config.key_value_width
    turned = (2 if element_bytes == _FLOAT32 else 3) * _FLOAT32
    stages = (
        (2 * hidden + queries) * element_bytes + queries * turned,
        (2 * hidden + queries + keys) * element_bytes + keys * turned,
        (3 * hidden + 3 * queries + 2 * keys) * element_bytes,
        2 * hidden * (element_bytes + _FLOAT32),
        (3 * hidden + max(3 * inner, hidden)) * element_bytes,
        (config.vocab_size + hidden) * element_bytes,
    )
    return batch * length * (max(stages) + _TOKEN_BYTES)


def longest_context(config: LlamaConfig, room: int, batch: int, element_bytes: int) -> int:
    """The most positions for which cache and activations fit into `room` bytes; 0 where none do."""
    per_position = kv_cache_bytes(config, batch, 1, element_bytes) + activation_bytes(config, batch, 1, element_bytes)
    return max(room, 0) // per_position


def quantized_bytes(config: LlamaConfig, dense_bytes: int, element_bytes: int, bits: int) -> int:
    """Weight bytes with every Linear of the layers at `bits` bits, scales of 2 bytes a row (8) or 128 elements (4)."""
    shapes = linear_shapes(config).values()
    elements = config.num_hidden_layers * sum(rows * columns for rows, columns in shapes)
    rows = config.num_hidden_layers * sum(rows for rows, _ in shapes)
    scales = 2 * (rows if bits >= 8 else elements // 128)  # noqa: PLR2004 - a byte
    return dense_bytes - elements * element_bytes + elements * bits // 8 + scales


def recommend(
    config: LlamaConfig, needed: MemoryRequirements, available: int | None, element_bytes: int, *, quantized: bool
) -> tuple[str, ...]:
    """What to do so that the model fits into `available` bytes: one sentence each, the mildest first.

    Args:
        config: The model.
        needed: What it needs as asked.
        available: What is there; None where nothing tells.
        element_bytes: Bytes of one element of weights, cache and activations.
        quantized: Whether the weights are quantized already.
    """
    if available is None:
        return ("how much memory is there is not known: compare the figures yourself",)
    if needed.total <= available:
        return (f"fits: {_size(needed.total)} of {_size(available)}",)
    advice = []
    context = longest_context(config, available - needed.weights, needed.batch, element_bytes)
    if context:
        advice.append(f"shorten the context to {context} positions (from {needed.length})")
    if needed.batch > 1 and needed.weights + (needed.kv_cache + needed.activations) // needed.batch <= available:
        advice.append(f"lower the batch from {needed.batch} to 1")
    advice.extend(() if quantized else _quantize(config, needed, available, element_bytes))
    advice.extend(_shard(config, needed, available))
    return tuple(advice)


def _quantize(config: LlamaConfig, needed: MemoryRequirements, available: int, element_bytes: int) -> list[str]:
    rest = needed.kv_cache + needed.activations
    for bits in (8, 4):
        size = quantized_bytes(config, needed.weights, element_bytes, bits)
        if size + rest <= available:
            return [f"quantize the weights to {bits} bits: {_size(size)} instead of {_size(needed.weights)}"]
    return []


def _shard(config: LlamaConfig, needed: MemoryRequirements, available: int) -> list[str]:
    """Ranks must divide the heads; key-value heads fewer than ranks must divide them, and are replicated."""
    heads, keys = config.num_attention_heads, config.num_key_value_heads
    for ranks in range(2, heads + 1):
        each = (needed.weights + needed.activations) // ranks + needed.kv_cache // min(ranks, keys)
        if heads % ranks == 0 and 0 in (keys % ranks, ranks % keys) and each <= available:
            return [f"shard over {ranks} ranks: about {_size(each)} each"]
    return []


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.2f} GiB" if nbytes >= 2**28 else f"{nbytes / 2**20:.1f} MiB"
