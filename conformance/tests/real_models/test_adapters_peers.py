"""The loaders that people use read sound checkpoints exactly through their adapters, so that a verdict is the loader's.

What an adapter got wrong would be laid to its loader. Each is asked as a case asks it: in a fork of a zygote, or behind
the protocol where it lives in an environment of its own.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from conformance.adapters import BUILT_IN
from conformance.adapters.environments import ENVIRONMENTS, make
from conformance.adapters.resolve import left_out
from conformance.engine.case import Limits, Tokens
from conformance.engine.judge import compare
from conformance.judging import Loader, opened
from conformance.tools.container import Spec
from conformance.tools.recipe import Layout, Recipe
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.engine.host import Host

    Hosts = Callable[[str], Host]
    Ask = Callable[..., dict[str, Any]]

#: What each offers.
_LEVELS = {
    "safetensors": ["container"],
    "safetensors-bytes": ["container"],
    "transformers": ["weights", "model"],
    "compressed-tensors": ["weights"],
    "gguf": ["checkpoint"],
    "hqq": ["weights"],
    "optimum-quanto": ["weights", "model"],
    "gptqmodel": ["weights"],
    "accelerate": ["weights", "model"],
    "huggingface_hub": ["container", "weights", "analysis"],
    "torch-dcp": ["checkpoint", "weights"],
    "fastsafetensors": ["container"],
    "runai-model-streamer": ["container", "checkpoint"],
    "tinygrad": ["container"],
    "mlx": ["container"],
    "mlx-lm": ["weights", "model"],
    "naive": ["checkpoint", "weights"],
}
#: Those that read quantized checkpoints alone. What they read of them, the matrix pins.
_QUANTIZED_ALONE = {"compressed-tensors", "gguf", "hqq", "optimum-quanto", "gptqmodel"}
#: The loaders that the matrix judges here: those by hand are among them where they have been made ready.
_THERE = [name for name in _LEVELS if name not in left_out()]
#: Dtypes that a loader claims and does not read, as released: with what it says.
_UNREAD = {"safetensors-bytes": {"F8_E8M0": "KeyError", "F4": "KeyError"}}

_TOKENS = Tokens(24, batch=2)
_SHARDED = Layout("by_count", 3)
_FIGURES = {"num_hidden_layers": 2, "attention_bias": True, "max_position_embeddings": 64}
_ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"factor": 4.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
}


def offering(level: str) -> list[str]:
    """The loaders that offer a level for dense checkpoints."""
    return [name for name, levels in _LEVELS.items() if level in levels and name not in _QUANTIZED_ALONE]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Starts a loader once, in its environment where it has one, which is made if it is not there."""
    started: dict[str, Host] = {}
    with ExitStack() as stack:

        def host(name: str) -> Host:
            if name not in started:
                environment = BUILT_IN[name].environment
                if environment is not None:
                    make(ENVIRONMENTS[environment])
                started[name] = stack.enter_context(opened(Loader(name)))
            return started[name]

        yield host


@pytest.fixture
def ask(hosts: Hosts) -> Ask:
    """Asks a loader, in a process of its own where it forks."""

    def ask(name: str, method: str, place: Path, **more: Any) -> dict[str, Any]:
        session = hosts(name).session(0, fresh=False)
        where = {"path" if method == "read_file" else "directory": str(place)}
        exchange = session.talk.ask({"method": method, **where, **more}, Limits(seconds=120))
        transcript = session.close(healthy=exchange.answer is not None)
        assert exchange.answer is not None, transcript
        return exchange.answer

    return ask


def llama(layout: Layout = _SHARDED, dtype: Any = "BF16", **figures: Any) -> Scenario:
    """A small Llama."""
    return Scenario(Recipe(config={**_FIGURES, **figures}, layout=layout, dtype=dtype))


def built(scenario: Scenario, directory: Path) -> Path:
    """The directory in which a scenario has been built."""
    scenario.build(directory)
    return directory


def test_every_built_in_loader_is_here() -> None:
    """No adapter is left out of these tests but our own, which has its own."""
    assert ["inferno", *_LEVELS] == list(BUILT_IN)


@pytest.mark.parametrize("name", _THERE)
def test_a_loader_offers_its_levels(name: str, hosts: Hosts) -> None:
    """The loader is installed, can be imported, tells its version, and offers the levels that are listed here."""
    hello = hosts(name).hello
    assert ("quant:alone" in hello["claims"]) == (name in _QUANTIZED_ALONE)
    assert (hello["name"], hello["levels"]) == (name, _LEVELS[name])
    assert hello["version"]
    assert "not installed" not in hello["packages"].values()


def test_transformers_claims_what_its_plugins_read(hosts: Hosts) -> None:
    """It claims the schemes of those that are installed, all but HQQ for certain, and names their releases."""
    hello = hosts("transformers").hello
    claimed = {claim.removeprefix("quant:") for claim in hello["claims"] if claim.startswith("quant:")}
    compressed = {"ct-int", "ct-float", "ct-pack", "ct-nvfp4", "ct-mxfp"}
    others = {"hqq"} - left_out().keys()
    assert claimed == compressed | {"bnb", "fp8-block", "gguf", "torchao"} | others
    assert {"accelerate", "bitsandbytes", "compressed-tensors", "gguf", "torchao"} | others <= hello["packages"].keys()


