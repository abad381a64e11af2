"""Cases of the weights: other spellings of the names, of the parameters themselves and beside them."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, of_weights, reject_or_told, small
from conformance.engine.case import Case, Source, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

_GAMMA = Source(
    "Wherever gamma or beta stood in a name, a loader made weight or bias of it, and lost the parameter.",
    "https://github.com/huggingface/transformers/issues/29554",
    ("C01",),
)
_OLD = Source(
    "Old checkpoints call the weight of a norm gamma: one entry to a library renamed it, and another did not.",
    "https://github.com/huggingface/transformers/issues/11809",
    ("C22",),
)
_SUBSTRING = Source(
    "A rule for names was applied to parts of those that fitted already, and gave names that nobody uses.",
    "https://github.com/huggingface/transformers/pull/48075",
    ("C24",),
)
_WRAPPER = Source(
    "Where the prefix of a file was not that of the model, hundreds of weights stayed random, with a warning.",
    "https://github.com/huggingface/transformers/issues/48722",
    ("C17", "C02"),
)
_NAME_SPACES = Source(
    "A check for parameters that were not loaded knew them by other names than the loader: all or none were missing.",
    "https://github.com/vllm-project/vllm/issues/14828",
    ("L02", "K16"),
)
_UNMATCHED = Source(
    "Keys that matched nothing were passed over, and a model without any weights of its own was handed out.",
    "https://github.com/facebookresearch/sam3/issues/606",
    ("L01", "C02"),
)
_ODD = (Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR)
#: What wrappers put before every name.
_PREFIXES = (
    ("module", "module.", "the wrapper of data-parallel training"),
    ("compiled", "_orig_mod.", "a compiled module"),
    ("adapter", "base_model.model.", "a model that carries adapters"),
    ("twice", "model.", "a model within a model, so that the layers stand behind model.model."),
    ("multimodal", "language_model.", "a model of text within one of text and images"),
)
#: Names that contain, or are nearly, the name of a parameter: what is odd, the name, dtype and shape do not matter.
_BESIDE = (
    ("gamma", "the weight of the last norm once more, as gamma", "model.norm.gamma", (54,), _GAMMA),
    ("beta", "a bias for the last norm, as beta", "model.norm.beta", (54,), _GAMMA),
    ("gamma-in-a-word", "a scale of a layer whose name contains gamma", "model.layers.1.gamma_1", (54,), _GAMMA),
    ("prefix-twice", "the last norm once more, behind model.model.", "model.model.norm.weight", (54,), _SUBSTRING),
    ("plural", "the embedding once more, as embed_tokenss", "model.embed_tokenss.weight", (37, 54), _SUBSTRING),
    ("capital", "the last norm once more, with a capital", "model.Norm.weight", (54,), _SUBSTRING),
    ("blank", "the last norm once more, with a blank behind its name", "model.norm.weight ", (54,), _SUBSTRING),
    ("old", "the last norm once more, behind old.", "old.model.norm.weight", (54,), _SUBSTRING),
    ("average", "a moving average of the last norm", "model_ema.norm.weight", (54,), _SUBSTRING),
    ("moment", "what an optimizer knows of the last norm", "model.norm.weight.exp_avg", (54,), _SUBSTRING),
)
_WRAPPED = tuple(
    of_weights(
        f"prefix-of-{word}",
        "prefixes",
        f"Every name, that of the head too, begins with {prefix!r}, which comes of {what}.",
        small(step("respell", ("^", prefix))),
        may(*_ODD),
        _NAME_SPACES if word == "multimodal" else _WRAPPER,
        sibling="prefix-of-nothing",
        flags=("WrappedNames", "Filled"),
    )
    for word, prefix, what in _PREFIXES
)
_STRAYS = tuple(
    of_weights(
        f"beside-{word}",
        "whole-names",
        f"Beside all parameters there is {what}, with values of its own.",
        small(step("add_tensor", name, "BF16", shape)),
        reject_or_told(Reason.UNEXPECTED_TENSOR, Reason.DUPLICATE_TENSOR, names=(name,)),
        source,
        sibling="stored-frequencies",
        flags=("TwoNames",),
    )
    for word, what, name, shape, source in _BESIDE
)

CASES: tuple[Case, ...] = (
    *_STRAYS,
    of_weights(
        "norms-called-gamma",
        "whole-names",
        "All norms are stored under their old names, with gamma where weight belongs, and no others.",
        small(step("respell", (r"norm\.weight$", "norm.gamma"))),
        may(*_ODD),
        _OLD,
        sibling="misspelt-leaf",
        flags=("OldNames", "Filled"),
    ),
    of_weights(
        "names-with-slashes",
        "whole-names",
        "The parts of every name are parted by slashes, as writers of JAX have them.",
        small(step("respell", (r"\.", "/"))),
        reject(*_ODD),
        _UNMATCHED,
        flags=("Filled",),
    ),
    of_weights(
        "prefix-of-nothing",
        "no-match",
        "Every name, that of the head too, begins with letters that no model has, and no point parts them off.",
        small(step("respell", ("^", "whatever_"))),
        reject(*_ODD),
        _UNMATCHED,
        flags=("Filled",),
    ),
    of_weights(
        "names-of-another-model",
        "no-match",
        "All tensors have the names that GPT-2 gives to its own, as far as there are such.",
        small(
            step("respell", (r"^model\.embed_tokens\.", "wte.")),
            step("respell", (r"^model\.layers\.", "h."), (r"^model\.norm\.", "ln_f."), (r"^lm_head\.", "wpe.")),
            step("respell", (r"\.self_attn\.", ".attn."), (r"\.input_layernorm\.", ".ln_1.")),
            step("respell", (r"\.post_attention_layernorm\.", ".ln_2.")),
        ),
        reject(*_ODD),
        _UNMATCHED,
        flags=("Filled",),
    ),
    of_weights(
        "no-tensors",
        "no-match",
        "The file is whole and holds no tensor at all.",
        small(step("keep_tensors")),
        reject(Reason.MISSING_TENSOR, Reason.NO_WEIGHTS, Reason.UNEXPECTED_TENSOR),
        _UNMATCHED,
        flags=("Filled",),
    ),
    *_WRAPPED,
    of_weights(
        "without-the-prefix-of-the-model",
        "prefixes",
        "No name begins with model.: so a body is saved without its head, but here the head is there as well.",
        small(step("respell", (r"^model\.", ""))),
        may(*_ODD),
        _WRAPPER,
        sibling="prefix-of-nothing",
        flags=("WrappedNames", "Filled"),
    ),
    of_weights(
        "prefix-of-one-layer",
        "prefixes",
        "The names of the second layer begin with module., and no others do.",
        small(step("respell", (r"^(?=model\.layers\.1\.)", "module."))),
        may(*_ODD),
        _WRAPPER,
        sibling="prefix-of-nothing",
        flags=("WrappedNames", "Filled"),
    ),
    of_weights(
        "prefix-in-shards",
        "prefixes",
        "Every name in three shards, and in their index, begins with module.",
        small(step("respell", ("^", "module.")), layout=Layout("shuffled", 3)),
        may(*_ODD),
        _NAME_SPACES,
        sibling="prefix-of-nothing",
        requires=needs(BF16, "sharded"),
        flags=("WrappedNames", "Filled"),
    ),
    of_weights(
        "two-prefixes",
        "whole-names",
        "All parameters are there, and two of them once more behind module., with other values.",
        small(
            *(
                step("add_tensor", f"module.{name}", "BF16", shape)
                for name, shape in (("model.norm.weight", (54,)), ("model.layers.0.mlp.down_proj.weight", (54, 75)))
            ),
        ),
        reject_or_told(
            Reason.UNEXPECTED_TENSOR,
            Reason.DUPLICATE_TENSOR,
            names=("module.model.norm.weight", "module.model.layers.0.mlp.down_proj.weight"),
        ),
        _SUBSTRING,
        sibling="stored-frequencies",
        flags=("TwoNames",),
    ),
    of_weights(
        "names-that-fit-already",
        "whole-names",
        "Twelve layers in shards, under the names of the model: no rule for names has anything to do.",
        small(config={"num_hidden_layers": 12}, layout=Layout("by_count", 3)),
        accept(),
        _SUBSTRING,
        sibling="beside-plural",
        requires=needs(BF16, "sharded"),
    ),
)
