"""Cases of the weights: of each kind of parameter one is nowhere, has another's name, or is spelled nearly right."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, FILE, TWELVE, of_weights, reject_or_told, small
from conformance.engine.case import Case, Severity, Source, accept, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_RANDOM = Source(
    "A model whose weights were nowhere in the file got random ones, and a warning.",
    "https://github.com/huggingface/transformers/issues/48722",
    ("C17", "L01"),
)
_MISSPELT = Source(
    "Misspelt tensors were ignored where a load was not strict.",
    "https://github.com/ml-explore/mlx-lm/pull/1727",
    ("C11",),
)
_PLACES = Source(
    "Arguments that were exchanged in a call gave one part of the weights the place of another, without an error.",
    "https://github.com/vllm-project/vllm/pull/28715",
    ("K07",),
)
_FIRST, _LAYER = "model.layers.0.", "model.layers.1."
#: One parameter of each kind, but for those of the cases of names: what it is called in a title, and its name.
_KINDS = (
    ("key", "The key projection of the second layer", f"{_LAYER}self_attn.k_proj.weight"),
    ("value", "The value projection of the second layer", f"{_LAYER}self_attn.v_proj.weight"),
    ("output", "The output projection of the second layer", f"{_LAYER}self_attn.o_proj.weight"),
    ("gate", "The gate of the second layer", f"{_LAYER}mlp.gate_proj.weight"),
    ("up", "The up projection of the second layer", f"{_LAYER}mlp.up_proj.weight"),
    ("down", "The down projection of the second layer", f"{_LAYER}mlp.down_proj.weight"),
    ("input-norm", "The first norm of the second layer", f"{_LAYER}input_layernorm.weight"),
    ("inner-norm", "The second norm of the second layer", f"{_LAYER}post_attention_layernorm.weight"),
)
#: Names that are nearly right: what is changed, the right name, and the wrong one.
_NEARLY = (
    ("letter", "a letter is missing", f"{_LAYER}mlp.gate_proj.weight", f"{_LAYER}mlp.gate_pro.weight"),
    ("order", "two words have changed places", f"{_LAYER}mlp.down_proj.weight", f"{_LAYER}mlp.proj_down.weight"),
    ("case", "a letter is a capital", f"{_LAYER}self_attn.v_proj.weight", f"{_LAYER}self_attn.V_proj.weight"),
    ("leaf", "it ends in weights", "model.norm.weight", "model.norm.weights"),
    ("no-leaf", "it ends before .weight", "model.norm.weight", "model.norm"),
    ("blank", "a blank follows it", f"{_LAYER}self_attn.o_proj.weight", f"{_LAYER}self_attn.o_proj.weight "),
    ("underscore", "a point is an underscore", f"{_LAYER}self_attn.k_proj.weight", f"{_LAYER}self_attn_k_proj.weight"),
)
#: Parameters of one shape, whose values have changed places: a loader goes by the names.
_EXCHANGED = (
    ("gate-and-up", "gate and up", f"{_LAYER}mlp.gate_proj.weight", f"{_LAYER}mlp.up_proj.weight"),
    ("key-and-value", "k and v", f"{_LAYER}self_attn.k_proj.weight", f"{_LAYER}self_attn.v_proj.weight"),
    ("norms", "its two norms", f"{_LAYER}input_layernorm.weight", f"{_LAYER}post_attention_layernorm.weight"),
    ("layers", "o and that of the first layer", f"{_LAYER}self_attn.o_proj.weight", f"{_FIRST}self_attn.o_proj.weight"),
)
_ABSENT = tuple(
    of_weights(
        f"missing-{word}",
        "missing",
        f"{what} is nowhere, and no configuration says that it need not be.",
        small(step("remove_tensor", name)),
        reject(Reason.MISSING_TENSOR),
        _RANDOM,
        flags=("Filled",),
    )
    for word, what, name in _KINDS
)
_SPELLED = tuple(
    of_weights(
        f"misspelt-{word}",
        "missing",
        f"Of one name {what}: the parameter is nowhere, and a tensor is there that the model does not know.",
        small(step("rename_tensor", right, wrong)),
        reject(Reason.MISSING_TENSOR, Reason.UNEXPECTED_TENSOR),
        _MISSPELT,
        flags=("Filled",),
    )
    for word, what, right, wrong in _NEARLY
)
_SWAPPED = tuple(
    of_weights(
        f"exchanged-{word}",
        "complete",
        f"In the second layer {what} have each other's values; the data lie in the order of before.",
        small(step("swap_tensors", one, other)),
        accept(),
        _PLACES,
        sibling="missing-matrix",
    )
    for word, what, one, other in _EXCHANGED
)

CASES: tuple[Case, ...] = (
    *_ABSENT,
    *_SPELLED,
    *_SWAPPED,
    of_weights(
        "entries-in-reverse",
        "complete",
        "The entries of the header stand in the opposite order of their data, the last parameter first.",
        small(step("reverse_entries", FILE)),
        accept(),
        _PLACES,
        sibling="missing-matrix",
    ),
    of_weights(
        "data-in-reverse",
        "complete",
        "The data lie in the opposite order of the model: the head comes first, and up before gate.",
        small(step("reverse_data")),
        accept(),
        _PLACES,
        sibling="missing-matrix",
    ),
    of_weights(
        "ten-layers-missing",
        "missing",
        "Of twelve layers in one file only two are there: ninety names, better not told one by one.",
        small(
            step(
                "remove_tensor",
                *(
                    f"model.layers.{layer}.{name}.weight"
                    for layer in range(2, 12)
                    for name in (
                        *(f"self_attn.{part}_proj" for part in "qkvo"),
                        "mlp.gate_proj",
                        "mlp.up_proj",
                        "mlp.down_proj",
                        "input_layernorm",
                        "post_attention_layernorm",
                    )
                ),
            ),
            config={"num_hidden_layers": 12},
        ),
        reject(Reason.MISSING_TENSOR),
        Source(
            "Hundreds of missing keys of repeated layers filled pages, and nobody read them.",
            "https://github.com/huggingface/transformers/pull/33380",
            ("L06",),
        ),
        severity=Severity.MESSAGE,
        flags=("Filled",),
    ),
    of_weights(
        "unexpected-by-the-hundred",
        "unexpected",
        "Twelve layers are stored where the configuration says two: ninety names of which each must be told, or none.",
        small(step("set_config", "num_hidden_layers", "2"), config={"num_hidden_layers": 12}),
        reject_or_told(
            Reason.UNEXPECTED_TENSOR,
            Reason.CONFIG_VALUE,
            names=(f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2, 12)),
            of=small(),
        ),
        Source(
            "Hundreds of parameters that the model did not know were named, and not why they were there.",
            "https://github.com/jundot/omlx/pull/3262",
            ("L09",),
        ),
        sibling="stored-frequencies",
        severity=Severity.MESSAGE,
    ),
    of_weights(
        "one-of-a-hundred-in-another-shape",
        "shape",
        "Of the 111 tensors of twelve layers in shards one, in the tenth layer, has a row too many.",
        TWELVE.then(step("reform_tensor", "model.layers.9.mlp.up_proj.weight", "BF16", (76, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        Source(
            "The message named only the last word of the tensor, weight, of which there were 291.",
            "https://github.com/huggingface/accelerate/issues/2374",
            ("L05", "D08"),
        ),
        sibling="twelve-layers-in-shards",
        severity=Severity.MESSAGE,
        requires=needs(BF16, "sharded"),
    ),
)
