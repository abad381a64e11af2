"""Cases of the weights: one tensor that serves as embedding and head, and files that say otherwise than the flag."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, EMBEDDING, HEAD, TIED, small
from conformance.engine.case import Answer, Case, Expect, Severity, Source, accept, may, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_TIED = {"tie_word_embeddings": True}
_BF16_TIED = needs(BF16, "tied")

CASES: tuple[Case, ...] = (
    Case(
        id="weights/tied-head",
        level=Level.WEIGHTS,
        clause="weights.tied",
        severity=Severity.SILENT,
        title="The configuration ties the head to the embedding, and no head is stored.",
        recipe=TIED,
        expect=accept(),
        source=Source(
            "The head stayed at random numbers, without a warning.",
            "https://github.com/vllm-project/vllm/pull/53020",
            ("E01", "E13"),
        ),
        sibling="weights/tied-and-neither-stored",
        requires=_BF16_TIED,
        flags=("Filled",),
    ),
    Case(
        id="weights/tied-head-and-a-copy",
        level=Level.WEIGHTS,
        clause="weights.tied",
        severity=Severity.CRASH,
        title="The configuration ties the head to the embedding, and a copy of the embedding is stored under its name.",
        recipe=small(head="copy", config=_TIED),
        expect=accept(),
        source=Source(
            "A redundant head was refused with a KeyError.",
            "https://github.com/vllm-project/vllm/pull/6758",
            ("E10", "E11"),
        ),
        sibling="weights/tied-and-neither-stored",
        requires=_BF16_TIED,
    ),
    Case(
        id="weights/tied-and-only-the-head-stored",
        level=Level.WEIGHTS,
        clause="weights.tied",
        severity=Severity.SILENT,
        title="The configuration ties the head to the embedding, and of the two names the file has that of the head.",
        recipe=small(head="instead", config=_TIED),
        expect=accept(),
        source=Source(
            "Which of two tied names a writer keeps is its own affair; the other one was left without values.",
            "https://github.com/huggingface/transformers/issues/38870",
            ("E06",),
        ),
        sibling="weights/tied-and-neither-stored",
        requires=_BF16_TIED,
        flags=("Filled",),
    ),
    Case(
        id="weights/tied-and-neither-stored",
        level=Level.WEIGHTS,
        clause="weights.tied",
        severity=Severity.SILENT,
        title="The configuration ties the head to the embedding, and neither of the two is stored.",
        recipe=TIED.then(step("remove_tensor", EMBEDDING)),
        expect=reject(Reason.MISSING_TENSOR),
        source=Source(
            "A name on the list of tied ones was not counted as missing, and no warning came.",
            "https://github.com/huggingface/transformers/issues/38870",
            ("E06",),
        ),
        sibling="weights/tied-head",
        requires=_BF16_TIED,
        flags=("Filled",),
    ),
    Case(
        id="weights/untied-and-no-head-stored",
        level=Level.WEIGHTS,
        clause="weights.made-up-head",
        severity=Severity.SILENT,
        title="The configuration says that the head is its own, and none is stored.",
        recipe=small(head="absent"),
        expect=may(Reason.MISSING_TENSOR),
        source=Source(
            "A published model has such a file: the embedding serves, or loading stops; a random head is neither.",
            "https://github.com/QwenLM/Qwen3-VL-Embedding/issues/89",
        ),
        sibling="weights/tied-and-neither-stored",
        requires=BF16,
        flags=("HeadAbsent", "Filled"),
    ),
    Case(
        id="weights/tied-and-another-head-stored",
        level=Level.WEIGHTS,
        clause="weights.two-heads",
        severity=Severity.SILENT,
        title="The configuration ties the head to the embedding, and a head with values of its own is stored.",
        recipe=small(head="own", config=_TIED),
        expect=Expect(
            answers=(
                Answer(),
                *(Answer(of=TIED, reported=((told, HEAD),)) for told in ("ignored", "conflicting", "unexpected")),
            ),
            reasons=(Reason.UNEXPECTED_TENSOR, Reason.CONFIG_VALUE),
        ),
        source=Source(
            "The trained head was overwritten with the embedding, without a word.",
            "https://github.com/huggingface/transformers/pull/42612",
            ("E03", "E07"),
        ),
        sibling="weights/tied-head-and-a-copy",
        requires=_BF16_TIED,
        flags=("TwoHeads",),
    ),
    Case(
        id="weights/tied-in-the-text-config",
        level=Level.WEIGHTS,
        clause="weights.tie-flag",
        severity=Severity.SILENT,
        title="The flag that ties head and embedding stands under text_config only, and no head is stored.",
        recipe=small(config={**_TIED, "text_config": _TIED}, omit=("tie_word_embeddings",)),
        expect=may(
            Reason.MISSING_TENSOR,
            Reason.FAMILY,
            Reason.CONFIG_VALUE,
            Reason.CONFIG_INVALID,
        ),
        source=Source(
            "Only the top level of the configuration was read, and the head stayed at random numbers.",
            "https://github.com/huggingface/transformers/pull/43429",
            ("E02",),
        ),
        sibling="weights/tied-and-neither-stored",
        requires=_BF16_TIED,
        flags=("NestedConfiguration", "Filled"),
    ),
)
