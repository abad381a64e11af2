"""Cases of the weights: the number of a layer, as it is written and in whatever order the names stand."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, FILE, of_weights, reject_or_told, small
from conformance.engine.case import Case, Source, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

_DIGITS = Source(
    "Only the tenth layer and later ones show whether a loader goes by numbers or by the order of names as text.",
    "https://github.com/ggml-org/llama.cpp/issues/6490",
    ("B17",),
)
_NUMBERS = Source(
    "transformers finds a layer by its place in a list, whose name is the plain decimal number.",
    "https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py",
)
#: How the number 1 is written, as no writer does. Python takes most of them for it.
_SPELLINGS = (
    ("leading-zero", "01", "with a leading zero"),
    ("sign", "+1", "with a sign"),
    ("minus", "-1", "as the last one, counted from the end"),
    ("fraction", "1.0", "as a fraction"),
    ("underscore", "0_1", "with an underscore between its digits"),
    ("blank", " 1", "behind a blank"),
    ("arabic", "\u0661", "in the digits of Arabic"),
    ("wide", "\uff11", "in the wide digits of East Asian scripts"),
    ("hexadecimal", "0x1", "in hexadecimal"),
    ("word", "one", "as a word"),
)
_TWELVE = {"num_hidden_layers": 12}
_WRITTEN = tuple(
    of_weights(
        f"layer-number-{word}",
        "layer-numbers",
        f"The number of the second layer is written {how}: {number!r}.",
        small(step("respell", (r"^model\.layers\.1\.", f"model.layers.{number}."))),
        reject(Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        _NUMBERS,
        flags=("Filled",),
    )
    for word, number, how in _SPELLINGS
)
#: The second layer once more, under a number that is spelled otherwise, with other values.
_TWICE = tuple(
    of_weights(
        f"layer-number-{word}-beside",
        "layer-numbers",
        f"Beside the down projection of the second layer there is another one whose number is written {number!r}.",
        small(step("add_tensor", f"model.layers.{number}.mlp.down_proj.weight", "BF16", (54, 75))),
        reject_or_told(
            Reason.UNEXPECTED_TENSOR,
            Reason.DUPLICATE_TENSOR,
            names=(f"model.layers.{number}.mlp.down_proj.weight",),
        ),
        _NUMBERS,
        flags=("TwoNames",),
    )
    for word, number in (("leading-zero", "01"), ("sign", "+1"), ("arabic", "\u0661"))
)

CASES: tuple[Case, ...] = (
    of_weights(
        "twelve-layers",
        "layer-order",
        "Twelve layers in one file, whose names stand in the order of text: layer 10 comes before layer 2.",
        small(config=_TWELVE),
        accept(),
        _DIGITS,
        sibling="ten-layers-missing",
        flags=("StringOrder",),
    ),
    of_weights(
        "twelve-layers-in-reverse",
        "layer-order",
        "Twelve layers in one file, the last entry of the header first.",
        small(step("reverse_entries", FILE), config=_TWELVE),
        accept(),
        _DIGITS,
        sibling="ten-layers-missing",
        flags=("StringOrder",),
    ),
    of_weights(
        "twelve-layers-shuffled",
        "layer-order",
        "The tensors of twelve layers are dealt out to three shards: no shard holds a whole layer.",
        small(config=_TWELVE, layout=Layout("shuffled", 3)),
        accept(),
        _DIGITS,
        sibling="layer-in-the-middle-missing",
        requires=needs(BF16, "sharded"),
        flags=("StringOrder",),
    ),
    of_weights(
        "layers-counted-from-one",
        "layer-numbers",
        "Two layers are numbered 1 and 2: layer 0 is nowhere, and there is none with the number 2.",
        small(
            step("respell", (r"^model\.layers\.1\.", "model.layers.2.")),
            step("respell", (r"^model\.layers\.0\.", "model.layers.1.")),
        ),
        reject(Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        _NUMBERS,
        flags=("Filled",),
    ),
    of_weights(
        "layer-far-out-of-range",
        "layer-numbers",
        "The second layer has the number 4294967297, which is 1 where 32 bits are kept of it.",
        small(step("respell", (r"^model\.layers\.1\.", "model.layers.4294967297."))),
        reject(Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        _NUMBERS,
        flags=("Filled",),
    ),
    *_WRITTEN,
    *_TWICE,
)
