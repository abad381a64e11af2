"""What the cases of GGUF share: recipes, reasons, sources, and the form of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.corpus.placing import placed
from conformance.engine.case import Severity, Source, accept, needs, reject
from conformance.engine.claims import Level
from conformance.engine.reasons import Reason
from conformance.tools.gguf_recipe import SMALL, SUPER, GgufRecipe

if TYPE_CHECKING:
    from conformance.engine.case import Case, Expect
    from conformance.tools.gguf_edits import Edit

SPEC = "https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"
LLAMA_CPP = "https://github.com/ggml-org/llama.cpp"
CONVERTER = f"{LLAMA_CPP}/blob/master/convert_hf_to_gguf.py"
FORMAT = Source("What the text of the format says of a header.", SPEC)
STRICT = Source(
    "ggml itself refuses a file whose tensors do not follow each other.", f"{LLAMA_CPP}/blob/master/ggml/src/gguf.cpp"
)
GGML_BLOCKS = Source(
    "The formula of each block, in the scalar code of ggml.", f"{LLAMA_CPP}/blob/master/ggml/src/ggml-quants.c"
)
ONE_FOR_ALL = Source(
    "All tensors were read with the bits of the whole, and not with their own.",
    "https://github.com/danveloper/flash-moe/pull/13",
)
LENGTHS = Source(
    "Lengths of a header were handed to the allocator as they were.",
    "https://github.com/huggingface/candle/pull/3556",
    ("J05",),
)
TIED = Source(
    "A model with a tied head came without output.weight, and was refused.",
    "https://github.com/ggml-org/llama.cpp/issues/11345",
    ("E13",),
)
ROWS = Source(
    "The rows of k were put back by the number of query heads: every query met the wrong key.",
    "https://github.com/huggingface/transformers/pull/31788",
    ("C04", "C03"),
)

#: What a header that contradicts the file, or itself, may be refused for.
DAMAGED = (
    Reason.TRUNCATED,
    Reason.HEADER_ENTRY,
    Reason.HEADER_LENGTH,
    Reason.SIZE_MISMATCH,
    Reason.OVERFLOW,
    Reason.HOLE,
    Reason.OVERLAP,
    Reason.SHAPE,
)
#: What is not called for may be refused as.
STRANGE = (Reason.HEADER_ENTRY, Reason.NOT_SAFETENSORS, Reason.UNKNOWN_DTYPE, Reason.UNKNOWN_SCHEME)
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"


def small(*edits: Edit, config: dict[str, Any] | None = None, **more: Any) -> GgufRecipe:
    """Two layers in blocks of 32; of Q4_0 unless `more` has other types."""
    return GgufRecipe(config={**SMALL, **(config or {})}, edits=edits, **more)


def large(kind: str, *edits: Edit, **more: Any) -> GgufRecipe:
    """One layer in blocks of 256 of a type."""
    return GgufRecipe(config=dict(SUPER), types=(("*", kind),), edits=edits, **more)


def gguf(
    slug: str,
    clause: str,
    title: str,
    recipe: GgufRecipe,
    expect: Expect,
    source: Source,
    sibling: str,
    *requires: str,
    level: Level = Level.WEIGHTS,
    **more: Any,
) -> Case:
    """A case of GGUF, of the weights unless it says otherwise.

    Args:
        slug: The id without the area.
        clause: The rule without the area.
        title: What the checkpoint is.
        recipe: How it is built.
        expect: What a loader owes.
        source: Where that comes from.
        sibling: The id of the sibling without the area.
        requires: What a loader must claim beside GGUF.
        level: Which entry of a loader is judged.
        more: Further attributes of the case.
    """
    facts: dict[str, Any] = {"severity": Severity.SILENT, "requires": needs("quant:gguf", *requires), **more}
    return placed(level, slug, clause, title, recipe, expect, source, sibling, area="gguf", **facts)


def exact(
    slug: str, clause: str, title: str, recipe: GgufRecipe, source: Source, sibling: str, *requires: str, **more: Any
) -> Case:
    """A file that must be loaded. See `gguf`."""
    return gguf(slug, clause, title, recipe, accept(), source, sibling, *requires, **more)


def refused(
    slug: str,
    clause: str,
    title: str,
    recipe: GgufRecipe,
    source: Source,
    sibling: str,
    *requires: str,
    reasons: tuple[Reason, ...] = DAMAGED,
    **more: Any,
) -> Case:
    """A file that no loader may take. See `gguf`."""
    return gguf(slug, clause, title, recipe, reject(*reasons), source, sibling, *requires, **more)
