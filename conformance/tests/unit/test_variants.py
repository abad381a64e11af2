"""Which model a configuration belongs to, and how many parameters it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inferno_loader.config import LlamaConfig
from inferno_loader.variants import Variant, identify, parameter_count, size_word

pytestmark = pytest.mark.torch_free

_MODELS = Path(__file__).parents[2] / "fixtures" / "models"
_FACTS: dict[str, dict[str, Any]] = {
    path.stem: facts
    for path in sorted(_MODELS.glob("*.json"))
    if "config" in (facts := json.loads(path.read_text("utf-8")))
}

# By figures alone: family, version, size, and how many other models have the same figures.
_EXPECTED = {
    "HuggingFaceTB__SmolLM-1.7B": ("SmolLM", "1", "1.7B", 0),
    "HuggingFaceTB__SmolLM2-1.7B": ("SmolLM", "2", "1.7B", 0),
    "HuggingFaceTB__SmolLM2-135M": ("SmolLM", "2", "135M", 0),
    "HuggingFaceTB__SmolLM2-135M-Instruct": ("SmolLM", "2", "135M", 0),
    "HuggingFaceTB__SmolLM2-360M": ("SmolLM", "2", "360M", 0),
    "NousResearch__Llama-2-7b-hf": ("Meta Llama", "2", "7B", 0),
    "TheBloke__Llama-2-13B-chat-GPTQ": ("Meta Llama", "2", "13B", 0),
    "TheBloke__Llama-2-7B-fp16-derived": ("Meta Llama", "2", "7B", 0),
    "TheBloke__MythoMax-L2-13B-GPTQ": ("Meta Llama", "2", "13B", 0),
    "TheBloke__Wizard-Vicuna-30B-Uncensored-GPTQ": ("Meta Llama", "1", "30B", 0),
    "TinyLlama__TinyLlama-1.1B-Chat-v1.0": ("TinyLlama", "", "1.1B", 0),
    "TinyLlama__TinyLlama-1.1B-intermediate-step-1431k-3T": ("TinyLlama", "", "1.1B", 0),
    "codellama__CodeLlama-7b-hf": ("CodeLlama", "", "7B", 0),
    "cognitivecomputations__Wizard-Vicuna-30B-Uncensored": ("Meta Llama", "1", "30B", 0),
    "deepseek-ai__DeepSeek-R1-Distill-Llama-70B": ("Meta Llama", "3.1", "70B", 2),
    "deepseek-ai__DeepSeek-R1-Distill-Llama-8B": ("Meta Llama", "3.1", "8B", 1),
    "hf-internal-testing__tiny-random-LlamaForCausalLM": ("Custom", "", "1M", 0),
    "huggyllama__llama-7b": ("Meta Llama", "1", "7B", 0),
    "jeevanchaps__Llama-3.1-8B-Instruct-bnb-int8": ("Meta Llama", "3.1", "8B", 1),
    "meta-llama__Llama-2-13b-chat-hf": ("Meta Llama", "2", "13B", 0),
    "meta-llama__Llama-2-13b-hf": ("Meta Llama", "2", "13B", 0),
    "meta-llama__Llama-2-70b-chat-hf": ("Meta Llama", "2", "70B", 0),
    "meta-llama__Llama-2-70b-hf": ("Meta Llama", "2", "70B", 0),
    "meta-llama__Llama-2-7b-chat-hf": ("Meta Llama", "2", "7B", 0),
    "meta-llama__Llama-2-7b-hf": ("Meta Llama", "2", "7B", 0),
    "meta-llama__Llama-3.1-405B": ("Meta Llama", "3.1", "405B", 0),
    "meta-llama__Llama-3.1-70B": ("Meta Llama", "3.1", "70B", 2),
    "meta-llama__Llama-3.1-70B-Instruct": ("Meta Llama", "3.1", "70B", 2),
    "meta-llama__Llama-3.1-8B": ("Meta Llama", "3.1", "8B", 1),
    "meta-llama__Llama-3.1-8B-Instruct": ("Meta Llama", "3.1", "8B", 1),
    "meta-llama__Llama-3.2-1B": ("Meta Llama", "3.2", "1B", 0),
    "meta-llama__Llama-3.2-1B-Instruct": ("Meta Llama", "3.2", "1B", 0),
    "meta-llama__Llama-3.2-3B": ("Meta Llama", "3.2", "3B", 0),
    "meta-llama__Llama-3.2-3B-Instruct": ("Meta Llama", "3.2", "3B", 0),
    "meta-llama__Llama-3.3-70B-Instruct": ("Meta Llama", "3.1", "70B", 2),
    "meta-llama__Meta-Llama-3-70B": ("Meta Llama", "3", "70B", 0),
    "meta-llama__Meta-Llama-3-8B": ("Meta Llama", "3", "8B", 0),
    "meta-llama__Meta-Llama-3-8B-Instruct": ("Meta Llama", "3", "8B", 0),
    "mistralai__Mistral-7B-v0.1": ("Mistral", "0.1", "7B", 0),
}


def _config(name: str, **changes: object) -> LlamaConfig:
    return LlamaConfig.from_dict({**_FACTS[name]["config"], **changes})


def test_the_table_covers_every_fixture() -> None:
    """A checkpoint that is added to the fixtures must be given its expected variant."""
    assert set(_EXPECTED) == set(_FACTS)


@pytest.mark.parametrize("name", _EXPECTED)
def test_figures_tell_the_model(name: str) -> None:
    """Family, version and size follow from the configuration, and models with the same figures are listed."""
    variant = identify(_config(name))
    assert (variant.family, variant.version, variant.size, len(variant.alternatives)) == _EXPECTED[name]
    assert variant.evidence


@pytest.mark.parametrize(
    ("name", "family", "version", "alternatives"),
    [
        (
            "deepseek-ai__DeepSeek-R1-Distill-Llama-70B",
            "Distilled",
            "3.3",
            ("Meta Llama 3.1 70B", "Meta Llama 3.3 70B"),
        ),
        ("deepseek-ai__DeepSeek-R1-Distill-Llama-8B", "Distilled", "3.1", ("Meta Llama 3.1 8B",)),
        ("meta-llama__Llama-3.3-70B-Instruct", "Meta Llama", "3.3", ("Meta Llama 3.1 70B", "Distilled 3.3 70B")),
        ("meta-llama__Llama-3.1-70B", "Meta Llama", "3.1", ("Meta Llama 3.3 70B", "Distilled 3.3 70B")),
    ],
)
@pytest.mark.parametrize("inside", [True, False], ids=["_name_or_path", "hint"])
def test_the_name_decides_where_figures_cannot(
    name: str, family: str, version: str, alternatives: tuple[str, ...], *, inside: bool
) -> None:
    """Llama 3.3 70B and its distillation differ in nothing but the name; the name is given, or lies in the file."""
    hint = _FACTS[name]["name"]
    variant = identify(_config(name, _name_or_path=hint)) if inside else identify(_config(name), hint)
    assert (variant.family, variant.version, variant.alternatives) == (family, version, alternatives)
    assert any(hint in line for line in variant.evidence) == (version != "3.1" or family == "Distilled")


def test_the_hint_is_asked_before_the_name_in_the_file() -> None:
    """A directory name is newer than what the writer noted."""
    config = _config("meta-llama__Llama-3.3-70B-Instruct", _name_or_path="some-distilled-model")
    assert identify(config, "Llama-3.3-70B").version == "3.3"
    assert identify(config, "Llama-3.3-70B").family == "Meta Llama"


def test_a_name_does_not_overrule_figures() -> None:
    """A TinyLlama called Llama-3.3 is a TinyLlama."""
    assert identify(_config("TinyLlama__TinyLlama-1.1B-Chat-v1.0"), "Llama-3.3-70B").family == "TinyLlama"


def test_a_vocabulary_with_added_tokens_is_still_the_model() -> None:
    """Fine-tunes add a few tokens; another vocabulary is another model."""
    assert str(identify(_config("meta-llama__Llama-2-7b-hf", vocab_size=32002))) == "Meta Llama 2 7B"
    assert str(identify(_config("meta-llama__Llama-2-7b-hf", vocab_size=32001))) == "Meta Llama 2 7B"
    assert identify(_config("meta-llama__Llama-2-7b-hf", vocab_size=65000)).family == "Custom"
    assert identify(_config("meta-llama__Llama-2-7b-hf", vocab_size=31999)).family == "Custom"


def test_an_exact_vocabulary_is_better_evidence_than_a_grown_one() -> None:
    """32016 entries are those of CodeLlama before they are those of Llama 2 with 16 more."""
    assert str(identify(_config("meta-llama__Llama-2-7b-hf", vocab_size=32016))) == "CodeLlama 7B"


def test_code_llama_is_told_by_its_base() -> None:
    """The Python models have the vocabulary of Llama 2 and a base of a million."""
    assert str(identify(_config("meta-llama__Llama-2-7b-hf", rope_theta=1000000))) == "CodeLlama 7B"


def test_a_shape_with_traits_of_its_own_keeps_every_candidate() -> None:
    """Llama 3 8B under YaRN is none of the published ones, so all of that shape are named."""
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}
    variant = identify(_config("meta-llama__Meta-Llama-3-8B", rope_scaling=rope))
    assert (str(variant), variant.alternatives) == ("Meta Llama 3 8B", ("Meta Llama 3.1 8B", "Distilled 3.1 8B"))


def test_unknown_figures_are_custom_with_the_count() -> None:
    """Where no model has the figures, the size is the count of parameters."""
    variant = identify(_config("hf-internal-testing__tiny-random-LlamaForCausalLM"))
    assert "1,032,272 parameters" in variant.evidence
    assert variant.evidence[0].startswith("no known model has hidden 16,")


@pytest.mark.parametrize(
    ("changes", "hint", "family"),
    [({}, "my-distilled-llama", "Distilled"), ({"model_type": "mistral"}, "x", "Mistral"), ({}, "llama", "Custom")],
    ids=["distilled", "mistral", "custom"],
)
def test_unknown_figures_may_still_have_a_family(changes: dict[str, object], hint: str, family: str) -> None:
    """A name that says distilled, or a model type that says Mistral, is believed."""
    config = _config("hf-internal-testing__tiny-random-LlamaForCausalLM", **changes)
    assert identify(config, hint).family == family


@pytest.mark.parametrize(
    ("changes", "hint"), [({}, "my-distilled-llama"), ({"model_type": "mistral"}, "x"), ({}, "llama")]
)
def test_unknown_figures_have_the_size_of_their_count(changes: dict[str, object], hint: str) -> None:
    """1,032,272 parameters are a million, whatever the family, and no version is made up."""
    variant = identify(_config("hf-internal-testing__tiny-random-LlamaForCausalLM", **changes), hint)
    assert (variant.version, variant.size, variant.alternatives) == ("", "1M", ())
    assert variant.evidence[1] == "1,032,272 parameters"


def test_a_variant_reads_as_people_say_it() -> None:
    """The text leaves out what the family does not have."""
    assert str(Variant("TinyLlama", "", "1.1B", ())) == "TinyLlama 1.1B"


@pytest.mark.parametrize("name", [name for name, facts in _FACTS.items() if "twin" in facts])
def test_parameters_are_those_published(name: str) -> None:
    """The count is the published one, less the rope buffers that the files of 2023 store as tensors."""
    facts = _FACTS[name]
    config = LlamaConfig.from_dict(facts["config"])
    stored_buffers = config.num_hidden_layers * config.head_dim // 2 if facts["twin"]["inv_freq"] else 0
    assert parameter_count(config) == facts["twin"]["parameters"] - stored_buffers


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 31_696),
        ({"tie_word_embeddings": True}, 21_696),
        ({"attention_bias": True}, 31_872),
        ({"mlp_bias": True}, 32_068),
        ({"num_hidden_layers": 1}, 25_856),
    ],
    ids=["plain", "tied", "attention bias", "mlp bias", "one layer"],
)
def test_parameters_counted_by_hand(changes: dict[str, object], count: int) -> None:
    """Vocabulary 625, hidden 16, inner 85, 6 heads and 3 kv heads of 6 dimensions, 2 layers.

    A layer has q and o with 16 * 36 each, k and v with 16 * 18 each, three matrices of 16 * 85 and two norms of 16:
    1152 + 576 + 4080 + 32 = 5840. Embedding and head have 10000 each, and the last norm 16. The biases of a layer are
    36 + 18 + 18 + 16 in its attention and 85 + 85 + 16 behind it.
    """
    figures = {
        "model_type": "llama",
        "vocab_size": 625,
        "hidden_size": 16,
        "intermediate_size": 85,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "head_dim": 6,
    }
    assert parameter_count(LlamaConfig.from_dict({**figures, **changes})) == count


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        (7, "7"),
        (999, "999"),
        (1_500, "1.5K"),
        (134_515_008, "135M"),
        (999_600_000, "1B"),
        (1_100_048_384, "1.1B"),
        (8_030_261_248, "8B"),
        (9_960_000_000, "10B"),
        (10_400_000_000, "10B"),
        (405_853_388_800, "406B"),
    ],
)
def test_a_count_is_said_in_two_digits(parameters: int, word: str) -> None:
    """Below ten units one decimal, above them none."""
    assert size_word(parameters) == word
