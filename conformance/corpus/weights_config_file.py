"""Cases of the weights: ``config.json`` as a text, and keys of it that say nothing of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.model_parts import LLAMA_CONFIG, of_weights, small
from conformance.engine.case import Case, Expect, Severity, Source, accept, may, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.steps import Step

_JSON = Source(
    "The grammar of JSON, and what a reader may do with what is outside of it.",
    "https://www.rfc-editor.org/rfc/rfc8259",
)
_PASSED_OVER = Source(
    "A configuration that could not be read was passed over, and the model taken for complete.",
    "https://github.com/exo-explore/exo/pull/1956",
    ("L07",),
)
_STOPS = Source(
    "A list of tokens that end a text was cut to the first, or could not be read at all.",
    "https://github.com/vllm-project/vllm/pull/4182",
    ("G06",),
)
_BASE = Source(
    "A reader wanted the base of the frequencies in a place where newer configurations do not have it.",
    "https://github.com/ml-explore/mlx-lm/pull/908",
    ("G18",),
)
_NEXT = Source(
    "A figure for layers that predict further tokens was null, and taken for a number.",
    "https://github.com/NVIDIA/Model-Optimizer/pull/1532",
    ("G21",),
)
_KEYS = Source("Configurations carry keys of many classes and versions; what is not known is kept.", LLAMA_CONFIG)
_INVALID = (Reason.CONFIG_INVALID, Reason.CONFIG_VALUE)
_EPSILON = '"rms_norm_eps": 1e-05'


def _text(slug: str, title: str, edit: Step, source: Source = _JSON) -> Case:
    """The text is no JSON object."""
    expect = reject(*_INVALID, Reason.CONFIG_MISSING, Reason.FAMILY)
    return of_weights(slug, "config-json", title, small(edit), expect, source, severity=Severity.MESSAGE)


def _open(slug: str, title: str, edit: Step, flag: str) -> Case:
    """Readers of JSON may differ in it."""
    return of_weights(
        slug,
        "config-json",
        title,
        small(edit),
        may(*_INVALID, Reason.SHAPE, Reason.MISSING_TENSOR),
        _JSON,
        sibling="half-a-configuration",
        severity=Severity.CRASH,
        flags=(flag,),
    )


def _harmless(slug: str, title: str, source: Source, *edits: Step, expect: Expect | None = None) -> Case:
    """A key of the configuration that says nothing of the parameters."""
    return of_weights(
        slug,
        "configuration",
        title,
        small(*edits),
        expect or accept(),
        source,
        sibling="no-configuration",
        severity=Severity.CRASH,
    )


def _written(text: str) -> Step:
    return step("write_text", "config.json", text)


def _set(key: str, value: str) -> Step:
    return step("set_config", key, value)


_BROKEN: tuple[Case, ...] = (
    _text("empty-configuration", "config.json has no bytes.", _written(""), _PASSED_OVER),
    _text("blank-configuration", "config.json has a line feed, and nothing else.", _written("\n"), _PASSED_OVER),
    _text("configuration-of-an-empty-object", "config.json is an empty object.", _written("{}\n"), _PASSED_OVER),
    _text("configuration-of-a-list", "config.json is an empty list.", _written("[]\n"), _PASSED_OVER),
    _text("configuration-that-is-null", "config.json is null.", _written("null\n"), _PASSED_OVER),
    _text("configuration-of-a-string", "config.json is a string.", _written('"llama"\n'), _PASSED_OVER),
    _text(
        "configuration-of-a-pointer",
        "config.json is the pointer that stands for a large file that was not downloaded.",
        _written("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 700\n"),
        _PASSED_OVER,
    ),
    _text(
        "configuration-with-a-tail",
        "Behind the object of config.json there is a second one.",
        step("config_text", '"vocab_size": 37\n}\n', '"vocab_size": 37\n}\n{}\n'),
    ),
    _text(
        "configuration-with-a-last-comma",
        "Behind the last member of the object there is a comma.",
        step("config_text", '"vocab_size": 37\n}', '"vocab_size": 37,\n}'),
    ),
    _text(
        "configuration-with-a-comment",
        "A line of config.json is a comment.",
        step("config_text", '  "vocab_size"', '  // of the tokenizer\n  "vocab_size"'),
    ),
    _text(
        "configuration-in-single-quotes",
        "A key of config.json stands in single quotes, as Python prints it.",
        step("config_text", '"vocab_size"', "'vocab_size'"),
    ),
    _text(
        "configuration-with-no-number",
        "rms_norm_eps is NaN, which JSON has no word for: every logit of that model is NaN.",
        step("config_text", _EPSILON, '"rms_norm_eps": NaN'),
    ),
    _text(
        "configuration-with-infinity",
        "rms_norm_eps is Infinity, which JSON has no word for: every logit of that model is zero.",
        step("config_text", _EPSILON, '"rms_norm_eps": Infinity'),
    ),
    _text(
        "configuration-with-no-number-that-nobody-needs",
        "A key that no loader of weights looks at is NaN: the text is no JSON all the same.",
        step("config_text", _EPSILON, '"initializer_range": NaN, "rms_norm_eps": 1e-05'),
    ),
    _text(
        "configuration-with-a-leading-zero",
        "vocab_size is written 037, which JSON does not have, and which is 31 to some.",
        step("config_text", '"vocab_size": 37', '"vocab_size": 037'),
    ),
    _text(
        "configuration-that-is-not-utf-8",
        "A name in config.json has a byte that UTF-8 does not have.",
        step("config_text", '"LlamaForCausalLM"', '"LlamaForCausalLM", "\xff"'),
    ),
)
_CHOICES: tuple[Case, ...] = (
    _open(
        "configuration-with-a-mark",
        "config.json begins with the mark of the order of bytes in UTF-8, which a reader may pass over.",
        step("encode_config", "utf-8-sig"),
        "EncodedConfiguration",
    ),
    _open(
        "configuration-in-utf-16",
        "config.json is written in UTF-16, with its mark.",
        step("encode_config", "utf-16"),
        "EncodedConfiguration",
    ),
    _open(
        "figure-twice-alike",
        "vocab_size stands in config.json twice, with one value.",
        step("repeat_figure", "vocab_size", "37", "37"),
        "RepeatedFigure",
    ),
    _open(
        "figure-twice-right-first",
        "vocab_size stands in config.json twice, first with the rows of the embedding, then with one less.",
        step("repeat_figure", "vocab_size", "37", "36"),
        "RepeatedFigure",
    ),
    _open(
        "figure-twice-right-last",
        "vocab_size stands in config.json twice, first with one row less than the embedding has, then with all.",
        step("repeat_figure", "vocab_size", "36", "37"),
        "RepeatedFigure",
    ),
    _open(
        "deep-configuration",
        "A key of config.json that means nothing holds lists in lists, a hundred levels of them.",
        step("deepen_config", 100),
        "DeepJson",
    ),
    _open(
        "very-deep-configuration",
        "A key of config.json that means nothing holds lists in lists, a hundred thousand levels of them.",
        step("deepen_config", 100_000),
        "DeepJson",
    ),
)
_HARMLESS: tuple[Case, ...] = (
    _harmless("list-of-stop-tokens", "Three tokens end a text.", _STOPS, _set("eos_token_id", "[3, 8, 9]")),
    _harmless(
        "stop-tokens-that-differ",
        "config.json has one token that ends a text, and generation_config.json has two.",
        _STOPS,
        step("write_text", "generation_config.json", '{"eos_token_id": [2, 31]}\n'),
    ),
    _harmless(
        "base-in-rope-parameters-only",
        "The base of the frequencies stands in rope_parameters, and no rope_theta at the top.",
        _BASE,
        step("drop_config", "rope_theta", "rope_scaling"),
        _set("rope_parameters", '{"rope_theta": 10000.0, "rope_type": "default"}'),
    ),
    _harmless(
        "null-for-further-layers",
        "num_nextn_predict_layers is null, which is none.",
        _NEXT,
        _set("num_nextn_predict_layers", "null"),
    ),
    _harmless(
        "unknown-keys",
        "config.json has keys that no Llama has: a number, a list, an object, and one with an empty name.",
        _KEYS,
        _set("abacus", "7"),
        _set("beads", "[1, [2]]"),
        _set("rods", '{"hidden_size": 1}'),
        _set("", "0"),
    ),
    _harmless(
        "key-in-unicode",
        "config.json has a key and a value in Greek, in the letters themselves.",
        _KEYS,
        step("config_text", '  "vocab_size"', '  "\xce\xbb": "\xce\xbc",\n  "vocab_size"'),
    ),
    _harmless(
        "escaped-keys",
        "Some letters of a key of config.json are escaped: it is the same key.",
        _JSON,
        step("config_text", '"vocab_size"', '"\\u0076ocab_s\\u0069ze"'),
    ),
    _harmless(
        "no-generation-config",
        "There is no generation_config.json: what it says is not of the weights.",
        _KEYS,
        step("delete_file", "generation_config.json"),
    ),
)

CASES: tuple[Case, ...] = (*_BROKEN, *_CHOICES, *_HARMLESS)
