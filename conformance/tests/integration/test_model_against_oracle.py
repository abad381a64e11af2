"""InfernoLlama against a float64 forward pass in NumPy that was written for it, and against itself with a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from conformance.tools.forward import logits
from conformance.tools.recipe import Recipe
from inferno_loader import load_model
from inferno_loader.errors import MemoryLimitError
from inferno_loader.memory import kv_cache_bytes
from inferno_loader.model import KeyValueCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tools.recipe import Built

_ORIGINAL = 64
_SMALL: dict[str, Any] = {"num_hidden_layers": 2, "vocab_size": 97, "max_position_embeddings": 128}
_HALF = 8  # half of the head dimension below
_ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}, "max_position_embeddings": _ORIGINAL},
    "llama3": {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": _ORIGINAL,
        }
    },
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": _ORIGINAL}},
    "longrope": {
        "rope_scaling": {
            "rope_type": "longrope",
            "factor": 2.0,
            "original_max_position_embeddings": _ORIGINAL,
            "short_factor": [1.0 + 0.1 * step for step in range(_HALF)],
            "long_factor": [2.0 + 0.7 * step for step in range(_HALF)],
        }
    },
}
_SHAPES: dict[str, dict[str, Any]] = {
    "grouped queries": {"num_attention_heads": 6, "num_key_value_heads": 3},
    "one key-value head": {"num_attention_heads": 4, "num_key_value_heads": 1},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "tied": {"tie_word_embeddings": True},
    "sliding window": {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 7},
}


def _recipe(**changes: Any) -> Recipe:
    return Recipe(config={**_SMALL, "head_dim": 2 * _HALF, **changes}, dtype="F32")


def _tokens(length: int, batch: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(length).integers(0, _SMALL["vocab_size"], (batch, length)))


def _off(built: Built, tokens: torch.Tensor) -> float:
    """The largest difference of a logit, as a part of the largest."""
    with torch.inference_mode():
        found = load_model(built.directory)(tokens).double().numpy()
    truth = logits(built.config, built.values, tokens.numpy())
    assert found.shape == truth.shape == (*tokens.shape, _SMALL["vocab_size"])
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("length", [1, _ORIGINAL, _ORIGINAL + 1, 3 * _ORIGINAL])
@pytest.mark.parametrize("rope", _ROPES)
def test_every_rope_type_equals_the_oracle(built: Callable[[Recipe], Built], rope: str, length: int) -> None:
    """At one position, at the original length, behind it and far behind it."""
    assert _off(built(_recipe(**_ROPES[rope])), _tokens(length)) < 2e-5


@pytest.mark.parametrize("shape", _SHAPES)
def test_every_shape_equals_the_oracle(built: Callable[[Recipe], Built], shape: str) -> None:
    """Heads in groups, biases, a tied head and a sliding window, with two sequences at once."""
    assert _off(built(_recipe(**_SHAPES[shape])), _tokens(20, batch=2)) < 2e-5


def test_a_rope_type_that_is_ignored_would_be_seen(built: Callable[[Recipe], Built]) -> None:
    """The bound above means something: the wrong rope type moves the logits a thousand times as far."""
    scaled = built(_recipe(**_ROPES["llama3"]))
    plain = {**scaled.config, "rope_scaling": None}
    tokens = _tokens(3 * _ORIGINAL)
    truth = logits(scaled.config, scaled.values, tokens.numpy())
    wrong = logits(plain, scaled.values, tokens.numpy())
    assert np.abs(wrong - truth).max() / np.abs(truth).max() > 2e-2


@pytest.mark.parametrize("case", [*_ROPES, "sliding window"])
def test_a_cache_changes_nothing(built: Callable[[Recipe], Built], case: str) -> None:
    """Positions one by one, and in uneven runs, give the logits of all at once, also where frequencies change."""
    built_case = built(_recipe(**_ROPES.get(case, _SHAPES.get(case, {}))))
    model = load_model(built_case.directory)
    tokens = _tokens(_ORIGINAL + 4)
    with torch.inference_mode():
        for runs in ([_ORIGINAL - 1, 1, 1, 1, 1, 1], [5, _ORIGINAL - 6, 3, 2]):
            cache = KeyValueCache(model.config, batch=1, length=tokens.shape[1], dtype=torch.float32)
            start = 0
            for count in runs:
                stop = start + count
                stepped = model(tokens[:, start:stop], cache)
                at_once = model(tokens[:, :stop])[:, start:]
                assert torch.allclose(stepped, at_once, atol=1e-4, rtol=1e-4), (start, stop)
                start = stop


def test_generation_is_greedy_and_ends_at_a_stop(built: Callable[[Recipe], Built]) -> None:
    """Each token is the most likely one behind all before it; a stop token ends the text, itself included."""
    model = load_model(built(_recipe()).directory)
    prompt = _tokens(5)
    made = model.generate(prompt, 6, stop=())
    assert made.shape == (1, 11)
    with torch.inference_mode():
        for end in range(5, 11):
            assert int(model(made[:, :end])[0, -1].argmax()) == int(made[0, end])
    second = int(made[0, 6])
    stopped = model.generate(prompt, 6, stop=(second,))
    first_time = made[0, 5:].tolist().index(second)
    assert stopped.tolist() == made[:, : 6 + first_time].tolist()


def test_a_full_cache_says_so_and_stays_as_it_was(built: Callable[[Recipe], Built]) -> None:
    """Its memory is that of the formula, and one position too many is an error that changes nothing."""
    model = load_model(built(_recipe()).directory)
    cache = KeyValueCache(model.config, batch=1, length=4, dtype=torch.float32)
    assert cache.nbytes == kv_cache_bytes(model.config, 1, 4, 4)
    with torch.inference_mode():
        model(_tokens(4), cache)
        with pytest.raises(MemoryLimitError):
            model(_tokens(1), cache)
    assert cache.length == cache.capacity == 4
