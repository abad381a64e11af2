"""InfernoLlama: the forward pass, on names of the inferno dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from inferno_loader.architecture import linear_shapes
from inferno_loader.model.cache import KeyValueCache
from inferno_loader.model.layers import Embedding, Linear, QuantizedLinear, RMSNorm
from inferno_loader.model.rotary import Rotation, frequencies, rotate, rotation
from inferno_loader.rope import depends_on_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferno_loader.config import LlamaConfig

#: Makes the Linear of a module, given its name in the inferno dialect, its shape, and whether it has a bias.
LinearFactory = Callable[[str, tuple[int, int], bool], Linear | QuantizedLinear]


class _Step(NamedTuple):
    """What all layers of one forward pass share."""

    turn: Rotation
    mask: torch.Tensor | None
    causal: bool
    cache: KeyValueCache | None


def dense_linear(name: str, features: tuple[int, int], bias: bool) -> Linear:  # noqa: ARG001 - the name tells others apart
    """The Linear of a dense module."""
    return Linear(features, bias=bias)


class InfernoLlama(nn.Module):
    """A Llama for inference. ``model(input_ids)`` returns logits [batch, positions, vocabulary].

    It is made on ``meta``, without memory; `inferno_loader.load_model` fills it. Parameters bear the names of the
    inferno dialect: ``layers.0.attention.q_proj.weight``.

    Args:
        config: The architecture.
        linear: Makes each Linear; dense ones where not given.
    """

    def __init__(self, config: LlamaConfig, *, linear: LinearFactory = dense_linear) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, number, linear) for number in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = linear("lm_head", (config.vocab_size, config.hidden_size), False)  # noqa: FBT003

    def forward(self, input_ids: torch.Tensor, cache: KeyValueCache | None = None) -> torch.Tensor:
        """Logits [batch, positions, vocabulary] in the dtype of the model.

        Args:
            input_ids: int64 [batch, positions], each below the size of the vocabulary.
            cache: Keys and values of earlier positions; it grows by these.

        Raises:
            MemoryLimitError: The cache has no room for them.
        """
        return self.lm_head(self.hidden_states(input_ids, cache))  # type: ignore[no-any-return]

    def hidden_states(self, input_ids: torch.Tensor, cache: KeyValueCache | None = None) -> torch.Tensor:
        """The states in front of the head: [batch, positions, hidden]."""
        tokens = input_ids if cache is None else self._due(input_ids, cache)
        states = self.embed_tokens(tokens)
        step = self._step(tokens, cache)
        for layer in self.layers:
            states = layer(states, step)
        if cache is not None:
            cache.advance(tokens)
        return self.norm(states[:, -input_ids.shape[1] :])  # type: ignore[no-any-return]

    def _due(self, input_ids: torch.Tensor, cache: KeyValueCache) -> torch.Tensor:
        """The tokens to compute: `input_ids`, and all before them where the cache holds what no longer holds.

        With the rope types ``dynamic`` and ``longrope`` every frequency may change as a text grows, and with it the
        keys and values of all layers but the first.
        """
        cache.require_room(input_ids.shape[1])
        if not cache.length or not depends_on_length(self.config.rope):
            return input_ids
        length = cache.length + input_ids.shape[1]
        if frequencies(self.config, length) == frequencies(self.config, cache.length):
            return input_ids
        return torch.cat((cache.restart(), input_ids), dim=1)

    def _step(self, tokens: torch.Tensor, cache: KeyValueCache | None) -> _Step:
        past, new = cache.length if cache else 0, tokens.shape[1]
        positions = torch.arange(past + new, device=tokens.device)
        turn = rotation(self.config, positions[past:], past + new)
        window = self.config.sliding_window
        if new == 1 and (window is None or past < window):
            return _Step(turn, None, causal=False, cache=cache)
        if past == 0 and (window is None or new <= window):
            return _Step(turn, None, causal=True, cache=cache)
        return _Step(turn, _mask(positions, new, window), causal=False, cache=cache)

    @torch.inference_mode()
    def generate(
        self, input_ids: torch.Tensor, max_new_tokens: int, *, stop: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Continue greedily: the most likely token each time, the lowest number among equals.

        Args:
            input_ids: int64 [1, positions], at least one.
            max_new_tokens: The most tokens to add.
            stop: Tokens that end the text, themselves included; the configuration's where not given.

        Returns:
            int64 [1, positions + new].
        """
        ends = set(self.config.eos_token_ids if stop is None else stop)
        length = input_ids.shape[1] + max_new_tokens
        cache = KeyValueCache(
            self.config, batch=1, length=length, dtype=self.embed_tokens.weight.dtype, device=input_ids.device
        )
        tokens, new = input_ids, input_ids
        for _ in range(max_new_tokens):
            last = self.lm_head(self.hidden_states(new, cache)[:, -1])
            new = last.argmax(-1, keepdim=True)
            tokens = torch.cat((tokens, new), dim=1)
            if int(new) in ends:
                break
        return tokens


def _mask(positions: torch.Tensor, new: int, window: int | None) -> torch.Tensor:
    """Which of all `positions` each of the last `new` may see: bool [new, positions]."""
    queries = positions[-new:, None]
    seen = positions[None, :] <= queries
    return seen if window is None else seen & (positions[None, :] > queries - window)


class _Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and added to what came in."""

    def __init__(self, config: LlamaConfig, number: int, linear: LinearFactory) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = _Attention(config, number, linear)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.feed_forward = _FeedForward(config, number, linear)

    def forward(self, states: torch.Tensor, step: _Step) -> torch.Tensor:
        states = states + self.attention(self.input_layernorm(states), step)
        return states + self.feed_forward(self.post_attention_layernorm(states))  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """Grouped-query attention (arXiv 2305.13245): each key-value head serves a run of query heads."""

    def __init__(self, config: LlamaConfig, number: int, linear: LinearFactory) -> None:
        super().__init__()
        self.number, self.head_dim = number, config.head_dim
        shapes = linear_shapes(config)
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            linear(f"layers.{number}.attention.{name}", shapes[f"self_attn.{name}"], config.attention_bias)
            for name in ("q_proj", "k_proj", "v_proj", "o_proj")
        )

    def forward(self, states: torch.Tensor, step: _Step) -> torch.Tensor:
        queries = rotate(self._heads(self.q_proj(states)), step.turn)
        keys, values = rotate(self._heads(self.k_proj(states)), step.turn), self._heads(self.v_proj(states))
        if step.cache is not None:
            keys, values = step.cache.append(self.number, keys, values)
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=step.mask, is_causal=step.causal, enable_gqa=True
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, values: torch.Tensor) -> torch.Tensor:
        """[batch, positions, heads * head_dim] to [batch, heads, positions, head_dim]."""
        return values.reshape(*values.shape[:2], -1, self.head_dim).transpose(1, 2)


class _FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202): ``down(silu(gate(x)) * up(x))``."""

    def __init__(self, config: LlamaConfig, number: int, linear: LinearFactory) -> None:
        super().__init__()
        shapes = linear_shapes(config)
        self.gate_proj, self.up_proj, self.down_proj = (
            linear(f"layers.{number}.feed_forward.{name}", shapes[f"mlp.{name}"], config.mlp_bias)
            for name in ("gate_proj", "up_proj", "down_proj")
        )

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.down_proj(nn.functional.silu(self.gate_proj(states)) * self.up_proj(states))  # type: ignore[no-any-return]