@pytest.mark.parametrize("name", offering("container"))
def test_a_file_is_read_exactly(name: str, hosts: Hosts, ask: Ask, tmp_path: Path) -> None:
    """A matrix, a scalar and an empty tensor of each dtype that is claimed come back as they are stored."""
    claimed = sorted(
        claim.removeprefix("dtype:") for claim in hosts(name).hello["claims"] if claim.startswith("dtype:")
    )
    refused = {}
    for dtype in claimed:
        # Four bits of a scalar fill no byte.
        shapes = {"matrix": (3, 6), "empty": (4, 0)} | ({} if dtype == "F4" else {"scalar": ()})
        scenario = Scenario(TensorFile(tuple(Spec(each, dtype, shape) for each, shape in shapes.items())))
        answer = ask(name, "read_file", built(scenario, tmp_path / dtype) / "model.safetensors")
        if "error" in answer:
            refused[dtype] = answer["error"]["type"]
        else:
            assert compare(scenario.stored(), answer) == "", dtype
    assert len(claimed) >= 10
    assert refused == _UNREAD.get(name, {})


@pytest.mark.parametrize("layout", [Layout(), _SHARDED, Layout("indexless", 3)], ids=lambda it: it.kind)
@pytest.mark.parametrize("name", offering("checkpoint"))
def test_a_checkpoint_is_read_exactly(name: str, layout: Layout, ask: Ask, tmp_path: Path) -> None:
    """Every tensor of one file, of shards with an index and of shards without one comes back as it is stored."""
    scenario = llama(layout)
    assert compare(scenario.stored(), ask(name, "read_checkpoint", built(scenario, tmp_path / "it"))) == ""


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("name", offering("weights"))
def test_weights_are_loaded_exactly(name: str, dtype: str, ask: Ask, tmp_path: Path) -> None:
    """Every parameter of a sharded checkpoint comes back bit for bit, under its Hugging Face name."""
    scenario = llama(dtype=dtype)
    answer = ask(name, "load_weights", built(scenario, tmp_path / "it"), dtype=None)
    assert compare(scenario.dense(), answer) == ""


@pytest.mark.parametrize("name", sorted({*offering("weights")} - {"torch-dcp"}))
def test_a_tied_checkpoint_is_loaded_exactly(name: str, ask: Ask, tmp_path: Path) -> None:
    """Where only the embedding is stored, every parameter comes back, with or without the head that it serves as."""
    scenario = llama(Layout(), tie_word_embeddings=True)
    answer = ask(name, "load_weights", built(scenario, tmp_path / "it"), dtype=None)
    assert compare(scenario.dense(), answer) == ""


@pytest.mark.parametrize("name", ["transformers", "accelerate", "naive"])
def test_a_dtype_that_is_asked_for_is_given(name: str, ask: Ask, tmp_path: Path) -> None:
    """Those that claim casts give each parameter rounded once to the dtype."""
    scenario = llama(dtype="F32")
    answer = ask(name, "load_weights", built(scenario, tmp_path / "it"), dtype="BF16")
    assert compare(scenario.dense("BF16"), answer) == ""


@pytest.mark.parametrize("rope", _ROPES)
@pytest.mark.parametrize("name", offering("model"))
def test_logits_are_those_of_the_oracle(name: str, rope: str, ask: Ask, tmp_path: Path) -> None:
    """In float32 they differ from the float64 forward pass by less than the bound of the suite."""
    scenario = llama(rope_scaling={"rope_type": rope, **_ROPES[rope]})
    ids = scenario.input_ids(_TOKENS).tolist()
    answer = ask(name, "logits", built(scenario, tmp_path / "it"), input_ids=ids)
    assert compare(scenario.logits(_TOKENS), answer) == ""


@pytest.mark.parametrize("name", offering("analysis"))
def test_facts_are_those_of_the_recipe(name: str, ask: Ask, tmp_path: Path) -> None:
    """Of a plain sharded checkpoint, every fact that is stated is true."""
    scenario = llama()
    assert compare(scenario.facts(), ask(name, "describe", built(scenario, tmp_path / "it"))) == ""


@pytest.mark.parametrize("name", ["transformers", "huggingface_hub"])
def test_a_report_is_what_the_loader_tells(name: str, ask: Ask, tmp_path: Path) -> None:
    """What the loader returns as missing and unexpected stands in the report."""
    norm, stranger = "model.norm.weight", "model.layers.1.self_attn.q_norm.weight"
    scenario = llama().then(step("remove_tensor", norm), step("add_tensor", stranger, "BF16", (2,)))
    answer = ask(name, "load_weights", built(scenario, tmp_path / "it"), dtype=None)
    assert {kind: names for kind, names in answer["report"].items() if names} == {
        "missing": [norm],
        "unexpected": [stranger],
    }


@pytest.mark.parametrize("name", offering("container"))
def test_a_refusal_is_answered(name: str, ask: Ask, tmp_path: Path) -> None:
    """A header that names an unknown dtype is refused by every reader, for that reason where its words tell any."""
    scenario = Scenario(
        TensorFile((Spec("a", "F32", (2,)),)), (step("set_entry", "model.safetensors", "a", "dtype", '"BF17"'),)
    )
    error = ask(name, "read_file", built(scenario, tmp_path / "it") / "model.safetensors")["error"]
    assert error["reason"] == (None if name == "tinygrad" else "unknown_dtype")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # The same words are said of a file that is too long.
        ("safetensors", None),
        ("safetensors-bytes", None),
        ("huggingface_hub", None),
        ("fastsafetensors", "truncated"),
        ("runai-model-streamer", "truncated"),
        ("mlx", "truncated"),
    ],
)
def test_a_reason_is_told_and_not_guessed(name: str, reason: str | None, ask: Ask, tmp_path: Path) -> None:
    """A cut file is refused as that by those whose words say so, and without a reason by those who leave it open."""
    scenario = Scenario(TensorFile((Spec("a", "F32", (64,)),)), (step("cut", "model.safetensors", 1),))
    answer = ask(name, "read_file", built(scenario, tmp_path / "it") / "model.safetensors")
    assert answer["error"]["reason"] == reason
