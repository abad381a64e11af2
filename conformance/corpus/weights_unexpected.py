"""Cases of the weights: stored tensors for which the model has no place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.model_parts import ATTENTION, BF16, FILE, reject_or_told, small
from conformance.engine.case import Case, Severity, Source, accept, needs
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.steps import Step

_EXTRA_LAYER = tuple(
    f"model.layers.2.{name}.weight"
    for name in (
        *(f"self_attn.{part}" for part in ATTENTION),
        *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"),
    )
)

_SECOND_NAME = Source(
    "A rule for names that was applied to parts of them made two names one, and the one that came last won.",
    "https://github.com/huggingface/transformers/pull/48075",
    ("C24", "C23"),
)


def _second_name(slug: str, title: str, name: str, shape: tuple[int, ...], *steps: Step) -> Case:
    """A parameter is stored, and beside it a tensor that has its name without ``model.`` and other values."""
    return Case(
        id=f"weights/second-name-{slug}",
        level=Level.WEIGHTS,
        clause="weights.whole-names",
        severity=Severity.SILENT,
        title=title,
        recipe=small(step("add_tensor", name, "BF16", shape), *steps),
        expect=reject_or_told(Reason.UNEXPECTED_TENSOR, Reason.DUPLICATE_TENSOR, names=(name,)),
        source=_SECOND_NAME,
        sibling="weights/stored-frequencies",
        requires=BF16,
        flags=("TwoNames",),
    )


CASES: tuple[Case, ...] = (
    Case(
        id="weights/stored-frequencies",
        level=Level.WEIGHTS,
        clause="weights.unexpected",
        severity=Severity.CRASH,
        title="Each layer also stores the inverse frequencies of its rotary embedding, as writers did until 2023.",
        recipe=small(inv_freq="F32"),
        expect=accept(),
        source=Source(
            "The frequencies follow from the configuration: files have them or not, and loaders compute them.",
            "https://github.com/huggingface/transformers/issues/48892",
            ("E08",),
        ),
        sibling="weights/unexpected-tensor",
        requires=needs(BF16, "dtype:F32"),
    ),
    Case(
        id="weights/unexpected-tensor",
        level=Level.WEIGHTS,
        clause="weights.unexpected",
        severity=Severity.SILENT,
        title="A norm for the queries of a layer is stored, for which a Llama has no place.",
        recipe=small(step("unexpected_tensor")),
        expect=reject_or_told(Reason.UNEXPECTED_TENSOR, names=("model.layers.1.self_attn.q_norm.weight",)),
        source=Source(
            "Keys that the model lacks need a strict mode, and a report where it is off.",
            "https://github.com/huggingface/accelerate/pull/2588",
            ("C23",),
        ),
        sibling="weights/stored-frequencies",
        requires=BF16,
    ),
    Case(
        id="weights/layer-too-many",
        level=Level.WEIGHTS,
        clause="weights.unexpected",
        severity=Severity.SILENT,
        title="Three layers are stored, and the configuration says two.",
        recipe=small(step("extra_layer")),
        expect=reject_or_told(Reason.UNEXPECTED_TENSOR, Reason.CONFIG_VALUE, names=_EXTRA_LAYER),
        source=Source(
            "Layers beyond num_hidden_layers were used, refused or dropped, and by one loader in part.",
            "https://github.com/NVIDIA-NeMo/Megatron-Bridge/pull/5495",
            ("G21",),
        ),
        sibling="weights/stored-frequencies",
        requires=BF16,
    ),
    # Which of two names wins may hang on the order of the names, of the entries, or of the data.
    _second_name(
        "before-it",
        "A projection is stored twice, once without model. before its name: by name that one comes first.",
        "layers.0.mlp.down_proj.weight",
        (54, 75),
    ),
    _second_name(
        "behind-it",
        "The last norm is stored twice, once without model. before its name: that one comes last by name and by entry.",
        "norm.weight",
        (54,),
    ),
    _second_name(
        "first-entry",
        "The last norm is stored twice, once without model. before its name: that one is the first entry.",
        "norm.weight",
        (54,),
        step("reverse_entries", FILE),
    ),
)
