"""Cases of the weights: embedding and head once more, and what is stored of the two."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.corpus.model_parts import BF16, EMBEDDING, F32, FILE, HEAD, TIED, of_weights, reject_or_told, small
from conformance.engine.case import Answer, Case, Expect, Source, accept, may, needs, reject
from conformance.engine.reasons import Reason
from conformance.tools.recipe import Layout
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.tools.scenario import Scenario

_TIED = {"tie_word_embeddings": True}
_BF16_TIED = needs(BF16, "tied")
_OVERWRITTEN = Source(
    "The trained head was overwritten with the embedding, without a word.",
    "https://github.com/huggingface/transformers/pull/42612",
    ("E03",),
)
_OTHER_SOURCE = Source(
    "The embedding was made of the head, in a model that did not tie the two: numbers a hundred times too small.",
    "https://github.com/huggingface/transformers/issues/48154",
    ("E05",),
)
_DROPPED = Source(
    "A writer dropped a head that was not the embedding, and a loader made it of the embedding.",
    "https://github.com/NVIDIA-NeMo/Automodel/pull/2511",
    ("E07",),
)
_RANDOM = Source(
    "The head stayed at random numbers, without a warning.",
    "https://github.com/vllm-project/vllm/pull/53020",
    ("E01",),
)
_REDUNDANT = Source(
    "Model after model that has a head of its own in any case was mended to take the embedding where it is tied.",
    "https://github.com/ml-explore/mlx-lm/pull/1143",
    ("E11",),
)
_TOLD = ("ignored", "conflicting", "unexpected")


def _two_heads(
    slug: str, title: str, recipe: Scenario, *needed: str, tied: Scenario = TIED, wide: tuple[str, ...] = ()
) -> Case:
    """The configuration ties the head, and another one is stored; those of the two that are wide may be made BF16."""
    cast = tuple(("cast", name) for name in wide)
    kept = (Answer(), Answer(dtype="BF16", reported=cast)) if wide else (Answer(),)
    left_out = [Answer(of=tied, reported=((told, HEAD),)) for told in _TOLD]
    left_out += [replace(answer, dtype="BF16", reported=(*answer.reported, *cast)) for answer in left_out if wide]
    return of_weights(
        slug,
        "two-heads",
        title,
        recipe,
        Expect(answers=(*kept, *left_out), reasons=(Reason.UNEXPECTED_TENSOR, Reason.CONFIG_VALUE, Reason.DTYPE)),
        _OVERWRITTEN,
        sibling="tied-head-and-a-copy",
        requires=needs(_BF16_TIED, *needed),
        flags=("TwoHeads",),
    )


_STORED: tuple[Case, ...] = (
    _two_heads(
        "tied-and-zeros-stored",
        "The configuration ties the head to the embedding, and a head of zeros is stored.",
        small(step("set_bytes", FILE, HEAD, "00" * (2 * 37 * 54)), head="own", config=_TIED),
    ),
    _two_heads(
        "tied-and-an-f32-head-stored",
        "The configuration ties the head to the BF16 embedding, and a head with values of its own is stored in F32.",
        small(head="own", config=_TIED, dtypes=((HEAD, "F32"),)),
        *F32,
        wide=(HEAD,),
    ),
    _two_heads(
        "tied-and-a-rounded-copy-stored",
        "The configuration ties the head to the F32 embedding, and that one, rounded to BF16, is stored as the head.",
        small(
            step("cast_copy", EMBEDDING, HEAD, "BF16"),
            head="own",
            config=_TIED,
            dtypes=((EMBEDDING, "F32"),),
        ),
        *F32,
        tied=small(config=_TIED, dtypes=((EMBEDDING, "F32"),)),
        wide=(EMBEDDING,),
    ),
    _two_heads(
        "tied-and-another-head-in-shards",
        "The configuration ties the head, and one with values of its own lies in another shard than the embedding.",
        small(head="own", config=_TIED, layout=Layout("by_count", 3)),
        "sharded",
    ),
    of_weights(
        "tied-and-a-head-of-another-shape",
        "two-heads",
        "The configuration ties the head to the embedding, and a head with two rows more is stored.",
        small(step("reform_tensor", HEAD, "BF16", (39, 54)), head="own", config=_TIED),
        reject_or_told(
            Reason.SHAPE, Reason.CONFIG_VALUE, Reason.UNEXPECTED_TENSOR, names=(HEAD,), lists=_TOLD, of=TIED
        ),
        _OVERWRITTEN,
        sibling="tied-head-and-a-copy",
        requires=_BF16_TIED,
    ),
    of_weights(
        "tied-head-and-a-copy-in-another-shard",
        "tied",
        "The configuration ties the head to the embedding, and a copy of that lies in the last of three shards.",
        small(head="copy", config=_TIED, layout=Layout("by_count", 3)),
        accept(),
        _REDUNDANT,
        sibling="tied-and-neither-stored",
        requires=needs(_BF16_TIED, "sharded"),
    ),
    of_weights(
        "tied-and-only-the-head-in-shards",
        "tied",
        "The configuration ties the two, and of both names three shards have that of the head.",
        small(head="instead", config=_TIED, layout=Layout("shuffled", 3)),
        accept(),
        _REDUNDANT,
        sibling="tied-and-neither-stored",
        requires=needs(_BF16_TIED, "sharded"),
        flags=("Filled",),
    ),
    of_weights(
        "tied-head-of-f32",
        "tied",
        "The embedding, to which the head is tied, is F32, and all else is BF16: both are F32, or cast and reported.",
        small(config=_TIED, dtypes=((EMBEDDING, "F32"),)),
        accept(Answer(), Answer(dtype="BF16", reported=(("cast", EMBEDDING),))),
        _RANDOM,
        sibling="tied-and-neither-stored",
        requires=needs(_BF16_TIED, F32),
        flags=("SilentCast",),
    ),
)
_UNTIED: tuple[Case, ...] = (
    of_weights(
        "untied-head-that-is-a-copy",
        "untied",
        "The configuration does not tie them, and the head has the values of the embedding: both are handed out.",
        small(head="copy"),
        accept(),
        _OTHER_SOURCE,
        sibling="untied-and-only-the-head-stored",
    ),
    of_weights(
        "untied-head-in-another-shard",
        "untied",
        "The configuration does not tie them, and embedding and head lie in the first and the last of three shards.",
        small(layout=Layout("by_count", 3)),
        accept(),
        _OTHER_SOURCE,
        sibling="untied-and-only-the-head-stored",
        requires=needs(BF16, "sharded"),
    ),
    of_weights(
        "untied-head-of-zeros",
        "untied",
        "The configuration does not tie them, and the head that is stored is all zeros: it is what it is.",
        small(step("set_bytes", FILE, HEAD, "00" * (2 * 37 * 54))),
        accept(),
        _DROPPED,
        sibling="untied-and-only-the-head-stored",
    ),
    of_weights(
        "untied-and-only-the-head-stored",
        "untied",
        "The configuration does not tie them, and the embedding is nowhere: the head is not taken for it.",
        small(step("remove_tensor", EMBEDDING)),
        reject(Reason.MISSING_TENSOR),
        _OTHER_SOURCE,
        flags=("Filled",),
    ),
    of_weights(
        "untied-and-neither-stored",
        "made-up-head",
        "The configuration does not tie them, and neither embedding nor head is stored.",
        small(step("remove_tensor", EMBEDDING), head="absent"),
        reject(Reason.MISSING_TENSOR),
        _DROPPED,
        flags=("Filled",),
    ),
    of_weights(
        "untied-and-no-head-in-shards",
        "made-up-head",
        "The configuration says that the head is its own, and three shards and their index have none.",
        small(head="absent", layout=Layout("shuffled", 3)),
        may(Reason.MISSING_TENSOR),
        _DROPPED,
        sibling="tied-and-neither-stored",
        requires=needs(BF16, "sharded"),
        flags=("HeadAbsent", "Filled"),
    ),
    of_weights(
        "head-with-more-rows",
        "vocabulary",
        "The head has two rows more than the embedding and the vocabulary.",
        small(step("reform_tensor", HEAD, "BF16", (39, 54))),
        reject_or_told(Reason.SHAPE, Reason.CONFIG_VALUE, names=(HEAD,), lists=("conflicting",)),
        Source(
            "A fine-tune added two tokens: 32,002 rows, and a configuration of 32,000.",
            "https://github.com/unslothai/unsloth/issues/237",
            ("G22",),
        ),
    ),
    of_weights(
        "embedding-with-fewer-rows",
        "vocabulary",
        "The embedding has one row less than the head and the vocabulary: no row is made up.",
        small(step("reform_tensor", EMBEDDING, "BF16", (36, 54))),
        reject(Reason.SHAPE, Reason.CONFIG_VALUE),
        Source(
            "A fine-tune added two tokens: 32,002 rows, and a configuration of 32,000.",
            "https://github.com/unslothai/unsloth/issues/237",
            ("G22",),
        ),
    ),
)
CASES: tuple[Case, ...] = (*_STORED, *_UNTIED)
