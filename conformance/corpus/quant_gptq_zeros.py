"""Cases of the weights: the zeros of GPTQ, versions 1 and 2, and labels that name the other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.model_parts import reject_or_told
from conformance.corpus.quant_gptq import ASYMMETRIC, FOUR, STRADDLING, gptq
from conformance.corpus.quant_parts import (
    CONFLICT,
    FIRST,
    GPTQMODEL,
    QUERY,
    exact,
    of_scheme,
)
from conformance.engine.case import Answer, Source, may
from conformance.engine.reasons import Reason
from conformance.tools.schemes.gptq import Gptq
from conformance.tools.steps import step

if TYPE_CHECKING:
    from conformance.engine.case import Case

_ONE_LESS = Source(
    "Version 1 stores each zero less one: a reader that does not add it shifts every weight by a step.",
    "https://github.com/casper-hansen/AutoAWQ/issues/101",
    ("F12",),
)
_AS_IT_IS = Source(
    "Version 2 stores the zero itself; a reader that took it for version 1 gave out nothing but exclamation marks.",
    "https://github.com/vllm-project/vllm/pull/26092",
    ("F13",),
)
_WRAPPED = Source(
    "Of 57,276 zeros of 0 that were stored less one, each came back as 16 or 15, and the perplexity was no number.",
    f"{GPTQMODEL}/issues/2350",
    ("F15",),
)
_LABEL = Source(
    "Exports under the label of version 1 held the zeros of version 2: every weight was off by a step.",
    "https://github.com/vllm-project/vllm/pull/38966",
    ("F14",),
)

_ZEROS: tuple[Case, ...] = (
    exact(
        "gptq-zeros-of-version-1",
        "gptq-zeros",
        "GPTQ of four bits, asymmetric, version 1: one is missing from each zero.",
        gptq(ASYMMETRIC),
        _ONE_LESS,
        "gptq-no-zeros",
    ),
    exact(
        "gptq-zeros-of-version-2",
        "gptq-zeros",
        "GPTQ of four bits, asymmetric, version 2: the zeros are stored as they are.",
        gptq(Gptq(symmetric=False, version=2)),
        _AS_IT_IS,
        "gptq-no-zeros",
    ),
    exact(
        "gptq-zeros-without-a-label",
        "gptq-zeros",
        "GPTQ whose configuration names no version: it is the first, which had no name.",
        gptq(Gptq(symmetric=False, label=0)),
        _ONE_LESS,
        "gptq-no-zeros",
    ),
    *(
        exact(
            f"gptq-zeros-at-both-ends-of-{bits}-bits",
            "gptq-zeros",
            f"GPTQ of {bits} bits, version 1, with zeros of 0, stored as the largest code, and of the largest.",
            gptq(Gptq(bits, symmetric=False, lean=True)),
            STRADDLING if bits == 3 else _WRAPPED,  # noqa: PLR2004 - the one that straddles
            "gptq-no-zeros",
        )
        for bits in (2, 3, 4, 8)
    ),
    exact(
        "gptq-zeros-at-both-ends-of-version-2",
        "gptq-zeros",
        "GPTQ of four bits, version 2, with zeros of 0 and 15.",
        gptq(Gptq(symmetric=False, lean=True, version=2)),
        _AS_IT_IS,
        "gptq-no-zeros",
    ),
    exact(
        "gptq-symmetric-of-version-2",
        "gptq-zeros",
        "GPTQ of eight bits, symmetric, version 2: every zero is 128.",
        gptq(Gptq(8, version=2)),
        _AS_IT_IS,
        "gptq-no-zeros",
    ),
    of_scheme(
        "gptq-zeros-that-are-not-packed",
        "gptq-zeros",
        "The zeros of one symmetric weight are F16 numbers of 8, in the shape of the scales.",
        gptq(FOUR, step("put_tensor", f"{QUERY}.qzeros", "F16", (3, 160), "0048")),
        may(*CONFLICT, answers=(Answer(of=gptq(FOUR)),)),
        Source(
            "Zero points that are not packed, where packed ones are assumed: shapes did not match.",
            "https://github.com/vllm-project/vllm/issues/17862",
            ("F38",),
        ),
        "gptq-group-that-is-none",
        flags=("UnpackedZeros",),
    ),
)


def _mislabelled(slug: str, title: str, scheme: Gptq) -> Case:
    expect = reject_or_told(
        Reason.SCHEME_CONFLICT,
        Reason.SCALE_VALUE,
        names=(f"{FIRST}.qzeros",),
        lists=("conflicting", "defaulted"),
    )
    return of_scheme(slug, "gptq-label", title, gptq(scheme), expect, _LABEL, "gptq-four-bits")


_LABELS: tuple[Case, ...] = (
    _mislabelled(
        "gptq-zeros-of-2-under-the-label-of-1",
        "GPTQ that is symmetric, whose label is that of version 1, and whose zeros are all 8, as version 2 has them.",
        Gptq(version=2, label=1),
    ),
    _mislabelled(
        "gptq-zeros-of-1-under-the-label-of-2",
        "GPTQ that is symmetric, whose label is that of version 2, and whose zeros are all 7, as version 1 has them.",
        Gptq(version=1, label=2),
    ),
    _mislabelled(
        "gptq-zeros-of-2-without-a-label",
        "GPTQ of three bits that is symmetric, without a label, and whose zeros are all 4, as version 2 has them.",
        Gptq(3, version=2, label=0),
    ),
)

CASES: tuple[Case, ...] = (*_ZEROS, *_LABELS)
