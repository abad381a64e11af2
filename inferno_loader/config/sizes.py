"""The figures that fix every shape: read, bounded, and held against each other. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inferno_loader.config.reader import Bounds

if TYPE_CHECKING:
    from inferno_loader.config.family import Family
    from inferno_loader.config.reader import Reader

# About a thousand times the largest published model in each figure, and small enough for any loop or 64-bit product.
_WIDTH = Bounds(1, 2**24)
_HEADS = Bounds(1, 2**16)
_LAYERS = Bounds(1, 10_000)
_HEAD_DIM = Bounds(2, 2**16)
_VOCABULARY = Bounds(1, 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The figures, under the names of ``config.json``."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int


def read_sizes(reader: Reader, family: Family, *, nested: bool) -> Sizes:
    """The figures of the language model.

    Args:
        reader: Its keys.
        family: Whose class defaults apply.
        nested: Whether the keys lie in a ``text_config``: those are written as the difference from the class defaults
            (``recursive_diff_dict`` of transformers), so any figure may be missing.

    Raises:
        ConfigValueError: A figure is missing or out of range; the heads do not divide; the head dimension is odd.
    """
    defaults = family.defaults if nested else {}
    hidden = reader.integer("hidden_size", _WIDTH, defaults.get("hidden_size"))
    heads = reader.integer("num_attention_heads", _HEADS, defaults.get("num_attention_heads"))
    return Sizes(
        vocab_size=reader.integer("vocab_size", _VOCABULARY, defaults.get("vocab_size")),
        hidden_size=hidden,
        intermediate_size=reader.integer("intermediate_size", _WIDTH, defaults.get("intermediate_size")),
        num_hidden_layers=reader.integer("num_hidden_layers", _LAYERS, defaults.get("num_hidden_layers")),
        num_attention_heads=heads,
        num_key_value_heads=_key_value_heads(reader, heads, family),
        head_dim=_head_dim(reader, hidden, heads),
    )


def _key_value_heads(reader: Reader, heads: int, family: Family) -> int:
    # Absent takes the default of the class; null has always meant as many as query heads.
    taken = family.key_value_heads if reader.absent("num_key_value_heads") else None
    groups = reader.integer("num_key_value_heads", _HEADS, default=taken or heads)
    if heads % groups:
        raise reader.error(
            "num_key_value_heads",
            f"does not divide {reader.name('num_attention_heads')}",
            expected=f"a divisor of {heads}, which {reader.name('num_attention_heads')} is",
            actual=str(groups),
        )
    return groups


def _head_dim(reader: Reader, hidden: int, heads: int) -> int:
    given = reader.optional_integer("head_dim", _HEAD_DIM)
    if given is None and hidden % heads:
        raise reader.error(
            "hidden_size",
            f"is no multiple of {reader.name('num_attention_heads')}, and no head_dim is given",
            expected=f"a multiple of {heads}, or a head_dim",
            actual=str(hidden),
        )
    head_dim = hidden // heads if given is None else given
    if head_dim % 2:
        raise reader.error(
            "head_dim",
            "is odd",
            expected="an even number: rope turns dimensions in pairs",
            actual=f"{head_dim} ({'hidden_size / num_attention_heads' if given is None else 'as given'})",
        )
    return head_dim
