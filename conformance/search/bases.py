"""Strategies for sound bases: one file of any tensors, or a Llama checkpoint of any layout. Recipes, never bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from conformance.tools.container import DTYPE_BITS, Spec
from conformance.tools.recipe import Layout, Quantization, Recipe
from conformance.tools.tensor_file import TensorFile

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from conformance.tools.recipe import Head

DTYPES = tuple(DTYPE_BITS)
_FLOATS = ("BF16", "F16", "F32", "F64")
_RULES = ("dtype-name-padded", "name-unpadded", "given")
_HIGH = 2**40
_WHOLE = 8
#: The files that a TensorFile is drawn as: the one that a container case reads by default.
SINGLE = "model.safetensors"
#: Names that have misled a parser, or a sort.
_NAMES = (
    "w",
    "a.weight",
    "layers.10.w",
    "layers.2.w",
    "\u00e9",
    "\U0001f600",
    "__metadata",
    "dtype",
    "\\",
    '"',
    "\0",
    " ",
)
#: Patterns of the parameters of a Llama, for a dtype of their own.
_PATTERNS = ("*norm.weight", "lm_head.weight", "*q_proj*", "model.embed_tokens.weight", "*.0.*", "*.bias")

_SIZES = st.integers(0, 5)
_TEXTS = st.text(max_size=6)


def names() -> SearchStrategy[str]:
    """Names of tensors: odd ones, and any text but the one that the format keeps for itself."""
    return st.one_of(st.sampled_from(_NAMES), _TEXTS).filter(lambda name: name != "__metadata__")


@st.composite
def shapes(draw: DrawFn, dtype: str) -> tuple[int, ...]:
    """A shape of rank 0 to 4 whose elements of `dtype` fill whole bytes; where one size is 0, another may be huge."""
    shape = draw(st.lists(_SIZES, max_size=4))
    if 0 in shape and draw(st.booleans()):
        shape.append(_HIGH)
    return tuple([*shape, _WHOLE] if DTYPE_BITS[dtype] % _WHOLE else shape)


@st.composite
def _specs(draw: DrawFn) -> tuple[Spec, ...]:
    drawn = draw(st.lists(names(), max_size=4, unique=True))
    dtypes = [draw(st.sampled_from(("F32", "U8", *DTYPES))) for _ in drawn]
    return tuple(Spec(name, dtype, draw(shapes(dtype))) for name, dtype in zip(drawn, dtypes, strict=True))


def tensor_files() -> SearchStrategy[TensorFile]:
    """One file: any dtype, rank and order, empty tensors, unaligned ones, any length of the header modulo 8."""
    pairs = st.lists(st.tuples(_TEXTS, _TEXTS), max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
    return st.builds(
        TensorFile,
        specs=_specs(),
        metadata=st.one_of(st.none(), st.just((("format", "pt"),)), pairs),
        rule=st.sampled_from(_RULES),
        seed=st.integers(0, 3),
    )


class Needs(NamedTuple):
    """What a checkpoint must have, for there to be something to edit.

    Attributes:
        layouts: The kinds of layout that will do; none for all.
        quantized: Whether it has codes and scales.
        layers: The fewest layers.
    """

    layouts: tuple[str, ...] = ()
    quantized: bool = False
    layers: int = 1


ANYTHING = Needs()
_HEADS: tuple[Head, ...] = ("auto", "auto", "own", "copy", "absent", "instead")


@st.composite
def recipes(draw: DrawFn, needs: Needs = ANYTHING) -> Recipe:
    """A Llama checkpoint: sizes, dtypes, layout, heads, biases, buffers, dialect, writer, now and then codes."""
    plain = needs == ANYTHING
    dialect = draw(st.sampled_from(("huggingface",) * 4 + ("meta",) * plain))
    common: dict[str, Any] = {
        "config": draw(_configurations(needs.layers)),
        "dtype": draw(st.sampled_from(_FLOATS[:3])),
        "dtypes": draw(_exceptions()),
        "seed": draw(st.integers(0, 3)),
        "rule": draw(st.sampled_from(_RULES)),
    }
    if dialect == "meta":
        # Meta's models have no biases: no rule says in which order their rows would lie.
        common["config"] |= {"attention_bias": False, "mlp_bias": False}
        return Recipe(dialect="meta", **common)
    head = draw(st.sampled_from(_HEADS))
    quantization = draw(
        st.sampled_from((None,) * 4 * (not needs.quantized) + (Quantization("int8"), Quantization("fp8")))
    )
    buffers = draw(st.sampled_from((None, None, "F32", "F16")))
    return Recipe(
        head=head, quantization=quantization, inv_freq=buffers, layout=draw(_layouts(needs.layouts)), **common
    )


@st.composite
def _configurations(draw: DrawFn, layers: int) -> dict[str, Any]:
    """Figures of a small model. No size need divide another, but for the heads."""
    groups = draw(st.integers(1, 3))
    kv_heads = draw(st.integers(1, 2))
    return {
        "attention_bias": draw(st.booleans()),
        "head_dim": draw(st.sampled_from((2, 4, 6))),
        "hidden_size": draw(st.integers(3, 9)),
        "intermediate_size": draw(st.integers(2, 7)),
        "mlp_bias": draw(st.booleans()),
        "num_attention_heads": groups * kv_heads,
        "num_hidden_layers": max(layers, draw(st.sampled_from((1, 1, 2, 3, 11)))),
        "num_key_value_heads": kv_heads,
        "tie_word_embeddings": draw(st.booleans()),
        "vocab_size": draw(st.integers(5, 13)),
    }


def _exceptions() -> SearchStrategy[tuple[tuple[str, str], ...]]:
    pairs = st.tuples(st.sampled_from(_PATTERNS), st.sampled_from(_FLOATS))
    return st.lists(pairs, max_size=2, unique_by=lambda pair: pair[0]).map(tuple)


def _layouts(kinds: tuple[str, ...]) -> SearchStrategy[Layout]:
    """Every kind, or some. The smallest checkpoint has ten tensors: it can always be cut into four shards."""
    counted = st.builds(Layout, st.sampled_from(kinds or ("by_count", "shuffled", "indexless")), st.integers(2, 4))
    by_size = st.builds(Layout, st.just("by_size"), st.integers(300, 2000))
    return counted if kinds else st.one_of(st.just(Layout()), counted, by_size)
