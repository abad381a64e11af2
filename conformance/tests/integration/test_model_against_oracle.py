"""InfernoLlama against a float64 forward pass in NumPy, written from the papers; and its cache against itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from conformance.tools.forward import logits
from conformance.tools.recipe import NAMED, Recipe
from inferno_loader import load_model
from inferno_loader.errors import MemoryLimitError
from inferno_loader.memory import kv_cache_bytes
from inferno_loader.model import InfernoLlama, KeyValueCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tools.recipe import Built

# Contexts that a test can pass: trained on 8 positions, made for 16.
_SHORT = {"num_hidden_layers": 3, "max_position_embeddings": 16}
_ORIGINAL = {"original_max_position_embeddings": 8}
_ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "theta": {"rope_theta": 500000.0},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 3.0}},
    "llama3": {
        "rope_theta": 500.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, **_ORIGINAL}},
    "yarn with mscale": {
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": 0.7, "mscale_all_dim": 0.5, **_ORIGINAL}
    },
    "longrope": {
        "rope_scaling": {
            "rope_type": "longrope",
            "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4],
            "long_factor": [1.5, 2.0, 3.0, 5.0, 8.0],
            **_ORIGINAL,
        }
    },
}
_SHAPES: dict[str, dict[str, Any]] = {
    "one key-value head": {"num_key_value_heads": 1},
    "as many heads": {"num_key_value_heads": 6},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "wide heads": {"head_dim": 24},
    "narrow heads": {"head_dim": 2},
    "heads by division": {"head_dim": None, "hidden_size": 48},
    "tied": {"tie_word_embeddings": True},
    "large epsilon": {"rms_norm_eps": 0.1},
    "sliding window": {"model_type": "mistral", "sliding_window": 5},
    "window of one": {"model_type": "mistral", "sliding_window": 1},
}


def _tokens(batch: int, length: int) -> torch.Tensor:
    """Every token of a vocabulary of 101 once before one comes twice, in another order for each sequence."""
    return torch.stack([torch.arange(length) * (37 + row) % 101 for row in range(batch)])


def _model(built: Callable[[Recipe], Built], **config: Any) -> tuple[Built, InfernoLlama]:
    made = built(Recipe(dtype="F32", config={**_SHORT, **config}))
    return made, load_model(made.directory)


def _apart(made: Built, model: InfernoLlama, tokens: torch.Tensor) -> float:
    """The largest difference from the oracle, as a part of the largest logit."""
    truth = logits(made.config, made.values, tokens.numpy())
    return float(np.abs(model(tokens).double().numpy() - truth).max() / np.abs(truth).max())


# At the borders of both contexts, and far beyond them.
@pytest.mark.parametrize("length", [1, 8, 9, 16, 17, 48])
@pytest.mark.parametrize("rope", _ROPES)
def test_every_rope_type_at_every_length(
    rope: str, length: int, built: Callable[[Recipe], Built], record_property: Callable[[str, object], None]
) -> None:
    """The bound of the suite is 1e-3; float32 stays below 1e-5, and the margin is in the report."""
    made, model = _model(built, **_ROPES[rope])
    apart = _apart(made, model, _tokens(2, length))
    record_property("apart", apart)
    print(f"{rope}, {length} positions: {apart:.1e} of the largest logit")  # noqa: T201 - shown with -rP
    assert apart < 1e-5


@pytest.mark.parametrize("shape", _SHAPES)
def test_every_shape(shape: str, built: Callable[[Recipe], Built]) -> None:
    """Head counts, biases, head dimensions, ties, norms and windows."""
    made, model = _model(built, **_SHAPES[shape])
    for length in (1, 4, 5, 6, 23):
        assert _apart(made, model, _tokens(3, length)) < 1e-5


def test_the_names_of_the_meta_dialect_change_nothing(built: Callable[[Recipe], Built]) -> None:
    """Stored with rows in pairs and another number of heads for k than for q."""
    made = built(NAMED["meta"])
    assert _apart(made, load_model(made.directory, dtype="float32"), _tokens(2, 11)) < 1e-5


def _without_cache(model: InfernoLlama, tokens: torch.Tensor, count: int) -> torch.Tensor:
    """A greedy continuation that computes everything anew for each token."""
    for _ in range(count):
        tokens = torch.cat((tokens, model(tokens)[:, -1].argmax(-1, keepdim=True)), dim=1)
    return tokens


@pytest.mark.parametrize("prompt", [1, 5, 20])
@pytest.mark.parametrize("case", [*_ROPES, "sliding window"])
def test_generation_with_the_cache_is_generation_without(
    case: str, prompt: int, built: Callable[[Recipe], Built]
) -> None:
    """Greedy, past both contexts: each token is the one that a model without a cache would have given."""
    _, model = _model(built, **{**_ROPES, **_SHAPES}[case])
    tokens = _tokens(1, prompt)
    generated = model.generate(tokens, 30, stop=())
    assert generated.shape == (1, prompt + 30)
    assert torch.equal(generated, _without_cache(model, tokens, 30))


@pytest.mark.parametrize("pieces", [[1] * 24, [7, 1, 1, 6, 9], [8, 8, 8], [17, 1, 6]], ids=str)
@pytest.mark.parametrize("case", [*_ROPES, "sliding window"])
def test_logits_with_the_cache_are_those_without(
    case: str, pieces: list[int], built: Callable[[Recipe], Built]
) -> None:
    """In pieces of any size, for several sequences at once, before, at and behind the borders of the contexts."""
    _, model = _model(built, **{**_ROPES, **_SHAPES}[case])
    tokens = _tokens(2, sum(pieces))
    cache = KeyValueCache(model.config, batch=2, length=24, dtype=torch.float32)
    for piece in pieces:
        start = cache.length
        found = model(tokens[:, start : start + piece], cache)
        assert cache.length == start + piece
        whole = model(tokens[:, : start + piece])[:, start:]
        assert found.shape == whole.shape
        assert (found - whole).abs().max() < 1e-5 * whole.abs().max()


def test_a_token_sees_nothing_ahead(built: Callable[[Recipe], Built]) -> None:
    """Logits of a position do not change with what follows, nor with what other sequences say."""
    _, model = _model(built)
    first, second = _tokens(2, 12), _tokens(2, 12)
    second[0, 9:], second[1] = 7, 3
    ours, theirs = model(first), model(second)
    assert (ours[0, :9] - theirs[0, :9]).abs().max() < 1e-6
    assert (ours[0, 9:] - theirs[0, 9:]).abs().max() > 1e-2


def test_a_full_cache_is_an_error(built: Callable[[Recipe], Built]) -> None:
    """No position is written over, and what the cache holds stays good."""
    _, model = _model(built, **_ROPES["dynamic"])
    tokens = _tokens(1, 20)
    cache = KeyValueCache(model.config, batch=1, length=18, dtype=torch.float32)
    model(tokens[:, :16], cache)
    with pytest.raises(MemoryLimitError) as caught:
        model(tokens[:, 16:20], cache)
    assert (caught.value.expected, caught.value.actual) == ("at most 18 positions", "20 positions")
    assert cache.length == 16
    found, whole = model(tokens[:, 16:18], cache), model(tokens[:, :18])[:, 16:]
    assert (found - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 40)])
def test_a_cache_takes_what_is_predicted(
    batch: int, length: int, dtype: torch.dtype, built: Callable[[Recipe], Built]
) -> None:
    """2 * 3 layers * 2 key-value heads * 10 dimensions, for each position of each sequence."""
    _, model = _model(built)
    cache = KeyValueCache(model.config, batch=batch, length=length, dtype=dtype)
    assert cache.nbytes == 120 * batch * length * dtype.itemsize
    assert cache.nbytes == kv_cache_bytes(model.config, batch, length, dtype.itemsize)
    assert (cache.capacity, cache.length) == (length, 0)


def test_generation_stops_where_a_text_ends(built: Callable[[Recipe], Built]) -> None:
    """At a token of the caller's, or of the configuration, which is then the last; nothing to add adds nothing."""
    _, model = _model(built)
    tokens = _tokens(1, 5)
    free = model.generate(tokens, 12, stop=())[0].tolist()
    ends = free[8]
    first = free.index(ends, 5)
    assert model.generate(tokens, 12, stop=[ends])[0].tolist() == free[: first + 1]
    _, ending = _model(built, eos_token_id=[ends, 100])
    assert ending.generate(tokens, 12)[0].tolist() == free[: first + 1]
    assert torch.equal(model.generate(tokens, 0), tokens)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_dtypes_compute(dtype: str, built: Callable[[Recipe], Built]) -> None:
    """Logits come in the dtype of the model, near the oracle as far as the dtype goes, with a cache as without."""
    made, _ = _model(built)
    model = load_model(made.directory, dtype=dtype)
    tokens = _tokens(2, 9)
    assert str(model(tokens).dtype) == f"torch.{dtype}"
    assert _apart(made, model, tokens) < {"bfloat16": 0.05, "float16": 0.005, "float64": 1e-6}[dtype]
    assert model.generate(tokens[:1], 3, stop=()).shape == (1, 12)
