"""Cases of GGUF: where the data lies, tensor by tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.corpus.gguf_parts import DAMAGED, FORMAT, OUTPUT, STRICT, exact, gguf, refused, small
from conformance.engine.case import may
from conformance.engine.reasons import Reason
from conformance.tools.gguf_edits import edit

if TYPE_CHECKING:
    from conformance.engine.case import Case

CASES: tuple[Case, ...] = (
    *(
        exact(
            f"alignment-of-{size}",
            "alignment",
            f"general.alignment is {size}.",
            small(edit("align", size), types=(("*", "Q4_0"), ("*.v_proj.weight", "Q5_0"))),
            FORMAT,
            "alignment-of-12",
        )
        for size in (8, 64, 256)
    ),
    *(
        refused(
            f"alignment-{slug}",
            "alignment",
            title,
            small(*edits),
            FORMAT,
            "alignment-of-64",
        )
        for slug, title, edits in (
            (
                "of-12",
                "general.alignment is 12, which 8 does not divide.",
                (edit("pair", "general.alignment", "u32", 12),),
            ),
            ("of-0", "general.alignment is 0.", (edit("pair", "general.alignment", "u32", 0),)),
            ("of-words", "general.alignment is a string.", (edit("pair", "general.alignment", "string", "32"),)),
            ("not-kept", "A tensor lies 16 bytes off the alignment.", (edit("shift", "blk.0.attn_v.weight", 16),)),
        )
    ),
    gguf(
        "alignment-of-24",
        "alignment",
        "general.alignment is 24, and kept: a multiple of 8, and no power of two.",
        small(edit("align", 24)),
        may(*DAMAGED),
        FORMAT,
        "alignment-of-64",
        flags=("GgufAlignment",),
    ),
    *(
        refused(f"offsets-{slug}", "offsets", title, small(edit(*how)), STRICT, "version-2")
        for slug, title, how in (
            ("on-another", "A tensor lies on the end of the one before it.", ("shift", "blk.0.attn_v.weight", -32)),
            ("on-all-others", "A tensor lies where the first one does.", ("entry", "blk.0.attn_v.weight", "offset", 0)),
            ("behind-a-hole", "A tensor lies 32 bytes further than it should.", ("shift", "blk.0.attn_v.weight", 32)),
            ("past-the-end", "The last tensor lies a gigabyte further than it should.", ("shift", OUTPUT, 1 << 30)),
            ("that-wrap", "The last tensor lies at 2^64 - 32.", ("entry", OUTPUT, "offset", (1 << 64) - 32)),
        )
    ),
    refused(
        "file-cut-in-the-header",
        "offsets",
        "The file ends within its header.",
        small(edit("set", "cut", 700)),
        STRICT,
        "version-2",
        reasons=(Reason.TRUNCATED,),
    ),
    refused(
        "file-cut-before-the-data",
        "offsets",
        "The file ends a tensor too early, at a whole tensor.",
        small(edit("set", "cut", -(37 * 36 + 12))),
        STRICT,
        "version-2",
        reasons=(Reason.TRUNCATED,),
    ),
    gguf(
        "bytes-behind-the-data",
        "offsets",
        "A hundred bytes follow the last tensor and its padding.",
        small(edit("tail", 100)),
        may(Reason.TRAILING_BYTES),
        STRICT,
        "offsets-past-the-end",
        flags=("GgufTail",),
    ),
)
