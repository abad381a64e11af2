"""Cases of the weights: each way to write the flag that ties embedding and head, and not to write it."""

from __future__ import annotations

from conformance.corpus.model_parts import BF16, HEAD, TIED, of_weights, small
from conformance.engine.case import Answer, Case, Expect, Source, accept, may, needs
from conformance.engine.reasons import Reason
from conformance.tools.steps import step

_FLAG = "tie_word_embeddings"
_TIED = {_FLAG: True}
_BF16_TIED = needs(BF16, "tied")
_TEXT_CONFIG = Source(
    "Only the top level of the configuration was read, and the head stayed at random numbers.",
    "https://github.com/huggingface/transformers/pull/43429",
    ("E02",),
)
_TOLD = ("ignored", "conflicting", "unexpected")
_VALUE = (Reason.CONFIG_VALUE, Reason.CONFIG_INVALID)


def _flagged(slug: str, title: str, value: str | None, expect: Expect, *flags: str, head: str = "own") -> Case:
    """The flag is written in some way, in JSON text; None for not at all."""
    edit = (
        step("drop_config", "tie_word_embeddings")
        if value is None
        else step("set_config", "tie_word_embeddings", value)
    )
    return of_weights(
        slug,
        "tie-flag",
        title,
        small(edit, head=head),
        expect,
        _TEXT_CONFIG,
        sibling="tied-and-neither-stored" if expect.kind != "reject" else "tied-head",
        flags=flags,
    )


CASES: tuple[Case, ...] = (
    _flagged(
        "tie-flag-absent-and-a-head-stored",
        "The configuration says nothing of ties, and a head with values of its own is stored.",
        None,
        accept(),
    ),
    _flagged(
        "tie-flag-null-and-a-head-stored",
        "The flag that ties embedding and head is null, and a head with values of its own is stored.",
        "null",
        may(*_VALUE),
        "LooseFlag",
    ),
    _flagged(
        "tie-flag-absent-and-no-head-stored",
        "The configuration says nothing of ties, and no head is stored.",
        None,
        may(Reason.MISSING_TENSOR),
        "HeadAbsent",
        "Filled",
        head="absent",
    ),
    _flagged(
        "tie-flag-null-and-no-head-stored",
        "The flag that ties embedding and head is null, and no head is stored.",
        "null",
        may(Reason.MISSING_TENSOR, *_VALUE),
        "HeadAbsent",
        "Filled",
        head="absent",
    ),
    _flagged(
        "tie-flag-of-the-word-false",
        'The flag is the string "false", which is true where only emptiness counts, and a head is stored.',
        '"false"',
        may(*_VALUE),
        "LooseFlag",
    ),
    _flagged(
        "tie-flag-of-the-number-zero",
        "The flag is the number 0, and a head with values of its own is stored.",
        "0",
        may(*_VALUE),
        "LooseFlag",
    ),
    _flagged(
        "tie-flag-of-the-number-one",
        "The flag is the number 1, and no head is stored.",
        "1",
        may(Reason.MISSING_TENSOR, *_VALUE),
        "LooseFlag",
        "Filled",
        head="absent",
    ),
    _flagged(
        "tie-flag-of-a-list",
        "The flag is a list of the boolean false, which is true where only emptiness counts, and a head is stored.",
        "[false]",
        may(*_VALUE),
        "LooseFlag",
    ),
    of_weights(
        "tie-flag-of-the-text-config-only-false",
        "tie-flag",
        "The flag is true at the top and false under text_config, and a head with values of its own is stored.",
        small(head="own", config={"text_config": {"tie_word_embeddings": False}, **_TIED}),
        Expect(
            answers=(Answer(), *(Answer(of=TIED, reported=((told, HEAD),)) for told in _TOLD)),
            reasons=(Reason.FAMILY, *_VALUE, Reason.UNEXPECTED_TENSOR),
        ),
        _TEXT_CONFIG,
        sibling="tied-and-neither-stored",
        requires=_BF16_TIED,
        flags=("NestedConfiguration", "TwoHeads"),
    ),
)
