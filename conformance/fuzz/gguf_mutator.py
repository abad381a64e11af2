"""The structure-aware mutator of GGUF: a file that stays one, with other pairs, other tensors, other numbers."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.fuzz.gguf_bytes import SIZES, bytes_of, taken_apart
from conformance.tools.gguf_file import KINDS, Pair, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from conformance.tools.gguf_file import Draft

    Change = Callable[[Draft, Random, Sequence[str]], None]

_BODY = 2048
_MOST_ALIGNED = 64
_ALIGNMENT = "general.alignment"
_LIMITS = (0, 1, 2, 3, 4, 8, 31, 32, 64, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63)
_UNKNOWN_KINDS = (4, 16, 31, 39, 41, 42, 99, 2**31)
_TEXTS = ("", "llama", "qwen2", "linear", "yarn", "none", "longrope", "é", "\0")
_FLOATS = (0.0, 1.0, 0.5, 1e-5, 1e30, -1.0, 10000.0, 500000.0, float("nan"), float("inf"))


def mutate_gguf(data: bytes, rng: Random, words: Sequence[str]) -> bytes:
    """The bytes of another file.

    Raises:
        ValueError: `data` cannot be taken apart, or what was made of it cannot be written.
    """
    draft = taken_apart(data).draft
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(_CHANGES)(draft, rng, words)
    if rng.random() < 0.7:  # noqa: PLR2004 - mostly
        _refit(draft)
    draft.alignment = min(draft.alignment, _MOST_ALIGNED)  # what is said may be more: files stay small
    try:
        return render(draft)
    except struct.error as error:
        raise ValueError("a number does not fit its type") from error


def _refit(draft: Draft) -> None:
    """Tensors of a known type and a small size lie one behind the other, with zeros where bytes are missing."""
    for entry in draft.entries:
        nbytes = bytes_of(entry)
        if nbytes is not None and nbytes <= _BODY:
            entry.data, entry.offset = entry.data[:nbytes].ljust(nbytes, b"\0"), None


def _value(rng: Random, words: Sequence[str], kind: str, depth: int = 0) -> Any:
    """A value of a kind: numbers at the limits of fixed widths, cut to that of the kind."""
    if kind == "string":
        return rng.choice((*_TEXTS, rng.choice(words)))
    if kind == "bool":
        return rng.choice((0, 1, 1, 2))
    if kind in ("f32", "f64"):
        return rng.choice(_FLOATS)
    if kind == "array":
        inner = rng.choice([word for word in KINDS if word != "array" or depth < 3])  # noqa: PLR2004 - deep enough
        return inner, tuple(_value(rng, words, inner, depth + 1) for _ in range(rng.choice((0, 1, 1, 2, 5))))
    code = KINDS[kind][1]
    bits = 8 * struct.calcsize(code)
    number = rng.choice(_LIMITS) % 2**bits
    return number if code.isupper() or number < 2 ** (bits - 1) else number - 2**bits


def _set_value(draft: Draft, rng: Random, words: Sequence[str]) -> None:
    """The value of a pair, of its own kind or of another."""
    if draft.pairs:
        place = rng.randrange(len(draft.pairs))
        old = draft.pairs[place]
        kind = old.kind if rng.random() < 0.7 else rng.choice(list(KINDS))  # noqa: PLR2004 - mostly its own
        draft.pairs[place] = Pair(old.key, kind, _value(rng, words, kind))


def _add_pair(draft: Draft, rng: Random, words: Sequence[str]) -> None:
    kind = rng.choice(list(KINDS))
    draft.pairs.insert(rng.randrange(len(draft.pairs) + 1), Pair(rng.choice(words), kind, _value(rng, words, kind)))


def _rename_pair(draft: Draft, rng: Random, words: Sequence[str]) -> None:
    if draft.pairs:
        place = rng.randrange(len(draft.pairs))
        draft.pairs[place] = replace(draft.pairs[place], key=rng.choice((rng.choice(words), "", "é")))


def _deep(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    """Arrays within arrays."""
    value: Any = ("u8", (1,))
    for _ in range(rng.choice((1, 2, 8, 9, 70))):
        value = ("array", (value,))
    draft.pairs.append(Pair(f"deep.{rng.randrange(9)}", "array", value))


def _shuffle(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    """One list: an element dropped, one twice, or all in another order."""
    chosen: list[Any] = rng.choice((draft.pairs, draft.entries))
    if chosen:
        place = rng.randrange(len(chosen))
        rng.choice((chosen.pop, lambda at: chosen.append(replace(chosen[at])), lambda _: rng.shuffle(chosen)))(place)


def _kind(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    if draft.entries:
        rng.choice(draft.entries).kind = rng.choice((*SIZES, *_UNKNOWN_KINDS))


def _sizes(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    if draft.entries:
        entry = rng.choice(draft.entries)
        drawn = tuple(rng.choice((1, 2, 8, 32, 64, 256)) for _ in range(rng.randrange(6)))
        entry.sizes = drawn if rng.random() < 0.7 else (*entry.sizes[:-1], rng.choice(_LIMITS))  # noqa: PLR2004 - mostly


def _offset(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    if draft.entries:
        entry = rng.choice(draft.entries)
        near = (entry.offset or 0) + rng.choice((-32, -1, 1, 16, 32))
        entry.offset = rng.choice((*_LIMITS, max(near, 0)))


def _name(draft: Draft, rng: Random, words: Sequence[str]) -> None:
    if draft.entries:
        rng.choice(draft.entries).name = rng.choice((rng.choice(words), "", "x" * 64, "x" * 65, "\udcff"))


def _align(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    """Another alignment, said, and kept where it can be."""
    said = rng.choice((0, 1, 8, 12, 16, 64, 2**20, 2**31))
    draft.pairs = [pair for pair in draft.pairs if pair.key != _ALIGNMENT]
    kind, value = rng.choice((("u32", said), ("u32", said), ("i64", said), ("f32", float(said)), ("string", str(said))))
    draft.pairs.append(Pair(_ALIGNMENT, kind, value))
    draft.alignment = said or draft.alignment


def _head(draft: Draft, rng: Random, _words: Sequence[str]) -> None:
    """Version, counts, byte order, the end of the file."""
    field, drawn = rng.choice(
        (
            ("version", rng.choice((0, 1, 2, 3, 4, 3 << 24))),
            ("tensor_count", rng.choice((0, len(draft.entries) + 1, 2**40, 2**63, 2**64 - 1))),
            ("pair_count", rng.choice((0, len(draft.pairs) + 1, 2**40, 2**63, 2**64 - 1))),
            ("tail", bytes(rng.choice((1, 31, 32, 100)))),
            ("cut", -rng.choice((1, 8, 32, 100))),
        )
    )
    setattr(draft, field, drawn)


_CHANGES: tuple[Change, ...] = (
    _set_value, _set_value, _add_pair, _rename_pair, _deep, _shuffle, _shuffle, _kind, _sizes, _offset, _name, _align,
    _head,
)  # fmt: skip
