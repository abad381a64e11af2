"""The right loaders read what the recipes wrote: every tensor to the bit, logits within the bound, slices and facts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from conformance import planted
from conformance.engine.case import Call, Tokens
from conformance.engine.claims import Level
from conformance.engine.judge import compare
from conformance.engine.performing import perform
from conformance.engine.requests import request
from conformance.planted.right import Right
from conformance.planted.right_ways import RightCopying, RightMapping
from conformance.tools.recipe import NAMED, Quantization, Recipe
from conformance.tools.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.truth import Tensors

    Built = Callable[[Scenario], Path]

_TOKENS = Tokens(80, batch=2)
_SMALL = {"num_hidden_layers": 2}
# Groups of 8 columns divide these widths; blocks of 16 cut the last one.
_GROUPED = {"num_hidden_layers": 2, "hidden_size": 56, "intermediate_size": 72, "head_dim": 8}
_LIMITS = {"max_position_embeddings": 64}
_ROPES: dict[str, dict[str, Any]] = {
    "default": {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}, "rope_theta": None},
    "linear": {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.5}, **_LIMITS},
    "llama3": {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "yarn": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
    "longrope": {
        "rope_scaling": {
            "rope_type": "longrope",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
            "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4],
            "long_factor": [1.0, 2.0, 3.0, 4.0, 5.0],
        },
    },
}
_QUANTIZATIONS = {
    "int8 by tensor": Quantization("int8", "tensor", scale_dtype="F16"),
    "int8 by channel, asymmetric": Quantization("int8", "channel", symmetric=False),
    "int8 by group, asymmetric": Quantization("int8", "group", group_size=8, symmetric=False, scale_dtype="F32"),
    "fp8 by block": Quantization("fp8", "block", block=(16, 16)),
    "fp8 by tensor, static": Quantization("fp8", "tensor", activations="static"),
}

each_right = pytest.mark.parametrize("right", planted.RIGHT, ids=lambda right: right.__name__)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds a scenario once for all loaders that read it."""

    @cache
    def build(scenario: Scenario) -> Path:
        directory = tmp_path_factory.mktemp("checkpoint")
        scenario.build(directory)
        return directory

    return build


@cache
def _stored(scenario: Scenario) -> Tensors:
    return scenario.stored()


@cache
def _dense(scenario: Scenario, dtype: str | None) -> Tensors:
    return scenario.dense(dtype)


def _answer(right: type[Any], level: Level, call: Call, directory: Path, ids: Any = None) -> dict[str, Any]:
    return perform(right(), {"id": 1, **request(level, call, directory, ids)})


def _scenario(**recipe: Any) -> Scenario:
    return Scenario(Recipe(**recipe))


@each_right
@pytest.mark.parametrize("name", NAMED)
def test_named_recipes(name: str, right: type[Any], built: Built) -> None:
    """Every tensor of every named recipe comes back as stored, and every parameter dense."""
    scenario = Scenario(NAMED[name])
    directory = built(scenario)
    assert not compare(_stored(scenario), _answer(right, Level.CHECKPOINT, Call(), directory))
    assert not compare(_dense(scenario, None), _answer(right, Level.WEIGHTS, Call(), directory))


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("name", ["f32", "w8a8", "fp8"])
def test_asked_dtypes(name: str, dtype: str, built: Built) -> None:
    """A dtype that is asked for is that of every parameter, each value rounded once."""
    scenario = Scenario(NAMED[name])
    answer = _answer(Right, Level.WEIGHTS, Call(dtype=dtype), built(scenario))
    assert not compare(_dense(scenario, dtype), answer)
    assert {each["dtype"] for each in answer["tensors"].values()} == {dtype}


@pytest.mark.parametrize("right", [Right, RightMapping], ids=lambda right: right.__name__)
@pytest.mark.parametrize("kind", _QUANTIZATIONS)
def test_quantizations(kind: str, right: type[Any], built: Built) -> None:
    """Codes, scales and zero points of every strategy become weights, whole and in slices, and are counted."""
    scenario = _scenario(config=_GROUPED, quantization=_QUANTIZATIONS[kind])
    directory = built(scenario)
    assert not compare(_dense(scenario, None), _answer(right, Level.WEIGHTS, Call(), directory))
    assert not compare(scenario.facts(), _answer(right, Level.ANALYSIS, Call(), directory))
    for rank in (0, 1):
        call = Call(rank=rank, world_size=2)
        assert not compare(scenario.slices(rank, 2), _answer(right, Level.PARALLEL, call, directory))


@pytest.mark.parametrize("right", [Right, RightCopying, RightMapping], ids=lambda right: right.__name__)
@pytest.mark.parametrize("kind", _ROPES)
def test_logits_of_every_rope(kind: str, right: type[Any], built: Built) -> None:
    """The logits of each rope type are those of the oracle, beyond the original context too."""
    scenario = _scenario(config={**_SMALL, **_ROPES[kind]}, dtype="F32")
    ids = scenario.input_ids(_TOKENS).tolist()
    answer = _answer(right, Level.MODEL, Call(tokens=_TOKENS), built(scenario), ids)
    assert not compare(scenario.logits(_TOKENS), answer)


def test_logits_behind_a_window(built: Built) -> None:
    """A model of the family mistral sees no further back than its window."""
    config = {**_SMALL, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 7}
    scenario = _scenario(config=config)
    ids = scenario.input_ids(_TOKENS).tolist()
    answer = _answer(Right, Level.MODEL, Call(tokens=_TOKENS), built(scenario), ids)
    assert not compare(scenario.logits(_TOKENS), answer)


@pytest.mark.parametrize(("rank", "ranks"), [(0, 1), (0, 2), (1, 2), (3, 6), (5, 6)])
def test_slices(rank: int, ranks: int, built: Built) -> None:
    """Each rank has its slices, with key-value heads that several share, sizes that do not divide, and biases."""
    scenario = _scenario(config={**_SMALL, "attention_bias": True, "mlp_bias": True})
    answer = _answer(Right, Level.PARALLEL, Call(rank=rank, world_size=ranks), built(scenario))
    assert not compare(scenario.slices(rank, ranks), answer)


@pytest.mark.parametrize("head", ["auto", "instead", "copy", "own"])
def test_ties(head: Any, built: Built) -> None:
    """A tied model is read, computed and counted, whichever of embedding and head is stored, or both."""
    scenario = _scenario(config={**_SMALL, "tie_word_embeddings": True}, head=head)
    directory, ids = built(scenario), scenario.input_ids(_TOKENS).tolist()
    assert not compare(scenario.logits(_TOKENS), _answer(Right, Level.MODEL, Call(tokens=_TOKENS), directory, ids))
    assert not compare(_dense(scenario, None), _answer(Right, Level.WEIGHTS, Call(), directory))
    assert not compare(scenario.facts(), _answer(Right, Level.ANALYSIS, Call(), directory))
