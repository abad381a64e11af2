"""Properties of reading a configuration, over generated values."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferno_loader.config import ROPE_TYPES, LlamaConfig
from inferno_loader.errors import InfernoError
from inferno_loader.rope import rope_frequencies

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.torch_free

_BLOCK: dict[str, Any] = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
_VALID: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": True,
    "rope_theta": 500000.0,
    "rope_scaling": _BLOCK,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": [2, 3],
    "pad_token_id": None,
    "use_cache": True,
}
_OTHER_KEYS = (
    "dtype",
    "text_config",
    "rope_parameters",
    "partial_rotary_factor",
    "original_max_position_embeddings",
    "max_sequence_length",
    "sliding_window",
    "quantization_config",
    "compression_config",
    "_name_or_path",
    "rope_interleaved",
    "anything",
)
_BLOCK_KEYS = (
    *_BLOCK, "type", "rope_theta", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate",
    "short_factor", "long_factor", "partial_rotary_factor", "full_attention",
)  # fmt: skip

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.sampled_from([64, 4096, 2**31 - 1, 2**31, 2**63, 10**400])
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([*ROPE_TYPES, "su", "none", "llama", "mistral", "silu", "float16", "auto"])
)
_KEYS: Sequence[str] = (*_VALID, *_OTHER_KEYS)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(_KEYS) | st.text(), inner, max_size=4),
    max_leaves=12,
)
_FACTORS = st.lists(st.floats(1e-6, 1e6), min_size=4, max_size=4)


def _either(data: dict[str, Any]) -> LlamaConfig | None:
    """The configuration, or None where it was refused with an error whose message can be printed."""
    try:
        return LlamaConfig.from_dict(data)
    except InfernoError as error:
        str(error).encode("utf-8")
        return None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=3))
def test_any_value_of_any_key_is_read_or_refused(changes: dict[str, Any]) -> None:
    """Whatever JSON value a key has, there is a configuration or an InfernoError, and nothing else."""
    config = _either({**_VALID, **changes})
    if config is not None:
        assert config.num_attention_heads % config.num_key_value_heads == 0
        assert config.head_dim % 2 == 0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_any_object_is_read_or_refused(data: dict[str, Any]) -> None:
    """An object of keys at random never raises anything but an InfernoError."""
    _either(data)
    _either({**_VALID, "text_config": data})


@settings(deadline=None)
@given(
    st.sampled_from(["rope_scaling", "rope_parameters"]),
    st.fixed_dictionaries(
        {"rope_type": st.sampled_from(ROPE_TYPES), "short_factor": _FACTORS, "long_factor": _FACTORS}
    ),
    st.dictionaries(st.sampled_from(_BLOCK_KEYS), _SCALARS, max_size=4),
    st.floats(1.0, 1e15, exclude_min=True),
    st.integers(0, 2**31 - 1),
)
def test_every_rope_that_is_accepted_can_be_computed(
    place: str, block: dict[str, Any], changes: dict[str, Any], theta: float, length: int
) -> None:
    """An accepted rope has finite positive frequencies and a positive attention factor at every length."""
    others = {key: value for key, value in _VALID.items() if not key.startswith("rope_")}
    config = _either({**others, "rope_theta": theta, place: {**_BLOCK, **block, **changes}})
    if config is not None:
        frequencies, attention = rope_frequencies(config.rope, 8, config.max_position_embeddings, length)
        assert len(frequencies) == 4
        assert all(frequency > 0 and math.isfinite(frequency) for frequency in (*frequencies, attention))


@settings(deadline=None)
@given(st.permutations(list(_VALID)), st.sets(st.sampled_from([key for key in _VALID if type(_VALID[key]) is int])))
def test_order_and_spelling_of_numbers_do_not_matter(order: list[str], as_float: set[str]) -> None:
    """A valid configuration means the same in any order, with whole numbers as floats."""
    spelled = {key: float(_VALID[key]) if key in as_float else _VALID[key] for key in order}
    assert LlamaConfig.from_dict(json.loads(json.dumps(spelled))) == LlamaConfig.from_dict(_VALID)


@settings(deadline=None)
@given(st.sets(st.sampled_from([key for key in _VALID if key not in ("model_type", "rope_scaling", "rope_theta")])))
def test_a_nested_configuration_means_the_same(outside: set[str]) -> None:
    """Under text_config, with some keys left outside, a valid configuration means the same."""
    nested = {key: value for key, value in _VALID.items() if key not in outside}
    around = {"model_type": "llava", "text_config": nested, **{key: _VALID[key] for key in outside}}
    assert LlamaConfig.from_dict(around) == LlamaConfig.from_dict(_VALID)
